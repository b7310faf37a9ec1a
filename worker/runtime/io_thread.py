"""The one thread of a pipeline in which its blocking work is done, call after call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class IoThread:
    """Calls blocking work in the one IO thread of a pipeline.

    A cancellation waits for the call in progress, and only then goes on: no commit is torn.
    """

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self._executor = executor

    async def __call__(self, call: Callable[..., T], *args: Any) -> T:
        job = asyncio.get_running_loop().run_in_executor(self._executor, call, *args)
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            await asyncio.wait([job])
            if job.done() and not job.cancelled():
                job.exception()  # seen: the cancellation is what is raised
            raise
