"""Whether an event loop turns, and what holds it: for threads that go on while it hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from worker.runtime.places import place_of

BEAT_S: Final = 0.05
"""How often a loop shows that it turns."""
WINDOW_S: Final = 1.0
"""How often it is told for how long it was held."""


class Pulse:
    """Shows that the loop on which it is made turns.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._clock, self._beat_at = clock, clock()

    def beat(self) -> float:
        """On the loop, every `BEAT_S` seconds. Returns the seconds since the last one."""
        now = self._clock()
        since_s, self._beat_at = now - self._beat_at, now
        return since_s

    def held_s(self) -> float:
        """For how long the loop has not turned; what is below a beat or two means nothing."""
        return max(self._clock() - self._beat_at - BEAT_S, 0.0)

    def turns(self) -> bool:
        """Whether the loop turns now; waits up to three beats. Not on the loop."""
        seen, until = self._beat_at, self._clock() + 3 * BEAT_S
        while self._beat_at == seen and self._clock() < until:
            time.sleep(BEAT_S / 10)
        return self._beat_at != seen

    def task(self) -> asyncio.Task[Any] | None:
        """The task that the loop runs now."""
        return asyncio.current_task(self._loop)

    def holder(self) -> str:
        """What the loop does now: the task, what it works on, and the line of code."""
        task = self.task()
        name = "no task" if task is None else task.get_name()
        return f"{name}, {place_of(self._thread)}"


@asynccontextmanager
async def beating(pulse: Pulse, observe: Callable[[float], None]) -> AsyncIterator[None]:
    """The pulse beats while the context is open.

    Args:
        observe: is told of each second for how many seconds the loop was held at most.
    """
    task = asyncio.create_task(_beat(pulse, observe), name="pulse")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _beat(pulse: Pulse, observe: Callable[[float], None]) -> None:
    loop = asyncio.get_running_loop()
    pulse.beat()
    while True:
        longest_s, until = 0.0, loop.time() + WINDOW_S
        while loop.time() < until:
            await asyncio.sleep(BEAT_S)
            longest_s = max(longest_s, pulse.beat() - BEAT_S)
        observe(longest_s)
