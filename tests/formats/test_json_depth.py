"""How deep JSON nests, against the documents themselves."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.formats.json_depth import deeper, nesting

SCALARS = st.none() | st.booleans() | st.integers() | st.text(alphabet='[]{}"\\a')
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[{]}"\\b', max_size=3), inner, max_size=3)
    ),
)


def levels(document: Any) -> int:
    if not isinstance(document, list | dict):
        return 0
    return 1 + max(
        map(levels, document.values() if isinstance(document, dict) else document), default=0
    )


@given(DOCUMENTS, st.integers(0, 6))
def test_brackets_count_unless_they_stand_in_text(document: Any, limit: int) -> None:
    text = json.dumps(document).encode()
    assert nesting(text) == (levels(document), 0)
    assert deeper(text, limit) == (levels(document) > limit)


@given(DOCUMENTS.filter(levels), st.data())
def test_a_document_that_was_cut_is_open_at_its_end(document: Any, data: st.DataObject) -> None:
    text = json.dumps(document).encode()
    assert nesting(text[: data.draw(st.integers(1, len(text) - 1))])[1] > 0
