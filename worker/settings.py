"""Config files and environment -> frozen Settings.

The only place that knows where settings come from.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.components import FORMATS, SINKS, SOURCES, STATE, TRANSFORMS
from worker.config.chosen import ByType, ByVerb, Step, default_of
from worker.config.cross_checks import conflicting, misled, misprinted, pipelines_of
from worker.config.directories import Directory
from worker.config.dotenv import NAME as ENV_FILE
from worker.config.dotenv import environ_beside
from worker.config.effects import Effect, without_effect
from worker.config.explain import problems_of
from worker.config.mark_format import with_mark_format
from worker.config.merge import merge
from worker.config.merged import Merged
from worker.config.model import Issues, Model
from worker.config.problems import ConfigProblems, Place, Problem, did_you_mean, in_order, listed
from worker.config.references import OutputDirectory
from worker.config.scalars import (
    Duration,
    Flag,
    Name,
    Number,
    PositiveDuration,
    Size,
    Url,
    Whole,
    unit_field,
)
from worker.config.yaml import Document, load_yaml
from worker.core.errors import ConfigError
from worker.core.meaning import MARK, SPLIT, leaves
from worker.formats.component import DecodeConfig
from worker.http.auth.keys import AuthKeys
from worker.http.registry_config import SchemaRef
from worker.sinks.config import SinkConfig
from worker.sources.http_config import HttpConfig
from worker.sources.rate_limit import RateLimits
from worker.state.config import StateConfig

MAX_PORT: Final = 65_535
_NO_SCHEMA: Final = "none.avsc"

Compatibility = Literal[
    "none",
    "backward",
    "backward_transitive",
    "forward",
    "forward_transitive",
    "full",
    "full_transitive",
]

_HARMLESS_HEADER: Final = re.compile(
    r"^(accept|accept-encoding|user-agent|from|referer)$"
    r"|authorization|cookie|token|secret|password|credential|api-?key"
    r"|request-id|correlation|trace",
    re.IGNORECASE,
)
"""Request headers that do not say what is read.

They are forms of the answer, credentials, which are rotated, and names of the asker and of the
request.
"""


class AdminConfig(Model):
    """The admin server."""

    listen: str | None = Field(
        "127.0.0.1:9464",
        pattern=r"^.+:\d{1,5}$",
        description="host:port of /metrics, /healthz and /status; null: none",
    )
    hosts: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], ...] = Field(
        (),
        description=(
            "names that requests may ask for, beside addresses, localhost and the host of listen"
        ),
    )

    @field_validator("listen")
    @classmethod
    def _port(cls, value: str | None) -> str | None:
        if value is not None and int(value.rpartition(":")[2]) > MAX_PORT:
            raise ValueError(f"a port is at most {MAX_PORT}")
        return value


class LoggingConfig(Model):
    """Logs, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is written"
    )
    format: Literal["json", "console"] | None = Field(
        None, description="default: console on a terminal, else json"
    )


class ShutdownConfig(Model):
    """How a run ends after a signal."""

    deadline: Duration = unit_field("30s", description="how long a drain may take")


class ValidationConfig(Model):
    """What to do about differences between records and schema."""

    unknown_fields: Literal["drop", "reject", "keep"] = Field(
        "drop", description="fields that the schema lacks; keep: as JSON text in the field `into`"
    )
    into: str = Field(
        "_rest",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description=(
            "nullable string field that keeps them, which the schema of the files gets unless it "
            "is there"
        ),
    )
    missing_fields: Literal["fill", "reject"] = Field(
        "fill", description="nullable fields without a default that are absent"
    )
    bytes: Literal["latin1", "base64"] = Field(
        "latin1", description="how bytes are written in JSON"
    )

    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "into",
            lambda rules: rules.unknown_fields == "keep",
            "nothing is kept of fields that the schema lacks",
            "it counts with unknown_fields: keep",
        ),
    )
    """Keys that count only beside others."""

    @property
    def kept(self) -> str:
        """The field that keeps what the schema lacks; empty for none."""
        return self.into if self.unknown_fields == "keep" else ""


