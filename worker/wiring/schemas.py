"""Where schemas come from: files, and registries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from worker import __version__
from worker.config.schema_file import FilesConfig, schema_file, schema_files
from worker.core.errors import Deferred, RegistryUnavailable, SchemaUnfit
from worker.core.events import Emit, SchemaStale
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.http.registry_config import RegistryConfig, SubjectConfig
from worker.http.schema_registry import NotAvroError, RegistryClient
from worker.http.tls import tls_of
from worker.schema import Schema, parse_schema
from worker.schema.errors import SchemaError
from worker.schema.plan import require_record
from worker.secrets.store import SecretStore
from worker.settings import PipelineSettings, Settings
from worker.sources.http_config import HttpConfig
from worker.state.schemas import SchemaFiles
from worker.wiring.origins import Origins
from worker.wiring.secrets import check_registry_secrets, registry_auth

T = TypeVar("T")

ANSWER_BYTES: Final = 4 * 1024 * 1024
CONNECTIONS: Final = 4
CACHE: Final = "schemas"

Fetched = Mapping[str, Schema]
"""Schemas that were in registries, by `key_of`."""


def schema_of(ref: Path | FilesConfig | SubjectConfig, fetched: Fetched) -> Schema:
    """The schema of a record that a config refers to. Raises ConfigError."""
    if isinstance(ref, SubjectConfig):
        return fetched[key_of(ref)]
    file = ref if isinstance(ref, Path) else ref.file
    schema = schema_file(ref) if isinstance(ref, Path) else schema_files(ref)
    require_record(schema, str(file))
    return schema


def key_of(ref: SubjectConfig) -> str:
    """One text for each subject and version of a registry."""
    return ref.model_dump_json()


def subject_text(ref: SubjectConfig, version: int | None = None) -> str:
    """A subject for people; `version` is its number where the config says latest."""
    return f"version {version or ref.version} of subject {ref.subject} at {ref.registry}"


def subjects_of(config: PipelineSettings) -> list[SubjectConfig]:
    """What a pipeline has in registries."""
    return [ref for ref in (config.schema_, config.output_schema) if isinstance(ref, SubjectConfig)]


class Registries:
    """The clients of a run, one a registry and credential, open until the stack closes."""

    def __init__(
        self,
        stack: AsyncExitStack,
        settings: Settings,
        origins: Origins,
        secrets: SecretStore,
        clock: Clock,
        emit: Emit,
        *,
        cache: bool = True,
    ) -> None:
        self._stack, self._origins, self._clock, self._emit = stack, origins, clock, emit
        self._secrets, self._environ = secrets, settings.environ
        self._state = settings.state.path.absolute()
        self._cache = cache
        self._clients: dict[str, RegistryClient] = {}
        self._opening = asyncio.Lock()

    async def client(self, server: RegistryConfig, source: HttpConfig) -> RegistryClient:
        """The client of a registry. Raises ConfigError for a missing secret.

        The first source that needs it says how often it is asked again.
        """
        async with self._opening:  # pipelines start side by side
            return await self._opened(server, source)

    async def _opened(self, server: RegistryConfig, source: HttpConfig) -> RegistryClient:
        key = server.model_dump_json()
        if key not in self._clients:
            check_registry_secrets(server.auth, self._environ)
            http = await self._stack.enter_async_context(
                HttpClient(
                    origin_of(server.url),
                    user_agent=f"worker/{__version__}",
                    timeouts=Timeouts(
                        source.timeout.connect, source.timeout.read, source.timeout.total
                    ),
                    limits=BodyLimits(ANSWER_BYTES, ANSWER_BYTES),
                    connections=CONNECTIONS,
                    spool=self._state / "spool",
                    tls=tls_of(server.tls),
                )
            )
            store = SchemaFiles(self._state / CACHE) if self._cache else None
            guard = self._origins.registry_guard(server, source.retry)
            self._clients[key] = RegistryClient(
                server.url,
                http.fetch,
                guard,
                self._clock,
                auth=registry_auth(server.auth, self._secrets, self._clock),
                store=store,
            )
        return self._clients[key]

    async def fetch(self, config: PipelineSettings) -> dict[str, Schema]:
        """The schemas of a pipeline that are in registries.

        Raises what RegistryClient.by_subject raises, and SchemaUnfit for what is no schema that a
        pipeline may have.
        """
        return {key_of(ref): await self._fetched(ref, config) for ref in subjects_of(config)}

    async def _fetched(self, ref: SubjectConfig, config: PipelineSettings) -> Schema:
        client, version = await self.client(ref.server, config.source), None
        try:
            registered = await self._patiently(
                partial(client.by_subject, ref.subject, ref.version), config
            )
            version = registered.version
            if registered.stale:
                self._emit(SchemaStale(ref.registry, ref.subject, version, registered.stale))
            # it was read leniently, as one of a writer is
            schema = parse_schema(registered.schema.source)
            require_record(schema)
            return schema
        except (NotAvroError, SchemaError) as error:
            raise SchemaUnfit(
                error.message,
                where=subject_text(ref, version),
                remedy=error.remedy or "correct it in the registry, or name another version",
            ) from error

    async def register(self, config: PipelineSettings, output: Schema) -> None:
        """Registers the schema of the files where the config says so.

        Raises what RegistryClient.register raises.
        """
        if (subject := config.sink.register_) is not None:
            client = await self.client(subject.server, config.source)
            await self._patiently(lambda: client.register(subject.subject, output), config)

    async def _patiently(self, ask: Callable[[], Awaitable[T]], config: PipelineSettings) -> T:
        """Waits where the registry asks for it, or is being left alone by its breaker."""
        deadline = self._clock.monotonic() + config.source.retry.deadline
        while True:
            try:
                return await ask()
            except Deferred as deferred:
                if deferred.until >= deadline:
                    raise RegistryUnavailable(
                        f"the schema registry keeps us waiting: {deferred.message}"
                    ) from deferred
                await self._clock.sleep(max(deferred.until - self._clock.monotonic(), 0.001))
