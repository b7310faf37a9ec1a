"""Every limit, just under and just over, with input made to hurt. What that costs is measured in a
process with little memory."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import textwrap
import tracemalloc
import zlib
from pathlib import Path
from time import process_time
from typing import Any

import msgspec
import pytest
from schema.damage import SYNC
from schema.reference import long_bytes

from worker.core.ports import InvalidRecord
from worker.schema import (
    CorruptContainer,
    CorruptDatum,
    DatumReader,
    Limits,
    SchemaError,
    codecs,
    compile_plan,
    parse_schema,
)
from worker.schema.codecs import CODECS
from worker.schema.compat import problems
from worker.schema.container import (
    MAGIC,
    MAX_METADATA,
    Records,
    file_header,
    frame_block,
    read_records,
)
from worker.schema.document import MAX_BYTES
from worker.schema.logical import MAX_PRECISION
from worker.schema.parse import MAX_BRANCHES, MAX_DEPTH, MAX_LEVELS, MAX_NAMED
from worker.schema.sizes import Sizes, recursive_names

MEMORY = 1024 * 1024 * 1024  # address space of a child process, Python and its modules included
SECONDS = 20


def record(name: str, *kinds: Any) -> Any:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{number}", "type": kind} for number, kind in enumerate(kinds)],
    }


def parsed(node: Any) -> Any:
    return parse_schema(json.dumps(node))


def read(node: Any, data: bytes, **limits: int) -> Any:
    return DatumReader(parsed(node), limits=Limits(**limits)).one(data)


def file_of(node: Any, *blocks: tuple[int, bytes], codec: str = "null") -> bytes:
    return file_header(json.dumps(node), codec, {}, SYNC) + b"".join(
        frame_block(rows, data, codec, SYNC) for rows, data in blocks
    )


def rows(file: bytes, **limits: int) -> list[Any]:
    return list(read_records(io.BytesIO(file), limits=Limits(**limits)))


# -- containers -----------------------------------------------------------------------------------


def test_the_header() -> None:
    file = file_of("long", (1, b"\2"))
    size = file.index(SYNC) - 1  # magic and metadata, without the end of the map
    assert rows(file, header=size) == [1]
    with pytest.raises(CorruptContainer, match="header"):
        rows(file, header=size - 1)


def test_entries_of_the_header_are_counted() -> None:
    def file(entries: int) -> bytes:
        return file_header(
            '"long"', "null", {f"k{number}": b"" for number in range(entries - 2)}, SYNC
        ) + frame_block(1, b"\2", "null", SYNC)

    assert rows(file(MAX_METADATA)) == [1]
    with pytest.raises(CorruptContainer, match="entries of metadata"):
        rows(file(MAX_METADATA + 1))
    spread = MAGIC + (long_bytes(1) + b"\0\0") * (MAX_METADATA + 1)
    with pytest.raises(CorruptContainer, match="entries of metadata"):
        rows(spread)


@pytest.mark.parametrize(
    "metadata",
    [
        long_bytes(2**62) + b"\0\0" * 100,
        long_bytes(-1) + long_bytes(0) + b"\0\0" * 100,
        b"\xff" * 11,
        b"\2\0" + b"\xff" * 9 + b"\2",
    ],
)
def test_headers_that_promise_too_much(metadata: bytes) -> None:
    with pytest.raises(CorruptContainer):
        rows(MAGIC + metadata)


@pytest.mark.parametrize(("more", "read"), [(0, True), (1, False), (-1, False)])
def test_a_block_of_metadata_has_the_size_that_it_says(more: int, read: bool) -> None:
    entry = b"".join(long_bytes(len(part)) + part for part in (b"avro.schema", b'"null"'))
    file = io.BytesIO(MAGIC + long_bytes(-1) + long_bytes(len(entry) + more) + entry + b"\0" + SYNC)
    if read:
        assert list(read_records(file)) == []
    else:
        with pytest.raises(CorruptContainer, match="a block of metadata that declares"):
            list(read_records(file))


def test_the_compressed_block() -> None:
    file = file_of({"type": "fixed", "name": "F", "size": 1}, (100, bytes(100)))
    assert len(rows(file, block=100)) == 100
    with pytest.raises(CorruptContainer, match="at most"):
        rows(file, block=99)


@pytest.mark.parametrize("codec", CODECS)
def test_the_inflated_block(codec: str) -> None:
    if codec == "snappy":
        pytest.importorskip("cramjam")
    file = file_of({"type": "fixed", "name": "F", "size": 1}, (1_000, bytes(1_000)), codec=codec)
    assert len(rows(file, inflated=1_000)) == 1_000
    with pytest.raises(CorruptContainer, match=r"999|1000"):
        rows(file, inflated=999)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "null"])
def test_a_bomb_in_a_block_is_refused_before_it_is_inflated(codec: str) -> None:
    if codec == "snappy":
        pytest.importorskip("cramjam")
    bomb = codecs.compress(bytes(32 * 1024 * 1024), codec)
    tracemalloc.start()
    try:
        with pytest.raises(codecs.NotInflated):
            codecs.inflate(bomb, codec, 1024 * 1024)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 16 * 1024 * 1024  # xz has a dictionary of 8 MiB


def test_the_records_of_a_block() -> None:
    file = file_of("boolean", (100, bytes(100)))
    assert len(rows(file, rows=100)) == 100
    with pytest.raises(CorruptContainer, match="100 records"):
        rows(file, rows=99)


def test_records_without_bytes_are_counted_over_the_whole_file() -> None:
    file = file_of(record("R", "null"), *[(10, b"")] * 5)  # each is a record and a null
    assert len(rows(file, empty=100)) == 50
    with pytest.raises(CorruptContainer) as refused:
        rows(file, empty=99)
    assert refused.value.block == 5


@pytest.mark.parametrize(
    ("count", "size"), [(-1, 1), (1, -1), (2**62, 1), (1, 2**62), (-(2**63), 0)]
)
def test_blocks_of_impossible_sizes(count: int, size: int) -> None:
    with pytest.raises(CorruptContainer, match="block of"):
        rows(file_of("boolean") + long_bytes(count) + long_bytes(size) + b"\1" + SYNC)


# -- datums ---------------------------------------------------------------------------------------

LIST = record("L", ["null", "L"])


def test_the_bytes_of_a_datum() -> None:
    assert read("bytes", long_bytes(100) + bytes(100), datum=102) == bytes(100)
    with pytest.raises(CorruptDatum):
        read("bytes", long_bytes(100) + bytes(100), datum=101)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ({"type": "array", "items": "boolean"}, b"\1"),
        ({"type": "map", "values": "null"}, b"\2k"),
        ({"type": "array", "items": "null"}, b""),
    ],
)
@pytest.mark.parametrize("split", [False, True])
def test_the_items_of_a_datum(kind: Any, item: bytes, split: bool) -> None:
    count = 100
    data = (
        (long_bytes(1) + item) * count
        if split
        else long_bytes(-count) + long_bytes(len(item) * count) + item * count
    )
    assert read(kind, data + b"\0", items=count)
    with pytest.raises(CorruptDatum, match="items"):
        read(kind, data + b"\0", items=count - 1)
    skipping = DatumReader(
        parsed(record("R", kind, "int")),
        parsed({**record("R"), "fields": [{"name": "f1", "type": "int"}]}),
        limits=Limits(items=count + 1),
    )  # and the record
    assert skipping.one(data + b"\0\2") == {"f1": 1}


def test_the_depth_of_a_datum() -> None:
    assert read(LIST, b"\2" * 9 + b"\0", depth=10)
    with pytest.raises(CorruptDatum, match="deeper"):
        read(LIST, b"\2" * 10 + b"\0", depth=10)


def test_what_was_written_at_the_greatest_depth_can_be_read_back() -> None:
    """Depth is counted alike for JSON and for Avro, whatever the keys of maps look like."""
    node = record("M", {"type": "map", "values": "M"})
    plan = compile_plan(parsed(node))
    deepest = 0
    for depth in range(60, 70):
        text = json.dumps({"f0": {}})
        for _ in range(depth):
            text = '{"f0": {"1.2.3.4[5]": ' + text + "}}"
        try:
            encoded = plan.encode([plan.one(text.encode())])
        except InvalidRecord:
            continue
        assert repr(DatumReader(plan.schema).one(encoded)).count("1.2.3.4[5]") == depth
        deepest = depth
    assert deepest == 63


def test_many_arrays_between_records_are_too_deep_for_a_page_too() -> None:
    levels = 60
    plan = compile_plan(parsed(record("Q", ["null", arrays(levels, "Q")])))
    text = "null"
    # as deep as msgspec goes with this Python, which is deeper than what follows it
    for _ in range({(3, 11): 14, (3, 12): 20}.get(sys.version_info[:2], 40)):
        text = f'{{"f0": {"[" * levels}{text}{"]" * levels}}}'
    page = msgspec.json.decode(f"[{text}]".encode(), type=list[plan.record_type])
    ((_, errors),) = plan.finish(page)
    assert errors[-1].allowed == "fewer levels"
    with pytest.raises(InvalidRecord):
        plan.one(text.encode())


def test_the_digits_of_a_decimal() -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": MAX_PRECISION}
    parsed(decimal)
    with pytest.raises(SchemaError, match="digits"):
        parsed({**decimal, "precision": MAX_PRECISION + 1})
    size = 600
    with pytest.raises(CorruptDatum, match="decimal"):
        read(decimal, long_bytes(size) + b"\x7f" * size)
    with pytest.raises(CorruptDatum, match="big-decimal"):
        read({"type": "bytes", "logicalType": "big-decimal"}, long_bytes(4) + b"\2\1\xff\x7f")


def test_damage_behind_a_million_nulls_is_found_at_once() -> None:
    reader = DatumReader(parsed(record("R", {"type": "array", "items": "null"}, "boolean")))
    begin = process_time()
    for _ in range(20):
        with pytest.raises(CorruptDatum) as refused:
            reader.one(long_bytes(900_000) + b"\0\7")
    assert (refused.value.path, refused.value.offset) == ("$.f1", 4)
    assert process_time() - begin < SECONDS


@pytest.mark.parametrize("data", [b"\xff" * 10 + b"\0", b"\x80" * 10 + b"\1", b"\xff" * 9 + b"\2"])
@pytest.mark.parametrize(
    "kind",
    [
        "long",
        "string",
        ["null", "int"],
        {"type": "array", "items": "null"},
        {"type": "map", "values": "int"},
    ],
)
def test_whole_numbers_that_do_not_end(kind: Any, data: bytes) -> None:
    with pytest.raises(CorruptDatum):
        read(kind, data)


@pytest.mark.parametrize("size", [-1, 5, 2**62, -(2**63)])
def test_item_blocks_of_impossible_sizes(size: int) -> None:
    for kind in ({"type": "array", "items": "boolean"}, {"type": "map", "values": "null"}):
        with pytest.raises(CorruptDatum):
            read(kind, long_bytes(-2) + long_bytes(size) + b"\0\0\0")


# -- schemas --------------------------------------------------------------------------------------


def arrays(levels: int, node: Any) -> Any:
    for _ in range(levels):
        node = {"type": "array", "items": node}
    return node


def chain(levels: int) -> Any:
    """Records beside each other, each of which holds the one before."""
    return record(
        "Top",
        *[
            record(f"R{number}", *([f"R{number - 1}"] if number else ["int"]))
            for number in range(levels)
        ],
    )


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        (arrays(MAX_DEPTH, "int"), arrays(MAX_DEPTH + 1, "int")),
        (chain(MAX_LEVELS - 2), chain(MAX_LEVELS + 1)),
        ([{"type": "fixed", "name": f"F{number}", "size": 1} for number in range(MAX_BRANCHES)],)
        * 2,
    ],
)
def test_the_depth_and_the_branches_of_a_schema(fits: Any, too_much: Any) -> None:
    DatumReader(parsed(fits))
    if too_much is fits:
        too_much = [*fits, "int"]
    with pytest.raises(SchemaError, match=r"deep|at most"):
        parsed(too_much)


def test_the_size_and_the_names_of_a_schema() -> None:
    text = json.dumps({"type": "int", "doc": "x" * MAX_BYTES})
    with pytest.raises(SchemaError, match="at most"):
        parse_schema(text)
    parse_schema(json.dumps({"type": "int", "doc": "x" * (MAX_BYTES - len(text) + MAX_BYTES)}))
    names = [
        {"name": f"f{number}", "type": {"type": "fixed", "name": f"F{number}", "size": 1}}
        for number in range(MAX_NAMED)
    ]
    assert len(json.dumps(names)) < MAX_BYTES
    parsed({"type": "record", "name": "R", "fields": names[:-1]})
    with pytest.raises(SchemaError, match="named types"):
        parsed({"type": "record", "name": "R", "fields": names})


MANY_FIELDS = 20_000
MANY_SYMBOLS = 80_000
COSTLY = {
    "fields read as themselves": lambda: problems(
        *[parsed(record("R", *["int"] * MANY_FIELDS))] * 2
    ),
    "fields read by their aliases": lambda: problems(
        parsed(record("R", *["int"] * (MANY_FIELDS // 2))),
        parsed(
            {
                "type": "record",
                "name": "R",
                "fields": [
                    {"name": f"g{n}", "type": "int", "aliases": [f"f{n}"]}
                    for n in range(MANY_FIELDS // 2)
                ],
            }
        ),
    ),
    "symbols read as themselves": lambda: DatumReader(*[parsed(enum(MANY_SYMBOLS))] * 2),
    "symbols that another enum lacks": lambda: problems(
        parsed(enum(MANY_SYMBOLS)), parsed(enum(1))
    ),
    "a symbol that stands twice": lambda: expect_error(
        lambda: parsed({**enum(0), "symbols": [f"S{n}" for n in range(MANY_SYMBOLS)] + ["Z", "Z"]})
    ),
    "arrays of one large record": lambda: DatumReader(
        parsed(
            record("T", record("B", *["int"] * 3_000), *[{"type": "array", "items": "B"}] * 3_000)
        )
    ),
    "records that name many others": lambda: recursive_names(parsed(crowd(20, 40))),
    "a default of records that are named over and over": lambda: compile_plan(
        parsed(
            {
                **record("T"),
                "fields": [
                    {"name": "a", "type": {"type": "array", "items": shared(40)}, "default": []}
                ],
            }
        )
    ),
}


def enum(symbols: int) -> Any:
    return {"type": "enum", "name": "E", "symbols": [f"S{number}" for number in range(symbols)]}


def crowd(levels: int, width: int) -> Any:
    """Levels of records, each of which names all of the level below."""
    rows = [[f"R{level}_{number}" for number in range(width)] for level in range(levels)]
    return record(
        "T",
        *[
            record(name, rows[level - 1] if level else "int")
            for level, names in enumerate(rows)
            for name in names
        ],
    )


def expect_error(parse: Any) -> None:
    with pytest.raises(SchemaError, match="twice"):
        parse()


@pytest.mark.parametrize("name", COSTLY)
def test_a_large_schema_costs_in_proportion_to_its_size(name: str) -> None:
    """What was quadratic, or worse, took a minute and more of these."""
    begin = process_time()
    COSTLY[name]()
    assert process_time() - begin < SECONDS


def test_a_union_of_nothing_has_no_values() -> None:
    with pytest.raises(CorruptDatum):
        read([], b"\0")
    plan = compile_plan(parsed(record("R", [])))
    assert plan.fields["f0"].type == "union"
    for raw in (b"{}", b'{"f0": null}', b'{"f0": 1}'):
        with pytest.raises(InvalidRecord):
            plan.one(raw)


def test_a_number_that_json_cannot_say_again_is_refused() -> None:
    with pytest.raises(SchemaError, match="no JSON"):
        parse_schema('{"type": "int", "note": 1e999}')


def test_the_records_that_can_hold_themselves() -> None:
    a = record(
        "A",
        record("B", ["null", "A"], record("C", "int")),
        record("D", ["null", "D"]),
        {"type": "array", "items": record("E", "C", "D")},
    )
    assert recursive_names(parsed(a)) == {"A", "B", "D"}


def test_values_without_bytes_are_weighed() -> None:
    schema = parsed(
        record(
            "A",
            record("B", "null", "int"),
            ["null", "B", record("C", "null", "null", {"type": "fixed", "name": "F", "size": 0})],
            "B",
        )
    )
    assert Sizes(schema).weight(schema.root) == 1 + 2 + (4 - 1) + 2
    assert Sizes(schema).smallest(schema.root) == 1 + 1 + 1
    tree = parsed(record("T", ["null", "T"], "null", {"type": "array", "items": "T"}))
    assert (Sizes(tree).weight(tree.root), Sizes(tree).own_weight(tree.root)) == (0, 2)


# -- what a hostile file may cost -----------------------------------------------------------------

HOSTILE = {
    "records that name the one below twice": "read(shared(30), b'')",
    "an array of them": "read({'type': 'array', 'items': shared(12)}, long_bytes(10**6) + b'\\0')",
    "a list that holds them": "read(record('L', ['null', 'L'], shared(16)), b'\\2' * 50 + b'\\0')",
    "skipped ones": (
        "DatumReader(parsed(record('R', shared(30), 'int')),"
        " parsed(dict(record('R'), fields=[dict(name='f1', type='int')]))).one(b'\\2')"
    ),
    "a billion nulls": "read({'type': 'array', 'items': 'null'}, long_bytes(10**9) + b'\\0')",
    "wide records of nulls": (
        "read({'type': 'array', 'items': record('W', *['null'] * 1000)},"
        " long_bytes(10**6) + b'\\0')"
    ),
    "wide records of nulls and a byte": (
        "read({'type': 'array', 'items': record('W', 'boolean', *['null'] * 1000)},"
        " long_bytes(10**6) + bytes(10**6) + b'\\0')"
    ),
    "rows without bytes": "rows(file_of('null', (10**7, b'')))",
    "wide rows without bytes": "rows(file_of(record('W', *['null'] * 1000), (10**6, b'')))",
    "a map of nulls under one key": (
        "read({'type': 'map', 'values': 'null'}, (long_bytes(10**6) + b'\\0' * 10**6) * 3)"
    ),
    "a bomb of each codec": "[expect(bomb(codec)) for codec in CODECS]",
    "a header of a tebibyte": "rows(MAGIC + long_bytes(1) + long_bytes(2**40))",
    "a block of a tebibyte": "rows(file_of('null') + long_bytes(1) + long_bytes(2**40))",
    "nested arrays of empty arrays": "read(arrays(60, 'int'), long_bytes(10**6) + b'\\0' * 10**6)",
}


def shared(levels: int) -> Any:
    """Each level names the one below twice: 2**levels values."""
    node: Any = record("S0", "null", "null")
    for level in range(1, levels):
        node = record(f"S{level}", node, f"S{level - 1}")
    return node


def bomb(codec: str) -> bytes:
    size = 100 * 1024 * 1024
    zeros = bytes(1024 * 1024)
    if codec == "snappy":
        packed = b"\x80\x80\x80\x32" + codecs.compress(zeros, codec)[3:]  # says 100 MiB
    elif codec == "deflate":
        stream = zlib.compressobj(9, wbits=-15)
        packed = (
            b"".join(stream.compress(zeros) for _ in range(size // len(zeros))) + stream.flush()
        )
    elif codec == "null":
        packed = zeros * 65
    else:
        packed = codecs.compress(zeros * (size // len(zeros)), codec)
    return (
        file_header('"null"', codec, {}, SYNC)
        + long_bytes(1)
        + long_bytes(len(packed))
        + packed
        + SYNC
    )


def expect(file: bytes) -> None:
    with pytest.raises(CorruptContainer):
        for _ in Records(io.BytesIO(file)).blocks():
            pass


def _little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_data_costs_little_time_and_memory(name: str) -> None:
    """A child that may take MEMORY of address space says what it raised."""
    expression = HOSTILE[name]
    code = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
        from schema.test_limits import *
        try:
            {expression}
        except (CorruptDatum, CorruptContainer) as error:
            print("refused", type(error).__name__)
        else:
            print("read")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": ""},  # not the time of a tracer
        preexec_fn=_little_memory,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.strip() in ("refused CorruptDatum", "refused CorruptContainer", "read")
