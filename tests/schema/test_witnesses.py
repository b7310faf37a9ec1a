"""Two other libraries as witnesses: fastavro and Apache's own for Python. They read what we write,
and we read what they write, byte for byte alike.

Where a witness is wrong or lacks something, a table tells so. The tests hold the table to it: a row
that is no longer true fails.
"""

from __future__ import annotations

import io
import json
import uuid
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import avro.codecs
import avro.datafile
import avro.errors
import avro.io
import avro.schema
import fastavro
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from schema.damage import SYNC
from schema.test_plan import typed_values
from schema.test_reference import encoded, quick, without_logical_types

from worker.schema import DatumReader, SchemaError, parse_schema
from worker.schema.codecs import CODECS
from worker.schema.container import file_header, frame_block, read_records
from worker.schema.encoding import compile_datum_encoder
from worker.schema.values import Branch


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


def fixed(size: int, **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size, **more}


LIST = {
    "type": "record",
    "name": "L",
    "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "L"]}],
}
E1 = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
INNER = {
    "type": "record",
    "name": "I",
    "namespace": "a.b",
    "fields": [{"name": "x", "type": "string"}],
}
ID = "12345678-1234-5678-9234-567812345678"
CASES: dict[str, tuple[Any, list[Any]]] = {
    "null": ("null", [None]),
    "boolean": ("boolean", [True, False]),
    "int": ("int", [0, -1, 64, -65, 2**31 - 1, -(2**31)]),
    "long": ("long", [0, 8192, -8193, 2**63 - 1, -(2**63)]),
    "float": ("float", [0.0, -1.5, 3.4028234663852886e38, float("inf")]),
    "double": ("double", [0.1, -0.0, 1e308, 5e-324, float("-inf")]),
    "string": ("string", ["", "text", "\u00e9\u4e2d\U0001f600\0", "x" * 9000]),
    "bytes": ("bytes", [b"", b"\0\xff", b"x" * 70]),
    "fixed": (fixed(3), [b"abc"]),
    "fixed of no bytes": (fixed(0), [b""]),
    "enum": (E1, ["A", "B"]),
    "array": ({"type": "array", "items": "int"}, [[], [1, 2, 3]]),
    "array of arrays": (
        {"type": "array", "items": {"type": "array", "items": "string"}},
        [[], [[], ["a"]]],
    ),
    "map": ({"type": "map", "values": "long"}, [{}, {"b": 1, "a": 2, "": 3}]),
    "nullable": (["null", "string"], [None, "x"]),
    "union": (
        ["null", "boolean", "int", "string", E1, INNER],
        [Branch(0, None), Branch(1, True), Branch(2, 5), Branch(3, "t"), Branch(5, {"x": "y"})],
    ),
    "union of bytes and text": (["bytes", "string"], [Branch(0, b"t"), Branch(1, "t")]),
    "union of int and long": (["int", "long"], [Branch(0, 5), Branch(1, 5)]),
    "record": (INNER, [{"x": "y"}]),
    "record in itself": (LIST, [{"v": 1, "next": {"v": 2, "next": None}}]),
    "date": (logical("int", "date"), [0, 19_782, -719_162, 2_932_896]),
    "time-millis": (logical("int", "time-millis"), [0, 86_399_999]),
    "time-micros": (logical("long", "time-micros"), [0, 86_399_999_999]),
    "timestamp-millis": (logical("long", "timestamp-millis"), [0, 1_709_208_000_123, -1]),
    "timestamp-micros": (logical("long", "timestamp-micros"), [0, 1_709_208_000_123_456, -1]),
    "timestamp-nanos": (logical("long", "timestamp-nanos"), [0, 2**62, -1]),
    "local-timestamp-millis": (logical("long", "local-timestamp-millis"), [0, 1_709_208_000_123]),
    "local-timestamp-micros": (
        logical("long", "local-timestamp-micros"),
        [0, 1_709_208_000_123_456],
    ),
    "local-timestamp-nanos": (logical("long", "local-timestamp-nanos"), [7]),
    "uuid": (logical("string", "uuid"), [ID]),
    "uuid in fixed": (fixed(16, logicalType="uuid"), [ID]),
    "decimal": (
        logical("bytes", "decimal", precision=9, scale=2),
        [
            Decimal("0.00"),
            Decimal("-1.28"),
            Decimal("1.27"),
            Decimal("1.28"),
            Decimal("9999999.99"),
        ],
    ),
    "long decimal": (
        logical("bytes", "decimal", precision=60, scale=20),
        [Decimal("-" + "1" * 30 + ".5")],
    ),
    "decimal in fixed": (
        fixed(8, logicalType="decimal", precision=18, scale=6),
        [Decimal("-123.456"), Decimal(1)],
    ),
    "decimal without scale": (logical("bytes", "decimal", precision=5), [Decimal(-12)]),
    "big-decimal": (logical("bytes", "big-decimal"), [Decimal("1.50")]),
    "duration": (fixed(12, logicalType="duration"), [bytes(range(12))]),
    "a logical type that nobody knows": (logical("long", "moon-phase"), [5]),
}

