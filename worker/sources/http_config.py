"""The settings of the polled HTTP source (DESIGN 8 and 8.1). Light: imported by `check`, not by `--help`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema, core_schema

from worker.config.models import Chosen
from worker.config.problems import did_you_mean, listed
from worker.config.types import Duration, Flag, JmesPath, Model, Number, PositiveDuration, Secret, SecretRef, Size, Whole, Wrong, written
from worker.core.errors import ConfigError
from worker.core.mark import MarkFormat
from worker.registry import PAGINATION, component

Action = Literal["retry", "rate_limited", "fail", "empty", "stop", "skip", "refresh_auth"]
Path_ = tuple[str | int, ...]

URL_PATTERN: Final = r"^https?://[^/?#\s]+"
MARK: Final = "{mark}"
MAX_PARTITIONS: Final = 100_000
_PLACES: Final = ("param", "to", "url", "params", "headers", "body", "pagination")  # where a mark may go
_PARTITION: Final = re.compile(r"\{partition\.([^{}]*)\}")
_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def _header_name(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise ValueError("a header name has letters, digits and - only")
    return value


def _header_value(value: str) -> str:
    if any(ord(char) < 32 and char != "\t" for char in value):
        raise ValueError("a header is one line without control characters")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"no URL: {error}") from error
    if not usable:
        raise ValueError("no URL: a host is needed, and a port from 1 to 65535 if there is one")
    if "{" in parts.netloc:
        raise ValueError("placeholders stand behind the host only: limits and credentials belong to one origin; write one pipeline a host")
    return value


def _dotted(value: str) -> str:
    if not all(value.split(".")):
        raise ValueError("a write path is plain keys with dots between them")
    return value


HeaderName = Annotated[str, AfterValidator(_header_name)]
HeaderValue = Annotated[str, AfterValidator(_header_value)]
Url = Annotated[str, Field(pattern=URL_PATTERN), AfterValidator(_url)]
Scalar = str | Whole | Number | Flag


# -- credentials --------------------------------------------------------------------------------------------------


class BasicAuth(Model):
    """User name and password (RFC 7617)."""

    type: Literal["basic"] = Field(description="kind of credentials")
    username: Secret = Field(description="user name: a literal or a reference to a secret")
    password: Secret = Field("", description="password: a literal or a reference to a secret")


class BearerAuth(Model):
    """A token that is sent as `Authorization: Bearer`."""

    type: Literal["bearer"] = Field(description="kind of credentials")
    token: Secret = Field(description="token: a literal or a reference to a secret")


class ApiKeyAuth(Model):
    """A key in a header, a query parameter or a cookie."""

    type: Literal["api_key"] = Field(description="kind of credentials")
    name: str = Field("X-Api-Key", min_length=1, description="header, parameter or cookie name")
    in_: Literal["header", "query", "cookie"] = Field("header", alias="in", description="where it goes")
    value: Secret = Field(description="the key: a literal or a reference to a secret")
    prefix: str = Field("", description="text before the key, like `ApiKey `")


class OAuth2ClientCredentials(Model):
    """A token from a token endpoint, renewed before it expires (RFC 6749, 4.4)."""

    type: Literal["oauth2_client_credentials"] = Field(description="kind of credentials")
    token_url: Url = Field(description="URL of the token endpoint")
    client_id: Secret = Field(description="client id: a literal or a reference to a secret")
    client_secret: Secret = Field(description="client secret: a literal or a reference to a secret")
    scope: str = Field("", description="scopes to ask for, with spaces between them")
    refresh_before: Duration = written("60s", description="renew a token this long before it expires")
    client_auth: Literal["basic", "body"] = Field("basic", description="how the client proves itself to the token endpoint")


AuthConfig = Annotated[BasicAuth | BearerAuth | ApiKeyAuth | OAuth2ClientCredentials, Field(discriminator="type")]


class RateLimit(Model):
    """At most `requests` in each `per`."""

    requests: Number = Field(gt=0, description="requests")
    per: PositiveDuration = written("1s", description="in this time")


class OriginConfig(Model):
    """A server that several pipelines read from."""

    url: Url = Field(description="URL that the `path` of a source is added to")
    auth: AuthConfig | None = Field(None, description="credentials")
    rate_limit: RateLimit | None = Field(None, description="requests in a time, of all pipelines together")
    concurrency: Whole = Field(4, ge=1, le=256, description="requests at once")


# -- rules --------------------------------------------------------------------------------------------------------


class Schedule(Model):
    """When passes start."""

    every: PositiveDuration = Field(description="from the start of a pass to the start of the next")
    jitter: Duration = written("0s", description="random time added to each")


class When(Model):
    """A condition on a body: a path and exactly one comparison."""

    path: JmesPath = Field(description="JMESPath into the body")
    equals: Any = Field(None, description="value and type are equal")
    not_equals: Any = Field(None, description="value or type differ")
    greater: Number | None = Field(None, description="a number above")
    less: Number | None = Field(None, description="a number below")
    exists: Flag | None = Field(None, description="present and not null")

    @model_validator(mode="after")
    def _one(self) -> When:
        given = self.model_fields_set - {"path"}
        if len(given) != 1 or any(getattr(self, name) is None for name in given & {"greater", "less", "exists"}):
            raise ValueError("exactly one of equals, not_equals, greater, less, exists is needed")
        return self


class OnBody(Model):
    """What a body of a good status means."""

    when: When = Field(description="what the body says")
    do: Action = Field(description="what it means")


class StopStatus(Model):
    """A status behind the last page."""

    code: Whole = Field(ge=100, le=599, description="status code")
    when: When | None = Field(None, description="and what the body says")


class Stop(Model):
    """What ends a pass besides the style's own end; one rule is enough."""

    empty_page: Flag = Field(True, description="an empty page ends page and offset styles")
    when: When | None = Field(None, description="what the body of the last page says")
    status: tuple[StopStatus, ...] = Field((), description="statuses behind the last page; never for the first page")
    short_page: Annotated[Whole, Field(gt=0)] | Literal[False] = Field(False, description="a page of fewer records ends the pass; false: never")
    max_pages: Whole = Field(100_000, gt=0, description="pages a pass")


