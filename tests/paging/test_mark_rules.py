"""What the kinds of marks decide, where no pass is needed to see it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paging.test_planner import INCREMENTAL, token_style

from worker.core.cursor import Cursor, PassState, Window, WindowState
from worker.core.errors import PermanentError
from worker.core.model import MISSING
from worker.paging.bound import reach
from worker.paging.mark_rules import _token_mark, mark_rule
from worker.paging.marks import MarkFormat
from worker.paging.spec import IncrementalSpec, PagingSpec
from worker.paging.windows import DAY, Windows

SPEC = PagingSpec(style=token_style(), incremental=INCREMENTAL)


@given(mark=st.none() | st.integers(-(2**40), 2**40))
def test_of_many_keys_those_stay_that_a_pass_from_the_mark_on_asks_for(mark: int | None) -> None:
    floor = mark_rule(SPEC, "p").floor(Cursor(mark=mark), PassState(at=None), over=False, many=True)
    assert floor == (None if mark is None else reach(INCREMENTAL, mark, 0.0)) == mark


@given(since=st.none() | st.integers(-(2**40), 2**40))
def test_of_few_keys_those_stay_that_the_pass_asked_for_once_it_is_over(since: int | None) -> None:
    state = PassState(at=None, since=None if since is None else str(since))
    rule = mark_rule(SPEC, "p")
    assert rule.floor(Cursor(mark=9), state, over=True, many=False) == since
    assert rule.floor(Cursor(mark=9), state, over=False, many=False) is None


@pytest.mark.parametrize(("moved", "refused"), [(0, True), (1, False)])
def test_a_pass_in_windows_that_is_cut_before_its_mark_moved_is_refused(
    moved: int, refused: bool
) -> None:
    day = IncrementalSpec(field="u", format=MarkFormat())
    rule = mark_rule(
        PagingSpec(token_style(), incremental=day, windows=Windows(DAY, day.format)), "p"
    )
    state = PassState(at=None, window=WindowState(Window(0, DAY, DAY), 5 * DAY))
    mark = 5 * DAY + moved  # equal, and not the same object, as after a restart
    if refused:
        with pytest.raises(PermanentError, match="max_pages = 3 pages before the mark moved"):
            rule.refuse_cut(state, mark, max_pages=3, stuck=False)
    else:
        rule.refuse_cut(state, mark, max_pages=3, stuck=False)


@pytest.mark.parametrize(
    ("token", "mark"),
    [
        *((end, None) for end in (MISSING, None, False, "")),
        *((same, same) for same in ("a", "0", 0, 1, 2, -7)),
        (True, "true"),
        (1.5, "1.5"),
        ([1], "[1]"),
        ({"a": 1}, '{"a":1}'),
    ],
)
def test_a_token_that_is_kept_as_the_mark_is_sent_back_as_it_came(token: Any, mark: Any) -> None:
    found = _token_mark(token)
    assert (found, type(found)) == (mark, type(mark))
