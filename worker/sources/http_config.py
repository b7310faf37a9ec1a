"""The settings of the polled HTTP source (DESIGN 8 and 8.1). Light: imported by `check` and `--help`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from worker.config.types import Duration, Model, Secret, Size
from worker.core.errors import ConfigError
from worker.core.jsonpath import compile_path
from worker.registry import PAGINATION, component

Action = Literal["retry", "rate_limited", "fail", "empty", "stop", "skip", "refresh_auth"]


def _jmespath(value: Any) -> Any:
    if isinstance(value, str):
        try:
            compile_path(value)
        except ConfigError as error:
            raise ValueError(str(error)) from error
    return value


JmesPath = Annotated[str, BeforeValidator(_jmespath)]


class BasicAuth(Model):
    type: Literal["basic"]
    username: Secret = Field(description="user name")
    password: Secret = Field("", description="password")


class BearerAuth(Model):
    type: Literal["bearer"]
    token: Secret = Field(description="token sent as Authorization: Bearer")


class ApiKeyAuth(Model):
    type: Literal["api_key"]
    name: str = Field("X-Api-Key", description="header, parameter or cookie name")
    in_: Literal["header", "query", "cookie"] = Field("header", alias="in", description="where it goes")
    value: Secret = Field(description="the key")
    prefix: str = Field("", description="text before the key")


AuthConfig = Annotated[BasicAuth | BearerAuth | ApiKeyAuth, Field(discriminator="type")]


class Schedule(Model):
    every: Duration = Field(description="from the start of a pass to the start of the next")
    jitter: Duration = Field(0.0, description="random time added to each")


class When(Model):
    path: JmesPath = Field(description="JMESPath into the body")
    equals: Any = Field(None, description="value and type are equal")
    not_equals: Any = Field(None, description="value or type differ")
    greater: float | None = Field(None, description="a number above")
    less: float | None = Field(None, description="a number below")
    exists: bool | None = Field(None, description="present and not null")

    @model_validator(mode="after")
    def _one(self) -> When:
        if len(self.model_fields_set - {"path"}) != 1:
            raise ValueError("exactly one of equals, not_equals, greater, less, exists is needed")
        return self


class OnBody(Model):
    when: When = Field(description="what the body says")
    do: Action = Field(description="what it means")


class StopStatus(Model):
    code: int = Field(description="status code")
    when: When | None = Field(None, description="and what the body says")


class Stop(Model):
    empty_page: bool = Field(True, description="an empty page ends page and offset styles")
    when: When | None = Field(None, description="what the body of the last page says")
    status: tuple[StopStatus, ...] = Field((), description="statuses behind the last page; never for the first page")
    short_page: int | Literal[False] = Field(False, description="a page of fewer records ends the pass")
    max_pages: int = Field(100_000, gt=0, description="pages a pass")


class MarkFormatConfig(Model):
    record: str = Field("rfc3339", description="rfc3339 | epoch_s | epoch_ms | epoch_us | int | string | strptime pattern")
    param: str = Field("", description="the same, for the request; default: as record")
    zone: str = Field("UTC", description="zone of patterns without one")


class Incremental(Model):
    field: JmesPath = Field(description="path of the value in a record that says how new it is")
    param: str | None = Field(None, description="query parameter that carries the mark")
    to: dict[Literal["param", "header", "body"], str] | None = Field(None, description="where else the mark goes")
    initial: str | int | None = Field(None, description="used while there is no mark")
    format: MarkFormatConfig = Field(MarkFormatConfig(), description="how the value is written")
    overlap: Duration = Field(0.0, description="ask from this much before the mark")
    order: Literal["ascending", "descending", "any"] = Field("ascending", description="order in which the source sends records")

    @property
    def target(self) -> tuple[str, str] | None:
        """(param | header | body, name) that carries the mark; None: the placeholder {mark}."""
        if self.param is not None:
            return ("param", self.param)
        return next(iter(self.to.items())) if self.to else None


class RateLimit(Model):
    requests: float = Field(gt=0, description="requests")
    per: Duration = Field(1.0, description="in this time")


class RetryConfig(Model):
    max_attempts: int = Field(8, ge=1, description="attempts a request")
    base: Duration = Field(0.5, description="first wait, doubled each time, at random up to it")
    cap: Duration = Field(60.0, description="longest wait")
    deadline: Duration = Field(600.0, description="for all attempts together")
    max_retry_after: Duration = Field(600.0, description="longest wait that the source may ask for")


class BreakerConfig(Model):
    failure_rate: float = Field(0.5, gt=0, le=1, description="share of failures that opens")
    min_calls: int = Field(10, ge=1, description="calls before it may open")
    window: Duration = Field(60.0, description="time that counts")
    open_for: Duration = Field(30.0, description="first pause; doubled while probes fail")
    permits: int = Field(3, ge=1, description="probes before it closes")


class TimeoutConfig(Model):
    connect: Duration = Field(10.0, description="to connect")
    read: Duration = Field(30.0, description="between two reads")
    total: Duration = Field(60.0, description="for a whole exchange")


class LimitsConfig(Model):
    wire: Size = Field(64 * 1024**2, description="bytes on the wire")
    body: Size = Field(128 * 1024**2, description="bytes inflated")
    ratio: float = Field(200.0, gt=0, description="inflated to wire bytes")


class TlsConfig(Model):
    ca_file: str | None = Field(None, description="certificates to trust instead of the system's")
    cert_file: str | None = Field(None, description="client certificate")
    key_file: str | None = Field(None, description="its key")


def _pagination(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    try:
        module = component(PAGINATION, "pagination type", value.get("type"))
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return module.Config.model_validate(value)


class HttpConfig(Model):
    """A source that is polled page by page."""

    type: Literal["http"] = Field("http", description="kind of source")
    url: str = Field(pattern=r"^https?://[^/]+", description="URL of the first page, without the changing parameters")
    method: Literal["GET", "POST"] = Field("GET", description="POST needs `idempotent: true` to be retried")
    idempotent: bool | None = Field(None, description="a request may be sent twice; default: true for GET")
    params: dict[str, str | int | float | bool] = Field({}, description="query parameters")
    headers: dict[str, str] = Field({}, description="request headers")
    body: Any = Field(None, description="JSON body of a POST")
    auth: AuthConfig | None = Field(None, description="credentials")
    schedule: Schedule | None = Field(None, description="when passes start; without one the source is read once")
    records: JmesPath | None = Field(None, description="path of the records; omitted: the root array; '@': the root object is one record")
    records_missing: Literal["fail", "empty"] = Field("fail", description="what a page without that path is")
    key: tuple[JmesPath, ...] = Field((), description="identity of a record")
    pagination: Annotated[Any, BeforeValidator(_pagination)] = Field({"type": "none"}, validate_default=True, description="how pages follow each other")
    stop: Stop = Field(Stop(), description="what else ends a pass")
    incremental: Incremental | None = Field(None, description="read only what is new")
    partitions: dict[str, tuple[str | int, ...]] = Field({}, description="values that are read independently; several names make all combinations")
    stable: bool = Field(False, description="declare that records keep their place while pages are read")
    concurrency: int = Field(4, ge=1, le=256, description="requests at once")
    rate_limit: RateLimit | None = Field(None, description="requests in a time")
    on_status: dict[int, Action] = Field({}, description="what a status means")
    on_body: tuple[OnBody, ...] = Field((), description="what a body means")
    allowed_origins: tuple[str, ...] = Field((), description="origins that next links may lead to besides the url's")
    boundary_cap: int = Field(1_000_000, gt=0, description="boundary keys that are kept at most")
    retry: RetryConfig = Field(RetryConfig(), description="retries")
    breaker: BreakerConfig = Field(BreakerConfig(), description="circuit breaker")
    timeout: TimeoutConfig = Field(TimeoutConfig(), description="timeouts")
    limits: LimitsConfig = Field(LimitsConfig(), description="limits of a body")
    tls: TlsConfig = Field(TlsConfig(), description="TLS")

    @property
    def may_repeat(self) -> bool:
        return self.method == "GET" if self.idempotent is None else self.idempotent

    @field_validator("partitions")
    @classmethod
    def _distinct(cls, value: dict[str, tuple[str | int, ...]]) -> dict[str, tuple[str | int, ...]]:
        for name, values in value.items():
            if not values or len(set(map(str, values))) != len(values):
                raise ValueError(f"{name} needs distinct values, at least one")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> HttpConfig:
        if self.incremental is not None and self.incremental.overlap and self.incremental.format.record in ("int", "string"):
            raise ValueError("incremental.overlap needs a time format")
        return self
