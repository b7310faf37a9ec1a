"""What fuzzing feeds to the Avro engine: one function `bytes -> None` per target. `make long-fuzz`
runs them under a coverage guide, and `make test` replays the corpus.

A target raises when a property breaks: an error outside the documented family, or values that do
not agree with themselves or with the reference interpreter. The caller bounds time and memory.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import process_time
from typing import Any, Final

import msgspec
from schema import reference
from schema.damage import SYNC

from worker.core.errors import BadBody, SchemaMismatch
from worker.core.ports import InvalidRecord, SchemaNeeded
from worker.formats.avro import AvroPages, AvroSpec
from worker.formats.records import RecordSpec
from worker.schema import (
    CorruptContainer,
    CorruptDatum,
    DatumReader,
    Limits,
    Schema,
    SchemaError,
    codecs,
    compile_plan,
    parse_schema,
)
from worker.schema.canonical import canonical_form, fingerprint
from worker.schema.codecs import CODECS
from worker.schema.compat import problems
from worker.schema.container import file_header, frame_block, read_records, salvage
from worker.schema.encoding import compile_datum_encoder
from worker.schema.single import SchemaStore, compile_single_encoder

INFLATED: Final = 256 * 1024
SMALL: Final = Limits(
    header=64 * 1024,
    block=64 * 1024,
    inflated=INFLATED,
    rows=10_000,
    datum=64 * 1024,
    items=10_000,
    empty=10_000,
    depth=16,
)
NAMES: Final = ("a", "b", "c", "d")
SLOW_S: Final = 10  # of CPU time, for one input


class Take:
    """Bytes as a row of decisions; zeros when there are no more."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def of(self, choices: Any) -> Any:
        return choices[self.byte() % len(choices)]

    def rest(self) -> bytes:
        return self._data[self._at :]


# -- schemas out of bytes -------------------------------------------------------------------------

LEAVES: Final[tuple[Any, ...]] = (
    *("null", "boolean", "int", "long", "float", "double", "string", "bytes"),
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "timestamp-nanos"},
    {"type": "long", "logicalType": "local-timestamp-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2},
    {"type": "bytes", "logicalType": "big-decimal"},
)
FIXED: Final[tuple[Any, ...]] = (
    {"size": 0},
    {"size": 3},
    {"size": 16, "logicalType": "uuid"},
    {"size": 12, "logicalType": "duration"},
    {"size": 4, "logicalType": "decimal", "precision": 9, "scale": 3},
)
DEFAULTS: Final = {
    "null": None,
    "boolean": True,
    "int": -3,
    "long": 2**40,
    "float": 0.5,
    "double": 1,
    "string": "d",
    "bytes": "\u00ff",
}


