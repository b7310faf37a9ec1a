"""The composition root: Settings -> running pipelines. The only module that knows the concrete classes."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from worker import __version__
from worker.config.types import Secret, secret_value
from worker.core import delivery
from worker.core.breaker import Breaker, BreakerSpec
from worker.core.errors import ConfigError, Exit
from worker.core.events import Emit, PipelineStarted, RunEnded, RunStarted
from worker.core.flow import Flow
from worker.core.gate import Gate
from worker.core.mark import MarkFormat
from worker.core.model import Facts
from worker.core.planner import IncrementalSpec, PlanSpec, StopSpec
from worker.core.ports import Clock, Pages, Pagination
from worker.core.roll import RollSpec
from worker.core.routes import route_parts
from worker.formats.avro import AvroEncoder
from worker.formats.json import JsonPages, JsonSpec
from worker.formats.ndjson import NdjsonEncoder, NdjsonPages
from worker.formats.records import RecordSpec
from worker.http import auth as http_auth
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.pipeline import Pipeline, PipelineSpec, worst
from worker.registry import PAGINATION, component
from worker.runtime.clock import SystemClock
from worker.runtime.guard import Guard, RetrySpec
from worker.runtime.lifecycle import stop_on_signals
from worker.schema import CompiledPlan, Schema, compile_plan, parse_schema
from worker.schema.canonical import fingerprint
from worker.schema.codegen import EncoderSource
from worker.schema.plan import field_infos
from worker.settings import PipelineSettings, Settings
from worker.sinks.dead_letters import dead_letter_line
from worker.sinks.files import FilesSink, SinkLimits
from worker.sources.http import HttpSource, stop_when, stripper
from worker.sources.http_config import ApiKeyAuth, BasicAuth, BearerAuth, HttpConfig, TlsConfig
from worker.sources.pagination.common import as_count
from worker.state.lock import lock_state
from worker.state.sqlite import SqliteCommitLog
from worker.supervisor import Outcome, Supervisor
from worker.telemetry.admin import admin_server
from worker.telemetry.emit import Telemetry
from worker.telemetry.logs import make_logger
from worker.telemetry.metrics import Metrics
from worker.transforms import mask, python
from worker.transforms.json_rows import JsonRows
from worker.transforms.steps import compile_steps

STATE_FILE: Final = "state.db"
ONLY_PARTITION: Final = "default"

Values = Mapping[str, str]


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


def run(settings: Settings, *, once: bool, for_s: float | None = None, only: Sequence[str] = ()) -> RunResult:
    """Runs the pipelines to their end or until a signal. Raises WorkerError for what keeps it from starting."""
    gc.collect()
    gc.freeze()  # what was imported stays: the collector need not look at it again
    gc.set_threshold(20_000, 20, 50)  # records are freed by reference counting; with the default the collector took 4 % of the time
    return asyncio.run(run_async(settings, once=once, for_s=for_s, only=only))


def describe(settings: Settings) -> list[dict[str, Any]]:
    """What `check` prints of each pipeline. Raises ConfigError with all problems of all pipelines."""
    problems, found = [], []
    for name, config in settings.pipelines.items():
        try:
            parts = Parts.of(name, config)
            for values in parts.partitions.values():
                _check_secrets(config.source, values)
        except ConfigError as error:
            problems.append(f"pipeline {name}: {error}")
            continue
        found.append(
            {
                "pipeline": name,
                "enabled": config.enabled,
                "source": config.source.url,
                "pagination": config.source.pagination.type,
                "partitions": len(parts.partitions),
                "schema_fingerprint": parts.plan.fingerprint,
                "delivery": parts.delivery,
                "completeness": parts.completeness,
                "output": str(config.sink.path),
            }
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return found


def open_log(settings: Settings, *, read_only: bool) -> SqliteCommitLog:
    """The commit log of a config."""
    return SqliteCommitLog(settings.state.path.absolute() / STATE_FILE, read_only=read_only)


def output_roots(settings: Settings, pipeline: str) -> tuple[Path, Path]:
    """(records, dead letters) of a pipeline."""
    config = settings.pipelines[pipeline]
    dead = config.dead_letters.path or settings.state.path / "dead_letters" / pipeline
    return config.sink.path.absolute(), dead.absolute()


# -- running ------------------------------------------------------------------------------------------------------


async def run_async(settings: Settings, *, once: bool, for_s: float | None = None, only: Sequence[str] = ()) -> RunResult:
    """`run` on a loop that runs already."""
    started = time.monotonic()
    clock = SystemClock()
    metrics = Metrics()
    emit: Emit = Telemetry(make_logger(settings.logging.level, settings.logging.format), metrics)
    chosen = _chosen(settings, only)
    parts = {name: Parts.of(name, config) for name, config in chosen.items()}
    stop, hurry = asyncio.Event(), asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(lock_state(settings.state.path.absolute()))
        pipelines = [await _pipeline(stack, settings, each, once=once, clock=clock, emit=emit) for each in parts.values()]
        supervisor = Supervisor(pipelines, clock, emit, once=once)
        listen = settings.admin.listen
        await stack.enter_async_context(admin_server(listen, metrics, lambda: _status(supervisor), lambda: _ready(supervisor)))
        stack.enter_context(stop_on_signals(stop))
        timers = [asyncio.create_task(_hurry_after(stop, hurry, settings.shutdown.deadline), name="shutdown.deadline")]
        if for_s is not None:
            timers.append(asyncio.create_task(_stop_after(stop, for_s), name="run.for"))
        emit(RunStarted(tuple(chosen), __version__))
        for each in parts.values():
            emit(PipelineStarted(each.name, each.delivery, each.completeness))
        outcomes = await supervisor.run(stop, hurry)
        for timer in timers:
            timer.cancel()
        code = exit_code(outcomes)
        emit(RunEnded(code, sum(outcome.pipeline.totals.discarded for outcome in outcomes), "signal" if stop.is_set() and for_s is None else "done"))
    results = [_result(settings, outcome) for outcome in outcomes]
    return RunResult(code, time.monotonic() - started, results)


def _chosen(settings: Settings, only: Sequence[str]) -> dict[str, PipelineSettings]:
    unknown = sorted(set(only) - set(settings.pipelines))
    if unknown:
        raise ConfigError(f"no pipeline is called {', '.join(unknown)}", remedy=f"there are {', '.join(settings.pipelines)}")
    return {name: each for name, each in settings.pipelines.items() if (name in only if only else each.enabled)}


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """The code of a run: the first present of 70 74 77 69 65 1, else whatever ended a pipeline."""
    decides = worst([outcome.error for outcome in outcomes if outcome.error is not None])
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


async def _hurry_after(stop: asyncio.Event, hurry: asyncio.Event, seconds: float) -> None:
    await stop.wait()
    await asyncio.sleep(seconds)
    hurry.set()


async def _stop_after(stop: asyncio.Event, seconds: float) -> None:
    await asyncio.sleep(seconds)
    stop.set()


def _ready(supervisor: Supervisor) -> bool:
    return all(state in ("running", "complete") for state in supervisor.states().values())


def _status(supervisor: Supervisor) -> dict[str, Any]:
    states = supervisor.states()
    found: dict[str, Any] = {"version": __version__, "pipelines": {}}
    for pipeline in supervisor.pipelines:
        pool, totals = pipeline.pool, pipeline.totals
        parked = {} if pool is None else {name: {"code": each.error.code, "reason": str(each.error)} for name, each in pool.parked.items()}
        found["pipelines"][pipeline.name] = {
            "state": states[pipeline.name],
            "partitions": len(pipeline.spec.partitions),
            "done": 0 if pool is None else len(pool.done),
            "parked": parked,
            "fenced": pipeline.fenced,
            "records": totals.ledger.sent,
            "rejects": totals.ledger.dead_lettered,
            "files": totals.files,
            "commits": totals.commits,
        }
    return found


# -- one pipeline -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parts:
    """The pure parts of a pipeline: everything that `check` can look at without touching anything."""

    name: str
    config: PipelineSettings
    style: Pagination
    plan: CompiledPlan
    output: Schema
    pages: Pages
    flow: Flow
    partitions: dict[str, dict[str, str]]
    delivery: str
    completeness: str

    @classmethod
    def of(cls, name: str, config: PipelineSettings) -> Parts:
        """Compiles a pipeline. Raises ConfigError."""
        source = config.source
        style = component(PAGINATION, "pagination type", source.pagination.type).build(source.pagination)
        spec = _json_spec(source, style)
        plan = _plan(config, spec.record)
        output = plan.schema if config.output_schema is None else _schema(config.output_schema)
        sink = config.sink
        route = route_parts(sink.partition_by, field_infos(output)) if sink.partition_by else ()
        encoder = EncoderSource(output) if sink.format == "avro" else JsonRows(output, config.validation.bytes)
        shape = compile_steps(plan, steps_of(config), output, encoder, route, fill=config.validation.missing_fields == "fill")
        grouped = source.incremental is None and source.schedule is not None
        order = source.incremental.order if source.incremental else None
        complete = delivery.completeness(source.pagination.type, order, total=source.pagination.total is not None, stable=source.stable)
        delivers = delivery.delivery()
        delivery.require("delivery", config.require_delivery, delivers, delivery.DELIVERY)
        delivery.require("completeness", config.require_completeness, complete, delivery.COMPLETENESS)
        pages = JsonPages(spec, plan) if config.decode.type == "json" else NdjsonPages(spec.record, plan)
        return cls(name, config, style, plan, output, pages, Flow(shape, fingerprint(output), grouped=grouped), _partitions(source), delivers, complete)


def steps_of(config: PipelineSettings) -> list[tuple[str, Any]]:
    """The transforms of a pipeline as (verb, config of the verb)."""
    steps: list[tuple[str, Any]] = []
    for step in config.transforms:
        verb, value = step.verb, step.value
        if verb == "mask":
            value = mask.Config(value.fields, value.method, None if value.key is None else _secret(value.key, {}))
        elif verb == "python":
            value = python.Config(value.function, value.values)
        steps.append((verb, value))
    return steps


def _json_spec(source: HttpConfig, style: Pagination) -> JsonSpec:
    total = source.pagination.total
    body_paths = [*style.body_paths, *(total.body_paths if total is not None else ())]
    if source.stop.when is not None:
        body_paths.append(source.stop.when.path)
    body_paths += (rule.when.path for rule in source.on_body)
    return JsonSpec(
        records=source.records,
        missing_is_empty=source.records_missing == "empty",
        body_paths=tuple(dict.fromkeys(body_paths)),
        record=RecordSpec(
            last_paths=style.last_paths,
            value_path=source.incremental.field if source.incremental else None,
            key_paths=source.key if source.incremental is not None or total is not None else (),
            identify=source.incremental is not None,
            record_bytes=source.limits.record,
        ),
    )


def _schema(path: Path) -> Schema:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"schema {path} cannot be read: {error.strerror}", remedy="the path is relative to the config file") from error
    try:
        return parse_schema(text)
    except ConfigError as error:
        error.where = f"{path}: {error.where}" if error.where else str(path)
        raise


def _plan(config: PipelineSettings, spec: RecordSpec) -> CompiledPlan:
    rules = config.validation
    return compile_plan(
        _schema(config.schema_), unknown_fields=rules.unknown_fields, missing_fields=rules.missing_fields, bytes_as=rules.bytes, extra=spec.extra_names()
    )


def _partitions(source: HttpConfig) -> dict[str, dict[str, str]]:
    """Name -> values of every partition; one called `default` without any."""
    if not source.partitions:
        return {ONLY_PARTITION: {}}
    names = list(source.partitions)
    combinations = itertools.product(*(map(str, source.partitions[name]) for name in names))
    return {",".join(f"{name}={value}" for name, value in zip(names, values, strict=True)): dict(zip(names, values, strict=True)) for values in combinations}


def _secret(secret: Secret, values: Values) -> Callable[[], str]:
    return lambda: secret_value(secret, values)


def _auth(source: HttpConfig, values: Values) -> http_auth.StaticAuth | None:
    config = source.auth
    if config is None:
        return None
    if isinstance(config, BasicAuth):
        return http_auth.basic(_secret(config.username, values), _secret(config.password, values))
    if isinstance(config, ApiKeyAuth):
        return http_auth.api_key(config.name, config.in_, _secret(config.value, values), config.prefix)
    assert isinstance(config, BearerAuth)  # settings.py refuses what is not built
    return http_auth.bearer(_secret(config.token, values))


def _check_secrets(source: HttpConfig, values: Values) -> None:
    """Raises ConfigError for a secret that is missing."""
    for name in ("username", "password", "token", "value"):
        if source.auth is not None and hasattr(source.auth, name):
            secret_value(getattr(source.auth, name), values)


def _tls(config: TlsConfig) -> ssl.SSLContext | bool:
    if config.ca_file is None and config.cert_file is None:
        return True
    try:
        context = ssl.create_default_context(cafile=config.ca_file)
        if config.cert_file is not None:
            context.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"source.tls: {error}", remedy="check the certificate files") from error
    return context


async def _pipeline(stack: AsyncExitStack, settings: Settings, parts: Parts, *, once: bool, clock: Clock, emit: Emit) -> Pipeline:
    config, source = parts.config, parts.config.source
    for values in parts.partitions.values():
        _check_secrets(source, values)
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(source.url))
    breaker = source.breaker
    retry = source.retry
    guard = Guard(
        RetrySpec(retry.max_attempts, retry.base, retry.cap, retry.deadline, retry.max_retry_after),
        Breaker(BreakerSpec(breaker.failure_rate, breaker.min_calls, breaker.window, breaker.open_for, breaker.permits)),
        Gate(source.rate_limit.requests, source.rate_limit.per) if source.rate_limit else Gate(),
        clock,
        emit,
        target=origin,
        retries=source.may_repeat,
    )
    state = settings.state.path.absolute()
    client = await stack.enter_async_context(
        HttpClient(
            origin,
            user_agent=f"worker/{__version__}",
            timeouts=Timeouts(source.timeout.connect, source.timeout.read, source.timeout.total),
            limits=BodyLimits(source.limits.wire, source.limits.body, source.limits.ratio),
            connections=source.concurrency,
            spool=state / "spool",
            tls=_tls(source.tls),
            allowed_origins=source.allowed_origins,
            hash_bodies=parts.style.numbered or getattr(source.pagination, "repeat", "fail") == "allow",
        )
    )
    attempt = HttpSource(
        source,
        pipeline=parts.name,
        partitions=parts.partitions,
        client=client,
        auth=lambda values: _auth(source, values),
        pages=parts.pages,
        guard=guard,
        clock=clock,
        emit=emit,
    )
    log = SqliteCommitLog(state / STATE_FILE)
    stack.callback(log.close)
    spec = PipelineSpec(
        name=parts.name,
        partitions=tuple(parts.partitions),
        fingerprint=config.meaning(),
        plan=_plan_spec(parts, once=once),
        flow=parts.flow,
        attempt=attempt,
        sinks=_sinks(settings, parts),
        dead_letter=dead_letter_line,
        schema_fingerprint=parts.plan.fingerprint,
        roll=RollSpec(config.sink.roll.records, config.sink.roll.age),
        channel_bytes=config.channel_bytes,
        concurrency=source.concurrency,
        once=once,
        patience_s=source.retry.deadline,
    )
    return Pipeline(spec, log, clock, emit)


def _plan_spec(parts: Parts, *, once: bool) -> PlanSpec:
    source = parts.config.source
    stop, incremental, schedule = source.stop, source.incremental, source.schedule
    total = source.pagination.total
    random_source = random.Random()

    def read_total(facts: Facts, headers: Mapping[str, str]) -> int | None:
        return None if total is None else as_count(total.read(facts, headers), "pagination.total")

    mark = None
    if incremental is not None:
        form = MarkFormat(incremental.format.record, incremental.format.param, incremental.format.zone)
        form.parser()
        mark = IncrementalSpec(incremental.field, form, incremental.initial, incremental.overlap, incremental.order)
    auth = _auth(source, {})
    return PlanSpec(
        style=parts.style,
        stop=StopSpec(stop.empty_page, stop.short_page or None, stop.max_pages, stop_when(stop.when) if stop.when else (lambda facts: False)),
        incremental=mark,
        total=read_total,
        counts_distinct=total is not None and bool(source.key),
        every_s=schedule.every if schedule else None,
        jitter=(lambda: random_source.uniform(0, schedule.jitter)) if schedule else (lambda: 0.0),
        once=once,
        depth=source.concurrency,
        boundary_cap=source.boundary_cap,
        strip=stripper(auth.secret_params if auth else ()),
    )


def _sinks(settings: Settings, parts: Parts) -> Callable[[str, int], tuple[FilesSink, FilesSink]]:
    config = parts.config.sink
    records, dead = output_roots(settings, parts.name)

    def build(lineage: str, seq: int) -> tuple[FilesSink, FilesSink]:
        def encoder(fingerprint: str, at: int, group: int | None) -> AvroEncoder | NdjsonEncoder:
            if config.format == "ndjson":
                return NdjsonEncoder(config.codec)
            metadata = {"worker.pipeline": parts.name, "worker.lineage": lineage, "worker.seq": str(at), "worker.fingerprint": fingerprint}
            if group is not None:
                metadata["worker.pass"] = str(group)
            return AvroEncoder(parts.output.source, config.codec, metadata)

        return (
            FilesSink(
                records,
                parts.name,
                lineage,
                seq,
                encoder,
                limits=SinkLimits(config.max_open_files, config.roll.bytes, commit_files=config.max_files_per_commit),
            ),
            FilesSink(dead, parts.name, lineage, seq, lambda *_: NdjsonEncoder(), kind="dead_letters", mode=0o600),
        )

    return build
