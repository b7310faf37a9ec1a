"""Makes the pipelines of one run from their settings, round what they share."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import ClassVar

from worker.core.events import Emit
from worker.core.ports import Clock
from worker.pipeline import Pipeline
from worker.settings import PipelineSettings, Settings
from worker.wiring.compatibility_check import register_output
from worker.wiring.origins import Origins
from worker.wiring.parts import Parts
from worker.wiring.pipelines import backfill_pipeline, http_pipeline, replay_pipeline
from worker.wiring.schemas import Registries


@dataclass(frozen=True, slots=True)
class Poll:
    """Pipelines read their sources; with `once` until every pass is done, else for ever."""

    once: bool


@dataclass(frozen=True, slots=True)
class Backfill:
    """Pipelines read a range of marks again; `until` None: to the end.

    The live marks do not move.
    """

    once: ClassVar[bool] = True
    since: str
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Pipelines read their own dead letters."""

    once: ClassVar[bool] = True


Job = Poll | Backfill | Replay


class Assembly:
    """What the pipelines of a run share, and how one of them is made.

    Everything that a pipeline opens stays open until `stack` closes.
    """

    def __init__(
        self,
        settings: Settings,
        pipelines: Mapping[str, PipelineSettings],
        stack: AsyncExitStack,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._settings, self._pipelines, self._stack = settings, pipelines, stack
        self._clock, self._emit = clock, emit
        self._origins = Origins(clock, emit)
        self._registries = Registries(stack, settings, self._origins, clock, emit)

    async def compile(self, name: str) -> Parts:
        """The parts of a pipeline, with the schemas that registries have for it.

        Raises ConfigError, and RegistryUnavailable or another PermanentError of a registry.
        """
        config = self._pipelines[name]
        return Parts.of(name, config, await self._registries.fetch(config))

    async def register_output(self, parts: Parts) -> None:
        """Registers the schema of the files where the config says so. The state must be locked.

        Raises IncompatibleSchema, and RegistryUnavailable or another PermanentError of a registry.
        """
        await register_output(self._settings, parts, self._registries)

    async def pipeline(self, parts: Parts, job: Job) -> Pipeline:
        """A pipeline that does its part of a job. Raises ConfigError where it cannot."""
        match job:
            case Replay():
                return replay_pipeline(
                    self._stack, self._settings, parts, clock=self._clock, emit=self._emit
                )
            case Backfill(since=since, until=until):
                return await backfill_pipeline(
                    self._stack,
                    self._settings,
                    parts,
                    self._origins,
                    self._registries,
                    since=since,
                    until=until,
                    clock=self._clock,
                    emit=self._emit,
                )
            case Poll(once=once):
                return await http_pipeline(
                    self._stack,
                    self._settings,
                    parts,
                    self._origins,
                    self._registries,
                    once=once,
                    clock=self._clock,
                    emit=self._emit,
                )
