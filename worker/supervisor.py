"""Runs pipelines side by side and decides what follows when an attempt ends with an error.

Rule 1: everything that follows a failed attempt is decided here. A pipeline says why its attempt
        ended; it never starts another one.
Rule 2: the decision is a table of what ended the attempt and what happens then. It counts failures
        and is told the time; it knows nothing else.

Any number of attempts is safe, because each begins at the commit log: what was received and not
committed is received again. What the table weighs is only whether another attempt may succeed
without a human, and how soon it is worth the load.

| what ended the attempt                | what happens                                        |
|---------------------------------------|-----------------------------------------------------|
| the output cannot be written          | pause 1 s, 2 s, 4 s, up to 30 s                     |
|     the same, with `--once`           |   and give up 600 s after the first failure (74)    |
| too many records were rejected, or    | pause 300 s                                         |
|     partitions have vanished          |                                                     |
|     the same, with `--once`           |   give up (65)                                      |
| an fsync failed                       | restart after 1 s, the second time give up (74)     |
| a bug (any unexpected exception)      | restart after 2 s, 4 s, 8 s, the fourth time within |
|                                       |   600 s give up (70)                                |
| anything else                         | give up with the exit code of the error             |

*Restart* and *pause* are both another attempt after a wait. A restart has a budget; a pause goes on
for as long as it takes, and begins anew after a commit. *Give up* ends the pipeline with its error
and leaves the other pipelines alone. "Anything else" is what time does not mend: a source that
failed for good in a run with `--once`, a state that cannot be used, a schema that may not follow
the committed files, another owner who goes on with the pipeline: who should run it is not decided
here. A daemon whose pipelines have all ended, one of them because of another owner, ends too.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from worker.core.errors import (
    DurabilityLost,
    Exit,
    Fenced,
    PartitionsVanished,
    SinkUnavailable,
    WorkerError,
    deciding_error,
    flatten,
)
from worker.core.events import AttemptFailed, Emit, PipelineEnded, PipelineFailed
from worker.core.ports import Clock
from worker.pipeline import Pipeline
from worker.resilience.backoff import doubling_s
from worker.resilience.quality import TooManyRejects
from worker.runtime.clock import done_unless, set_within
from worker.runtime.descriptors import EXHAUSTED, exhausted

MOST_RESTARTS: Final = 3


class Bug(WorkerError):
    """An unexpected exception ended the pipeline more often than the restart budget allows."""

    exit = Exit.BUG
    code = "bug"


class Ending(Enum):
    """What ended an attempt: the rows of the table."""

    UNWRITABLE = auto()
    TOO_MANY_REJECTS = auto()
    DURABILITY_LOST = auto()
    BUG = auto()
    FAILED = auto()


@dataclass(slots=True)
class Failures:
    """What is remembered of the failures of one kind in one pipeline.

    Attributes:
        at: when the last ones came, in monotonic seconds.
        count: how many came since the last commit of the pipeline.
        since: when the first of these came.
        commits: how many commits the pipeline had at the last one.
    """

    at: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_RESTARTS + 1))
    count: int = 0
    since: float = 0.0
    commits: int = 0

    def add(self, now: float, commits: int) -> None:
        """Counts one more."""
        if commits != self.commits or not self.count:
            self.count, self.since, self.commits = 0, now, commits
        self.count += 1
        self.at.append(now)


@dataclass(frozen=True, slots=True)
class Restart:
    """Another attempt after a wait, within a budget.

    Attributes:
        times: so many failures within `within_s` seconds are followed by another attempt.
        first_s: the wait after the first of them; it doubles with each.
    """

    times: int
    first_s: float
    within_s: float = math.inf

    def wait_s(self, failures: Failures, now: float) -> float | None:
        """Seconds until the next attempt; None when the budget is spent."""
        recent = sum(now - at < self.within_s for at in failures.at)
        return doubling_s(self.first_s, recent, math.inf) if recent <= self.times else None


@dataclass(frozen=True, slots=True)
class Pause:
    """Another attempt after a wait, for as long as it takes.

    Attributes:
        first_s: the wait after the first failure since the last commit; it doubles with each.
        longest_s: no wait is longer.
        patience_s: so long after the first of these failures there is no further attempt.
    """

    first_s: float
    longest_s: float
    patience_s: float = math.inf

    def wait_s(self, failures: Failures, now: float) -> float | None:
        """Seconds until the next attempt; None when the patience has ended."""
        if now - failures.since >= self.patience_s:
            return None
        return doubling_s(self.first_s, failures.count, self.longest_s)


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No other attempt."""

    def wait_s(self, failures: Failures, now: float) -> None:
        """Always None."""


