"""Attempts of a pipeline: what is committed, what is discarded, and what the next attempt makes of
it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from pipeline_kit import World, shape, turns

from worker.core.errors import (
    AuthError,
    Fenced,
    IncompatibleSchema,
    PermanentError,
    SinkUnavailable,
    WorkerError,
)
from worker.core.events import (
    CommitPublished,
    NothingToDo,
    PartitionParked,
    PassEnded,
    RecordsDiscarded,
)
from worker.core.model import StagedFile
from worker.core.ports import Shaping
from worker.paging.schedule import Schedule
from worker.paging.spec import PagingSpec
from worker.resilience.quality import TooManyRejects
from worker.runtime.roll import RollSpec
from worker.sources.pagination import offset
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import MemorySink

TWO = {"a": range(10), "b": range(100, 107)}
ALL = [*range(10), *range(100, 107)]


async def test_an_attempt_commits_what_the_source_has_and_the_next_one_has_nothing_to_do() -> None:
    world = World({"a": [*range(10), -1], "b": range(100, 107)})
    await world.attempt()
    assert (world.output.numbers(), world.output.rejects()) == (ALL, [-1])
    assert all(row.published for row in world.log.commits("items"))
    world.restarted()
    await world.attempt()
    assert world.output.numbers() == ALL
    [told] = world.of(NothingToDo)
    assert told.detail == world.pipeline.totals.note != ""


async def test_the_ledger_of_every_commit_is_balanced_and_their_sum_is_the_total() -> None:
    world = World({"a": [*range(20), -1, -2]}, writer={"roll": RollSpec(records=4)})
    await world.attempt()
    ledgers = [event.ledger for event in world.of(CommitPublished)]
    assert len(ledgers) > 3 and all(ledger.balanced for ledger in ledgers)
    assert sum(ledger.received for ledger in ledgers) == world.received() == 22
    totals = world.pipeline.totals
    assert (totals.ledger.sent, totals.ledger.dead_lettered) == (20, 2)
    assert (totals.commits, totals.discarded) == (len(ledgers), 0)


# -- failures travel in-band ----------------------------------------------------------------------


def failing(partition: str, at: int, error: BaseException) -> Any:
    async def before(asked: str, offset: int) -> None:
        if (asked, offset) == (partition, at):
            raise error

    return before


async def test_a_source_that_fails_has_what_came_before_committed_and_then_its_error_decides() -> (
    None
):
    world = World(TWO)
    world.source.before = failing("b", 3, PermanentError("status 410"))
    with pytest.raises(ExceptionGroup) as raised:
        await world.attempt()
    assert [str(each) for each in raised.value.exceptions] == ["status 410"]
    assert world.output.numbers() == [*range(10), 100, 101, 102]
    assert world.of(CommitPublished)[-1].trigger == "failure"
    assert not world.of(RecordsDiscarded)
    world.source.before = None
    world.restarted()
    await world.attempt()
    assert world.output.numbers() == ALL


async def test_of_the_failures_of_several_partitions_the_deciding_one_ends_the_attempt() -> None:
    errors = {"a": PermanentError("status 410"), "b": AuthError("status 401")}
    world = World(TWO)

    async def before(partition: str, offset: int) -> None:
        raise errors[partition]

    world.source.before = before
    with pytest.raises(ExceptionGroup) as raised:
        await world.attempt()
    assert raised.value.exceptions == (errors["b"],)


async def test_a_partition_that_fails_in_a_daemon_is_parked_and_ends_nothing() -> None:
    world = World(TWO, once=False)
    world.source.before = failing("b", 3, PermanentError("status 410"))
    running = asyncio.create_task(world.attempt())
    async with world.limit():
        while not world.of(PartitionParked) or len(world.source.asked) < 6:
            await asyncio.sleep(0)
    assert world.pipeline.reading("running").parked == 1
    world.stop.set()
    await running
    assert world.output.numbers() == [*range(10), 100, 101, 102]


# -- stop and the deadline of the drain -----------------------------------------------------------


async def test_stop_commits_what_was_received_and_the_next_attempt_goes_on_there() -> None:
    world = World({"a": range(100)}, concurrency=1)

    async def before(partition: str, offset: int) -> None:
        if offset == 30:
            world.stop.set()
            await asyncio.Event().wait()  # a request that never ends is given up

    world.source.before = before
    await world.attempt()
    assert world.output.numbers() == list(range(30)) and world.pipeline.totals.discarded == 0
    world.source.before = None
    world.stop.clear()
    world.restarted()
    await world.attempt()
    assert world.output.numbers() == list(range(100))


async def test_after_the_deadline_of_a_drain_what_is_staged_is_committed_and_the_rest_discarded() -> (
    None
):
    shaped = 0

    def slowly(records: Sequence[int], received: int, partition: str) -> Shaping:
        nonlocal shaped
        shaped += 1
        if shaped == 3:
            world.stop.set()
            world.drain_deadline.set()
        return shape(records, received, partition)

    world = World({"a": range(100)}, concurrency=1, flow=slowly)
    await world.attempt()
    kept = len(world.output.numbers())
    assert world.output.numbers() == list(range(kept)) and kept == 9
    discarded = world.received() - kept
    assert world.pipeline.totals.discarded == discarded > 0
    assert [event.records for event in world.of(RecordsDiscarded)] == [discarded]


# -- what is discarded ----------------------------------------------------------------------------


async def test_a_bug_discards_what_is_not_committed_and_the_next_attempt_is_exact() -> None:
    bugs = {25}

    def buggy(records: Sequence[int], received: int, partition: str) -> Shaping:
        if bugs & set(records):
            bugs.clear()
            raise KeyError("bug")
        return shape(records, received, partition)

    world = World({"a": range(50)}, flow=buggy, writer={"roll": RollSpec(records=10)})
    with pytest.raises(ExceptionGroup) as raised:
        await world.attempt()
    assert isinstance(raised.value.exceptions[0], KeyError)
    kept = world.output.numbers()
    assert kept == list(range(len(kept))) and len(kept) < 25
    assert world.pipeline.totals.discarded == world.received() - len(kept) > 0
    await world.attempt()
    assert world.output.numbers() == list(range(50))
    assert not [name for name in world.output.lake.names if "/staging/" in name]


async def test_too_many_rejects_commit_nothing() -> None:
    world = World({"a": [-1] * 200}, cap=50, writer={"max_reject_ratio": 0.5})
    with pytest.raises(ExceptionGroup) as raised:
        await world.attempt()
    assert isinstance(raised.value.exceptions[0], TooManyRejects)
    assert list(world.log.commits("items")) == []
    assert world.output.rejects() == []


@pytest.mark.parametrize("once", [False, True])
async def test_a_pass_of_nine_rejects_is_committed_and_ends_only_a_run_with_once(
    once: bool,
) -> None:
    world = World({"a": [-1] * 9}, once=once, writer={"max_reject_ratio": 0.5, "once": once})
    if once:
        with pytest.raises(ExceptionGroup) as raised:
            await world.attempt()
        assert isinstance(raised.value.exceptions[0], TooManyRejects)
    else:
        await world.attempt()
    assert world.output.rejects() == [-1] * 9
    world.restarted()
    await world.attempt()
    assert world.output.rejects() == [-1] * 9, "they are read, and no later run repeats them"


async def test_a_bad_partition_among_healthy_ones_keeps_none_of_them_back() -> None:
    world = World(
        {"a": [-1] * 12, "b": range(12), "c": range(20, 32)},
        concurrency=1,
        writer={"max_reject_ratio": 0.5, "once": True},
    )
    await world.attempt()
    assert world.output.numbers() == [*range(12), *range(20, 32)]
    assert world.output.rejects() == [-1] * 12


# -- the commit -----------------------------------------------------------------------------------


@pytest.mark.fault(16, by="an attempt is cancelled within a commit")
async def test_a_cancelled_attempt_waits_for_the_commit_in_progress_which_is_never_torn() -> None:
    publishing, go_on = threading.Event(), threading.Event()

    class Slow(MemorySink):
        def publish(self, seq: int, files: Sequence[StagedFile]) -> None:
            publishing.set()
            go_on.wait(20)
            super().publish(seq, files)

    world = World(TWO, sink=Slow)
    running = asyncio.create_task(world.attempt())
    try:
        async with world.limit():
            while not publishing.is_set():
                await asyncio.sleep(0)
        running.cancel()
        await turns()
        assert not running.done(), "the commit point is passed, its files are not published yet"
    finally:
        go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.output.numbers() == ALL
    world.restarted()
    await world.attempt()
    assert world.output.numbers() == ALL


async def test_a_pipeline_that_another_owner_claimed_is_over_in_this_process() -> None:
    world = World(TWO)
    other = MemoryCommitLog(world.log.tables)

    async def before(partition: str, offset: int) -> None:
        if (partition, offset) == ("a", 6):
            other.claim("items", ["a"], owner="another")

    async def nobody(partition: str, offset: int) -> None: ...

    world.source.before = before
    with pytest.raises(ExceptionGroup) as raised:
        await world.attempt()
    assert isinstance(raised.value.exceptions[0], Fenced)
    assert world.output.numbers() == []
    for _ in range(2):
        with pytest.raises(Fenced):
            await world.attempt()
    world.restarted()  # whoever starts a process means it
    world.source.before = nobody
    await world.attempt()
    assert world.output.numbers() == ALL


async def test_files_of_a_commit_that_could_not_be_published_are_published_by_the_next_attempt() -> (
    None
):
    full = [True]

    class Full(MemorySink):
        def publish(self, seq: int, files: Sequence[StagedFile]) -> None:
            if full:
                full.clear()
                raise SinkUnavailable("no space is left")
            super().publish(seq, files)

    world = World(TWO, sink=Full)
    with pytest.raises(ExceptionGroup):
        await world.attempt()
    assert world.output.numbers() == [] and len(list(world.log.commits("items"))) == 1
    await world.attempt()
    assert world.output.numbers() == ALL


async def test_files_that_may_not_follow_are_refused_before_any_partition_is_claimed() -> None:
    def refuse(schemas: Sequence[str]) -> None:
        raise IncompatibleSchema

    world = World(TWO, compatibility_check=refuse)
    with pytest.raises(WorkerError, match="schema"):
        await world.attempt()
    assert list(world.log.partitions("items")) == [] and world.source.asked == []


async def test_schemas_of_committed_files_are_what_the_check_is_given() -> None:
    given: list[Sequence[str]] = []
    world = World(TWO, compatibility_check=given.append)
    await world.attempt()
    world.restarted()
    await world.attempt()
    assert [list(each) for each in given] == [[], ['"int"']]


async def test_all_blocking_work_of_an_attempt_is_done_in_the_io_pool() -> None:
    threads = set()

    class Watched(MemorySink):
        def __getattribute__(self, name: str) -> Any:
            if name in ("prepare", "sweep", "write", "seal", "publish", "begin", "close"):
                threads.add(threading.current_thread().name)
            return super().__getattribute__(name)

    world = World(TWO, sink=Watched, writer={"roll": RollSpec(records=4)})
    await world.attempt()
    assert threads and all(name.startswith("io_") for name in threads)


# -- what it knows of itself ----------------------------------------------------------------------


async def test_what_waits_for_the_writer_is_seen_in_flight_and_as_stalled() -> None:
    go_on = threading.Event()

    class Blocked(MemorySink):
        def write(self, chunk: Any) -> None:
            go_on.wait(20)
            super().write(chunk)

    world = World({"a": range(3_000)}, sink=Blocked, cap_bytes=1_000)
    assert world.pipeline.stalled_s() == 0.0
    running = asyncio.create_task(world.attempt())
    try:
        asked = -1
        async with world.limit():
            while asked != len(world.source.asked) or asked < 3:
                asked = len(world.source.asked)
                await turns()
        world.clock.advance(400)
        now = world.pipeline.reading("running")
        assert world.pipeline.stalled_s() == 400
        assert (now.oldest_s, now.in_flight) == (400, world.pipeline.in_flight)
        assert 0 < now.in_flight == world.received() < 3_000
        assert set(now.queues) == {"pages", "shaped"} and now.stages["write"]["busy"] == 400
    finally:
        go_on.set()
    await running
    assert world.pipeline.stalled_s() == world.pipeline.in_flight == 0
    assert world.output.numbers() == list(range(3_000))


async def test_a_page_over_the_bound_of_the_channels_passes_alone() -> None:
    world = World(TWO, cap_bytes=1)
    await world.attempt()
    assert world.output.numbers() == ALL


# -- schedules across restarts --------------------------------------------------------------------


STYLE = offset.build(offset.Config(type="offset", param="offset"))
HOURLY = PagingSpec(STYLE, schedule=Schedule(3600.0))


async def served(
    world: World, *, asked: int | None = None, died: bool = False, failing: str = ""
) -> None:
    """A process of a daemon: until so many pages were asked for, or nothing is left to do.

    A partition that is `failing` is refused.
    """
    world.restarted()
    reached, wanted = asyncio.Event(), None if asked is None else len(world.source.asked) + asked

    async def before(partition: str, offset: int) -> None:
        if wanted is not None and len(world.source.asked) >= wanted:
            reached.set()
            await asyncio.Event().wait()
        if partition == failing:
            raise AuthError("status 401")

    world.source.before = before
    stop = asyncio.Event()
    running = asyncio.create_task(world.pipeline.attempt(stop, world.drain_deadline))
    async with world.limit():
        seen, quiet = (-1, -1), 0
        while quiet < 5 and not reached.is_set():
            await asyncio.sleep(0.01)
            now = (len(world.source.asked), len(world.events))
            seen, quiet = now, quiet + 1 if seen == now else 0
        if died:
            running.cancel()
        stop.set()
        with suppress(asyncio.CancelledError):
            await running


def daemon(records: Any, **spec: Any) -> World:
    return World(records, once=False, paging=HOURLY, **spec)


@pytest.mark.fault(56, by="five restarts with `every: 1h`, and an injected clock")
async def test_five_restarts_of_a_slow_source_with_a_schedule_make_one_pass() -> None:
    world = daemon({"a": range(30)})
    for _ in range(5):
        await served(world, asked=3)
    for _ in range(3):
        await served(world)
    assert [end.pass_no for end in world.of(PassEnded)] == [1]
    assert world.output.numbers() == list(range(30))
    world.clock.advance(3599)
    await served(world)
    assert len(world.of(PassEnded)) == 1
    world.clock.advance(1)
    await served(world)
    assert [end.pass_no for end in world.of(PassEnded)] == [1, 2]


async def test_restarts_keep_the_time_of_the_day() -> None:
    world = World({"a": range(9)}, once=False, paging=replace(HOURLY, schedule=Schedule()))
    wall = world.clock.time
    at = int(wall()) // 60 * 60 + 600  # in ten minutes
    minute, hour = at // 60 % 60, at // 3_600 % 24
    daily = Schedule(cron=f"{minute} {hour} * * *")
    world._spec = replace(world._spec, paging=replace(HOURLY, schedule=daily, wall=wall))

    async def ended_after(seconds: float) -> int:
        world.clock.advance(seconds)
        await served(world)
        return len(world.of(PassEnded))

    assert await ended_after(0) == 0
    assert await ended_after(at - wall() - 1) == 0
    assert await ended_after(1) == 1
    for hours in (0, 12, 11):
        assert await ended_after(3_600 * hours) == 1
    assert await ended_after(3_600) == 2
    world.clock.advance(3 * 86_400)  # nothing runs
    assert await ended_after(0) <= 3  # what was missed is spread over its first seconds
    assert await ended_after(30) == 3
    assert await ended_after(3_600) == 3


async def test_a_pass_that_a_kill_undid_begins_again_at_once() -> None:
    world = daemon({"a": range(9)})
    await served(world, asked=3, died=True)
    assert world.output.numbers() == []
    await served(world)
    assert world.output.numbers() == list(range(9))


async def test_a_run_with_once_does_not_wait_for_the_schedule() -> None:
    world = daemon({"a": range(9)})
    await served(world)
    world._spec = replace(world._spec, once=True, paging=replace(HOURLY, once=True))
    await served(world)
    assert [end.pass_no for end in world.of(PassEnded)] == [1, 2]


@pytest.mark.fault(37, 56, by="a source that is down over restarts, and an injected clock")
async def test_a_partition_that_fails_keeps_its_backoff_over_restarts_and_the_others_go_on() -> (
    None
):
    world = daemon(TWO)

    def probes() -> int:
        return [partition for partition, _ in world.source.asked].count("b")

    for _ in range(4):
        await served(world, failing="b")
    assert probes() == 1
    assert world.output.numbers() == [*range(10)]
    assert world.pipeline.pool is not None
    [parked] = world.pipeline.pool.parked.values()
    assert (parked.error.code, str(parked.error), parked.times) == ("auth", "status 401", 1)
    for minutes, expected in ((1, 2), (1, 2), (1, 3), (3, 3), (1, 4)):
        world.clock.advance(60 * minutes)
        await served(world, failing="b")
        assert probes() == expected  # the wait doubles, whatever process counts
    world.clock.advance(480)
    await served(world)
    assert world.output.numbers() == ALL
    assert world.pipeline.pool.parked == {}
    assert world.log.claim("items", ["b"], owner="another").partitions["b"].due.failures == 0


async def test_a_run_with_once_asks_a_partition_that_fails_and_takes_its_failure_back() -> None:
    world = daemon(TWO)
    await served(world, failing="b")
    world._spec = replace(world._spec, once=True, paging=replace(HOURLY, once=True))
    await served(world)
    assert world.output.numbers() == sorted([*ALL, *range(10)])
    assert world.log.claim("items", ["b"], owner="another").partitions["b"].due.failures == 0


async def test_a_source_that_was_read_once_is_read_again_when_a_schedule_is_added() -> None:
    world = World({"a": range(5)})
    await world.attempt()
    world._spec = replace(world._spec, once=False, paging=HOURLY)
    for _ in range(2):
        await served(world)
    assert [end.pass_no for end in world.of(PassEnded)] == [1, 2]
    assert not world.of(NothingToDo)
    world._spec = replace(world._spec, once=True, paging=replace(HOURLY, once=True))
    await served(world)
    assert [end.pass_no for end in world.of(PassEnded)] == [1, 2, 3]
