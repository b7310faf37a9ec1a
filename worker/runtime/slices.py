"""Runs pure work in slices on the event loop, which breathes between them."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from worker.core.ports import Steps

T = TypeVar("T")


async def in_slices(steps: Steps[T]) -> T:
    """Drives `steps` to its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        await asyncio.sleep(0)


def at_once(steps: Steps[T]) -> T:
    """The same without an event loop."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
