"""The compiled plan against fastavro, over random schemas and data; and the rules for JSON values
as a table."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.ports import InvalidRecord
from worker.schema import SchemaError, compile_plan, parse_schema
from worker.schema.canonical import crc64
from worker.schema.container import ContainerReader, file_header, frame_block, read_records
from worker.schema.errors import CorruptContainer
from worker.schema.values import Branch

SCALARS: dict[str, Any] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": st.text(max_size=30),
}


@st.composite
def typed_values(draw: Any, depth: int = 0) -> tuple[Any, Any]:
    """(schema, strategy of its values)."""
    kinds = [*SCALARS, "enum", "nullable", *(["array", "map", "record"] if depth < 2 else [])]
    kind = draw(st.sampled_from(kinds))
    if kind in SCALARS:
        return kind, SCALARS[kind]
    if kind == "enum":
        return {
            "type": "enum",
            "name": f"E{draw(st.integers(0, 10**9))}",
            "symbols": ["A", "B", "C"],
        }, st.sampled_from("ABC")
    if kind == "nullable":
        inner, values = draw(typed_values(2).filter(lambda found: not isinstance(found[0], list)))
        return (["null", inner] if draw(st.booleans()) else [inner, "null"]), st.none() | values
    if kind == "record":
        parts = [draw(typed_values(depth + 1)) for _ in range(draw(st.integers(1, 3)))]
        fields = [{"name": f"g{number}", "type": part} for number, (part, _) in enumerate(parts)]
        return {
            "type": "record",
            "name": f"R{draw(st.integers(0, 10**9))}",
            "fields": fields,
        }, st.fixed_dictionaries({f"g{number}": values for number, (_, values) in enumerate(parts)})
    inner, values = draw(typed_values(depth + 1))
    if kind == "array":
        return {"type": "array", "items": inner}, st.lists(values, max_size=3)
    return {"type": "map", "values": inner}, st.dictionaries(
        st.text(max_size=4), values, max_size=3
    )


@given(st.data())
def test_encoded_bytes_are_fastavros(data: Any) -> None:
    parts = [data.draw(typed_values()) for _ in range(data.draw(st.integers(1, 5)))]
    fields = [{"name": f"f{number}", "type": part} for number, (part, _) in enumerate(parts)]
    schema = {"type": "record", "name": "Root", "fields": fields}
    record = {f"f{number}": data.draw(values) for number, (_, values) in enumerate(parts)}
    try:
        plan = compile_plan(parse_schema(json.dumps(schema)))
    except SchemaError as error:
        assert "defined already" in str(error)  # two random names met
        return
    raw = json.dumps(record).encode()
    page = msgspec.json.decode(b"[" + raw + b"]", type=list[plan.record_type])
    assert plan.finish(page) == []
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, fastavro.parse_schema(schema), record)
    assert plan.encode(page) == expected.getvalue()
    assert plan.encode([plan.one(raw)]) == expected.getvalue()


def one_field(kind: Any, **options: Any) -> Any:
    return compile_plan(
        parse_schema(
            json.dumps(
                {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind, **options}]}
            )
        )
    )


EDGES = [
    sign * ((1 << bits) + near)
    for bits in (0, *range(6, 63))
    for near in (-1, 0, 1)
    for sign in (1, -1)
] + [2**63 - 1, -(2**63)]


@pytest.mark.parametrize(
    "kind",
    [
        "long",
        ["null", "long"],
        ["long", "null"],
        ["long"],
        {"type": "array", "items": ["null", "long"]},
        {"type": "map", "values": "long"},
    ],
)
def test_whole_numbers_of_every_length_are_fastavros(kind: Any) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]}
    wrap = {"array": lambda value: [value, 0], "map": lambda value: {"k": value}}.get(
        kind["type"] if isinstance(kind, dict) else "", lambda value: value
    )
    records = [
        {"a": wrap(value)}
        for value in (
            *EDGES,
            *([None] if "null" in json.dumps(kind) and isinstance(kind, list) else []),
        )
    ]
    plan = one_field(kind)
    page = msgspec.json.decode(json.dumps(records), type=list[plan.record_type])
    expected = io.BytesIO()
    for record in records:
        fastavro.schemaless_writer(expected, fastavro.parse_schema(schema), record)
    assert plan.finish(page) == []
    assert plan.encode(page) == expected.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        "string",
        ["null", "string"],
        {"type": "array", "items": "string"},
        {"type": "map", "values": ["string", "null"]},
    ],
)
def test_texts_are_fastavros_whether_they_repeat_or_not(kind: Any) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]}
    shape = kind["type"] if isinstance(kind, dict) else ""
    wrap = {"array": lambda text: [text, "x"], "map": lambda text: {"k": text, text: "x"}}.get(
        shape, lambda text: text
    )
    long = ["", "ü" * 40, "é" * 4_095, "é" * 4_096 + "x", "y" * 70_000]
    plan, parsed = one_field(kind), fastavro.parse_schema(schema)
    for page in range(24):
        texts = [f"{page}-{number}" for number in range(1_000)] if page < 22 else ["same"] * 1_000
        records = [{"a": wrap(text)} for text in (*texts, *long)]
        expected = io.BytesIO()
        for record in records:
            fastavro.schemaless_writer(expected, parsed, record)
        typed = msgspec.json.decode(json.dumps(records), type=list[plan.record_type])
        assert plan.finish(typed) == []
        assert plan.encode(typed) == expected.getvalue()


@pytest.mark.parametrize(
    "kind", [{"type": "array", "items": "double"}, {"type": "map", "values": ["null", "float"]}]
)
def test_values_that_are_equal_but_not_the_same_keep_their_bytes(kind: Any) -> None:
    plan = one_field(kind)
    wrap = (lambda value: [value]) if kind["type"] == "array" else (lambda value: {"k": value})
    records = [{"a": wrap(value)} for value in (0.0, -0.0)]
    page = msgspec.json.decode(json.dumps(records), type=list[plan.record_type])
    assert plan.finish(page) == []
    assert plan.encode(page[:1]) != plan.encode(page[1:])


def test_a_record_of_a_union_is_what_the_schema_says_on_later_pages_too() -> None:
    measured = {
        "type": "record",
        "name": "M",
        "fields": [
            {"name": "x", "type": "double"},
            {"name": "xs", "type": {"type": "array", "items": "double"}},
        ],
    }
    named = {"type": "record", "name": "N", "fields": [{"name": "name", "type": "string"}]}
    plan = one_field(["null", measured, named])
    for _ in range(3):  # from the second page on the keys of such an object are known
        raw = (
            b'[{"a": {"x": 5, "xs": [1], "more": {"secret": 1}}}, {"a": {"name": "y", "more": 2}}]'
        )
        page = msgspec.json.decode(raw, type=list[plan.record_type])
        assert plan.finish(page) == []
        assert (
            repr([record.f0.value for record in page]) == "[{'x': 5.0, 'xs': [1.0]}, {'name': 'y'}]"
        )


@pytest.mark.parametrize(
    ("kind", "value"), [("double", 0.0), ("float", 0.0), (["null", "double"], 0.0), ("long", 0)]
)
def test_a_default_is_a_value_of_its_type(kind: Any, value: Any) -> None:
    plan = one_field(kind, default=0)
    assert repr(plan.one(b"{}").f0) == repr(value)
    assert repr(msgspec.json.decode(b"{}", type=plan.record_type).f0) == repr(value)


MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}


@pytest.mark.parametrize(
    ("kind", "value", "datum"),
    [
        (MILLIS, "2024-01-01T00:00:00Z", 1704067200000),
        (MILLIS, "2024-01-01T01:00:00.25+01:00", 1704067200250),
        (MILLIS, 5, 5),
        ({"type": "int", "logicalType": "date"}, "1970-01-02", 1),
        ({"type": "int", "logicalType": "time-millis"}, "00:00:01.5", 1500),
        (["null", MILLIS], None, None),
        ("bytes", "\u00ff\u0000", b"\xff\x00"),
        (
            {"type": "string", "logicalType": "uuid"},
            "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        ),
        ("double", 3, 3.0),
        (["null", "string", "long"], 7, 7),
        (["null", {"type": "enum", "name": "E", "symbols": ["X"]}, "string"], "X", "X"),
    ],
)
def test_values_that_are_taken(kind: Any, value: Any, datum: Any) -> None:
    plan = one_field(kind)
    found = plan.one(json.dumps({"a": value}).encode()).f0
    assert (found.value if isinstance(found, Branch) else found) == datum


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("int", "2147483648"),
        ("int", "1.0"),
        ("int", "true"),
        ("long", "9223372036854775808"),
        ("long", '"5"'),
        ("float", "1e39"),
        ("double", "NaN"),
        ("double", "1e400"),
        ("boolean", "1"),
        ("string", "null"),
        ("string", '"\\ud800"'),
        ("bytes", '"\\u0100"'),
        (MILLIS, '"2024-01-01T00:00:00"'),
        (MILLIS, '"yesterday"'),
        (MILLIS, "1.5"),
        (DECIMAL, '"1.234"'),
        (DECIMAL, '"12345.00"'),
        (DECIMAL, '"NaN"'),
        ({"type": "fixed", "name": "F", "size": 2}, '"abc"'),
        ({"type": "enum", "name": "E", "symbols": ["X"]}, '"Y"'),
        (["null", "string", "long"], "1.5"),
    ],
)
def test_values_that_are_refused(kind: Any, raw: str) -> None:
    with pytest.raises(InvalidRecord):
        one_field(kind).one(b'{"a": ' + raw.encode() + b"}")


def test_an_object_that_fits_several_branches_is_ambiguous() -> None:
    branch = [
        {"type": "record", "name": name, "fields": [{"name": "x", "type": "int"}]}
        for name in ("A", "B")
    ]
    with pytest.raises(InvalidRecord) as invalid:
        one_field(branch).one(b'{"a": {"x": 1}}')
    assert "ambiguous" in invalid.value.errors[0].found


def test_all_wrong_fields_are_named_without_their_content() -> None:
    fields = [{"name": name, "type": "int"} for name in "abc"]
    plan = compile_plan(parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields})))
    with pytest.raises(InvalidRecord) as invalid:
        plan.one(b'{"a": "hunter2", "b": 1}')
    assert [error.path for error in invalid.value.errors] == ["$.a", "$.c"]
    assert "hunter2" not in str(invalid.value.errors)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ('{"type": "record", "name": "1R", "fields": []}', "$.name"),
        (
            (
                '{"type": "record", "name": "R", "fields":'
                ' [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}'
            ),
            "$.fields[1].name",
        ),
        ('["int", "int"]', "$[1]"),
        ('["int", ["null"]]', "$[1]"),
        (
            (
                '{"type": "record", "name": "R", "fields":'
                ' [{"name": "a", "type": "int", "default": "x"}]}'
            ),
            "$.fields[0].default",
        ),
        (
            '{"type": "record", "name": "R", "fields": [{"name": "a", "type": "Unknown"}]}',
            "$.fields[0].type",
        ),
        ('{"type": "enum", "name": "E", "symbols": ["A", "A"]}', "$.symbols"),
        ('{"type": "fixed", "name": "F"}', "$.size"),
        ("{", "$"),
        ('{"type": "int", "type": "int"}', "$"),
    ],
)
def test_schemas_that_are_none(schema: str, path: str) -> None:
    with pytest.raises(SchemaError) as error:
        parse_schema(schema)
    assert error.value.path == path


def test_fingerprints_of_the_specification() -> None:
    """CRC-64-AVRO of primitive schemas, from the test data of the Apache project."""
    assert crc64(b'"int"') == 0x7275D51A3F395C8F
    assert crc64(b'"string"') == 0x8F014872634503C7


@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), cut=st.integers(1, 400))
def test_containers_are_read_by_fastavro_and_a_cut_one_is_noticed(
    codec: str, numbers: list[int], cut: int
) -> None:
    plan = one_field("long")
    data = plan.encode([plan.one(json.dumps({"a": number}).encode()) for number in numbers])
    sync = b"s" * 16
    whole = file_header(plan.schema_json, codec, {"worker.seq": b"1"}, sync) + frame_block(
        len(numbers), data, codec, sync
    )
    assert [record["a"] for record in fastavro.reader(io.BytesIO(whole))] == numbers
    assert [record["a"] for record in read_records(io.BytesIO(whole))] == numbers
    assert [rows for rows, _ in ContainerReader(io.BytesIO(whole)).blocks()] == [len(numbers)]
    header = len(file_header(plan.schema_json, codec, {"worker.seq": b"1"}, sync))
    short = whole[: max(len(whole) - cut, header + 1)]
    if len(short) < len(whole):
        with pytest.raises(CorruptContainer):
            list(read_records(io.BytesIO(short)))