Rule = Restart | Pause | GiveUp

DAEMON: Final[Mapping[Ending, Rule]] = {
    Ending.UNWRITABLE: Pause(first_s=1.0, longest_s=30.0),
    Ending.TOO_MANY_REJECTS: Pause(first_s=300.0, longest_s=300.0),
    Ending.DURABILITY_LOST: Restart(times=1, first_s=1.0),
    Ending.BUG: Restart(times=MOST_RESTARTS, first_s=2.0, within_s=600.0),
    Ending.FAILED: GiveUp(),
}
ONCE: Final[Mapping[Ending, Rule]] = {
    **DAEMON,
    Ending.UNWRITABLE: Pause(first_s=1.0, longest_s=30.0, patience_s=600.0),
    Ending.TOO_MANY_REJECTS: GiveUp(),
}


@dataclass(slots=True)
class Outcome:
    """How a pipeline ended: without an error, or with the one that decides the exit code."""

    pipeline: Pipeline
    error: WorkerError | None = None


class Supervisor:
    """Keeps pipelines running until they end or `stop` is set.

    `once` chooses the rules, and lets the run end when all pipelines have.
    """

    def __init__(
        self, pipelines: Sequence[Pipeline], clock: Clock, emit: Emit, *, once: bool
    ) -> None:
        self.pipelines = tuple(pipelines)
        self._clock, self._emit, self._once = clock, emit, once
        self._rules = ONCE if once else DAEMON
        self._state = {pipeline.name: "starting" for pipeline in pipelines}
        self._over = {pipeline.name: asyncio.Event() for pipeline in pipelines}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[Outcome]] = []

    def states(self) -> dict[str, str]:
        """Pipeline -> waiting, starting, running, paused, complete, failed."""
        return dict(self._state)

    async def run(self, stop: asyncio.Event, drain_deadline: asyncio.Event) -> list[Outcome]:
        """Runs all pipelines to their end; a pipeline that fails leaves the others alone."""
        async with asyncio.TaskGroup() as self._group:
            for pipeline in self.pipelines:
                self._start(self._group, pipeline, stop, drain_deadline)
            if not self._once and self.pipelines:
                await self._until_over(stop)
        return [task.result() for task in self._tasks]

    async def _until_over(self, stop: asyncio.Event) -> None:
        """A daemon whose pipelines are all complete stays up until it is told to stop. One that was
        displaced ends when nothing runs any more, so that whoever started it is told.
        """
        stopping = asyncio.ensure_future(stop.wait())
        running = set(self._tasks)
        while running and not stopping.done():
            await asyncio.wait({stopping, *running}, return_when=asyncio.FIRST_COMPLETED)
            running = {task for task in self._tasks if not task.done()}
        outcomes = [task.result() for task in self._tasks if task.done()]
        if not any(isinstance(outcome.error, Fenced) for outcome in outcomes):
            await stopping
        stopping.cancel()

    def add(self, pipeline: Pipeline, stop: asyncio.Event, drain_deadline: asyncio.Event) -> None:
        """A pipeline that could not start with the others; only during `run`."""
        assert self._group is not None
        self.pipelines += (pipeline,)
        self._state[pipeline.name] = "starting"
        self._over[pipeline.name] = asyncio.Event()
        self._start(self._group, pipeline, stop, drain_deadline)

    def _start(
        self,
        group: asyncio.TaskGroup,
        pipeline: Pipeline,
        stop: asyncio.Event,
        drain_deadline: asyncio.Event,
    ) -> None:
        keeping = self._keep_in_turn(pipeline, stop, drain_deadline)
        self._tasks.append(group.create_task(keeping, name=pipeline.name))

    async def _keep_in_turn(
        self, pipeline: Pipeline, stop: asyncio.Event, drain_deadline: asyncio.Event
    ) -> Outcome:
        """With `once` a pipeline whose partitions are found in another one begins after it."""
        parent = pipeline.parent
        try:
            if self._once and parent in self._over:
                self._state[pipeline.name] = "waiting"
                await done_unless(stop, _wait(self._over[parent]), name="parent")
                if stop.is_set():
                    return self._end(pipeline)
            return await self._keep(pipeline, stop, drain_deadline)
        finally:
            self._over[pipeline.name].set()

    async def _keep(
        self, pipeline: Pipeline, stop: asyncio.Event, drain_deadline: asyncio.Event
    ) -> Outcome:
        """Attempt after attempt.

        Until one ends without an error, the table says to give up, or `stop` comes in a wait.
        """
        failures = {ending: Failures() for ending in Ending}
        while True:
            self._state[pipeline.name] = "running"
            try:
                # in a task of its own: before Python 3.11.4 a TaskGroup that failed leaves its task
                # half cancelled,
                # and a later timeout in it would end as a cancellation
                await asyncio.create_task(
                    pipeline.attempt(stop, drain_deadline), name=f"{pipeline.name}.attempt"
                )
            except Exception as raised:  # the one place that decides what follows any failure
                error = _deciding(raised)
                wait_s = self._wait_s(pipeline, error, failures)
                if wait_s is None:
                    return self._give_up(pipeline, error)
                reason = _explained(raised, error)
                self._emit(AttemptFailed(pipeline.name, error.code, reason, restart_in_s=wait_s))
                self._state[pipeline.name] = "paused"
                if await set_within(stop, wait_s, self._clock):
                    return Outcome(pipeline, error)
            else:
                return self._end(pipeline)

    def _wait_s(
        self, pipeline: Pipeline, error: WorkerError, failures: Mapping[Ending, Failures]
    ) -> float | None:
        """Seconds until the next attempt; None when there is none."""
        ending, now = _ending(error), self._clock.monotonic()
        failures[ending].add(now, pipeline.totals.commits)
        return self._rules[ending].wait_s(failures[ending], now)

    def _give_up(self, pipeline: Pipeline, error: WorkerError) -> Outcome:
        self._state[pipeline.name] = "failed"
        self._emit(PipelineFailed(pipeline.name, error.code, str(error)))
        return Outcome(pipeline, error)

    def _end(self, pipeline: Pipeline) -> Outcome:
        self._state[pipeline.name] = "complete"
        self._emit(PipelineEnded(pipeline.name, pipeline.totals.note or "done"))
        return Outcome(pipeline)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