# -- the witnesses --------------------------------------------------------------------------------


class Witness(NamedTuple):
    """A library. `natives`: the logical types whose values are objects there; the values of the
    others are those of the underlying type."""

    name: str
    natives: frozenset[str]
    codecs: frozenset[str]
    encode: Callable[[Any, Any], bytes]
    decode: Callable[[Any, bytes], Any]
    write: Callable[[Any, list[Any], str], bytes]
    read: Callable[[bytes], list[Any]]


def _fastavro_encode(schema: Any, value: Any) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, fastavro.parse_schema(schema), value)
    return file.getvalue()


def _fastavro_write(schema: Any, values: list[Any], codec: str) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, values, codec=codec, sync_interval=10)
    return file.getvalue()


def _apache_schema(schema: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
        return avro.schema.parse(json.dumps(schema))


def _apache_encode(schema: Any, value: Any) -> bytes:
    file = io.BytesIO()
    avro.io.DatumWriter(_apache_schema(schema)).write(value, avro.io.BinaryEncoder(file))
    return file.getvalue()


def _apache_write(schema: Any, values: list[Any], codec: str) -> bytes:
    file = io.BytesIO()
    writer = avro.datafile.DataFileWriter(
        file, avro.io.DatumWriter(), _apache_schema(schema), codec=codec
    )
    for value in values:
        writer.append(value)
    writer.flush()
    return file.getvalue()


def _apache_read(file: bytes) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
        return list(avro.datafile.DataFileReader(io.BytesIO(file), avro.io.DatumReader()))


MOMENTS = {"date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros", "decimal"}
FASTAVRO = Witness(
    "fastavro",
    frozenset({*MOMENTS, "local-timestamp-millis", "local-timestamp-micros", "uuid"}),
    frozenset(CODECS),
    _fastavro_encode,
    lambda schema, data: fastavro.schemaless_reader(
        io.BytesIO(data), fastavro.parse_schema(schema), None
    ),
    _fastavro_write,
    lambda file: list(fastavro.reader(io.BytesIO(file))),
)
APACHE = Witness(
    "avro",
    frozenset(MOMENTS),
    frozenset(CODECS) & set(avro.codecs.KNOWN_CODECS),
    _apache_encode,
    lambda schema, data: avro.io.DatumReader(_apache_schema(schema)).read(
        avro.io.BinaryDecoder(io.BytesIO(data))
    ),
    _apache_write,
    _apache_read,
)
WITNESSES = (FASTAVRO, APACHE)

LAST_FIT = "a value says no branch: it takes the last branch that fits, and True fits int"
FIRST_FIT = "a value says no branch: it takes the first branch that fits"
SIGN_BYTE = "a byte more than is needed for -128 and its like; the same number"
UNSCALED = (
    "WRONG VALUE: digits of a decimal that is not padded to the scale are taken as they are,"
    " 1 becomes 0.000001"
)
BARE_UUID = "a uuid only on string; on fixed, bytes"
READS_OTHERWISE: dict[tuple[str, str], str] = {("fastavro", "uuid in fixed"): BARE_UUID}
WRITES_OTHERWISE: dict[tuple[str, str], str] = {
    ("avro", "union"): LAST_FIT,
    ("avro", "union of int and long"): LAST_FIT,
    ("avro", "decimal"): SIGN_BYTE,
    ("avro", "long decimal"): UNSCALED,
    ("avro", "decimal in fixed"): UNSCALED,
    ("fastavro", "union of int and long"): FIRST_FIT,
    ("fastavro", "uuid in fixed"): BARE_UUID,
    ("fastavro", "decimal"): SIGN_BYTE,
}
NO_CODEC: dict[tuple[str, str], str] = {
    ("avro", codec): "not at all (xz), or only with a package that this project does not use"
    for codec in ("snappy", "zstandard", "xz")
}


def native(witness: Witness, kind: Any, value: Any) -> Any:
    """A datum of ours as the witness has it."""
    if isinstance(value, Branch):
        return native(witness, kind[value.number], value.value)
    name = kind.get("logicalType") if isinstance(kind, dict) else None
    if name == "big-decimal" and isinstance(value, Decimal):
        return compile_datum_encoder(parse_schema(json.dumps(kind)))(value)[
            1:
        ]  # the bytes under it, without their length
    if name == "uuid" and (kind["type"] == "fixed" or name in witness.natives):
        return uuid.UUID(value) if name in witness.natives else uuid.UUID(value).bytes
    if name is None or name not in witness.natives:
        return value
    if name == "date":
        return date(1970, 1, 1) + timedelta(value)
    if name == "decimal":
        return value
    micros = value * (1000 if name.endswith("millis") else 1)
    if name.startswith("time-"):
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).time()
    return datetime(1970, 1, 1, tzinfo=None if name.startswith("local") else UTC) + timedelta(
        microseconds=micros
    )


