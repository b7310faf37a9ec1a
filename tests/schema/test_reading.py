"""Reading Avro: equal to fastavro on what that writes, and one family of errors on everything
else."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from schema.test_plan import typed_values

from worker.core.errors import WorkerError
from worker.schema import DatumReader, parse_schema
from worker.schema.compat import check, problems
from worker.schema.container import MAGIC, read_records

CODECS = ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]
ROW = {
    "type": "record",
    "name": "Row",
    "fields": [{"name": "n", "type": "long"}, {"name": "s", "type": ["null", "string"]}],
}


def written(schema: Any, records: list[Any], codec: str = "null") -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, records, codec=codec, sync_interval=200)
    return file.getvalue()


@settings(deadline=None)
@given(st.data())
def test_records_of_any_schema_read_as_fastavro_wrote_them(data: st.DataObject) -> None:
    parts = [data.draw(typed_values()) for _ in range(data.draw(st.integers(1, 4)))]
    schema = {
        "type": "record",
        "name": "Root",
        "fields": [{"name": f"f{number}", "type": kind} for number, (kind, _) in enumerate(parts)],
    }
    try:
        parse_schema(json.dumps(schema))
    except WorkerError:
        reject()  # a name was drawn twice
    records = [
        {f"f{number}": data.draw(values) for number, (_, values) in enumerate(parts)}
        for _ in range(3)
    ]
    file = written(schema, records)
    assert list(read_records(io.BytesIO(file))) == list(fastavro.reader(io.BytesIO(file)))


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec(codec: str) -> None:
    if codec == "snappy":
        pytest.importorskip("cramjam")
    records = [{"n": number, "s": None if number % 3 else "x" * number} for number in range(300)]
    assert list(read_records(io.BytesIO(written(ROW, records, codec)))) == records


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(["null", "deflate", "zstandard", "bzip2", "xz"]), st.data())
def test_damage_is_one_family_of_errors(codec: str, data: st.DataObject) -> None:
    file = bytearray(written(ROW, [{"n": number, "s": "text"} for number in range(50)], codec))
    for _ in range(data.draw(st.integers(1, 4))):
        file[data.draw(st.integers(0, len(file) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(file)))
    try:
        for _ in read_records(io.BytesIO(bytes(file[: cut or len(file)]))):
            pass
    except WorkerError:
        pass


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_behind_the_magic_are_a_named_error(data: bytes) -> None:
    with pytest.raises(WorkerError):
        list(read_records(io.BytesIO(MAGIC + data)))


BOMBS = [
    (
        {
            "type": "record",
            "name": "A",
            "fields": [{"name": "x", "type": {"type": "array", "items": "null"}}],
        },
        b"\xfe\xff\xff\xff\x0f",
    ),
    (
        {"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]},
        b"\x02" * 100_000,
    ),
    (
        {"type": "record", "name": "B", "fields": [{"name": "x", "type": "bytes"}]},
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ),
    (
        {
            "type": "record",
            "name": "E",
            "fields": [{"name": "x", "type": {"type": "enum", "name": "F", "symbols": ["A"]}}],
        },
        b"\x01",
    ),
    ({"type": "record", "name": "U", "fields": [{"name": "x", "type": ["null", "int"]}]}, b"\x01"),
    ({"type": "record", "name": "V", "fields": [{"name": "x", "type": "long"}]}, b"\xff" * 11),
    ({"type": "record", "name": "S", "fields": [{"name": "x", "type": "string"}]}, b"\x02\xff"),
    ({"type": "record", "name": "T", "fields": [{"name": "x", "type": "boolean"}]}, b"\x02"),
]


@pytest.mark.parametrize(("schema", "data"), BOMBS)
def test_hostile_datums_are_refused(schema: Any, data: bytes) -> None:
    with pytest.raises(WorkerError):
        DatumReader(parse_schema(json.dumps(schema))).one(data)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from([schema for schema, _ in BOMBS]), st.binary(max_size=60))
def test_any_datum_is_read_or_refused(schema: Any, data: bytes) -> None:
    with contextlib.suppress(WorkerError):
        DatumReader(parse_schema(json.dumps(schema))).one(data)


def record(*fields: tuple[str, Any] | tuple[str, Any, Any]) -> Any:
    made = [
        {"name": each[0], "type": each[1], **({"default": each[2]} if len(each) == 3 else {})}
        for each in fields
    ]
    return parse_schema(json.dumps({"type": "record", "name": "R", "fields": made}))


@pytest.mark.parametrize(
    ("writer", "reader", "reads"),
    [
        (record(("a", "int")), record(("a", "long")), True),
        (record(("a", "long")), record(("a", "int")), False),
        (record(("a", "int")), record(("a", "double")), True),
        (record(("a", "string")), record(("a", "bytes")), True),
        (record(("a", "int")), record(("a", "int"), ("b", "int")), False),
        (record(("a", "int")), record(("a", "int"), ("b", "int", 3)), True),
        (record(("a", "int"), ("b", "int")), record(("a", "int")), True),
        (record(("a", "int")), record(("a", ["null", "int"])), True),
        (record(("a", "int")), record(("a", "string")), False),
        (
            record(("a", {"type": "enum", "name": "E", "symbols": ["A", "B"]})),
            record(("a", {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"})),
            True,
        ),
        (
            record(("a", {"type": "enum", "name": "E", "symbols": ["A", "B"]})),
            record(("a", {"type": "enum", "name": "E", "symbols": ["A"]})),
            False,
        ),
        (
            record(("a", {"type": "fixed", "name": "F", "size": 2})),
            record(("a", {"type": "fixed", "name": "F", "size": 3})),
            False,
        ),
    ],
)
def test_compatibility(writer: Any, reader: Any, reads: bool) -> None:
    found = problems(writer, reader)
    assert (found == []) is reads, found
    assert (check(reader, [writer], "BACKWARD") == []) is reads
    assert (check(writer, [reader], "FORWARD") == []) is reads


def test_values_are_promoted_and_defaults_filled() -> None:
    writer, reader = (
        record(("a", "int"), ("gone", "string")),
        record(("b", ["null", "string"], None), ("a", "double")),
    )
    file = io.BytesIO()
    fastavro.schemaless_writer(file, writer.document, {"a": 5, "gone": "x"})
    found = DatumReader(writer, reader).one(file.getvalue())
    assert found == {"b": None, "a": 5.0} and isinstance(found["a"], float)


def test_a_long_in_a_union_behind_float_stays_a_long() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": ["float", "long"]}]}
    file = written(schema, [{"x": ("long", 2**60 + 1)}])
    found = [row["x"] for row in read_records(io.BytesIO(file))]
    assert found == [2**60 + 1] and isinstance(found[0], int)
