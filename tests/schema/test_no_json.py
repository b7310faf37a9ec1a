"""A value that JSON does not have is named at its place, however it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.ports import InvalidRecord
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec
from worker.schema import compile_plan, parse_schema
from worker.schema.no_json import SHOWN, no_json_values

PLAN = compile_plan(
    parse_schema(
        json.dumps({"type": "record", "name": "R", "fields": [{"name": "name", "type": "string"}]})
    )
)

PLACES = [
    (rb'{"name": "a\ud800"}', "$.name", "text with a lone surrogate"),
    (rb'{"name": "a", "x": {"y": ["b", "\udc00"]}}', "$.x.y[1]", "text with a lone surrogate"),
    (rb'{"name": "\udc00\ud800"}', "$.name", "text with a lone surrogate"),
    (b'{"name": "a\xff"}', "$.name", "text that is not UTF-8"),
    (b'{"name": "\xed\xa0\x80"}', "$.name", "text that is not UTF-8"),
    (rb'{"\ud800": 1}', "$", "a name of a field that is text with a lone surrogate"),
    (b'{"name": NaN}', "$.name", "no number of JSON"),
    (b'{"name": [1, -Infinity]}', "$.name[1]", "no number of JSON"),
    (b'{"name": 1e400}', "$.name", "no number of JSON"),
]


@pytest.mark.parametrize(("raw", "path", "found"), PLACES)
def test_the_place_is_named_and_not_that_the_record_was_cut(
    raw: bytes, path: str, found: str
) -> None:
    with pytest.raises(InvalidRecord) as invalid:
        PLAN.one(raw)
    assert invalid.value.code == "no_json"
    assert [(each.path, each.found) for each in invalid.value.errors] == [(path, found)]


@pytest.mark.parametrize(("raw", "path", "found"), PLACES)
def test_a_line_of_ndjson_says_the_same(raw: bytes, path: str, found: str) -> None:
    steps = NdjsonPages(PageSpec(), PLAN).decode(b'{"name": "good"}\n' + raw + b"\n")
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            page = stop.value
            break
    (reject,) = page.rejects
    assert (reject.errors[0].path, reject.errors[0].found) == (path, found)
    assert len(page.records) == 1


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"name": "a', b'{"a": 1,}', b"[" * 100_000, b'{"name": tru}']
)
def test_nothing_is_said_of_a_record_that_is_broken_elsewhere(raw: bytes) -> None:
    assert no_json_values(raw) == ()


def test_the_content_is_never_quoted_and_few_places_are_named() -> None:
    raw = json.dumps({f"f{number}": "hunter2\ud800" for number in range(100)}).encode()
    errors = no_json_values(raw)
    assert len(errors) == SHOWN and "hunter2" not in str(errors)


@given(st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner)))
def test_nothing_is_wrong_with_json(document: Any) -> None:
    assert no_json_values(json.dumps(document).encode()) == ()
