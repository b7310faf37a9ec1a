"""A schema registry with the REST interface of Confluent's: schemas by id and by subject.

An id never gets another schema, nor does a version of a subject, so both are kept as long as the
process lives, and longer where there is a `store`: an outage of the registry affects only those who
need a schema that was never fetched before. Each is asked for once, however many wait for it. An
unknown id is remembered for a while only, because its schema may be registered at any moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from worker.core.errors import (
    AuthError,
    Deferred,
    IncompatibleSchema,
    PermanentError,
    RateLimited,
    RegistryUnavailable,
    SchemaMismatch,
    TransientError,
    WorkerError,
)
from worker.core.model import Request
from worker.core.ports import Clock
from worker.http.auth import Auth
from worker.http.client import Response
from worker.http.retry_after import retry_after
from worker.resilience.guard import Guard
from worker.schema import Schema, parse_schema
from worker.schema.document import read_document
from worker.schema.errors import SchemaError
from worker.schema.references import Definitions, parse_parts

T = TypeVar("T")
Version = int | str  # `latest`
Fetch = Callable[[Request, Auth | None], Awaitable[Response]]

CONTENT_TYPE: Final = "application/vnd.schemaregistry.v1+json"
MAX_REFERENCES: Final = 100
MAX_SCHEMAS: Final = 10_000
UNKNOWN_FOR_S: Final = 60.0
"""How long a name is taken for unknown before the registry is asked for it again."""
LONGEST_RETRY_AFTER_S: Final = 600.0
REASON_CHARS: Final = 500
REASONS_CHARS: Final = 2_000
LATEST: Final = "latest"

CORRECT_IT: Final = "correct it in the registry"
REGISTER_IT: Final = "register it, or correct its name"
IS_IT_ONE: Final = "is this a schema registry?"


class Store(Protocol):
    """Texts by name that outlive the process, so that an outage of the registry is survived."""

    async def get(self, name: str) -> str | None:
        """The text of a name; None when there is none, or when it cannot be read. Never raises."""

    async def put(self, name: str, text: str) -> None:
        """Keeps a text. Never raises, also when it cannot be kept."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version of a subject.

    Attributes:
        stale: why the registry could not be asked, so that this is the version that was the latest
            one when it last answered; empty when it did answer.
    """

    schema: Schema
    version: int
    stale: str = ""


class RegistryClient:
    """One registry, as one user of it.

    Args:
        base: URL of the registry.
        fetch: `HttpClient.fetch` of a client for its origin.
        guard: retries and breaker of the registry.
        store: keeps schemas beyond the life of the process.
    """

    def __init__(
        self,
        base: str,
        fetch: Fetch,
        guard: Guard,
        clock: Clock,
        *,
        auth: Auth | None = None,
        store: Store | None = None,
    ) -> None:
        self._base, self._fetch, self._auth = base.rstrip("/"), fetch, auth
        self._guard, self._clock, self._store = guard, clock, store
        self._schemas: dict[str, Schema] = {}
        self._unknown: dict[str, tuple[float, str]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def __repr__(self) -> str:
        return f"<RegistryClient {self._base} schemas={len(self._schemas)}>"

    async def by_id(self, schema_id: int) -> Schema:
        """The schema of an id.

        Raises SchemaMismatch when it is unknown or not an Avro schema; RegistryUnavailable,
        Deferred, AuthError and PermanentError when the registry does not give it.
        """
        return await self._once(f"schemas/ids/{schema_id}")

    async def by_subject(self, subject: str, version: Version) -> Registered:
        """A version of a subject: its number, or `latest`. Raises like `by_id`.

        When the registry does not answer, or while its breaker is open, the latest version is the
        one that was seen last, if any.
        """
        name = _version_name(subject, version)
        if version != LATEST:
            return Registered(await self._once(name), int(version))
        try:
            answer = await self._ask(name)
        except (RegistryUnavailable, Deferred) as error:
            if isinstance(error.__cause__, RateLimited):
                raise  # it does answer, and wants us to wait
            if (last := await self._stored(name)) is None or not last.isdecimal():
                raise
            return Registered(
                await self._once(_version_name(subject, int(last))), int(last), stale=str(error)
            )
        number = answer.get("version")
        if not isinstance(number, int):
            raise SchemaMismatch(f"{name} has no version", where=self._base, remedy=IS_IT_ONE)
        schema = await self._assembled(answer, name)
        await self._keep(_version_name(subject, number), schema.source)
        await self._keep(name, str(number))
        return Registered(schema, number)

    async def register(self, subject: str, schema: Schema) -> int:
        """The id of a schema as a version of a subject; it is registered unless it is one already.

        Raises IncompatibleSchema with the reason that the registry gives, and what `by_id` raises.
        Once the schema is registered, the registry is not asked again.
        """
        kept = f"register/{quote(subject, safe='')}/{sha256(schema.source.encode()).hexdigest()}"
        if (known := await self._stored(kept)) is not None and known.isdecimal():
            return int(known)
        body = msgspec.json.encode({"schema": schema.source})
        name = f"subjects/{quote(subject, safe='')}/versions"
        try:
            answer = await self._guarded(
                self._post(f"compatibility/{name}/latest?verbose=true", body)
            )
        except _NotFoundError:
            answer = {"is_compatible": True}  # it is going to be the first version
        if answer.get("is_compatible") is not True:
            reasons = "; ".join(map(str, answer.get("messages") or ("it gives no reason",)))
            raise IncompatibleSchema(
                f"the registry refuses the schema of the files for subject {subject}: "
                f"{reasons[:REASONS_CHARS]}",
                where=self._base,
            )
        number = (await self._guarded(self._post(name, body))).get("id")
        if not isinstance(number, int):
            raise PermanentError(f"{name} has no id", where=self._base, remedy=IS_IT_ONE)
        await self._keep(kept, str(number))
        return number

    def _post(self, name: str, body: bytes) -> Request:
        return Request(
            "POST",
            f"{self._base}/{name}",
            headers=(("Accept", CONTENT_TYPE), ("Content-Type", CONTENT_TYPE)),
            body=body,
        )

    # -- what never changes ------------------------------------------------------------------------

    async def _once(self, name: str) -> Schema:
        """A schema that never changes; asked for once, however many wait for it."""
        if (known := self._schemas.get(name)) is not None:
            return known
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            async with lock:
                if (known := self._schemas.get(name)) is not None:
                    return known
                schema = await self._kept_or_asked(name)
                if len(self._schemas) >= MAX_SCHEMAS:
                    self._schemas.clear()
                self._schemas[name] = schema
                return schema
        finally:
            if not lock.locked():
                self._locks.pop(name, None)

    async def _kept_or_asked(self, name: str) -> Schema:
        if (kept := await self._stored(name)) is not None:
            try:
                return parse_schema(kept, strict=False)
            except SchemaError:
                pass  # another version of this program kept it, so the registry is asked again
        schema = await self._assembled(await self._ask(name), name)
        await self._keep(name, schema.source)
        return schema

    async def _stored(self, name: str) -> str | None:
        return None if self._store is None else await self._store.get(f"{self._base}/{name}")

    async def _keep(self, name: str, text: str) -> None:
        if self._store is not None:
            await self._store.put(f"{self._base}/{name}", text)

    # -- schemas and what they refer to ------------------------------------------------------------

    async def _assembled(self, answer: Mapping[str, Any], name: str) -> Schema:
        """The schema of an answer, with the schemas that it refers to in their places."""
        definitions = Definitions()
        try:
            document = await self._document(answer, name, definitions, (name,), set())
            return parse_parts(document, definitions, name, strict=False)
        except SchemaError as error:
            raise NotAvroError(
                f"{error.where or name} is no Avro schema: {error.message}",
                where=self._base,
                remedy=CORRECT_IT,
            ) from error

    async def _document(
        self,
        answer: Mapping[str, Any],
        name: str,
        definitions: Definitions,
        path: tuple[str, ...],
        seen: set[str],
    ) -> Any:
        """The JSON of the schema in an answer.

        Args:
            definitions: gets the types of this schema and of every schema that it refers to.
            path: the answers that led here, this one last.
            seen: the names of references that were followed already.
        """
        text = self._schema_text(answer, name)
        for reference, target in self._references(answer, name):
            if target in path:
                raise NotAvroError(
                    f"{name} refers to itself through {target}",
                    where=self._base,
                    remedy=CORRECT_IT,
                )
            if reference in seen:
                continue
            if len(seen) >= MAX_REFERENCES:
                raise NotAvroError(
                    f"{path[0]} refers to more than {MAX_REFERENCES} schemas", where=self._base
                )
            seen.add(reference)
            answered = await self._ask(target)
            await self._document(answered, target, definitions, (*path, target), seen)
        try:
            document = read_document(text)
            definitions.add(document, name)
        except SchemaError as error:
            error.where = name
            raise
        return document

    def _schema_text(self, answer: Mapping[str, Any], name: str) -> str:
        """The text of the schema in an answer. Raises SchemaMismatch for another kind of schema."""
        kind, text = answer.get("schemaType", "AVRO"), answer.get("schema")
        if kind != "AVRO" or not isinstance(text, str):
            raise NotAvroError(
                f"{name} is {str(kind)[:40]}, an Avro schema is needed",
                where=self._base,
                remedy="name another subject",
            )
        return text

    def _references(self, answer: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
        """(type, version of a subject) for each schema that the schema in an answer refers to."""
        references = answer.get("references") or ()
        if not isinstance(references, list | tuple):
            raise NotAvroError(f"{name} has references that are no list", where=self._base)
        try:
            return [
                (str(each["name"]), _version_name(str(each["subject"]), int(each["version"])))
                for each in references
            ]
        except (TypeError, KeyError, ValueError) as error:
            raise NotAvroError(
                f"{name} has a reference without name, subject and version", where=self._base
            ) from error

    # -- requests ----------------------------------------------------------------------------------

    async def _ask(self, name: str) -> dict[str, Any]:
        """The answer to a GET. An unknown name is remembered for a while."""
        until, why = self._unknown.get(name, (0.0, ""))
        if self._clock.monotonic() < until:
            raise SchemaMismatch(why, where=self._base, remedy=REGISTER_IT)
        try:
            return await self._guarded(
                Request("GET", f"{self._base}/{name}", headers=(("Accept", CONTENT_TYPE),))
            )
        except _NotFoundError as error:
            if len(self._unknown) >= MAX_SCHEMAS:
                self._unknown.clear()
            self._unknown[name] = (self._clock.monotonic() + UNKNOWN_FOR_S, error.message)
            raise

    async def _guarded(self, request: Request) -> dict[str, Any]:
        """The answer to a request, with retries and the breaker of the registry round it."""

        async def attempt() -> dict[str, Any]:
            return self._answer(request, await self._fetch(request, self._auth))

        try:
            return await self._guard.call(attempt)
        except TransientError as error:
            raise RegistryUnavailable(
                f"the schema registry does not answer: {error.message}",
                where=error.where,
                remedy="what needs it waits; nothing is lost",
            ) from error

    def _answer(self, request: Request, response: Response) -> dict[str, Any]:
        """The JSON object of a response. Raises the error that the response is instead."""
        name, where = request.url.removeprefix(f"{self._base}/"), self._base
        if response.status >= 300:
            raise self._error_of(response, name)
        try:
            document = msgspec.json.decode(bytes(response.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TransientError(f"no JSON in the answer for {name}", where=where) from error
        if not isinstance(document, dict):
            raise TransientError(f"no JSON object in the answer for {name}", where=where)
        return document

    def _error_of(self, response: Response, name: str) -> WorkerError:
        """What a status means, as the REST interface of Confluent's registry defines it."""
        status, where = response.status, self._base
        if status == 404:
            return _NotFoundError(f"the registry has no {name}", where=where, remedy=REGISTER_IT)
        if status in (401, 403):
            return AuthError(
                f"the registry refuses the credentials ({status})",
                where=where,
                remedy="check auth of the registry",
            )
        if status == 409:
            reason = _reason(response)
            return IncompatibleSchema(
                f"the registry refuses the schema for {name}{reason}", where=where
            )
        if status == 429:
            wait_s = retry_after(response.headers, max_s=LONGEST_RETRY_AFTER_S)
            return RateLimited(f"status {status}", retry_after_s=wait_s, where=where)
        if status >= 500 or status == 408:
            return TransientError(f"status {status} for {name}", where=where)
        reason = _reason(response)
        return PermanentError(
            f"status {status} for {name}{reason}",
            where=where,
            remedy="" if reason else IS_IT_ONE,
        )


def _reason(response: Response) -> str:
    """The reason that a registry gives beside a status; empty without one."""
    try:
        document = msgspec.json.decode(bytes(response.body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    said = document.get("message") if isinstance(document, dict) else None
    return f": {said[:REASON_CHARS]}" if isinstance(said, str) else ""


class NotAvroError(SchemaMismatch):
    """The registry has something there that is no Avro schema, or refers to none."""


class _NotFoundError(SchemaMismatch):
    """The registry does not have it."""


def _version_name(subject: str, version: Version) -> str:
    return f"subjects/{quote(subject, safe='')}/versions/{version}"
