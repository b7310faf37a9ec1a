"""What a document has where, for people who look for a path."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.core.jsonpath import reader
from worker.core.outline import arrays_in, listing, path_text, paths_in

DOCUMENT = {
    "meta": {"total": 3, "tags": ["a"] * 9},
    "data": {"odd-name": [{"id": 1}], "items": [{"id": 1}, {"id": 2}], "none": []},
}
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6
)


def test_arrays_of_objects_come_first_and_longer_ones_before_shorter_ones() -> None:
    assert arrays_in(DOCUMENT) == [
        ("data.items", 2),
        ('data."odd-name"', 1),
        ("meta.tags", 9),
        ("data.none", 0),
    ]
    assert arrays_in([1]) == arrays_in("text") == []


def test_paths_are_those_of_values_that_are_no_objects() -> None:
    assert paths_in({"a": {"b": 1, "c": {}}, "d": None}) == ["d", "a.b"]


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_path_leads_to_its_value(names: list[str]) -> None:
    document: Any = "here"
    for name in reversed(names):
        document = {name: document}
    assert reader(path_text(tuple(names)))(document) == "here"


def test_what_is_deep_is_not_looked_for() -> None:
    document: Any = [1]
    for _ in range(1000):
        document = {"a": document}
    assert arrays_in(document) == []


def test_long_lists_are_cut() -> None:
    assert listing([str(number) for number in range(20)]).endswith("11 and 8 more")
