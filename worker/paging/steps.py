"""Where a partition stands after a page: its cursor, and the state of its pass. Pure.

left          behind a page that was accepted
closed        behind a pass that is over
at_window     in front of a time window
begun_again   in front of a pass that begins again, because what it has read is in doubt
redone        in front of a pass that is read again, because it achieved too little
"""

from __future__ import annotations

from typing import Final

from worker.core.cursor import Before, Cursor, Json, PassState, Window
from worker.core.errors import KeyMissing
from worker.core.instants import MICROS
from worker.core.model import Facts
from worker.paging.counting import stands_for_a_number
from worker.paging.endings import BeginsAgain, Ending, GoesOn, PassOver, WindowOver, walked
from worker.paging.mark_rules import MarkRule
from worker.paging.spec import PagingSpec, PassEnd
from worker.paging.standing import Standing
from worker.paging.style import Next, is_silent
from worker.paging.verdict import PageBrought

KEYLESS_RECORDS: Final = 10
"""So many records without the key, and none with it: the key is wrong."""


class Steps:
    """The steps of one partition, whose name is `where`."""

    def __init__(self, spec: PagingSpec, rule: MarkRule, where: str) -> None:
        self._spec, self._rule, self._where = spec, rule, where
        self._windows = spec.windows

    def left(
        self,
        standing: Standing,
        page: PageBrought,
        ending: Ending,
        pass_end: PassEnd | None,
        marked: Cursor,
        validators: Json,
    ) -> Cursor:
        """The cursor where the page leaves it; `marked` has its marks already."""
        spec, cursor, state = self._spec, standing.cursor, standing.state
        new_window = isinstance(ending, WindowOver)
        left = marked.evolve(
            position=self._position(standing, page, ending, validators),
            snapshot_mark=None if new_window else marked.snapshot_mark,
            received=page.counted.received,
            total=None if new_window else page.counted.stored,
            keyed=self._keyed(standing, page.facts, ending),
            token_seen=cursor.token_seen or not is_silent(page.following),
            full_seen=cursor.full_seen or bool(spec.size and page.records >= spec.size),
            total_seen=cursor.total_seen or self._total_proved(standing, page, ending),
        )
        if not isinstance(ending, PassOver):
            return left
        first_ones = state.validators if state.pages else validators
        over = left.evolve(
            validators=None if ending.cut else first_ones,
            redone=0,
            window_size=self._window_size(state, ending),
            page_size=self.size_behind(state),
        )
        return self.closed(over, missed=pass_end is not None and bool(pass_end.missed))

    def _position(
        self, standing: Standing, page: PageBrought, ending: Ending, validators: Json
    ) -> PassState | None:
        state = standing.state
        if isinstance(ending, GoesOn):
            return self._at_next(standing, page, ending, validators)
        if not isinstance(ending, WindowOver):
            return None
        proven = state.before.proven and page.counted.matches
        counting = state.before.counting or state.counting
        before = Before(state.pages + 1, page.counted.received, proven, counting)
        seen = state.evolve(
            pages=before.pages,
            asked=self.size_behind(state),
            skipped_in_row=0,
            fresh=state.fresh or page.known.fresh,
            drifted=self._drifted(state, page, over=True),
        )
        return self.at_window(seen, ending.window, before)

    def _at_next(
        self, standing: Standing, page: PageBrought, ending: GoesOn, validators: Json
    ) -> PassState:
        """The state at the next page of the pass."""
        state, counted, position = standing.state, page.counted, ending.following.position
        if isinstance(position, dict) and "url" in position:
            position = {**position, "url": self._spec.strip(position["url"])}
        if page.skipped:
            return state.evolve(
                at=position,
                pages=state.pages + 1,
                drifted=True,
                seam=b"",
                asked_again=False,
                skipped=state.skipped + 1,
                skipped_in_row=state.skipped_in_row + 1,
            )
        return state.evolve(
            at=position,
            pages=state.pages + 1,
            asked=self._spec.sizes.after_page(state.asked) if self._spec.sizes else 0,
            skipped_in_row=0,
            fresh=state.fresh or page.known.fresh,
            validators=state.validators if state.pages else validators,
            first=page.records if standing.first else state.first,
            last=page.records,
            largest=max(state.largest, page.records),
            drifted=self._drifted(state, page, over=False),
            grew=counted.grew,
            remains=counted.remains,
            passed=counted.passed,
            aside=page.aside,
            asked_again=ending.again,
            digest=page.seen.digest if self._spec.stop.repeated_page else b"",
            seam=page.seam.last,
            uncounted=state.uncounted or standing.has_too_many(self._spec),
            counting=self._counting(standing, page, ending.following),
            walked=state.walked + page.records if state.known_pages else 0,
            columns=page.facts.columns or state.columns,
        )

    def _counting(self, standing: Standing, page: PageBrought, following: Next) -> bool:
        """Whether every token of the pass so far stands for a number."""
        state = standing.state
        if following.token is None or not (state.counting or standing.first):
            return False
        return stands_for_a_number(following, state.at, page.facts)

    def _drifted(self, state: PassState, page: PageBrought, *, over: bool) -> bool:
        counted = page.counted
        missed = over and counted.doubtful
        return state.drifted or counted.drifted or page.doubted or missed

    def _keyed(self, standing: Standing, facts: Facts, ending: Ending) -> bool:
        """Whether the partition has had the key.

        Raises KeyMissing where enough records came without it to say that it is wrong.
        """
        cursor, key = standing.cursor, self._spec.key
        if cursor.keyed or not key or facts.keyless < facts.count:
            return cursor.keyed or (bool(key) and facts.count > 0)
        # of items that have several records, what the pass has received are the items
        came = facts.count + (cursor.received if facts.item_ends is None else 0)
        if came >= KEYLESS_RECORDS or (came and isinstance(ending, PassOver)):
            raise KeyMissing(
                f"none of {came} records has a value at {', '.join(key)}",
                where=self._where,
                remedy="correct source.key: upper and lower case count, and the path begins at "
                "the record",
            )
        return False

    def _total_proved(self, standing: Standing, page: PageBrought, ending: Ending) -> bool:
        """Whether the page shows that the total counts more than the records of a page."""
        counted = page.counted
        largest = max(standing.state.largest, page.records)
        plain = counted.matches and not counted.remains and counted.here > largest
        return plain and not isinstance(ending, GoesOn)

    def _window_size(self, state: PassState, ending: Ending) -> int:
        """How long the windows of the next pass are."""
        if state.window is None or self._windows is None:
            return 0
        window = state.window.window
        return self._windows.grown(window) if walked(ending) else window.size

    def size_behind(self, state: PassState) -> int:
        """How many records a page are asked for behind the pages of a pass, or of a window."""
        sizes = self._spec.sizes
        return 0 if sizes is None else sizes.after_walk(state.asked)

    def closed(self, cursor: Cursor, *, missed: bool = False) -> Cursor:
        """The cursor after a finished pass; one that missed what is required is read again."""
        again = self._spec.incremental is not None or self._spec.schedule is not None
        if not again and not missed:
            return cursor.evolve(position=None, complete=True)
        return cursor.evolve(
            pass_no=cursor.pass_no + 1, position=None, snapshot_mark=None, received=0, total=None
        )

    def at_window(self, state: PassState, window: Window, before: Before) -> PassState:
        """The state at the first page of a window; `before` is what the pass brought so far."""
        assert state.window is not None, "a pass in windows is always in one"
        return state.at_first(
            self._spec.style.first(),
            window=state.window.evolve(window=window, before=before),
            grew=False,
            remains=False,
            passed=False,
            counting=False,
        )

    def begun_again(self, standing: Standing) -> Cursor:
        """The cursor of a pass that begins again.

        Where the mark is true in the middle of a pass it begins there. Elsewhere it asks for the
        same once more, and what it has brought is known by its identities.
        """
        cursor, state = standing.cursor, standing.state
        restarts = state.restarts + 1
        if not self._rule.may_fall_back:
            again = state.at_first(
                self._spec.style.first(),
                pages=0,
                restarts=restarts,
                known_pages=max(state.known_pages, state.pages),
                walked=0,
            )
            return cursor.evolve(position=again, total=None)
        reached = self._at_reached(standing)
        if state.window is not None:  # the size that the source has accepted
            reached = reached.evolve(window_size=state.window.window.size)
        begun = self._rule.begin(reached)
        if begun is not None:
            # a total that was taken for what remains hid that records moved
            begun = begun.evolve(restarts=restarts, drifted=state.drifted or state.remains)
        return cursor.evolve(position=begun, snapshot_mark=None, received=0, total=None)

    def _at_reached(self, standing: Standing) -> Cursor:
        """The cursor at the value that the pass has reached, where its mark is held back."""
        cursor, state = standing.cursor, standing.state
        if not self._spec.holds_mark or self._windows is not None:
            return cursor
        now_us, ending = round(self._spec.wall() * MICROS), BeginsAgain("")
        reached = self._rule.mark(cursor, state, cursor.snapshot_mark, ending, now_us)
        return cursor.evolve(mark=reached)

    def redone(self, standing: Standing, left: Cursor) -> Cursor:
        """The cursor of a pass that is read again from where it began."""
        cursor = standing.cursor
        return left.evolve(
            pass_no=cursor.pass_no,
            position=self._rule.begin(cursor),
            mark=cursor.mark,
            validators=cursor.validators,
            complete=False,
            redone=cursor.redone + 1,
        )
