"""What the answer to the head of a pass means: `judge(standing, reply) -> Verdict`. Pure; raises,
and assigns nothing.

A verdict says everything that accepting the page changes. The planner applies it, or does not: an
error leaves the cursor, the boundary keys and the tokens of the partition as they were.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Final

import msgspec

from worker.core.cursor import Before, Cursor, Json, PassState, Window
from worker.core.errors import BoundaryFull, TotalMismatch, WindowRefused
from worker.core.model import BoundaryKey, Decoded, Facts, Ledger
from worker.paging.endings import Ending, GoesOn, PageSeen, PassOver, WindowOver, ending_of, walked
from worker.paging.loops import guard
from worker.paging.mark_rules import mark_rule
from worker.paging.marks import Comparable
from worker.paging.spec import PagingSpec, PassEnd, Reply
from worker.paging.style import Next
from worker.paging.totals import Count, count

_NO_KEYS: Final[frozenset[BoundaryKey]] = frozenset()


class Standing(msgspec.Struct, frozen=True):
    """Where a partition stands when the head of its pass is judged.

    Attributes:
        state: of the pass in progress, before the page.
        boundary: identities of records that may come again.
        boundary_floor: no key of `boundary` is below this value; None where that is not known.
        tokens: hashes that the loop guard remembers of this pass.
    """

    cursor: Cursor
    state: PassState
    boundary: Set[BoundaryKey]
    boundary_floor: Comparable | None
    tokens: Set[bytes]


class Memory(msgspec.Struct, frozen=True):
    """What is remembered of records that may come again.

    Attributes:
        added: identities to remember.
        floor: keys below this value are forgotten; None forgets none.
        left: the keys that are left of those that were remembered before; None where all are.
    """

    added: Set[BoundaryKey] = frozenset()
    floor: Comparable | None = None
    left: set[BoundaryKey] | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What an accepted page changes.

    Attributes:
        cursor: where the partition resumes after the page.
        ending: whether the pass goes on.
        decoded: the records that go on, and the rejects.
        ledger: counts of the page.
        position: of the page, for people.
        pass_no: the pass that the page belongs to.
        memory: what is remembered of its records.
        token: the hash that the loop guard remembers; None for none.
        pass_end: how the pass ended, if it did.
        drift: how the source contradicts itself; empty when it does not.
    """

    cursor: Cursor
    ending: Ending
    decoded: Decoded
    ledger: Ledger
    position: Json
    pass_no: int
    memory: Memory
    token: bytes | None = None
    pass_end: PassEnd | None = None
    drift: str = ""

    @property
    def starts_over(self) -> bool:
        """Whether the loop guard begins anew: the pass, or its window, is over."""
        return not isinstance(self.ending, GoesOn)


class PageBrought(msgspec.Struct, frozen=True):
    """What a page adds to where its pass stands.

    Attributes:
        fresh: whether any record of the pass so far was new.
        validators: what the source reported about the version of the page.
        snapshot: how far the pass has come.
        mark: how far the source has durably come.
    """

    counted: Count
    fresh: bool
    validators: Json
    snapshot: Comparable | None
    mark: Comparable | None


