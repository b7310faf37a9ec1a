"""Config files and environment -> frozen Settings. The only place that knows where settings come from."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.config.steps import Step
from worker.config.types import Duration, Model, Name, Size
from worker.config.yaml import Document, Path_, load_yaml, shown
from worker.core.errors import ConfigError
from worker.sources.http_config import HttpConfig

PREFIX: Final = "WORKER_"
IGNORED: Final = ("WORKER_PORT", "WORKER_SERVICE_")  # Kubernetes sets these for a service called worker


class StateConfig(Model):
    path: Path = Field(default_factory=lambda: Path(os.environ.get("STATE_DIRECTORY", "var/state").split(":")[0]), description="directory of the commit log")


class AdminConfig(Model):
    listen: str | None = Field("127.0.0.1:9464", pattern=r"^.+:\d+$", description="host:port of /metrics, /healthz and /status; null: none")


class LoggingConfig(Model):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is written")
    format: Literal["json", "console"] | None = Field(None, description="default: console on a terminal, else json")


class ShutdownConfig(Model):
    deadline: Duration = Field(30.0, description="how long a drain may take")


class DecodeConfig(Model):
    type: Literal["json", "ndjson"] = Field("json", description="format of a page")


class ValidationConfig(Model):
    unknown_fields: Literal["drop", "reject"] = Field("drop", description="fields that the schema lacks")
    missing_fields: Literal["fill", "reject"] = Field("fill", description="nullable fields without a default that are absent")
    bytes: Literal["latin1", "base64"] = Field("latin1", description="how bytes are written in JSON")


class RollConfig(Model):
    records: int = Field(100_000, gt=0, description="records of the pipeline that trigger a commit")
    bytes: Size = Field(128 * 1024**2, description="encoded size at which a file is closed and the next part begun")
    age: Duration = Field(300.0, description="time since the first staged record that triggers a commit")


class FilesConfig(Model):
    type: Literal["files"] = Field("files", description="kind of sink")
    path: Path = Field(description="output directory, relative to the working directory")
    format: Literal["avro", "ndjson"] = Field("avro", description="file format")
    codec: Literal["null", "deflate", "zstandard", "snappy", "gzip"] = Field("zstandard", description="compression: of Avro blocks, or null or gzip for NDJSON")
    partition_by: str | None = Field(None, description="directory below path, from fields of the record")
    roll: RollConfig = Field(RollConfig(), description="when to commit")
    max_open_files: int = Field(64, ge=1, description="open files at once")


class DeadLettersConfig(Model):
    path: Path | None = Field(None, description="directory; default: <state>/dead_letters/<pipeline>")


class PipelineSettings(Model):
    """One configured flow."""

    enabled: bool = Field(True, description="false: is not run")
    source: HttpConfig = Field(description="where records come from")
    decode: DecodeConfig = Field(DecodeConfig(), description="how pages are read")
    schema_: Path = Field(alias="schema", description="Avro schema, relative to the config file")
    validation: ValidationConfig = Field(ValidationConfig(), description="what to do about differences")
    transforms: tuple[Step, ...] = Field((), description="what happens to records, in order")
    output_schema: Path | None = Field(None, description="Avro schema of the files, when transforms change the shape; relative to the config file")
    sink: FilesConfig = Field(description="where records go")
    dead_letters: DeadLettersConfig = Field(DeadLettersConfig(), description="where rejects go")
    channel_bytes: Size = Field(8 * 1024**2, description="memory between two stages; it fills when the next one is slower")
    require_delivery: Literal["at_most_once", "at_least_once", "exactly_once"] | None = Field(None, description="refuse to start with less")
    require_completeness: Literal["unknown", "assumed", "proven"] | None = Field(None, description="refuse to start with less")

    def meaning(self) -> dict[str, str]:
        """Fingerprints of the keys that give the cursor its meaning. Credentials are no part of them."""
        source = self.source
        keys = {
            "url": source.url,
            "params": source.params,
            "pagination": source.pagination.model_dump(mode="json", by_alias=True),
            "incremental": source.incremental.model_dump(mode="json", by_alias=True) if source.incremental else None,
            "partitions": sorted(source.partitions),
            "records": source.records,
        }
        return {name: hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()[:16] for name, value in keys.items()}


class Settings(BaseSettings):
    """Everything that is configured."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True
    )

    version: Literal[1] = Field(description="version of the config language")
    name: Name = Field("worker", description="name of this instance")
    state: StateConfig = Field(default_factory=StateConfig, description="the commit log")
    admin: AdminConfig = Field(AdminConfig(), description="the admin server")
    logging: LoggingConfig = Field(LoggingConfig(), description="logs")
    shutdown: ShutdownConfig = Field(ShutdownConfig(), description="how it ends")
    pipelines: dict[Name, PipelineSettings] = Field(min_length=1, description="the pipelines")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)