class Drawn:
    """A schema document drawn from bytes; every one is valid."""

    def __init__(self, take: Take, names: int = 0) -> None:
        self._take, self._count = take, names
        self._known: list[str] = []

    def root(self) -> Any:
        return self._record(0)

    def _fresh(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def _type(self, depth: int) -> Any:
        choice = self._take.byte() % (12 if depth < 4 else 7)
        if choice < 5:
            return self._take.of(LEAVES)
        if choice == 5:
            return {"type": "fixed", "name": self._fresh("F"), **self._take.of(FIXED)}
        if choice == 6:
            symbols = ["A", "B", "C", "D"][: 1 + self._take.byte() % 4]
            return {
                "type": "enum",
                "name": self._fresh("E"),
                "symbols": symbols,
                **({"default": "A"} if self._take.byte() & 1 else {}),
            }
        if choice == 7:
            return {"type": "array", "items": self._type(depth + 1)}
        if choice == 8:
            return {"type": "map", "values": self._type(depth + 1)}
        if choice == 9:
            return self._take.of(self._known)
        return self._union(depth) if choice == 10 else self._record(depth + 1)

    def _union(self, depth: int) -> Any:
        branches: dict[str, Any] = {}
        for _ in range(1 + self._take.byte() % 4):
            known = list(self._known)
            branch = self._type(depth + 1)
            label = (
                ""
                if isinstance(branch, list)
                else branch
                if isinstance(branch, str)
                else branch.get("name", branch["type"])
            )
            if not label or label in branches:
                self._known = known  # what the branch named is not in the schema
            else:
                branches[label] = branch
        return list(branches.values()) or ["null"]

    def _record(self, depth: int) -> Any:
        name = self._fresh("R")
        self._known.append(name)
        fields = []
        for number in range(self._take.byte() % 5):
            kind = self._type(depth)
            field = {"name": NAMES[number], "type": kind}
            if isinstance(kind, str) and kind in DEFAULTS and self._take.byte() & 1:
                field["default"] = DEFAULTS[kind]
            fields.append(field)
        return {"type": "record", "name": name, "fields": fields}


# -- JSON out of bytes ----------------------------------------------------------------------------

KEYS: Final = (
    "type",
    "name",
    "fields",
    "items",
    "values",
    "symbols",
    "size",
    "default",
    "logicalType",
    "precision",
    "scale",
    "aliases",
    "namespace",
    "json_name",
)
NODES: Final = (
    *(
        "null",
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "string",
        "bytes",
        "record",
        "error",
        "enum",
        "fixed",
        "array",
        "map",
        "union",
    ),
    *(
        "R",
        "a.R",
        ".R",
        "",
        "A",
        "decimal",
        "big-decimal",
        "uuid",
        "duration",
        "date",
        "timestamp-micros",
        "\u00ff",
        "a",
        "b",
        "order",
        "ignore",
    ),
)
SCALARS: Final = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "16",
        "12",
        "2147483647",
        "2147483648",
        "9223372036854775808",
        "-9223372036854775808",
    ),
    *(
        "1e400",
        "1e308",
        "0.1",
        "-0.0",
        "1.0",
        "3.4028235e38",
        "1e-400",
        "1e",
        "12345678901234567890123456789012345678901234567890",
        "NaN",
        "9" * 400,
    ),
    *(
        '""',
        '"A"',
        '"AAAA"',
        '"2024-02-29"',
        '"23:59:60"',
        '"12:00:00.123"',
        '"2024-02-29T12:00:00.123456789Z"',
        '"2024-02-29T12:00:00"',
        '"-1.50"',
    ),
    *(
        '"1e1000000000"',
        '"Infinity"',
        '"P1Y2M3DT4H5M6.7S"',
        '"12345678-1234-5678-9234-567812345678"',
        '"\\ud800"',
        '"\\u0000"',
        '"\u00e9\U0001f600"',
        '"\x7f',
        "\ufeff1",
    ),
    *(
        '"0001-01-01T00:00:00-23:59"',
        '"9999-12-31T23:59:59+00:00"',
        '"' + "9" * 5000 + '"',
        '"\u0661\u0662:00:00"',
        '" 1"',
        '"1_0"',
    ),
)


def json_text(take: Take, keys: tuple[str, ...], words: tuple[str, ...], depth: int = 0) -> str:
    """Text that is JSON, mostly: keys and texts of a vocabulary, scalars that are known to hurt."""
    choice = take.byte() % (8 if depth < 12 else 4)
    if choice < 2:
        return json.dumps(take.of(words))
    if choice < 4:
        return str(take.of(SCALARS))
    count = take.byte() % 5
    if choice < 6:
        return "[" + ",".join(json_text(take, keys, words, depth + 1) for _ in range(count)) + "]"
    return (
        "{"
        + ",".join(
            f"{json.dumps(take.of(keys))}:{json_text(take, keys, words, depth + 1)}"
            for _ in range(count)
        )
        + "}"
    )


def _parsed(document: Any) -> Schema:
    return parse_schema(json.dumps(document))


# -- targets --------------------------------------------------------------------------------------


def container(data: bytes) -> None:
    """A file as it is; or, by the first byte, an intact frame of some codec round the bytes, so
    that the damage is further inside."""
    take = Take(data)
    choice, codec = take.byte() % 3, take.of(CODECS)
    if choice == 0:
        file = take.rest()
    else:
        head = file_header(json.dumps(ROW), codec, {}, SYNC)
        rows, body = take.byte(), take.rest()
        packed = codecs.compress(body, codec) if choice == 1 else body
        file = head + reference.long_bytes(rows) + reference.long_bytes(len(packed)) + packed + SYNC
    found: list[Any] = []
    try:
        for record in read_records(io.BytesIO(file), limits=SMALL):
            found.append(record)
    except CorruptContainer:
        pass
    target = io.BytesIO()
    try:
        saved = salvage(io.BytesIO(file), target, limits=SMALL)
    except CorruptContainer as error:
        assert error.block == 0 and not found
        return
    assert target.getvalue() == file[: saved.good_bytes]
    again = list(read_records(io.BytesIO(target.getvalue()), limits=SMALL))
    assert len(again) == saved.records and repr(again) == repr(found[: saved.records])
    assert (saved.damage is None) == (saved.good_bytes == len(file))


