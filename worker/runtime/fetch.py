"""Fetch workers over a queue of due partitions: a few tasks serve any number of partitions.

A worker takes the partition that is due first, asks its planner what to do, does one request, and
puts it back. It never sleeps on a closed gate, an open breaker or a schedule: the partition goes
back to the queue with its time. A partition that fails is parked with its reason and probed again
later; the others go on.

Memory is reserved before a request is made, by what the last pages took: that is the backpressure
(see `budget.py`). The pages that a partition has fetched ahead hold memory until their head comes:
where the head finds no room, they are thrown away, so that it never waits for what waits for it.

A request that hangs does not keep others from being made: see `lanes.py`.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final, Protocol

from worker.core.errors import (
    CompletenessMissed,
    CursorInvalid,
    Deferred,
    TransientError,
    WorkerError,
)
from worker.core.events import (
    DriftSeen,
    Emit,
    PageAccepted,
    PartitionParked,
    PartitionSlow,
    PassEnded,
    RecordsNoted,
    TimesDoubtful,
)
from worker.core.meter import Backlog, StageTimes
from worker.core.ports import Clock, Room
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Accepted, Done, Fetch, Reply, Wait
from worker.resilience.backoff import doubling_s
from worker.runtime.budget import Hold, NoRoom, Share
from worker.runtime.channel import Channel
from worker.runtime.expected import DECODED_FACTOR, Expected
from worker.runtime.lanes import Lanes, Place
from worker.runtime.parked import Parked
from worker.runtime.registry import Registry
from worker.runtime.timetable import Timetable

REPROBE_S: Final = 60.0
REPROBE_CAP_S: Final = 3600.0
LEAST_WAIT_S: Final = 0.001
"""Who defers a request until now gets it back after this: other work comes first."""
LOOKS: Final = 8
"""Requests in flight are looked at so often within the patience that they have."""


@dataclass(frozen=True, slots=True)
class Page:
    """An accepted page of a partition, on its way to the flow."""

    partition: str
    accepted: Accepted
    hold: Hold


class Fetcher(Protocol):
    """One request with everything round it: retries, breaker, gate.

    Called on the event loop, once for each fetch. When it takes long it may be cancelled, and it is
    called again later.
    Raises Deferred to be called again later, other WorkerErrors to park the partition.
    """

    async def __call__(self, partition: str, fetch: Fetch, room: Room) -> Reply: ...


@dataclass(slots=True, eq=False)
class Flight:
    """A request in flight: since when, in whose place, and what ends it early."""

    partition: str
    since: float
    place: Place
    limit: asyncio.Timeout
    landed: bool = False


class DueQueue:
    """Partitions by the time at which they are due; each waits in one place at most."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, PartitionPlanner]] = []
        self._waiting: dict[str, float] = {}
        self._order = count()  # among partitions that are due at the same time: round robin

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, planner: PartitionPlanner, due: float) -> None:
        """Puts a partition in, or lets it wait for less time than it does."""
        if due >= self._waiting.get(planner.partition, math.inf):
            return
        self.remove(planner.partition)
        self._waiting[planner.partition] = due
        heapq.heappush(self._heap, (due, next(self._order), planner))

    def pop(self, now: float) -> PartitionPlanner | None:
        """The partition that has been due for longest; None when there is none yet."""
        if not self._heap or self._heap[0][0] > now:
            return None
        _, _, planner = heapq.heappop(self._heap)
        del self._waiting[planner.partition]
        return planner

    def count(self, now: float) -> int:
        """How many partitions are due."""
        return sum(due <= now for due in self._waiting.values())

    def others(self, partition: str, now: float) -> bool:
        """Whether any partition but this one is due."""
        return any(due <= now and name != partition for name, due in self._waiting.items())

    def wait_s(self, now: float) -> float | None:
        """Seconds until a partition is due; None when none waits."""
        return self._heap[0][0] - now if self._heap else None

    def remove(self, partition: str) -> None:
        """Takes a partition out, whenever it is due."""
        if self._waiting.pop(partition, None) is not None:
            self._heap = [entry for entry in self._heap if entry[2].partition != partition]
            heapq.heapify(self._heap)