def load_settings(paths: Sequence[Path]) -> Settings:
    """Reads, merges and checks config files. Raises one ConfigError that lists every problem with its place."""
    documents = [load_yaml(path) for path in paths]
    values = _merged(documents)
    _check_environment(values, os.environ)
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = [_problem(documents, each, values) for each in error.errors(include_url=False, include_context=True)]
        raise ConfigError("\n".join(problems)) from None


def _merged(documents: Sequence[Document]) -> dict[str, Any]:
    """The first file, and the pipelines of all; `defaults` lie under the pipelines of their own file."""
    merged: dict[str, Any] = {}
    for document in documents:
        values = dict(document.values)
        defaults = values.pop("defaults", {})
        pipelines = values.get("pipelines")
        if isinstance(pipelines, dict) and isinstance(defaults, dict):
            values["pipelines"] = {name: _placed(_deep(defaults, each), Path(document.file).parent) for name, each in pipelines.items()}
        if not merged:
            merged = values
            continue
        extra = sorted(set(values) - {"pipelines", "version"})
        if extra:
            raise ConfigError(
                f"{', '.join(extra)} may only stand in the first file", where=document.place((extra[0],)), remedy="further files hold pipelines only"
            )
        for name, each in values.get("pipelines", {}).items():
            if name in merged.get("pipelines", {}):
                raise ConfigError(f"pipeline {name!r} stands in two files", where=document.place(("pipelines", name)))
            merged.setdefault("pipelines", {})[name] = each
    return merged


def _placed(pipeline: Any, directory: Path) -> Any:
    if not isinstance(pipeline, dict):
        return pipeline
    return pipeline | {key: str(directory / pipeline[key]) for key in ("schema", "output_schema") if isinstance(pipeline.get(key), str)}


def _deep(under: Any, over: Any) -> Any:
    """Maps are merged deep, everything else is replaced."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    return {**under, **{key: _deep(under.get(key), value) for key, value in over.items()}}


def _check_environment(values: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """WORKER_ variables that override nothing are mistakes."""
    known = {name.upper() for name in Settings.model_fields}
    pipelines = {name.upper() for name in values.get("pipelines") or {}}
    for name in environ:
        if not name.startswith(PREFIX) or name == IGNORED[0] or name.startswith(IGNORED[1]):
            continue
        parts = name[len(PREFIX) :].split("__")
        if parts[0] not in known:
            close = difflib.get_close_matches(parts[0], known, 1)
            hint = f"did you mean {PREFIX}{close[0]}? " if close else ""
            raise ConfigError(f"the environment variable {name} overrides nothing", remedy=f"{hint}unset it")
        if parts[0] == "PIPELINES" and (len(parts) < 3 or parts[1] not in pipelines):
            raise ConfigError(f"the environment variable {name} names no pipeline of the config", remedy="an override never creates a pipeline")


def _problem(documents: Sequence[Document], error: Any, values: Any) -> str:
    path = _config_path(error["loc"], values)
    document = next((each for each in documents if path[:2] in each.lines), documents[0])
    place = document.place(path)
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(path[-1]), _siblings(path), 1)
        return f"{place}: unknown key" + (f"; did you mean {close[0]!r}?" if close else "; " + _allowed(path))
    if error["type"] == "missing":
        return f"{place}: is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}"


def _config_path(loc: Sequence[str | int], values: Any) -> Path_:
    """The path as it stands in the file: pydantic adds names of union branches to it."""
    path: list[str | int] = []
    for number, part in enumerate(loc):
        if isinstance(values, dict) and (str(part) in values or part in values):
            values = values.get(str(part), values.get(part))
            path.append(str(part))
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
            path.append(part)
        elif number == len(loc) - 1:
            path.append(part)
    return tuple(path)


def _model_at(path: Path_) -> Any:
    model: Any = Settings
    for part in path[:-1]:
        fields = getattr(model, "model_fields", None)
        if fields is None:
            return None
        found = next((each for name, each in fields.items() if part in (name, each.alias)), None)
        if found is None:
            return None
        model = PipelineSettings if part == "pipelines" else found.annotation
        if part == "pipelines":
            return _model_below(path[2:])
    return model


def _model_below(path: Path_) -> Any:
    model: Any = PipelineSettings
    for part in path[:-1]:
        found = next((each for name, each in model.model_fields.items() if part in (name, each.alias)), None)
        model = found.annotation if found else None
        if not hasattr(model, "model_fields"):
            return None
    return model


def _siblings(path: Path_) -> list[str]:
    fields = getattr(_model_at(path), "model_fields", {})
    return [each.alias or name for name, each in fields.items()]


def _allowed(path: Path_) -> str:
    names = _siblings(path)
    return f"allowed are {', '.join(names)}" if names else f"{shown(path[:-1])} has no such key"
