"""The application: opens, starts, serves and closes a run, and computes its results and exit code."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from worker import __version__
from worker.config.decode import SubjectConfig
from worker.core.errors import Exit, WorkerError, deciding_error
from worker.core.events import PipelineStarted, RunEnded, RunStarted
from worker.core.ports import Clock
from worker.pipeline import Pipeline
from worker.runtime.clock import SystemClock
from worker.runtime.lifecycle import stop_on_signals
from worker.runtime.notify import Notifier, feed_watchdog
from worker.settings import PipelineSettings, Settings, colors, service_manager
from worker.state.lock import lock_state
from worker.supervisor import Outcome, Supervisor
from worker.telemetry.admin import admin_server
from worker.telemetry.emit import Telemetry
from worker.telemetry.logs import open_logger, signal_line
from worker.telemetry.metrics import Metrics
from worker.wiring.compatibility_check import register_output
from worker.wiring.deferred_start import DeferredStart
from worker.wiring.origins import Origins
from worker.wiring.parts import Parts
from worker.wiring.pipelines import (
    backfill_pipeline,
    http_pipeline,
    open_log,
    output_roots,
    replay_pipeline,
)
from worker.wiring.schemas import Registries, subjects_of
from worker.wiring.secrets import check_secrets, tls_of
from worker.wiring.status import Status

__all__ = [
    "Backfill",
    "PipelineResult",
    "RunResult",
    "describe",
    "open_log",
    "output_roots",
    "replay_async",
    "run",
    "run_async",
]


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """What one pipeline did, for the summary."""

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
    exit_code: int
    seconds: float
    pipelines: list[PipelineResult] = field(default_factory=list)


# -- commands -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pipeline is: what it has committed in this run, and how many records wait for a commit."""

    name: str
    records: int
    waiting: int
    rejects: int
    files: int


Watch = Callable[[Sequence[Progress]], None]


@dataclass(frozen=True, slots=True)
class Backfill:
    """A range of marks to read again; `until` None: to the end."""

    since: str
    until: str | None = None


def run(
    settings: Settings,
    *,
    once: bool,
    for_s: float | None = None,
    only: Sequence[str] = (),
    backfill: Backfill | None = None,
    watch: Watch | None = None,
) -> RunResult:
    """Runs the pipelines to their end or until a signal. Raises WorkerError for what keeps it from starting."""
    gc.freeze()  # what was imported stays: the collector need not look at it again
    gc.set_threshold(
        20_000, 20, 50
    )  # records are freed by reference counting; with the default the collector took 4 % of the time
    return asyncio.run(
        run_async(settings, once=once, for_s=for_s, only=only, backfill=backfill, watch=watch)
    )


def describe(settings: Settings) -> list[dict[str, Any]]:
    """What `check` prints of each pipeline. Raises ConfigError, or ConfigErrors for several; their places are below the pipeline."""
    found = []
    for name, config in settings.pipelines.items():
        if subjects := subjects_of(config):
            found.append(
                _described(name, config)
                | {
                    "not_checked": f"{', '.join(_shown(each) for each in subjects)}: needs the registry, so --connect"
                }
            )
            continue
        parts = Parts.of(name, config)
        for values in parts.partitions.values():
            check_secrets(config.source, values)
        tls_of(config.source.tls, "source.tls")
        found.append(
            _described(name, config)
            | {
                "partitions": len(parts.partitions),
                "schema_fingerprint": parts.plan.fingerprint,
                "delivery": parts.delivery,
                "completeness": parts.completeness,
            }
        )
    return found


def _described(name: str, config: PipelineSettings) -> dict[str, Any]:
    return {
        "pipeline": name,
        "enabled": config.enabled,
        "source": config.source.url,
        "pagination": config.source.pagination.type,
        "output": str(config.sink.path),
    }


def _shown(ref: SubjectConfig) -> str:
    return f"version {ref.version} of subject {ref.subject} at {ref.registry}"


# -- running ------------------------------------------------------------------------------------------------------


