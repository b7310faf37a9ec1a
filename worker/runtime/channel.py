"""A queue between two tasks: bounded by bytes, and closed with the error that ended its sender.

Space is reserved before the bytes exist (before the request that will bring them), and nobody waits
for space while holding some, so that nothing deadlocks: `put` never blocks. An empty channel admits
a reservation of any size, so an item over the bound passes alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The channel is closed and empty.

    Attributes:
        error: what ended the sender; None for a normal end.
    """

    def __init__(self, error: BaseException | None) -> None:
        super().__init__("channel closed")
        self.error = error


class Channel(Generic[T]):
    """A bounded queue. `bound_bytes` limits what is reserved and what is queued together."""

    def __init__(self, bound_bytes: int) -> None:
        self._bound = bound_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._used = 0
        self._changed = asyncio.Condition()
        self._closed = False
        self._error: BaseException | None = None

    def __repr__(self) -> str:
        closed = " closed" if self._closed else ""
        return f"<Channel items={len(self._items)} used={self._used}/{self._bound}{closed}>"

    @property
    def used_bytes(self) -> int:
        return self._used

    @property
    def bound_bytes(self) -> int:
        return self._bound

    def has_room(self, size_bytes: int) -> bool:
        return self._used == 0 or self._used + size_bytes <= self._bound

    async def reserve(self, size_bytes: int, *, force: bool = False) -> int:
        """Waits for room and takes it; `force` takes it at once.

        Returns the reserved bytes, which the caller gives to `put` or to `release`.
        """
        async with self._changed:
            if not force:
                await self._changed.wait_for(lambda: self.has_room(size_bytes))
            self._used += size_bytes
            return size_bytes

    async def release(self, reserved_bytes: int) -> None:
        """Gives a reservation back unused."""
        async with self._changed:
            self._used -= reserved_bytes
            self._changed.notify_all()

    async def put(self, item: T, weight_bytes: int, *, reserved_bytes: int = 0) -> None:
        """Queues an item in place of its reservation. Never waits for room."""
        async with self._changed:
            self._used += weight_bytes - reserved_bytes
            self._items.append((item, weight_bytes))
            self._changed.notify_all()

    async def get(self, timeout_s: float | None = None) -> tuple[T, int]:
        """The next item and its weight, which stays counted until `release`.

        Raises Closed after the last item, and TimeoutError when there is none within `timeout_s`.
        """
        async with self._changed:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait_for(lambda: bool(self._items) or self._closed)
            if self._items:
                return self._items.popleft()
            raise Closed(self._error)

    async def close(self, error: BaseException | None = None) -> None:
        """No more items come; what is queued is still delivered, then Closed(error)."""
        async with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()
