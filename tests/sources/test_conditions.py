"""`when:` rules: exactly one comparison of one value of a body."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.model import MISSING, Facts
from worker.sources.conditions import When


def holds(found: Any, **comparison: Any) -> bool:
    return When.model_validate({"path": "a", **comparison}).holds(lambda path: found)


@pytest.mark.parametrize(
    ("found", "comparison", "held"),
    [
        (False, {"equals": False}, True),
        (0, {"equals": False}, False),
        (1, {"equals": True}, False),
        (1.0, {"equals": 1}, False),
        (None, {"equals": None}, True),
        (MISSING, {"equals": None}, False),
        (1, {"not_equals": 1}, False),
        (True, {"not_equals": 1}, True),
        (MISSING, {"not_equals": 1}, True),
        (None, {"not_equals": 1}, True),
        (2, {"greater": 1}, True),
        (1, {"greater": 1}, False),
        (True, {"greater": 0}, False),
        ("2", {"greater": 1}, False),
        (0.5, {"less": 1}, True),
        (False, {"less": 1}, False),
        (MISSING, {"less": 1}, False),
        (0, {"exists": True}, True),
        ("", {"exists": True}, True),
        (None, {"exists": True}, False),
        (None, {"exists": False}, True),
        (MISSING, {"exists": False}, True),
    ],
)
def test_a_value_is_compared_with_its_type(
    found: Any, comparison: dict[str, Any], held: bool
) -> None:
    assert holds(found, **comparison) == held


json_values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


@given(json_values, json_values)
def test_equals_and_not_equals_are_opposites(found: Any, wanted: Any) -> None:
    assert holds(found, equals=wanted) != holds(found, not_equals=wanted)


def test_stop_when_reads_the_facts_of_the_page() -> None:
    stops = When.model_validate({"path": "more", "equals": False}).holds_for
    assert stops(Facts(1, {"more": False}))
    assert not stops(Facts(1, {"more": True}))
    assert not stops(Facts(1))
