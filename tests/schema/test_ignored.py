"""What a schema says in vain is a warning with its place, and what it says rightly is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from schema.strategies import schemas

from worker.schema import parse_schema
from worker.schema.logical import SIZES, UNDERLYING
from worker.schema.model import Schema, Type


def warnings(document: Any, *, strict: bool = True) -> list[str]:
    return [str(each) for each in parse_schema(json.dumps(document), strict=strict).warnings]


def field(kind: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "a", "type": kind, **more}]}


def decimal(**more: Any) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", **more}


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        # typos
        (
            {"type": "long", "logicalType": "timestamp-milis"},
            "'timestamp-milis' is unknown, so the values are those of long",
        ),
        (
            {"type": "long", "logicalType": "timestamp-milis"},
            "did you mean 'timestamp-millis'?",
        ),
        ({"type": "long", "logicalType": "timestamp_micros"}, "did you mean 'timestamp-micros'?"),
        ({"type": "int", "logicalType": "Date"}, "did you mean 'date'?"),
        ({"type": "string", "logicalType": "varchar"}, "'varchar' is unknown"),
        ({"type": "long", "logicaltype": "timestamp-millis"}, "the key is 'logicalType'"),
        ({"type": "long", "logical_type": "timestamp-millis"}, "the key is 'logicalType'"),
        ({"type": "int", "logicalType": ["date"]}, "it is an array, text is needed"),
        # the wrong type below
        ({"type": "int", "logicalType": "timestamp-millis"}, "needs long, the type is int"),
        ({"type": "string", "logicalType": "date"}, "needs int, the type is string"),
        (
            {"type": "string", "logicalType": "decimal", "precision": 9},
            "needs bytes or fixed, the type is string",
        ),
        ({"type": "array", "items": "int", "logicalType": "date"}, "the type is array"),
        ({"type": "record", "name": "S", "fields": [], "logicalType": "date"}, "is record"),
        ({"type": "fixed", "name": "F", "size": 8, "logicalType": "uuid"}, "16 bytes"),
        ({"type": "fixed", "name": "F", "size": 8, "logicalType": "duration"}, "12 bytes"),
        # the wrong place
        ({"type": ["null", "int"], "logicalType": "date"}, "it stands beside a union"),
        ({"type": {"type": "map", "values": "int"}, "logicalType": "date"}, "the type is map"),
        # precision and scale
        (decimal(), "precision is missing"),
        (decimal(precision="9"), "precision is text"),
        (decimal(precision=9.0), "precision is 9.0"),
        (decimal(precision=0), "precision is 0"),
        (decimal(precision=True), "precision is a boolean"),
        (decimal(precision=9, scale="2"), "scale is text"),
        (decimal(precision=9, scale=10), "scale is 10, a whole number from 0 to 9 is needed"),
        (decimal(precision=9, scale=-1), "scale is -1"),
        (
            {"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal", "precision": 10},
            "precision is 10, 4 bytes hold 9 digits",
        ),
    ],
)
def test_a_logical_type_that_must_be_ignored_is_named_with_its_place(kind: Any, found: str) -> None:
    [warning] = warnings(field(kind))
    assert warning.startswith("$.fields[0].type: ") and found in warning, warning
    [nested] = warnings(field({"type": "array", "items": kind}))
    assert nested.startswith("$.fields[0].type.items: ") and found in nested, nested


@pytest.mark.parametrize("kind", ["long", ["null", "long"]])
def test_a_logical_type_beside_the_type_of_a_field_is_named(kind: Any) -> None:
    [warning] = warnings(field(kind, logicalType="timestamp-millis"))
    assert warning.startswith("$.fields[0]: ") and "beside the type of the field" in warning


def test_a_logical_type_beside_the_name_of_a_type_is_named() -> None:
    document = field({"type": "fixed", "name": "Price", "size": 8})
    kind = {"type": "Price", "logicalType": "decimal", "precision": 9}
    document["fields"].append({"name": "b", "type": kind})
    [warning] = warnings(document)
    assert "put it where Price is defined" in warning


def right(logical: str) -> dict[str, Any]:
    kind = UNDERLYING[logical][-1]
    more = {"name": "F", "size": SIZES.get(logical, 12)} if kind == "fixed" else {}
    return {"type": kind, "logicalType": logical, "precision": 9, **more}


@pytest.mark.parametrize("logical", UNDERLYING)
def test_a_logical_type_that_counts_is_no_warning(logical: str) -> None:
    assert warnings(field(right(logical))) == []
    assert warnings(field(["null", right(logical)])) == []
    assert warnings(field(right(logical), logicalType=logical)) == [], "written twice"


@given(schemas())
def test_every_logical_type_counts_or_is_a_warning(drawn: Any) -> None:
    document, _ = drawn
    schema = parse_schema(json.dumps(document))
    counting = sum(map(logicals, {id(each): each for each in roots(schema)}.values()))
    assert json.dumps(document).count('"logicalType"') == counting + len(schema.warnings)


def roots(schema: Schema) -> list[Type]:
    return [schema.root, *schema.named.values()]


def logicals(kind: Type) -> int:
    """The logical types of a type and of what stands in it, references aside."""
    inner = [*kind.parts, *(each.type for each in kind.fields)]
    return (kind.logical is not None) + sum(map(logicals, inner))


def aliased(*fields: tuple[str, list[str]]) -> dict[str, Any]:
    entries = [{"name": name, "type": "int", "aliases": aliases} for name, aliases in fields]
    return {"type": "record", "name": "R", "fields": entries}


def test_an_alias_that_is_the_name_of_another_field_is_a_warning() -> None:
    document = aliased(("a", ["b"]), ("b", []))
    assert warnings(document) == [
        "$.fields[0].aliases: 'b' is the name of another field, which takes its data"
    ]
    assert warnings(aliased(("a", []), ("b", ["a"])))
    assert warnings(aliased(("a", ["a"]), ("b", ["c"]))) == []


def test_data_that_exists_may_have_an_alias_of_two_fields() -> None:
    parse_schema(json.dumps(aliased(("a", ["c"]), ("b", ["c"]))), strict=False)
