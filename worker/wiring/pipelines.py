"""Running pipelines: client, guard, log and sinks round the compiled parts, for each job."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

from worker import __version__
from worker.components import SOURCES
from worker.core.errors import ConfigError
from worker.core.meaning import groups
from worker.core.model import REPLAYED, Decoded, Facts
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.formats.kept_letters import Hidden, LetterLine
from worker.formats.records import RecordSpec
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Response, Timeouts
from worker.http.redact import url_stripper
from worker.http.tls import tls_of
from worker.paging.marks import MarkFormat
from worker.paging.schedule import Schedule
from worker.paging.spec import PagingSpec, no_total
from worker.pipeline import Pipeline, PipelineSpec
from worker.runtime.fetch import Fetcher
from worker.runtime.lanes import most_lent
from worker.runtime.roll import RollSpec
from worker.sources.dead_letters import REPLAY_PLAN, DeadLetters
from worker.sources.http import HttpSource
from worker.sources.pagination.common import as_count
from worker.transforms.masked import masked_fields
from worker.wiring.children import file_of, roster_of
from worker.wiring.compatibility_check import compatibility_check
from worker.wiring.known_roots import refuse_renamed
from worker.wiring.outputs import expiry_of, output_roots, outputs_of
from worker.wiring.parts import Parts, levels
from worker.wiring.secrets import check_secrets, route_to
from worker.wiring.shared import Shared
from worker.writer import WriterSpec

SPREAD_SHARE: Final = 0.1
SPREAD_CAP_S: Final = 30.0
"""What is overdue when a daemon starts begins within this share of `every`, and within this time:
soon enough for whoever watches the start, and spread enough for the sources of a fleet."""
Watch = Callable[[Response, Decoded], None]
"""What is shown the answers that were pages, and what they were decoded to."""


@dataclass(frozen=True, slots=True)
class Poll:
    """A pipeline reads its source; with `once` until every pass is done, else for ever."""

    once: bool


@dataclass(frozen=True, slots=True)
class Backfill:
    """A pipeline reads a range of marks again, with cursors of its own: the live ones do not move.

    The same range again goes on where it ended.

    Attributes:
        since: the first mark, written like the records do.
        until: the mark after the last one; None: there is none.
    """

    once: ClassVar[bool] = True
    since: str
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """A pipeline reads its own dead letters; what they make now is committed like any records."""

    once: ClassVar[bool] = True


Job = Poll | Backfill | Replay


async def make_pipeline(shared: Shared, parts: Parts, job: Job) -> Pipeline:
    """The pipeline that does a job. Raises ConfigError for a job that its source cannot do."""
    match job:
        case Poll(once=once):
            paging = paging_spec(parts, once=once, clock=shared.clock)
            return await _http_pipeline(shared, parts, paging)
        case Backfill():
            paging, prefix = _backfill(shared, parts, job)
            return await _http_pipeline(shared, parts, paging, prefix)
        case Replay():
            return _replay(shared, parts)


async def _http_pipeline(
    shared: Shared, parts: Parts, paging: PagingSpec, prefix: str = ""
) -> Pipeline:
    """A pipeline that reads its source.

    Args:
        prefix: what the names of its partitions begin with.
    """
    spool = shared.settings.state.path.absolute() / "spool"
    source = await http_source(shared, parts, spool=spool)
    spec = _spec(shared, parts, source, paging, partitions=tuple(parts.partitions))
    if parts.lists:
        announce = partial(shared.news.announce, parts.name)
        spec = replace(spec, lists=parts.lists, announce=announce)
    if (found := roster_of(shared.settings, parts.name, shared.news)) is not None:
        if prefix:  # whoever it is, and whatever has changed: the range is read
            found = replace(found, prefix=prefix, by_change=False)
        file = file_of(parts.config.source)
        spec = replace(spec, found=found, file=file, values=parts.partitions)
    spec = replace(spec, spending=source.spending)
    return Pipeline(spec, shared.commit_log, shared.io, shared.clock, shared.emit)


async def http_source(
    shared: Shared, parts: Parts, *, spool: Path, watch: Watch | None = None
) -> HttpSource:
    """The source of a pipeline, with its client. Raises ConfigError for a missing secret.

    Args:
        watch: is shown every page.
    """
    source = parts.config.source
    for values in parts.partitions.values():
        check_secrets(source, values, shared.settings.environ)
    client = await shared.stack.enter_async_context(
        HttpClient(
            origin_of(source.url),
            user_agent=f"worker/{__version__}",
            timeouts=Timeouts(source.timeout.connect, source.timeout.read, source.timeout.total),
            limits=BodyLimits(
                source.limits.wire,
                source.limits.body,
                source.limits.ratio,
                # a decoded page takes its text beside its body at least
                memory_bytes=shared.budget.bound_bytes / 2,
            ),
            connections=source.concurrency + most_lent(source.concurrency),
            spool=spool,
            tls=tls_of(source.tls, "source.tls"),
            proxy=route_to(source, shared.secrets),
            allowed_origins={
                each.url: each.credentials == "send" for each in source.allowed_origins
            },
            form=parts.config.decode.form,
            repeats=source.may_repeat,
        )
    )
    found: HttpSource = SOURCES.load(source.type).build(
        source,
        pipeline=parts.name,
        partitions=parts.partitions,
        client=client,
        auth=shared.credentials.of(source, found=source.in_secrets),
        pages=parts.pages,
        json_of=parts.config.decode.json_of,
        fetch_writer_schema=await _writer_schemas(shared, parts),
        guard=shared.origins.guard(source),
        slots=shared.origins.slots(source),
        clock=shared.clock,
        emit=shared.emit,
        meaning=groups(parts.config.meaning()),
        watch=watch,
    )
    return found


async def _writer_schemas(shared: Shared, parts: Parts) -> Callable[[int], Awaitable[None]]:
    """A function that fetches the schema of a writer by its id and gives it to the decoder."""
    server = parts.config.decode.schema_registry
    client = None if server is None else await shared.registries.client(server, parts.config.source)

    async def fetch_writer_schema(schema_id: int) -> None:
        assert client is not None, "only Confluent's framing asks for schemas"
        parts.writers.add(schema_id, await client.by_id(schema_id))

    return fetch_writer_schema


def _backfill(shared: Shared, parts: Parts, job: Backfill) -> tuple[PagingSpec, str]:
    """How partitions of their own for the range are paged, and what their names begin with.

    The parts have those instead of the live ones.
    """
    incremental = parts.config.source.incremental
    if incremental is None or not incremental.field:
        raise ConfigError(
            f"pipeline {parts.name} is not incremental by a field: it has no range to read",
            remedy="take --from and --to off, or name others with --pipeline",
        )
    form = incremental.format.marks
    begin = _mark(form, job.since, "--from")
    end = None if job.until is None else _mark(form, job.until, "--to")
    if end is not None and not begin < end:  # type: ignore[operator]  # both come from one parser
        raise ConfigError(
            f"--from {job.since} is not before --to {job.until}: nothing is between them",
            remedy="--to is exclusive: name a later mark",
        )
    prefix = f"@backfill {job.since}..{job.until or ''} "
    named = {f"{prefix}{name}": values for name, values in parts.partitions.items()}
    parts.partitions.clear()  # steps look into it, too
    parts.partitions.update(named)
    paging = paging_spec(parts, once=True, clock=shared.clock)
    assert paging.incremental is not None
    begun = replace(paging.incremental, initial=form.text(begin), until=end)
    return replace(paging, schedule=None, incremental=begun), prefix


def _mark(form: MarkFormat, text: str, option: str) -> int | str:
    try:
        return form.parser()(text)[0]
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(
            f"{option} {text!r} is no mark of this pipeline",
            remedy=f"write it like the records do: {form.record}",
        ) from error


def _replay(shared: Shared, parts: Parts) -> Pipeline:
    log = shared.commit_log
    # a connection of its own: it is read on the loop while the log is written elsewhere
    letters = shared.history()
    limits = RecordSpec(
        record_bytes=parts.config.source.limits.record,
        depth=levels(parts.config.source, parts.plan),
    )
    _, dead = output_roots(shared.settings, parts.name, letters.places(parts.name))
    source = DeadLetters(
        parts.name, letters, dead, parts.plan, limits, parts.pages, values=parts.partitions
    )
    spec = _spec(shared, parts, source, REPLAY_PLAN, partitions=(REPLAYED,))
    # all of them were rejected before: however many still are, the others are worth having
    spec = replace(spec, writer=replace(spec.writer, max_reject_ratio=1.0))
    return Pipeline(spec, log, shared.io, shared.clock, shared.emit)


def _spec(
    shared: Shared,
    parts: Parts,
    fetcher: Fetcher,
    paging: PagingSpec,
    *,
    partitions: tuple[str, ...],
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
            dead_letter=_letter_line(parts),
            schema_fingerprint=parts.plan.fingerprint,
            marks_are_instants=(
                paging.incremental is not None
                and paging.incremental.token is None
                and paging.incremental.format.is_instant
            ),
            max_reject_ratio=config.dead_letters.max_ratio,
            reject_window=config.dead_letters.window,
            once=paging.once,
            values=parts.partitions,
        ),
        outputs=outputs_of(shared.settings, parts, shared.used),
        output_schema=parts.output.source,
        compatibility_check=compatibility_check(parts.output, config.schema_compatibility),
        name_check=partial(refuse_renamed, shared.settings, parts.name),
        budget=shared.budget,
        cap_bytes=config.channel_bytes,
        concurrency=config.source.concurrency,
        may_repeat=config.source.may_repeat,
        once=paging.once,
        patience_s=config.source.retry.deadline,
        keep_s=shared.settings.state.keep,
        expiry=expiry_of(shared.settings, parts.name, shared.clock),
    )


def _letter_line(parts: Parts) -> LetterLine:
    """What dead letters keep of the records of a pipeline."""
    fields = parts.plan.schema.root.fields
    masked = masked_fields(parts.config.transforms, [each.name for each in fields])
    return LetterLine(
        parts.config.dead_letters.keep,
        Hidden.of(masked, fields, parts.config.validation.kept),
        frozenset(each.json_name for each in fields),
    )


def _spread_s(schedule: Schedule | None, wall: float) -> float:
    """Within how many seconds passes begin that are overdue at a start."""
    return 0.0 if schedule is None else min(schedule.period_s(wall) * SPREAD_SHARE, SPREAD_CAP_S)


def paging_spec(parts: Parts, *, once: bool, clock: Clock) -> PagingSpec:
    """What the planners of the partitions have in common."""
    source = parts.config.source
    incremental, schedule = source.incremental, source.schedule
    total, windows = source.pagination.total, source.pagination.windows
    plan, random_source = None if schedule is None else schedule.plan, random.Random()

    def up_to(longest_s: float) -> Callable[[], float]:
        return lambda: random_source.uniform(0, longest_s)

    def read_total(facts: Facts, headers: Mapping[str, str]) -> int | None:
        return None if total is None else as_count(total.read(facts, headers), "pagination.total")

    mark = None if incremental is None else incremental.spec(source.bound_sent)
    required = parts.config.require_completeness or "unknown"
    return PagingSpec(
        style=parts.style,
        stop=source.stop.spec(),
        incremental=mark,
        windows=windows.plan(mark.format) if windows is not None and mark is not None else None,
        total=no_total if total is None else read_total,
        key=source.key,
        size=source.pagination.page_size,
        sizes=source.pagination.sizes,
        repeats=source.pagination.repeats,
        seam=source.pagination.seams,
        stable=source.stable,
        empty_missing=source.records_missing == "empty",
        required=required,
        schedule=plan,
        jitter=up_to(schedule.jitter if schedule else 0.0),
        spread=up_to(_spread_s(plan, clock.time())),
        once=once,
        depth=1 if parts.config.decode.needs_first_page else source.concurrency,
        completeness=parts.plain_completeness,
        boundary_cap=source.boundary_cap,
        wall=lambda: math.floor(clock.time()),  # not every API reads fractions of seconds
        strip=url_stripper(source.secret_params),
        listed=bool(parts.lists) and source.incremental is None,
    )
