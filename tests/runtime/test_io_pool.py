"""Blocking work of a pipeline is done call after call, and never left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.runtime.io_pool import InOrder


@pytest.fixture
def io() -> Iterator[InOrder]:
    with ThreadPoolExecutor(1) as executor:
        yield InOrder(executor)


async def test_the_result_or_the_error_of_the_call_is_that_of_the_wait(io: InOrder) -> None:
    assert await io(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await io(divmod, 7, 0)


@pytest.mark.parametrize("error", [None, OSError("disk")], ids=["ends well", "fails"])
async def test_a_cancelled_wait_goes_on_until_the_call_has_ended(
    io: InOrder, error: OSError | None
) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go_on.wait(20)
        ended.set()
        if error is not None:
            raise error

    task = asyncio.create_task(io(call))
    async with asyncio.timeout(20):
        while not begun.is_set():
            await asyncio.sleep(0)
    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
