"""The model of a schema: tables over the kinds of types, and which records can hold themselves."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.core.json_kinds import describe_kind, json_kind
from worker.schema import parse_schema
from worker.schema.model import KINDS, by_kind
from worker.schema.sizes import recursive_names
from worker.schema.values import parse_number


def test_a_table_has_an_entry_for_every_kind_of_type() -> None:
    table = by_kind({"int long": "whole", "union": "union"}, otherwise="other")
    assert set(table) == set(KINDS)
    assert [table[kind] for kind in ("int", "long", "union", "null")] == [
        *("whole", "whole"),
        *("union", "other"),
    ]


@pytest.mark.parametrize(
    "handlers",
    [
        {" ".join(KINDS[:-1]): 1},
        {" ".join(KINDS): 1, "ref": 2},
        {" ".join(KINDS): 1, "int": 2},
    ],
    ids=["a kind is forgotten", "a kind is unknown", "a kind is named twice"],
)
def test_a_table_that_is_wrong_about_the_kinds_is_refused(handlers: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="without a handler"):
        by_kind(handlers)


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "kind", "description"),
    [
        (None, "null", "null"),
        (True, "boolean", "boolean"),
        (Colour.RED, "integer", "whole number"),
        (0.5, "number", "number"),
        (parse_number("1.5"), "number", "number"),
        ("secret", "string", "text of 6 characters"),
        ([1], "array", "array"),
        ({"a": 1}, "object", "object"),
        (Decimal(1), "Decimal", "Decimal"),
    ],
)
def test_a_value_is_described_by_its_kind_alone(value: Any, kind: str, description: str) -> None:
    assert (json_kind(value), describe_kind(value)) == (kind, description)


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8))
def test_the_records_that_can_hold_themselves_are_those_that_reach_themselves(
    edges: list[list[int]],
) -> None:
    """Record n is defined inside record n-1, so that it may refer to it and to those around it."""
    holds = {
        n: {each for each in targets if each <= n} | ({n + 1} if n + 1 < len(edges) else set())
        for n, targets in enumerate(edges)
    }
    document: Any = None
    for n in reversed(range(len(edges))):
        backward = [f"R{each}" for each in sorted(holds[n]) if each <= n]
        types = [*([document] if document else []), *(["null", each] for each in backward)]
        fields = [{"name": f"f{number}", "type": each} for number, each in enumerate(types)]
        document = {"type": "record", "name": f"R{n}", "fields": fields}

    def reached(start: int) -> set[int]:
        found, todo = set[int](), [start]
        while todo:
            new = holds[todo.pop()] - found
            found |= new
            todo += new
        return found

    expected = {f"R{n}" for n in holds if n in reached(n)}
    assert recursive_names(parse_schema(json.dumps(document))) == expected
