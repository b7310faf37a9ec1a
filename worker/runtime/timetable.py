"""Keeps in the commit log when the partitions of a pipeline are served next.

Many partitions may change in the same moment: what has changed while one transaction is made is
kept by the next one. A kill between costs at most a pass that begins too early.

A pass that left nothing to be committed did not move the cursor in the log, and the next one will
have its number after a restart. It is kept under the number of the pass that the log knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from worker.core.errors import WorkerError
from worker.core.model import Due
from worker.core.ports import Clock

REASON_CHARS: Final = 1_000
"""Of an error, to be kept."""


class Timetable:
    """What is kept of each partition, and what of it has changed.

    Args:
        kept: by partition, as the claims brought it.
        keep: writes what has changed.
        once: a run that ends by itself is on no schedule: it only takes failures back.
        passes: whether it is kept when the passes are due.
    """

    def __init__(
        self,
        kept: Mapping[str, Due],
        keep: Callable[[Mapping[str, Due]], Awaitable[None]],
        clock: Clock,
        *,
        once: bool,
        passes: bool,
    ) -> None:
        self._kept, self._keep, self._clock = dict(kept), keep, clock
        self._once, self._passes = once, passes
        self._changed: dict[str, Due] = {}
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Timetable partitions={len(self._kept)} changed={len(self._changed)}>"

    def enter(self, partition: str, due: Due) -> None:
        """A partition that was found is served from now on."""
        self._kept[partition] = due

    def leave(self, partition: str) -> None:
        """It is served no more; what has changed of it is kept all the same."""
        del self._kept[partition]

    def works(self, partition: str, pass_no: int, next_at: float | None) -> None:
        """A page of a pass was accepted.

        Args:
            next_at: the monotonic second when the next pass is due; None without a schedule.
        """
        kept = self._kept[partition]
        if self._passes and next_at is not None and kept.pass_no != pass_no:
            self._change(partition, Due(pass_no, self._wall_us(next_at)))
        elif kept.failures:
            self._change(partition, Due(kept.pass_no, kept.next_us))

    def waits(self, partition: str, next_at: float | None) -> None:
        """Nothing of the partition was begun, and its first pass is due at a monotonic second: a
        restart does not put it off to the time after that.
        """
        kept = self._kept[partition]
        if self._passes and next_at is not None and kept.next_us is None:
            self._change(partition, replace(kept, next_us=self._wall_us(next_at)))

    def passed(self, partition: str, pass_no: int, durable: int) -> None:
        """A pass is over of which nothing may ever be committed: its schedule counts all the same.

        Args:
            durable: number of the last pass that is over in the commit log, as which it is kept.
        """
        kept = self._kept[partition]
        if self._passes and kept.pass_no == pass_no != durable and kept.next_us is not None:
            self._change(partition, replace(kept, pass_no=durable))

    def failed(self, partition: str, error: WorkerError, *, times: int, until: float) -> None:
        """The partition has failed so many times in a row; it rests until a monotonic second."""
        if self._once:
            return
        change = replace(
            self._kept[partition],
            failures=times,
            not_before_us=self._wall_us(until),
            code=error.code,
            reason=str(error)[:REASON_CHARS],
        )
        self._change(partition, change)

    def _change(self, partition: str, due: Due) -> None:
        self._kept[partition] = self._changed[partition] = due
        self._news.set()

    def _wall_us(self, at: float) -> int:
        return int((self._clock.time() + at - self._clock.monotonic()) * 1e6)

    async def run(self) -> None:
        """Keeps what changes, until it is cancelled."""
        while True:
            await self._news.wait()
            await self.save()

    async def save(self) -> None:
        """Keeps what has changed so far."""
        self._news.clear()
        changed, self._changed = self._changed, {}
        try:
            if changed:
                await self._keep(changed)
        except asyncio.CancelledError:  # it may not have been begun; to keep it twice is the same
            self._changed = {**changed, **self._changed}
            raise