# -- incremental --------------------------------------------------------------------------------------------------


class MarkFormatConfig(Model):
    """How incremental values are written."""

    record: str = Field("rfc3339", description="in records: rfc3339 | epoch_s | epoch_ms | epoch_us | int | string | strptime pattern")
    param: str = Field("", description="the same, for the request; default: as in records")
    zone: str = Field("UTC", description="time zone of patterns without one, like Europe/Berlin")
    round: Literal["down"] = Field("down", description="what becomes of digits that the request's format lacks")

    @field_validator("record", "param")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            MarkFormat(value or "rfc3339").parser()
            if "%" in value:
                datetime(2024, 5, 6, 7, 8, 9).strftime(value)
        except (ConfigError, ValueError) as error:
            known = ("rfc3339", "epoch_s", "epoch_ms", "epoch_us", "int", "string")
            hint = did_you_mean(value, known)
            raise ValueError(f"{hint + '; ' if hint else ''}{listed(known)} and strptime patterns like %Y-%m-%d") from error
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("a time zone like UTC or Europe/Berlin is needed") from error
        return value


class ResponseToken(Model):
    """Where a response names the token that is kept across passes."""

    body: JmesPath | None = Field(None, description="JMESPath into the body")
    header: HeaderName | None = Field(None, description="name of a response header")

    @model_validator(mode="after")
    def _one(self) -> ResponseToken:
        if (self.body is None) == (self.header is None):
            raise ValueError("exactly one of body, header is needed")
        return self


class MarkTarget(Model):
    """Where a request carries the mark."""

    param: str | None = Field(None, min_length=1, description="query parameter")
    header: HeaderName | None = Field(None, description="request header")
    body: Annotated[str, AfterValidator(_dotted)] | None = Field(None, description="dotted path in the JSON body, created when missing")

    @model_validator(mode="after")
    def _one(self) -> MarkTarget:
        if sum(each is not None for each in (self.param, self.header, self.body)) != 1:
            raise ValueError("exactly one of param, header, body is needed")
        return self

    @property
    def kind_and_name(self) -> tuple[str, str]:
        return next((kind, name) for kind in ("param", "header", "body") if (name := getattr(self, kind)) is not None)


