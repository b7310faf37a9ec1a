"""How many pages are asked for before the head needs them; what becomes of them is seen by the
planner.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from paging.test_planner import offset_style

from worker.core.cursor import Window
from worker.paging.ahead import FetchAhead
from worker.paging.spec import Fetch, Reply
from worker.paging.style import Address

FIRST = Window(0, 10, 1_000)


def after(window: Window) -> Window | None:
    return None if window.end >= 1_000 else Window(window.end, window.end + 10, 1_000)


def fetch(ahead: FetchAhead, position: Any, window: Window = FIRST) -> Fetch:
    asked = Fetch(
        position=position,
        address=Address(),
        since=None,
        speculative=True,
        first=False,
        generation=ahead.generation,
        size=0,
        window=window,
    )
    ahead.launched(asked)
    return asked


@given(depth=st.integers(1, 6), pages=st.integers(1, 6), landed=st.integers(0, 6))
def test_with_later_windows_as_many_pages_are_asked_for_as_may_be(
    depth: int, pages: int, landed: int
) -> None:
    ahead = FetchAhead(offset_style(), depth)
    begun = [fetch(ahead, {"offset": number}) for number in range(min(pages, depth))]
    for each in begun[:landed]:  # what waits for the head counts too
        assert ahead.landed(each)
        ahead.keep(each, Reply(None))
    later = []
    while (window := ahead.later_window(FIRST, after)) is not None:
        fetch(ahead, offset_style().first(), window)
        later.append(window.start)
    assert len(begun) + len(later) == depth
    assert later == [10 * number for number in range(1, len(later) + 1)]


def test_behind_the_last_window_there_is_none() -> None:
    ahead = FetchAhead(offset_style(), 4)
    assert ahead.later_window(Window(980, 990, 1_000), after) == Window(990, 1_000, 1_000)
    assert ahead.later_window(Window(990, 1_000, 1_000), after) is None
