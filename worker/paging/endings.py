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
from worker.paging.style import EMPTY_PAGE, End, Next
from worker.paging.totals import Count
from worker.paging.windows import Windows


class GoesOn(msgspec.Struct, frozen=True):
    """There is a next page. `again`: the page is asked for once more, because it was empty behind a
    full one.
    """

    following: Next
    again: bool = False


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
        unchanged: whether the source is as the pass before saw it, so that it brought nothing.
    """

    reason: str
    cut: bool = False
    limited: bool = False
    before_window: bool = False
    unchanged: bool = False

    @property
    def whole(self) -> bool:
        """Whether the pass has brought all that there is."""
        return not (self.cut or self.limited or self.unchanged)


class BeginsAgain(msgspec.Struct, frozen=True):
    """The pass begins again, because what it has read is in doubt. `reason` says why, in words."""

    reason: str


class AskedAgain(msgspec.Struct, frozen=True):
    """The page is asked for again, with fewer records."""


Ending = GoesOn | WindowOver | PassOver | BeginsAgain | AskedAgain


def walked(ending: Ending) -> bool:
    """Whether the pages of the pass, or of its window in progress, came to their own end."""
    if isinstance(ending, PassOver):
        return ending.before_window or not ending.limited
    return isinstance(ending, WindowOver)


class PageSeen(msgspec.Struct, frozen=True, gc=False):
    """What the rules look at.

    Attributes:
        facts: what the page says.
        records: number of records, without one that a seam repeats.
        following: where the style sees the next page.
        numbered: whether the style counts pages or records.
        stop: the status stop rule that applies, in words; empty for none.
        counted: the records held against the total.
        behind_full: whether the page before it was full.
        exact: whether the page is the first one, and nothing has shown yet that the total counts
            more than the records of a page.
        gap: whether it is empty, and was to begin with a record of the page before.
        repeated: whether its records are those of the page before, which ends the pass.
        beyond_range: whether an ascending source has come to values beyond those that were asked
            for.
        whole: whether fewer records are asked for than the config says, and so many came.
        skipped: whether the page was left out, so that it says nothing of an end.
        below_range: whether a descending source has come to values below them.
    """

    facts: Facts
    records: int
    following: Next | End
    numbered: bool
    stop: str
    counted: Count
    behind_full: bool = False
    exact: bool = False
    gap: bool = False
    repeated: bool = False
    beyond_range: bool = False
    below_range: bool = False
    whole: bool = False
    skipped: bool = False

    @property
    def more_to_come(self) -> bool:
        """Whether the total says that there are more records."""
        total = self.counted.total
        return self.counted.trusted and total is not None and self.counted.here < total


def _style_end(page: PageSeen, stop: StopSpec) -> str:
    return page.following.reason if isinstance(page.following, End) else ""


def _status_stop(page: PageSeen, stop: StopSpec) -> str:
    return page.stop


def _total_reached(page: PageSeen, stop: StopSpec) -> str:
    counted = page.counted
    reached = page.numbered and counted.here == counted.total and counted.ends and not page.exact
    return "total reached" if reached else ""


def _repeated_page(page: PageSeen, stop: StopSpec) -> str:
    return "repeated page" if page.repeated else ""


def _empty_page(page: PageSeen, stop: StopSpec) -> str:
    empty = page.numbered and stop.empty_page and page.records == 0
    return EMPTY_PAGE if empty else ""


def _short_page(page: PageSeen, stop: StopSpec) -> str:
    short = stop.short_page is not None and page.records < stop.short_page
    return "short page" if short and not (page.more_to_come or page.whole) else ""


def _stop_when(page: PageSeen, stop: StopSpec) -> str:
    return "stop.when" if stop.when(page.facts) else ""


def _range_end(page: PageSeen, stop: StopSpec) -> str:
    return "the end of what was asked for" if page.beyond_range else ""


def _range_begin(page: PageSeen, stop: StopSpec) -> str:
    return "all further records are older than the mark" if page.below_range else ""


RULES: Final[tuple[Callable[[PageSeen, StopSpec], str], ...]] = (
    _style_end,
    _status_stop,
    _total_reached,
    _repeated_page,
    _empty_page,
    _short_page,
    _stop_when,
    _range_end,
    _range_begin,
)


def ending_of(
    page: PageSeen, state: PassState, stop: StopSpec, windows: Windows | None, now_us: int
) -> Ending:
    """Where the page leaves the pass that stands at `state`; `now_us`: microseconds since 1970."""
    reason = _reason(page, stop)
    if reason == EMPTY_PAGE and _may_be_a_gap(page, state):
        return GoesOn(Next(state.at), again=True)
    following = None
    if reason and windows is not None and state.window is not None:
        following = windows.after(state.window.window)
        if state.window.window.end > windows.last(now_us):
            # it was asked for before its end by the clock of the source: the rest may still come
            return PassOver("the window is not over by the clock of the source")
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


def _may_be_a_gap(page: PageSeen, state: PassState) -> bool:
    """Whether an empty page may be a hiccup of the source: full pages came right before it and no
    total says that they were all, or a total says that they were not. It is asked for once more.
    """
    doubtful = page.more_to_come or (page.behind_full and not page.counted.trusted) or page.gap
    return doubtful and not state.asked_again


def _reason(page: PageSeen, stop: StopSpec) -> str:
    """Which rule ends the pages here, in words; empty when none does."""
    if page.skipped:
        return ""
    for rule in RULES:
        if reason := rule(page, stop):
            return reason
    return ""
