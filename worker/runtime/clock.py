"""The real clock, and waiting by any clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from worker.core.ports import Clock


class SystemClock:
    """The Clock port over the operating system and the event loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def set_within(event: asyncio.Event, seconds: float, clock: Clock) -> bool:
    """Waits for `event`, at most so many seconds of `clock`. Returns whether it is set."""
    async with asyncio.TaskGroup() as group:
        waits = (
            group.create_task(event.wait(), name="wait.event"),
            group.create_task(clock.sleep(seconds), name="wait.clock"),
        )
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
    return event.is_set()


async def done_unless(event: asyncio.Event, work: Coroutine[Any, Any, None], *, name: str) -> bool:
    """Does the work. Returns False where `event` was set before it was done, which cancels it.

    Raises what the work raises.
    """
    working = asyncio.create_task(work, name=name)
    waiting = asyncio.create_task(event.wait(), name="wait.event")
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.wait((working, waiting))
    if working.cancelled():
        return False
    working.result()
    return True
