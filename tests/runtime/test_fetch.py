"""Fetch workers over a heap of partitions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import pytest

from worker.core.cursor import Cursor
from worker.core.errors import CursorInvalid, Deferred, PermanentError, TransientError
from worker.core.events import DriftSeen, Event, PageAccepted, PartitionParked, PartitionSlow
from worker.core.meter import Backlog, StageTimes
from worker.core.model import Claim, Decoded, Due, Facts
from worker.core.ports import Room
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import Fetch, PagingSpec, Reply
from worker.resilience.breaker import Breaker, BreakerSpec
from worker.resilience.gate import Gate
from worker.resilience.guard import Guard, RetrySpec
from worker.runtime.budget import Budget
from worker.runtime.channel import Channel
from worker.runtime.clock import SystemClock
from worker.runtime.fetch import DueQueue, FetchPool, Page
from worker.runtime.lanes import LEAST_S, most_lent
from worker.runtime.timetable import Timetable
from worker.sources.pagination import offset
from worker.testing.clock import FakeClock

PAGES = 3


def planners(names: list[str], depth: int = 1, *, once: bool = True) -> list[PartitionPlanner]:
    style = offset.build(offset.Config(type="offset", param="o"))
    return [
        PartitionPlanner(PagingSpec(style=style, once=once, depth=depth), Claim(name, 0, Cursor()))
        for name in names
    ]


def page(fetch: Fetch, pages: int = PAGES, size_bytes: int = 10) -> Reply:
    number = fetch.position["offset"]
    records = [number] if number < pages else []
    return Reply(
        Decoded(
            list(records),
            None,
            [],
            Facts(
                len(records),
                keys=[bytes([number]) * 16 for number in records],
                size_bytes=size_bytes,
            ),
        )
    )


def pool(
    served: list[PartitionPlanner],
    attempt: Any,
    channel: Channel[Page],
    events: list[Event] | None = None,
    keep: Callable[[Mapping[str, Due]], Awaitable[None]] | None = None,
    budget: Budget | None = None,
    **options: Any,
) -> FetchPool:
    emit = (events if events is not None else []).append
    settings = {
        "pipeline": "p",
        "concurrency": 4,
        "may_give_up": True,
        "once": True,
        "patience_s": 60.0,
        "clock": SystemClock(),
        "emit": emit,
        "parked": {},
    } | options
    settings |= {
        "times": StageTimes(settings["clock"].monotonic, settings["concurrency"]),
        "backlog": Backlog(),
    }
    kept = {planner.partition: Due() for planner in served}
    table = Timetable(
        kept, keep or nowhere, settings["clock"], once=settings["once"], passes=not settings["once"]
    )
    budget = budget or Budget(1 << 40, settings["clock"].monotonic)
    share = budget.share(channel.bound_bytes)
    return FetchPool(served, attempt, channel, share, table, **settings)


async def nowhere(due: Mapping[str, Due]) -> None:
    """Keeps nothing."""


async def run_to_end(served: FetchPool) -> None:
    """Until all partitions are done or parked; a pool that hangs fails its test."""
    async with asyncio.timeout(20):
        await served.run(asyncio.Event())


async def drained(channel: Channel[Page]) -> list[Page]:
    await channel.close()
    got = []
    while channel._items:
        item, weight = await channel.get()
        got.append(item)
        item.hold.release()
        await channel.release(weight)
    return got


async def test_two_thousand_partitions_need_no_task_and_no_connection_each() -> None:
    most_tasks = most_flying = flying = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal most_tasks, most_flying, flying
        flying += 1
        most_flying = max(most_flying, flying)
        most_tasks = max(most_tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        flying -= 1
        return page(fetch, 1)

    channel: Channel[Page] = Channel(1 << 30)
    names = [f"p{number}" for number in range(2_000)]
    served = pool(planners(names), attempt, channel)
    await run_to_end(served)
    assert sorted(served.done) == sorted(names)
    assert most_flying <= 4 + most_lent(4)
    assert most_tasks < 20


async def test_order_is_kept_in_a_partition_that_fetches_ahead() -> None:
    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        for _ in range(fetch.position["offset"] * 7 % 5):
            await asyncio.sleep(0)
        return page(fetch, 40)

    channel: Channel[Page] = Channel(1 << 20)
    await run_to_end(pool(planners(["p"], depth=4), attempt, channel))
    records = [
        record for item in await drained(channel) for record in item.accepted.decoded.records
    ]
    assert records == list(range(40))


async def test_a_failing_partition_is_parked_and_the_others_go_on() -> None:
    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        if partition == "bad" and fetch.position["offset"] == 1:
            raise PermanentError("no")
        return page(fetch)

    events: list[Event] = []
    channel: Channel[Page] = Channel(1 << 20)
    served = pool(planners(["bad", "good"], depth=3), attempt, channel, events)
    await run_to_end(served)
    assert set(served.parked) == {"bad"} and set(served.done) == {"good"}
    assert [event.partition for event in events if isinstance(event, PartitionParked)] == ["bad"]
    got = await drained(channel)
    assert [item.accepted.decoded.records for item in got if item.partition == "bad"] == [[0]]


async def test_a_partition_that_fails_for_months_is_still_only_parked() -> None:
    """The wait doubles with each failure: after 1,024 of them the doubled number was no float any
    more.
    """

    class Months(FakeClock):
        """Whenever somebody looks at it, another two hours have passed."""

        def monotonic(self) -> float:
            self.advance(7_200)
            return self.now

    stop, probes = asyncio.Event(), 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal probes
        probes += 1
        await asyncio.sleep(0)
        if probes == 1_100:
            stop.set()
        raise PermanentError("no")

    served = pool(
        planners(["p"], once=False), attempt, Channel(1 << 20), once=False, clock=Months()
    )
    await served.run(stop)
    assert served.parked["p"].times >= 1_099


async def test_a_partition_that_works_again_is_parked_no_more() -> None:
    class Hours(FakeClock):
        """Whenever somebody looks at it, another hour has passed."""

        def monotonic(self) -> float:
            self.advance(3_600)
            return self.now

    failures = [PermanentError("no"), PermanentError("no")]

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        if failures:
            raise failures.pop()
        return page(fetch)

    served = pool(planners(["p"], once=False), attempt, Channel(1 << 20), once=False, clock=Hours())
    await run_to_end(served)
    assert (served.parked, set(served.done)) == ({}, {"p"})


async def test_in_a_run_with_once_a_partition_that_failed_is_not_asked_again() -> None:
    asked = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal asked
        asked += 1
        raise PermanentError("no")

    served = pool(planners(["p"]), attempt, Channel(1 << 20))
    await run_to_end(served)
    assert (asked, set(served.parked)) == (1, {"p"})


async def test_the_error_of_a_page_fetched_ahead_counts_only_when_it_becomes_the_head() -> None:
    guesses = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal guesses
        if fetch.speculative:
            guesses += 1
            raise PermanentError("not yet")
        for _ in range(5):  # the others fetch ahead meanwhile
            await asyncio.sleep(0)
        return page(fetch, 10)

    events: list[Event] = []
    served = pool(planners(["p"], depth=3), attempt, Channel(1 << 20), events)
    await run_to_end(served)
    assert guesses and set(served.done) == {"p"}
    assert not [event for event in events if isinstance(event, PartitionParked)]


async def test_the_head_is_admitted_to_a_full_channel_while_pages_fetched_ahead_wait_for_it() -> (
    None
):
    guessed, events = asyncio.Event(), list[Event]()
    channel: Channel[Page] = Channel(1 << 20)

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        if fetch.speculative:
            await channel.put(cast(Page, None), 1 << 30)  # nobody takes it out
            guessed.set()
            return page(fetch, size_bytes=1 << 20)  # more than the pipeline may hold
        if fetch.position["offset"] > 1 and not guessed.is_set():
            await guessed.wait()
            raise Deferred(0.0, "the gate is closed")
        return page(fetch)

    stop = asyncio.Event()
    served = pool(planners(["p"], depth=2), attempt, channel, events)
    running = asyncio.create_task(served.run(stop))
    async with asyncio.timeout(20):
        while sum(isinstance(event, PageAccepted) for event in events) < PAGES:
            await asyncio.sleep(0)
    stop.set()
    await running


async def test_a_refused_position_starts_the_pass_again_where_the_planner_can() -> None:
    class FallsBack(PartitionPlanner):
        fell_back = 0

        def fall_back(self) -> bool:
            self.fell_back += 1
            return self.fell_back == 1

    asked = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal asked
        asked += 1
        raise CursorInvalid

    events: list[Event] = []
    style = offset.build(offset.Config(type="offset", param="o"))
    planner = FallsBack(PagingSpec(style=style, once=True), Claim("p", 0, Cursor()))
    served = pool([planner], attempt, Channel(1 << 20), events)
    await run_to_end(served)
    assert asked == 2 and isinstance(served.parked["p"].error, CursorInvalid)
    assert [type(event) for event in events] == [DriftSeen, PartitionParked]


async def test_room_that_a_request_did_not_use_is_given_back() -> None:
    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        if partition == "bad":
            raise PermanentError("no")
        return page(fetch)

    channel: Channel[Page] = Channel(1 << 20)
    budget = Budget(1 << 30, SystemClock().monotonic)
    await run_to_end(pool(planners(["bad", "good"]), attempt, channel, budget=budget))
    await drained(channel)
    assert (channel.used_bytes, budget.used_bytes) == (0, 0)


async def test_a_closed_gate_gives_the_worker_to_other_partitions() -> None:
    deferred = set()

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        if partition not in deferred:
            deferred.add(partition)
            raise Deferred(SystemClock().monotonic() + 0.01, "gate")
        return page(fetch)

    channel: Channel[Page] = Channel(1 << 20)
    served = pool(planners(["a", "b"]), attempt, channel, concurrency=1)
    await run_to_end(served)
    assert set(served.done) == {"a", "b"}


@pytest.mark.parametrize("paced", [True, False])
async def test_patience_ends_with_a_source_that_keeps_us_waiting_and_not_with_our_own_rate_limit(
    paced: bool,
) -> None:
    turns = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal turns
        turns += 1
        if turns <= 5:
            raise Deferred(SystemClock().monotonic(), "gate", paced=paced)
        return page(fetch)

    channel: Channel[Page] = Channel(1 << 20)
    served = pool(planners(["a"]), attempt, channel, concurrency=1, patience_s=0.0)
    await run_to_end(served)
    assert (set(served.done), set(served.parked)) == (({"a"}, set()) if paced else (set(), {"a"}))


async def test_no_request_is_made_while_the_channel_is_full() -> None:
    asked = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal asked
        asked += 1
        return page(fetch, 100, size_bytes=300_000)

    channel: Channel[Page] = Channel(1_000_000)
    stop = asyncio.Event()
    task = asyncio.create_task(pool(planners(["p"]), attempt, channel).run(stop))
    for _ in range(300):
        await asyncio.sleep(0)
    before = asked
    for _ in range(300):
        await asyncio.sleep(0)
    assert asked == before <= 4
    stop.set()
    await task


async def test_stop_ends_requests_in_flight() -> None:
    started = asyncio.Event()

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        started.set()
        await asyncio.Event().wait()
        raise AssertionError

    channel: Channel[Page] = Channel(1_000)
    stop = asyncio.Event()
    task = asyncio.create_task(pool(planners(["p"]), attempt, channel).run(stop))
    await started.wait()
    stop.set()
    await asyncio.wait_for(task, 20)
    assert channel.used_bytes == 0


@pytest.mark.parametrize("turns", range(6))
async def test_stop_ends_workers_that_were_woken_at_the_same_moment(turns: int) -> None:
    """Before Python 3.12 `asyncio.wait_for` forgets a cancellation that comes when what it waits
    for is done: such a worker never ended.
    """

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        await asyncio.sleep(0)
        raise Deferred(SystemClock().monotonic() + 60, "closed")

    served = pool(planners(["p"]), attempt, Channel(1 << 20), once=False)
    stop = asyncio.Event()
    running = asyncio.create_task(served.run(stop))
    for _ in range(50):
        await asyncio.sleep(0)  # all workers wait now
    async with served._changed:
        served._changed.notify_all()
    for _ in range(turns):
        await asyncio.sleep(0)
    stop.set()
    done, _ = await asyncio.wait([running], timeout=20)
    running.cancel()
    assert done


async def test_stop_ends_a_worker_whose_request_swallows_the_cancellation() -> None:
    started, stop = asyncio.Event(), asyncio.Event()
    asked = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal asked
        asked += 1
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60 if asked == 1 else 0)
        return page(fetch)

    served = pool(planners(["p"]), attempt, Channel(1 << 20), concurrency=1)
    running = asyncio.create_task(served.run(stop))
    await started.wait()
    stop.set()
    done, _ = await asyncio.wait([running], timeout=20)
    running.cancel()
    assert done
    assert asked == 1


async def test_a_bug_in_an_attempt_is_not_swallowed() -> None:
    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        raise KeyError("bug")

    with pytest.raises(BaseExceptionGroup):
        await run_to_end(pool(planners(["p"]), attempt, Channel(1_000)))


@pytest.mark.parametrize(("depth", "concurrency"), [(1, 1), (1, 4), (4, 4)])
async def test_a_deferred_partition_is_not_asked_for_again_before_its_time(
    depth: int, concurrency: int
) -> None:
    """Else the workers would spin on a closed gate, and keep the loop from the request that opens
    it.
    """
    clock = SystemClock()
    opens, early = clock.monotonic() + 0.05, 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal early
        if clock.monotonic() < opens:
            early += 1
            raise Deferred(opens, "the gate is closed")
        return page(fetch)

    channel: Channel[Page] = Channel(1 << 30)
    served = pool(planners(["a", "b"], depth=depth), attempt, channel, concurrency=concurrency)
    await run_to_end(served)
    assert sorted(served.done) == ["a", "b"]
    assert early <= 2 * depth


def test_a_partition_waits_once_and_for_the_shorter_of_its_times() -> None:
    queue = DueQueue()
    a, b = planners(["a", "b"])
    queue.push(a, 3_600.0)
    queue.push(b, 2.0)
    queue.push(a, 1.0)
    queue.push(a, 50.0)
    assert (len(queue), queue.wait_s(0.0)) == (2, 1.0)
    assert [queue.pop(10.0), queue.pop(10.0), queue.pop(1e9)] == [a, b, None]
    queue.push(a, 5.0)
    queue.remove("a")
    queue.remove("a")
    assert (len(queue), queue.wait_s(0.0)) == (0, None)


@pytest.mark.parametrize("concurrency", [1, 4])
async def test_passes_of_several_pages_on_a_schedule_are_not_kept_waiting_for_the_next_one(
    concurrency: int,
) -> None:
    """Another worker that asked while the first page was in flight put the partition aside."""
    style, asked = offset.build(offset.Config(type="offset", param="o")), 0
    clock, stop = FakeClock(), asyncio.Event()

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal asked
        asked += 1
        for _ in range(3):
            await asyncio.sleep(0)
        return page(fetch)

    hourly = PagingSpec(style=style, schedule=Schedule(3_600.0))
    planner = PartitionPlanner(hourly, Claim("p", 0, Cursor()))
    channel: Channel[Page] = Channel(1 << 20)
    served = pool([planner], attempt, channel, concurrency=concurrency, once=False, clock=clock)
    running = asyncio.create_task(served.run(stop))
    async with asyncio.timeout(20):
        for passes in (1, 2, 3):
            while asked < passes * (PAGES + 2):
                await asyncio.sleep(0)
            clock.advance(3_600.0)
            async with served._changed:
                served._changed.notify_all()
    stop.set()
    await running


# -- requests that hang ---------------------------------------------------------------------------


class Hanging:
    """A fetcher whose requests of some partitions end only when they are told to."""

    def __init__(self, *names: str) -> None:
        self.hanging, self.released = set(names), asyncio.Event()
        self.asked = list[str]()
        self.flying = self.most_flying = 0

    async def __call__(self, partition: str, fetch: Fetch, room: Room) -> Reply:
        self.asked.append(partition)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            if partition in self.hanging:
                await self.released.wait()
            await asyncio.sleep(0)
        finally:
            self.flying -= 1
        return page(fetch)


@pytest.mark.parametrize(("concurrency", "hanging"), [(1, 1), (1, 3), (4, 9)])
async def test_partitions_that_hang_do_not_hold_the_workers_of_others(
    concurrency: int, hanging: int
) -> None:
    bad = [f"bad{number}" for number in range(hanging)]
    good = [f"good{number}" for number in range(20)]
    attempt, events = Hanging(*bad), list[Event]()
    served = pool(
        planners([*bad, *good]), attempt, Channel(1 << 20), events, concurrency=concurrency
    )
    running = asyncio.create_task(run_to_end(served))
    async with asyncio.timeout(20):
        while len(served.done) < len(good):
            await asyncio.sleep(0.01)
        attempt.released.set()
        await running
    assert set(served.done) == {*bad, *good}
    assert attempt.most_flying <= concurrency + most_lent(concurrency)
    slow = [event.partition for event in events if isinstance(event, PartitionSlow)]
    assert set(slow) <= set(bad) and slow


async def test_a_request_that_hangs_alone_is_waited_for() -> None:
    attempt = Hanging("a")
    served = pool(planners(["a"]), attempt, Channel(1 << 20), concurrency=1)
    served._lanes.answered("a", 0.0)
    running = asyncio.create_task(run_to_end(served))
    await asyncio.sleep(2 * LEAST_S)
    assert attempt.asked == ["a"]
    attempt.released.set()
    await running


async def test_what_may_not_be_repeated_is_not_given_up() -> None:
    attempt = Hanging("a", "b", "c")
    served = pool(
        planners(["a", "b", "c", "d"]), attempt, Channel(1 << 20), concurrency=1, may_give_up=False
    )
    served._lanes.answered("a", 0.0)
    running = asyncio.create_task(run_to_end(served))
    await asyncio.sleep(3 * LEAST_S)
    assert attempt.asked == ["a", "b"]  # one lends its place, no other does
    attempt.released.set()
    await running
    assert [attempt.asked.count(name) for name in "abcd"] == [
        PAGES + 2
    ] * 4  # an empty page behind a full one is asked for twice


async def test_a_partition_that_is_always_slow_is_read_to_its_end_beside_the_others() -> None:
    """It is given up once at most: then it has the time that it needs."""
    asked = 0

    async def attempt(partition: str, fetch: Fetch, room: Room) -> Reply:
        nonlocal asked
        if partition == "slow":
            asked += 1
            await asyncio.sleep(1.5 * LEAST_S)
        await asyncio.sleep(0.001)
        return page(fetch, 3 if partition == "slow" else 60)

    names = ["slow", *(f"p{number}" for number in range(12))]
    served = pool(planners(names), attempt, Channel(1 << 30), concurrency=2)
    served._lanes.answered("p0", 0.0)
    await run_to_end(served)
    assert set(served.done) == set(names)
    assert asked <= 3 + 2 + 1


async def test_stop_ends_requests_that_hang_and_those_that_are_lent() -> None:
    attempt = Hanging("a", "b", "c", "d")
    served = pool(planners(list("abcd")), attempt, Channel(1 << 20), concurrency=2)
    stop = asyncio.Event()
    running = asyncio.create_task(served.run(stop))
    async with asyncio.timeout(20):
        while len(attempt.asked) < 4:
            await asyncio.sleep(0.01)
        stop.set()
        await running
    assert served._lanes.taken == served._lanes.lent == attempt.flying == 0


async def test_a_request_that_waits_for_its_next_attempt_holds_no_worker() -> None:
    guard = Guard(
        RetrySpec(base_s=1e6, cap_s=1e6, deadline_s=1e9),
        Breaker(BreakerSpec()),
        Gate(),
        SystemClock(),
        [].append,
    )

    async def fetcher(partition: str, fetch: Fetch, room: Room) -> Reply:
        async def attempt() -> Reply:
            if partition == "bad":
                raise TransientError("503")
            return page(fetch)

        return await guard.turn(partition, attempt)

    stop = asyncio.Event()
    served = pool(planners(["bad", "good"]), fetcher, Channel(1 << 20), concurrency=1, once=False)
    running = asyncio.create_task(served.run(stop))
    async with asyncio.timeout(20):
        while not served.done:
            await asyncio.sleep(0)
    assert (set(served.done), served.parked) == ({"good"}, {})
    stop.set()
    await running


async def test_a_run_with_once_ends_when_the_attempts_of_a_partition_are_spent() -> None:
    guard = Guard(
        RetrySpec(max_attempts=3, base_s=0.001),
        Breaker(BreakerSpec()),
        Gate(),
        SystemClock(),
        [].append,
    )
    attempts = 0

    async def fetcher(partition: str, fetch: Fetch, room: Room) -> Reply:
        async def attempt() -> Reply:
            nonlocal attempts
            attempts += 1
            raise TransientError("503")

        return await guard.turn(partition, attempt)

    served = pool(planners(["bad"]), fetcher, Channel(1 << 20))
    await run_to_end(served)
    assert (attempts, str(served.parked["bad"].error)) == (3, "503")