class Incremental(Model):
    """Read only what is new: from the mark that was reached."""

    field: JmesPath = Field("", validate_default=False, description="path of the value in a record that says how new it is")
    from_: ResponseToken | None = Field(None, alias="from", description="instead of field: a token of the response is the mark")
    param: str | None = Field(None, min_length=1, description="query parameter that carries the mark")
    to: MarkTarget | None = Field(None, description="where else the mark goes; or write {mark} in url, params, headers or body")
    initial: str | Whole | None = Field(None, description="used while there is no mark")
    first: dict[str, Scalar] = Field({}, description="query parameters that are sent only while there is no mark")
    format: MarkFormatConfig = Field(default_factory=MarkFormatConfig, description="how the value is written")
    overlap: Duration = written("0s", description="ask from this much before the mark")
    newest_bound: Duration | None = Field(None, description="never ask for a bound newer than this much before now")
    order: Literal["ascending", "descending", "any"] = Field("ascending", description="order in which the source sends records")

    @model_validator(mode="after")
    def _consistent(self) -> Incremental:
        wrong = Wrong()
        if not self.field and self.from_ is None:
            wrong.add(("field",), "field or from is needed: what says how far the source has come", "from")
        if self.field and self.from_ is not None:
            wrong.add(("from",), "field and from are both given; the mark is one of them")
        if self.param is not None and self.to is not None:
            wrong.add(("to",), "param and to are both given; take one of them out")
        timed = self.from_ is None and self.format.record not in ("int", "string")
        if self.overlap and not timed:
            wrong.add(("overlap",), "overlap needs marks that are times: a field, and a format that is no int or string", "format", "field")
        if self.newest_bound is not None and not timed:
            wrong.add(("newest_bound",), "newest_bound needs marks that are times: a field, and a format that is no int or string", "format", "field")
        if self.format.param and self.from_ is None and (self.format.param in ("int", "string")) != (self.format.record in ("int", "string")):
            wrong.add(("format", "param"), f"{self.format.param!r} cannot be made of {self.format.record!r} values", "record")
        if self.field and self.initial is not None and self.format.record == "rfc3339" and not self.format.param:
            try:
                MarkFormat().parser()(self.initial)
            except (ValueError, TypeError):
                wrong.add(("initial",), "initial is no RFC 3339 time with a zone, like 2024-01-01T00:00:00Z", "format")
        wrong.check()
        return self

    @property
    def target(self) -> tuple[str, str] | None:
        """(param | header | body, name) that carries the mark; None: the placeholder {mark}."""
        if self.param is not None:
            return ("param", self.param)
        return self.to.kind_and_name if self.to else None


# -- robustness ---------------------------------------------------------------------------------------------------


class RetryConfig(Model):
    """Attempts and the waits between them."""

    max_attempts: Whole = Field(8, ge=1, description="attempts a request")
    base: Duration = written("500ms", description="first wait, doubled each time, at random up to it")
    cap: PositiveDuration = written("60s", description="longest wait")
    deadline: PositiveDuration = written("10m", description="for all attempts together")
    max_retry_after: Duration = written("10m", description="longest wait that the source may ask for")


class BreakerConfig(Model):
    """When requests pause because too many fail; nothing is lost meanwhile."""

    failure_rate: Number = Field(0.5, gt=0, le=1, description="share of failures that opens it")
    min_calls: Whole = Field(10, ge=1, description="calls before it may open")
    window: PositiveDuration = written("60s", description="time that counts")
    open_for: PositiveDuration = written("30s", description="first pause; doubled while probes fail")
    permits: Whole = Field(3, ge=1, description="probes before it closes")


class TimeoutConfig(Model):
    """Limits of time of one request."""

    connect: PositiveDuration = written("10s", description="to connect")
    read: PositiveDuration = written("30s", description="between two reads")
    total: PositiveDuration = written("60s", description="for a whole exchange")


class LimitsConfig(Model):
    """Limits of what a response may be."""

    wire: Size = written("64MiB", description="bytes on the wire")
    body: Size = written("128MiB", description="bytes inflated")
    ratio: Number = Field(200.0, gt=0, description="inflated to wire bytes")
    record: Size = written("1MiB", description="bytes of one record; a longer one is a reject")
    depth: Whole = Field(64, ge=1, le=512, description="nesting of a record")


