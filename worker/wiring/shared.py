"""What the pipelines of a run share."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from worker.core.errors import ConfigError, SchemaUnfit
from worker.core.events import Emit, Event
from worker.core.ports import Clock, CommitHistory, CommitLog
from worker.runtime.budget import Budget
from worker.runtime.io_pool import IoPool
from worker.secrets.store import SecretStore
from worker.settings import PipelineSettings, Settings
from worker.sinks.used_roots import UsedRoots
from worker.wiring.children import News, wanted_of
from worker.wiring.compatibility_check import register_output
from worker.wiring.logs import open_log
from worker.wiring.memory import memory_bytes
from worker.wiring.origins import Origins
from worker.wiring.parts import Parts
from worker.wiring.schemas import Registries, subject_text, subjects_of
from worker.wiring.secrets import Credentials, with_secrets_of_steps


@dataclass(slots=True)
class Shared:
    """What the pipelines of a run share; what they open stays open until `stack` closes.

    Attributes:
        io: does the blocking work of all of them.
    """

    settings: Settings
    stack: AsyncExitStack
    clock: Clock
    emit: Emit
    origins: Origins
    secrets: SecretStore
    credentials: Credentials
    registries: Registries
    used: UsedRoots
    io: IoPool
    budget: Budget
    news: News = field(default_factory=News)
    _log: CommitLog | None = None

    @classmethod
    def of(
        cls,
        settings: Settings,
        stack: AsyncExitStack,
        clock: Clock,
        emit: Emit,
        *,
        cache: bool = True,
    ) -> Shared:
        """Nothing is opened yet. `cache`: schemas of registries are kept for their outages."""
        origins = Origins(clock, emit)
        secrets = SecretStore(settings.environ, clock, emit)
        registries = Registries(stack, settings, origins, secrets, clock, emit, cache=cache)
        used = UsedRoots(_on_loop(emit), monotonic=clock.monotonic)
        stack.callback(used.close)
        io = IoPool()
        stack.callback(io.close)
        state = settings.state.path.absolute()
        return cls(
            settings=settings,
            stack=stack,
            clock=clock,
            emit=emit,
            origins=origins,
            secrets=secrets,
            credentials=Credentials(stack, secrets, clock, state=state, spool=state / "spool"),
            registries=registries,
            used=used,
            io=io,
            budget=Budget(memory_bytes(settings.memory), clock.monotonic),
        )

    async def compile(self, name: str, config: PipelineSettings) -> Parts:
        """The parts of a pipeline, with the schemas that registries have for it.

        Raises ConfigError, which is SchemaUnfit where a registry may have caused it, and
        RegistryUnavailable or another PermanentError of a registry. Raises SecretUnavailable and
        SecretRefused for the secret of a step.
        """
        config = await with_secrets_of_steps(config, self.secrets)
        fetched = await self.registries.fetch(config)
        try:
            return Parts.of(name, config, fetched, wanted=wanted_of(self.settings, name))
        except ConfigError as error:
            if not fetched:
                raise
            raise SchemaUnfit(
                f"pipeline {name} does not fit the schema that its registry has: {error}",
                where=", ".join(map(subject_text, subjects_of(config))),
            ) from error

    async def register_output(self, parts: Parts) -> None:
        """Registers the schema of the files where the config says so. The state must be locked.

        Raises IncompatibleSchema, and RegistryUnavailable or another PermanentError of a registry.
        """
        await register_output(self.settings, parts, self.registries)

    @property
    def commit_log(self) -> CommitLog:
        """The one connection of the process that writes to the commit log."""
        if self._log is None:
            self._log = self._opened_log(read_only=False)
        return self._log

    def history(self) -> CommitHistory:
        """A connection that only reads."""
        return self._opened_log(read_only=True)

    def _opened_log(self, *, read_only: bool) -> CommitLog:
        log = open_log(self.settings, read_only=read_only)
        self.stack.callback(log.close)
        return log


def _on_loop(emit: Emit) -> Emit:
    """The same for other threads, which the loop serves when it comes to it."""
    loop = asyncio.get_running_loop()

    def emit_from_anywhere(event: Event) -> None:
        loop.call_soon_threadsafe(emit, event)

    return emit_from_anywhere