class FetchPool:
    """Runs planners until all are done, parked (with `once`) or `stop` is set.

    Args:
        parked: what failed before the pool was made, and is not served until its time.
        registry: brings partitions that are found.

        may_give_up: a request may be given up and made again later.

    Attributes:
        parked: partition -> why it is not served; empty again once it has been served.
        done: partition -> why there is nothing more to fetch.
    """

    def __init__(
        self,
        planners: Sequence[PartitionPlanner],
        fetcher: Fetcher,
        channel: Channel[Page],
        share: Share,
        timetable: Timetable,
        *,
        parked: Mapping[str, Parked],
        pipeline: str,
        concurrency: int,
        may_give_up: bool,
        once: bool,
        patience_s: float,
        clock: Clock,
        emit: Emit,
        times: StageTimes,
        backlog: Backlog,
        registry: Registry | None = None,
    ) -> None:
        self._registry = registry
        self.parked = dict(parked)
        self.done: dict[str, str] = {}
        self._fetcher, self._channel, self._timetable = fetcher, channel, timetable
        self._share, self._expected = share, share.expected()
        self._needs: dict[str, Expected] = {}  # of pages that were given back, by partition
        self._kept: dict[str, dict[int, Hold]] = {}  # of pages fetched ahead, by partition
        self._pipeline, self._lanes, self._may_give_up = pipeline, Lanes(concurrency), may_give_up
        self._once, self._patience_s = once, patience_s
        self._clock, self._emit = clock, emit
        self._times, self._backlog = times, backlog
        self._due, self._slow_due = DueQueue(), DueQueue()
        self._flights: set[Flight] = set()
        self._flying = asyncio.Event()
        for planner in planners:
            failed = self.parked.get(planner.partition)
            self._due.push(planner, clock.monotonic() if failed is None else failed.until)
        self._busy = 0  # workers with a partition in their hands
        self._watched_until = math.inf  # in monotonic seconds, by one of the workers that wait
        self._changed = asyncio.Condition()  # something was put into the queue, or a worker is free
        self._failing_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}  # of deferred partitions, which may wait already

    def __repr__(self) -> str:
        return (
            f"<FetchPool {self._pipeline} due={len(self._due)} slow={len(self._slow_due)} "
            f"busy={self._busy} "
            f"parked={len(self.parked)} done={len(self.done)}>"
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until nothing is left to fetch or `stop` is set, which gives up requests in flight."""
        registry = self._registry
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(self._work(stop), name=f"{self._pipeline}.fetch.{number}")
                for number in range(self._lanes.workers + self._lanes.most_lent)
            ]
            side = [
                group.create_task(work, name=f"{self._pipeline}.fetch.{name}")
                for name, work in (
                    ("stop", _cancel_on(stop, workers)),
                    ("due", self._timetable.run()),
                    ("slow", self._relieve()),
                    *([("found", registry.feed(self, workers))] if registry is not None else []),
                )
            ]
            await asyncio.wait(workers)
            for task in side:
                task.cancel()
        for partition in list(self._kept):
            self._let_go(partition, ())
        await self._timetable.save()

    # -- a worker ---------------------------------------------------------------------------------

    async def _work(self, stop: asyncio.Event) -> None:
        with self._times.working():
            # `stop` is asked too: a cancellation that is lost in a request costs that request, not
            # the drain
            while not stop.is_set() and (found := await self._next_due()) is not None:
                planner, place = found
                if self._registry is not None:
                    self._registry.taken(planner.partition)
                try:
                    await self._serve(planner, place)
                finally:
                    self._busy -= 1
                    if self._registry is not None:
                        self._registry.left(planner.partition)
                    self._lanes.leave(place)  # for itself: it looks for something to do now
                    if self._nothing_left:
                        async with self._changed:
                            self._changed.notify_all()

    async def _next_due(self) -> tuple[PartitionPlanner, Place] | None:
        """The partition that is due and a place for it, waiting for both.

        None when there will never be one again.
        """
        async with self._changed:
            while True:
                now = self._clock.monotonic()
                if (found := self._pop(now)) is not None:
                    self._busy += 1
                    if len(self._due) or len(self._slow_due):
                        self._changed.notify()  # for what else is due, and to watch the time
                    return found
                if self._nothing_left:
                    return None
                with self._times.idle():
                    await self._change_within(now, self._wait_s(now))

    @property
    def _nothing_left(self) -> bool:
        """Whether no partition will ever be due again."""
        waiting = self._busy or len(self._due) or len(self._slow_due)
        return not (waiting or (self._registry is not None and self._registry.may_bring))

    def _pop(self, now: float) -> tuple[PartitionPlanner, Place] | None:
        """A partition that may be served now.

        Slow ones have the places that may be lent, and those that nobody else wants.
        """
        lanes = self._lanes
        if lanes.may_lend and (planner := self._slow_due.pop(now)) is not None:
            return planner, lanes.take(lent=True)
        if lanes.free and (planner := self._due.pop(now) or self._slow_due.pop(now)) is not None:
            return planner, lanes.take()
        return None

    def _wait_s(self, now: float) -> float | None:
        """Seconds until a partition may be served; None: when something has changed."""
        lanes = self._lanes
        waits = [self._due.wait_s(now)] if lanes.free else []
        if lanes.free or lanes.may_lend:
            waits.append(self._slow_due.wait_s(now))
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    async def _change_within(self, now: float, wait_s: float | None) -> None:
        """Waits for a change, at most so long.

        One of those that wait watches the time: a timer for each would wake all of them for one
        partition. Whoever is served wakes another one, which watches then.

        Not with `wait_for`: before Python 3.12 it loses a cancellation that comes with the wake-up.
        """
        until = math.inf if wait_s is None else now + wait_s
        if until >= self._watched_until:
            await self._changed.wait()
            return
        self._watched_until = until
        try:
            async with asyncio.timeout(wait_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        finally:
            self._watched_until = math.inf

    async def _requeue(self, planner: PartitionPlanner, due: float) -> None:
        """Puts a partition back. It may be in flight several times, but waits in one place."""
        if planner.partition in self.done or self._is_resting(planner):
            return
        if (parked := self.parked.get(planner.partition)) is not None:
            if self._once:
                return
            due = max(due, parked.until)
        slow = self._lanes.is_slow(planner.partition)
        async with self._changed:
            (self._due if slow else self._slow_due).remove(planner.partition)
            (self._slow_due if slow else self._due).push(planner, due)
            self._changed.notify()  # one of those that wait is enough for one partition

    async def _serve(self, planner: PartitionPlanner, place: Place) -> None:
        """Does what the planner of a due partition says."""
        now = self._clock.monotonic()
        if (not_before := self._not_before.pop(planner.partition, now)) > now:
            await self._requeue(planner, not_before)
            return
        match planner.next(now):
            case Done(reason):
                if not self._rests(planner, None):
                    self.done[planner.partition] = reason
            case Wait(until):
                if not self._rests(planner, until):
                    await self._requeue(planner, until)
            case Fetch() as fetch:
                await self._fetch(planner, fetch, place)
            case None:
                pass  # its pages are in flight elsewhere; whoever carries them puts it back

    # -- partitions that are found ----------------------------------------------------------------

    def _rests(self, planner: PartitionPlanner, until: float | None) -> bool:
        """Whether a partition was found, so that it need not stay here until it is due again."""
        registry = self._registry
        return registry is not None and registry.rests(self, planner, until)

    def _is_resting(self, planner: PartitionPlanner) -> bool:
        return self._registry is not None and self._registry.is_resting(planner.partition)

    async def serve(self, planner: PartitionPlanner, parked: Parked | None = None) -> None:
        """Serves a partition from now on, which may have failed before."""
        if parked is not None:
            self.parked.setdefault(planner.partition, parked)
        async with self._changed:
            self._due.push(planner, self._clock.monotonic())
            self._changed.notify()

    async def wake(self) -> None:
        """Nothing more may be found: who waits for that looks again."""
        async with self._changed:
            self._changed.notify_all()

    def forget(self, partition: str) -> None:
        """The partition is served no more, until it is served anew. That it is parked is kept."""
        for known in (self._failing_since, self._not_before, self._needs):
            known.pop(partition, None)
        self._lanes.forget(partition)
        self._let_go(partition, ())  # what was fetched ahead of a page that failed

    # -- a request --------------------------------------------------------------------------------

    async def _fetch(self, planner: PartitionPlanner, fetch: Fetch, place: Place) -> None:
        """One request, and the pages that it makes acceptable into the channel."""
        hold = await self._reserve(planner, fetch)
        try:
            if planner.fetches_ahead:  # others may do so meanwhile
                await self._requeue(planner, self._clock.monotonic())
            accepted = await self._ask(planner, fetch, place, hold)
            if accepted is None:
                return
            self._failing_since.pop(planner.partition, None)
            self._needs.pop(planner.partition, None)
            self.parked.pop(planner.partition, None)
            if accepted:
                self._timetable.works(planner.partition, accepted[0].group, planner.due)
            for page in accepted:
                await self._pass_on(planner.partition, page)
                await self._answer_for(planner, page)
            await self._requeue(planner, self._clock.monotonic())
        finally:
            self._let_go(planner.partition, planner.waiting)
            if hold.state != "ahead" and not self._is_kept(planner.partition, hold):
                hold.release()

    async def _reserve(self, planner: PartitionPlanner, fetch: Fetch) -> Hold:
        """Backpressure acts here, before the request."""
        awaited = planner.speculating and not fetch.speculative
        expected = self._needs.get(planner.partition, self._expected)
        if awaited and not self._share.has_room(expected):
            planner.throw_away_ahead()
            self._let_go(planner.partition, ())
            awaited = False
        try:
            with self._times.blocked():
                return await self._share.reserve(expected, early=fetch.speculative, force=awaited)
        except BaseException:
            planner.drop(fetch)
            raise

    async def _ask(
        self, planner: PartitionPlanner, fetch: Fetch, place: Place, hold: Hold
    ) -> Sequence[Accepted] | None:
        """The pages that this request made acceptable, in order; None when it brought nothing."""
        try:
            reply = await self._answer(planner, fetch, place, hold)
            if reply is not None:
                self._keep(planner.partition, reply, hold)
                return planner.accept(fetch, reply, self._clock.monotonic())
            planner.drop(fetch)
            await self._requeue(planner, self._clock.monotonic())
        except Deferred as deferred:
            planner.drop(fetch)
            if isinstance(deferred, NoRoom) and not fetch.speculative:
                self._give_back(planner, deferred.page_bytes)
            await self._defer(planner, fetch, deferred)
        except WorkerError as error:
            planner.drop(fetch)
            await self._fail(planner, fetch, error)
        except BaseException:
            planner.drop(fetch)
            raise
        return None

    async def _answer_for(self, planner: PartitionPlanner, page: Accepted) -> None:
        """A run of one pass ends with an error where the pass achieved less than is required."""
        end = page.pass_end
        if self._once and end is not None and end.missed:
            error = CompletenessMissed(
                f"pass {end.number} was {end.completeness}, {end.missed} is required: "
                f"{end.because}",
                where=planner.partition,
                remedy="read the source so that it proves more, or lower require_completeness",
            )
            await self._park(planner, error)

    async def _answer(
        self, planner: PartitionPlanner, fetch: Fetch, place: Place, hold: Hold
    ) -> Reply | None:
        """The answer to a request; None when it was slow and was given up."""
        partition, limit = planner.partition, asyncio.timeout(None)
        flight = Flight(partition, self._clock.monotonic(), place, limit)
        landing = _Landing(self, flight, hold, planner, guess=fetch.speculative)
        try:
            async with limit:
                self._flights.add(flight)
                self._flying.set()
                reply = await self._fetcher(partition, fetch, landing)
        except TimeoutError:
            if not limit.expired():
                raise
            self._lanes.gave_up(partition, self._clock.monotonic() - flight.since)
            return None
        except WorkerError:
            if not flight.landed:
                self._lanes.waited(partition, self._clock.monotonic() - flight.since)
            raise
        finally:
            self._flights.discard(flight)
        if not flight.landed:
            self._lanes.answered(partition, self._clock.monotonic() - flight.since)
        return reply

    def landed(self, flight: Flight, body_bytes: int, page_bytes: int) -> None:
        """The answer is here: what it waits for from now on is not the source."""
        flight.landed = True
        self._flights.discard(flight)
        self._lanes.answered(flight.partition, self._clock.monotonic() - flight.since)
        if page_bytes <= self._share.budget.bound_bytes:  # else it says nothing of those that fit
            self._expected.came(body_bytes, page_bytes)

    def comes(self, body_bytes: int) -> int:
        """What the page of a body will probably take that has come so far, and may go on."""
        return self._expected.comes(body_bytes)

    @contextmanager
    def interrupted(self, flight: Flight) -> Iterator[None]:
        """The answer is not received for a while, which is not the source's fault."""
        began = self._clock.monotonic()
        self._flights.discard(flight)
        try:
            yield
        finally:
            flight.since += self._clock.monotonic() - began
            self._flights.add(flight)
            self._flying.set()

    # -- what pages hold --------------------------------------------------------------------------

    def _give_back(self, planner: PartitionPlanner, page_bytes: int) -> None:
        """The page had no room. When it is asked for again, all that it needs is reserved before,
        and nothing of its partition holds memory meanwhile.
        """
        known = self._needs.get(planner.partition)
        most = page_bytes if known is None else max(page_bytes, known.page_bytes)
        self._needs[planner.partition] = Expected(most, most, known=True)
        planner.throw_away_ahead()

    def _keep(self, partition: str, reply: Reply, hold: Hold) -> None:
        """The page holds its memory until it is accepted, or thrown away."""
        if reply.decoded is None:
            return
        facts = reply.decoded.facts
        if hold.state == "flying":  # it did not say what it takes
            hold.become("kept")
            hold.resize(facts.size_bytes * DECODED_FACTOR)
            self._expected.came(facts.size_bytes, hold.size_bytes)
        else:
            hold.become("kept")
        self._kept.setdefault(partition, {})[id(facts)] = hold

    def _is_kept(self, partition: str, hold: Hold) -> bool:
        return hold in self._kept.get(partition, {}).values()

    def _let_go(self, partition: str, waiting: Iterable[Reply]) -> None:
        """Pages that were thrown away hold nothing any more; `waiting` are those that were not."""
        if (kept := self._kept.get(partition)) is None:
            return
        still = {id(reply.decoded.facts) for reply in waiting if reply.decoded is not None}
        for key in kept.keys() - still:
            kept.pop(key).release()
        if not kept:
            del self._kept[partition]

    # -- requests that hang -----------------------------------------------------------------------

    async def _relieve(self) -> None:
        """Looks at requests in flight, as long as there are any."""
        while True:
            await self._flying.wait()
            loop, wait_s = asyncio.get_running_loop(), self._lanes.patience_s / LOOKS
            due = loop.time() + wait_s
            await asyncio.sleep(wait_s)
            # after a stall of the loop itself, answers may wait to be read
            if loop.time() < due + wait_s:
                await self._make_room()
            if not self._flights:
                self._flying.clear()

    async def _make_room(self) -> None:
        """Slow requests lend their places to partitions that are due, or are given up for them."""
        now, lanes = self._clock.monotonic(), self._lanes
        wanted, lent = self._due.count(now) - (lanes.workers - lanes.taken), 0
        for flight in self._slow_flights(now):
            if wanted <= 0:
                break
            if not self._due.others(flight.partition, now):
                continue
            if lanes.may_lend:
                lanes.lend(flight.place)
                lanes.waited(flight.partition, now - flight.since)
                lent += 1
            elif self._may_give_up:
                self._flights.discard(flight)
                flight.limit.reschedule(0.0)
            else:
                break
            wanted -= 1
            self._emit(PartitionSlow(self._pipeline, flight.partition, now - flight.since))
        async with self._changed:
            self._changed.notify(lent)

    def _slow_flights(self, now: float) -> list[Flight]:
        """Requests that hold the places of others, the oldest first."""
        lanes = self._lanes
        slow = [
            flight
            for flight in self._flights
            if not flight.place.lent and now - flight.since >= lanes.patience_s
        ]
        return sorted(slow, key=lambda flight: flight.since)

    async def _pass_on(self, partition: str, page: Accepted) -> None:
        hold = self._kept.get(partition, {}).pop(id(page.decoded.facts), None) or Hold(self._share)
        hold.become("ahead")
        if self._registry is not None:
            self._registry.residents.sent(partition)
        self._report(partition, page)
        self._backlog.received(self._clock.monotonic(), page.ledger.received)
        await self._channel.put(Page(partition, page, hold), hold.size_bytes)

    def _report(self, partition: str, page: Accepted) -> None:
        facts = page.decoded.facts
        self._emit(
            PageAccepted(
                pipeline=self._pipeline,
                partition=partition,
                records=facts.count,
                rejects=len(page.decoded.rejects),
                deduplicated=page.ledger.deduplicated,
                size_bytes=facts.size_bytes,
            )
        )
        for kind, records in page.noted.items():
            self._emit(RecordsNoted(self._pipeline, partition, kind, records))
        for name, doubt in facts.doubts.items():
            self._emit(
                TimesDoubtful(
                    pipeline=self._pipeline,
                    field=name,
                    detail=doubt.detail,
                    remedy=doubt.remedy(name),
                )
            )
        if page.drift:
            self._emit(DriftSeen(self._pipeline, partition, page.drift))
        if (end := page.pass_end) is not None:
            self._emit(
                PassEnded(
                    pipeline=self._pipeline,
                    partition=partition,
                    pass_no=end.number,
                    received=end.received,
                    completeness=end.completeness,
                    reason=end.reason,
                )
            )

    # -- requests that brought nothing ------------------------------------------------------------

    async def _defer(self, planner: PartitionPlanner, fetch: Fetch, deferred: Deferred) -> None:
        """Nothing was asked: a gate or a breaker is closed.

        The partition waits until it may be open.
        """
        now = self._clock.monotonic()
        if (kept_s := self._kept_waiting_s(planner, fetch, deferred, now)) > self._patience_s:
            reason = f"kept waiting for {kept_s:.0f} s: {deferred.message}"
            await self._park(planner, TransientError(reason, where=planner.partition))
            return
        self._not_before[planner.partition] = until = max(deferred.until, now + LEAST_WAIT_S)
        await self._requeue(planner, until)

    def _kept_waiting_s(
        self, planner: PartitionPlanner, fetch: Fetch, deferred: Deferred, now: float
    ) -> float:
        """How long the source has kept a partition waiting, where that may end a run; else 0.

        Our own rate limit is not the source: with many partitions a turn under it may take longer
        than any patience.
        """
        if deferred.paced:
            return 0.0
        since = self._failing_since.setdefault(planner.partition, now)
        return now - since if self._once and not fetch.speculative else 0.0

    async def _fail(self, planner: PartitionPlanner, fetch: Fetch, error: WorkerError) -> None:
        if fetch.speculative:  # errors of a guess count only when it becomes the head
            await self._requeue(planner, self._clock.monotonic())
        elif isinstance(error, CursorInvalid) and planner.fall_back():
            drift = "the source refused the position; the pass starts again at the mark"
            self._emit(DriftSeen(self._pipeline, planner.partition, drift))
            await self._requeue(planner, self._clock.monotonic())
        else:
            await self._park(planner, error)

    async def _park(self, planner: PartitionPlanner, error: WorkerError) -> None:
        """The partition is not served for a while.

        The while doubles with each failure in a row. With `once` it is not served again at all.
        """
        earlier = self.parked.get(planner.partition)
        times = 1 if earlier is None else earlier.times + 1
        reprobe_s = doubling_s(REPROBE_S, times, REPROBE_CAP_S)
        until = self._clock.monotonic() + reprobe_s
        self.parked[planner.partition] = Parked(error, until, times)
        self._timetable.failed(planner.partition, error, times=times, until=until)
        self._emit(
            PartitionParked(
                pipeline=self._pipeline,
                partition=planner.partition,
                code=error.code,
                reason=str(error),
                reprobe_s=0.0 if self._once else reprobe_s,
            )
        )
        async with self._changed:
            self._due.remove(planner.partition)
            self._slow_due.remove(planner.partition)
        if not self._rests(planner, None if self._once else until):
            await self._requeue(planner, until)


@dataclass(frozen=True, slots=True)
class _Landing:
    """The memory of a request that is in flight (the `Room` port).

    Attributes:
        guess: the page was asked for ahead. It may not wait for memory, as it would keep a worker
            from the page that it waits for.
    """

    pool: FetchPool
    flight: Flight
    hold: Hold
    planner: PartitionPlanner
    guess: bool

    async def receive(self, body_bytes: int) -> int:
        if body_bytes > self.hold.size_bytes:
            page_bytes = self.pool.comes(body_bytes)
            if not self.hold.grow(body_bytes, page_bytes):
                if self.guess:
                    raise NoRoom(page_bytes)
                with self.pool.interrupted(self.flight):
                    await self.hold.grow_later(body_bytes, page_bytes)
        return self.hold.size_bytes

    async def decode(self, body_bytes: int, page_bytes: int) -> None:
        self.pool.landed(self.flight, body_bytes, page_bytes)
        urgent = self.planner.speculating
        await self.hold.decode(page_bytes, waits=not self.guess, urgent=urgent)


async def _cancel_on(stop: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    await stop.wait()
    for task in tasks:
        task.cancel()
