"""A clock that tests own."""

from __future__ import annotations

import asyncio
from datetime import datetime

from worker.runtime.clock import SystemClock


class FakeClock:
    """The Clock port: time passes only by `advance` and by `sleep`, which does not wait."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class DatedClock(SystemClock):
    """Waits like the real clock, but it is always the time that a test says: RFC 3339 text."""

    def __init__(self, now: str) -> None:
        self.now = now

    def time(self) -> float:
        return datetime.fromisoformat(self.now).timestamp()
