"""Running parts: client, guard, log and sinks round the pure parts of a pipeline."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from worker import __version__
from worker.components import FORMATS, SINKS, SOURCES
from worker.config.files import check_text
from worker.core.dead_letter import dead_letter_line
from worker.core.errors import ConfigError
from worker.core.events import Emit
from worker.core.model import DEAD_LETTERS, REPLAYED, Facts
from worker.core.ports import Clock, OutputRoot, Sink
from worker.formats.component import Encoder
from worker.formats.ndjson import NdjsonEncoder
from worker.formats.records import RecordSpec
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.http.redact import url_stripper
from worker.http.tls import tls_of
from worker.paging.marks import MarkFormat
from worker.paging.spec import PagingSpec
from worker.pipeline import Pipeline, PipelineSpec
from worker.runtime.fetch import Fetcher
from worker.runtime.roll import RollSpec
from worker.settings import Settings
from worker.sinks.config import SinkDeps
from worker.sinks.files import FilesSink
from worker.sinks.files_root import FilesRoot
from worker.sources.dead_letters import REPLAY_PLAN, DeadLetters
from worker.sources.http import HttpSource
from worker.sources.pagination.common import as_count
from worker.wiring.compatibility_check import compatibility_check
from worker.wiring.logs import open_log, opened_log
from worker.wiring.origins import Origins, origin_of
from worker.wiring.parts import Parts, levels
from worker.wiring.schemas import Registries
from worker.wiring.secrets import check_secrets, open_auth
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
    """The source of a pipeline, its client open until the stack closes.

    Raises ConfigError for a missing secret.
    """
    source = parts.config.source
    for values in parts.partitions.values():
        check_secrets(source.auth, values)
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
            hash_bodies=parts.style.numbered or source.pagination.compares_bodies,
        )
    )
    found: HttpSource = SOURCES.load(source.type).build(
        source,
        pipeline=parts.name,
        partitions=parts.partitions,
        client=client,
        auth=open_auth(stack, source, spool=spool, clock=clock),
        pages=parts.pages,
        fetch_writer_schema=await _writer_schemas(parts, registries),
        guard=origins.guard(source),
        slots=origins.slots(source),
        clock=clock,
        emit=emit,
        meaning=parts.config.meaning(),
    )
    return found


async def _writer_schemas(parts: Parts, registries: Registries) -> Callable[[int], Awaitable[None]]:
    """A function that fetches the schema of a writer by its id and gives it to the decoder."""
    server = parts.config.decode.schema_registry
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
    """A pipeline that reads a range of marks again, with cursors of its own.

    The live ones do not move. The same range again goes on where it ended.

    Raises ConfigError for a source that is not incremental by a field, and for marks that are none.
    """
    incremental = parts.config.source.incremental
    if incremental is None or not incremental.field:
        raise ConfigError(
            f"pipeline {parts.name} is not incremental by a field: it has no range to read",
            remedy="take --from and --to off, or name others with --pipeline",
        )
    form = incremental.format.marks
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
    """A pipeline that reads its own dead letters instead of its source.

    What they make now is committed as any other records.
    """
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


def output_roots(settings: Settings, pipeline: str) -> tuple[OutputRoot, OutputRoot]:
    """Where a pipeline publishes: (records, dead letters)."""
    sink = settings.pipelines[pipeline].sink
    records: OutputRoot = SINKS.load(sink.type).root(sink)
    _, dead = _output_paths(settings, pipeline)
    return records, FilesRoot(dead, DEAD_LETTERS)


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
    incremental, schedule = source.incremental, source.schedule
    total, windows = source.pagination.total, source.pagination.windows
    random_source = random.Random()

    def read_total(facts: Facts, headers: Mapping[str, str]) -> int | None:
        return None if total is None else as_count(total.read(facts, headers), "pagination.total")

    mark = None if incremental is None else incremental.spec()
    return PagingSpec(
        style=parts.style,
        stop=source.stop.spec(),
        incremental=mark,
        windows=windows.plan(mark.format) if windows is not None and mark is not None else None,
        total=read_total,
        counts_distinct=total is not None and bool(source.key),
        every_s=schedule.every if schedule else None,
        jitter=(lambda: random_source.uniform(0, schedule.jitter)) if schedule else (lambda: 0.0),
        once=once,
        depth=source.concurrency,
        completeness="unknown" if parts.completeness == "proven" else parts.completeness,
        boundary_cap=source.boundary_cap,
        wall=lambda: math.floor(clock.time()),  # not every API reads fractions of seconds
        strip=url_stripper(source.auth.secret_params if source.auth is not None else ()),
    )


def sinks_of(settings: Settings, parts: Parts) -> Callable[[str, int], tuple[Sink, Sink]]:
    """What makes the sinks of an attempt: (records, dead letters).

    It takes a lineage and the number of the next commit.
    """
    config = parts.config.sink
    sink, file_format = SINKS.load(config.type), FORMATS.load(config.format)
    records, dead = _output_paths(settings, parts.name)
    for root in (records, dead):
        try:
            check_text(root)
        except ValueError as error:
            raise ConfigError(
                str(error), where=f"pipelines.{parts.name}", remedy="choose another directory"
            ) from error

    def build(lineage: str, seq: int) -> tuple[Sink, Sink]:
        def encoder(fingerprint: str, at: int, group: int | None) -> Encoder:
            metadata = {
                "worker.pipeline": parts.name,
                "worker.lineage": lineage,
                "worker.seq": str(at),
                "worker.fingerprint": fingerprint,
            }
            if group is not None:
                metadata["worker.pass"] = str(group)
            found: Encoder = file_format.encoder(parts.output, config.codec, metadata)
            return found

        return (
            sink.build(config, SinkDeps(parts.name, lineage, seq, encoder)),
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