class DeadLettersConfig(Model):
    """Where rejects go, and when there are too many of them."""

    path: Annotated[Directory, OutputDirectory("dead letters")] | None = Field(
        None,
        description=(
            "directory, relative to the working directory; default: <state>/dead_letters/<pipeline>"
        ),
    )
    max_ratio: Number = Field(
        0.5,
        gt=0,
        le=1,
        description=(
            "a greater share of rejects pauses the pipeline, from 100 records on, or from 10 at "
            "the end of a pass; 1: none does"
        ),
    )
    window: Whole = Field(1000, ge=100, description="records that the share is taken of")
    keep: Literal["raw", "masked", "errors"] = Field(
        "raw",
        description=(
            "what is stored of a rejected record: raw, which a replay needs; masked hides the "
            "fields of mask steps; errors keeps its place and the reasons only"
        ),
    )
    keep_for: PositiveDuration | None = Field(
        None,
        description=(
            "how long dead letters are kept, replayed or not; null: until `worker dlq purge`"
        ),
    )


class OriginConfig(Model):
    """A server that several pipelines read from."""

    url: Url = Field(description="URL that the `path` of a source is added to")
    auth: AuthKeys | None = Field(None, description="credentials, or a list of several")
    rate_limit: RateLimits | None = Field(
        None, description="requests, or their cost, in a time, of all pipelines together; or a list"
    )
    concurrency: Whole = Field(4, ge=1, le=256, description="requests at once")


class PipelineSettings(Model):
    """One configured flow."""

    enabled: Flag = Field(True, description="false: is not run")
    source: Annotated[HttpConfig, ByType(SOURCES, default="http")] = Field(
        description="where records come from"
    )
    decode: Annotated[DecodeConfig, ByType(FORMATS, part="Decode", default="json")] = Field(
        default_of(), description="how pages are read"
    )
    schema_: SchemaRef = Field(
        alias="schema",
        description=(
            "Avro schema: a file, relative to the config file, several files, or a subject in a "
            "registry; `worker schema infer` proposes one"
        ),
    )
    validation: ValidationConfig = Field(
        default_factory=ValidationConfig, description="what to do about differences"
    )
    transforms: tuple[Annotated[Step, ByVerb(TRANSFORMS, "One transform.")], ...] = Field(
        (), description="what happens to records, in order"
    )
    output_schema: SchemaRef | None = Field(
        None,
        description=(
            "Avro schema of the files, when transforms change the shape; written like schema"
        ),
    )
    schema_compatibility: Compatibility = Field(
        "backward",
        description=(
            "what a changed schema of the files must be to the ones committed before; none: "
            "anything goes"
        ),
    )
    sink: Annotated[SinkConfig, ByType(SINKS, default="files")] = Field(
        description="where records go"
    )
    dead_letters: DeadLettersConfig = Field(
        default_factory=DeadLettersConfig, description="where rejects go"
    )
    channel_bytes: Size | None = unit_field(
        None,
        description="most memory for pages of this pipeline, within `memory`; default: no such cap",
    )
    require_delivery: Literal["at_most_once", "at_least_once", "exactly_once"] | None = Field(
        None, description="refuse to start with less"
    )
    require_completeness: Literal["unknown", "assumed", "proven"] | None = Field(
        None, description="refuse to start with less"
    )

    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "source.records_missing",
            lambda pipeline: not pipeline.decode.one_record and pipeline.source.records.may_miss,
            "the whole page is the records, so no path can be missing",
            "it counts with records: PATH, and a decode.type other than avro and csv",
        ),
        Effect(
            "dead_letters.keep",
            lambda pipeline: (
                pipeline.dead_letters.keep != "masked"
                or any(verb == "mask" for verb, _ in pipeline.transforms)
            ),
            "no step masks a field, so there is nothing to hide",
            "masked counts with a mask step; errors keeps no record",
        ),
    )
    """Keys that count only beside others."""

    @model_validator(mode="before")
    @classmethod
    def _one_time_format(cls, raw: Any) -> Any:
        return with_mark_format(raw)

    @model_validator(mode="after")
    def _consistent(self) -> PipelineSettings:
        issues = Issues()
        if self.dead_letters.path is not None and self.dead_letters.path.absolute().is_relative_to(
            self.sink.path.absolute()
        ):
            where = (
                "is sink.path"
                if self.dead_letters.path == self.sink.path
                else f"lies below sink.path {self.sink.path}"
            )
            issues.add(
                ("dead_letters", "path"),
                (
                    f"{self.dead_letters.path} {where}, whose listing is the records; name a "
                    "directory that they do not share"
                ),
            )
        self._check_decode(issues)
        issues.check()
        return self

    def _check_decode(self, issues: Issues) -> None:
        """What the format settles need not be said, and cannot be said otherwise."""
        decode = self.decode
        if decode.one_record and self.source.records.given:
            issues.add(
                ("source", "records"),
                f"records has no meaning with decode.type {decode.type}: {decode.one_record}",
            )
        for key, (allowed, why) in decode.settled.items():
            if (found := getattr(self.validation, key)) not in allowed:
                issues.add(("validation", key), f"{found} {why}", "encoding")

    def meaning(self) -> dict[str, str]:
        """The fingerprint of the keys that give the cursor its meaning; see `core/meaning.py`.

        Credentials are no part of it.

        Defaults are left out, so that a key which a later version adds does not change what a
        stored cursor means.
        """
        source = self.source
        groups: dict[str, Any] = {
            "url": source.url,
            "params": source.plain_params,
            "pagination": source.pagination.model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            ),
            "incremental": source.incremental.model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            )
            if source.incremental
            else None,
            "partitions": sorted(source.partitions),
            "records": source.records.meaning,
            "key": source.key,
            "method": source.method,
            "headers": {
                name.lower(): value
                for name, value in source.plain_headers.items()
                if not _HARMLESS_HEADER.search(name)
            },
        }
        contents = {"body": source.body, "form": source.form or None, "text": source.text}
        groups |= {name: value for name, value in contents.items() if value is not None}
        keys = dict(leaves({name: groups[name] for name in SPLIT}))
        hashes = {
            name: hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16]
            for name, value in (groups | keys).items()
        }
        return hashes | {MARK: source.mark_kind}