def datum(data: bytes) -> None:
    """A drawn schema, then a datum of it. What is read equals what the reference reads, and it
    survives encoding."""
    take = Take(data)
    document = Drawn(take).root()
    schema, body = _parsed(document), take.rest()
    reader = DatumReader(schema, limits=SMALL, branches=True)
    DatumReader(schema, limits=SMALL, text=True)
    try:
        found = reader.one(body)
    except CorruptDatum as error:
        assert 0 <= error.offset <= len(body) and error.path.startswith("$") and error.reason
        return
    slow = reference.Schema(document)
    assert repr(reference.Decoder(slow, slow, body).run()) == repr(found)  # repr: NaN is not itself
    encoded = compile_datum_encoder(schema)(found)
    assert repr(reader.one(encoded)) == repr(found)


def resolve(data: bytes) -> None:
    """A drawn writer's schema, a drawn reader's, then a datum. What the compatibility check
    promises is kept."""
    take = Take(data)
    written, read = Drawn(take).root(), Drawn(take).root()
    writer, reader = _parsed(written), _parsed(read)
    body = take.rest()
    wrong = problems(writer, reader)
    try:
        resolving = DatumReader(writer, reader, limits=SMALL, branches=True)
    except SchemaError:
        assert any(not each.some for each in wrong)
        return
    assert all(each.some for each in wrong)
    try:
        DatumReader(writer, limits=SMALL).one(body)
    except CorruptDatum:
        fits = False
    else:
        fits = True
    try:
        found = resolving.one(body)
    except CorruptDatum:
        # Bytes may be no text, and text no decimal; where the writer has a plain value, the reader
        # may have a logical type.
        assert (
            wrong
            or not fits
            or "string" in writer.source
            or "bytes" in writer.source
            or "fixed" in writer.source
        )
        return
    slow_writer, slow_reader = reference.Schema(written), reference.Schema(read)
    if not fits:
        return  # what the reader does not want is skipped without a look at what it says
    assert repr(reference.Decoder(slow_writer, slow_reader, body).run()) == repr(found)


def shape(data: bytes) -> None:
    """A document of the words of schemas."""
    schema(json_text(Take(data), KEYS, NODES).encode("utf-8", "surrogatepass"))


def schema(data: bytes) -> None:
    """Text of a schema. An accepted one keeps its canonical form, reads its own data, and
    compiles."""
    for strict in (True, False):
        try:
            found = parse_schema(data, strict=strict)
        except SchemaError:
            continue
        again = parse_schema(found.source, strict=strict)
        assert again.root == found.root and again.source == found.source
        json.loads(found.source, parse_constant=_no_json)
        if strict:
            assert fingerprint(parse_schema(canonical_form(found))) == fingerprint(found)
        try:
            assert problems(found, found) == []
            DatumReader(found, limits=SMALL)
            compile_datum_encoder(found)
            if strict:
                compile_plan(found)
        except SchemaError:
            pass


def _no_json(name: str) -> None:
    raise AssertionError(f"{name} in the source of a schema")


