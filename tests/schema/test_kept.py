"""Fields that the schema lacks are kept as JSON text, exactly as they were received, and nothing
that was received is lost."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest
from avro_kit import container, datum
from formats.test_avro_pages import exhausted
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.model import Decoded
from worker.core.ports import InvalidRecord
from worker.formats import avro
from worker.formats.avro import AvroPages, AvroSpec
from worker.formats.component import DecodeDeps
from worker.formats.json import JsonPages
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.formats.writers import WriterSchemas
from worker.schema import CompiledPlan, SchemaError, compile_plan, parse_schema
from worker.schema.kept import with_field
from worker.schema.single import header

PART = {
    "type": "record",
    "name": "Part",
    "fields": [
        {"name": "n", "type": "long"},
        {"name": "more", "type": ["null", "Part"], "default": None},
    ],
}
LEFT, RIGHT = (
    {"type": "record", "name": name, "fields": [{"name": field, "type": "long"}]}
    for name, field in (("Left", "left"), ("Right", "right"))
)
SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long", "json_name": "item-id"},
        {"name": "part", "type": ["null", PART]},
        {"name": "parts", "type": {"type": "array", "items": "Part"}, "default": []},
        {"name": "by", "type": {"type": "map", "values": "Part"}, "default": {}},
        {"name": "either", "type": ["null", LEFT, RIGHT, {"type": "array", "items": "Part"}]},
        {"name": "grid", "type": {"type": "array", "items": {"type": "array", "items": "long"}}, "default": []},
    ],
}  # fmt: skip


def plan_of(document: Any, **options: Any) -> CompiledPlan:
    schema = with_field(parse_schema(json.dumps(document)), "_rest")
    return compile_plan(schema, unknown_fields="keep", kept="_rest", **options)


PLAN = plan_of(SCHEMA)
PAGES = JsonPages(PageSpec(), PLAN)


def kept(plan: CompiledPlan, records: list[Any]) -> list[Any]:
    """What a reader finds in the field."""
    data = io.BytesIO(plan.encode(records))
    schema = fastavro.parse_schema(json.loads(plan.schema_json))
    return [fastavro.schemaless_reader(data, schema, None)["_rest"] for _ in records]  # type: ignore[index,call-overload]


def rest(raw: bytes, plan: CompiledPlan = PLAN) -> Any:
    """What is kept of a record on each way that a record may take."""
    ways = [
        exhausted(JsonPages(PageSpec(), plan).decode(b"[%s]" % raw)).records,
        exhausted(JsonPages(PageSpec(records="a"), plan).decode(b'{"a": [ %s ]}' % raw)).records,
        exhausted(NdjsonPages(PageSpec(), plan).decode(b" %s\n" % raw)).records,
        [plan.one(raw)],
    ]
    [found] = {kept(plan, records)[0] for records in ways}
    return found


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ("", None),
        (', "x": 1', '{"x":1}'),
        (', "x": null', '{"x":null}'),
        (', "x": 1.50e300, "a": 12345678901234567890.10', '{"x":1.50e300,"a":12345678901234567890.10}'),
        (r', "b": "\u00e9\/é"', r'{"b":"\u00e9\/é"}'),
        (', "b": {"y" : [1,  2]}', '{"b":{"y" : [1,  2]}}'),
        (r', "\u00e9\"": 1', r'{"é\"":1}'),
        (', "_rest": "x"', '{"_rest":"x"}'),
        (', "_rest": {"a": 1}', '{"_rest":{"a": 1}}'),
        (', "\ufdd0kept": "x"', '{"\ufdd0kept":"x"}'),
        (', "id": 5', '{"id":5}'),
        (', "part": null, "parts": []', None),
        (', "part": {"n": 1, "z": 2}', '{"part":{"z":2}}'),
        (', "part": {"n": 1, "more": {"n": 2, "q": {}}, "z": 2}', '{"part":{"more":{"q":{}},"z":2}}'),
        (', "parts": [{"n": 1}, {"n": 2, "z": 0}]', '{"parts":{"1":{"z":0}}}'),
        (', "by": {"k": {"n": 1}, "é": {"n": 2, "z": 0}}', '{"by":{"é":{"z":0}}}'),
        (', "either": {"left": 1, "z": 2}', '{"either":{"z":2}}'),
        (', "either": {"right": 1, "lefty": 2}', '{"either":{"lefty":2}}'),
        (', "either": [{"n": 1, "z": 2}]', '{"either":{"0":{"z":2}}}'),
        (', "either": null, "grid": [[1], []]', None),
    ],
)  # fmt: skip
def test_what_the_schema_lacks_is_kept_as_it_was_received(more: str, text: Any) -> None:
    assert rest(b'{"item-id": 7%s}' % more.encode()) == text


def test_a_number_that_no_float_holds_is_kept() -> None:
    found = exhausted(PAGES.decode(b'[{"item-id": 7, "x": 1e400}]'))
    assert kept(PLAN, found.records) == ['{"x":1e400}']


def test_a_value_that_names_its_branch_is_kept_below_that_name() -> None:
    plan = plan_of(SCHEMA, tagged=True)
    raw = b'{"item-id": 7, "part": {"Part": {"n": 1, "more": null, "z": 2}}, "either": {"Right": {"right": 1, "q": 3}}}'
    assert rest(raw, plan) == '{"part":{"Part":{"z":2}},"either":{"Right":{"q":3}}}'


def test_a_path_into_the_page_that_is_no_key_keeps_the_same() -> None:
    pages = JsonPages(PageSpec(records="a[?@]"), PLAN)
    page = b'{"a": [{"item-id": 7, "x": 1.10, "y": 123456789012345678901234567890}]}'
    found = exhausted(pages.decode(page))
    assert kept(PLAN, found.records) == ['{"x":1.10,"y":123456789012345678901234567890}']


def test_a_record_whose_number_is_read_again_from_its_text_keeps_its_rest() -> None:
    money = {"type": "bytes", "logicalType": "decimal", "precision": 22, "scale": 2}
    plan = plan_of({"type": "record", "name": "Item", "fields": [{"name": "price", "type": money}]})
    raw = b'{"price": 12345678901234567890.12, "x": 1}'
    assert rest(raw, plan) == '{"x":1}'


@pytest.mark.parametrize(
    "raw",
    [
        b'{"item-id": 7, "x": "\xff"}',
        b'{"item-id": 7, "\\ud800": 1}',
        b'{"item-id": 7, "x": "\\ud800"}',
        b'{"item-id": 7, "part": {"n": 1, "x": "\xff"}}',
        b'{"item-id": 7, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"item-id": 7, "part": 5}',
        b'{"item-id": 7, "parts": {"n": 1}}',
        b'{"item-id": 7, "either": {"left": 1, "right": 2}}',
        '{"\ufdd0kept": 5, "item-id": 7}'.encode(),
        b"[]",
        b"7",
    ],
    ids=lambda raw: str(raw[:40]),
)
def test_a_record_that_cannot_be_kept_is_a_reject(raw: bytes) -> None:
    found = exhausted(NdjsonPages(PageSpec(), PLAN).decode(b'{"item-id": 1}\n' + raw + b"\n"))
    assert len(found.records) == len(found.rejects) == 1
    with pytest.raises(InvalidRecord):
        PLAN.one(raw)


keys = st.sampled_from(["n", "more", "item-id", "id", "part", "x", "", "é", "_rest"])
values = st.recursive(
    st.none() | st.integers() | st.text('aé"\\\n', max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=4,
)
parts = st.deferred(
    lambda: st.tuples(
        st.fixed_dictionaries({"n": st.integers(0, 9)}, optional={"more": st.none() | parts}),
        st.dictionaries(keys, values, max_size=2),
    ).map(lambda each: {**each[1], **each[0], "more": each[0].get("more")})
)
items = st.tuples(
    st.fixed_dictionaries(
        {"item-id": st.integers(0, 9)},
        optional={
            "part": st.none() | parts,
            "parts": st.lists(parts, max_size=3),
            "by": st.dictionaries(keys, parts, max_size=2),
            "either": st.none() | st.lists(parts, max_size=2),
        },
    ),
    st.dictionaries(keys.filter(lambda key: key != "part"), values, max_size=3),
).map(lambda each: {**each[1], **each[0]})


def left(kind: Any, value: Any) -> Any:
    """What a slow definition says is left of a value; None where that is nothing."""
    if kind == "Part":
        kind = PART
    if isinstance(kind, list):
        names = ("array",) if isinstance(value, list) else ("record", "map")
        fitting = [
            each
            for each in kind
            if each == "Part" or (isinstance(each, dict) and each["type"] in names)
        ]
        return None if value is None or not fitting else left(fitting[0], value)
    if not isinstance(kind, dict):
        return None
    if kind["type"] == "record":
        known = {each.get("json_name", each["name"]): each["type"] for each in kind["fields"]}
        found = {
            key: left(known[key], each) if key in known else (each,) for key, each in value.items()
        }
        return {
            key: each[0] if isinstance(each, tuple) else each
            for key, each in found.items()
            if each is not None
        } or None
    inner, entries = (
        (kind["items"], enumerate(value))
        if kind["type"] == "array"
        else (kind["values"], value.items())
    )
    return {
        str(key): each for key, one in entries if (each := left(inner, one)) is not None
    } or None


@settings(max_examples=400, deadline=None)
@given(items)
def test_what_is_kept_is_what_a_slow_definition_says(item: Any) -> None:
    text = rest(json.dumps(item, ensure_ascii=False).encode())
    expected = left(SCHEMA, item)
    assert (None if text is None else json.loads(text)) == expected
    if text is not None:
        assert list(json.loads(text)) == list(expected)


# -- the field ----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["fill", "reject"])
@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("kind", [["null", "string"], ["string", "null"]])
def test_a_nullable_string_that_is_there_is_taken(kind: Any, missing: str, tagged: bool) -> None:
    fields = [{"name": "_rest", "type": kind}, {"name": "id", "type": "long"}]
    document = {"type": "record", "name": "Item", "fields": fields}
    plan = plan_of(document, missing_fields=missing, tagged=tagged)
    assert rest(b'{"id": 1, "_rest": "mine", "x": 2}', plan) == '{"_rest":"mine","x":2}'
    assert rest(b'{"id": 1}', plan) is None


@pytest.mark.parametrize(
    "kind",
    [
        "string",
        "long",
        ["null", "long"],
        ["null", "string", "long"],
        ["null", {"type": "string", "logicalType": "uuid"}],
        ["null", {"type": "enum", "name": "E", "symbols": ["a"]}],
    ],
)
def test_a_field_of_another_type_is_refused(kind: Any) -> None:
    schema = parse_schema(
        json.dumps({"type": "record", "name": "R", "fields": [{"name": "_rest", "type": kind}]})
    )
    with pytest.raises(SchemaError, match="no nullable string"):
        with_field(schema, "_rest")


def test_a_schema_whose_record_stands_in_a_type_of_its_own_gets_the_field() -> None:
    inner = {"type": "record", "name": "R", "fields": []}
    schema = with_field(parse_schema(json.dumps({"type": inner})), "more")
    assert [each.name for each in schema.root.fields] == ["more"]


def test_the_root_may_hold_itself() -> None:
    fields = [{"name": "id", "type": "long"}, {"name": "of", "type": ["null", "Tree"]}]
    plan = plan_of({"type": "record", "name": "Tree", "fields": fields})
    raw = b'{"id": 1, "of": {"id": 2, "_rest": 3, "of": null}, "x": 4}'
    assert rest(raw, plan) == '{"of":{"_rest":3},"x":4}'


# -- Avro ---------------------------------------------------------------------------------------

WRITER = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "first", "type": "double"},
        {"name": "id", "type": "int"},
        {"name": "part", "type": ["null", {**PART, "fields": [*PART["fields"], {"name": "z", "type": ["null", "bytes"]}]}]},
        {"name": "parts", "type": {"type": "array", "items": "Part"}},
        {"name": "_rest", "type": "int"},
        {"name": "when", "type": {"type": "int", "logicalType": "date"}},
    ],
}  # fmt: skip
READER = {**SCHEMA, "fields": SCHEMA["fields"][:3]}  # type: ignore[index]
NO_PART = {"n": 1, "more": None, "z": None}


def avro_page(plan: CompiledPlan, *records: Any) -> Decoded:
    return exhausted(
        AvroPages(AvroSpec("container", RecordSpec()), plan).decode(container(WRITER, records))
    )


def test_what_the_writer_of_avro_has_too_many_is_kept_and_replayed() -> None:
    rows = [
        {
            "first": 0.5,
            "id": number,
            "part": {**NO_PART, "more": {**NO_PART, "z": b"\xff"}},
            "parts": [NO_PART, {**NO_PART, "z": b"a"}],
            "_rest": 9,
            "when": 19_000,
        }
        for number in range(3)
    ]
    plan = plan_of(READER)
    found = avro_page(plan, *rows)
    assert found.rejects == []
    expected = {
        "first": 0.5,
        "part": {"more": {"z": "\xff"}, "z": None},
        "parts": {"0": {"z": None}, "1": {"z": "a"}},
        "_rest": 9,
        "when": 19_000,
    }
    texts = kept(plan, found.records)
    assert [json.loads(text) for text in texts] == [expected] * 3
    assert list(json.loads(texts[0])) == list(expected)
    replayed = [plan.one(found.raw(place)) for place in range(3)]
    assert plan.encode(replayed) == plan.encode(found.records)


def test_single_objects_of_the_schema_of_the_pipeline_are_read_and_replayed() -> None:
    document = {"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]}
    plan = plan_of(document)
    deps = DecodeDeps(PageSpec(), plan, "latin1", 1_000, 10.0, WriterSchemas())
    pages = avro.pages(avro.Decode(type="avro", framing="single_object"), deps)
    base = parse_schema(json.dumps(document))
    body = header(base) + datum(document, {"id": 7})
    found = exhausted(pages.decode(body))
    assert kept(plan, found.records) == [None]
    assert plan.encode([plan.one(found.raw(0))]) == plan.encode(found.records)


def test_a_writer_that_has_nothing_more_leaves_null() -> None:
    narrow = {**WRITER, "fields": [{"name": "id", "type": "int"}]}
    plan = plan_of({"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]})
    body = container(narrow, [{"id": 1}])
    found = exhausted(AvroPages(AvroSpec("container", RecordSpec()), plan).decode(body))
    assert kept(plan, found.records) == [None]
    assert plan.encode([plan.one(found.raw(0))]) == plan.encode(found.records)