class TlsConfig(Model):
    """Certificates; paths are relative to the working directory."""

    ca_file: str | None = Field(None, min_length=1, description="certificates to trust instead of the system's")
    cert_file: str | None = Field(None, min_length=1, description="client certificate")
    key_file: str | None = Field(None, min_length=1, description="its key, unless it is in cert_file")

    @model_validator(mode="after")
    def _pair(self) -> TlsConfig:
        wrong = Wrong()
        if self.key_file is not None and self.cert_file is None:
            wrong.add(("key_file",), "key_file needs cert_file", "cert_file")
        wrong.check()
        return self


class _Style(Chosen):
    """Pagination: the model stands beside the style, and is imported when the style is used."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"a mapping with a type is needed; types are {', '.join(self.table)}")
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in self.table:
            hint = did_you_mean(kind, self.table)
            what = "type is missing" if kind is None else f"unknown {self.what} {kind!r}"
            wrong = Wrong()
            wrong.add(("type",), f"{what}; {hint + '; ' if hint else ''}{listed(self.table)}")
            wrong.check()
        return self.model(value).model_validate(value)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"oneOf": [_inlined(component(self.table, self.what, name).Config.model_json_schema()) for name in self.table]}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without `$defs`: what it refers to stands in place."""
    definitions = schema.pop("$defs", {})

    def fill(node: Any) -> Any:
        if isinstance(node, list):
            return [fill(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return fill({**definitions[node["$ref"].rpartition("/")[2]], **rest})
        return {key: fill(value) for key, value in node.items()}

    found: dict[str, Any] = fill(schema)
    return found


# -- the source ---------------------------------------------------------------------------------------------------


class HttpConfig(Model):
    """A source that is polled page by page."""

    type: Literal["http"] = Field("http", description="kind of source")
    url: Annotated[str, AfterValidator(_url)] = Field(
        "", pattern=URL_PATTERN, validate_default=False, description="URL of the first page, without what changes: https://host/path"
    )
    origin: str | None = Field(None, description="instead of url: one of the origins, with path")
    path: str | None = Field(None, pattern=r"^/", description="begins with /; is added to the url of the origin")
    method: Literal["GET", "POST"] = Field("GET", description="POST needs `idempotent: true` to be retried")
    idempotent: Flag | None = Field(None, description="a request may be sent twice; default: true for GET")
    params: dict[str, Scalar] = Field({}, description="query parameters")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="request headers")
    body: Any = Field(None, description="JSON body of a POST")
    auth: AuthConfig | None = Field(None, description="credentials")
    schedule: Schedule | None = Field(None, description="when passes start; without one the source is read once")
    records: JmesPath | None = Field(None, description="path of the records; omitted: the root array; '@': the root object is one record")
    records_missing: Literal["fail", "empty"] = Field("fail", description="what a page without that path is")
    key: tuple[JmesPath, ...] = Field((), description="identity of a record")
    pagination: Annotated[Any, _Style(PAGINATION, "pagination type")] = Field({"type": "none"}, description="how pages follow each other")
    stop: Stop = Field(default_factory=Stop, description="what else ends a pass")
    incremental: Incremental | None = Field(None, description="read only what is new")
    partitions: dict[str, tuple[str | Whole, ...]] = Field({}, description="values that are read independently; several names make all combinations")
    conditional: Flag = Field(False, description="ask with ETag and Last-Modified, so that an unchanged source costs nothing")
    stable: Flag = Field(False, description="declare that records keep their place while pages are read")
    concurrency: Whole = Field(4, ge=1, le=256, description="requests at once")
    rate_limit: RateLimit | None = Field(None, description="requests in a time")
    on_status: dict[Annotated[int, Field(ge=100, le=599)], Action] = Field({}, description="what a status means")
    on_body: tuple[OnBody, ...] = Field((), description="what a body means; the first rule that holds counts")
    on_body_error: Literal["park", "dead_letter"] = Field("park", description="what becomes of a body that is no valid document after all retries")
    allowed_origins: tuple[Url, ...] = Field((), description="origins that next links may lead to besides the url's")
    boundary_cap: Whole = Field(1_000_000, gt=0, description="boundary keys that are kept at most")
    retry: RetryConfig = Field(default_factory=RetryConfig, description="retries")
    breaker: BreakerConfig = Field(default_factory=BreakerConfig, description="circuit breaker")
    timeout: TimeoutConfig = Field(default_factory=TimeoutConfig, description="timeouts")
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="limits of a response")
    tls: TlsConfig = Field(default_factory=TlsConfig, description="TLS")

    @property
    def may_repeat(self) -> bool:
        """A request may be sent again after a failure."""
        return self.method == "GET" if self.idempotent is None else self.idempotent

    @field_validator("partitions")
    @classmethod
    def _distinct(cls, value: dict[str, tuple[str | int, ...]]) -> dict[str, tuple[str | int, ...]]:
        wrong = Wrong()
        for name, values in value.items():
            if not re.fullmatch(r"\w[\w-]*", name):
                wrong.add((name,), "a partition name has letters, digits, _ and - only")
            elif not values:
                wrong.add((name,), f"{name} has no values, at least one is needed")
            elif len(set(map(str, values))) != len(values):
                wrong.add((name,), f"{name} has a value twice, partitions are distinct")
        if (count := math.prod(map(len, value.values()))) > MAX_PARTITIONS:
            wrong.add((), f"{count} partitions, at most {MAX_PARTITIONS} are allowed; split them over several pipelines")
        wrong.check()
        return value

    @model_validator(mode="after")
    def _consistent(self) -> HttpConfig:
        wrong = Wrong()
        if not self.url:
            wrong.add(("url",), "url is missing: give url, or origin with path", "origin")
        if (self.origin is None) != (self.path is None):
            wrong.add(("path",), "origin and path go together", "origin")
        if self.body is not None and self.method == "GET":
            wrong.add(("body",), "a body needs method: POST", "method")
        self._check_marks(wrong)
        self._check_placeholders(wrong)
        self._check_conditional(wrong)
        if self.on_body_error == "dead_letter" and (why := self.pagination.needs_body):
            wrong.add(("on_body_error",), f"dead_letter is allowed only where the next position does not depend on the body: {why}; use park", "pagination")
        wrong.check()
        return self

    def _check_marks(self, wrong: Wrong) -> None:
        incremental = self.incremental
        placed = any(MARK in text for _, text in self._texts())
        if incremental is None:
            for path, text in self._texts():
                if MARK in text:
                    wrong.add(path, "{mark} needs incremental", "incremental")
        elif incremental.target is not None and placed:
            wrong.add(("incremental", "to" if incremental.param is None else "param"), "the mark is carried twice: here, and by {mark}")
        elif incremental.target is None and not placed:
            wrong.add(("incremental", "param"), "the mark goes nowhere: set param or to, or write {mark} in url, params, headers or body", *_PLACES)

    def _check_placeholders(self, wrong: Wrong) -> None:
        for path, text in (*self._texts(), *self._secret_texts()):
            for name in _PARTITION.findall(text):
                if name not in self.partitions:
                    hint = did_you_mean(name, self.partitions)
                    there = listed(self.partitions) if self.partitions else "there are no partitions"
                    wrong.add(path, f"{{partition.{name}}} names no partition; {hint + '; ' if hint else ''}{there}", "partitions")

    def _check_conditional(self, wrong: Wrong) -> None:
        single = self.pagination.single
        descending = self.incremental is not None and self.incremental.order == "descending"
        if self.conditional and not single and not descending:
            why = "page 1 of an ascending list never changes, so 304 would hide what is new"
            wrong.add(("conditional",), f"conditional needs one request a pass, or incremental.order: descending; {why}", "pagination", "incremental")

    def _texts(self) -> Iterator[tuple[Path_, str]]:
        """Every text that may hold placeholders, with its path."""
        yield ("url",), self.url
        yield from _texts_in(self.params, ("params",))
        yield from _texts_in(self.headers, ("headers",))
        yield from _texts_in(self.body, ("body",))

    def _secret_texts(self) -> Iterator[tuple[Path_, str]]:
        for name in type(self.auth).model_fields if self.auth is not None else ():
            if isinstance(secret := getattr(self.auth, name), SecretRef):
                for text in secret.texts:
                    yield ("auth", name), text


def _texts_in(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts_in(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts_in(inner, (*path, number))