def page(data: bytes) -> None:
    """A drawn schema and policy, then a JSON page. Decoding the page and decoding record by record
    agree; what is accepted can be written and read."""
    take = Take(data)
    document = Drawn(take).root()
    plan = compile_plan(
        _parsed(document),
        unknown_fields=take.of(("drop", "reject")),
        missing_fields=take.of(("fill", "reject")),
        bytes_as=take.of(("latin1", "base64")),
        extra=("c", "zz"),
    )
    if take.byte() & 1:
        body = take.rest()
    else:
        items = ",".join(json_text(take, NAMES, NAMES) for _ in range(1 + take.byte() % 3))
        body = f"[{items}]".encode("utf-8", "surrogatepass")
    try:
        raws = msgspec.json.decode(body, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raws = [msgspec.Raw(body)]
    good = []
    for raw in raws:
        try:
            good.append((bytes(raw), plan.one(bytes(raw))))
        except InvalidRecord as error:
            assert error.errors
    encoded = plan.encode([record for _, record in good])
    reader = DatumReader(plan.schema, branches=True)
    for raw, record in good:
        one = plan.encode([record])
        assert compile_datum_encoder(plan.schema)(reader.one(one)) == one
        records = plan.decoder(list[plan.record_type])(b"[" + raw + b"]")
        assert plan.finish(records) == [] and plan.encode(records) == one
    assert encoded == b"".join(plan.encode([record]) for _, record in good)
    try:
        records = plan.decoder(list[plan.record_type])(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return
    wrong = {index for index, _ in plan.finish(records)}
    assert (
        plan.encode([record for index, record in enumerate(records) if index not in wrong])
        == encoded
    )


def single(data: bytes) -> None:
    """Single objects, against a store of three schemas."""
    store = SchemaStore(limits=SMALL)
    for document in SINGLES:
        store.add(_parsed(document))
    take = Take(data)
    choice, body = take.byte() % 4, take.rest()
    if choice < 3:
        body = compile_single_encoder(_parsed(SINGLES[choice]))(SINGLE_DATUMS[choice])[:10] + body
    with contextlib.suppress(CorruptDatum):
        store.read(body)


def avro_body(data: bytes) -> None:
    """Bodies of an Avro source in each framing, Confluent's too. Every accepted record is JSON that
    the plan reads back as the same bytes."""
    take = Take(data)
    framing = take.of(("container", "single_object", "confluent", "raw"))
    plan = compile_plan(_parsed(READER))
    written = {fingerprint(_parsed(document)): _parsed(document) for document in SINGLES}
    spec = AvroSpec(framing, RecordSpec(), body_bytes=INFLATED)
    pages = AvroPages(spec, plan, raw=_parsed(ROW), single=written.get, confluent=_by_id)
    body = take.rest()
    steps = pages.decode(body)
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        found = stop.value
    except (BadBody, SchemaMismatch, SchemaNeeded):
        return
    places = found.indices if found.indices is not None else range(len(found.records))
    for record, place in zip(found.records, places, strict=True):
        assert plan.encode([plan.one(bytes(found.raw(place)))]) == plan.encode([record])
    for reject in found.rejects:
        assert reject.errors


def _by_id(number: int) -> Schema:
    if number >= len(SINGLES):
        raise SchemaNeeded(number)
    return _parsed(SINGLES[number])


def codec(data: bytes) -> None:
    """A compressed block of each codec: it is inflated within the limit, or refused. The bytes as a
    plain block come back."""
    take = Take(data)
    name, body = take.of(CODECS), take.rest()
    with contextlib.suppress(codecs.NotInflated):
        assert len(codecs.inflate(body, name, INFLATED)) <= INFLATED
    if len(body) <= INFLATED:
        assert codecs.inflate(codecs.compress(body, name), name, INFLATED) == body


ROW: Final = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "s", "type": ["null", "string"]},
        {
            "name": "m",
            "type": {
                "type": "map",
                "values": {"type": "array", "items": ["null", "double", "Row"]},
            },
        },
        {"name": "e", "type": {"type": "array", "items": "null"}},
    ],
}
READER: Final = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "n", "type": "double"},
        {"name": "s", "type": ["null", "string"], "json_name": "text-s"},
        {"name": "added", "type": ["null", "int", "string"], "default": None},
        {
            "name": "m",
            "type": {
                "type": "map",
                "values": {"type": "array", "items": ["null", "double", "Row"]},
            },
        },
    ],
}
SINGLES: Final[tuple[Any, ...]] = (
    "long",
    ROW,
    {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"},
)
SINGLE_DATUMS: Final[tuple[Any, ...]] = (7, {"n": 1, "s": None, "m": {}, "e": []}, bytes(12))
TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    each.__name__: each
    for each in (container, datum, resolve, schema, shape, page, single, avro_body, codec)
}


LIST_SHAPE: Final = bytes((1, 10, 1, 0, 0, 9, 0))  # a record R1 of one field, ["null", "R1"]


