"""Owners that take one pipeline from each other all the time, over one commit log and one output.

What keeps two instances apart on one machine, the locks, is left out: a log that several machines
share has only the commit to rely on.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import sweep

from worker.core.errors import Exit
from worker.testing.replica import Replica

OWNERS = 8


async def contest(directory: Path, *, seconds: float, seed: int) -> tuple[Counter[int], str]:
    """Owners take over from each other while their source grows; then one goes on alone.

    Returns how many of them ended with each exit code, and what is wrong with the output in the
    end; empty where it is exact.
    """
    rng = random.Random(seed)
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, directory, rng)
        world.change(70)
        until = time.monotonic() + seconds
        async with _growing(world):
            owners = [_owner(world, random.Random(rng.random()), until) for _ in range(OWNERS)]
            ended = sum(await asyncio.gather(*owners), Counter[int]())
        for _ in range(2):
            if code := await world.run():
                return ended, f"the last owner ended with {code}"
        return ended, world.wrong()


@asynccontextmanager
async def _growing(world: sweep.World) -> AsyncIterator[None]:
    """A few records more, and other page cuts, ten times a second."""

    async def grow() -> None:
        while True:
            world.change(world.rng.randrange(1, 9))
            await asyncio.sleep(0.1)

    growing = asyncio.create_task(grow())
    try:
        yield
    finally:
        growing.cancel()


async def _owner(world: sweep.World, rng: random.Random, until: float) -> Counter[int]:
    """One owner after the other, each a process of its own that runs until all is read."""
    ended = Counter[int]()
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(0, 1))
        ended[await world.run(locked=False)] += 1
    return ended


def displaced(ended: Counter[int]) -> int:
    """How many owners ended because another one had taken the pipeline."""
    return ended[int(Exit.BUSY)]
