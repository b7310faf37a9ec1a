"""The config of the polled HTTP source itself, and the rules between its keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from worker.components import PAGINATIONS
from worker.config.chosen import ByType, default_of
from worker.config.effects import Effect
from worker.config.model import Issues, Model
from worker.config.models import secrets_of
from worker.config.problems import Path_, did_you_mean, listed
from worker.config.scalars import (
    URL_PATTERN,
    ConfiguredHeaderName,
    Flag,
    HeaderValue,
    JmesPath,
    ParamName,
    ParamValue,
    Whole,
    checked_url,
    header_value,
    without_fragment,
)
from worker.config.secrets import SecretRef, kind_of_secret
from worker.core.errors import PermanentError
from worker.http.auth import AuthConfig
from worker.http.auth.keys import AuthKeys, each_of, paths_of
from worker.http.client_config import LimitsConfig, TimeoutConfig
from worker.http.in_url import names_in
from worker.http.proxy import Proxy
from worker.http.tls import TlsConfig
from worker.resilience.config import BreakerConfig, RetryConfig
from worker.sources.carriers import check_carriers, hides
from worker.sources.incremental import Incremental
from worker.sources.origins import AllowedOrigins
from worker.sources.pagination.common import StyleConfig
from worker.sources.partitions import FoundIn, Values, value_names
from worker.sources.placeholders import (
    PartitionPlace,
    filled_url,
    in_path_of,
    partitions_in,
)
from worker.sources.rate_limit import RateLimits
from worker.sources.records import Records, RecordsAt
from worker.sources.rules import (
    PAGES,
    Action,
    OnBody,
    ResponseRule,
    Stop,
    general_rules,
)
from worker.sources.schedule import Schedule
from worker.sources.waits import WaitPlace
from worker.sources.window_rules import Surroundings, check_windows

MARK: Final = "{mark}"
MAX_PARTITIONS: Final = 100_000
SentParam = Annotated[
    Annotated[ParamValue, Tag("text")] | Annotated[SecretRef, Tag("reference")],
    Discriminator(kind_of_secret),
]
SentHeader = Annotated[
    Annotated[HeaderValue, Tag("text")] | Annotated[SecretRef, Tag("reference")],
    Discriminator(kind_of_secret),
]
_MARK_PLACES: Final = (
    *("param", "to", "url", "params", "headers", "body", "form", "text", "pagination"),
)


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
    path: Annotated[str, AfterValidator(without_fragment)] | None = Field(
        None, pattern=r"^/", description="begins with /; is added to the url of the origin"
    )
    method: Literal["GET", "POST"] = Field(
        "GET", description="POST needs `idempotent: true` to be retried"
    )
    idempotent: Flag | None = Field(
        None, description="a request may be sent twice; default: true for GET"
    )
    params: dict[ParamName, SentParam] = Field(
        {},
        description=(
            "query parameters; a list repeats the parameter, once for each value, and a reference "
            "to a secret is a credential"
        ),
    )
    headers: dict[ConfiguredHeaderName, SentHeader] = Field(
        {}, description="request headers; a reference to a secret is a credential"
    )
    body: Any = Field(None, description="JSON body of a POST")
    form: dict[ParamName, ParamValue] = Field(
        {},
        description=(
            "instead of body: the fields of a form, application/x-www-form-urlencoded; a list "
            "repeats the field"
        ),
    )
    text: str | None = Field(
        None,
        description=(
            "instead of body: text as it is sent, with the placeholders filled; text/plain unless "
            "headers say another Content-Type"
        ),
    )
    auth: AuthKeys | None = Field(None, description="credentials, or a list of several")
    cookies: Literal["keep", "drop"] = Field(
        "drop",
        description=(
            "keep: cookies that the source sets are sent back to it; they are kept in memory, for "
            "each of the credentials"
        ),
    )
    schedule: Schedule | None = Field(
        None, description="when passes start; without one the source is read once"
    )
    records: RecordsAt = Field(
        default_factory=Records,
        description="where the records of a page are, and what one is; a path alone is short for "
        "{path: PATH}",
    )
    records_missing: Literal["fail", "empty"] = Field(
        "fail", description="what a page without that path is, and an item without each"
    )
    key: tuple[JmesPath, ...] = Field((), description="identity of a record")
    pagination: Annotated[StyleConfig, ByType(PAGINATIONS)] = Field(
        default_of(type="none"), description="how pages follow each other"
    )
    stop: Stop = Field(default_factory=Stop, description="what else ends a pass")
    incremental: Incremental | None = Field(None, description="read only what is new")
    partitions: dict[str, Values] = Field(
        {},
        description=(
            "values that are read independently: a list, or where they are found; several names "
            "make all combinations"
        ),
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
    rate_limit: RateLimits | None = Field(
        None, description="requests, or their cost, in a time; or a list of such limits"
    )
    responses: tuple[ResponseRule, ...] = Field(
        (), description="what an answer means; the first rule that holds decides"
    )
    on_status: dict[Annotated[int, Field(ge=100, le=599)], Action] = Field(
        {}, description="what a status means; short for responses with a status alone"
    )
    on_body: tuple[OnBody, ...] = Field(
        (),
        description="what the body of a page means; short for responses with when alone",
    )
    retry_after: tuple[WaitPlace, ...] = Field(
        (),
        description=(
            "where an answer says how long to wait, before Retry-After and the headers of rate "
            "limits; the first place that says it counts"
        ),
    )
    on_body_error: Literal["park", "dead_letter"] = Field(
        "park", description="what becomes of a body that is no valid document after all retries"
    )
    allowed_origins: AllowedOrigins = Field(
        (),
        description=(
            "origins that next links and redirects may lead to besides the url's: URLs, or {url, "
            "credentials: send}"
        ),
    )
    next_origin: Literal["strict", "keep"] = Field(
        "strict",
        description=(
            "keep: of a next link the path and the query are followed, at the origin of url (APIs "
            "behind a proxy that write their inner host into links)"
        ),
    )
    boundary_cap: Whole = Field(1_000_000, gt=0, description="boundary keys that are kept at most")
    retry: RetryConfig = Field(default_factory=RetryConfig, description="retries")
    breaker: BreakerConfig = Field(default_factory=BreakerConfig, description="circuit breaker")
    timeout: TimeoutConfig = Field(default_factory=TimeoutConfig, description="timeouts")
    limits: LimitsConfig = Field(default_factory=LimitsConfig, description="limits of a response")
    tls: TlsConfig = Field(default_factory=TlsConfig, description="TLS")
    proxy: Proxy = Field(
        "none",
        description=(
            "what requests go through, those for credentials too: a URL, {url, username, "
            "password}, environment (HTTP_PROXY, HTTPS_PROXY and NO_PROXY), or none"
        ),
    )

    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "stop.empty_page",
            lambda source: source.pagination.numbered,
            "an empty page ends page and offset styles; the others say themselves which is last",
            "it counts with pagination type page or offset",
        ),
        Effect(
            "stop.repeated_page",
            lambda source: source.pagination.numbered,
            "a source that names the next page says itself which is last",
            "it counts with pagination type page or offset",
        ),
        *(
            Effect(
                key,
                lambda source: source.pagination.pages,
                "there is one page, behind which nothing is asked for",
                "it counts with a pagination that has several pages",
            )
            for key in ("stop.short_page", "stop.when", "stop.status")
        ),
        Effect(
            "stop.max_pages",
            lambda source: not source.pagination.single,
            "a pass is one page",
            "it counts with a pagination that has several pages",
        ),
        Effect(
            "stop.status.*.code",
            lambda source, number: not source.brings_a_page(source.stop.status[number].code),
            "a status of success brings a page, so it never stands behind the last one",
            "what the body of the last page says ends a pass with stop.when",
        ),
        *(
            Effect(
                f"{key}.*",
                lambda source, name, key=key: source.is_asked((key, name)),
                "every answer that it is about is decided by a rule before it",
                "the order is pagination.split_on, responses, on_status, on_body",
            )
            for key in ("responses", "on_status", "on_body")
        ),
        Effect(
            "allowed_origins.*.credentials",
            lambda source, number: (
                any(True for _ in source.secrets())
                or source.allowed_origins[number].credentials == "drop"
            ),
            "the source has no credentials",
            "it counts with auth, or a secret in headers or params",
        ),
        Effect(
            "next_origin",
            lambda source: source.pagination.follows,
            "no links are followed",
            "it counts with pagination type link_header or next_url",
        ),
        Effect(
            "boundary_cap",
            lambda source: source.remembers,
            "no records are remembered",
            "it counts with key, with incremental.field, and with pagination type page or offset",
        ),
        Effect(
            "clock",
            lambda source: source.incremental is not None and source.incremental.timed,
            "no mark is a time",
            "it counts with an incremental.field of times",
        ),
        Effect(
            "conditional",
            lambda source: not source.conditional or source.again,
            "a source without schedule and incremental is read once, and never asked for changes",
            "it counts with a schedule",
        ),
        Effect(
            "stable",
            lambda source: not source.stable or not source.pagination.single,
            "a pass is one page, in which records keep their place anyway",
            "it counts with a pagination that has several pages",
        ),
        Effect(
            "partitions.*",
            lambda source, name: name in source.used_partitions(),
            "nothing has {{partition.{0}}}, so each of its values would read the same records",
            "it counts in url, params, headers, body, form, text, and in references to secrets",
        ),
        Effect(
            "params.*",
            lambda source, name: not hides(source, "param", name),
            "pagination or incremental sends {0} in each request",
            "it counts while nothing else sends it",
        ),
        Effect(
            "form.*",
            lambda source, name: not hides(source, "form", name),
            "pagination or incremental sends {0} in each request",
            "it counts while nothing else sends it",
        ),
        Effect(
            "headers.*",
            lambda source, name: not hides(source, "header", name),
            "pagination, incremental or auth sends {0} in each request",
            "it counts while nothing else sends it",
        ),
        Effect(
            "incremental.first.*",
            lambda source, name: not hides(source, "param", name),
            "pagination or incremental sends {0} in each request, the first ones too",
            "it counts while nothing else sends it",
        ),
        Effect(
            "tls.*",
            lambda source, key: source.encrypted,
            "nothing is asked for over https",
            "it counts with a url, an allowed origin, a token endpoint or a proxy of https",
        ),
    )
    """Keys that count only beside others."""

    @property
    def again(self) -> bool:
        """Whether another pass follows the first one."""
        return self.schedule is not None or self.incremental is not None or self.again_by_change

    @property
    def again_by_change(self) -> bool:
        """Whether a pass follows when the record that names a partition has changed."""
        return self.found is not None and self.found[1].due == "change"

    @property
    def remembers(self) -> bool:
        """Whether records are held against those that came before."""
        by_field = self.incremental is not None and self.incremental.from_ is None
        return bool(self.key) or by_field or self.pagination.numbered

    @property
    def credentials(self) -> tuple[AuthConfig, ...]:
        """The kinds of credentials of a request, in their order."""
        return each_of(self.auth)

    @property
    def encrypted(self) -> bool:
        """Whether anything is asked for over https."""
        endpoints = [url for each in self.credentials for url in each.endpoints]
        proxy = self.proxy if isinstance(self.proxy, str) else self.proxy.url
        urls = (self.url, *(each.url for each in self.allowed_origins), *endpoints, proxy)
        return any(url.lower().startswith("https:") for url in urls)

    def brings_a_page(self, status: int) -> bool:
        """Whether an answer with this status is a page that is decoded."""
        whole = (rule for rule in self.responses if rule.when is None and status in rule.statuses)
        action = next((rule.do for rule in whole), None)
        return status in PAGES - {202} if action is None else action == "page"

    def is_asked(self, key: Path_) -> bool:
        """Whether the rule that was written as this key is asked of any answer."""
        known, name = self._split_status, tuple(map(str, key))
        for rule in self.responses:
            if tuple(map(str, rule.written_as)) == name:
                return not known.issuperset(rule.statuses)
            if rule.when is None:
                known.update(rule.statuses)
        return True

    @property
    def _split_status(self) -> set[int]:
        """The status that always halves a window."""
        windows = self.pagination.windows
        split = None if windows is None else windows.split_on
        return set() if split is None or split.when is not None else {split.status}

    def secrets(self) -> Iterator[tuple[Path_, str | SecretRef]]:
        """Every secret of its requests with its path: literals of `auth`, and references."""
        for path, each in paths_of(self.auth):
            for below, secret in secrets_of(each):
                yield (*path, *below), secret
        for key, values in (("params", self.params), ("headers", self.headers)):
            for name, value in values.items():
                if isinstance(value, SecretRef):
                    yield (key, name), value

    @property
    def plain_params(self) -> dict[str, Any]:
        """The parameters that are no secrets."""
        return _plain(self.params)

    @property
    def plain_headers(self) -> dict[str, str]:
        """The headers that are no secrets."""
        return _plain(self.headers)

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Query parameters that carry a secret; they are never stored."""
        of_auth = (name for each in self.credentials for name in each.secret_params)
        return (*of_auth, *_references(self.params))

    @property
    def credential(self) -> str:
        """One text for each credential, made of references and not of what they lead to."""
        parts = {
            "auth": self.credentials,
            "params": _references(self.params),
            "headers": _references(self.headers),
        }
        return "" if not any(parts.values()) else _credential(parts)

    def used_partitions(self) -> set[str]:
        """Names of partitions whose value, or what is carried with it, stands anywhere."""
        texts = (*self._texts(), *self._secret_texts())
        names = {place.name for _, text in texts for place in partitions_in(text)}
        if self.found is not None and not names.isdisjoint(self.found[1].carry):
            names.add(self.found[0])
        return names

    @property
    def listed(self) -> dict[str, tuple[str | int, ...]]:
        """The partitions whose values are listed."""
        return {
            name: values
            for name, values in self.partitions.items()
            if not isinstance(values, FoundIn)
        }

    @property
    def found(self) -> tuple[str, FoundIn] | None:
        """The partition whose values are found, if any."""
        return next(
            (
                (name, values)
                for name, values in self.partitions.items()
                if isinstance(values, FoundIn)
            ),
            None,
        )

    @property
    def in_secrets(self) -> tuple[str, ...]:
        """What is found and stands in references to secrets."""
        if self.found is None:
            return ()
        places = (place for _, text in self._secret_texts() for place in partitions_in(text))
        names = {place.name for place in places}
        name, values = self.found
        return tuple(each for each in (name, *values.carry) if each in names)

    @property
    def partition_values(self) -> tuple[str, ...]:
        """What `{partition.NAME}` may name."""
        return tuple(value_names(self.partitions))

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
        """What carries the lower bound of a pass, in words; empty where nothing does."""
        if self.pagination.windows is not None:
            return "the window"
        if self.incremental is not None and (target := self.incremental.to) is not None:
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
            *self._paths_of_rules(),
            *(token.body_paths if token is not None else ()),
            *(path for limit in self.rate_limit or () for path in limit.body_paths),
        )

    def _paths_of_rules(self) -> Iterator[str]:
        """The paths that rules read in bodies that may be pages."""
        pages = PAGES.union(*(rule.statuses for rule in self.responses if rule.do == "page"))
        for rule in self.responses:
            if rule.when is not None and not pages.isdisjoint(rule.statuses):
                yield rule.when.path

    @field_validator("partitions")
    @classmethod
    def _distinct(cls, value: dict[str, Any]) -> dict[str, Any]:
        issues = Issues()
        found = [name for name, values in value.items() if isinstance(values, FoundIn)]
        for name in found[1:]:
            issues.add((name,), f"{found[0]} is found, too; the values of one name can be found")
        for name, values in value.items():
            if not re.fullmatch(r"\w[\w-]*", name):
                issues.add((name,), "a partition name has letters, digits, _ and - only")
            elif isinstance(values, FoundIn):
                for number in values.carried_as(value):
                    issues.add(
                        (name, "carry", number),
                        f"{values.carry[number]} is a partition, too, and "
                        f"{{partition.{values.carry[number]}}} is one of both",
                    )
            elif flaw := _flaw_of(values):
                issues.add((name,), f"{name} has {flaw}")
        listed_values = (values for name, values in value.items() if name not in found)
        if (count := math.prod(map(len, listed_values))) > MAX_PARTITIONS:
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
    def _in_general_form(self) -> HttpConfig:
        """The short forms of `responses` become rules of it."""
        written = [rule for rule in self.responses if not rule.short]
        self.__dict__["responses"] = general_rules(written, self.on_status, self.on_body)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> HttpConfig:
        issues = Issues()
        if not self.url:
            issues.add(("url",), "url is missing: give url, or origin with path", "origin")
        if (self.origin is None) != (self.path is None):
            issues.add(("path",), "origin and path go together", "origin")
        self._check_bodies(issues)
        check_carriers(self, issues)
        self._check_marks(issues)
        self._check_secret_places(issues)
        self._check_placeholders(issues)
        self._check_conditional(issues)
        self._check_windows(issues)
        self._check_actions(issues)
        if self.pagination.seams and self.records.shape.divides:
            issues.add(
                ("pagination", "seam"),
                "the item that two pages share is several records, or none, so seams cannot be "
                "compared",
                "records",
                remedy="take seam out, or the each and zip of records",
            )
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

    def _check_bodies(self, issues: Issues) -> None:
        """A request has one body, and a GET has none."""
        there = (self.body is not None, bool(self.form), self.text is not None)
        given = [
            key for key, is_there in zip(("body", "form", "text"), there, strict=True) if is_there
        ]
        for key in given:
            if key == given[0] and self.method == "GET":
                issues.add((key,), f"a {key} needs method: POST", "method")
            if key != given[0]:
                issues.add(
                    (key,),
                    f"{given[0]} and {key} are both given, and a request has one body",
                    given[0],
                    remedy="take one of them out",
                )

    def _check_marks(self, issues: Issues) -> None:
        """The mark goes out in one way: by `param` or `to`, by the placeholder, or by a window."""
        marked = self.marked_texts()
        incremental = self.incremental
        if incremental is None:
            for path in marked:
                issues.add(path, "{mark} needs incremental", "incremental")
        elif self.pagination.windows is None:
            if incremental.to is not None and marked:
                issues.add(
                    incremental.target_path, "the mark is carried twice: here, and by {mark}"
                )
            elif incremental.to is None and not marked and not incremental.reads_all:
                issues.add(
                    ("incremental", "param"),
                    (
                        "the mark goes nowhere: set param or to, or write {mark} in url, params, "
                        "headers, body, form or text; a source that takes no bound is read whole "
                        "with below_bound: drop, or down to the mark with order: descending"
                    ),
                    *_MARK_PLACES,
                )

    def _check_actions(self, issues: Issues) -> None:
        """Pages that are left out, or asked for smaller, are counted by us."""
        for rule in self.responses:
            if rule.do in ("skip", "smaller_page") and (why := self.pagination.refuses(rule.do)):
                path = rule.written_as
                at = path if path[0] == "on_status" else (*path, "do")
                issues.add(
                    at,
                    f"{rule.do} {why}",
                    "pagination",
                    remedy="use retry, fail or empty, or another pagination",
                )

    def _check_windows(self, issues: Issues) -> None:
        keys = self.pagination.windows
        if keys is None:
            return
        at = ("pagination", *self.pagination.windows_at)
        around = Surroundings(
            incremental=self.incremental,
            marked=self.marked_texts(),
            conditional=self.conditional,
            rules=self.responses,
            stop_codes=frozenset(rule.code for rule in self.stop.status),
        )
        check_windows(keys, at, around, issues)

    def _check_placeholders(self, issues: Issues) -> None:
        for path, text in (*self._texts(), *self._secret_texts()):
            for place in partitions_in(text):
                if (wrong := self._wrong_place(place, path)) is not None:
                    issues.add(path, wrong, "partitions")
        self._check_header_values(issues)
        for name, value in self._listed_in_path():
            try:
                others = dict.fromkeys(self.partition_values, "x")
                filled_url(self.url, others | {name: value}, "x")
            except PermanentError as error:
                at = [*map(str, self.listed[name])].index(value)
                issues.add(("partitions", name, at), error.message, "url", remedy=error.remedy)

    def _check_secret_places(self, issues: Issues) -> None:
        """`{secret.NAME}` stands in the url, and `auth` has a secret of that name for it."""
        known = {name: path for path, each in paths_of(self.auth) for name in each.url_secrets}
        placed = names_in(self.url)
        for path, text in self._texts():
            for name in names_in(text):
                self._check_secret_place(path, name, tuple(known), issues)
        for name, path in known.items():
            if name not in placed:
                issues.add(
                    (*path, "name"),
                    f"the secret {name} goes nowhere: url has no {{secret.{name}}}",
                    "url",
                    remedy=f"write {{secret.{name}}} where the key stands in url",
                )

    def _check_secret_place(
        self, path: Path_, name: str, known: Sequence[str], issues: Issues
    ) -> None:
        if path != ("url",):
            issues.add(
                path,
                f"{{secret.{name}}} has no meaning here: it stands in url only",
                remedy="give the whole value as a reference: {env: NAME}",
            )
        elif name not in known:
            hint = did_you_mean(name, known)
            issues.add(
                path,
                f"{{secret.{name}}} names no secret{'; ' + hint if hint else ''}",
                "auth",
                remedy=f"give it: auth: {{type: api_key, in: path, name: {name}, value: ...}}",
            )

    def _check_header_values(self, issues: Issues) -> None:
        """Values that go into a header can stand in one."""
        used = {place.name for text in self.plain_headers.values() for place in partitions_in(text)}
        listed_values = self.listed
        for name in used & set(listed_values):
            for number, value in enumerate(listed_values[name]):
                with issues.at("partitions", name, number):
                    header_value(str(value))

    def _wrong_place(self, place: PartitionPlace, path: Path_) -> str | None:
        """What is wrong with a placeholder in the text at a path; None where nothing is."""
        name, form = place
        if name not in self.partition_values:
            known = self.partition_values
            hint = did_you_mean(name, known)
            there = listed(known) if known else "there are no partitions"
            return f"{{partition.{name}}} names no partition; {hint + '; ' if hint else ''}{there}"
        in_path = path == ("url",) and place in in_path_of(self.url)
        if form and not (form == ":path" and in_path):
            return (
                f"{{partition.{name}{form}}} has no meaning here: :path keeps / in the path of "
                f"url; write {{partition.{name}}}"
            )
        return None

    def _listed_in_path(self) -> Iterator[tuple[str, str]]:
        """(partition, value) of every listed value that the path of the url gets."""
        for name in {place.name for place in in_path_of(self.url)}:
            for value in self.listed.get(name, ()):
                yield name, str(value)

    def split_values(self) -> Iterator[tuple[str, str]]:
        """(partition, value) of the listed values whose `/` is no separator in the url."""
        plain = {place.name for place in in_path_of(self.url) if not place.form}
        return (
            (name, value)
            for name, value in self._listed_in_path()
            if name in plain and "/" in value
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
        yield from _texts_in(self.form, ("form",))
        yield from _texts_in(self.text, ("text",))

    def _secret_texts(self) -> Iterator[tuple[Path_, str]]:
        for path, secret in self.secrets():
            if isinstance(secret, SecretRef):
                for text in secret.texts:
                    yield path, text


def _references(values: Mapping[str, Any]) -> dict[str, SecretRef]:
    """Those of the values that are references to secrets."""
    return {name: value for name, value in values.items() if isinstance(value, SecretRef)}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are no references to secrets."""
    return {name: value for name, value in values.items() if not isinstance(value, SecretRef)}


def _credential(parts: Mapping[str, Any]) -> str:
    return json.dumps(parts, default=lambda model: model.model_dump(mode="json"), sort_keys=True)


def _texts_in(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts_in(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _texts_in(inner, (*path, number))


def _flaw_of(values: Sequence[str | int]) -> str:
    """What is wrong with the listed values of a partition; empty where nothing is."""
    if not values:
        return "no values, at least one is needed"
    if len(set(map(str, values))) != len(values):
        return "a value twice, partitions are distinct"
    return ""
