"""The threads in which the pipelines of a process do their blocking work.

Each pipeline has its calls done one after another; the calls of several pipelines are done side by
side. A call may hang for as long as its disk or mount does: `IO_THREADS` pipelines that hang at
once keep the others waiting, fewer do not. What takes the lock of the commit log waits for whoever
has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

T = TypeVar("T")

IO_THREADS: Final = 16
"""Most threads of a process, however many pipelines it has. They are made as they are needed."""


class IoPool:
    """The threads; one pool for a process.

    Args:
        monotonic: seconds of a clock that only goes forward.
    """

    def __init__(
        self, threads: int = IO_THREADS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="io")
        self._monotonic = monotonic

    def in_order(self) -> InOrder:
        """For one pipeline."""
        return InOrder(self._executor, self._monotonic)

    def close(self) -> None:
        """Waits for the calls in progress."""
        self._executor.shutdown()


class InOrder:
    """Calls blocking work in the pool, call after call.

    A cancellation waits for the call in progress, and only then goes on: no commit is torn. A call
    that has not begun is not made.
    """

    def __init__(
        self, executor: ThreadPoolExecutor, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._executor, self._monotonic, self._turn = executor, monotonic, asyncio.Lock()
        self._begun: tuple[Callable[..., Any], float] | None = None

    async def __call__(self, call: Callable[..., T], *args: Any) -> T:
        async with self._turn:
            self._begun = call, self._monotonic()
            job = self._executor.submit(call, *args)
            answer = asyncio.wrap_future(job)
            try:
                return await asyncio.shield(answer)
            except asyncio.CancelledError:
                if not job.cancel():
                    await _ended(answer)
                raise
            finally:
                self._begun = None

    def in_progress(self) -> tuple[str, float] | None:
        """The call in progress, by its name, and for how many seconds; may be asked anywhere."""
        if (begun := self._begun) is None:
            return None
        call, at = begun
        return getattr(call, "__qualname__", repr(call)), self._monotonic() - at


async def _ended(answer: asyncio.Future[Any]) -> None:
    """Waits, however often that is cancelled, or the next call would be done beside this one."""
    while not answer.done():
        try:
            await asyncio.wait([answer])
        except asyncio.CancelledError:
            continue
    answer.exception()  # seen: the cancellation is what is raised
