"""The polled HTTP source: it asks for the page that the planner names, and reports what came.

How a page is asked for stands in `sources/requests.py`, and what an answer means in
`sources/answers.py`. Retries, breaker and gate stand round each attempt (`resilience/guard.py`);
connections, redirects and bodies are the client's (`http/client.py`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import structs

from worker.core.errors import (
    BadBody,
    ConfigError,
    Deferred,
    PermanentError,
    RecordsMissing,
    WorkerError,
)
from worker.core.events import ClockSkewSeen, Emit, RequestEnded, RequestRetried
from worker.core.identities import digest16
from worker.core.instants import MICROS
from worker.core.jsonpath import reader
from worker.core.model import MISSING, Decoded, Facts, FieldError, Reject, Request
from worker.core.ports import Clock, HeadedPages, Pages, Room, SchemaNeeded
from worker.http.auth import Auth
from worker.http.redact import redact
from worker.http.source_clock import LEAST_SAID_S, answered_us
from worker.http.validators import Condition
from worker.paging.spec import Fetch, Reply
from worker.runtime.slices import in_slices
from worker.sources.answers import (
    Evidence,
    Meaning,
    error_of,
    is_decided,
    judge,
    may_mean,
    redirect_rules_of,
    redirects_named_in,
    reply_of,
    rules_of,
)
from worker.sources.conditions import Read
from worker.sources.echo import Positions
from worker.sources.http_config import HttpConfig
from worker.sources.rate_limit import limit_words
from worker.sources.requests import build_request
from worker.sources.unknown_fields import UnknownFields
from worker.sources.waits import wait_of

if TYPE_CHECKING:  # a config is read without the client
    from worker.http.client import HttpClient, Response
    from worker.resilience.guard import Guard

SNIPPET_BYTES: Final = 300
ERROR_BODY_BYTES: Final = 1024 * 1024
MAX_WRITERS: Final = 200
MOST_RENEWALS: Final = 3
"""How often the credentials of one request are renewed in a row: a refusal may be about an old
token, then about a nonce that another request used up."""
MOST_REFUSALS: Final = 1_000
"""Requests whose refusals are counted; more of them begin to be counted anew."""


Config = HttpConfig


def build(config: HttpConfig, **deps: Any) -> HttpSource:
    """The source of a pipeline; `deps` are the other arguments of HttpSource."""
    return HttpSource(config, **deps)


class _Asked(msgspec.Struct, frozen=True, gc=False):  # one per page
    """A page of the planner as a request; `condition` is None where changes are not asked for."""

    partition: str
    fetch: Fetch
    request: Request
    condition: Condition | None
    costs: list[float | None]


class HttpSource:
    """The source of one pipeline: the `Fetcher` that runtime/fetch.py calls.

    Args:
        partitions: the values that each partition stands for, by its name.
        auth: makes the credentials of a partition from its values.
        pages: the decoder of the pipeline.
        json_of: takes off the JSON of a body what may stand before it.
        fetch_writer_schema: gives the decoder the schema of a writer by its id; see
            `RegistryClient.by_id` for what it may raise.
        slots: entered for each request; it limits the requests at once to an origin.
        meaning: the groups of the fingerprint that validators are bound to besides their request.
        watch: is shown every page that was decoded, for commands that look at the source.
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
        json_of: Callable[[bytes], bytes],
        fetch_writer_schema: Callable[[int], Awaitable[None]],
        guard: Guard,
        slots: AbstractAsyncContextManager[Any],
        clock: Clock,
        emit: Emit,
        meaning: Mapping[str, str] | None = None,
        watch: Callable[[Response, Decoded], None] | None = None,
    ) -> None:
        self._config, self._pipeline, self._partitions = config, pipeline, partitions
        self._client, self._guard, self._slots = client, guard, slots
        self._json_of = json_of
        self._pages, self._fetch_writer_schema = pages, fetch_writer_schema
        self._headed = pages if isinstance(pages, HeadedPages) else None
        self._clock, self._emit, self._meaning = clock, emit, meaning or {}
        self._watch = watch
        self._auth_of_values = auth
        self._auth = {name: auth(values) for name, values in partitions.items()}
        self._rules = rules_of(config)
        self._redirect_rules = redirect_rules_of(config)
        self._doubtful = redirects_named_in(self._redirect_rules)
        self._positions = Positions(config)
        self._unknown = UnknownFields(pipeline, emit)
        self._costs = tuple(config.rate_limit or ())
        windows = config.pagination.windows
        self._least_skew_s = max(LEAST_SAID_S, windows.lag if windows is not None else 0.0)
        self._skew_s = 0.0
        self._refusals: dict[Request, int] = {}  # in a row, of the requests that are sent again

    async def __call__(self, partition: str, fetch: Fetch, room: Room) -> Reply:
        """One fetch, with retries, breaker and gate round it; runtime/fetch.py has its errors.

        A failure that is retried raises Deferred: the next fetch of the same partition goes on with
        the attempts that are left.
        """
        asked = self._asked(partition, fetch)

        def retried(attempt: int, wait_s: float, error: BaseException | None) -> None:
            code = error.code if isinstance(error, WorkerError) else "unknown"
            self._emit(RequestRetried(self._pipeline, partition, attempt, wait_s, code, str(error)))

        try:
            return await self._guard.turn(
                partition,
                lambda: self._attempt(asked, room),
                speculative=fetch.speculative,
                on_retry=retried,
                costs=asked.costs,
            )
        except BadBody as error:
            if self._config.on_body_error == "park" or error.body is None or fetch.speculative:
                raise
            # where the next page is may stand in the headers
            return Reply(_rejected_page(error, error.body), error.headers)

    def _auth_of(self, partition: str) -> Auth | None:
        """The credentials of a partition. Those of one that was found are made as they are needed:
        partitions whose secrets are the same share them.
        """
        if partition in self._auth:
            return self._auth[partition]
        values = self._partitions[partition]
        try:
            return self._auth_of_values(values)
        except ConfigError as error:
            raise PermanentError(error.message, where=partition, remedy=error.remedy) from error

    def _asked(self, partition: str, fetch: Fetch) -> _Asked:
        request = build_request(self._config, fetch, self._partitions[partition])
        if not (self._config.conditional and fetch.first):
            return _Asked(partition, fetch, request, None, [None] * len(self._costs))
        condition = Condition.of(request, self._meaning, fetch.validators)
        request = replace(request, headers=(*request.headers, *condition.headers))
        return _Asked(partition, fetch, request, condition, [None] * len(self._costs))

    async def _attempt(self, asked: _Asked, room: Room) -> Reply:
        """One request, and what the planner is told of the answer."""
        started = self._clock.monotonic()
        status, size, outcome = 0, 0, "ok"
        try:
            async with self._slots:
                response = await self._fetched(asked, room)
            status, size = response.status, len(response.body)
            try:
                return await self._understand(asked, response, room)
            except WorkerError as error:
                # it quotes the body, which may repeat what was sent
                error.message = redact(error.message, response.secrets)
                error.where = redact(error.where, response.secrets)
                raise
        except WorkerError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            ended = RequestEnded(
                pipeline=self._pipeline,
                partition=asked.partition,
                status=status,
                outcome=outcome,
                seconds=self._clock.monotonic() - started,
                size_bytes=size,
            )
            self._emit(ended)

    async def _fetched(self, asked: _Asked, room: Room) -> Response:
        """The answer to a request, which may be a redirect that a rule is about."""
        auth = self._auth_of(asked.partition)
        if not self._doubtful:
            return await self._client.fetch(asked.request, auth, receive=room.receive)
        return await self._client.fetch(
            asked.request,
            auth,
            receive=room.receive,
            doubtful=self._doubtful,
            stays=lambda each: is_decided(self._evidence(asked, each), self._redirect_rules),
        )

    async def _understand(self, asked: _Asked, response: Response, room: Room) -> Reply:
        """The page that a response brings, or what else it means. Raises the error that it is."""
        evidence = self._evidence(asked, response)
        meanings = may_mean(evidence, self._rules)
        if "page" not in meanings:
            meaning = judge(evidence, self._rules)
            return self._without_page(meaning, evidence, asked, response)
        try:
            pages = self._pages_of(asked.fetch)
            await room.decode(len(response.body), pages.weigh(response.body))
            decoded = await self._decoded(asked.partition, response, pages)
            self._note_costs(asked, decoded.facts, response)
        except (RecordsMissing, BadBody) as error:
            if isinstance(error, BadBody) and meanings[-1] == "page":
                raise  # no rule can be asked of what cannot be read
            meaning = judge(evidence, self._rules)
            if meaning != "page":
                return self._without_page(meaning, evidence, asked, response)
            error.where = error.where or asked.partition
            raise
        if len(meanings) > 1:
            found = structs.replace(evidence, read=_reader(decoded.facts, evidence.read))
            if (meaning := judge(found, self._rules)) != "page":
                return self._without_page(meaning, evidence, asked, response)
        if self._refusals:
            self._refusals.pop(asked.request, None)
        self._unknown.add(decoded.facts)
        if self._watch is not None:
            self._watch(response, decoded)
        headers = self._without_echo(response, decoded)
        now_us = self._answered_us(response)
        condition = asked.condition
        validators = None if condition is None else condition.validators_of(response.headers)
        return Reply(decoded, headers, validators=validators, now_us=now_us)

    def _without_echo(self, response: Response, decoded: Decoded) -> Mapping[str, str]:
        """The headers of a page. Neither they nor its facts have a credential where a position is
        read. Raises PermanentError for a position that cannot be had without one.
        """
        headers = response.headers
        if response.in_url:
            headers = self._positions.put_back(decoded.facts, headers, response.in_url)
        if response.secrets:
            self._positions.refuse_echo(decoded.facts, headers, response.secrets)
        return headers

    def _evidence(self, asked: _Asked, response: Response) -> Evidence:
        condition = asked.condition
        return Evidence(
            response.status,
            response.headers,
            read=partial(self._read, response),
            first=asked.fetch.first,
            conditional=condition is not None and bool(condition.headers),
        )

    def _answered_us(self, response: Response) -> int:
        """When the source answered: the earlier of both clocks, as too late a time loses what is
        still to come, and too early a time only delays it.
        """
        ours = int(self._clock.time() * MICROS)
        theirs = answered_us(response.headers)
        if theirs is None or self._config.incremental is None or self._config.clock == "local":
            return ours
        self._skew_s = (theirs - ours) / MICROS
        if abs(self._skew_s) > self._least_skew_s:
            self._emit(ClockSkewSeen(self._pipeline, self._skew_s, _skew_in_words(self._skew_s)))
        return min(ours, theirs)

    def _without_page(
        self, meaning: Meaning, evidence: Evidence, asked: _Asked, response: Response
    ) -> Reply:
        """What the planner is told of an answer without a page. Raises the error that it is."""
        refused = meaning == "rate_limited"
        self._note_costs(asked, _said(self._config, evidence.read), response, refused=refused)
        said = redact(f"status {response.status}: {_snippet(response)}", response.secrets)
        if (reply := reply_of(meaning, evidence, said)) is not None:
            return replace(reply, now_us=self._answered_us(response))
        where = f"{asked.partition}: {self._config.method} {response.url.partition('?')[0]}"
        if meaning == "refresh_auth" and self._renewed(asked, response):
            # to be sent again at once: this is neither a failure nor a retry
            now = self._clock.monotonic()
            raise Deferred(now, f"{where}: the credentials are renewed after {said}")
        wait_s = wait_of(
            self._config.retry_after,
            response.headers,
            evidence.read,
            now_s=self._clock.time(),
            max_s=self._config.retry.max_retry_after,
            limited=meaning == "rate_limited",
        )
        raise error_of(meaning, said, where=where, wait_s=wait_s)

    def _renewed(self, asked: _Asked, response: Response) -> bool:
        """Whether a request is sent again with other credentials, so many times at most."""
        auth, times = self._auth_of(asked.partition), self._refusals.pop(asked.request, 0)
        if auth is None or not response.trusted or times >= MOST_RENEWALS:
            return False
        if not auth.renew(response):
            return False
        if len(self._refusals) >= MOST_REFUSALS:
            self._refusals.clear()
        self._refusals[asked.request] = times + 1
        return True

    def _note_costs(
        self, asked: _Asked, facts: Facts, response: Response, *, refused: bool = False
    ) -> None:
        """What the request has cost; what was refused because of a limit costs nothing.

        Args:
            facts: what the body says.
        """
        for number, limit in enumerate(self._costs):
            if asked.costs[number] is None:
                cost = limit.cost_of(facts, response.headers)
                asked.costs[number] = 0.0 if cost is None and refused else cost

    def _read(self, response: Response, path: str) -> Any:
        """The value at a path of a body that may be no page."""
        try:
            text = self._json_of(bytes(response.body[:ERROR_BODY_BYTES]))
            document = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            document = None
        return reader(path)(document)

    def _pages_of(self, fetch: Fetch) -> Pages:
        """What decodes the answer to a fetch."""
        return (
            self._pages
            if self._headed is None or fetch.first
            else self._headed.behind(fetch.columns)
        )

    async def _decoded(self, partition: str, response: Response, pages: Pages) -> Decoded:
        """The page. Raises BadBody, which then carries the body; RecordsMissing, SchemaMismatch."""
        try:
            return await self._decoded_with_schemas(response, pages)
        except BadBody as error:
            said = f"{error.message}; it begins {_snippet(response)}"
            bad = BadBody(said, where=partition, remedy=error.remedy)
            bad.body, bad.headers = bytes(response.body), response.headers
            raise bad from error

    async def _decoded_with_schemas(self, response: Response, pages: Pages) -> Decoded:
        """The page, decoded again whenever the schema of one of its writers had to be fetched."""
        received_us = int(self._clock.time() * 1e6)
        for _ in range(MAX_WRITERS):
            try:
                return await in_slices(
                    pages.decode(
                        response.body,
                        url=response.url,
                        received_us=received_us,
                    )
                )
            except SchemaNeeded as needed:
                await self._fetch_writer_schema(needed.schema_id)
        raise BadBody(f"more than {MAX_WRITERS} schemas of writers in one body")

    def spending(self) -> dict[str, tuple[float, float]]:
        """How far the rate limits are used by all that share them: limit -> (used, allowed)."""
        spent = self._guard.gate.spending(self._clock.monotonic())
        return {limit_words(limit): (used, limit.amount) for limit, used in spent}

    def status(self) -> dict[str, Any]:
        """For `/status`: what holds requests back now, and which fields the schema lacks."""
        now, breaker = self._clock.monotonic(), self._guard.breaker
        opens_in_s = max(breaker.open_until - now, 0.0) if breaker.state == "open" else 0.0
        return {
            "breaker": breaker.state,
            "breaker_opens_in_s": round(opens_in_s, 3),
            "gate_opens_in_s": round(self._guard.gate.closed_for(now), 3),
            "rate_limits": {
                limit: {"used": round(used, 3), "allowed": allowed}
                for limit, (used, allowed) in self.spending().items()
            },
            "clock_skew_s": round(self._skew_s, 3),
            "unknown_fields": self._unknown.status(),
        }