class Settings(BaseSettings):
    """Everything that is configured."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    version: Literal[1] = Field(description="version of the config language: 1")
    name: Name = Field("worker", description="name of this instance")
    state: Annotated[StateConfig, ByType(STATE, default="sqlite")] = Field(
        default_of(), description="the commit log"
    )
    admin: AdminConfig = Field(default_factory=AdminConfig, description="the admin server")
    logging: LoggingConfig = Field(default_factory=LoggingConfig, description="logs")
    shutdown: ShutdownConfig = Field(default_factory=ShutdownConfig, description="how it ends")
    memory: Size | None = unit_field(
        None,
        description=(
            "memory for the pages of all pipelines: bodies in flight, decoded pages and what is "
            "made of them; default: half of what the limit of the container, or the machine, "
            "leaves beside 64 MiB"
        ),
    )
    origins: dict[Name, OriginConfig] = Field(
        {}, description="servers that several pipelines read from, by source.origin"
    )
    pipelines: dict[Name, PipelineSettings] = Field(min_length=1, description="the pipelines")

    _environ: Mapping[str, str] = PrivateAttr(default=os.environ)

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that references to secrets are looked up in: those of the process, and
        behind them those of `.env` beside the config.
        """
        return self._environ

    def beside(self, environ: Mapping[str, str]) -> Settings:
        """These settings, whose secrets are looked up in `environ`."""
        self._environ = environ
        return self

    def pipeline(self, name: str) -> PipelineSettings:
        """A pipeline that a command names. Raises ConfigError for one that there is not."""
        if name not in self.pipelines:
            hint = did_you_mean(name, self.pipelines)
            there = listed(self.pipelines).replace("allowed are", "there are", 1)
            raise ConfigError(f"no pipeline is called {name}", remedy=f"{hint} {there}".lstrip())
        return self.pipelines[name]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only the values that worker/config/merge.py merged: those know their places."""
        return (init_settings,)


# -- loading ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Inspection:
    """A config as far as it could be read.

    Attributes:
        settings: None when there are problems.
        environ: what references to secrets are looked up in.
        merged: the values with their places, also when there are problems.
    """

    merged: Merged
    settings: Settings | None = None
    problems: Sequence[Problem] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def usable(self) -> Settings | None:
        """Settings of those pipelines that are right, for further checks; None without any."""
        if self.settings is not None:
            return self.settings
        try:
            usable = Settings(version=1, pipelines=_right_pipelines(self.merged))
        except ValidationError:
            return None
        return usable.beside(self.environ)


def _right_pipelines(merged: Merged) -> dict[str, PipelineSettings]:
    """The pipelines that are right by themselves."""
    right: dict[str, PipelineSettings] = {}
    for name, each in pipelines_of(merged):
        try:
            right[name] = PipelineSettings.model_validate(each)
        except ValidationError:
            continue
    return right


def inspect_settings(paths: Sequence[Path], *, without_schema: bool = False) -> Inspection:
    """Reads, merges and checks config files and the environment.

    Problems are returned, not raised.

    Args:
        without_schema: pipelines need no `schema` yet; the settings of one without name a file
            that there is not.
    """
    documents, problems = _read(paths)
    if not documents or documents[0].file != str(paths[0]):
        # without the first file nothing can be said of what the others add
        for document in documents:
            problems += document.problems
        return Inspection(Merged(), None, in_order(problems, paths))
    merged = merge(documents, os.environ, Settings)
    if without_schema:
        _name_no_schema(merged)
    settings, wrong = problems_of(Settings, merged)
    # null stands where a value could not be read: the models need not say more of it
    unread = {problem.place for problem in merged.problems if problem.code == "yaml"}
    problems += merged.problems
    problems += (problem for problem in wrong if problem.place not in unread)
    problems += (*misprinted(merged), *conflicting(merged), *misled(merged))
    for name, pipeline in _right_pipelines(merged).items():
        problems += without_effect(merged, pipeline, ("pipelines", name))
    environ = _environ_beside(paths[0], problems)
    right = None
    if isinstance(settings, Settings) and not problems:
        right = settings.beside(environ)
    return Inspection(merged, right, in_order(problems, paths), environ)


def _environ_beside(path: Path, problems: list[Problem]) -> Mapping[str, str]:
    """What references to secrets are looked up in; a `.env` that cannot be read is a problem."""
    try:
        return environ_beside(path)
    except ConfigError as error:
        place = Place(str(path.parent / ENV_FILE), 0, "")
        problems.append(Problem("file", place, error.message, remedy=error.remedy))
        return os.environ


def _name_no_schema(merged: Merged) -> None:
    """Lets pipelines without `schema` name a file that there is not."""
    for _, pipeline in pipelines_of(merged):
        if isinstance(pipeline, dict):
            pipeline.setdefault("schema", _NO_SCHEMA)


def _read(paths: Sequence[Path]) -> tuple[list[Document], list[Problem]]:
    """The files that are YAML, and what is wrong with the others."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            documents.append(load_yaml(path))
        except ConfigProblems as error:
            problems += error.problems
    return documents, problems


def load_settings(paths: Sequence[Path], *, without_schema: bool = False) -> Settings:
    """Reads, merges and checks config files; the argument is that of `inspect_settings`.

    Raises one ConfigError that lists every problem with its place.
    """
    inspection = inspect_settings(paths, without_schema=without_schema)
    if inspection.settings is None:
        raise ConfigProblems(inspection.problems)
    return inspection.settings


# -- the terminal ----------------------------------------------------------------------------------


def colors(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a terminal may get colors (no-color.org)."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


# -- the service manager ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """What systemd tells its service: where to notify, and how often it wants that (0: never)."""

    notify_socket: str = ""
    watchdog_s: float = 0.0


def service_manager(environ: Mapping[str, str] = os.environ) -> ServiceManager:
    """Read from NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (sd_watchdog_enabled(3))."""
    mine = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "0")
    return ServiceManager(
        environ.get("NOTIFY_SOCKET", ""),
        int(microseconds) / 1e6 if mine and microseconds.isdigit() else 0.0,
    )
