"""Pipelines whose schema registry does not answer when a run starts.

The others run, and these join them once the registry answers. Pipelines that a registry refuses
(credentials, an unknown subject, an incompatible schema), or whose config does not fit the schema
that is there, end alone too, for good: asking again would not help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from worker.core.errors import (
    IncompatibleSchema,
    PermanentError,
    RegistryUnavailable,
    SchemaUnfit,
    WorkerError,
)
from worker.core.events import AttemptFailed, Emit, PipelineFailed
from worker.core.ports import Clock

T = TypeVar("T")

PAUSE_S: Final = 30.0


class DeferredStart:
    """What could not start.

    Attributes:
        errors: pipeline -> why it has not started; nothing once it has.
    """

    def __init__(self, clock: Clock, emit: Emit) -> None:
        self._clock, self._emit = clock, emit
        self.errors: dict[str, WorkerError] = {}

    async def each(self, names: Iterable[str], step: Callable[[str], Awaitable[T]]) -> dict[str, T]:
        """Takes a step of the start for pipelines side by side; returns the results by name.

        A pipeline whose registry does not answer, or refuses it, has no result but an error in
        `errors`. Raises the first other error.
        """
        names = list(names)
        results = await asyncio.gather(*map(step, names), return_exceptions=True)
        done = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, PermanentError | IncompatibleSchema | SchemaUnfit):
                self.errors[name] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                done[name] = result
        return done

    def give_up(self) -> None:
        """They will not start, because a run with `once` does not wait."""
        for name, error in self.errors.items():
            self._emit(PipelineFailed(name, error.code, str(error)))

    async def retry(self, name: str, start: Callable[[], Awaitable[None]]) -> None:
        """Tries to start a pipeline until it works, or until its registry refuses it.

        `start` raises what keeps the pipeline from starting.
        """
        while name in self.errors:
            error = self.errors[name]
            if not isinstance(error, RegistryUnavailable):
                self._emit(PipelineFailed(name, error.code, str(error)))
                return
            self._emit(AttemptFailed(name, error.code, str(error), restart_in_s=PAUSE_S))
            await self._clock.sleep(PAUSE_S)
            try:
                await start()
            except WorkerError as again:
                self.errors[name] = again
            else:
                del self.errors[name]
