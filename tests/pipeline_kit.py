"""A pipeline in memory: its source is a list of numbers for each partition, its files are lines of
numbers.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from hashlib import md5
from typing import Any

from worker.core.dead_letter import dead_letter_line
from worker.core.events import Event, PageAccepted
from worker.core.model import DEAD_LETTERS, ChainState, Decoded, Facts
from worker.core.ports import InvalidRecord, Outputs, Room, Shaping
from worker.paging.spec import Fetch, PagingSpec, Reply
from worker.pipeline import Pipeline, PipelineSpec
from worker.runtime.budget import Budget
from worker.runtime.flow import Flow
from worker.runtime.io_pool import IoPool
from worker.runtime.roll import RollSpec
from worker.sources.pagination import offset
from worker.testing.clock import FakeClock
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import MemoryCommitRecords, MemorySink, MemoryStore
from worker.writer import WriterSpec

AT_THE_END = RollSpec(records=1_000_000, age_s=3_600.0)
WRITER = WriterSpec(
    pipeline="items", roll=AT_THE_END, dead_letter=dead_letter_line, schema_fingerprint="0123"
)

IO = IoPool()

Before = Callable[[str, int], Awaitable[None]]


class Source:
    """The fetcher: pages of at most `cap` numbers of a partition.

    `before` is awaited with the partition and the offset before each answer; it may raise.
    """

    def __init__(self, records: Mapping[str, Sequence[int]], cap: int = 3) -> None:
        self.records, self.cap = records, cap
        self.before: Before | None = None
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, partition: str, fetch: Fetch, room: Room) -> Reply:
        begin = fetch.position["offset"]
        self.asked.append((partition, begin))
        if self.before is not None:
            await self.before(partition, begin)
        page = list(self.records[partition][begin : begin + self.cap])
        facts = Facts(
            len(page),
            keys=[md5(f"{partition} {begin + at}".encode()).digest() for at in range(len(page))],
            size_bytes=10 * len(page),
        )
        return Reply(Decoded(page, None, [], facts, raw=lambda index: str(page[index]).encode()))


def shape(records: Sequence[int], received: int, partition: str) -> Shaping:
    """A line for each number; negative ones are rejects."""
    bad = [index for index, number in enumerate(records) if number < 0]
    good = [number for number in records if number >= 0]
    data = b"".join(b"%d\n" % number for number in good)
    return Shaping(
        [("", len(good), data)] if good else [],
        [(index, InvalidRecord("negative", (), stage="transform")) for index in bad],
        filtered=0,
        expanded=0,
    )


@dataclass(frozen=True)
class Output:
    """What the sinks of all attempts share, and how they are made."""

    lake: MemoryStore
    letters: MemoryStore
    sink: type[MemorySink] = MemorySink

    def outputs(self, chain: ChainState) -> Outputs:
        return Outputs(
            self.sink(self.lake, chain),
            MemorySink(self.letters, chain, kind=DEAD_LETTERS),
            MemoryCommitRecords(self.lake, chain),
        )

    def numbers(self) -> list[int]:
        """In published files, sorted, duplicates kept."""
        files = [self.lake.names[name] for name in self.lake.published]
        return sorted(int(line) for data in files for line in data.splitlines())

    def rejects(self) -> list[int]:
        """In published dead letters."""
        files = [self.letters.names[name] for name in self.letters.published]
        return [int(json.loads(line)["raw"]) for data in files for line in data.splitlines()]


class World:
    """A source, a commit log, an output, and a pipeline from one to the other."""

    def __init__(
        self,
        records: Mapping[str, Sequence[int]],
        *,
        cap: int = 3,
        sink: type[MemorySink] = MemorySink,
        flow: Callable[..., Shaping] = shape,
        writer: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        self.source = Source(records, cap)
        self.log = MemoryCommitLog()
        self.output = Output(MemoryStore(), MemoryStore("memory://letters"), sink)
        self.clock, self.events = FakeClock(), list[Event]()
        self.stop, self.drain_deadline = asyncio.Event(), asyncio.Event()
        style = offset.build(offset.Config(type="offset", param="offset"))
        once = spec.get("once", True)
        self._spec = PipelineSpec(
            **{
                "name": "items",
                "partitions": tuple(records),
                "fingerprint": {},
                "paging": PagingSpec(style=style, once=once),
                "fetcher": self.source,
                "flow": Flow(flow, "0123"),
                "writer": replace(WRITER, **(writer or {})),
                "outputs": self.output.outputs,
                "output_schema": '"int"',
                "compatibility_check": lambda schemas: None,
                "name_check": lambda log: None,
                "budget": Budget(1 << 30, self.clock.monotonic),
                "cap_bytes": 1 << 20,
                "concurrency": 2,
                "may_repeat": True,
                "once": once,
                "patience_s": 60.0,
                "keep_s": math.inf,
                **spec,
            }
        )
        self.pipeline = self.restarted()

    def restarted(self) -> Pipeline:
        """The pipeline as another process would have it."""
        self.pipeline = Pipeline(self._spec, self.log, IO, self.clock, self.events.append)
        return self.pipeline

    async def attempt(self) -> None:
        async with self.limit():
            await self.pipeline.attempt(self.stop, self.drain_deadline)

    def limit(self) -> AbstractAsyncContextManager[Any]:
        """How long a test takes that fails."""
        return asyncio.timeout(20)

    def received(self) -> int:
        """Records of accepted pages, over all attempts."""
        return sum(event.records for event in self.events if isinstance(event, PageAccepted))

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


async def turns(count: int = 50) -> None:
    """Lets everything run that can run without a wait."""
    for _ in range(count):
        await asyncio.sleep(0)
