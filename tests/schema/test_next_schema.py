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


def proposed(document: Any, *records: Any, kept: bool = False) -> str:
    schema = parse_schema(json.dumps(document))
    surplus = Surplus(schema, kept=kept)
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


def named(name: str, field: str, kind: Any = "int") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind}]}


def field_names(text: str) -> dict[str, list[str]]:
    """Name of a record -> the names of its fields."""
    return {
        name: [each.name for each in kind.fields]
        for name, kind in parse_schema(text).named.items()
        if kind.kind == "record"
    }


PETS = ["null", named("Cat", "lives"), named("Dog", "barks")]


@pytest.mark.parametrize("within", [PETS, {"type": "array", "items": PETS}])
def test_a_field_goes_to_the_record_of_a_union_that_has_the_required_ones(within: Any) -> None:
    pets = [{"barks": 1, "tail": "long"}, {"lives": 9, "claws": 18}, {"wings": 2}, None]
    many = isinstance(within, dict)
    records = [{"pet": pets}] if many else [{"pet": pet} for pet in pets]
    names = field_names(proposed(named("R", "pet", within), *records))
    assert (names["Cat"], names["Dog"]) == (["lives", "claws"], ["barks", "tail"])
    assert names["R"] == ["pet"]


@pytest.mark.parametrize(
    "array",
    [["null", {"type": "array", "items": ADDRESS}], {"type": "array", "items": ["null", ADDRESS]}],
)
def test_what_was_kept_of_an_array_is_found_in_its_elements(array: Any) -> None:
    document = named("R", "others", array)
    names = field_names(proposed(document, {"others": {"3": {"zip": "1"}}}, kept=True))
    assert names == {"R": ["others"], "Address": ["city", "zip"]}


def test_an_object_in_place_of_an_array_is_no_array() -> None:
    document = named("R", "others", {"type": "array", "items": ADDRESS})
    names = field_names(proposed(document, {"others": {"a": {"zip": "1"}}}))
    assert names == {"R": ["others"], "Address": ["city"]}


def test_what_was_kept_of_a_union_of_several_records_is_no_field_of_the_first() -> None:
    schema = parse_schema(json.dumps(named("R", "pet", PETS)))
    surplus = Surplus(schema, kept=True)
    surplus.observe({"pet": {"tail": "long"}, "more": 1})
    assert surplus.undecided == {"pet"}
    names = field_names(next_schema(schema, surplus))
    assert names == {"R": ["pet", "more"], "Cat": ["lives"], "Dog": ["barks"]}


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
