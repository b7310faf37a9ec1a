"""When a page is as long as a page can be."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from paging.test_planner import token_style

from worker.core.cursor import Cursor, PassState
from worker.paging.spec import PagingSpec
from worker.paging.standing import Standing

COUNTS = st.integers(0, 20)


def standing(*, full_seen: bool = False, largest: int = 0, asked: int = 0) -> Standing:
    nothing: Any = None  # no question here is one of what is remembered
    state = PassState(at=None, largest=largest, asked=asked)
    return Standing(Cursor(full_seen=full_seen), state, nothing, nothing)


@given(records=COUNTS, size=COUNTS, largest=COUNTS)
def test_a_page_is_full_when_it_is_as_long_as_was_asked_for(
    records: int, size: int, largest: int
) -> None:
    spec = PagingSpec(token_style(), size=size)
    full = records > 0 and records >= (size or largest)
    assert standing(largest=largest).is_full(records, spec) == full
    assert standing(largest=largest, full_seen=True).may_be_full(records, spec) == full


@given(records=COUNTS, size=COUNTS, largest=COUNTS)
def test_a_source_that_may_never_send_as_much_has_full_pages_of_the_largest_size(
    records: int, size: int, largest: int
) -> None:
    spec = PagingSpec(token_style(), size=size)
    full = records > 0 and records >= largest
    assert standing(largest=largest).may_be_full(records, spec) == full


@given(asked=st.integers(1, 20), size=st.integers(21, 99))
def test_while_smaller_pages_are_asked_for_those_are_full_that_have_four_fifths(
    asked: int, size: int
) -> None:
    spec = PagingSpec(token_style(), size=size)
    least = max(asked * 4 // 5, 1)
    assert standing(asked=asked).is_full(least, spec)
    assert not standing(asked=asked).is_full(least - 1, spec)
