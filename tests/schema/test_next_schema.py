"""The schema that `worker schema drift --propose` prints: it has every field that records have, and
reads all data of the present one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.schema import compile_plan, parse_schema
from worker.schema.compat import check
from worker.schema.infer import Surplus
from worker.schema.next_schema import next_schema

ADDRESS = {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}
SCHEMA = {
    "type": "record",
    "name": "Order",
    "namespace": "com.example",
    "doc": "kept",
    "fields": [
        {"name": "id", "type": "long", "json_name": "order-id"},
        {"name": "home", "type": ["null", ADDRESS]},
        {"name": "others", "type": {"type": "array", "items": "Address"}, "default": []},
    ],
}


def proposed(document: Any, *records: Any) -> str:
    schema = parse_schema(json.dumps(document))
    surplus = Surplus(schema)
    for record in records:
        surplus.observe(record)
    return next_schema(schema, surplus)


def test_fields_are_added_to_the_records_that_lack_them() -> None:
    text = proposed(
        SCHEMA,
        {"order-id": 1, "home": {"city": "x", "zip": "1"}, "paid-at": "2024-05-06T07:08:09Z"},
        {"order-id": 2, "home": None, "others": [{"city": "y", "geo": {"lat": 1.5}}], "id": None},
    )
    found = json.loads(text)
    assert found["doc"] == "kept"
    fields = {each["name"]: each for each in found["fields"]}
    stamp = {"type": "long", "logicalType": "timestamp-millis"}
    assert fields["paid_at"]["type"] == ["null", stamp]
    assert fields["paid_at"]["json_name"] == "paid-at"
    assert fields["id_"]["json_name"] == "id"
    address = {each["name"]: each["type"] for each in fields["home"]["type"][1]["fields"]}
    assert address["zip"] == ["null", "string"]
    assert address["geo"][1]["fields"][0]["type"] == "double"
    schema = parse_schema(text)
    assert check(schema, [parse_schema(json.dumps(SCHEMA))], "BACKWARD") == []


def test_a_schema_that_lacks_nothing_stays() -> None:
    assert json.loads(proposed(SCHEMA, {"order-id": 1})) == SCHEMA


keys = st.sampled_from(["order-id", "id", "home", "city", "é", "a-b", "Address", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)
addresses = st.dictionaries(keys, values, max_size=3).map(lambda more: {**more, "city": "c"})
orders = st.fixed_dictionaries(
    {"order-id": st.integers(0, 9)},
    optional={
        "home": st.none() | addresses,
        "others": st.lists(addresses, max_size=2),
        "x": values,
        "id": values,
        "Address": values,
    },
)


@settings(max_examples=150, deadline=None)
@given(st.lists(orders, min_size=1, max_size=4))
def test_the_next_schema_accepts_every_record_and_reads_all_older_data(records: list[Any]) -> None:
    schema = parse_schema(proposed(SCHEMA, *records))
    plan = compile_plan(schema, unknown_fields="reject")
    for record in records:
        plan.one(json.dumps(record).encode())
    assert check(schema, [parse_schema(json.dumps(SCHEMA))], "BACKWARD") == []


@pytest.mark.parametrize("name", ["com.example.Order", "Order"])
def test_names_and_namespaces_may_be_written_either_way(name: str) -> None:
    fields = [{"name": "id", "type": "long"}]
    document = {"type": "record", "name": name, "fields": fields}
    found = json.loads(proposed(document, {"id": 1, "x": True}))
    assert found["fields"][1]["type"] == ["null", "boolean"]
