"""The identities of a decoded page: computed late, and the same as if each were computed at once."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.identities import digest16, may_repeat
from worker.core.model import MISSING, Facts
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

PLAN = compile_plan(
    parse_schema(
        json.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [
                    {"name": "a", "type": ["null", "long", "string"], "default": None},
                    {"name": "b", "type": ["null", "string"], "default": None},
                    {"name": "c", "type": "long", "default": 0},
                ],
            }
        )
    )
)
VALUES = st.one_of(
    st.just(MISSING),
    st.none(),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([1.0, "1", "é", "e\u0301", "", [1], {"x": 1}]),
)
RECORDS = st.lists(
    st.tuples(VALUES, VALUES, st.integers(0, 1)).map(
        lambda parts: {
            name: value for name, value in zip("abc", parts, strict=True) if value is not MISSING
        }
    ),
    max_size=6,
)


def facts(records: list[dict[str, Any]], paths: tuple[str, ...]) -> Facts:
    spec = RecordSpec(key_paths=paths, identify=True)
    pages = JsonPages(PageSpec(record=spec), PLAN)
    body = json.dumps(records, ensure_ascii=False).encode()
    return at_once(pages.decode(body)).facts


def written(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def eager(record: dict[str, Any], paths: tuple[str, ...]) -> bytes:
    parts = [record.get(path) for path in paths]
    if any(part is not None for part in parts):
        return digest16(json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode())
    return digest16(written(record))


@pytest.mark.parametrize("paths", [(), ("a",), ("a", "b")])
@given(records=RECORDS)
@example([{"a": None, "b": "1", "c": 0}, {"b": "1", "c": 0}])
def test_late_identities_are_those_of_the_key_or_else_of_the_bytes(
    paths: tuple[str, ...], records: list[dict[str, Any]]
) -> None:
    found = facts(records, paths)
    expected = [eager(record, paths) for record in records]
    assert list(found.keys) == expected
    assert list(found.contents) == [digest16(written(record)) for record in records]
    if len(set(expected)) < len(expected):
        assert may_repeat(found.keys)
    keyless = sum(all(record.get(path) is None for path in paths) for record in records)
    assert found.keyless == (keyless if paths else 0)


def test_different_keys_are_known_to_differ_without_a_hash() -> None:
    records = [{"a": number, "b": str(number), "c": 0} for number in range(20)]
    for paths in (("a",), ("a", "b")):
        assert not may_repeat(facts(records, paths).keys)


def test_absent_and_null_parts_of_a_key_are_the_same() -> None:
    forms = [{}, {"a": None}]
    for one, other in itertools.product(forms, forms):
        records = [{**one, "b": "x", "c": 0}, {**other, "b": "x", "c": 1}]
        found = facts(records, ("a", "b"))
        assert found.keys[0] == found.keys[1] and may_repeat(found.keys)


def test_keys_that_cannot_be_compared_quickly_may_repeat() -> None:
    records = [{"a": {"x": 1}, "b": "", "c": 0}, {"a": {"x": 2}, "b": "", "c": 0}]
    assert may_repeat(facts(records, ("a",)).keys)
    assert may_repeat(facts(records, ("a", "b")).keys)