# -- every type -----------------------------------------------------------------------------------

each_case = pytest.mark.parametrize("name", CASES)
each_witness = pytest.mark.parametrize("witness", WITNESSES, ids=[each.name for each in WITNESSES])


def agrees(attempt: Callable[[], bool]) -> str:
    """Empty, or how the witness differs."""
    try:
        return "" if attempt() else "another value"
    except (
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        OverflowError,
        ArithmeticError,
        avro.errors.AvroException,
        AssertionError,
    ) as error:
        return f"{type(error).__name__}: {error}"


def expect(difference: str, table: dict[tuple[str, str], str], key: tuple[str, str]) -> None:
    if key in table:
        assert difference, f"{key} is right now: {table[key]!r} can go"
    else:
        assert not difference


@each_witness
@each_case
def test_datums_of_ours_are_read(witness: Witness, name: str) -> None:
    kind, values = CASES[name]
    encode = compile_datum_encoder(parse_schema(json.dumps(kind)))
    expect(
        agrees(
            lambda: all(
                witness.decode(kind, encode(value)) == native(witness, kind, value)
                for value in values
            )
        ),
        READS_OTHERWISE,
        (witness.name, name),
    )


@each_witness
@each_case
def test_datums_of_theirs_have_the_same_bytes_and_are_read(witness: Witness, name: str) -> None:
    kind, values = CASES[name]
    schema = parse_schema(json.dumps(kind))
    encode, reader = compile_datum_encoder(schema), DatumReader(schema, branches=True)

    def same(value: Any) -> bool:
        theirs = witness.encode(kind, native(witness, kind, value))
        return theirs == encode(value) and reader.one(theirs) == value

    expect(agrees(lambda: all(list(map(same, values)))), WRITES_OTHERWISE, (witness.name, name))


# -- every codec ----------------------------------------------------------------------------------

WIDE = {
    "type": "record",
    "name": "Wide",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "s", "type": ["null", "string"]},
        {"name": "e", "type": E1},
    ],
}
ROWS = [
    {
        "n": number * 37 - 500,
        "s": None if number % 3 else "x" * (number % 200),
        "e": "AB"[number % 2],
    }
    for number in range(700)
]


@each_witness
@pytest.mark.parametrize("codec", CODECS)
def test_files_of_ours_are_read(witness: Witness, codec: str) -> None:
    encode = compile_datum_encoder(parse_schema(json.dumps(WIDE)))
    parts = [ROWS[start : start + 300] for start in range(0, len(ROWS), 300)]
    file = file_header(json.dumps(WIDE), codec, {"user.key": b"v"}, SYNC) + b"".join(
        frame_block(len(part), b"".join(map(encode, part)), codec, SYNC) for part in parts
    )
    expect(
        agrees(lambda: codec in witness.codecs and witness.read(file) == ROWS),
        NO_CODEC,
        (witness.name, codec),
    )


@each_witness
@pytest.mark.parametrize("codec", CODECS)
def test_files_of_theirs_are_read(witness: Witness, codec: str) -> None:
    def reads() -> bool:
        return (
            codec in witness.codecs
            and list(read_records(io.BytesIO(witness.write(WIDE, ROWS, codec)))) == ROWS
        )

    expect(agrees(reads), NO_CODEC, (witness.name, codec))


# -- random ones ----------------------------------------------------------------------------------


@quick
@given(st.data())
def test_apache_reads_what_we_read(data: Any) -> None:
    document, _, binary = encoded(data)
    bare = without_logical_types(document)
    found = DatumReader(parse_schema(json.dumps(bare))).one(binary)
    assert repr(APACHE.decode(bare, binary)) == repr(found)


@quick
@given(st.data())
def test_apache_writes_what_we_write(data: Any) -> None:
    kind, values = data.draw(typed_values())
    try:
        schema = parse_schema(json.dumps(kind))
    except SchemaError:
        reject()  # a name was drawn twice
    value = data.draw(values)
    assert (
        APACHE.encode(kind, value)
        == compile_datum_encoder(schema)(value)
        == FASTAVRO.encode(kind, value)
    )
