"""One pipeline among fifty that is dead, slow, poisoned, huge or not written costs the others at
most a tenth of their pace.

Time is counted in turns of the event loop, so that neither the machine nor its load matters.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pools import offset_pool

from worker.core.errors import Deferred, PermanentError, TransientError
from worker.core.model import Decoded, Facts
from worker.core.ports import Room
from worker.paging.spec import Fetch, Reply
from worker.runtime.budget import Budget
from worker.runtime.channel import Channel, Closed
from worker.runtime.clock import SystemClock
from worker.runtime.fetch import Page

OTHERS, PAGES, LATENCY = 49, 5, 30
BUDGET = 96_000_000
BODY, DECODED = 64_000, 320_000

ALONE: dict[str, tuple[int, int]] = {}
"""Turns and requests without a bad neighbour, which are always the same."""

Answer = Callable[[Fetch, Room], Awaitable[Reply]]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def page(fetch: Fetch, pages: int, size: int = BODY) -> Reply:
    number = fetch.position["offset"]
    records = [number] if number < pages else []
    keys = [number.to_bytes(16, "big") for number in records]
    return Reply(Decoded(records, None, [], Facts(len(records), keys=keys, size_bytes=size)))


async def healthy(fetch: Fetch, room: Room) -> Reply:
    await turns(LATENCY)
    await room.decode(BODY, DECODED)
    return page(fetch, PAGES)


async def dead(fetch: Fetch, room: Room) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def refused(fetch: Fetch, room: Room) -> Reply:
    raise PermanentError("status 500")


async def slow(fetch: Fetch, room: Room) -> Reply:
    await turns(50 * LATENCY)
    return await healthy(fetch, room)


async def poisoned(fetch: Fetch, room: Room) -> Reply:
    await turns(LATENCY)
    await room.decode(BODY, DECODED)
    raise TransientError("the body is no JSON document")


async def put_off(fetch: Fetch, room: Room) -> Reply:
    raise Deferred(0.0, "the gate opens at once, and is closed again")


async def huge(fetch: Fetch, room: Room) -> Reply:
    await turns(10 * LATENCY)
    await room.decode(BUDGET // 5, BUDGET * 9 // 10)
    return page(fetch, 1_000_000, BUDGET // 5)


async def too_huge(fetch: Fetch, room: Room) -> Reply:
    await turns(LATENCY)
    await room.decode(BUDGET, BUDGET * 5)
    raise AssertionError


class Pipeline:
    """A source, the pool that asks it, and who takes its pages."""

    def __init__(self, answer: Answer, shared: Budget, *, written: bool = True) -> None:
        self.asked, self._answer, self._written = 0, answer, written
        self._share, self._channel = shared.share(), Channel[Page](1 << 40)
        self._pool = offset_pool(
            ["p"], self.fetch, self._channel, self._share, depth=4, may_give_up=True
        )

    async def fetch(self, partition: str, fetch: Fetch, room: Room) -> Reply:
        self.asked += 1
        return await self._answer(fetch, room)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write())
            await self._pool.run(asyncio.Event())
            await self._channel.close()
            if not self._written:
                writing.cancel()

    async def _write(self) -> None:
        if not self._written:
            await asyncio.Event().wait()
        while True:
            try:
                item, weight = await self._channel.get()
            except Closed:
                return
            await turns(2)
            item.hold.release()
            await self._channel.release(weight)


@asynccontextmanager
async def counting() -> AsyncIterator[list[int]]:
    """How many turns the loop makes."""
    count = [0]

    async def count_turns() -> None:
        while True:
            await asyncio.sleep(0)
            count[0] += 1

    task = asyncio.create_task(count_turns())
    try:
        yield count
    finally:
        task.cancel()


async def pace(bad: Answer | None, *, written: bool = True) -> tuple[int, int, int]:
    """Turns that the others need, requests that they make, and those of the bad one."""
    shared = Budget(BUDGET, SystemClock().monotonic)
    others = [Pipeline(healthy, shared) for _ in range(OTHERS)]
    neighbour = None if bad is None else Pipeline(bad, shared, written=written)
    async with asyncio.timeout(60), counting() as count:
        beside = None if neighbour is None else asyncio.create_task(neighbour.run())
        await asyncio.gather(*(each.run() for each in others))
        taken = count[0]
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)
    return taken, sum(each.asked for each in others), 0 if neighbour is None else neighbour.asked


@pytest.mark.parametrize(
    ("bad", "written"),
    [
        pytest.param(dead, True, id="dead"),
        pytest.param(refused, True, id="refused"),
        pytest.param(slow, True, id="slow"),
        pytest.param(poisoned, True, id="poisoned"),
        pytest.param(put_off, True, id="put off"),
        pytest.param(huge, True, id="huge"),
        pytest.param(too_huge, True, id="larger than the memory"),
        pytest.param(healthy, False, id="not written"),
        pytest.param(huge, False, id="huge and not written"),
    ],
)
async def test_a_bad_neighbour_costs_at_most_a_tenth_of_the_pace(
    bad: Answer, written: bool
) -> None:
    if "alone" not in ALONE:
        ALONE["alone"] = (await pace(None))[:2]
    alone, asked_alone = ALONE["alone"]
    beside, asked, asked_of_it = await pace(bad, written=written)
    assert asked == asked_alone >= OTHERS * PAGES
    assert asked_of_it > 0
    assert beside <= 1.1 * alone