async def replay_async(settings: Settings, pipeline: str) -> RunResult:
    """Reads the dead letters of a pipeline again, with the schema and transforms of now; what they make is committed like any records."""
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
) -> RunResult:
    """`run` on a loop that runs already.

    Args:
        replay: dead letters instead of sources.
        backfill: a range, which runs once.
        watch: told twice a second how far the pipelines are.
        clock: default: the system's.
    """
    started = time.monotonic()
    clock = clock or SystemClock()
    metrics = Metrics()
    chosen = _chosen(settings, only)
    stop, drain_deadline = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        logger = stack.enter_context(
            open_logger(settings.logging.level, settings.logging.format, colors=colors())
        )
        emit = Telemetry(logger, metrics, clock)
        stack.callback(emit.close)
        origins = Origins(clock, emit)
        registries = Registries(stack, settings, origins, clock, emit)
        late, parts = DeferredStart(clock, emit), dict[str, Parts]()

        async def prepare(name: str) -> None:
            parts[name] = Parts.of(name, chosen[name], await registries.fetch(chosen[name]))

        await late.start(list(chosen), prepare)
        stack.enter_context(lock_state(settings.state.path.absolute()))
        await late.start(
            list(parts), lambda name: register_output(settings, parts[name], registries)
        )
        if chosen and len(late.errors) == len(chosen):
            raise next(iter(late.errors.values()))
        parts = {name: parts[name] for name in chosen if name not in late.errors}
        once = once or backfill is not None
        if replay:
            pipelines = [
                replay_pipeline(stack, settings, each, clock=clock, emit=emit)
                for each in parts.values()
            ]
        elif backfill is not None:
            pipelines = [
                await backfill_pipeline(
                    stack,
                    settings,
                    each,
                    origins,
                    registries,
                    backfill.since,
                    backfill.until,
                    clock=clock,
                    emit=emit,
                )
                for each in parts.values()
            ]
        else:
            pipelines = [
                await http_pipeline(
                    stack, settings, each, origins, registries, once=once, clock=clock, emit=emit
                )
                for each in parts.values()
            ]
        supervisor = Supervisor(pipelines, clock, emit, once=once)
        status = Status(supervisor, emit, lambda: late.errors)
        metrics.watch(status.readings)
        await stack.enter_async_context(
            admin_server(settings.admin.listen, metrics, status.document, status.ready)
        )
        stack.enter_context(stop_on_signals(stop, signal_line(settings.logging.format)))
        timers = [
            asyncio.create_task(
                _hurry_after(stop, drain_deadline, settings.shutdown.deadline),
                name="shutdown.deadline",
            )
        ]
        if for_s is not None:
            timers.append(asyncio.create_task(_stop_after(stop, for_s), name="run.for"))
        if watch is not None:
            timers.append(asyncio.create_task(_tell(watch, pipelines), name="progress"))
        manager = service_manager()
        notifier = Notifier(manager.notify_socket)
        if manager.watchdog_s:
            feeding = feed_watchdog(
                notifier,
                manager.watchdog_s,
                lambda: max((each.stalled_s() for each in supervisor.pipelines), default=0.0),
            )
            timers.append(asyncio.create_task(feeding, name="watchdog"))
        timers.append(asyncio.create_task(_say_stopping(stop, notifier), name="notify.stopping"))

        async def start(name: str) -> Pipeline:
            await prepare(name)
            await register_output(settings, parts[name], registries)
            pipeline = await http_pipeline(
                stack,
                settings,
                parts[name],
                origins,
                registries,
                once=False,
                clock=clock,
                emit=emit,
            )
            emit(PipelineStarted(name, parts[name].delivery, parts[name].completeness))
            return pipeline

        if once:
            late.give_up()
        else:
            timers += [
                asyncio.create_task(
                    late.join(
                        name,
                        partial(start, name),
                        partial(supervisor.add, stop=stop, drain_deadline=drain_deadline),
                    ),
                    name=f"{name}.late",
                )
                for name in late.errors
            ]
        emit(RunStarted(tuple(chosen), __version__))
        notifier.ready(f"{len(pipelines)} pipelines")
        for each in parts.values():
            emit(PipelineStarted(each.name, each.delivery, each.completeness))
        outcomes = await supervisor.run(stop, drain_deadline)
        for timer in timers:
            timer.cancel()
        await asyncio.gather(*timers, return_exceptions=True)
        code = exit_code(outcomes, list(late.errors.values()))
        emit(
            RunEnded(
                code,
                sum(outcome.pipeline.totals.discarded for outcome in outcomes),
                "signal" if stop.is_set() and for_s is None else "done",
            )
        )
    results = [_result(settings, outcome) for outcome in outcomes] + [
        _not_started(settings, *each) for each in late.errors.items()
    ]
    return RunResult(code, time.monotonic() - started, results)


def _chosen(settings: Settings, only: Sequence[str]) -> dict[str, PipelineSettings]:
    for name in only:
        settings.pipeline(name)
    return {
        name: each
        for name, each in settings.pipelines.items()
        if (name in only if only else each.enabled)
    }


def exit_code(outcomes: Sequence[Outcome], not_started: Sequence[WorkerError] = ()) -> int:
    """The code of a run: the first present of 70 74 77 69 65 1, else whatever ended a pipeline."""
    decides = deciding_error(
        [*(outcome.error for outcome in outcomes if outcome.error is not None), *not_started]
    )
    return int(decides.exit) if decides is not None else int(Exit.OK)


def _result(settings: Settings, outcome: Outcome) -> PipelineResult:
    totals = outcome.pipeline.totals
    records, dead = output_roots(settings, outcome.pipeline.name)
    ledger = totals.ledger
    return PipelineResult(
        outcome.pipeline.name,
        ledger.sent,
        totals.files,
        ledger.dead_lettered,
        ledger.deduplicated,
        totals.size_bytes,
        totals.commits,
        str(records),
        str(dead),
        totals.note,
        "" if outcome.error is None else str(outcome.error),
    )


def _not_started(settings: Settings, name: str, error: WorkerError) -> PipelineResult:
    records, dead = output_roots(settings, name)
    return PipelineResult(name, 0, 0, 0, 0, 0, 0, str(records), str(dead), error=str(error))


async def _hurry_after(stop: asyncio.Event, drain_deadline: asyncio.Event, seconds: float) -> None:
    await stop.wait()
    await asyncio.sleep(seconds)
    drain_deadline.set()


async def _tell(watch: Watch, pipelines: Sequence[Pipeline]) -> None:
    while True:
        await asyncio.sleep(0.5)
        watch(
            [
                Progress(
                    each.name,
                    each.totals.ledger.sent,
                    each.reading("").in_flight,
                    each.totals.ledger.dead_lettered,
                    each.totals.files,
                )
                for each in pipelines
            ]
        )


async def _say_stopping(stop: asyncio.Event, notifier: Notifier) -> None:
    await stop.wait()
    notifier.stopping()


async def _stop_after(stop: asyncio.Event, seconds: float) -> None:
    await asyncio.sleep(seconds)
    stop.set()
