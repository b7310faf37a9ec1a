"""The config of the polled HTTP source itself, and the rules between its keys."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, field_validator, model_validator

from worker.components import AUTH, PAGINATIONS
from worker.config.chosen import ByType, default_of
from worker.config.model import Issues, Model
from worker.config.models import secrets_of
from worker.config.problems import Path_, did_you_mean, listed
from worker.config.scalars import (
    URL_PATTERN,
    Flag,
    HeaderName,
    HeaderValue,
    JmesPath,
    Scalar,
    Url,
    Whole,
    checked_url,
)
from worker.config.secrets import SecretRef
from worker.http.auth import AuthConfig
from worker.http.client_config import LimitsConfig, TimeoutConfig
from worker.http.tls import TlsConfig
from worker.resilience.config import BreakerConfig, RateLimit, RetryConfig
from worker.sources.incremental import Incremental
from worker.sources.pagination.common import StyleConfig
from worker.sources.rules import Action, OnBody, Schedule, Stop
from worker.sources.window_rules import Surroundings, check_windows

MARK: Final = "{mark}"
MAX_PARTITIONS: Final = 100_000
_MARK_PLACES: Final = ("param", "to", "url", "params", "headers", "body", "pagination")
_PARTITION: Final = re.compile(r"\{partition\.([^{}]*)\}")


class HttpConfig(Model):
    """A source that is polled page by page."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["url"]}, {"required": ["origin", "path"]}]}
    )

    type: Literal["http"] = Field("http", description="kind of source")
    url: Annotated[str, AfterValidator(checked_url)] = Field(
        "",
        pattern=URL_PATTERN,
        validate_default=False,
        description="URL of the first page, without what changes: https://host/path",
    )
    origin: str | None = Field(None, description="instead of url: one of the origins, with path")
    path: str | None = Field(
        None, pattern=r"^/", description="begins with /; is added to the url of the origin"
    )
    method: Literal["GET", "POST"] = Field(
        "GET", description="POST needs `idempotent: true` to be retried"
    )
    idempotent: Flag | None = Field(
        None, description="a request may be sent twice; default: true for GET"
    )
    params: dict[str, Scalar] = Field({}, description="query parameters")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="request headers")
    body: Any = Field(None, description="JSON body of a POST")
    auth: Annotated[AuthConfig, ByType(AUTH)] | None = Field(None, description="credentials")
    schedule: Schedule | None = Field(
        None, description="when passes start; without one the source is read once"
    )
    records: JmesPath | None = Field(
        None,
        description=(
            "path of the records; omitted: the root array; '@': the root object is one record"
        ),
    )
    records_missing: Literal["fail", "empty"] = Field(
        "fail", description="what a page without that path is"
    )
    key: tuple[JmesPath, ...] = Field((), description="identity of a record")
    pagination: Annotated[StyleConfig, ByType(PAGINATIONS)] = Field(
        default_of(type="none"), description="how pages follow each other"
    )
    stop: Stop = Field(default_factory=Stop, description="what else ends a pass")
    incremental: Incremental | None = Field(None, description="read only what is new")
    partitions: dict[str, tuple[str | Whole, ...]] = Field(
        {}, description="values that are read independently; several names make all combinations"
    )
    clock: Literal["source", "local"] = Field(
        "source",
        description=(
            "local: marks and windows follow our own clock alone, where the Date of the source is "
            "no clock"
        ),
    )
    conditional: Flag = Field(
        False,
        description="ask with ETag and Last-Modified, so that an unchanged source costs nothing",
    )
    stable: Flag = Field(
        False, description="declare that records keep their place while pages are read"
    )
    concurrency: Whole = Field(
        4,
        ge=1,
        le=256,
        description="requests at once; while some hang, up to a quarter more (at least one)",
    )
    rate_limit: RateLimit | None = Field(None, description="requests in a time")
    on_status: dict[Annotated[int, Field(ge=100, le=599)], Action] = Field(
        {}, description="what a status means"
    )
    on_body: tuple[OnBody, ...] = Field(
        (), description="what a body means; the first rule that holds counts"
    )
    on_body_error: Literal["park", "dead_letter"] = Field(
        "park", description="what becomes of a body that is no valid document after all retries"
    )
    allowed_origins: tuple[Url, ...] = Field(
        (), description="origins that next links may lead to besides the url's"
    )
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

    @property
    def mark_kind(self) -> str:
        """What a mark of this source is, in a word: marks of two kinds cannot be compared."""
        if self.incremental is None:
            return "none"
        return "window" if self.pagination.windows is not None else self.incremental.mark_kind

    @property
    def bound_sent(self) -> str:
        """What carries the lower bound of a pass, in words; empty where the source is given none."""
        if self.pagination.windows is not None:
            return "the window"
        if self.incremental is not None and (target := self.incremental.target) is not None:
            return target.words
        marked = self.marked_texts()
        return ".".join(map(str, marked[0])) if marked else ""

    @property
    def body_paths(self) -> tuple[str, ...]:
        """The paths of bodies that its keys read, besides those of its pagination."""
        total, incremental, stop = self.pagination.total, self.incremental, self.stop.when
        token = incremental.from_ if incremental is not None else None
        return (
            *(total.body_paths if total is not None else ()),
            *((stop.path,) if stop is not None else ()),
            *(rule.when.path for rule in self.on_body),
            *(token.body_paths if token is not None else ()),
        )

    @field_validator("partitions")
    @classmethod
    def _distinct(cls, value: dict[str, tuple[str | int, ...]]) -> dict[str, tuple[str | int, ...]]:
        issues = Issues()
        for name, values in value.items():
            if not re.fullmatch(r"\w[\w-]*", name):
                issues.add((name,), "a partition name has letters, digits, _ and - only")
            elif not values:
                issues.add((name,), f"{name} has no values, at least one is needed")
            elif len(set(map(str, values))) != len(values):
                issues.add((name,), f"{name} has a value twice, partitions are distinct")
        if (count := math.prod(map(len, value.values()))) > MAX_PARTITIONS:
            issues.add(
                (),
                (
                    f"{count} partitions, at most {MAX_PARTITIONS} are allowed; split them over "
                    "several pipelines"
                ),
            )
        issues.check()
        return value

    @model_validator(mode="after")
    def _consistent(self) -> HttpConfig:
        issues = Issues()
        if not self.url:
            issues.add(("url",), "url is missing: give url, or origin with path", "origin")
        if (self.origin is None) != (self.path is None):
            issues.add(("path",), "origin and path go together", "origin")
        if self.body is not None and self.method == "GET":
            issues.add(("body",), "a body needs method: POST", "method")
        self._check_marks(issues)
        self._check_placeholders(issues)
        self._check_conditional(issues)
        self._check_windows(issues)
        if self.on_body_error == "dead_letter" and (why := self.pagination.needs_body):
            issues.add(
                ("on_body_error",),
                (
                    "dead_letter is allowed only where the next position does not depend on the "
                    f"body: {why}; use park"
                ),
                "pagination",
            )
        issues.check()
        return self

    def _check_marks(self, issues: Issues) -> None:
        """The mark goes out in one way: by `param` or `to`, by the placeholder, or by a window."""
        marked = self.marked_texts()
        incremental = self.incremental
        if incremental is None:
            for path in marked:
                issues.add(path, "{mark} needs incremental", "incremental")
        elif self.pagination.windows is None:
            if incremental.target is not None and marked:
                issues.add(
                    incremental.target_path, "the mark is carried twice: here, and by {mark}"
                )
            elif incremental.target is None and not marked:
                issues.add(
                    ("incremental", "param"),
                    (
                        "the mark goes nowhere: set param or to, or write {mark} in url, params, "
                        "headers or body"
                    ),
                    *_MARK_PLACES,
                )

    def _check_windows(self, issues: Issues) -> None:
        keys = self.pagination.windows
        if keys is None:
            return
        at = ("pagination", *self.pagination.windows_at)
        sent = dict.fromkeys(self.params, "params")
        sent |= dict.fromkeys(self.pagination.sent_params, "the pagination round the window")
        around = Surroundings(
            incremental=self.incremental,
            sent=sent,
            marked=self.marked_texts(),
            conditional=self.conditional,
            on_status=self.on_status,
            stop_codes=frozenset(rule.code for rule in self.stop.status),
        )
        check_windows(keys, at, around, issues)

    def _check_placeholders(self, issues: Issues) -> None:
        for path, text in (*self._texts(), *self._secret_texts()):
            for name in _PARTITION.findall(text):
                if name not in self.partitions:
                    hint = did_you_mean(name, self.partitions)
                    there = (
                        listed(self.partitions) if self.partitions else "there are no partitions"
                    )
                    issues.add(
                        path,
                        (
                            f"{{partition.{name}}} names no partition; "
                            f"{hint + '; ' if hint else ''}{there}"
                        ),
                        "partitions",
                    )

    def _check_conditional(self, issues: Issues) -> None:
        if not self.conditional:
            return
        style = self.pagination
        descending = self.incremental is not None and self.incremental.order == "descending"
        if not (style.single or descending or style.windows is not None):
            why = "page 1 of an ascending list never changes, so 304 would hide what is new"
            issues.add(
                ("conditional",),
                f"conditional needs one request a pass, or incremental.order: descending; {why}",
                "pagination",
                "incremental",
            )

        for name in self.headers:
            if name.lower() in ("if-none-match", "if-modified-since"):
                issues.add(
                    ("headers", name),
                    f"conditional sends {name} itself; take it out",
                    "conditional",
                )

    def marked_texts(self) -> list[Path_]:
        """Where the placeholder of the mark stands."""
        return [path for path, text in self._texts() if MARK in text]

    def _texts(self) -> Iterator[tuple[Path_, str]]:
        """Every text that may hold placeholders, with its path."""
        yield ("url",), self.url
        yield from _texts_in(self.params, ("params",))
        yield from _texts_in(self.headers, ("headers",))
        yield from _texts_in(self.body, ("body",))

    def _secret_texts(self) -> Iterator[tuple[Path_, str]]:
        for name, secret in secrets_of(self.auth) if self.auth is not None else ():
            if isinstance(secret, SecretRef):
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
