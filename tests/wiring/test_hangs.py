"""What hangs is found from another thread, and reported once in a while."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from worker.core.events import Event, LoopHeld
from worker.pipeline import Pipeline
from worker.runtime.hangs import BEAT_S, Pulse
from worker.runtime.notify import STALLED_S
from worker.wiring.hangs import BEGIN_S, SLOW_S, Hangs


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pipeline(call: tuple[str, float] | None = None, stalled_s: float = 0.0) -> Pipeline:
    found = SimpleNamespace(
        name="items", call_in_progress=lambda: call, stalled_s=lambda: stalled_s
    )
    return cast("Pipeline", found)


@pytest.fixture
async def clock() -> Clock:
    return Clock()


async def test_a_task_that_holds_the_loop_is_reported_and_again_when_its_time_has_doubled(
    clock: Clock,
) -> None:
    pulse, events = Pulse(clock), list[Event]()
    hangs = Hangs(pulse)
    hangs.watch(tuple)
    task = asyncio.current_task()
    assert task is not None
    task.set_name("items.process")
    for tick in range(20):  # all within one turn of the loop
        clock.now = tick * 0.5 + BEAT_S
        hangs.report(events.append)
    times = [event.held_s for event in events if isinstance(event, LoopHeld)]
    assert times == [1.5, 3.0, 6.0]
    assert all("items.process, " in str(event) for event in events)
    pulse.beat()
    hangs.report(events.append)
    assert len(events) == 3


async def test_many_tasks_that_are_due_at_once_are_not_reported(clock: Clock) -> None:
    events, hangs = list[Event](), Hangs(Pulse(clock))
    hangs.watch(tuple)

    async def short(number: int) -> None:
        clock.now = number * 0.5
        hangs.report(events.append)

    await asyncio.gather(*map(short, range(20)))
    assert events == []


async def test_a_run_that_begins_may_hold_the_loop_for_longer(clock: Clock) -> None:
    events, hangs = list[Event](), Hangs(Pulse(clock))
    for clock.now in (BEGIN_S - 1, BEGIN_S - 0.5, BEGIN_S + 1, BEGIN_S + 2):
        hangs.report(events.append)
        assert bool(events) == (clock.now == BEGIN_S + 2)


async def test_calls_that_do_not_come_back_are_named(clock: Clock) -> None:
    hangs = Hangs(Pulse(clock))
    for seconds, found in ((SLOW_S, 1), (SLOW_S - 0.1, 0)):
        hangs.watch(lambda seconds=seconds: [pipeline(("Committer.commit", seconds)), pipeline()])
        assert len(hangs.found()) == found
    clock.now = 2.0
    assert hangs.found()[0].startswith("the event loop has been held for 1.9 s by ")


@pytest.mark.parametrize(
    ("held_s", "stalled_s", "alive"),
    [
        (0, 0, True),
        (STALLED_S - 1, STALLED_S - 1, True),
        (STALLED_S, 0, False),
        (0, STALLED_S, False),
    ],
)
async def test_what_has_hung_for_minutes_is_not_alive(
    held_s: float, stalled_s: float, alive: bool, clock: Clock
) -> None:
    hangs = Hangs(Pulse(clock))
    hangs.watch(lambda: [pipeline(), pipeline(stalled_s=stalled_s)])
    clock.now = held_s + BEAT_S
    assert hangs.alive() is alive


async def test_what_blocks_an_exit_is_named_as_far_as_it_is_known() -> None:
    pulse = Pulse()
    hangs = Hangs(pulse)

    assert "the event loop has been held" in hangs.blocking(), "asked on the loop, which waits"
    for pipelines, told in (
        ([pipeline()], "nothing hangs"),
        (
            [pipeline(("Committer.commit", 0.25)), pipeline()],
            "pipeline items has waited for Committer.commit for 0.2 s",
        ),
    ):
        hangs.watch(lambda pipelines=pipelines: pipelines)
        asking = asyncio.create_task(asyncio.to_thread(hangs.blocking))
        while not asking.done():
            pulse.beat()
            await asyncio.sleep(BEAT_S / 5)
        assert asking.result() == told
