"""The planner of one partition: which page to ask for next, and what an answer means. Pure.

Rule 1: all decisions about pages, passes, marks and duplicates are made in order, on the *head*
page. `judge.py` makes them.
Rule 2: pages fetched ahead are guesses. They wait until the head reaches exactly their position;
        when it goes elsewhere, they are thrown away and planned again. `ahead.py` keeps them.
Rule 3: nothing here has happened until the `Accepted` it returned is committed; a planner is
rebuilt from the commit log.
Rule 4: with windows (windows.py) the pages of one window are walked as those of a pass are
        elsewhere: stop rules, totals, the loop guard and the check of the order hold within it. The
        mark moves when a window is over, to its end.
Rule 5: a judgement raises and assigns nothing; `_apply` is the only place where an answer changes
the partition.

    next(now)  -> Fetch | Wait | Done | None       None: busy, something is in flight
    accept(fetch, reply, now) -> [Accepted, ...]   raises PermanentError: the head page was refused
    drop(fetch)                                    a fetch that failed; the head is asked for again
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from worker.core.cursor import Cursor, Json, PassState, Window
from worker.core.errors import PermanentError
from worker.core.model import Claim, Progress
from worker.paging.ahead import FetchAhead
from worker.paging.endings import AskedAgain, BeginsAgain, GoesOn, PassOver, WindowOver
from worker.paging.judge import MAX_RESTARTS, Judge
from worker.paging.memory import Boundary, PassMemory
from worker.paging.resume import (
    as_begun,
    is_resized,
    known_as_begun,
    refuse_unfit,
    resized,
)
from worker.paging.schedule import Schedule
from worker.paging.spec import Accepted, Done, Fetch, PagingSpec, Reply, Wait
from worker.paging.standing import Standing
from worker.paging.verdict import Verdict

LOOK_S: Final = 300.0
"""Who waits for a time of day looks at the clock so often: it may be set meanwhile."""


class PartitionPlanner:
    """See the module.

    Args:
        claim: where the commit log says that the partition stands.
        due: the monotonic second from which on the pass after the last one that was begun may
            begin; None: at once.
        asks_for: digest of the record that names the partition, where passes follow from its
            changes; else empty.
    """

    def __init__(
        self, spec: PagingSpec, claim: Claim, due: float | None = None, asks_for: bytes = b""
    ) -> None:
        self.partition = claim.partition
        refuse_unfit(spec, claim.cursor, claim.partition)
        self._spec = spec
        begun = as_begun(spec, claim.cursor.position)
        self._judge = Judge(begun, claim.partition)
        self._keeps_order = begun is not spec
        self._ahead = FetchAhead(spec.style, spec.depth)
        self._asks_for = asks_for
        self._cursor = known_as_begun(spec, _reopened(claim.cursor, spec))
        self._opening: PassState | None = None  # a pass of which no page was accepted yet
        self._boundary = Boundary(claim.boundary)
        self._memory = PassMemory(claim.tokens)
        self._forgets_pass = False
        self._fell_back = False
        self._due = due
        self._planned = 0.0  # the same in seconds since 1970, once it is known
        self._begun_for = 0.0  # what that was of the last pass that was begun here
        self._passes = 0
        position = self._cursor.position
        if is_resized(spec, position):
            self._begin_resized()
        elif position is not None and position.aside and position.restarts < MAX_RESTARTS:
            # a loop may have ended the process before: it may have been none, or be over by now
            self._begin_again()

    def __repr__(self) -> str:
        return f"<PartitionPlanner {self.partition} pass={self._cursor.pass_no} {self._ahead!r}>"

    @property
    def cursor(self) -> Cursor:
        """Where the partition stands after everything that was accepted."""
        return self._cursor

    @property
    def due(self) -> float | None:
        """The monotonic second when the pass after the last one that was begun is due.

        None where no schedule says so.
        """
        return self._due

    @property
    def speculating(self) -> bool:
        """Pages fetched ahead wait for the head: the head must be admitted, or they would wait for
        ever.
        """
        return self._ahead.speculating

    @property
    def waiting(self) -> Iterable[Reply]:
        """The pages that were fetched ahead and wait for the head."""
        return self._ahead.waiting

    def ask_for(self, asks_for: bytes) -> None:
        """The record that names the partition has changed: another pass follows."""
        self._asks_for = asks_for

    @property
    def asks_again(self) -> bool:
        """Whether a pass follows because the record that names the partition has changed."""
        changed = bool(self._asks_for) and self._cursor.asked_for != self._asks_for
        return changed and not (self._spec.once and self._passes)

    @property
    def fetches_ahead(self) -> bool:
        """Whether there may be something to ask for while a page is in flight."""
        spec = self._spec
        return spec.depth > 1 and (spec.style.numbered or spec.windows is not None)

    # -- what to ask for
    # ------------------------------------------------------------------------------------------

    def next(self, now: float) -> Fetch | Wait | Done | None:
        """The next thing to do; see the module."""
        if self._cursor.complete:
            if not self.asks_again:
                return Done("read once and complete")
            self._cursor = _next_reading(self._cursor)
        if self._cursor.position is None and self._opening is None:
            if (rest := self._between_passes(now)) is not None:
                return rest
            self._begun_for = self._planned
            # kept until its first page is accepted: the answer must be to what was asked, however
            # late it comes
            self._opening = self._judge.rule.begin(self._cursor)
            if self._opening is None:
                return self._idle(now)
            if self._asks_for:
                self._opening = self._opening.evolve(asked_for=self._asks_for)
        state = self._state
        if self._ahead.asked(state.at, _window(state), state.asked):
            return self._look_ahead(state)
        if state.pages == 0 or self._due is None:
            self._schedule(now)
        return self._launch(state.at, _window(state), state, speculative=False)

    def _look_ahead(self, state: PassState) -> Fetch | None:
        """A page that is likely to be asked for after the head; None where there is none."""
        cursor, window, windows = self._cursor, _window(state), self._spec.windows
        received = cursor.received - state.before.received
        guess = self._ahead.guess(state.at, received, cursor.total, window, state.asked)
        if guess is not None:
            return self._launch(guess, window, state, speculative=True)
        if window is None or windows is None:
            return None
        there = state.evolve(asked=self._judge.steps.size_behind(state))
        later = self._ahead.later_window(window, windows.after, there.asked)
        if later is None:
            return None
        return self._launch(self._spec.style.first(), later, there, speculative=True)

    @property
    def _state(self) -> PassState:
        """Where the head of the pass in progress stands."""
        state = self._cursor.position or self._opening
        assert state is not None, "a pass is begun before anything of it is asked for"
        return state

    def _between_passes(self, now: float) -> Wait | Done | None:
        """What there is to do before a new pass may begin; None when it may."""
        schedule = self._spec.schedule
        if self._passes and (self._spec.once or (schedule is None and not self.asks_again)):
            return Done("pass complete")
        if schedule is not None and schedule.by_clock and not self._spec.once:
            return self._until_admitted(schedule, now)
        return Wait(self._due) if self._due is not None and now < self._due else None

    def _until_admitted(self, schedule: Schedule, now: float) -> Wait | None:
        """Waits for a time of day, by the wall clock; None when it has come."""
        wall = self._spec.wall()
        if self._due is not None and not self._planned:
            self._planned = wall + self._due - now
        wait_s = schedule.admits(max(self._planned, wall)) - wall
        return Wait(now + min(wait_s, LOOK_S)) if wait_s > 0 else None

    def _schedule(self, now: float) -> None:
        if (schedule := self._spec.schedule) is not None:
            wall = self._spec.wall()
            self._planned = schedule.after(wall, self._begun_for) + self._spec.jitter()
            self._due = now + self._planned - wall

    def _idle(self, now: float) -> Wait | Done:
        """No window is over yet: there is nothing to ask for."""
        self._schedule(now)
        if self._spec.once or self._due is None:
            return Done("no window is over yet")
        return Wait(self._due)

    def _launch(
        self, position: Json, window: Window | None, state: PassState, *, speculative: bool
    ) -> Fetch:
        begins = state.pages_here == 0 and not speculative
        address, windows = self._spec.style.address(position), self._spec.windows
        if state.asked and self._spec.sizes is not None:
            address = address.plus(self._spec.sizes.address(self._spec.sizes.now(state.asked)))
        if window is not None and windows is not None:
            address = windows.address(*windows.asked(window)).plus(address)
        fetch = Fetch(
            position=position,
            address=address,
            since=state.since,
            speculative=speculative,
            first=begins or window != _window(state),
            generation=self._ahead.generation,
            size=state.asked,
            unmarked=state.unmarked,
            window=window,
            validators=self._cursor.validators if begins else None,
            columns=state.columns,
        )
        self._ahead.launched(fetch)
        return fetch

    # -- what an answer means
    # -------------------------------------------------------------------------------------

    def drop(self, fetch: Fetch) -> None:
        """The fetch brought nothing.

        A guess that failed stops guessing until the head has moved.
        """
        self._ahead.failed(fetch)

    def throw_away_ahead(self) -> None:
        """What was fetched ahead of the head is not waited for; there are no guesses until the head
        has moved. The head stays, if it is in flight.
        """
        self._ahead.discard_guesses()

    def fall_back(self) -> bool:
        """The source refused the position of the pass. Starts the pass again at the mark, if that
        loses nothing.

        Only ascending sources, and windows, have a mark that is true in the middle of a pass; once
        per pass, or it would go in circles.
        """
        if not self._judge.rule.may_fall_back or self._fell_back or self._cursor.position is None:
            return False
        self._fell_back = True
        self._begin_again()
        return True

    def _begin_again(self) -> None:
        """What a pass has brought is behind its mark, or else known by its identities."""
        asked_for = self._state.asked_for
        self._cursor = self._judge.steps.begun_again(self._standing())
        if asked_for and (begun := self._cursor.position) is not None:
            self._cursor = self._cursor.evolve(position=begun.evolve(asked_for=asked_for))
        if self._judge.rule.may_fall_back:
            self._memory.clear()
            self._forgets_pass = True
        self._ahead.discard()

    def _end_kept_order(self) -> None:
        """The next pass is read in the order that the config says."""
        if self._keeps_order:
            self._judge = Judge(self._spec, self.partition)
            self._keeps_order = False

    def _begin_resized(self) -> None:
        """The pass counts pages of another size than those that are asked for now."""
        before = self._state
        self._begin_again()
        if (begun := self._cursor.position) is not None:
            self._cursor = self._cursor.evolve(position=resized(begun, before, self._spec))

    def accept(self, fetch: Fetch, reply: Reply, now: float) -> list[Accepted]:
        """Takes the answer, and every one that waits and whose turn has come."""
        if not self._ahead.landed(fetch):
            return []  # thrown away while it was in flight
        if not self._is_head(fetch):
            self._ahead.keep(fetch, reply)
            return []
        accepted: list[Accepted] = []
        head: Reply | None = reply
        while head is not None:
            try:
                verdict = self._judge.judge(self._standing(), head)
                verdict.cursor.refuse_oversized(self.partition)
            except PermanentError:
                if accepted:
                    # they must not be lost with a guess behind them; it is asked for again, as the
                    # head
                    return accepted
                raise
            accepted.append(self._apply(verdict))
            if self._cursor.position is None:
                return accepted
            state = self._state
            head = self._ahead.take(state.at, _window(state), state.asked)
        return accepted

    def _is_head(self, fetch: Fetch) -> bool:
        state, its = self._state, fetch.window
        here = _window(state)
        if its is not None and here is not None and (its.start, its.end) != (here.start, here.end):
            return False
        return bool(fetch.position == state.at and fetch.size == state.asked)

    def _standing(self) -> Standing:
        return Standing(self._cursor, self._state, self._boundary, self._memory)

    def _apply(self, verdict: Verdict) -> Accepted:
        """Changes the partition as the verdict says; returns the same change as a difference."""
        before, list_over = self._state, 0
        self._cursor, self._opening = verdict.cursor, None
        self._boundary.forget(verdict.memory.floor)
        new_keys = self._boundary.add(verdict.memory.added)
        cleared, self._forgets_pass = self._forgets_pass or verdict.forgets_pass, False
        if verdict.forgets_pass:
            self._memory.clear()
        self._memory.add(verdict.hashes)
        match verdict.ending:
            case GoesOn(following=following):
                self._ahead.moved(verdict.stride, following.left)
            case WindowOver(window=window):
                self._ahead.start_over(window)
            case PassOver(whole=whole):
                if before.asked_for:
                    self._cursor = self._cursor.evolve(asked_for=before.asked_for)
                if self._spec.listed and whole and not before.skipped:
                    list_over = verdict.pass_no
                self._passes += 1
                self._fell_back = False
                self._ahead.start_over()
                self._end_kept_order()
            case BeginsAgain() | AskedAgain():
                self._ahead.start_over()
        progress = Progress(
            cursor=self._cursor,
            boundary_added=tuple(new_keys),
            boundary_floor=verdict.memory.floor,
            tokens_added=verdict.hashes,
            tokens_cleared=cleared,
            list_over=list_over,
        )
        return Accepted(
            decoded=verdict.decoded,
            position=verdict.position,
            group=verdict.pass_no,
            progress=progress,
            ledger=verdict.ledger,
            pass_end=verdict.pass_end,
            drift=verdict.drift,
            noted=verdict.noted,
        )


def _reopened(cursor: Cursor, spec: PagingSpec) -> Cursor:
    """The cursor of a source that was read once: a schedule that was added since reads it again."""
    return cursor if not cursor.complete or spec.schedule is None else _next_reading(cursor)


def _next_reading(cursor: Cursor) -> Cursor:
    """The cursor of a source that was read once, and is read again."""
    return Cursor(
        pass_no=cursor.pass_no + 1, validators=cursor.validators, asked_for=cursor.asked_for
    )


def _window(state: PassState) -> Window | None:
    """The time window in progress; None where the source is not read in windows."""
    return None if state.window is None else state.window.window
