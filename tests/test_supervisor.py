"""What follows an attempt that failed: one test for each row of the supervisor's table, and for
what holds in all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.core.errors import (
    AuthError,
    DurabilityLost,
    Exit,
    Fenced,
    PublishConflict,
    SinkUnavailable,
    StateError,
    TransientError,
    WorkerError,
)
from worker.core.events import AttemptFailed, Event, PipelineEnded, PipelineFailed
from worker.pipeline import Pipeline
from worker.resilience.quality import TooManyRejects
from worker.supervisor import DAEMON, ONCE, Ending, Outcome, Supervisor
from worker.testing.clock import FakeClock

Step = BaseException | Callable[["Scripted"], BaseException | None]


@dataclass
class Scripted:
    """A pipeline whose attempts end as a test says: with an error, or well when the list is over."""

    endings: list[Step]
    name: str = "items"
    parent: str = ""
    spec: Any = field(default_factory=lambda: SimpleNamespace(partitions=("a", "b", "c")))
    totals: Any = field(default_factory=lambda: SimpleNamespace(commits=0, note=""))
    attempts: int = 0

    async def attempt(self, stop: asyncio.Event, drain_deadline: asyncio.Event) -> None:
        self.attempts += 1
        if not self.endings:
            return
        step = self.endings.pop(0)
        error = step(self) if callable(step) else step
        if error is not None:
            raise error


class Supervised:
    """Scripted pipelines under a supervisor whose waits pass at once.

    `ends`: a daemon is stopped when a pipeline has ended.
    """

    def __init__(
        self,
        *pipelines: Scripted,
        once: bool = True,
        ends: bool = True,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock, self.events, self.stop = clock or FakeClock(), list[Event](), asyncio.Event()
        self._ends = ends
        self.supervisor = Supervisor(
            cast(list[Pipeline], pipelines), self.clock, self._emit, once=once
        )

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        if self._ends and isinstance(event, PipelineEnded | PipelineFailed):
            self.stop.set()

    async def outcomes(self) -> list[Outcome]:
        async with asyncio.timeout(20):
            return await self.supervisor.run(self.stop, asyncio.Event())

    async def error(self) -> WorkerError | None:
        """The error that the only pipeline ended with."""
        [outcome] = await self.outcomes()
        return outcome.error

    def waits(self) -> list[float]:
        """The waits before further attempts, as they were told."""
        return [event.restart_in_s for event in self.events if isinstance(event, AttemptFailed)]


def bug(*_: Any) -> BaseException:
    return ExceptionGroup("tasks", [KeyError("bug")])


def later(seconds: float, run: Supervised, error: WorkerError) -> Callable[[Scripted], WorkerError]:
    """An attempt that lasts so long before it fails."""

    def step(_: Scripted) -> WorkerError:
        run.clock.advance(seconds)
        return error

    return step


def committed(error: BaseException) -> Callable[[Scripted], BaseException]:
    """An attempt that commits something before it fails."""

    def step(pipeline: Scripted) -> BaseException:
        pipeline.totals.commits += 1
        return error

    return step


both = pytest.mark.parametrize("once", [True, False], ids=["once", "daemon"])


# -- the rows of the table -------------------------------------------------------------------------


def test_every_ending_has_a_rule_of_a_daemon_and_of_once() -> None:
    assert set(DAEMON) == set(ONCE) == set(Ending)


@both
async def test_a_pipeline_of_another_owner_is_over_and_the_run_says_75(once: bool) -> None:
    pipeline = Scripted([Fenced("another owner goes on")])
    run = Supervised(pipeline, once=once, ends=False)
    error = await run.error()
    assert (pipeline.attempts, run.waits()) == (1, [])
    assert isinstance(error, Fenced) and error.exit == Exit.BUSY


async def test_a_daemon_of_which_one_pipeline_is_over_goes_on_with_the_others() -> None:
    go_on = asyncio.Event()

    @dataclass
    class Running(Scripted):
        async def attempt(self, stop: asyncio.Event, drain_deadline: asyncio.Event) -> None:
            await go_on.wait()

    run = Supervised(Scripted([Fenced("over")]), Running([], name="b"), once=False, ends=False)
    running = asyncio.create_task(run.outcomes())
    async with asyncio.timeout(20):
        while run.supervisor.states()["items"] != "failed":
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert (running.done(), run.supervisor.states()["b"]) == (False, "running")
    go_on.set()
    one, other = await running
    assert (type(one.error), other.error) == (Fenced, None)


async def test_a_daemon_whose_pipelines_are_all_complete_stays_up_until_it_is_told_to_stop() -> (
    None
):
    run = Supervised(Scripted([]), once=False, ends=False)
    running = asyncio.create_task(run.outcomes())
    async with asyncio.timeout(20):
        while run.supervisor.states()["items"] != "complete":
            await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not running.done()
    run.stop.set()
    [outcome] = await running
    assert outcome.error is None


async def test_an_output_that_cannot_be_written_pauses_a_daemon_for_as_long_as_it_takes() -> None:
    pipeline = Scripted([SinkUnavailable("full")] * 2_000)
    run = Supervised(pipeline, once=False)
    assert await run.error() is None
    assert run.waits() == [1.0, 2.0, 4.0, 8.0, 16.0] + [30.0] * 1_995


async def test_the_pause_begins_anew_after_a_commit() -> None:
    full = SinkUnavailable("full")
    run = Supervised(Scripted([full, full, full, committed(full), full]))
    assert await run.error() is None
    assert run.waits() == [1.0, 2.0, 4.0, 1.0, 2.0]


async def test_once_waits_for_the_output_until_its_patience_ends() -> None:
    run = Supervised(Scripted([SinkUnavailable("full")] * 1_000))
    error = await run.error()
    assert isinstance(error, SinkUnavailable)
    assert 600 <= sum(run.waits()) < 630


async def test_the_patience_of_once_begins_anew_after_a_commit() -> None:
    run = Supervised(pipeline := Scripted([]))
    full = SinkUnavailable("full")
    pipeline.endings += [full, later(500, run, full), committed(full), later(500, run, full)]
    assert await run.error() is None


async def test_too_many_rejects_pause_a_daemon_for_five_minutes_each_time() -> None:
    run = Supervised(Scripted([TooManyRejects("91 of 100")] * 3), once=False)
    assert await run.error() is None
    assert run.waits() == [300.0, 300.0, 300.0]


async def test_too_many_rejects_end_a_run_with_once_with_65() -> None:
    run = Supervised(pipeline := Scripted([TooManyRejects("91 of 100")]))
    error = await run.error()
    assert error is not None and error.exit == Exit.DATA
    assert pipeline.attempts == 1


@both
async def test_a_lost_fsync_is_redone_once_and_ends_the_second_time_with_74(once: bool) -> None:
    lost = DurabilityLost("fsync failed")
    run = Supervised(pipeline := Scripted([]), once=once)
    pipeline.endings += [lost, later(86_400, run, lost), lost]
    error = await run.error()
    assert error is lost and error.exit == Exit.IO
    assert (pipeline.attempts, run.waits()) == (2, [1.0])


@both
async def test_a_bug_restarts_three_times_and_ends_the_fourth_time_with_70(once: bool) -> None:
    run = Supervised(pipeline := Scripted([bug] * 10), once=once)
    error = await run.error()
    assert error is not None and error.exit == Exit.BUG
    assert (pipeline.attempts, run.waits()) == (4, [2.0, 4.0, 8.0])


async def test_bugs_of_more_than_ten_minutes_ago_do_not_count() -> None:
    run = Supervised(pipeline := Scripted([]))
    pipeline.endings += [later(601, run, KeyError("bug")) for _ in range(20)]
    assert await run.error() is None
    assert run.waits() == [2.0] * 20


@both
@pytest.mark.parametrize(
    "error",
    [
        TransientError("status 503"),
        AuthError("status 401"),
        StateError("damaged"),
        PublishConflict("x.avro"),
    ],
    ids=lambda error: error.code,
)
async def test_anything_else_gives_up_with_its_own_exit_code(
    error: WorkerError, once: bool
) -> None:
    run = Supervised(pipeline := Scripted([error]), once=once)
    assert await run.error() is error
    assert (pipeline.attempts, run.waits()) == (1, [])


# -- what holds in all of them ---------------------------------------------------------------------


async def test_kinds_of_failures_are_counted_apart() -> None:
    full, lost = SinkUnavailable("full"), DurabilityLost("fsync failed")
    run = Supervised(Scripted([full, bug, full, lost, bug, full]))
    assert await run.error() is None
    assert run.waits() == [1.0, 2.0, 2.0, 1.0, 4.0, 4.0]


async def test_of_several_errors_a_bug_decides_and_then_the_first_in_the_order_of_exit_codes() -> (
    None
):
    auth, lost = AuthError("status 401"), DurabilityLost("fsync failed")
    for errors, code in (([auth, lost], 74), ([auth, KeyError("x"), lost], 70), ([auth], 77)):
        run = Supervised(Scripted([ExceptionGroup("tasks", list(errors))] * 5))
        error = await run.error()
        assert error is not None and error.exit == code


async def test_a_pipeline_that_fails_leaves_the_others_alone() -> None:
    bad, good = Scripted([AuthError("no")], name="bad"), Scripted([bug], name="good")
    run = Supervised(bad, good, ends=False)
    outcomes = {each.pipeline.name: each.error for each in await run.outcomes()}
    assert isinstance(outcomes["bad"], AuthError) and outcomes["good"] is None
    assert run.supervisor.states() == {"bad": "failed", "good": "complete"}
    assert [type(event) for event in run.events].count(PipelineFailed) == 1


async def test_the_log_has_the_traceback_of_a_bug_and_the_words_of_other_errors() -> None:
    run = Supervised(Scripted([bug, SinkUnavailable("no space is left", where="/lake")]))
    await run.error()
    [first, second] = [event for event in run.events if isinstance(event, AttemptFailed)]
    assert first.code == "bug" and "Traceback" in first.reason and "KeyError" in first.reason
    assert (second.code, second.reason) == ("sink_unavailable", "/lake: no space is left")


class Held(FakeClock):
    """A clock whose sleepers never wake."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.Event().wait()


