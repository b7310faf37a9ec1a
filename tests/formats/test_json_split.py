"""The splitter finds the records of any document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody
from worker.formats.json_split import split_array
from worker.runtime.slices import at_once

TEXT = st.text(max_size=6) | st.sampled_from(['"', "\\", "},{", "]", "[{", '\\"', ":", ","])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
SPACES = st.sampled_from([None, 1])


@given(
    records=st.lists(JSON, max_size=12),
    before=JSON,
    after=JSON,
    indent=SPACES,
    ascii_only=st.booleans(),
)
def test_slices_and_skeleton_are_the_document(
    records: list[Any], before: Any, after: Any, indent: int | None, ascii_only: bool
) -> None:
    document = {
        "before": before,
        "data": {"b": before, "items": records, "a": after},
        "after": after,
    }
    body = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
    split = at_once(split_array(body, ("data", "items")))
    assert split is not None
    found = [
        record
        for start, end in split.slices
        for record in json.loads(b"[" + body[start:end] + b"]")
    ]
    assert found == records
    assert json.loads(split.skeleton) == {
        **document,
        "data": {"b": before, "items": [], "a": after},
    }


@given(
    records=st.lists(st.dictionaries(TEXT, JSON, max_size=3), min_size=1, max_size=30),
    rows=st.integers(1, 5),
)
def test_slices_are_small(records: list[Any], rows: int) -> None:
    body = json.dumps(records).encode()
    split = at_once(split_array(body, (), rows))
    assert split is not None
    parts = [json.loads(b"[" + body[start:end] + b"]") for start, end in split.slices]
    assert [record for part in parts for record in part] == records
    assert all(len(part) <= rows for part in parts)


@pytest.mark.parametrize(
    "body", [b'{"data": 1}', b'{"data": {"items": {}}}', b'{"other": [1]}', b"7", b""]
)
def test_a_document_without_the_array_has_no_split(body: bytes) -> None:
    assert at_once(split_array(body, ("data", "items"))) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {"items": [{"a": 1}, ',
        b'{"data": {"items": [{"a": 1}, {"b',
        b'{"data": {"items": [',
    ],
)
def test_a_document_that_ends_in_the_array_is_no_document(body: bytes) -> None:
    with pytest.raises(BadBody):
        at_once(split_array(body, ("data", "items")))
