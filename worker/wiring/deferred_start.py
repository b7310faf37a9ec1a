"""Pipelines that their schema registry, or the secret of a step, keeps from starting when a run
starts.

The others run. Those whose registry does not answer join them once it does. So do those whose
schema is unknown, is none that may be used, or does not fit the config: it may be corrected in the
registry at any time, so they look again after waits that grow. Pipelines that a registry refuses
otherwise (credentials, an incompatible schema) end alone too, for good: asking again would not
help.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from worker.core.errors import (
    IncompatibleSchema,
    PermanentError,
    RegistryUnavailable,
    SchemaMismatch,
    SchemaUnfit,
    SecretUnavailable,
    WorkerError,
)
from worker.core.events import AttemptFailed, Emit, PipelineFailed
from worker.core.ports import Clock
from worker.resilience.backoff import doubling_s

T = TypeVar("T")

PAUSE_S: Final = 30.0
"""The wait where a registry or a secret does not answer, and the first one where a registry has no
schema to use."""
LONGEST_PAUSE_S: Final = 600.0


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
            if isinstance(
                result, PermanentError | IncompatibleSchema | SchemaUnfit | SecretUnavailable
            ):
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
        unfit = 0
        while name in self.errors:
            error = self.errors[name]
            if isinstance(error, RegistryUnavailable | SecretUnavailable):
                unfit, pause_s = 0, PAUSE_S
            elif isinstance(error, SchemaUnfit | SchemaMismatch):
                unfit += 1
                pause_s = doubling_s(PAUSE_S, unfit, LONGEST_PAUSE_S)
            else:
                self._emit(PipelineFailed(name, error.code, str(error)))
                return
            self._emit(AttemptFailed(name, error.code, str(error), restart_in_s=pause_s))
            await self._clock.sleep(pause_s)
            try:
                await start()
            except WorkerError as again:
                self.errors[name] = again
            else:
                del self.errors[name]
