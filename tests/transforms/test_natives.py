"""What a `python` step gets and gives back: a value that it does not touch is the value it was."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from worker.schema import parse_schema
from worker.schema.values import Branch
from worker.transforms.natives import checker, converter


def record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
    listed = [{"name": each, "type": kind} for each, kind in fields]
    return {"type": "record", "name": name, "fields": listed}


NOTE = ("note", ["null", "string"])
CAT, DOG = record("Cat", ("age", "int"), NOTE), record("Dog", ("age", "int"), NOTE)
ANY = [CAT, DOG, {"type": "map", "values": ["null", "int"]}]
DOG_DATUM = {"age": 3, "note": None}
CASES = {
    "a field": (ANY, Branch(1, DOG_DATUM)),
    "a map": (ANY, Branch(2, {"age": 3, "note": None})),
    "a nullable field": (["null", CAT, DOG], Branch(2, DOG_DATUM)),
    "items": ({"type": "array", "items": ANY}, [Branch(1, DOG_DATUM), Branch(0, DOG_DATUM)]),
    "values": ({"type": "map", "values": ANY}, {"k": Branch(1, DOG_DATUM)}),
    "a nested record": (record("Home", ("pet", ANY)), {"pet": Branch(1, DOG_DATUM)}),
    "a union in a union": (
        ["string", record("House", ("pet", ANY)), record("Hut", ("pet", ["Cat", "Dog"]))],
        Branch(2, {"pet": Branch(1, DOG_DATUM)}),
    ),
    "a record in itself": (
        record("A", ("next", ["null", "A", record("B", ("next", ["null", "A"]))])),
        {"next": Branch(2, {"next": {"next": Branch(1, {"next": Branch(0, None)})}})},
    ),
}


def steps(kind: Any, output: Any = None) -> tuple[Any, Any]:
    """What makes a value of a field plain, and what reads one that came back."""
    schema, other = (
        parse_schema(json.dumps(record("R", ("a", each)))) for each in (kind, output or kind)
    )
    return (
        converter(schema.root.fields[0].type, schema, native=False),
        checker(other.root.fields[0].type, other),
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("step", [lambda value: value, copy.copy, copy.deepcopy])
def test_a_value_that_comes_back_as_it_went_out_is_of_the_same_branch(case: Any, step: Any) -> None:
    kind, datum = case
    plain, read = steps(kind)
    assert read(step(plain(datum)), "$.a") == datum


def test_an_object_that_was_changed_keeps_its_branch_while_it_fits() -> None:
    plain, read = steps(ANY)
    value = plain(Branch(1, DOG_DATUM))
    value["age"] = 4
    assert read(value, "$.a") == Branch(1, {"age": 4, "note": None})
    value["name"] = 5  # no field of a dog, and a map takes no text
    value.pop("note")
    assert read(value, "$.a") == Branch(2, {"age": 4, "name": 5})


def test_the_branch_is_found_by_its_name_in_the_union_of_the_output() -> None:
    plain, read = steps([CAT, DOG], ["null", DOG, "string", CAT])
    assert read(plain(Branch(1, DOG_DATUM)), "$.a") == Branch(1, DOG_DATUM)
    assert read(plain(Branch(0, DOG_DATUM)), "$.a") == Branch(3, DOG_DATUM)


def test_what_a_step_gets_looks_like_plain_json() -> None:
    plain, _ = steps(ANY)
    value = plain(Branch(1, DOG_DATUM))
    assert (value, repr(value), json.dumps(value)) == (
        DOG_DATUM,
        repr(DOG_DATUM),
        '{"age": 3, "note": null}',
    )
