"""Where a page leaves its pass: it goes on, its time window is over, or the pass is. Pure.

The rules are asked in the order of the table; the first that gives a reason decides. A style's own
end comes first. Behind the pages of one window, the pass goes on with the next window;
`stop.max_pages` ends the pass wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from worker.core.cursor import PassState, Window
from worker.core.model import Facts
from worker.paging.spec import StopSpec
from worker.paging.style import End, Next
from worker.paging.windows import Windows


class GoesOn(msgspec.Struct, frozen=True):
    """There is a next page."""

    following: Next


class WindowOver(msgspec.Struct, frozen=True):
    """The window came to its end; the pass goes on with the first page of `window`."""

    window: Window


class PassOver(msgspec.Struct, frozen=True):
    """The pass is over.

    Attributes:
        reason: which rule ended it, in words.
        cut: whether the source has more that this pass does not ask for.
        limited: whether `stop.max_pages` ended it.
        before_window: whether another window would have followed.
    """

    reason: str
    cut: bool = False
    limited: bool = False
    before_window: bool = False


Ending = GoesOn | WindowOver | PassOver


def walked(ending: Ending) -> bool:
    """Whether the pages of the pass, or of its window in progress, came to their own end."""
    if isinstance(ending, PassOver):
        return ending.before_window or not ending.limited
    return isinstance(ending, WindowOver)


def leaves_window(ending: Ending) -> bool:
    """Whether the pages after this one are those of another window."""
    return isinstance(ending, WindowOver) or (isinstance(ending, PassOver) and ending.before_window)


class PageSeen(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at.

    Attributes:
        facts: what the page says.
        following: where the style sees the next page.
        numbered: whether the style counts pages or records.
        stop: the status stop rule that applies, in words; empty for none.
        received: records of the pass or window, this page included.
        total: how many there are, as far as the source said.
        total_counts: whether the total may end the pass; it may not once it was passed.
        beyond_range: whether an ascending source has come to values beyond those that were asked
            for.
    """

    facts: Facts
    following: Next | End
    numbered: bool
    stop: str
    received: int
    total: int | None
    total_counts: bool
    beyond_range: bool

    @property
    def more_to_come(self) -> bool:
        """Whether the total says that there are more records."""
        return self.total is not None and self.received < self.total


def _style_end(page: PageSeen, stop: StopSpec) -> str:
    return page.following.reason if isinstance(page.following, End) else ""


def _status_stop(page: PageSeen, stop: StopSpec) -> str:
    return page.stop


def _total_reached(page: PageSeen, stop: StopSpec) -> str:
    reached = page.numbered and page.received == page.total and page.total_counts
    return "total reached" if reached else ""


def _empty_page(page: PageSeen, stop: StopSpec) -> str:
    empty = page.numbered and stop.empty_page and page.facts.count == 0
    return "empty page" if empty and not page.more_to_come else ""


def _short_page(page: PageSeen, stop: StopSpec) -> str:
    short = stop.short_page is not None and page.facts.count < stop.short_page
    return "short page" if short and not page.more_to_come else ""


def _stop_when(page: PageSeen, stop: StopSpec) -> str:
    return "stop.when" if stop.when(page.facts) else ""


def _range_end(page: PageSeen, stop: StopSpec) -> str:
    return "the end of what was asked for" if page.beyond_range else ""


RULES: Final[tuple[Callable[[PageSeen, StopSpec], str], ...]] = (
    _style_end,
    _status_stop,
    _total_reached,
    _empty_page,
    _short_page,
    _stop_when,
    _range_end,
)


def ending_of(page: PageSeen, state: PassState, stop: StopSpec, windows: Windows | None) -> Ending:
    """Where the page leaves the pass that stands at `state`."""
    reason = _reason(page, stop)
    following = None
    if reason and windows is not None and state.window is not None:
        following = windows.after(state.window.window)
    if reason and following is None:
        return PassOver(reason, cut=page.beyond_range)
    if state.pages + 1 >= stop.max_pages:
        return PassOver(
            f"max_pages {stop.max_pages}",
            cut=True,
            limited=True,
            before_window=following is not None,
        )
    if following is not None:
        return WindowOver(following)
    assert isinstance(page.following, Next), "a style without a next page gives the first reason"
    return GoesOn(page.following)


def _reason(page: PageSeen, stop: StopSpec) -> str:
    """Which rule ends the pages here, in words; empty when none does."""
    for rule in RULES:
        if reason := rule(page, stop):
            return reason
    return ""
