"""When the writer commits, what a commit says, and what an error of the source does to it."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from pipeline_kit import WRITER, Output, turns

from worker.core.cursor import Cursor, PassState
from worker.core.errors import PermanentError
from worker.core.events import CommitPublished, Event, ManyFiles, NothingKept
from worker.core.meter import Backlog, StageTimes, Totals
from worker.core.model import Chunk, Ledger, Progress, Reject
from worker.resilience.quality import TooManyRejects
from worker.runtime.budget import Budget, Hold
from worker.runtime.channel import Channel
from worker.runtime.committer import Committer
from worker.runtime.flow import Shaped
from worker.runtime.io_pool import InOrder
from worker.runtime.keeper import Keeper
from worker.runtime.roll import RollSpec
from worker.testing.clock import FakeClock
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import MemorySink, MemoryStore
from worker.writer import MANY_FILES, Held, Writer


def part(
    numbers: Sequence[int],
    received: int | None,
    *,
    partition: str = "a",
    rejects: Sequence[Reject] = (),
    route: str = "",
    pass_over: bool = False,
    **progress: Any,
) -> Shaped:
    """A part of a page whose cursor stands at `received` records; None: not the last part."""
    data = b"".join(b"%d\n" % number for number in numbers)
    taken = len(numbers) + len(rejects)
    return Shaped(
        partition=partition,
        position={"offset": received},
        chunks=[Chunk(route, "0123", len(numbers), data)] if numbers else [],
        rejects=list(rejects),
        ledger=Ledger(received=taken, sent=len(numbers), dead_lettered=len(rejects)),
        looked_at=taken,
        pass_over=pass_over,
        progress=None if received is None else Progress(Cursor(received=received), **progress),
        weight=len(data),
    )


class Desk:
    """A writer over a log and an output in memory, and the channel that it reads."""

    def __init__(self, sink: type[MemorySink] = MemorySink, **spec: Any) -> None:
        self.log, self.clock, self.events = MemoryCommitLog(), FakeClock(), list[Event]()
        self.output = Output(MemoryStore(), MemoryStore("memory://letters"), sink)
        self.channel: Channel[Held] = Channel(1 << 20)
        self.share = Budget(1 << 20, self.clock.monotonic).share()
        self.totals, self.backlog = Totals(), Backlog()
        self.passed: list[tuple[str, int, int]] = []
        self.log.load("items", {})
        claimed = self.log.claim("items", ["a", "b"], owner="me")
        outputs = self.output.outputs(claimed.chain)
        committer = Committer(self.log, outputs, claimed.chain)
        committer.recover()
        self.executor = ThreadPoolExecutor(1)
        self.writer = Writer(
            replace(WRITER, **spec),
            claims=claimed.partitions,
            committer=committer,
            keeper=Keeper(self.log, outputs.commits, claimed.chain, self.clock, keep_s=math.inf),
            outputs=outputs,
            io=InOrder(self.executor),
            clock=self.clock,
            emit=self.events.append,
            totals=self.totals,
            backlog=self.backlog,
            times=StageTimes(self.clock.monotonic),
            passed=lambda partition, pass_no, durable: self.passed.append(
                (partition, pass_no, durable)
            ),
        )

    async def put(self, *parts: Shaped) -> None:
        for each in parts:
            if each.progress is not None:
                self.backlog.received(self.clock.monotonic(), each.ledger.received)
            await self.channel.put(Held(each, Hold(self.share)), each.weight)

    async def write(self, *parts: Shaped, error: BaseException | None = None) -> None:
        """All of them, and the end."""
        await self.put(*parts)
        await self.channel.close(error)
        await self.write_open()

    async def write_open(self) -> None:
        """What comes until somebody closes the channel."""
        async with asyncio.timeout(20):
            with self.executor:
                await self.writer.write(self.channel)

    async def taken(self) -> None:
        """Until the writer has taken everything from the channel."""
        async with asyncio.timeout(20):
            while self.channel.used_bytes:
                await asyncio.sleep(0)

    def commits(self) -> list[CommitPublished]:
        return [event for event in self.events if isinstance(event, CommitPublished)]

    def cursors(self) -> dict[str, int]:
        rows = self.log.partitions("items")
        return {row.partition: Cursor.from_json(row.cursor).received for row in rows}


# -- when -----------------------------------------------------------------------------------------


async def test_enough_records_are_committed_at_the_end_of_a_page_and_never_within_it() -> None:
    desk = Desk(roll=RollSpec(records=4))
    await desk.write(
        part([1, 2, 3], None), part([4, 5, 6], None), part([7], 7), part([8], 8), part([9], 9)
    )
    assert [(each.trigger, each.ledger.sent) for each in desk.commits()] == [
        ("records", 7),
        ("end", 2),
    ]
    assert desk.output.numbers() == list(range(1, 10))


async def test_what_is_old_enough_is_committed_without_further_traffic() -> None:
    desk = Desk(roll=RollSpec(age_s=0.02))
    running = asyncio.create_task(desk.write_open())
    await desk.put(part([1], 1))
    async with asyncio.timeout(20):
        while not desk.commits():
            await asyncio.sleep(0)
    assert [each.trigger for each in desk.commits()] == ["age"]
    await desk.channel.close()
    await running
    assert len(desk.commits()) == 1


async def test_age_counts_from_the_first_record_and_begins_anew_with_a_commit() -> None:
    desk = Desk(roll=RollSpec(age_s=60.0))
    running = asyncio.create_task(desk.write_open())
    for number, seconds in enumerate([59, 2, 59, 2]):
        desk.clock.advance(seconds)
        await desk.put(part([number], number + 1))
        await desk.taken()
    await desk.channel.close()
    await running
    assert [(each.trigger, each.ledger.sent) for each in desk.commits()] == [
        ("age", 3),
        ("end", 1),
    ]


async def test_nothing_is_cut_within_a_page_however_old_it_is() -> None:
    desk = Desk(roll=RollSpec(age_s=0.0))
    running = asyncio.create_task(desk.write_open())
    await desk.put(part([1], None))
    await desk.taken()
    await turns()
    assert desk.commits() == []
    await desk.put(part([2], 2))
    await desk.channel.close()
    await running
    assert [each.ledger.sent for each in desk.commits()] == [2]


async def test_a_commit_with_as_many_files_as_one_may_have_is_due() -> None:
    class Small(MemorySink):
        full = property(lambda self: len(self._open) >= 2)

    desk = Desk(Small)
    routes = [part([number], number + 1, route=f"r={number}") for number in range(5)]
    await desk.write(*routes)
    assert [(each.trigger, each.files) for each in desk.commits()] == [
        ("files", 2),
        ("files", 2),
        ("end", 1),
    ]


async def test_files_of_a_pass_are_left_once_every_partition_has_ended_it() -> None:
    left = list[int]()

    class Leaving(MemorySink):
        def leave(self, group: int) -> None:
            left.append(group)

    def end_of(pass_no: int, partition: str, **more: Any) -> Shaped:
        cursor = Cursor(pass_no=pass_no + 1)
        given = part([1], 1, partition=partition, pass_over=True)
        return replace(given, progress=Progress(cursor), group=pass_no, **more)

    first = Cursor().pass_no
    desk = Desk(Leaving)
    slow = end_of(first, "b", pass_over=False)
    slow = replace(slow, progress=Progress(Cursor(pass_no=first, received=1)))
    await desk.write(end_of(first, "a"), slow, end_of(first + 1, "a"), end_of(first, "b"))
    assert left == [first, first, first + 1]


async def test_what_says_nothing_new_makes_no_commit() -> None:
    desk = Desk()
    unchanged = part([], 0)
    await desk.write(unchanged, replace(unchanged, partition="b"))
    assert desk.commits() == [] and list(desk.log.commits("items")) == []


def over(number: int, *, known: int = 0, filtered: int = 0, **cursor: Any) -> Shaped:
    """The only page of a pass without a record for the files."""
    return replace(
        part([], 0, pass_over=True),
        ledger=Ledger(received=known + filtered, deduplicated=known, filtered=filtered),
        progress=Progress(Cursor(pass_no=number + 1, **cursor), tokens_cleared=True),
    )


async def test_passes_without_news_are_counted_at_once_and_leave_nothing() -> None:
    desk = Desk(roll=RollSpec(age_s=0.0))
    await desk.write(*(over(number, known=3) for number in range(1, 101)))
    assert desk.commits() == [] and list(desk.log.commits("items")) == []
    assert desk.log.partitions("items")[0].seq == 0
    assert desk.totals.ledger == Ledger(received=300, deduplicated=300)
    assert desk.totals.commits == desk.backlog.records == 0
    told = [event.ledger.deduplicated for event in desk.events if isinstance(event, NothingKept)]
    assert told == [3] * 100
    assert desk.passed == [("a", number, 0) for number in range(1, 101)]


async def test_moves_alone_are_one_commit_an_hour_and_one_at_the_end() -> None:
    desk = Desk(roll=RollSpec(age_s=300.0), marks_are_instants=True)
    running = asyncio.create_task(desk.write_open())
    for minute in range(121):
        await desk.put(over(minute + 1, filtered=2, mark=minute))
        async with asyncio.timeout(20):
            while (minute and desk.writer.lag_s(minute / 1e6)) or desk.backlog.records:
                await asyncio.sleep(0)
        desk.clock.advance(60)
    assert [each.trigger for each in desk.commits()] == ["age"]
    await desk.channel.close()
    await running
    assert [each.trigger for each in desk.commits()] == ["age", "end"]
    rows = list(desk.log.commits("items"))
    assert [row.ledger for row in rows] == [
        Ledger(received=2 * passes, filtered=2 * passes) for passes in (61, 60)
    ]
    assert [row.files for row in rows] == [(), ()]
    assert desk.totals.ledger == rows[0].ledger + rows[1].ledger
    assert sum(event.ledger.received for event in desk.commits()) == 0  # told before


async def test_the_end_of_a_pass_that_is_committed_in_part_is_committed_at_once() -> None:
    desk = Desk(roll=RollSpec(records=2))
    within = Progress(Cursor(position=PassState(at=2), received=2))
    running = asyncio.create_task(desk.write_open())
    await desk.put(replace(part([1, 2], 2), progress=within), over(1))
    async with asyncio.timeout(20):
        while len(desk.commits()) < 2:
            await asyncio.sleep(0)
    assert [each.trigger for each in desk.commits()] == ["records", "pass"]
    await desk.channel.close()
    await running
    assert len(desk.commits()) == 2


async def test_a_commit_does_not_touch_partitions_that_brought_nothing() -> None:
    desk = Desk()
    await desk.write(over(1), replace(over(1), partition="b"), part([1], 1))
    assert {row.partition: row.seq for row in desk.log.partitions("items")} == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    "news",
    [
        {"received": 7},
        {"received": 0, "boundary_added": ((1, b"k" * 16),)},
        {"received": 0, "tokens_added": (b"t" * 16,)},
    ],
    ids=["cursor", "boundary", "tokens"],
)
async def test_a_step_without_records_is_committed_when_anything_stored_changes(
    news: dict[str, Any],
) -> None:
    desk = Desk()
    await desk.write(part([], **news))
    [commit] = desk.commits()
    assert (commit.files, commit.ledger) == (0, Ledger())


# -- what -----------------------------------------------------------------------------------------


async def test_each_commit_expects_the_seq_of_the_last_one_of_its_partitions() -> None:
    desk = Desk(roll=RollSpec(records=2))
    await desk.write(
        part([1, 2], 2),
        part([3, 4], 2, partition="b"),
        part([5], 3),
        part([6], 3, partition="b"),
        part([7, 8], 5),
    )
    assert [commit.seq for commit in desk.commits()] == [1, 2, 3, 4]
    assert desk.cursors() == {"a": 5, "b": 3}
    assert {row.partition: row.seq for row in desk.log.partitions("items")} == {"a": 4, "b": 3}


async def test_steps_of_one_partition_are_one_difference_in_a_commit() -> None:
    desk, keys = Desk(), [(number, bytes([number]) * 16) for number in range(3)]
    await desk.write(
        part([1], 1, boundary_added=(keys[0],)),
        part([2], 2, boundary_added=(keys[1],), boundary_floor=1),
        part([3], 3, boundary_added=(keys[2],)),
    )
    assert desk.log.claim("items", ["a"], owner="another").partitions["a"].boundary == {
        keys[1],
        keys[2],
    }
    assert desk.cursors()["a"] == 3


async def test_dead_letters_are_files_of_the_same_commit_and_say_where_they_come_from() -> None:
    desk = Desk()
    reject = Reject(index=1, stage="transform", code="negative", errors=(), raw=b"-5")
    await desk.write(part([4], 2, rejects=[reject, replace(reject, index=2, code="odd")]))
    [commit] = desk.commits()
    assert (commit.files, commit.ledger.dead_lettered) == (2, 2)
    assert commit.rejected == {"negative": 1, "odd": 1}
    [name] = desk.output.letters.published
    first = json.loads(desk.output.letters.names[name].splitlines()[0])
    assert first == {
        "time": "2023-11-14T22:30:00.000Z",
        "pipeline": "items",
        "partition": "a",
        "seq": 1,
        "position": {"offset": 2},
        "index": 1,
        "stage": "transform",
        "code": "negative",
        "errors": [],
        "raw": "-5",
        "schema_fingerprint": "0123",
    }


async def test_an_event_says_how_old_the_oldest_record_of_a_commit_is_and_totals_add_up() -> None:
    desk = Desk()
    await desk.put(part([1, 2], 2))
    desk.clock.advance(30)
    await desk.write(part([3], 3))
    [commit] = desk.commits()
    assert (commit.lag_s, commit.trigger, commit.size_bytes) == (30, "end", 6)
    assert (desk.totals.commits, desk.totals.files, desk.totals.size_bytes) == (1, 1, 6)
    assert (desk.totals.ledger.sent, desk.backlog.records) == (3, 0)


async def test_a_commit_of_very_many_files_is_warned_of() -> None:
    for files, warnings in ((MANY_FILES, 0), (MANY_FILES + 1, 1)):
        desk = Desk()
        await desk.write(*(part([n], n + 1, route=f"r={n}") for n in range(files)))
        assert sum(isinstance(event, ManyFiles) for event in desk.events) == warnings


# -- errors ---------------------------------------------------------------------------------------


async def test_an_error_of_the_source_is_raised_after_what_came_before_it_is_committed() -> None:
    desk, error = Desk(), PermanentError("status 410")
    with pytest.raises(PermanentError) as raised:
        await desk.write(part([1], 1), error=error)
    assert raised.value is error
    assert [each.trigger for each in desk.commits()] == ["failure"]
    assert all(row.published for row in desk.log.commits("items"))


REJECT = Reject(index=0, stage="transform", code="negative", errors=(), raw=b"-5")


async def test_too_many_rejects_are_raised_and_nothing_is_committed() -> None:
    desk = Desk(max_reject_ratio=0.1)
    with pytest.raises(TooManyRejects):
        await desk.write(part(range(100), 111, rejects=[REJECT] * 12))
    assert desk.commits() == [] and list(desk.log.commits("items")) == []


async def test_few_rejects_are_held_back_where_no_partition_has_more_to_come() -> None:
    desk = Desk(max_reject_ratio=0.5)
    with pytest.raises(TooManyRejects):
        await desk.write(
            part([], 6, rejects=[REJECT] * 6, pass_over=True),
            part([], 6, rejects=[REJECT] * 6, pass_over=True, partition="b"),
        )
    assert desk.commits() == []


@pytest.mark.parametrize("once", [False, True])
async def test_a_few_rejects_alone_are_committed_and_end_a_run_with_once(once: bool) -> None:
    desk = Desk(max_reject_ratio=0.5, once=once)
    only = part([], 9, rejects=[REJECT] * 9, pass_over=True)
    if once:
        with pytest.raises(TooManyRejects, match="every record was rejected"):
            await desk.write(only)
    else:
        await desk.write(only)
    assert [each.ledger.dead_lettered for each in desk.commits()] == [9]
    assert all(row.published for row in desk.log.commits("items"))


async def test_of_small_polls_those_before_the_tenth_reject_are_committed() -> None:
    desk = Desk(max_reject_ratio=0.5, roll=RollSpec(records=1))
    polls = [part([], 3 * poll, rejects=[REJECT] * 3, pass_over=True) for poll in range(1, 6)]
    idle = part([], 0, pass_over=True, partition="b")
    with pytest.raises(TooManyRejects):
        await desk.write(idle, *polls)
    assert [each.ledger.dead_lettered for each in desk.commits()] == [3, 3, 3]


async def test_with_once_a_partition_that_brings_nothing_is_not_waited_for() -> None:
    desk = Desk(max_reject_ratio=0.5, once=True)
    with pytest.raises(TooManyRejects):
        await desk.write(part([], 12, rejects=[REJECT] * 12, pass_over=True))
    assert desk.commits() == []


async def test_an_error_of_the_source_decides_before_a_few_rejects() -> None:
    desk, error = Desk(max_reject_ratio=0.5, once=True), PermanentError("status 410")
    with pytest.raises(PermanentError):
        await desk.write(part([], 3, rejects=[REJECT] * 3, pass_over=True), error=error)
    assert [each.ledger.dead_lettered for each in desk.commits()] == [3]


async def test_records_that_a_filter_left_out_count_as_received() -> None:
    desk = Desk(max_reject_ratio=0.5)
    filtered = replace(
        part([], 100, rejects=[REJECT] * 10, pass_over=True),
        ledger=Ledger(received=100, filtered=90, dead_lettered=10),
        looked_at=100,
    )
    await desk.write(filtered)
    assert [each.ledger.filtered for each in desk.commits()] == [90]


# -- lag ------------------------------------------------------------------------------------------


async def test_lag_is_that_of_the_slowest_partition_after_its_last_commit() -> None:
    desk = Desk(marks_are_instants=True)
    assert desk.writer.lag_s(100.0) is None
    marks = {"a": 40_000_000, "b": 70_000_000}
    steps = [
        replace(part([1], 1, partition=name), progress=Progress(Cursor(received=1, mark=mark)))
        for name, mark in marks.items()
    ]
    await desk.write(*steps)
    assert desk.writer.lag_s(100.0) == 60.0


async def test_marks_that_are_no_instants_have_no_lag() -> None:
    desk = Desk(marks_are_instants=False)
    step = replace(part([1], 1), progress=Progress(Cursor(received=1, mark=40)))
    await desk.write(step)
    assert desk.writer.lag_s(100.0) is None


async def test_a_commit_that_is_made_while_the_attempt_is_cancelled_counts() -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(MemorySink):
        def publish(self, *args: Any) -> None:
            begun.set()
            assert go_on.wait(20)
            super().publish(*args)

    desk = Desk(Slow, roll=RollSpec(records=2))
    await desk.put(part([1, 2], 2), part([3], 3))
    writing = asyncio.create_task(desk.write_open())
    async with asyncio.timeout(20):
        while not begun.is_set():
            await asyncio.sleep(0)
        writing.cancel()
        go_on.set()
        with suppress(asyncio.CancelledError):
            await writing
    assert desk.output.numbers() == [1, 2]
    assert [commit.ledger.sent for commit in desk.commits()] == [2]
    assert (desk.totals.commits, desk.backlog.records) == (1, 1)


@pytest.mark.parametrize("refused", [set(), {2}, {4}, {2, 4}, {2, 3, 4, 5}])
async def test_records_of_a_file_are_sent_once_and_in_order_whichever_the_sink_collects(
    refused: set[int],
) -> None:
    class Fitful(MemorySink):
        def collect(self, chunk: Chunk) -> bool:
            return int(chunk.data) not in refused and super().collect(chunk)

        def write(self, chunk: Chunk) -> None:
            written.append(int(chunk.data))
            super().write(chunk)

    written: list[int] = []
    desk = Desk(Fitful)
    routes = {2: "x", 3: "y", 4: "x", 5: "y"}
    chunks = [Chunk(route, "0123", 1, b"%d\n" % number) for number, route in routes.items()]
    await desk.write(
        part([1], 1, route="x"),
        replace(part([], 5), chunks=chunks, ledger=Ledger(received=4, sent=4)),
    )
    lake = desk.output.lake
    landed = {name.partition("/")[0]: lake.names[name] for name in lake.published}
    assert landed == {"x": b"1\n2\n4\n", "y": b"3\n5\n"}
    first = min({3, *refused})  # which has no file yet
    assert written == [1, *range(first, 6)]
