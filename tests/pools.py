"""A fetch pool over partitions that are read by offset, for tests of the memory it shares."""

from __future__ import annotations

from collections.abc import Iterable

from worker.core.cursor import Cursor
from worker.core.meter import Backlog, StageTimes
from worker.core.model import Claim, Due
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import PagingSpec
from worker.runtime.budget import Share
from worker.runtime.channel import Channel
from worker.runtime.clock import SystemClock
from worker.runtime.fetch import Fetcher, FetchPool, Page
from worker.runtime.timetable import Timetable
from worker.sources.pagination import offset


async def _nowhere(due: object) -> None: ...


def offset_pool(
    parts: Iterable[str],
    fetch: Fetcher,
    channel: Channel[Page],
    share: Share,
    *,
    depth: int,
    may_give_up: bool,
) -> FetchPool:
    """A pool of one pass, with four workers and the time of the machine."""
    clock, style, names = (
        SystemClock(),
        offset.build(offset.Config(type="offset", param="o")),
        [*parts],
    )
    spec = PagingSpec(style=style, once=True, depth=depth)
    return FetchPool(
        [PartitionPlanner(spec, Claim(name, 0, Cursor())) for name in names],
        fetch,
        channel,
        share,
        Timetable({name: Due() for name in names}, _nowhere, clock, once=True, passes=False),
        parked={},
        pipeline="p",
        concurrency=4,
        may_give_up=may_give_up,
        once=True,
        patience_s=3600.0,
        clock=clock,
        emit=lambda event: None,
        times=StageTimes(clock.monotonic, 4),
        backlog=Backlog(),
    )
