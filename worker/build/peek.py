"""A look at a source without state or files: the first records as they would be written, and where the next page would be."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.build.origins import Origins
from worker.build.parts import Parts, steps_of
from worker.build.pipelines import http_source, plan_spec
from worker.build.schemas import Registries
from worker.core.errors import ConfigError, Deferred
from worker.core.model import Claim, Cursor, FieldError
from worker.core.plan import Accepted, Fetch
from worker.core.planner import PartitionPlanner
from worker.core.ports import Clock
from worker.runtime.clock import SystemClock
from worker.schema import Schema
from worker.settings import PipelineSettings, Settings
from worker.sources.http import HttpSource
from worker.transforms.json_rows import JsonRows
from worker.transforms.steps import compile_steps


@dataclass(slots=True)
class Rejected:
    """A record that would become a dead letter."""

    index: int
    stage: str
    code: str
    errors: tuple[FieldError, ...]


@dataclass(slots=True)
class Peek:
    """What was seen.

    Attributes:
        lines: output records as JSON lines.
        received, filtered: counts of the pages that were read.
        position: of the next page; None at the end of a pass.
        total: what the source says it has.
    """

    pipeline: str
    partition: str
    pages: int = 0
    received: int = 0
    filtered: int = 0
    lines: list[bytes] = field(default_factory=list)
    rejects: list[Rejected] = field(default_factory=list)
    position: Any = None
    total: int | None = None


async def peek(settings: Settings, pipeline: str, *, records: int, pages: int = 1_000) -> Peek:
    """Reads the first partition from its start until there are enough output records or pages. Raises what the source raises."""
    config = _config(settings, pipeline)
    async with AsyncExitStack() as stack:
        parts, pages_of = await _opened(stack, settings, pipeline, config)
        shape = compile_steps(
            parts.plan, steps_of(config), parts.output, JsonRows(parts.output, config.validation.bytes), fill=config.validation.missing_fields == "fill"
        )
        found = Peek(pipeline, next(iter(parts.partitions)))
        async for page in pages_of:
            _look(found, page, shape)
            if found.pages >= pages or len(found.lines) >= records:
                break
    return found


@dataclass(slots=True)
class Sample:
    """Records as they are received, and the schema that the pipeline has for them."""

    records: list[bytes] = field(default_factory=list)
    schema: Schema | None = None
    pages: int = 0


async def sample(settings: Settings, pipeline: str, *, pages: int, schema: bool = True) -> Sample:
    """The records of the first pages of the first partition, whatever the transforms make of them. Raises what the source raises.

    Args:
        schema: False: the pipeline's own schema is not looked at; there need be none yet.
    """
    config = _config(settings, pipeline)
    async with AsyncExitStack() as stack:
        plain: dict[str, Any] = {"output_schema": None, "transforms": (), "sink": config.sink.model_copy(update={"partition_by": None})}
        if not schema:
            anything = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "anything.avsc"
            anything.write_text('{"type": "record", "name": "Anything", "fields": []}')
            plain |= {"schema_": anything, "validation": type(config.validation)()}
        parts, pages_of = await _opened(stack, settings, pipeline, config.model_copy(update=plain))
        found = Sample(schema=parts.plan.schema)
        async for page in pages_of:
            found.records += map(page.decoded.raw, range(page.decoded.facts.count))
            found.pages += 1
            if found.pages >= pages:
                break
    return found


def _config(settings: Settings, pipeline: str) -> PipelineSettings:
    if pipeline not in settings.pipelines:
        raise ConfigError(f"no pipeline is called {pipeline}", remedy=f"there are {', '.join(settings.pipelines)}")
    return settings.pipelines[pipeline]


async def _opened(stack: AsyncExitStack, settings: Settings, pipeline: str, config: PipelineSettings) -> tuple[Parts, AsyncGenerator[Accepted, None]]:
    """The parts of a pipeline, and the pages of its first partition from its start to the end of the pass; open until the stack closes."""
    clock = SystemClock()
    origins = Origins(clock, lambda event: None)
    registries = Registries(stack, settings, origins, clock, lambda event: None, cache=False)
    parts = Parts.of(pipeline, config, await registries.fetch(config))
    spool = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    source = await http_source(stack, parts, origins, registries, spool=spool, clock=clock, emit=lambda event: None)
    pages = _pages(parts, source, clock)
    stack.push_async_callback(pages.aclose)
    return parts, pages


async def _pages(parts: Parts, source: HttpSource, clock: Clock) -> AsyncGenerator[Accepted, None]:
    partition = next(iter(parts.partitions))
    planner = PartitionPlanner(plan_spec(parts, once=True, clock=clock), Claim(partition, 0, 0, Cursor()))
    while isinstance(todo := planner.next(clock.monotonic()), Fetch):
        if todo.speculative:
            planner.drop(todo)
            continue
        try:
            reply = await source(partition, todo)
        except Deferred as deferred:
            planner.drop(todo)
            await asyncio.sleep(max(deferred.until - clock.monotonic(), 0.0))
            continue
        for accepted in planner.accept(todo, reply, clock.monotonic()):
            yield accepted


def _look(found: Peek, accepted: Accepted, shape: Any) -> None:
    decoded = accepted.decoded
    shaping = shape(decoded.records, decoded.facts.received_us)
    found.pages += 1
    found.received += accepted.ledger.received
    found.filtered += shaping.filtered
    found.rejects += (Rejected(each.index, each.stage, each.code, each.errors) for each in decoded.rejects)
    found.rejects += (Rejected(each.index, each.stage, each.code, each.errors) for each in shaping.unshaped)
    for _, _, data in shaping.chunks:
        found.lines += data.splitlines()
    cursor = accepted.progress.cursor
    position = cursor.position or {"at": None}
    found.position = {key: position[key] for key in ("window", "at")} if "window" in position else position["at"]
    found.total = cursor.total
