"""The real clock."""

from __future__ import annotations

import asyncio
import time


class SystemClock:
    """The Clock port over the operating system and the event loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
