"""Pipelines whose schema registry does not answer when a run starts: the others run, these join them once it does.

Those that it refuses (credentials, an unknown subject, an incompatible schema) end alone too, for good: asking again would not help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from worker.core.errors import IncompatibleSchema, PermanentError, RegistryUnavailable, WorkerError
from worker.core.events import AttemptFailed, Emit, PipelineFailed
from worker.core.ports import Clock
from worker.pipeline import Pipeline

PAUSE_S: Final = 30.0


class DeferredStart:
    """What could not start. `errors`: pipeline -> why, as long as it has not."""

    def __init__(self, clock: Clock, emit: Emit) -> None:
        self._clock, self._emit = clock, emit
        self.errors: dict[str, WorkerError] = {}

    def give_up(self) -> None:
        """Says that they will not start: a run with `once` does not wait."""
        for name, error in self.errors.items():
            self._emit(PipelineFailed(name, error.code, str(error)))

    async def start(self, names: Sequence[str], start: Callable[[str], Awaitable[None]]) -> None:
        """Starts pipelines side by side and notes those whose registry does not answer, or refuses them. Raises the first other error."""
        for name, result in zip(
            names, await asyncio.gather(*map(start, names), return_exceptions=True), strict=True
        ):
            if isinstance(result, PermanentError | IncompatibleSchema):
                self.errors[name] = result
            elif result is not None:
                raise result

    async def join(
        self, name: str, start: Callable[[], Awaitable[Pipeline]], add: Callable[[Pipeline], None]
    ) -> None:
        """Tries to start a pipeline until it works, or fails for another reason than an outage of its registry."""
        while True:
            error = self.errors[name]
            if not isinstance(error, RegistryUnavailable):
                self._emit(PipelineFailed(name, error.code, str(error)))
                return
            self._emit(AttemptFailed(name, error.code, str(error), PAUSE_S))
            await self._clock.sleep(PAUSE_S)
            try:
                pipeline = await start()
            except WorkerError as again:
                self.errors[name] = again
            else:
                del self.errors[name]
                add(pipeline)
                return