# -- where to begin -------------------------------------------------------------------------------


def seeds(target: str) -> Iterator[bytes]:
    """Inputs that are right, to be broken."""
    row = compile_datum_encoder(_parsed(ROW))(
        {"n": 2**40, "s": "text", "m": {"k": []}, "e": [None, None]}
    )
    if target == "container":
        for number, name in enumerate(CODECS):
            yield (
                bytes((0, 0))
                + file_header(json.dumps(ROW), name, {"user.key": b"v"}, SYNC)
                + frame_block(2, row + row, name, SYNC)
            )
            yield bytes((1, number, 2)) + row + row
            yield bytes((2, number, 2)) + codecs.compress(row + row, name)
    elif target in ("datum", "resolve", "page"):
        for number in range(12):
            shape = bytes((3, number, number, 1, number + 5, 2, 0, 7, number, 1, 10, 2, 0, 3))
            tails = (
                bytes(20),
                (
                    b'\0\0\0\1[{"a": 1, "b": "2024-01-01T00:00:00Z", "c": null, '
                    b'"d": [1.5, {"a": true}]}]'
                ),
            )
            yield shape + (shape if target == "resolve" else b"") + tails[target == "page"]
        for depth in (15, 16, 17, 63, 64, 65, 5_000):
            if target == "page":
                yield (
                    LIST_SHAPE
                    + bytes((0, 0, 0, 1))
                    + b"["
                    + b'{"a":' * depth
                    + b"null"
                    + b"}" * depth
                    + b"]"
                )
            else:
                yield LIST_SHAPE * (1 + (target == "resolve")) + b"\x02" * depth + b"\0"
    elif target == "schema":
        for document in (
            *SINGLES,
            Drawn(Take(bytes(range(5, 250, 7)))).root(),
            {**ROW, "namespace": "x.y", "aliases": ["Old"], "doc": "d"},
        ):
            yield json.dumps(document).encode()
        for deep in (
            b"[",
            b'{"type":',
            b'{"type":"array","items":',
            b'{"type":"record","name":"R","fields":[{"name":"a","type":',
        ):
            yield deep * 5_000
    elif target == "shape":
        yield from (
            bytes((6, 3, 0, 1, number, 1, 0, 8, 2, 1, 5, 5, 4, 6, 2, 1, 0, 16, 0, 0, number))
            for number in range(9)
        )
    elif target == "avro_body":
        yield (
            b"\0"
            + file_header(json.dumps(ROW), "deflate", {}, SYNC)
            + frame_block(3, row * 3, "deflate", SYNC)
        )
        yield b"\1" + compile_single_encoder(_parsed(ROW))(SINGLE_DATUMS[1]) * 2
        yield b"\2" + (b"\0\0\0\0\1" + row) * 2
        yield b"\3" + row * 3
    elif target == "single":
        for number, (document, value) in enumerate(zip(SINGLES, SINGLE_DATUMS, strict=True)):
            made = compile_single_encoder(_parsed(document))(value)
            yield bytes((number,)) + made[10:]
            yield b"\x03" + made
    else:
        for number, name in enumerate(CODECS):
            yield bytes((number,)) + codecs.compress(row * 5, name)


# -- doing it again -------------------------------------------------------------------------------


def kept_inputs(file: Path) -> list[bytes]:
    """The inputs of a corpus file: one a line, in base64."""
    return (
        [base64.b64decode(line) for line in file.read_text().splitlines()] if file.exists() else []
    )


def replay(target: Callable[[bytes], None], file: Path, more: Iterable[bytes]) -> int:
    """Runs a target over the inputs of a corpus file and more; returns how many there were.
    AssertionError names the line of the input that broke it."""
    inputs = [(f"line {number}", data) for number, data in enumerate(kept_inputs(file), 1)] + [
        (f"seed {number}", data) for number, data in enumerate(more)
    ]
    for name, data in inputs:
        begin = process_time()
        try:
            target(data)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {str(error)[:500]}") from error
        assert process_time() - begin < SLOW_S, f"{name} took {process_time() - begin:.0f} s"
    return len(inputs)


if __name__ == "__main__":
    print(replay(TARGETS[sys.argv[1]], Path(sys.argv[2]), seeds(sys.argv[1])))
