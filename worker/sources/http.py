"""The polled HTTP source: what a fetch looks like as a request, and what a response means.

The planner says which page; this module says how to ask for it, sorts the answer by status and body rules,
and hands a decoded page back. Retries, breaker and gate surround it (resilience/guard.py); the client handles the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from worker.core.errors import (
    AuthError,
    BadBody,
    CursorInvalid,
    Deferred,
    PermanentError,
    RateLimited,
    RecordsMissing,
    TransientError,
    WorkerError,
)
from worker.core.events import Emit, FieldUnknown, RequestEnded, RequestRetried
from worker.core.jsonpath import reader
from worker.core.model import MISSING, Decoded, Facts, FieldError, Reject, Request, Unknown
from worker.core.ports import Clock, Pages, SchemaNeeded
from worker.http.auth import Auth
from worker.http.client import HttpClient, Response
from worker.http.redact import credentials_in, redact
from worker.http.retry_after import parse_reset, parse_retry_after
from worker.http.validators import Condition
from worker.paging.spec import Fetch, Reply
from worker.resilience.guard import Guard
from worker.runtime.slices import in_slices
from worker.sources.http_config import HttpConfig, ResponseToken
from worker.sources.pagination.common import header_token

SNIPPET_BYTES: Final = 300
ERROR_BODY_BYTES: Final = 1024 * 1024
CURSOR_REMEDY: Final = "`worker state reset` starts the partition again; where it means the end of the pass, say so with source.on_status or source.stop.status"
ECHO_CHARS: Final = 8  # a shorter secret stands in any token by chance
ECHO_REMEDY: Final = "it would be kept in the state; a credential that is a query parameter of links is given as auth: {type: api_key, in: query, name: ...}"
MAX_UNKNOWN: Final = 200
MAX_WRITERS: Final = 200
NOT_MODIFIED: Final = 304

# What a status means unless `on_status` says otherwise. 2xx carry a page.
_BY_STATUS: Final = {
    204: "empty",
    205: "empty",
    400: "cursor_invalid",  # where the request names a page of a pass that has begun
    NOT_MODIFIED: "not_asked",  # where the request did not say which version is known
    401: "refresh_auth",
    403: "forbidden",
    408: "retry",
    410: "cursor_invalid",
    425: "retry",
    429: "rate_limited",
    501: "fail",
    505: "fail",
}


class HttpSource:
    """One pipeline's source.

    `partitions` maps a partition's name to the values it stands for; `learn` gets the decoder the schema of a writer by its id;
    `meaning` is what validators are bound to besides their request.
    """

    def __init__(
        self,
        config: HttpConfig,
        *,
        pipeline: str,
        partitions: Mapping[str, Mapping[str, str]],
        client: HttpClient,
        auth: Callable[[Mapping[str, str]], Auth | None],
        pages: Pages,
        learn: Callable[[int], Awaitable[None]],
        guard: Guard,
        slots: AbstractAsyncContextManager[Any],
        clock: Clock,
        emit: Emit,
        meaning: Mapping[str, str] | None = None,
    ) -> None:
        self._config, self._pipeline, self._partitions = config, pipeline, partitions
        self._client, self._pages, self._learn, self._guard, self._clock, self._emit = (
            client,
            pages,
            learn,
            guard,
            clock,
            emit,
        )
        self._auth = {name: auth(values) for name, values in partitions.items()}
        self._slots, self._meaning = slots, meaning or {}
        self._rules = [(_condition(rule.when), rule.do) for rule in config.on_body]
        self.unknown: dict[str, Unknown] = {}
        splits = windows.split_on if (windows := config.pagination.windows) is not None else None
        self._split_status = (
            [(splits.status, _condition(splits.when) if splits.when else None)]
            if splits is not None
            else []
        )
        dumps = (
            each.model_dump(mode="json", by_alias=True)
            for each in (config.pagination, config.incremental)
            if each is not None
        )
        self._position_headers = {"Link", *_header_names(list(dumps))}
        self._stop_status = [
            (rule.code, _condition(rule.when) if rule.when else None) for rule in config.stop.status
        ]

    async def __call__(self, partition: str, fetch: Fetch) -> Reply:
        """One fetch with retries, breaker and gate round it. See runtime/fetch.py for what it raises."""
        request, condition = self.request(partition, fetch), None
        if self._config.conditional and fetch.first:
            condition = Condition.of(request, self._meaning, fetch.validators)
            request = replace(request, headers=(*request.headers, *condition.headers))

        def retried(attempt: int, wait_s: float, error: BaseException | None) -> None:
            code = error.code if isinstance(error, WorkerError) else "unknown"
            self._emit(RequestRetried(self._pipeline, partition, attempt, wait_s, code, str(error)))

        try:
            return await self._guard.call(
                lambda: self._attempt(partition, fetch, request, condition),
                speculative=fetch.speculative,
                on_retry=retried,
            )
        except BadBody as error:
            if self._config.on_body_error == "park" or error.body is None or fetch.speculative:
                raise
            return Reply(
                _as_reject(error, error.body), error.headers
            )  # which may say where the next page is

    # -- the request ----------------------------------------------------------------------------------------------

    def request(self, partition: str, fetch: Fetch) -> Request:
        """The request for a page. A followed URL is sent verbatim: nothing is added to its query."""
        config, address, values = self._config, fetch.address, self._partitions[partition]

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace("{partition." + name + "}", value)
            return text.replace("{mark}", "" if fetch.since is None else str(fetch.since))

        headers = {name: fill(value) for name, value in config.headers.items()}
        params = {name: fill(_text(value)) for name, value in config.params.items()}
        body = _filled(config.body, fill) if config.body is not None else None
        if fetch.unmarked and config.incremental is not None:
            params |= {name: fill(_text(value)) for name, value in config.incremental.first.items()}
        if (incremental := config.incremental) is not None and fetch.since is not None:
            target = incremental.target
            if target is not None:
                kind, name = target
                if kind == "param":
                    params[name] = str(fetch.since)
                elif kind == "header":
                    headers[name] = str(fetch.since)
                else:
                    body = _with(body, name, fetch.since)
        headers.update(address.headers or {})
        if address.url is not None:
            return Request(
                config.method,
                address.url,
                (),
                tuple(headers.items()),
                _encoded(body),
                followed=True,
            )
        params.update(address.params or {})
        for path, value in (address.body or {}).items():
            body = _with(body, path, value)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        return Request(
            config.method,
            fill(config.url),
            tuple(params.items()),
            tuple(headers.items()),
            _encoded(body),
        )

    # -- the answer -----------------------------------------------------------------------------------------------

    async def _attempt(
        self, partition: str, fetch: Fetch, request: Request, condition: Condition | None
    ) -> Reply:
        started = self._clock.monotonic()
        status, size, outcome = 0, 0, "ok"
        try:
            async with self._slots:
                response = await self._client.fetch(request, self._auth[partition])
            status, size = response.status, len(response.body)
            try:
                return await self._understand(partition, fetch, response, condition)
            except (
                WorkerError
            ) as error:  # it quotes the body, and servers say back what they were sent
                secrets = await self._secrets(partition, response)
                error.message, error.where = (
                    redact(error.message, secrets),
                    redact(error.where, secrets),
                )
                raise
        except WorkerError as error:
            outcome = error.code
            raise
        finally:
            self._emit(
                RequestEnded(
                    self._pipeline,
                    partition,
                    status,
                    outcome,
                    self._clock.monotonic() - started,
                    size,
                )
            )

    async def _secrets(self, partition: str, response: Response) -> set[str]:
        auth = self._auth[partition]
        return set() if auth is None else credentials_in(response.credentials, await auth.params())

    async def _understand(
        self, partition: str, fetch: Fetch, response: Response, condition: Condition | None
    ) -> Reply:
        """The page that a response carries, or the error that it is."""
        if response.status == NOT_MODIFIED and condition is not None and condition.headers:
            return Reply(None, response.headers, unchanged=True)
        if _meant(response, self._split_status):
            return Reply(
                None, response.headers, split=f"status {response.status}: {_snippet(response)}"
            )
        action = self._action(response)
        if action == "page":
            try:
                decoded = await self._decoded(response)
            except RecordsMissing as missing:
                document = _document(response)
                action = next(
                    (do for holds, do in self._rules if holds(lambda path: reader(path)(document))),
                    "",
                )
                if not action:
                    missing.where = missing.where or partition
                    raise
            except BadBody as error:
                bad = BadBody(f"{error.message}; it begins {_snippet(response)}", where=partition)
                bad.body, bad.headers = bytes(response.body), response.headers
                raise bad from error
            else:
                facts = decoded.facts
                self._note_unknown(facts)
                action = next(
                    (
                        do
                        for holds, do in self._rules
                        if holds(lambda path: facts.body.get(path, MISSING))
                    ),
                    "",
                )
                if not action:
                    self._refuse_echo(facts, response)
                    return Reply(
                        decoded,
                        response.headers,
                        validators=None
                        if condition is None
                        else condition.learned(response.headers),
                    )
        elif not fetch.first and _meant(response, self._stop_status):
            return Reply(None, response.headers, stop=f"status {response.status}")
        return self._obey(action, partition, fetch, response)

    def _refuse_echo(self, facts: Facts, response: Response) -> None:
        """Positions are kept in the state, and shown: none may hold what a header of the request kept secret. (Secret query parameters are taken out of links.)"""
        secrets = [
            secret
            for secret in credentials_in(response.credentials, {})
            if len(secret) >= ECHO_CHARS
        ]
        if secrets:
            said = (
                *facts.body.values(),
                *facts.last.values(),
                *(response.headers.get(name) for name in self._position_headers),
            )
            for text in (
                each if isinstance(each, str) else msgspec.json.encode(each).decode()
                for each in said
                if isinstance(each, str | list | dict)
            ):
                if any(secret in text or secret in unquote(text) for secret in secrets):
                    raise PermanentError(
                        "the source puts the credential of the request into its page token or next link",
                        remedy=ECHO_REMEDY,
                    )

    def status(self) -> dict[str, Any]:
        """What holds requests back now, and what of the records the schema lacks."""
        now, breaker = self._clock.monotonic(), self._guard.breaker
        return {
            "breaker": breaker.state,
            "breaker_opens_in_s": round(max(breaker.open_until - now, 0.0), 3)
            if breaker.state == "open"
            else 0.0,
            "gate_opens_in_s": round(self._guard.gate.closed_for(now), 3),
            "unknown_fields": {
                name: {"records": seen.count, "types": list(seen.kinds)}
                for name, seen in self.unknown.items()
            },
        }

    async def _decoded(self, response: Response) -> Decoded:
        """The page. Where schemas of its writers are missing they are learned first: an outage of their registry is none of the source."""
        received_us = int(self._clock.time() * 1e6)
        for _ in range(MAX_WRITERS):
            try:
                return await in_slices(
                    self._pages.decode(
                        response.body,
                        digest=response.digest,
                        url=response.url,
                        received_us=received_us,
                    )
                )
            except SchemaNeeded as needed:
                await self._learn(needed.schema_id)
        raise BadBody(f"more than {MAX_WRITERS} schemas of writers in one body")

    def _note_unknown(self, facts: Facts) -> None:
        """Adds up what the schema lacks; a field is announced when it is first seen."""
        for name, seen in facts.unknown.items():
            before = self.unknown.get(name)
            if before is None:
                if len(self.unknown) >= MAX_UNKNOWN:
                    continue
                self._emit(FieldUnknown(self._pipeline, name[:100], seen.kinds))
            kinds = seen.kinds if before is None else tuple(sorted({*before.kinds, *seen.kinds}))
            self.unknown[name] = Unknown(
                seen.count + (0 if before is None else before.count), kinds
            )

    def _action(self, response: Response) -> str:
        status = response.status
        if (configured := self._config.on_status.get(status)) is not None:
            return configured
        if status in _BY_STATUS:
            return _BY_STATUS[status]
        if 200 <= status < 300:
            return "page"
        return "retry" if status >= 500 else "fail"

    def _obey(self, action: str, partition: str, fetch: Fetch, response: Response) -> Reply:
        where = f"{partition}: {self._config.method} {_shown(response.url)}"
        said = f"status {response.status}: {_snippet(response)}"
        if action == "empty":
            return Reply(None, response.headers)
        if action == "skip" or (action == "stop" and not fetch.first):
            return Reply(None, response.headers, stop=f"status {response.status} ({action})")
        if action == "forbidden":
            action = "rate_limited" if self._limited(response) else "denied"
        if action == "rate_limited":
            raise RateLimited(said, retry_after_s=self._wait(response), where=where)
        if action == "retry":
            raise TransientError(said, retry_after_s=self._wait(response), where=where)
        if action == "refresh_auth":
            if (auth := self._auth[partition]) is not None and auth.renew(response.credentials):
                raise Deferred(
                    self._clock.monotonic(), f"{where}: the credentials are renewed after {said}"
                )  # neither a failure nor a retry
            action = "denied"
        if action == "denied":
            raise AuthError(
                said, where=where, remedy="check source.auth and the rights of its credentials"
            )
        if action == "cursor_invalid" and not fetch.first:
            raise CursorInvalid(said, where=where, remedy=CURSOR_REMEDY)
        if action == "not_asked":
            remedy = "this request did not ask for changes only: use source.conditional, take validators out of source.headers, or say what it means with source.on_status"
            raise PermanentError(
                f"the answer is not modified, which nobody asked: {said}",
                where=where,
                remedy=remedy,
            )
        raise PermanentError(
            said,
            where=where,
            remedy="check url and params, or say what this status means with source.on_status",
        )

    def _limited(self, response: Response) -> bool:
        headers = response.headers
        return "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0"

    def _wait(self, response: Response) -> float | None:
        headers = response.headers
        longest = self._config.retry.max_retry_after
        if (said := headers.get("Retry-After")) is not None:
            return parse_retry_after(said, date=headers.get("Date"), max_s=longest)
        if headers.get("X-RateLimit-Remaining") == "0":
            return parse_reset(
                headers.get("X-RateLimit-Reset", ""),
                date=headers.get("Date"),
                now_s=self._clock.time(),
                max_s=longest,
            )
        return None


def _as_reject(error: BadBody, body: bytes) -> Decoded:
    """A page that is one dead letter."""
    reject = Reject(
        0,
        "decode",
        error.code,
        (FieldError("$", error.message, "a document of the configured format"),),
        body,
    )
    return Decoded(
        [],
        None,
        [reject],
        Facts(1, digest=blake2b(body, digest_size=16).digest(), size_bytes=len(body)),
    )


def _condition(when: Any) -> Callable[[Callable[[str], Any]], bool]:
    """A `when:` rule as a function of something that reads paths; an absent value satisfies only `exists: false` and `not_equals`."""

    def holds(read: Callable[[str], Any]) -> bool:
        found = read(when.path)
        present = found is not MISSING and found is not None
        if when.exists is not None:
            return bool(present == when.exists)
        fields = when.model_fields_set
        if "equals" in fields:
            return (
                found is not MISSING
                and type(found) is type(when.equals)
                and bool(found == when.equals)
            )
        if "not_equals" in fields:
            return not (
                found is not MISSING
                and type(found) is type(when.not_equals)
                and found == when.not_equals
            )
        if not isinstance(found, int | float) or isinstance(found, bool):
            return False
        return bool(found > when.greater) if when.greater is not None else bool(found < when.less)

    return holds


def _meant(
    response: Response, rules: Sequence[tuple[int, Callable[[Callable[[str], Any]], bool] | None]]
) -> bool:
    """One of the rules is about this status, and holds for the body."""
    return any(
        code == response.status
        and (holds is None or holds(lambda path: reader(path)(_document(response))))
        for code, holds in rules
    )


def stop_when(when: Any) -> Callable[[Facts], bool]:
    """`stop.when` as the planner wants it."""
    holds = _condition(when)
    return lambda facts: holds(lambda path: facts.body.get(path, MISSING))


def token_reader(source: ResponseToken) -> Callable[[Facts, Mapping[str, str]], Any]:
    """`incremental.from` as the planner wants it."""
    if source.header is not None:
        name = source.header
        return lambda facts, headers: header_token(headers, name)
    return lambda facts, headers: facts.body.get(source.body or "", MISSING)


def stripper(names: tuple[str, ...]) -> Callable[[str], str]:
    """Takes the named query parameters and any user info out of a URL, leaving the rest of it as it is."""
    userinfo = re.compile(r"(?<=//)[^/?#@]*@")
    secrets = (
        re.compile("(?<=[?&])(?:" + "|".join(map(re.escape, names)) + r")=[^&#]*&?")
        if names
        else None
    )

    def strip(url: str) -> str:
        url = userinfo.sub("", url, count=1)
        return secrets.sub("", url).rstrip("?&") if secrets else url

    return strip


def _filled(value: Any, fill: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, Mapping):
        return {key: _filled(inner, fill) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(inner, fill) for inner in value]
    return value


def _with(body: Any, path: str, value: Any) -> Any:
    """A copy of `body` with `value` at a dotted path, created when missing."""
    head, _, rest = path.partition(".")
    inner = dict(body) if isinstance(body, Mapping) else {}
    inner[head] = _with(inner.get(head), rest, value) if rest else value
    return inner


def _encoded(body: Any) -> bytes | None:
    return None if body is None else msgspec.json.encode(body)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _document(response: Response) -> Any:
    try:
        return msgspec.json.decode(bytes(response.body[:ERROR_BODY_BYTES]))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _snippet(response: Response) -> str:
    text = bytes(response.body[:SNIPPET_BYTES]).decode("utf-8", "replace")
    return repr(re.sub(r"\s+", " ", text).strip())


def _shown(url: str) -> str:
    """A URL without its query, which may carry secrets."""
    return url.split("?", 1)[0]


def _header_names(config: Any) -> set[str]:
    """Headers that a config takes positions and totals from."""
    if isinstance(config, dict):
        own = {value for key, value in config.items() if key == "header" and isinstance(value, str)}
        return own.union(*map(_header_names, config.values()))
    return set().union(*map(_header_names, config)) if isinstance(config, list) else set()
