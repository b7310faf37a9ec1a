"""Blocking work of a pipeline is done call after call, and never left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from worker.runtime.io_pool import InOrder, IoPool


@pytest.fixture
def io() -> Iterator[InOrder]:
    with closing(IoPool(2)) as pool:
        yield pool.in_order()


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def until(event: threading.Event) -> None:
    async with asyncio.timeout(20):
        while not event.is_set():
            await asyncio.sleep(0)


class Call:
    """Waits until the test lets it end."""

    def __init__(self, error: OSError | None = None) -> None:
        self.begun, self.go_on, self.ended = (threading.Event() for _ in range(3))
        self.error = error

    def __call__(self) -> None:
        self.begun.set()
        self.go_on.wait(20)
        self.ended.set()
        if self.error is not None:
            raise self.error


async def test_the_result_or_the_error_of_the_call_is_that_of_the_wait(io: InOrder) -> None:
    assert await io(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await io(divmod, 7, 0)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("error", [None, OSError("disk")], ids=["ends well", "fails"])
async def test_a_cancelled_wait_goes_on_until_the_call_has_ended(
    io: InOrder, error: OSError | None, times: int
) -> None:
    call, behind = Call(error), Call()
    behind.go_on.set()
    task = asyncio.create_task(io(call))
    await until(call.begun)
    later = asyncio.create_task(io(behind))
    for _ in range(times):
        task.cancel()
        await turns()
    assert not task.done() and not behind.begun.is_set()
    call.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.ended.is_set()
    await later
    assert behind.ended.is_set()


async def test_calls_of_one_pipeline_are_done_one_after_another_in_their_order(
    io: InOrder,
) -> None:
    done: list[int] = []
    running = threading.Lock()

    def call(number: int) -> None:
        assert running.acquire(blocking=False)
        done.append(number)
        running.release()

    await asyncio.gather(*(io(call, number) for number in range(200)))
    assert done == list(range(200))


async def test_calls_that_hang_keep_others_waiting_only_when_they_have_all_threads() -> None:
    with closing(IoPool(3)) as pool:
        hanging = [Call() for _ in range(3)]
        tasks = [asyncio.create_task(pool.in_order()(call)) for call in hanging[:2]]
        for call in hanging[:2]:
            await until(call.begun)
        assert await pool.in_order()(divmod, 7, 2) == (3, 1)
        tasks.append(asyncio.create_task(pool.in_order()(hanging[2])))
        await until(hanging[2].begun)
        waiting = Call()
        given_up = asyncio.create_task(pool.in_order()(waiting))
        await turns()
        given_up.cancel()  # it has not begun, so that nothing is torn
        with pytest.raises(asyncio.CancelledError):
            await given_up
        behind = asyncio.create_task(pool.in_order()(divmod, 7, 2))
        await turns()
        assert not behind.done()
        for call in hanging:
            call.go_on.set()
        assert await behind == (3, 1)
        await asyncio.gather(*tasks)
    assert not waiting.begun.is_set()
