"""Schemas that are proposed for records accept these records."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.schema import SchemaError, compile_plan, parse_schema
from worker.schema.infer import ENUM_RECORDS, Inference, Surplus
from worker.schema.map_keys import MAP_KEYS

TEXTS = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        [
            "A",
            "B",
            "open",
            "2024-05-06",
            "2024-05-06T07:08:09Z",
            "2024-05-06T07:08:09.123456+02:00",
            "2024-05-06 07:08:09",
            "07:08:09.5",
            "",
        ]
    ),
    st.uuids().map(str),
    st.datetimes().map(lambda at: at.isoformat()),
    st.dates().map(str),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        TEXTS,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)
RECORDS = st.lists(
    st.dictionaries(st.one_of(st.sampled_from("abc"), st.text(max_size=6)), VALUES, max_size=6),
    min_size=1,
    max_size=8,
)


def proposed(records: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
    inference = Inference()
    for record in records:
        inference.observe(record)
    return inference.proposal(**options)


def accepts(document: dict[str, Any], records: list[dict[str, Any]]) -> None:
    plan = compile_plan(parse_schema(json.dumps(document)))
    for record in records:
        plan.encode([plan.one(json.dumps(record).encode())])


@given(RECORDS)
def test_a_proposal_accepts_what_it_was_made_from(records: list[dict[str, Any]]) -> None:
    accepts(proposed(records), records)


@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_of_the_records_does_not_matter(
    records: list[dict[str, Any]], shuffle: random.Random
) -> None:
    others = list(records)
    shuffle.shuffle(others)
    assert proposed(others) == proposed(records)


def kind_of(values: list[Any]) -> Any:
    """The type that is proposed for a field with these values."""
    document = proposed([{"x": value} for value in values])
    accepts(document, [{"x": value} for value in values])
    return document["fields"][0]["type"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "long"),
        ([1, 2.5], "double"),
        ([1, 2**64 - 1], {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0}),
        (
            [-(10**30), None],
            ["null", {"type": "bytes", "logicalType": "decimal", "precision": 31, "scale": 0}],
        ),
        (
            [{f"k{number}": 2**64} for number in range(MAP_KEYS)],
            {
                "type": "map",
                "values": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 0},
            },
        ),
        ([0.5, 2**64], "double"),
        ([True], "boolean"),
        ([None], ["null", "string"]),
        ([1, None], ["null", "long"]),
        ([1, "a"], ["long", "string"]),
        (["2024-05-06", "2024-05-07"], {"type": "int", "logicalType": "date"}),
        (
            ["2024-05-06T07:08:09Z", "2024-05-06T07:08:09.12+02:00"],
            {"type": "long", "logicalType": "timestamp-millis"},
        ),
        (
            ["2024-05-06T07:08:09Z", "2024-05-06T07:08:09.123456Z"],
            {"type": "long", "logicalType": "timestamp-micros"},
        ),
        (["2024-05-06T07:08:09.123456789Z"], {"type": "long", "logicalType": "timestamp-nanos"}),
        (["2024-05-06T07:08:09"], {"type": "long", "logicalType": "local-timestamp-millis"}),
        (["2024-05-06T07:08:09", "2024-05-06T07:08:09Z"], "string"),
        (["2024-05-06", "soon"], "string"),
        (["07:08:09.5"], {"type": "int", "logicalType": "time-millis"}),
        (["12.50", "3"], "string"),
        (["b8a7f5f0-6d3c-4c9b-9a0e-0d7a2a8f4a11"], {"type": "string", "logicalType": "uuid"}),
        ([[], [1]], {"type": "array", "items": "long"}),
        ([[1, None]], {"type": "array", "items": ["null", "long"]}),
        ([["a"], 5], ["long", {"type": "array", "items": "string"}]),
    ],
)
def test_the_type_of_values(values: list[Any], kind: Any) -> None:
    assert kind_of(values) == kind


def test_symbols_that_repeat_are_an_enum_where_that_is_asked_for() -> None:
    states = ["open", "closed", "late"] * ENUM_RECORDS

    def asked_for(values: list[str]) -> Any:
        document = proposed([{"x": value} for value in values], enums=True)
        return document["fields"][0]["type"]

    assert asked_for(states) == {
        "type": "enum",
        "name": "RecordX",
        "symbols": ["closed", "late", "open"],
    }
    assert asked_for(states[:20]) == "string"
    assert asked_for([*states, "not a symbol"]) == "string"
    assert kind_of(states) == "string"


def test_objects_that_stand_alone_or_in_arrays_are_of_one_type() -> None:
    values = [{"a": 1}, [{"a": 2, "b": "x"}, None], "none", [], None]
    record = {
        "type": "record",
        "name": "RecordX",
        "fields": [
            {"name": "a", "type": "long", "doc": "2 seen"},
            {
                "name": "b",
                "type": ["null", "string"],
                "default": None,
                "doc": "1 seen, absent 1 times",
            },
        ],
    }
    many = {"type": "array", "items": ["null", "RecordX"]}
    assert kind_of(values) == ["null", "string", record, many]
    accepts(proposed([{"x": each} for each in values]), [{"x": {"a": 1, "b": "y"}}])
    by_data = [{"1": 1}, [{"2": 2}]]
    assert [each["type"] for each in kind_of(by_data)] == ["array", "map"]


def test_names_that_avro_forbids_keep_theirs_in_json() -> None:
    records = [{"@odata.etag": "x", "a.b": 1, "a-b": 2, "9": 3, "": 4, "größe": 5}]
    document = proposed(records, name="order line", namespace="shop")
    accepts(document, records)
    assert (document["name"], document["namespace"]) == ("OrderLine", "shop")
    assert {each.get("json_name", each["name"]) for each in document["fields"]} == set(records[0])


def test_what_is_absent_somewhere_is_nullable() -> None:
    document = proposed([{"a": 1, "b": 1}, {"a": 2}])
    a, b = document["fields"]
    assert (a["type"], b["type"], b["default"]) == ("long", ["null", "long"], None)
    assert b["doc"] == "1 seen, absent 1 times"


def test_keys_that_cannot_be_read_are_left_out_and_refused_by_name() -> None:
    records = [{'a"b': 1, "c\\d": 2, "e\n": 3, "f": 4}]
    document = proposed(records)
    accepts(document, records)
    assert ([each["name"] for each in document["fields"]], "left out" in document["doc"]) == (
        ["f"],
        True,
    )
    with pytest.raises(SchemaError, match="json_name"):
        parse_schema(
            json.dumps(
                {
                    "type": "record",
                    "name": "R",
                    "fields": [{"name": "a", "json_name": 'a"b', "type": "int"}],
                }
            )
        )


def test_what_the_schema_lacks_is_found_at_any_depth() -> None:
    line = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}]}
    address = {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}
    fields = [
        ("id", "long"),
        ("lines", {"type": "array", "items": line}),
        ("home", ["null", address]),
        ("by", {"type": "map", "values": "Address"}),
    ]
    schema = parse_schema(
        json.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": name, "type": kind} for name, kind in fields],
            }
        )
    )
    surplus = Surplus(schema)
    for number in range(3):
        surplus.observe(
            {
                "id": number,
                "lines": [{"sku": "a", "note": None}, {"sku": "b", "note": "x"}],
                "home": {"city": "c", "zip": "1"} if number else None,
                "by": {"x": {"city": "d", "geo": [1.5]}},
                "extra": number,
            }
        )
    assert surplus.found() == [
        ("by{}.geo", {"type": "array", "items": "double"}, 3, [1.5]),
        ("extra", "long", 3, 2),
        ("home.zip", ["null", "string"], 2, "1"),
        ("lines[].note", ["null", "string"], 6, "x"),
    ]