_ENDINGS: Final[Mapping[type[WorkerError], Ending]] = {
    SinkUnavailable: Ending.UNWRITABLE,
    TooManyRejects: Ending.TOO_MANY_REJECTS,
    PartitionsVanished: Ending.TOO_MANY_REJECTS,
    DurabilityLost: Ending.DURABILITY_LOST,
    Bug: Ending.BUG,
}


def _ending(error: WorkerError) -> Ending:
    found = (ending for kind, ending in _ENDINGS.items() if isinstance(error, kind))
    return next(found, Ending.FAILED)


def _deciding(raised: BaseException) -> WorkerError:
    """The one error of an attempt that decides: a bug before everything else.

    Whatever needs one more descriptor, even an import, may meet that there is none left.
    """
    causes = [
        exhausted("the process", cause.errno)
        if isinstance(cause, OSError) and cause.errno in EXHAUSTED
        else cause
        for cause in flatten(raised)
    ]
    for cause in causes:
        if not isinstance(cause, WorkerError):
            bug = Bug(f"{type(cause).__name__}: {cause}", remedy="please report it with the log")
            bug.__cause__ = cause
            return bug
    error = deciding_error([cause for cause in causes if isinstance(cause, WorkerError)])
    assert error is not None, "a group of exceptions is never empty"
    return error


def _explained(raised: BaseException, error: WorkerError) -> str:
    """What the log says of a failed attempt: of a bug the end of its traceback too."""
    if not isinstance(error, Bug):
        return str(error)
    import traceback  # only when something unexpected happened

    return "".join(traceback.format_exception(raised)[-12:])
