"""The application: one run from settings to results. `App.run` reads in the order of events.

    listen to signals, and to the pulse of the event loop
    open   the log, the parts of the pipelines, the lock on the state
    start  the pipelines under their supervisor, the admin server
    serve  until the pipelines have ended; timers and other side tasks run beside them
    close  the exit code and the results; what was opened closes in reverse

`run` and `run_async` are the Python API. How pipelines are made from settings stands in
`worker.wiring`.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from worker import __version__
from worker.core.errors import Exit, WorkerError, deciding_error
from worker.core.events import PipelineStarted, RunEnded, RunStarted
from worker.core.ports import Clock
from worker.runtime.clock import SystemClock, done_unless
from worker.runtime.descriptors import raise_limit
from worker.runtime.hangs import Pulse, beating
from worker.runtime.lifecycle import Run, Signals, catching
from worker.runtime.notify import Notifier, feed_watchdog
from worker.settings import PipelineSettings, Settings, colors, service_manager
from worker.state.lock import lock_state
from worker.supervisor import Outcome, Supervisor
from worker.telemetry.admin import Health, admin_server
from worker.telemetry.emit import Telemetry
from worker.telemetry.logs import open_logger, signal_line
from worker.telemetry.metrics import Metrics
from worker.wiring.deferred_start import DeferredStart
from worker.wiring.hangs import Hangs
from worker.wiring.outputs import output_roots
from worker.wiring.parts import Parts
from worker.wiring.pipelines import Backfill, Job, Poll, Replay, make_pipeline
from worker.wiring.shared import Shared
from worker.wiring.status import Status

__all__ = [
    "Backfill",
    "PipelineResult",
    "Progress",
    "RunResult",
    "Watch",
    "replay_async",
    "run",
    "run_async",
]

PROGRESS_S: Final = 0.5
OTHER_THREADS: Final = 12
"""Most threads for what libraries do in threads, like resolving names. By default it depends on
the machine."""
STOPPED_EARLY: Final = "a signal ended the run before it had begun"


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What one pipeline did, for the summary.

    Attributes:
        records: in committed files.
        files: published files, dead letters too.
        rejects: in dead letters.
        deduplicated: records that were dropped because they had been read before.
        size_bytes: of the files.
        output, dead_letters: where they are.
        note: what the operator should know of a run without a commit.
        error: what ended it; empty when it ended well.
    """

    name: str
    records: int
    files: int
    rejects: int
    deduplicated: int
    size_bytes: int
    commits: int
    output: str
    dead_letters: str
    note: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended."""

    exit_code: int
    seconds: float
    pipelines: list[PipelineResult] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pipeline is in this run.

    Attributes:
        records: in committed files.
        waiting: records that were received and wait for a commit.
        rejects: in committed dead letters.
        files: published files, dead letters too.
    """

    name: str
    records: int
    waiting: int
    rejects: int
    files: int


Watch = Callable[[Sequence[Progress]], None]
"""Told twice a second how far the pipelines are, on the event loop. What it raises ends the run."""


def run(
    settings: Settings,
    *,
    once: bool,
    for_s: float | None = None,
    only: Sequence[str] = (),
    backfill: Backfill | None = None,
    watch: Watch | None = None,
    signals: Signals | None = None,
) -> RunResult:
    """Runs the pipelines to their end or until a signal, in a process of their own.

    Raises WorkerError for what keeps it from starting.
    """
    raise_limit()
    gc.freeze()  # what was imported stays: the collector need not look at it again
    # records are freed by reference counting; with the default the collector took 4 % of the time
    gc.set_threshold(20_000, 20, 50)

    async def running() -> RunResult:
        threads = ThreadPoolExecutor(OTHER_THREADS, thread_name_prefix="other")
        asyncio.get_running_loop().set_default_executor(threads)
        return await run_async(
            settings,
            once=once,
            for_s=for_s,
            only=only,
            backfill=backfill,
            watch=watch,
            signals=signals,
        )

    return asyncio.run(running())


async def replay_async(settings: Settings, pipeline: str) -> RunResult:
    """Reads the dead letters of a pipeline again, with its schema and transforms of now.

    What they make is committed like any records.
    """
    return await run_async(settings, once=True, only=(pipeline,), replay=True)


async def run_async(
    settings: Settings,
    *,
    once: bool,
    for_s: float | None = None,
    only: Sequence[str] = (),
    replay: bool = False,
    backfill: Backfill | None = None,
    watch: Watch | None = None,
    clock: Clock | None = None,
    signals: Signals | None = None,
) -> RunResult:
    """`run` on a loop that runs already, in the main thread.

    Args:
        once: end when every pass is done; else run until a signal, or for `for_s` seconds.
        only: names of pipelines; none: all that are enabled.
        replay: dead letters instead of sources; runs once.
        backfill: a range of marks instead of what is new; runs once.
        watch: told twice a second how far the pipelines are.
        clock: default: the system's.
        signals: of the process; None: they are handled for as long as the run takes.
    """
    job: Job = Replay() if replay else backfill or Poll(once)
    app = App(settings, job, only=only, for_s=for_s, watch=watch, clock=clock, signals=signals)
    return await app.run()