def _skew_in_words(seconds: float) -> str:
    ahead = "ahead of" if seconds > 0 else "behind"
    return (
        f"the clock of the source is {abs(seconds):.0f} s {ahead} ours: marks and windows follow "
        "the earlier one; where its Date is no clock set source.clock: local"
    )


def _rejected_page(error: BadBody, body: bytes) -> Decoded:
    """A page that is one dead letter, known by its bytes like a record without a key."""
    wrong = FieldError("$", error.message, "a document of the configured format")
    identity = (digest16(body),)
    return Decoded(
        records=[],
        indices=None,
        rejects=[Reject(0, "decode", error.code, (wrong,), body)],
        facts=Facts(1, values=[MISSING], keys=identity, contents=identity, size_bytes=len(body)),
    )


def _reader(facts: Facts, read: Read) -> Read:
    """Reads the paths that the page was decoded with; `read` has the others."""
    return lambda path: facts.body[path] if path in facts.body else read(path)


def _said(config: HttpConfig, read: Read) -> Facts:
    """What a body says about costs that is no page."""
    limits = config.rate_limit or ()
    return Facts(0, body={path: read(path) for limit in limits for path in limit.body_paths})


def _snippet(response: Response) -> str:
    """The beginning of a body, for people."""
    text = bytes(response.body[:SNIPPET_BYTES]).decode("utf-8", "replace")
    return repr(re.sub(r"\s+", " ", text).strip())
