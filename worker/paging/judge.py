"""What the answer to the head of a pass means: `judge(standing, reply) -> Verdict`. Pure; raises,
and assigns nothing.

A verdict says everything that accepting the page changes. The planner applies it, or does not: an
error leaves the cursor, the boundary keys and the hashes of the partition as they were.

A page is held against what was asked for in this order, and what decides stands in one module each:
its seam with the page before (`seam`), null in place of records (`emptiness`), its values and keys
(`mark_rules`, `duplicates`), the pages before (`seen`, `loops`), the total (`totals`), the end of
the pass (`endings`), and what the pass has shown then (`proof`).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

import msgspec

from worker.core.cursor import Cursor, Json, PassState
from worker.core.errors import (
    BoundaryFull,
    CompletenessMissed,
    PageRefused,
    TotalMismatch,
    WindowRefused,
)
from worker.core.instants import MICROS
from worker.core.model import BoundaryKey, Decoded, Facts, Ledger
from worker.paging.duplicates import Known
from worker.paging.emptiness import refuse_null
from worker.paging.endings import (
    AskedAgain,
    BeginsAgain,
    Ending,
    GoesOn,
    PageSeen,
    PassOver,
    WindowOver,
    ending_of,
    walked,
)
from worker.paging.loops import guard, refuse_known, repeats_page
from worker.paging.mark_rules import MarkRule, mark_rule
from worker.paging.marks import Comparable
from worker.paging.memory import Boundary, at_least
from worker.paging.proof import achieved, falls_short, is_counting
from worker.paging.refused_pages import begun_smaller, left_out, refuse_empty_pass, smaller
from worker.paging.seam import Seam, seam_of
from worker.paging.seen import Seen, compared, uncompared
from worker.paging.spec import PagingSpec, PassEnd, Reply
from worker.paging.standing import Standing
from worker.paging.steps import Steps
from worker.paging.style import End, Next, is_silent
from worker.paging.totals import Count, count
from worker.paging.verdict import Memory, PageBrought, Verdict

NO_PAGE: Final = Decoded([], None, [], Facts(0))
MAX_RESTARTS: Final = 2
"""So often a pass begins again because of its seams; then it goes on, and shows nothing."""
MAX_REDONE: Final = 2
"""So often in a row a pass is read again that achieved less than is required."""
_NO_KEYS: Final[frozenset[BoundaryKey]] = frozenset()


class Judge:
    """Judges the head pages of one partition, whose name is `where`."""

    def __init__(self, spec: PagingSpec, where: str) -> None:
        self._spec, self._where = spec, where
        self._windows = spec.windows
        self.rule: MarkRule = mark_rule(spec, where)
        self.steps = Steps(spec, self.rule, where)

    def judge(self, standing: Standing, reply: Reply) -> Verdict:
        """What the answer means.

        Raises:
            PermanentError: the page is refused: a loop, records out of order or below the bound, a
                wrong key, a total that was missed, a boundary that is full.
        """
        if reply.unchanged:
            return self._unchanged(standing)
        if reply.split:
            return self._halved(standing, reply.split)
        if reply.too_large:
            return self._smaller(standing, reply.too_large)
        if reply.skipped:
            page = left_out(standing, self._spec, reply.skipped, self._where)
            return self._accepted(standing, NO_PAGE, page, reply)
        decoded = reply.decoded or NO_PAGE
        seam = seam_of(decoded.facts, standing, self._spec)
        if not seam.holds and self._may_restart(standing):
            reason = "records moved while the pages were read: the last record of a page is not "
            return self._again(standing, reason + "the first one of the next")
        page = self._held_against_pass(standing, decoded, reply, seam)
        if page.counted.shrunk and self.rule.may_fall_back and not standing.state.restarts:
            return self._again(standing, page.counted.drift, moved=True)
        return self._accepted(standing, decoded, page, reply)

    # -- a page of records ------------------------------------------------------------------------

    def _held_against_pass(
        self, standing: Standing, decoded: Decoded, reply: Reply, seam: Seam
    ) -> PageBrought:
        spec, state, facts = self._spec, standing.state, decoded.facts
        following = spec.style.after(state.at, facts, reply.headers)
        refuse_null(facts, following, spec, self._where)
        known = self.rule.classify(decoded, standing)
        seen = self._compared(standing, facts, known, seam)
        full, records = standing.is_full(state.last, spec), facts.listed - seam.records
        rows = facts.count - seam.records
        repeated = repeats_page(seen, rows, state, spec, full=full, where=self._where)
        repeated |= not seen.new and rows > 0 and self._has_all(standing)
        aside = not repeated and refuse_known(seen, rows, state, spec, self._where)
        self._drop_repeated(known, seen, decoded, seam, all_of_them=repeated)
        counted = count(
            standing.cursor,
            state,
            0 if repeated else seen.listed(facts),
            spec.total(facts, reply.headers),
            records=0 if repeated else records,
        )
        moved = "" if seam.holds else "the seams between pages do not hold"
        return PageBrought(
            facts=facts,
            records=records,
            following=following,
            seam=seam,
            known=known,
            seen=seen,
            counted=counted,
            aside=aside,
            repeated=repeated,
            doubted=bool(moved) or bool(seen.changed) or standing.has_too_many(self._spec),
            drift=counted.drift
            or moved
            or self._silent_token(standing, facts, following)
            or self._uncompared(standing),
        )

    def _compared(self, standing: Standing, facts: Facts, known: Known, seam: Seam) -> Seen:
        if not self._spec.compares:
            return uncompared(facts)
        counts = not standing.has_too_many(self._spec)
        return compared(
            facts,
            known,
            standing.memory,
            self._spec,
            begin=seam.records,
            counts=counts,
            where=self._where,
        )

    def _drop_repeated(
        self, known: Known, seen: Seen, decoded: Decoded, seam: Seam, *, all_of_them: bool
    ) -> None:
        """Without an incremental value, what came before as it is does not go on: where records
        have a key, or are those of the page before.
        """
        if self._spec.by_value:
            return
        places = {*range(decoded.facts.count if all_of_them else seam.records)}
        if self._spec.key:
            places |= seen.repeated
        rejected = {reject.index for reject in decoded.rejects}
        for index in places:
            known.drop(index, rejected)

    def _uncompared(self, standing: Standing) -> str:
        """What there is to say when records are not compared one by one any more."""
        if standing.state.uncounted or not standing.has_too_many(self._spec):
            return ""
        return (
            f"more than {self._spec.boundary_cap} records came in the pass: they are no longer "
            "compared with each other, only pages with pages (see source.boundary_cap)"
        )

    def _has_all(self, standing: Standing) -> bool:
        """Whether the pages before had as many records as the total says. A page without news
        behind them says that it is right.
        """
        cursor, state = standing.cursor, standing.state
        here = cursor.received - state.before.received
        if standing.first or state.known_pages:  # what was read before may be gone by now
            return False
        return self._spec.style.numbered and cursor.total == here > 0

    def _silent_token(self, standing: Standing, facts: Facts, following: Next | End) -> str:
        """What there is to say when no page has ever named the token of the next one."""
        cursor, token = standing.cursor, self._spec.style.token
        if (
            not is_silent(following)
            or not token
            or cursor.token_seen
            or cursor.pass_no > 1
            or facts.listed == 0
        ):
            return ""
        return f"no page has named {token} yet: check its path if there are more pages than one"

    def _accepted(
        self, standing: Standing, decoded: Decoded, page: PageBrought, reply: Reply
    ) -> Verdict:
        cursor = standing.cursor
        now_us = reply.now_us
        if now_us is None:
            now_us = round(self._spec.wall() * MICROS)
        ending = self._ending(standing, page, reply.stop, now_us)
        token = self._token(standing, ending)
        self._compare(page.counted, ending)
        standing = _begun(standing, now_us)
        snapshot, mark = self._come_to(standing, page, ending, reply, now_us)
        pass_end = self._pass_end(standing, page, ending)
        if self._spec.holds_mark and (pass_end is None or pass_end.missed):
            mark = cursor.mark
        marked = cursor.evolve(mark=mark, snapshot_mark=snapshot)
        left = self.steps.left(standing, page, ending, pass_end, marked, reply.validators)
        drift = page.drift or _shortfall(page.counted, ending)
        if pass_end is not None and pass_end.missed and self._may_redo(standing):
            drift = f"the pass was {pass_end.completeness}, {pass_end.missed} is required"
            if is_counting(standing.state):
                drift += "; its links or tokens count pages: set stable if records keep their place"
            ending, pass_end = BeginsAgain(f"{drift}: it is read again"), None
            left = self.steps.redone(standing, left)
        over = pass_end is not None
        memory = self._memory(standing, left, page.known.keys, over=over)
        kept = page.known.kept(decoded)
        goes_on = isinstance(ending, GoesOn)
        return Verdict(
            cursor=self._floored(left, memory),
            ending=ending,
            decoded=kept,
            ledger=Ledger(
                received=page.facts.count,
                filtered=page.known.beyond + page.known.below,
                deduplicated=page.known.duplicates,
                dead_lettered=len(kept.rejects),
            ),
            position=self._shown(standing.state),
            pass_no=cursor.pass_no,
            stride=page.records,
            memory=memory,
            hashes=(*page.seen.entries, *((token,) if token else ())) if goes_on else (),
            forgets_pass=not goes_on,
            pass_end=pass_end,
            drift=drift,
            noted=_noted(page),
        )

    def _ending(self, standing: Standing, page: PageBrought, stop: str, now_us: int) -> Ending:
        spec, state = self._spec, standing.state
        seen = PageSeen(
            facts=page.facts,
            records=page.records,
            following=page.following,
            numbered=spec.style.numbered,
            stop=stop,
            counted=page.counted,
            behind_full=not standing.first and standing.may_be_full(state.last, spec),
            exact=self._is_exact(standing, page),
            gap=page.seam.absent,
            repeated=page.repeated,
            beyond_range=bool(page.known.beyond) and self.rule.ordered,
            below_range=self._lies_below(page),
            whole=bool(state.asked) and page.records >= state.asked,
            skipped=page.skipped,
        )
        return ending_of(seen, state, spec.stop, self._windows, now_us)

    def _is_exact(self, standing: Standing, page: PageBrought) -> bool:
        """Whether the total may be that of a page: it is as large as the first one, and no pass has
        shown more. The page behind it is asked for then.
        """
        return standing.first and page.records > 0 and not standing.cursor.total_seen

    def _lies_below(self, page: PageBrought) -> bool:
        """Whether a source that is given no bound has come to what is older than the mark."""
        incremental = self._spec.incremental
        if incremental is None or incremental.sent or incremental.order != "descending":
            return False
        return page.known.all_below

    def _token(self, standing: Standing, ending: Ending) -> bytes | None:
        if not isinstance(ending, GoesOn):
            return None
        return guard(ending.following, standing.memory, self._where)

    def _compare(self, counted: Count, ending: Ending) -> None:
        """Fewer records than the source says it has are an error, unless what is missing was not
        asked for, or the source contradicts itself.
        """
        cut = isinstance(ending, PassOver) and ending.cut and self._windows is None
        if not walked(ending) or cut or not counted.trusted or counted.matches:
            return
        what = "pass" if self._windows is None else "window"
        raise TotalMismatch(
            f"the {what} ended with {counted.here} of {counted.total} records",
            where=self._where,
            remedy="check pagination and stop rules; where the total is not that of what was asked "
            "for (it leaves out the bound or another parameter), leave it out of the config, and "
            "where it counts records that are alike, set source.key",
        )

    def _pass_end(self, standing: Standing, page: PageBrought, ending: Ending) -> PassEnd | None:
        if not isinstance(ending, PassOver):
            return None
        spec, counted = self._spec, page.counted
        skipped = standing.state.skipped + page.skipped
        refuse_empty_pass(skipped, counted.received, self._where)
        shown = achieved(spec, standing.state, counted, ending, doubted=page.doubted)
        missed = spec.required if falls_short(shown.level, spec.required) else ""
        because = shown.because if missed else ""
        if missed and spec.incremental is not None and not spec.by_value:
            raise CompletenessMissed(
                f"the pass was {shown.level}, {missed} is required: {because}",
                where=self._where,
                remedy="the token of the next pass is not kept; lower require_completeness, or "
                "read the source so that it proves more",
            )
        number, received = standing.cursor.pass_no, counted.received
        left_out = f"; pages left out: {skipped}" if skipped else ""
        return PassEnd(number, received, ending.reason + left_out, shown.level, missed, because)

    # -- where the page leaves the partition ------------------------------------------------------

    def _come_to(
        self, standing: Standing, page: PageBrought, ending: Ending, reply: Reply, now_us: int
    ) -> tuple[Comparable | None, Comparable | None]:
        """How far the pass has come with the page, and how far the source has durably come."""
        cursor, state = standing.cursor, standing.state
        snapshot = self.rule.snapshot(cursor, page.known, page.facts, reply.headers, ending)
        mark = self.rule.mark(cursor, state, snapshot, ending, now_us)
        if isinstance(ending, PassOver) and ending.limited:
            self._refuse_cut(standing, page, mark)
        return snapshot, mark

    def _refuse_cut(self, standing: Standing, page: PageBrought, mark: Comparable | None) -> None:
        fresh = standing.state.fresh or page.known.fresh
        # a pass that is read again knows its own records
        again = standing.cursor.redone > 0
        stuck = isinstance(page.following, Next) and not (fresh or again)
        stuck = stuck and page.counted.received > 0
        most = self._spec.stop.max_pages
        self.rule.refuse_cut(standing.state, mark, max_pages=most, stuck=stuck)

    def _floored(self, cursor: Cursor, memory: Memory) -> Cursor:
        """The cursor with the value below which nothing is remembered any more."""
        if memory.floor is None or not self._spec.by_value:
            return cursor
        return cursor.evolve(floor=memory.floor)

    # -- answers without a page, and pages that are asked for again --------------------------------

    def _again(self, standing: Standing, reason: str, *, moved: bool = False) -> Verdict:
        """The page does not count: the pass begins again, at its mark if that loses nothing.

        Args:
            moved: records moved. Numbered pages may have lost some of them behind the mark.
        """
        after = self.steps.begun_again(standing)
        counts = self._spec.style.numbered or is_counting(standing.state)
        if moved and counts and after.position is not None:
            after = after.evolve(position=after.position.evolve(drifted=True))
        return self._without_page(standing, BeginsAgain(reason), after, reason)

    def _may_restart(self, standing: Standing) -> bool:
        """Whether a pass whose seams do not hold is read again: what it has brought is known."""
        told_apart = bool(self._spec.key) or self._spec.by_value
        return told_apart and standing.state.restarts < MAX_RESTARTS

    def _may_redo(self, standing: Standing) -> bool:
        """Whether a pass that achieved too little is read again at once."""
        return (
            self.rule.may_redo
            and not standing.has_too_many(self._spec)
            and standing.cursor.redone < MAX_REDONE
        )

    def _unchanged(self, standing: Standing) -> Verdict:
        """An empty, complete pass: the source is as the last complete pass saw it."""
        number, ending = standing.cursor.pass_no, PassOver("not modified", unchanged=True)
        end = PassEnd(number, 0, ending.reason, self._spec.completeness)
        after = self.steps.closed(standing.cursor)
        return msgspec.structs.replace(
            self._without_page(standing, ending, after, ""),
            memory=self._memory(standing, after, over=True),
            pass_end=end,
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
        before = state.before.evolve(pages=state.pages, received=cursor.received)
        after = cursor.evolve(
            position=self.steps.at_window(state, half, before), total=None, snapshot_mark=None
        )
        return self._without_page(standing, WindowOver(half), after, "")

    def _smaller(self, standing: Standing, reported: str) -> Verdict:
        """The source refused the page: it is asked for again with fewer records, from the same one
        on. Where it is not known which page that is, the pass begins again with smaller pages.
        """
        found = smaller(standing, self._spec, reported, self._where)
        if found.state is not None:
            after = standing.cursor.evolve(position=found.state)
            return self._without_page(standing, AskedAgain(), after, "")
        if not self._may_restart(standing):
            raise PageRefused(
                f"{reported}, for a page of {found.size} records. The pages before it did not have "
                "so many each, so nobody can tell which page of a smaller size begins where it "
                "does",
                where=self._where,
                remedy="lower pagination.size, use type offset, or set source.key, so that the "
                "pass can begin again",
            )
        reason = f"{reported}: the pass begins again with {found.less} records a page"
        verdict = self._again(standing, reason)
        if (begun := verdict.cursor.position) is None:
            return verdict
        after = verdict.cursor.evolve(position=begun_smaller(begun, standing, found.less))
        return msgspec.structs.replace(verdict, cursor=after)

    def _without_page(
        self, standing: Standing, ending: Ending, after: Cursor, drift: str
    ) -> Verdict:
        """An answer of which no record counts."""
        return Verdict(
            cursor=after,
            ending=ending,
            decoded=NO_PAGE,
            ledger=Ledger(),
            position=self._shown(standing.state),
            pass_no=standing.cursor.pass_no,
            forgets_pass=self._forgets(ending),
            drift=drift,
        )

    def _forgets(self, ending: Ending) -> bool:
        """Whether what was remembered of the pass so far is forgotten."""
        if isinstance(ending, AskedAgain):
            return False
        return not isinstance(ending, BeginsAgain) or self.rule.may_fall_back

    def _shown(self, state: PassState) -> Json:
        """The position of the page for people: that of the style, and which window it is in."""
        if state.window is None or self._windows is None:
            return state.at
        return {"at": state.at, "window": list(self._windows.asked(state.window.window))}

    # -- what is remembered -----------------------------------------------------------------------

    def _memory(
        self,
        standing: Standing,
        cursor: Cursor,
        keys: Set[BoundaryKey] = _NO_KEYS,
        *,
        over: bool,
    ) -> Memory:
        """The keys that are worth remembering at `cursor`, of those that were and of new `keys`.

        Raises BoundaryFull when they are too many. None of them is kept then, or the records of
        the page would be duplicates when it comes again.
        """
        boundary = standing.boundary
        size = len(boundary) + len(keys)
        floor = self.rule.floor(
            cursor,
            standing.state,
            over=over,
            many=max(size, standing.cursor.received) > self._spec.few,
        )
        if floor is not None:
            keys = at_least(keys, floor)
        if size > self._spec.boundary_cap:
            self._refuse_full(boundary, keys, floor)
        return Memory(keys, floor)

    def _refuse_full(
        self, boundary: Boundary, keys: Set[BoundaryKey], floor: Comparable | None
    ) -> None:
        size = len(at_least(boundary.keys | keys, floor))
        if size > self._spec.boundary_cap:
            capped = self._spec.incremental is not None and self._spec.incremental.capped
            future = "; or set incremental.future: allow where its times are later than now"
            raise BoundaryFull(
                f"{size} boundary keys, at most {self._spec.boundary_cap} are kept",
                where=self._where,
                remedy="shorten incremental.overlap, or the size of the windows, "
                f"or raise source.boundary_cap{future if capped else ''}",
            )


def _begun(standing: Standing, now_us: int) -> Standing:
    """The standing with the time of the first page of the pass."""
    if standing.state.pages:
        return standing
    state = standing.state.evolve(began_us=max(now_us, 0))
    return msgspec.structs.replace(standing, state=state)


def _shortfall(counted: Count, ending: Ending) -> str:
    """What there is to say where a total was not reached, and that is no error."""
    if not walked(ending) or counted.total is None or counted.stored is None:
        return ""
    # one of what remains may count the page or what is behind it: the smaller number is sure
    total = min(counted.total, counted.stored)
    return (
        "" if counted.here >= total else f"the pages ended with {counted.here} of {total} records"
    )


def _noted(page: PageBrought) -> dict[str, int]:
    """The oddities of a page that are counted."""
    found = {
        "below_bound": page.known.below + page.known.late,
        "key_repeated": page.seen.changed,
        "key_missing": page.facts.keyless,
    }
    return {kind: records for kind, records in found.items() if records}