class App:
    """One run, which cannot be repeated. What `_open` and `_start` make is declared first."""

    _emit: Telemetry
    _shared: Shared
    _deferred: DeferredStart
    _hangs: Hangs
    _supervisor: Supervisor

    def __init__(
        self,
        settings: Settings,
        job: Job,
        *,
        only: Sequence[str] = (),
        for_s: float | None = None,
        watch: Watch | None = None,
        clock: Clock | None = None,
        signals: Signals | None = None,
    ) -> None:
        self._settings, self._job = settings, job
        self._chosen = _chosen(settings, only)
        self._for_s, self._watch = for_s, watch
        self._clock, self._signals = clock or SystemClock(), signals
        self._metrics = Metrics()
        self._manager = service_manager()
        self._notifier = Notifier(self._manager.notify_socket)
        self._stop, self._drain_deadline = asyncio.Event(), asyncio.Event()

    async def run(self) -> RunResult:
        """The whole run.

        Raises WorkerError for what keeps it from starting, and an ExceptionGroup when a side task
        fails.
        """
        started = time.monotonic()
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            if not await done_unless(self._stop, self._begin(stack), name="start"):
                stopped = [self._idle(name, note=STOPPED_EARLY) for name in self._chosen]
                return RunResult(int(Exit.OK), time.monotonic() - started, stopped)
            outcomes = await self._serve()
            code = self._close(outcomes)
        return RunResult(code, time.monotonic() - started, self._results(outcomes))

    # -- listen -----------------------------------------------------------------------------------

    async def _listen(self, stack: AsyncExitStack) -> None:
        """Signals, from here on, ask for a drain."""
        loop, logging = asyncio.get_running_loop(), self._settings.logging
        logger = stack.enter_context(open_logger(logging.level, logging.format, colors=colors()))
        self._emit = Telemetry(logger, self._metrics, self._clock)
        stack.callback(self._emit.close)
        pulse = Pulse()
        self._hangs = Hangs(pulse)
        run = Run(
            drain=partial(loop.call_soon_threadsafe, self._stop.set),
            line=signal_line(logging.format),
            blocked=self._hangs.blocking,
            tick=partial(self._hangs.report, self._emit),
        )
        signals = self._signals or stack.enter_context(catching())
        stack.enter_context(signals.draining(run))
        await stack.enter_async_context(beating(pulse, self._metrics.loop_lag))

    async def _begin(self, stack: AsyncExitStack) -> None:
        await self._start(stack, await self._open(stack))

    # -- open -------------------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> list[Parts]:
        """The log, the parts of the pipelines that can start now, and the lock on the state."""
        self._shared = Shared.of(self._settings, stack, self._clock, self._emit)
        self._deferred = DeferredStart(self._clock, self._emit)
        compiled = await self._deferred.each(self._chosen, self._compile)
        stack.enter_context(lock_state(self._settings.state.path.absolute()))
        registered = await self._deferred.each(
            compiled, lambda name: self._shared.register_output(compiled[name])
        )
        if self._chosen and not registered:
            name, error = next(iter(self._deferred.errors.items()))
            error.where = f"pipeline {name}: {error.where}" if error.where else f"pipeline {name}"
            raise error
        return [compiled[name] for name in registered]

    async def _compile(self, name: str) -> Parts:
        return await self._shared.compile(name, self._chosen[name])

    # -- start ------------------------------------------------------------------------------------

    async def _start(self, stack: AsyncExitStack, parts: Sequence[Parts]) -> None:
        """The pipelines under their supervisor, and those who ask and tell about them."""
        pipelines = [await make_pipeline(self._shared, each, self._job) for each in parts]
        self._supervisor = Supervisor(pipelines, self._clock, self._emit, once=self._job.once)
        self._hangs.watch(lambda: self._supervisor.pipelines)
        status = Status(self._supervisor, self._emit, lambda: self._deferred.errors)
        self._metrics.watch(status.readings)
        admin = self._settings.admin
        if admin.listen is not None:
            health = Health(status.ready, self._hangs.alive, self._hangs.found)
            server = admin_server(
                admin.listen, self._metrics, status.document, health, hosts=admin.hosts
            )
            await stack.enter_async_context(server)
        if self._job.once:
            self._deferred.give_up()
        self._emit(RunStarted(tuple(self._chosen), __version__))
        self._notifier.ready(f"{len(pipelines)} pipelines")
        for each in parts:
            self._emit(PipelineStarted(each.name, each.delivery, each.completeness))

    # -- serve ------------------------------------------------------------------------------------

    async def _serve(self) -> list[Outcome]:
        """Until the pipelines have ended. A side task that fails ends the run with its error."""
        async with asyncio.TaskGroup() as group:
            side = [group.create_task(work, name=name) for name, work in self._side_tasks()]
            outcomes = await self._supervisor.run(self._stop, self._drain_deadline)
            for task in side:
                task.cancel()
        return outcomes

    def _side_tasks(self) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
        yield "shutdown.deadline", self._limit_drain()
        yield "notify.stopping", self._notify_stopping()
        if self._for_s is not None:
            yield "run.for", self._stop_after(self._for_s)
        if self._watch is not None:
            yield "progress", self._report_progress(self._watch)
        if self._manager.watchdog_s:
            yield (
                "watchdog",
                feed_watchdog(self._notifier, self._manager.watchdog_s, self._hangs.stalled_s),
            )
        if not self._job.once:
            for name in self._deferred.errors:
                yield f"{name}.late", self._deferred.retry(name, partial(self._join, name))

    async def _limit_drain(self) -> None:
        await self._stop.wait()
        await self._clock.sleep(self._settings.shutdown.deadline)
        self._drain_deadline.set()

    async def _notify_stopping(self) -> None:
        await self._stop.wait()
        self._notifier.stopping()

    async def _stop_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._stop.set()

    async def _report_progress(self, watch: Watch) -> None:
        while True:
            await self._clock.sleep(PROGRESS_S)
            watch(
                [
                    Progress(
                        name=each.name,
                        records=each.totals.ledger.sent,
                        waiting=each.in_flight,
                        rejects=each.totals.ledger.dead_lettered,
                        files=each.totals.files,
                    )
                    for each in self._supervisor.pipelines
                ]
            )

    async def _join(self, name: str) -> None:
        """Starts a pipeline that could not start with the others."""
        parts = await self._compile(name)
        await self._shared.register_output(parts)
        pipeline = await make_pipeline(self._shared, parts, self._job)
        self._emit(PipelineStarted(name, parts.delivery, parts.completeness))
        self._supervisor.add(pipeline, self._stop, self._drain_deadline)

    # -- close ------------------------------------------------------------------------------------

    def _close(self, outcomes: Sequence[Outcome]) -> int:
        """The exit code of the run, which ends here; the stack closes what is open after it."""
        code = exit_code(outcomes, list(self._deferred.errors.values()))
        discarded = sum(outcome.pipeline.totals.discarded for outcome in outcomes)
        stopped = self._stop.is_set() and self._for_s is None
        self._emit(RunEnded(code, discarded, "signal" if stopped else "done"))
        return code

    def _results(self, outcomes: Sequence[Outcome]) -> list[PipelineResult]:
        ended = [self._result(outcome) for outcome in outcomes]
        return ended + [
            self._idle(name, error=str(error)) for name, error in self._deferred.errors.items()
        ]

    def _result(self, outcome: Outcome) -> PipelineResult:
        name, totals = outcome.pipeline.name, outcome.pipeline.totals
        records, dead_letters = output_roots(self._settings, name)
        return PipelineResult(
            name=name,
            records=totals.ledger.sent,
            files=totals.files,
            rejects=totals.ledger.dead_lettered,
            deduplicated=totals.ledger.deduplicated,
            size_bytes=totals.size_bytes,
            commits=totals.commits,
            output=str(records),
            dead_letters=str(dead_letters),
            note=totals.note,
            error="" if outcome.error is None else str(outcome.error),
        )

    def _idle(self, name: str, *, note: str = "", error: str = "") -> PipelineResult:
        """Of a pipeline that has not started."""
        records, dead_letters = output_roots(self._settings, name)
        return PipelineResult(
            name=name,
            records=0,
            files=0,
            rejects=0,
            deduplicated=0,
            size_bytes=0,
            commits=0,
            output=str(records),
            dead_letters=str(dead_letters),
            note=note,
            error=error,
        )


def exit_code(outcomes: Sequence[Outcome], not_started: Sequence[WorkerError] = ()) -> int:
    """The exit code of a run: that of the error which decides among all of them."""
    ended = [outcome.error for outcome in outcomes if outcome.error is not None]
    decides = deciding_error([*ended, *not_started])
    return int(Exit.OK if decides is None else decides.exit)


def _chosen(settings: Settings, only: Sequence[str]) -> dict[str, PipelineSettings]:
    """The pipelines of a run. Raises ConfigError for a name that there is not."""
    for name in only:
        settings.pipeline(name)
    return {
        name: each
        for name, each in settings.pipelines.items()
        if (name in only if only else each.enabled)
    }