@both
async def test_stop_ends_a_pause_with_the_error_it_waits_for(once: bool) -> None:
    full = SinkUnavailable("full")
    clock = Held()
    run = Supervised(pipeline := Scripted([full] * 3), once=once, clock=clock)
    running = asyncio.create_task(run.error())
    while not clock.slept:
        await asyncio.sleep(0)
    assert run.supervisor.states() == {"items": "paused"}
    run.stop.set()
    assert await running is full
    assert pipeline.attempts == 1


async def test_a_daemon_whose_pipelines_are_complete_stays_until_it_is_stopped() -> None:
    run = Supervised(Scripted([]), once=False, ends=False)
    running = asyncio.create_task(run.error())
    while run.supervisor.states() != {"items": "complete"}:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.done()
    run.stop.set()
    assert await running is None


async def test_a_pipeline_that_joins_later_is_kept_like_the_others() -> None:
    run = Supervised(Scripted([]), once=False, ends=False)
    late = Scripted([bug], name="late")
    running = asyncio.create_task(run.outcomes())
    while run.supervisor.states() != {"items": "complete"}:
        await asyncio.sleep(0)
    run.supervisor.add(cast(Pipeline, late), run.stop, asyncio.Event())
    while run.supervisor.states()["late"] != "complete":
        await asyncio.sleep(0)
    run.stop.set()
    assert [each.pipeline.name for each in await running] == ["items", "late"]
    assert late.attempts == 2
