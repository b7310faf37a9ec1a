"""A look at a source, without state or files.

The first records as they would be written, and where the next page would be.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from worker.core.cursor import Cursor, PassState
from worker.core.errors import ConfigError, Deferred, TransientError, WorkerError
from worker.core.events import Event, RequestRetried
from worker.core.found import Found
from worker.core.model import Claim, Decoded, Reject, Unknown
from worker.core.ports import Clock, Room
from worker.formats.json_rows import JsonRows
from worker.http.client import Response
from worker.http.registry_config import SubjectConfig
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Accepted, Fetch
from worker.resilience.guard import RetryDue
from worker.runtime.budget import refuse_over
from worker.runtime.clock import SystemClock
from worker.runtime.flow import Flow
from worker.schema import Schema
from worker.schema.canonical import fingerprint
from worker.settings import PipelineSettings, Settings
from worker.sources.http import HttpSource
from worker.transforms.context import Contexts
from worker.transforms.steps import compile_steps
from worker.wiring.children import News, file_of, roster_of
from worker.wiring.findings import Finding, PageSeen, Seen, explain, findings
from worker.wiring.memory import memory_bytes, page_in_words
from worker.wiring.parts import Parts
from worker.wiring.pipelines import Watch, http_source, paging_spec
from worker.wiring.shared import Shared

LOOKED_AT_PAGES: Final = 20
"""Pages that findings rest on."""
TOLD_S: Final = 1.0
"""Pauses from here on are told; shorter ones are those of a rate limit."""

Tell = Callable[[str], None]
"""Says to whoever waits why it takes so long."""


@dataclass(slots=True)
class Peek:
    """What was seen.

    Attributes:
        lines: output records as JSON lines.
        received, filtered: counts of the pages that were read.
        rejects: records that would become dead letters.
        position: where the pass stands after the pages that were read; None at its end.
        total: what the source says it has.
        findings: what the pages show of the config.
        error: what ended the look after the first page; None where nothing did.
        memory: what the first page takes, in words; empty where there was none.
    """

    pipeline: str
    partition: str
    pages: int = 0
    received: int = 0
    filtered: int = 0
    lines: list[bytes] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    position: PassState | None = None
    total: int | None = None
    findings: list[Finding] = field(default_factory=list)
    error: WorkerError | None = None
    memory: str = ""


@dataclass(slots=True)
class OnePage:
    """The memory of a look, which holds one page at a time (the `Room` port)."""

    bound_bytes: int
    first: tuple[int, int] = (0, 0)

    async def receive(self, body_bytes: int) -> int:
        refuse_over(body_bytes, self.bound_bytes)
        return self.bound_bytes

    async def decode(self, body_bytes: int, page_bytes: int) -> None:
        refuse_over(page_bytes, self.bound_bytes)
        self.first = self.first if self.first[0] else (body_bytes, page_bytes)

    def in_words(self) -> str:
        """What the first page takes; empty where there was none."""
        return page_in_words(*self.first, self.bound_bytes) if self.first[0] else ""


async def peek(
    settings: Settings, pipeline: str, *, records: int, pages: int = 1_000, tell: Tell | None = None
) -> Peek:
    """Reads the first partition from its start until there are enough output records or pages.

    Raises what the source raises for the first page. What it raises later is in the result, beside
    the pages that came before.

    Args:
        tell: is told of failures that are tried again; None: the first failure is raised.
    """
    config, seen = settings.pipeline(pipeline), Seen()

    def watch(response: Response, decoded: Decoded) -> None:
        if len(seen.pages) < LOOKED_AT_PAGES:
            seen.pages.append(PageSeen.of(bytes(response.body), response.headers, decoded))

    room = OnePage(memory_bytes(settings.memory))
    async with _reading(settings, pipeline, config, tell, room, watch) as (parts, pages_of):
        shape = compile_steps(
            parts.plan,
            parts.config.transforms,
            parts.output,
            JsonRows(parts.output, config.validation.bytes),
            fill=config.validation.missing_fields == "fill",
            contexts=Contexts(pipeline, parts.partitions, config.source.partition_values),
        )
        found = Peek(pipeline, next(iter(parts.partitions)))
        flow = Flow(shape, fingerprint(parts.output))
        try:
            async for page in pages_of:
                _look(found, page, flow)
                if found.pages <= LOOKED_AT_PAGES:
                    seen.rejects += page.decoded.rejects
                if found.pages >= pages or len(found.lines) >= records:
                    break
        except WorkerError as error:
            explain(error, findings(config.source, seen))
            if not found.pages:
                raise
            found.error = error
    found.memory = room.in_words()
    found.findings = [*findings(config.source, seen), *_of_registries(config, parts)]
    return found


def _of_registries(config: PipelineSettings, parts: Parts) -> Iterator[Finding]:
    """The warnings of schemas that `check` without a connection cannot look at."""
    schemas = ((config.schema_, parts.plan.schema), (config.output_schema, parts.output))
    for ref, schema in schemas:
        if not isinstance(ref, SubjectConfig):
            continue
        for each in schema.warnings:
            found = f"subject {ref.subject} at {ref.registry}: {each}"
            yield Finding("schema_warning", found, "correct it in the registry", alarm=False)


ANYTHING: Final = '{"type": "record", "name": "Anything", "fields": []}'
"""The schema of records of which nothing is read."""


@dataclass(slots=True)
class Sample:
    """Records as they are received, and the schema that the pipeline has for them.

    Attributes:
        dropped: fields that Avro writers have and the schema lacks. Their values are skipped, so
            `records` is without them.
    """

    records: list[bytes] = field(default_factory=list)
    schema: Schema | None = None
    pages: int = 0
    dropped: dict[str, Unknown] | None = None


async def sample(
    settings: Settings, pipeline: str, *, pages: int, tell: Tell, schema: bool = True
) -> Sample:
    """The records of the first pages of the first partition, before any transform.

    Raises what the source raises.

    Args:
        schema: False: the pipeline's own schema is not looked at; there need be none yet.
    """
    config = settings.pipeline(pipeline)
    with tempfile.TemporaryDirectory() as scratch:
        plain: dict[str, Any] = {
            "output_schema": None,
            "transforms": (),
            "sink": config.sink.model_copy(update={"partition_by": None}),
        }
        if config.validation.kept:  # it is looked for, not kept
            rules = config.validation.model_copy(update={"unknown_fields": "drop"})
            plain |= {"validation": rules}
        if not schema:
            anything = Path(scratch) / "anything.avsc"
            anything.write_text(ANYTHING)
            plain |= {
                "schema_": anything,
                "validation": type(config.validation)(),
                "decode": config.decode.unspelled,
            }
        read = config.model_copy(update=plain)
        room = OnePage(memory_bytes(settings.memory))
        async with _reading(settings, pipeline, read, tell, room) as (parts, pages_of):
            found = Sample(schema=parts.plan.schema, dropped={} if config.decode.resolves else None)
            async for page in pages_of:
                records = map(page.decoded.raw, range(page.decoded.facts.count))
                found.records += records if schema else map(config.decode.guessed, records)
                if found.dropped is not None:
                    _count(found.dropped, page.decoded.facts.unknown)
                found.pages += 1
                if found.pages >= pages:
                    break
    return found


def _count(known: dict[str, Unknown], seen: Mapping[str, Unknown]) -> None:
    for name, each in seen.items():
        before = known.get(name, Unknown(0, ()))
        known[name] = Unknown(
            before.count + each.count, tuple(dict.fromkeys((*before.kinds, *each.kinds)))
        )


@asynccontextmanager
async def _reading(
    settings: Settings,
    pipeline: str,
    config: PipelineSettings,
    tell: Tell | None,
    room: Room,
    watch: Watch | None = None,
) -> AsyncIterator[tuple[Parts, AsyncIterator[Accepted]]]:
    """The parts of a pipeline, and the pages of a pass of its first partition from the start."""
    if tell is None:
        retry = config.source.retry.model_copy(update={"max_attempts": 1})
        config = config.model_copy(
            update={"source": config.source.model_copy(update={"retry": retry})}
        )
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        shared = Shared.of(settings, stack, clock, lambda event: _tell(event, tell), cache=False)
        parts = await shared.compile(pipeline, config)
        if config.source.found is not None:
            name, values = await _first_found(settings, pipeline, tell, room)
            parts.partitions[name] = values
        spool = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        source = await http_source(shared, parts, spool=spool, watch=watch)
        pages = await stack.enter_async_context(aclosing(_pages(parts, source, room, clock, tell)))
        yield parts, pages


async def _first_found(
    settings: Settings, pipeline: str, tell: Tell | None, room: Room
) -> tuple[str, dict[str, str]]:
    """Name and values of the first partition that is found, where the pipeline looks for them.

    Raises ConfigError where there is none.
    """
    spec = roster_of(settings, pipeline, News())
    assert spec is not None, "only asked where partitions are found"
    async for found in _values_found(settings, pipeline, spec.parent, tell, room):
        if found.list == spec.list:
            values = spec.values_of(found.value, found.carried, spec.others[0])
            return spec.partition(values), values
    place = "the file" if spec.parent == pipeline else f"the first records of {spec.parent}"
    raise ConfigError(
        f"{place} name no partition of pipeline {pipeline}: there is nothing to ask for",
        where=f"pipelines.{pipeline}.source.partitions.{spec.name}",
        remedy="see which field has the values",
    )


async def _values_found(
    settings: Settings, pipeline: str, parent: str, tell: Tell | None, room: Room
) -> AsyncIterator[Found]:
    """The values in the file of a pipeline, or in the first pages of its parent."""
    if (file := file_of(settings.pipelines[pipeline].source)) is not None:
        for each in file():
            yield each
        return
    config, looked_at = settings.pipelines[parent], 0
    async with _reading(settings, parent, config, tell, room) as (parts, pages):
        async for page in pages:
            for part in parts.flow.shape(next(iter(parts.partitions)), page):
                for each in part.found:
                    yield each
            if (looked_at := looked_at + 1) >= LOOKED_AT_PAGES:
                return


def _tell(event: Event, tell: Tell | None) -> None:
    if tell is not None and isinstance(event, RequestRetried):
        tell(f"attempt {event.attempt} failed, the next in {event.wait_s:.1f} s: {event.reason}")


async def _pages(
    parts: Parts, source: HttpSource, room: Room, clock: Clock, tell: Tell | None
) -> AsyncGenerator[Accepted, None]:
    partition = next(iter(parts.partitions))
    planner = PartitionPlanner(
        paging_spec(parts, once=True, clock=clock), Claim(partition, 0, Cursor())
    )
    while isinstance(todo := planner.next(clock.monotonic()), Fetch):
        if todo.speculative:
            planner.drop(todo)
            continue
        try:
            reply = await source(partition, todo, room)
        except Deferred as deferred:
            if tell is None:
                raise TransientError(str(deferred)) from deferred
            planner.drop(todo)
            wait_s = max(deferred.until - clock.monotonic(), 0.0)
            # of a retry it was told already, see `_tell`
            if wait_s >= TOLD_S and not isinstance(deferred, RetryDue):
                tell(f"the next request is in {wait_s:.0f} s: {deferred}")
            await asyncio.sleep(wait_s)
            continue
        for accepted in planner.accept(todo, reply, clock.monotonic()):
            yield accepted


def _look(found: Peek, accepted: Accepted, flow: Flow) -> None:
    found.pages += 1
    for part in flow.shape(found.partition, accepted):
        found.received += part.ledger.received
        found.filtered += part.ledger.filtered
        found.rejects += part.rejects
        for chunk in part.chunks:
            found.lines += chunk.data.splitlines()
    cursor = accepted.progress.cursor
    found.position = cursor.position
    found.total = cursor.total
