"""What is kept of when partitions are served next."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from worker.core.errors import AuthError
from worker.core.model import Due
from worker.runtime.timetable import REASON_CHARS, Timetable
from worker.testing.clock import FakeClock

WALL_US = 1_700_000_000_000_000


class Kept(list[dict[str, Due]]):
    """Transactions, which the test lets happen."""

    def __init__(self) -> None:
        super().__init__()
        self.may = asyncio.Event()
        self.may.set()

    async def __call__(self, due: Mapping[str, Due]) -> None:
        await self.may.wait()
        self.append(dict(due))


def table(keep: Kept, *, once: bool = False, passes: bool | None = None, **kept: Due) -> Timetable:
    known = {"a": Due(), "b": Due()} | kept
    passes = not once if passes is None else passes
    return Timetable(known, keep, FakeClock(0.0), once=once, passes=passes)


async def test_a_pass_is_kept_once_when_it_begins() -> None:
    keep = Kept()
    subject = table(keep)
    for _ in range(3):
        subject.works("a", 1, 60.0)
        await subject.save()
    subject.works("a", 2, 120.0)
    await subject.save()
    assert keep == [
        {"a": Due(1, WALL_US + 60_000_000)},
        {"a": Due(2, WALL_US + 120_000_000)},
    ]


async def test_a_quick_schedule_is_not_kept_and_its_failures_are() -> None:
    keep = Kept()
    subject = table(keep, passes=False)
    subject.works("a", 1, 10.0)
    await subject.save()
    assert keep == []
    subject.failed("a", AuthError("401"), times=1, until=60.0)
    await subject.save()
    subject.works("a", 2, 20.0)
    await subject.save()
    assert [row["a"].failures for row in keep] == [1, 0]


async def test_without_a_schedule_and_in_a_run_with_once_nothing_is_kept() -> None:
    keep = Kept()
    subject = table(keep)
    subject.works("a", 1, None)
    await subject.save()
    once = table(keep, once=True)
    once.works("a", 1, 60.0)
    once.failed("b", AuthError("401"), times=1, until=60.0)
    await once.save()
    assert keep == []


async def test_a_failure_is_kept_and_taken_back_when_the_partition_works_again() -> None:
    keep = Kept()
    subject = table(keep, a=Due(4, 5))
    subject.failed("a", AuthError("4" * 9_999), times=2, until=30.0)
    await subject.save()
    subject.works("a", 4, 60.0)
    await subject.save()
    failing = Due(4, 5, 2, WALL_US + 30_000_000, "auth", "4" * REASON_CHARS)
    assert keep == [{"a": failing}, {"a": Due(4, 5)}]


async def test_a_run_with_once_takes_a_failure_back_that_a_daemon_left() -> None:
    keep = Kept()
    subject = table(keep, once=True, a=Due(4, 5, 2, 9, "auth", "401"))
    subject.works("a", 5, None)
    await subject.save()
    assert keep == [{"a": Due(4, 5)}]


async def test_what_changes_during_a_transaction_is_kept_by_the_next_one() -> None:
    keep = Kept()
    subject = table(keep)
    keep.may.clear()
    running = asyncio.create_task(subject.run())
    subject.works("a", 1, 1.0)
    for _ in range(3):
        await asyncio.sleep(0)
    for number in range(2, 50):
        subject.works("a", number, 2.0)
        subject.works("b", number, 3.0)
    keep.may.set()
    for _ in range(5):
        await asyncio.sleep(0)
    assert [sorted(each) for each in keep] == [["a"], ["a", "b"]]
    assert keep[1]["a"].pass_no == 49
    running.cancel()
    await subject.save()
    assert len(keep) == 2


async def test_a_pass_that_leaves_nothing_is_kept_as_the_last_one_that_the_log_knows() -> None:
    keep = Kept()
    subject = table(keep, a=Due(3, 5))
    subject.works("a", 4, 60.0)
    subject.passed("a", 4, 3)
    await subject.save()
    subject.works("a", 5, 120.0)
    subject.passed("a", 4, 3)  # another pass was begun since then, and may not be over
    await subject.save()
    assert keep == [
        {"a": Due(3, WALL_US + 60_000_000)},
        {"a": Due(5, WALL_US + 120_000_000)},
    ]


async def test_passes_of_a_schedule_that_is_not_kept_are_not_kept_when_they_leave_nothing() -> None:
    keep = Kept()
    for subject in (table(keep, passes=False, a=Due(4, 5)), table(keep, a=Due(4, None))):
        subject.passed("a", 4, 3)
        await subject.save()
    assert keep == []
