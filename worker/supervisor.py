"""Runs pipelines side by side and decides what follows when an attempt ends with an error.

| what ended the attempt            | what follows                                                              |
|-----------------------------------|---------------------------------------------------------------------------|
| fenced partitions                 | they are given up in this process; the other partitions go on             |
| output cannot be written now      | the pipeline pauses, then redoes from the commit log; with --once: until its patience ends |
| too many rejects                  | the pipeline pauses and looks again; with --once it ends (65)              |
| a failed fsync                    | redone once; the second time the pipeline ends (74)                        |
| a source that failed (--once)     | the pipeline ends with its error; what was received is committed           |
| a bug                             | redone within a restart budget, then the pipeline ends (70)                |
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.core.errors import (
    DurabilityLost,
    Exit,
    Fenced,
    SinkUnavailable,
    WorkerError,
    deciding_error,
    flatten,
)
from worker.core.events import AttemptFailed, Emit, PipelineEnded, PipelineFailed
from worker.core.ports import Clock
from worker.pipeline import Pipeline
from worker.resilience.quality import TooManyRejects

BUG_RESTARTS: Final = 3
BUG_WINDOW_S: Final = 600.0
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
QUALITY_PAUSE_S: Final = 300.0


class Bug(WorkerError):
    """An unexpected exception ended the pipeline more often than the restart budget allows."""

    exit = Exit.BUG
    code = "bug"


@dataclass(slots=True)
class Outcome:
    """How a pipeline ended: without an error, or with the one that decides the exit code."""

    pipeline: Pipeline
    error: WorkerError | None = None


@dataclass(slots=True)
class _History:
    """What went wrong so far in a pipeline."""

    bugs: list[float]
    lost_durability: int = 0
    pauses: int = 0
    commits: int = 0
    unwritable_since: float | None = None


class Supervisor:
    """Keeps pipelines running until they end or `stop` is set."""

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        clock: Clock,
        emit: Emit,
        *,
        once: bool,
        patience_s: float = 600.0,
    ) -> None:
        self.pipelines = tuple(pipelines)
        self._tasks: list[asyncio.Task[Outcome]] = []
        self._group: asyncio.TaskGroup | None = None
        self._clock, self._emit, self._once, self._patience_s = clock, emit, once, patience_s
        self._state: dict[str, str] = {pipeline.name: "starting" for pipeline in pipelines}

    async def run(self, stop: asyncio.Event, drain_deadline: asyncio.Event) -> list[Outcome]:
        """Runs all pipelines to their end; a pipeline that fails leaves the others alone."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._tasks += [
                group.create_task(self._keep(pipeline, stop, drain_deadline), name=pipeline.name)
                for pipeline in self.pipelines
            ]
            if not self._once and self.pipelines:
                # a daemon whose pipelines are all complete stays up until it is told to stop
                await stop.wait()
        return [task.result() for task in self._tasks]

    def add(self, pipeline: Pipeline, stop: asyncio.Event, drain_deadline: asyncio.Event) -> None:
        """A pipeline that could not start with the others; only during `run`."""
        assert self._group is not None
        self.pipelines += (pipeline,)
        self._state[pipeline.name] = "starting"
        self._tasks.append(
            self._group.create_task(self._keep(pipeline, stop, drain_deadline), name=pipeline.name)
        )

    def states(self) -> dict[str, str]:
        """Pipeline -> starting, running, paused, complete, failed."""
        return dict(self._state)

    async def _keep(
        self, pipeline: Pipeline, stop: asyncio.Event, drain_deadline: asyncio.Event
    ) -> Outcome:
        history = _History([])
        while True:
            self._state[pipeline.name] = "running"
            try:
                # in a task of its own: before Python 3.11.4 a TaskGroup that failed leaves its task half cancelled, and a later timeout in it
                # would end as a cancellation
                await asyncio.create_task(
                    pipeline.attempt(stop, drain_deadline), name=f"{pipeline.name}.attempt"
                )
            except Exception as error:  # the one place that decides what follows any failure
                verdict = self._verdict(pipeline, error, history)
                if isinstance(verdict, WorkerError):
                    self._state[pipeline.name] = "failed"
                    self._emit(PipelineFailed(pipeline.name, verdict.code, str(verdict)))
                    return Outcome(pipeline, verdict)
                self._state[pipeline.name] = "paused"
                if await self._pause(stop, verdict):
                    return Outcome(pipeline, _single(error))
            else:
                return self._ended(pipeline)

    def _ended(self, pipeline: Pipeline) -> Outcome:
        fenced = tuple(pipeline.fenced)
        self._state[pipeline.name] = "complete"
        self._emit(PipelineEnded(pipeline.name, pipeline.totals.note or "done"))
        return Outcome(pipeline, Fenced(fenced) if fenced else None)

    def _verdict(
        self, pipeline: Pipeline, error: Exception, history: _History
    ) -> WorkerError | float:
        """The error that ends the pipeline, or seconds to wait before the next attempt."""
        cause = _single(error)
        now = self._clock.monotonic()
        wait_s: float | None = None
        if isinstance(cause, Fenced):
            wait_s = 0.0 if set(pipeline.fenced) < set(pipeline.spec.partitions) else None
        elif isinstance(cause, SinkUnavailable):
            if pipeline.totals.commits != history.commits:  # it could be written in between
                history.commits, history.pauses, history.unwritable_since = (
                    pipeline.totals.commits,
                    0,
                    None,
                )
            history.unwritable_since = history.unwritable_since or now
            history.pauses += 1
            if not self._once or now - history.unwritable_since < self._patience_s:
                wait_s = min(FIRST_PAUSE_S * 2 ** (history.pauses - 1), LONGEST_PAUSE_S)
        elif isinstance(cause, TooManyRejects):
            wait_s = None if self._once else QUALITY_PAUSE_S
        elif isinstance(cause, DurabilityLost):
            history.lost_durability += 1
            wait_s = FIRST_PAUSE_S if history.lost_durability < 2 else None
        elif isinstance(cause, Bug):
            history.bugs = [at for at in history.bugs if now - at < BUG_WINDOW_S] + [now]
            wait_s = (
                FIRST_PAUSE_S * 2 ** len(history.bugs)
                if len(history.bugs) <= BUG_RESTARTS
                else None
            )
        if wait_s is None:
            return cause
        self._emit(AttemptFailed(pipeline.name, cause.code, _explained(error, cause), wait_s))
        return wait_s

    async def _pause(self, stop: asyncio.Event, seconds: float) -> bool:
        """Waits; True when `stop` came meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return False
        return True


def _single(error: BaseException) -> WorkerError:
    """The one error that decides: a bug before everything else."""
    causes = flatten(error)
    for cause in causes:
        if not isinstance(cause, WorkerError):
            bug = Bug(f"{type(cause).__name__}: {cause}", remedy="please report it with the log")
            bug.__cause__ = cause
            return bug
    found = deciding_error([cause for cause in causes if isinstance(cause, WorkerError)])
    assert found is not None
    return found


def _explained(error: BaseException, cause: WorkerError) -> str:
    if not isinstance(cause, Bug):
        return str(cause)
    import traceback  # only when something unexpected happened

    return "".join(traceback.format_exception(error)[-12:])
