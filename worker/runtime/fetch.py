"""Fetch workers over a heap of due partitions: a few tasks serve any number of partitions.

A worker takes the partition that is due first, asks its planner what to do, does one request, and puts it back.
It never sleeps on a closed gate, an open breaker or a schedule: the partition goes back to the heap with the time.
A partition that fails is parked with its reason and probed again later; the others go on.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from worker.core.errors import CursorInvalid, Deferred, TransientError, WorkerError
from worker.core.events import DriftSeen, Emit, PageAccepted, PartitionParked, PassEnded
from worker.core.meter import Backlog, StageTimes
from worker.core.ports import Clock
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Accepted, Done, Fetch, Reply, Wait
from worker.resilience.backoff import doubling_s
from worker.runtime.channel import Channel

REPROBE_S = 60.0
REPROBE_CAP_S = 3600.0
FIRST_ESTIMATE_BYTES = 256 * 1024
DECODED_FACTOR = 4  # a decoded page weighs about three times its JSON (measured: 2.6 to 3.5), which is kept beside it for dead letters


@dataclass(frozen=True, slots=True)
class Page:
    """An accepted page of a partition, on its way to the flow."""

    partition: str
    accepted: Accepted


class Fetcher(Protocol):
    """One request with everything round it (retries, breaker, gate). Called once a fetch, on the event loop.

    Raises Deferred to be called again later, other WorkerErrors to park the partition.
    """

    async def __call__(self, partition: str, fetch: Fetch) -> Reply: ...


@dataclass(slots=True)
class Parked:
    """Why a partition is not served, and since when it failed."""

    error: WorkerError
    until: float
    times: int


class FetchPool:
    """Runs planners until all are done, parked (with `once`) or `stop` is set."""

    def __init__(
        self,
        planners: Iterable[PartitionPlanner],
        fetcher: Fetcher,
        channel: Channel[Page],
        *,
        pipeline: str,
        concurrency: int,
        once: bool,
        patience_s: float,
        clock: Clock,
        emit: Emit,
        times: StageTimes,
        backlog: Backlog,
    ) -> None:
        self._fetcher, self._channel, self._times, self._backlog = fetcher, channel, times, backlog
        self._pipeline, self._concurrency, self._once, self._patience_s = (
            pipeline,
            concurrency,
            once,
            patience_s,
        )
        self._clock, self._emit = clock, emit
        self._planners = list(planners)
        self._order = count()
        now = clock.monotonic()
        self._heap: list[tuple[float, int, PartitionPlanner]] = [
            (now, next(self._order), planner) for planner in self._planners
        ]
        self._queued = {planner.partition for planner in self._planners}
        self._busy = 0
        self._changed = asyncio.Condition()
        self._estimate = FIRST_ESTIMATE_BYTES
        self._failing_since: dict[str, float] = {}
        self._held: dict[
            str, float
        ] = {}  # partition -> not before this time, wherever it is queued already
        self.parked: dict[str, Parked] = {}
        self.done: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<FetchPool {self._pipeline} due={len(self._heap)} busy={self._busy} parked={len(self.parked)} done={len(self.done)}>"

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when nothing is left to fetch or `stop` is set; requests in flight are given up then."""
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(self._serve(stop), name=f"{self._pipeline}.fetch.{number}")
                for number in range(self._concurrency)
            ]
            watch = group.create_task(
                _cancel_on(stop, workers), name=f"{self._pipeline}.fetch.stop"
            )
            await asyncio.wait(workers)
            watch.cancel()

    async def _serve(self, stop: asyncio.Event) -> None:
        with self._times.working():
            # `stop` is asked too: a cancellation that is lost in a request costs that request, not the drain
            while not stop.is_set() and (planner := await self._next_due()) is not None:
                try:
                    await self._step(planner)
                finally:
                    async with self._changed:
                        self._busy -= 1
                        self._changed.notify_all()

    async def _next_due(self) -> PartitionPlanner | None:
        """The partition that is due, waiting for it; None when there will never be one again."""
        async with self._changed:
            while True:
                wait_s: float | None = None  # busy workers will say when there is something
                if self._heap:
                    due, _, planner = self._heap[0]
                    wait_s = due - self._clock.monotonic()
                    if wait_s <= 0:
                        heapq.heappop(self._heap)
                        self._queued.discard(planner.partition)
                        self._busy += 1
                        return planner
                elif self._busy == 0:
                    return None
                with self._times.idle():
                    try:
                        async with asyncio.timeout(
                            wait_s
                        ):  # before Python 3.12 wait_for loses a cancellation that comes together with the wake-up
                            await self._changed.wait()
                    except TimeoutError:
                        continue

    async def _requeue(self, planner: PartitionPlanner, due: float) -> None:
        """Queues the partition, unless it is: it may be in flight several times, but waits in one place."""
        if planner.partition in self._queued or planner.partition in self.done:
            return
        if (parked := self.parked.get(planner.partition)) is not None:
            if self._once:
                return
            due = max(due, parked.until)
        async with self._changed:
            self._queued.add(planner.partition)
            heapq.heappush(self._heap, (due, next(self._order), planner))
            self._changed.notify_all()

    async def _step(self, planner: PartitionPlanner) -> None:
        now = self._clock.monotonic()
        if (until := self._held.pop(planner.partition, now)) > now:
            await self._requeue(planner, until)
            return
        todo = planner.next(now)
        if todo is None:
            return  # in flight elsewhere; whoever carries it puts it back
        if isinstance(todo, Done):
            self.done[planner.partition] = todo.reason
            return
        if isinstance(todo, Wait):
            await self._requeue(planner, todo.until)
            return
        reserved = await self._reserve(planner, todo)
        try:
            await self._requeue(planner, now)  # others may fetch ahead of this one meanwhile
            reserved = await self._fetch(planner, todo, reserved)
        finally:
            if reserved:
                await self._channel.release(reserved)

    async def _reserve(self, planner: PartitionPlanner, fetch: Fetch) -> int:
        """Backpressure acts here, before the request."""
        try:
            with self._times.blocked():
                return await self._channel.reserve(
                    self._estimate, force=planner.speculating and not fetch.speculative
                )
        except BaseException:
            planner.drop(fetch)
            raise

    async def _fetch(self, planner: PartitionPlanner, fetch: Fetch, reserved: int) -> int:
        """One request and what follows from it. Returns the reservation that is left."""
        try:
            reply = await self._fetcher(planner.partition, fetch)
            accepted = planner.accept(fetch, reply, self._clock.monotonic())
        except Deferred as deferred:
            planner.drop(fetch)
            await self._defer(planner, fetch, deferred)
            return reserved
        except WorkerError as error:
            planner.drop(fetch)
            await self._failed(planner, fetch, error)
            return reserved
        except BaseException:
            planner.drop(fetch)
            raise
        self._failing_since.pop(planner.partition, None)
        self.parked.pop(planner.partition, None)
        for page in accepted:
            weight = page.decoded.facts.size_bytes * DECODED_FACTOR
            self._estimate = max(weight, (self._estimate * 7 + weight) // 8)
            self._report(planner.partition, page)
            self._backlog.received(self._clock.monotonic(), page.ledger.received)
            await self._channel.put(Page(planner.partition, page), weight, reserved_bytes=reserved)
            reserved = 0
        await self._requeue(planner, self._clock.monotonic())
        return reserved

    async def _defer(self, planner: PartitionPlanner, fetch: Fetch, deferred: Deferred) -> None:
        now = self._clock.monotonic()
        if (
            not deferred.paced
        ):  # with many partitions a turn under the own rate limit may take longer than any patience
            since = self._failing_since.setdefault(planner.partition, now)
            if self._once and not fetch.speculative and now - since > self._patience_s:
                await self._park(
                    planner,
                    TransientError(
                        f"kept waiting for {now - since:.0f} s: {deferred.message}",
                        where=planner.partition,
                    ),
                )
                return
        self._held[planner.partition] = until = max(deferred.until, now + 0.001)
        await self._requeue(planner, until)

    async def _failed(self, planner: PartitionPlanner, fetch: Fetch, error: WorkerError) -> None:
        if fetch.speculative:
            await self._requeue(
                planner, self._clock.monotonic()
            )  # errors of a guess count only when it becomes the head
        elif isinstance(error, CursorInvalid) and planner.fall_back():
            self._emit(
                DriftSeen(
                    self._pipeline,
                    planner.partition,
                    "the source refused the position; the pass starts again at the mark",
                )
            )
            await self._requeue(planner, self._clock.monotonic())
        else:
            await self._park(planner, error)

    async def _park(self, planner: PartitionPlanner, error: WorkerError) -> None:
        times = self.parked[planner.partition].times + 1 if planner.partition in self.parked else 1
        reprobe_s = doubling_s(REPROBE_S, times, REPROBE_CAP_S)
        until = self._clock.monotonic() + reprobe_s
        self.parked[planner.partition] = Parked(error, until, times)
        self._emit(
            PartitionParked(
                self._pipeline,
                planner.partition,
                error.code,
                str(error),
                0.0 if self._once else reprobe_s,
            )
        )
        async with self._changed:
            self._heap = [entry for entry in self._heap if entry[2] is not planner]
            heapq.heapify(self._heap)
            self._queued.discard(planner.partition)
        await self._requeue(planner, until)

    def _report(self, partition: str, page: Accepted) -> None:
        facts = page.decoded.facts
        self._emit(
            PageAccepted(
                self._pipeline,
                partition,
                facts.count,
                len(page.decoded.rejects),
                page.ledger.deduplicated,
                facts.size_bytes,
            )
        )
        if page.drift:
            self._emit(DriftSeen(self._pipeline, partition, page.drift))
        if (end := page.pass_end) is not None:
            self._emit(
                PassEnded(
                    self._pipeline,
                    partition,
                    end.number,
                    end.received,
                    end.completeness,
                    end.reason,
                )
            )


async def _cancel_on(stop: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> None:
    await stop.wait()
    for task in tasks:
        task.cancel()
