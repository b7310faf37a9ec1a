"""A look at a source without state or files: the first records as they would be written, and where the next page would be."""

from __future__ import annotations

import asyncio
import tempfile
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
from worker.runtime.clock import SystemClock
from worker.settings import Settings
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
    if pipeline not in settings.pipelines:
        raise ConfigError(f"no pipeline is called {pipeline}", remedy=f"there are {', '.join(settings.pipelines)}")
    config = settings.pipelines[pipeline]
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as spool:
        async with AsyncExitStack() as stack:
            origins = Origins(clock, lambda event: None)
            registries = Registries(stack, settings, origins, clock, lambda event: None, cache=False)
            parts = Parts.of(pipeline, config, await registries.fetch(config))
            shape = compile_steps(
                parts.plan, steps_of(config), parts.output, JsonRows(parts.output, config.validation.bytes), fill=config.validation.missing_fields == "fill"
            )
            partition = next(iter(parts.partitions))
            found = Peek(pipeline, partition)
            planner = PartitionPlanner(plan_spec(parts, once=True), Claim(partition, 0, 0, Cursor()))
            source = await http_source(stack, parts, origins, registries, spool=Path(spool), clock=clock, emit=lambda event: None)
            while found.pages < pages and len(found.lines) < records and isinstance(todo := planner.next(clock.monotonic()), Fetch):
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
                    _look(found, accepted, shape)
    return found


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
    found.position = None if cursor.position is None else cursor.position["at"]
    found.total = cursor.total