class Judge:
    """Judges the head pages of one partition, whose name is `where`."""

    def __init__(self, spec: PagingSpec, where: str) -> None:
        self._spec, self._where = spec, where
        self._windows = spec.windows
        self.rule = mark_rule(spec, where)

    def judge(self, standing: Standing, reply: Reply) -> Verdict:
        """What the answer means.

        Raises:
            PermanentError: the page is refused: a loop, records out of order, a total that was
                missed, a boundary that is full.
        """
        if reply.unchanged:
            return self._unchanged(standing)
        if reply.split:
            return self._halved(standing, reply.split)
        return self._page(standing, reply)

    # -- a page of records ------------------------------------------------------------------------

    def _page(self, standing: Standing, reply: Reply) -> Verdict:
        spec, cursor, state = self._spec, standing.cursor, standing.state
        decoded = reply.decoded or Decoded([], None, [], Facts(0))
        facts = decoded.facts
        following = spec.style.after(state.at, facts, reply.headers)
        known = self.rule.classify(decoded, cursor, standing.boundary)
        counted = count(cursor, state, known.distinct, spec.total(facts, reply.headers))
        page = PageSeen(
            facts=facts,
            following=following,
            numbered=spec.style.numbered,
            stop=reply.stop,
            received=counted.here,
            total=counted.total,
            total_counts=not state.passed,
            beyond_range=bool(known.beyond) and self.rule.mid_pass,
        )
        ending = ending_of(page, state, spec.stop, self._windows)
        token = self._token(standing, ending, facts)
        snapshot = self.rule.snapshot(cursor, known, facts, reply.headers, ending)
        mark = self.rule.mark(cursor, state, snapshot, ending)
        fresh = state.fresh or known.fresh
        if isinstance(ending, PassOver) and ending.limited:
            stuck = isinstance(following, Next) and not fresh and bool(counted.received)
            self.rule.refuse_cut(state, mark, max_pages=spec.stop.max_pages, stuck=stuck)
        self._compare(counted, ending)
        kept = known.kept(decoded)
        brought = PageBrought(counted, fresh, reply.validators, snapshot, mark)
        after = self._left_at(cursor, state, brought, ending)
        return Verdict(
            cursor=after,
            ending=ending,
            decoded=kept,
            ledger=Ledger(
                received=facts.count,
                filtered=known.beyond,
                deduplicated=known.duplicates,
                dead_lettered=len(kept.rejects),
            ),
            position=self._shown(state),
            pass_no=cursor.pass_no,
            memory=self._memory(standing, after, known.keys),
            token=token,
            pass_end=self._pass_end(cursor, state, counted, ending),
            drift=counted.drift,
        )

    def _token(self, standing: Standing, ending: Ending, facts: Facts) -> bytes | None:
        if not isinstance(ending, GoesOn):
            return None
        return guard(
            ending.following,
            standing.state.at,
            facts,
            numbered=self._spec.style.numbered,
            known=standing.tokens,
            where=self._where,
        )

    def _compare(self, counted: Count, ending: Ending) -> None:
        """Fewer records than the source says it has are an error, unless what is missing was not
        asked for.
        """
        cut = isinstance(ending, PassOver) and ending.cut and self._windows is None
        if not walked(ending) or cut or counted.total is None or counted.here >= counted.total:
            return
        what = "pass" if self._windows is None else "window"
        raise TotalMismatch(
            f"the {what} ended with {counted.here} of {counted.total} records",
            where=self._where,
            remedy="check pagination and stop rules",
        )

    def _pass_end(
        self, cursor: Cursor, state: PassState, counted: Count, ending: Ending
    ) -> PassEnd | None:
        if not isinstance(ending, PassOver):
            return None
        completeness = self._spec.completeness
        if counted.drifted or ending.cut:
            completeness = "unknown"
        elif state.before.proven and counted.matches:
            completeness = "proven"
        return PassEnd(cursor.pass_no, counted.received, ending.reason, completeness)

    def _left_at(
        self, cursor: Cursor, state: PassState, page: PageBrought, ending: Ending
    ) -> Cursor:
        """The cursor where the page leaves it."""
        counted = page.counted
        total, snapshot = counted.total, page.snapshot
        position: PassState | None = None
        if isinstance(ending, GoesOn):
            position = self._at_next(state, page, ending.following.position)
        elif isinstance(ending, WindowOver):
            proven = state.before.proven and counted.matches
            before = Before(pages=state.pages + 1, received=counted.received, proven=proven)
            seen = state.evolve(pages=before.pages, fresh=page.fresh, drifted=counted.drifted)
            position, total, snapshot = self._at_window(seen, ending.window, before), None, None
        left = Cursor(
            pass_no=cursor.pass_no,
            position=position,
            mark=page.mark,
            snapshot_mark=snapshot,
            received=counted.received,
            total=total,
            validators=cursor.validators,
        )
        if isinstance(ending, PassOver):
            validators = state.validators if state.pages else page.validators
            return self._closed(left.evolve(validators=None if ending.cut else validators))
        return left

    def _at_next(self, state: PassState, page: PageBrought, position: Json) -> PassState:
        """The state at the next page of the pass."""
        if isinstance(position, dict) and "url" in position:
            position = {**position, "url": self._spec.strip(position["url"])}
        if state.pages == 0 and page.validators is not None:
            state = state.evolve(validators=page.validators)
        return state.evolve(
            at=position,
            pages=state.pages + 1,
            fresh=page.fresh,
            drifted=page.counted.drifted,
            passed=page.counted.passed,
        )

    def _closed(self, cursor: Cursor) -> Cursor:
        """The cursor after a finished pass."""
        again = self._spec.incremental is not None or self._spec.every_s is not None
        if not again:
            return cursor.evolve(position=None, complete=True)
        return cursor.evolve(
            pass_no=cursor.pass_no + 1, position=None, snapshot_mark=None, received=0, total=None
        )

    # -- answers without a page -------------------------------------------------------------------

    def _unchanged(self, standing: Standing) -> Verdict:
        """An empty, complete pass: the source is as the last complete pass saw it."""
        ending = PassOver("not modified")
        number, after = standing.cursor.pass_no, self._closed(standing.cursor)
        return Verdict(
            cursor=after,
            ending=ending,
            decoded=Decoded([], None, [], Facts(0)),
            ledger=Ledger(),
            position=standing.state.at,
            pass_no=number,
            memory=self._memory(standing, after),
            pass_end=PassEnd(number, 0, ending.reason, self._spec.completeness),
        )

    def _halved(self, standing: Standing, reported: str) -> Verdict:
        """The source refused the window: its halves are asked for, from their first pages on.

        What the whole one brought is known by its keys.
        """
        cursor, state, windows = standing.cursor, standing.state, self._windows
        assert state.window is not None and windows is not None, "only windows are split"
        window = state.window.window
        half = windows.halved(window)
        if half is None:
            start, end = windows.asked(window)
            raise WindowRefused(
                f"{reported}, for a window from {start} to {end}, which cannot be made shorter",
                where=self._where,
                remedy="lower split_on.smallest or step, or page inside the window with within; "
                "or the status means something else: say so with split_on.when",
            )
        before = replace(state.before, pages=state.pages, received=cursor.received)
        after = cursor.evolve(
            position=self._at_window(state, half, before), total=None, snapshot_mark=None
        )
        return Verdict(
            cursor=after,
            ending=WindowOver(half),
            decoded=Decoded([], None, [], Facts(0)),
            ledger=Ledger(),
            position=self._shown(state),
            pass_no=cursor.pass_no,
            memory=self._memory(standing, after),
        )

    def _at_window(self, state: PassState, window: Window, before: Before) -> PassState:
        """The state at the first page of a window; `before` is what the pass brought so far."""
        assert state.window is not None, "a pass in windows is always in one"
        return state.evolve(
            at=self._spec.style.first(),
            window=replace(state.window, window=window, before=before),
            passed=False,
        )

    def _shown(self, state: PassState) -> Json:
        """The position of the page for people: that of the style, and which window it is in."""
        if state.window is None or self._windows is None:
            return state.at
        return {"at": state.at, "window": list(self._windows.asked(state.window.window))}

    # -- what is remembered ---------------------------------------------------------------------

    def _memory(
        self, standing: Standing, cursor: Cursor, keys: Set[BoundaryKey] = _NO_KEYS
    ) -> Memory:
        """The keys that are worth remembering at `cursor`, of those that were and of new `keys`.

        Raises BoundaryFull when they are too many. None of them is kept then, or the records of
        the page would be duplicates when it comes again.
        """
        least, boundary = self.rule.floor(cursor), standing.boundary
        left = None
        if least is not None:
            # one source has values of one type
            keys = {key for key in keys if key[0] >= least}  # type: ignore[operator]
            if boundary and least != standing.boundary_floor:
                left = {key for key in boundary if key[0] >= least}  # type: ignore[operator]
                boundary = left
        size = len(boundary) + len(keys - boundary) if keys else len(boundary)
        if size > self._spec.boundary_cap:
            raise BoundaryFull(
                f"{size} boundary keys, at most {self._spec.boundary_cap} are kept",
                remedy="shorten incremental.overlap, or the size of the windows, "
                "or raise source.boundary_cap",
            )
        return Memory(keys, least, left)
