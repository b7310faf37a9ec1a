"""Running parts: client, guard, log and sinks round the pure parts of a pipeline."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from worker import __version__
from worker.config.files import check_text
from worker.core.dead_letter import dead_letter_line
from worker.core.errors import ConfigError
from worker.core.events import Emit
from worker.core.model import DEAD_LETTERS, RECORDS, REPLAYED, Facts
from worker.core.ports import Clock, CommitLog, OutputRoot
from worker.formats.avro import AvroEncoder
from worker.formats.ndjson import NdjsonEncoder
from worker.formats.records import RecordSpec
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.http.redact import url_stripper
from worker.paging.marks import MarkFormat
from worker.paging.spec import IncrementalSpec, PagingSpec, StopSpec
from worker.pipeline import Pipeline, PipelineSpec
from worker.runtime.fetch import Fetcher
from worker.runtime.roll import RollSpec
from worker.settings import Settings
from worker.sinks.files import FilesSink, SinkLimits
from worker.sinks.files_root import FilesRoot
from worker.sources.conditions import stop_when
from worker.sources.dead_letters import REPLAY_PLAN, DeadLetters
from worker.sources.http import HttpSource, token_reader
from worker.sources.pagination.common import as_count
from worker.state.sqlite import STATE_FILE, SqliteCommitLog
from worker.wiring.compatibility_check import compatibility_check
from worker.wiring.origins import Origins, origin_of
from worker.wiring.parts import Parts, levels
from worker.wiring.schemas import Registries
from worker.wiring.secrets import check_secrets, open_auth, secret_params, tls_of
from worker.writer import WriterSpec


async def http_source(
    stack: AsyncExitStack,
    parts: Parts,
    origins: Origins,
    registries: Registries,
    *,
    spool: Path,
    clock: Clock,
    emit: Emit,
) -> HttpSource:
    """The source of a pipeline, its client open until the stack closes. Raises ConfigError for a missing secret."""
    source = parts.config.source
    for values in parts.partitions.values():
        check_secrets(source, values)
    client = await stack.enter_async_context(
        HttpClient(
            origin_of(source.url),
            user_agent=f"worker/{__version__}",
            timeouts=Timeouts(source.timeout.connect, source.timeout.read, source.timeout.total),
            limits=BodyLimits(source.limits.wire, source.limits.body, source.limits.ratio),
            connections=source.concurrency,
            spool=spool,
            tls=tls_of(source.tls, "source.tls"),
            allowed_origins=source.allowed_origins,
            hash_bodies=parts.style.numbered
            or getattr(source.pagination, "repeat", "fail") == "allow",
        )
    )
    return HttpSource(
        source,
        pipeline=parts.name,
        partitions=parts.partitions,
        client=client,
        auth=await open_auth(stack, source, spool=spool, clock=clock),
        pages=parts.pages,
        fetch_writer_schema=await _writer_schemas(parts, registries),
        guard=origins.guard(source),
        slots=origins.slots(source),
        clock=clock,
        emit=emit,
        meaning=parts.config.meaning(),
    )


async def _writer_schemas(parts: Parts, registries: Registries) -> Callable[[int], Awaitable[None]]:
    """A function that fetches the schema of a writer by its id and gives it to the decoder."""
    server = parts.config.decode.registry
    client = None if server is None else await registries.client(server, parts.config.source)

    async def fetch_writer_schema(schema_id: int) -> None:
        assert client is not None, "only Confluent's framing asks for schemas"
        parts.writers.add(schema_id, await client.by_id(schema_id))

    return fetch_writer_schema


async def http_pipeline(
    stack: AsyncExitStack,
    settings: Settings,
    parts: Parts,
    origins: Origins,
    registries: Registries,
    *,
    once: bool,
    clock: Clock,
    emit: Emit,
) -> Pipeline:
    """A pipeline that polls its source."""
    attempt = await http_source(
        stack,
        parts,
        origins,
        registries,
        spool=settings.state.path.absolute() / "spool",
        clock=clock,
        emit=emit,
    )
    spec = _spec(
        settings,
        parts,
        attempt,
        tuple(parts.partitions),
        paging_spec(parts, once=once, clock=clock),
        once=once,
    )
    return Pipeline(spec, opened_log(stack, settings), clock, emit)


async def backfill_pipeline(
    stack: AsyncExitStack,
    settings: Settings,
    parts: Parts,
    origins: Origins,
    registries: Registries,
    since: str,
    until: str | None,
    *,
    clock: Clock,
    emit: Emit,
) -> Pipeline:
    """A pipeline that reads a range of marks again, with cursors of its own: the live ones do not move. The same range again goes on where it ended.

    Raises ConfigError for a source that is not incremental by a field, and for marks that are none.
    """
    incremental = parts.config.source.incremental
    if incremental is None or not incremental.field:
        raise ConfigError(
            f"pipeline {parts.name} is not incremental by a field: it has no range to read",
            remedy="take --from and --to off, or name others with --pipeline",
        )
    form = MarkFormat(incremental.format.record, incremental.format.param, incremental.format.zone)
    begin, end = _mark(form, since, "--from"), None if until is None else _mark(form, until, "--to")
    if end is not None and not begin < end:  # type: ignore[operator]  # both come from one parser
        raise ConfigError(
            f"--from {since} is not before --to {until}: nothing is between them",
            remedy="--to is exclusive: name a later mark",
        )
    label = f"@backfill {since}..{until or ''}"
    parts = replace(
        parts, partitions={f"{label} {name}": values for name, values in parts.partitions.items()}
    )
    plan = paging_spec(parts, once=True, clock=clock)
    assert plan.incremental is not None
    plan = replace(
        plan,
        every_s=None,
        incremental=replace(plan.incremental, initial=form.text(begin), until=end),
    )
    attempt = await http_source(
        stack,
        parts,
        origins,
        registries,
        spool=settings.state.path.absolute() / "spool",
        clock=clock,
        emit=emit,
    )
    return Pipeline(
        _spec(settings, parts, attempt, tuple(parts.partitions), plan, once=True),
        opened_log(stack, settings),
        clock,
        emit,
    )


def _mark(form: MarkFormat, text: str, option: str) -> int | str:
    try:
        return form.parser()(text)[0]
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"{option} {text!r} is no mark of this pipeline",
            remedy=f"write it like the records do: {form.record}",
        ) from error


def replay_pipeline(
    stack: AsyncExitStack, settings: Settings, parts: Parts, *, clock: Clock, emit: Emit
) -> Pipeline:
    """A pipeline that reads its own dead letters instead of its source, and commits what they make now as any other records."""
    log = opened_log(stack, settings)
    letters = open_log(
        settings, read_only=True
    )  # a connection of its own: it is read on the loop while the log is written elsewhere
    stack.callback(letters.close)
    limits = RecordSpec(
        record_bytes=parts.config.source.limits.record,
        depth=levels(parts.config.source, parts.plan),
    )
    _, dead = output_roots(settings, parts.name)
    source = DeadLetters(parts.name, letters, dead, parts.plan, limits)
    spec = _spec(settings, parts, source, (REPLAYED,), REPLAY_PLAN, once=True)
    return Pipeline(spec, log, clock, emit)


def opened_log(stack: AsyncExitStack, settings: Settings) -> CommitLog:
    """The commit log, open until the stack closes."""
    log = open_log(settings, read_only=False)
    stack.callback(log.close)
    return log


def open_log(settings: Settings, *, read_only: bool) -> CommitLog:
    """The commit log of a config."""
    return SqliteCommitLog(settings.state.path.absolute() / STATE_FILE, read_only=read_only)


def output_roots(settings: Settings, pipeline: str) -> tuple[OutputRoot, OutputRoot]:
    """Where a pipeline publishes: (records, dead letters)."""
    records, dead = _output_paths(settings, pipeline)
    return FilesRoot(records, RECORDS), FilesRoot(dead, DEAD_LETTERS)


def _output_paths(settings: Settings, pipeline: str) -> tuple[Path, Path]:
    config = settings.pipelines[pipeline]
    dead = config.dead_letters.path or settings.state.path / "dead_letters" / pipeline
    return config.sink.path.absolute(), dead.absolute()


def _spec(
    settings: Settings,
    parts: Parts,
    fetcher: Fetcher,
    partitions: tuple[str, ...],
    paging: PagingSpec,
    *,
    once: bool,
) -> PipelineSpec:
    config = parts.config
    return PipelineSpec(
        name=parts.name,
        partitions=partitions,
        fingerprint=config.meaning(),
        paging=paging,
        fetcher=fetcher,
        flow=parts.flow,
        writer=WriterSpec(
            pipeline=parts.name,
            roll=RollSpec(config.sink.roll.records, config.sink.roll.age),
            dead_letter=dead_letter_line,
            schema_fingerprint=parts.plan.fingerprint,
            marks_are_instants=(
                paging.incremental is not None and paging.incremental.format.is_instant
            ),
            max_reject_ratio=config.dead_letters.max_ratio,
            reject_window=config.dead_letters.window,
        ),
        sinks=sinks_of(settings, parts),
        output_schema=parts.output.source,
        compatibility_check=compatibility_check(parts.output, config.schema_compatibility),
        channel_bytes=config.channel_bytes,
        concurrency=config.source.concurrency,
        once=once,
        patience_s=config.source.retry.deadline,
    )


def paging_spec(parts: Parts, *, once: bool, clock: Clock) -> PagingSpec:
    """What the planners of the partitions have in common."""
    source = parts.config.source
    stop, incremental, schedule = source.stop, source.incremental, source.schedule
    total = source.pagination.total
    random_source = random.Random()

    def read_total(facts: Facts, headers: Mapping[str, str]) -> int | None:
        return None if total is None else as_count(total.read(facts, headers), "pagination.total")

    mark = None
    if incremental is not None:
        form = MarkFormat(
            incremental.format.record, incremental.format.param, incremental.format.zone
        )
        form.parser()
        mark = IncrementalSpec(
            incremental.field,
            form,
            incremental.initial,
            incremental.overlap,
            incremental.order,
            token_reader(incremental.from_) if incremental.from_ is not None else None,
            incremental.newest_bound,
        )
    return PagingSpec(
        style=parts.style,
        stop=StopSpec(
            stop.empty_page,
            stop.short_page or None,
            stop.max_pages,
            stop_when(stop.when) if stop.when else (lambda facts: False),
        ),
        incremental=mark,
        windows=None
        if mark is None or source.pagination.windows is None
        else source.pagination.windows.plan(mark.format),
        total=read_total,
        counts_distinct=total is not None and bool(source.key),
        every_s=schedule.every if schedule else None,
        jitter=(lambda: random_source.uniform(0, schedule.jitter)) if schedule else (lambda: 0.0),
        once=once,
        depth=source.concurrency,
        completeness="unknown" if parts.completeness == "proven" else parts.completeness,
        boundary_cap=source.boundary_cap,
        wall=lambda: math.floor(clock.time()),  # not every API reads fractions of seconds
        strip=url_stripper(secret_params(source)),
    )


def sinks_of(settings: Settings, parts: Parts) -> Callable[[str, int], tuple[FilesSink, FilesSink]]:
    config = parts.config.sink
    records, dead = _output_paths(settings, parts.name)
    for root in (records, dead):
        try:
            check_text(root)
        except ValueError as error:
            raise ConfigError(
                str(error), where=f"pipelines.{parts.name}", remedy="choose another directory"
            ) from error

    def build(lineage: str, seq: int) -> tuple[FilesSink, FilesSink]:
        def encoder(fingerprint: str, at: int, group: int | None) -> AvroEncoder | NdjsonEncoder:
            if config.format == "ndjson":
                return NdjsonEncoder(config.codec)
            metadata = {
                "worker.pipeline": parts.name,
                "worker.lineage": lineage,
                "worker.seq": str(at),
                "worker.fingerprint": fingerprint,
            }
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
                limits=SinkLimits(
                    config.max_open_files,
                    config.roll.bytes,
                    commit_files=config.max_files_per_commit,
                ),
            ),
            FilesSink(
                dead,
                parts.name,
                lineage,
                seq,
                lambda *_: NdjsonEncoder(),
                kind=DEAD_LETTERS,
                mode=0o600,
            ),
        )

    return build
