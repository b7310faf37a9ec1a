"""The settings of decoding: formats of a page, writer's schemas, and schema registries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from worker.config.model import Issues, Model
from worker.sources.http_config import BasicAuth, BearerAuth, TlsConfig, Url

RegistryAuth = Annotated[BasicAuth | BearerAuth, Field(discriminator="type")]


class RegistryConfig(Model):
    """A schema registry with the REST interface of Confluent's."""

    url: Url = Field(description="base URL of the registry")
    auth: RegistryAuth | None = Field(None, description="credentials: basic or bearer")
    tls: TlsConfig = Field(default_factory=TlsConfig, description="TLS")


def _version(value: Any) -> Any:
    if value != "latest" and (type(value) is not int or value < 1):
        raise ValueError("a version is a whole number from 1 on, or latest")
    return value


Version = Annotated[
    int | str,
    BeforeValidator(_version),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "latest"}]}),
]


class RegisterConfig(Model):
    """A subject that gets the schema of the files as its next version."""

    registry: Url = Field(description="base URL of the registry")
    subject: str = Field(min_length=1, description="subject in the registry")
    auth: RegistryAuth | None = Field(None, description="credentials: basic or bearer")
    tls: TlsConfig = Field(default_factory=TlsConfig, description="TLS")

    @property
    def server(self) -> RegistryConfig:
        """The registry."""
        return RegistryConfig(url=self.registry, auth=self.auth, tls=self.tls)


class SubjectConfig(RegisterConfig):
    """A schema in a registry instead of a file."""

    version: Version = Field(
        "latest", description="version of the subject, or latest: the newest at the start of a run"
    )


def _kind_of_schema(value: Any) -> str:
    return (
        "in a registry" if isinstance(value, dict | SubjectConfig) else "a file"
    )  # no keys: pydantic puts them into the place of an error


SchemaRef = Annotated[
    Annotated[Path, Tag("a file")] | Annotated[SubjectConfig, Tag("in a registry")],
    Discriminator(_kind_of_schema),
]
"""An Avro schema: a file, or a subject in a registry."""

Files = Annotated[
    tuple[Path, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str | Path) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class DecodeConfig(Model):
    """How pages are read."""

    type: Literal["json", "ndjson", "avro"] = Field("json", description="format of a page")
    encoding: Literal["plain", "avro"] = Field(
        "plain",
        description="of JSON and NDJSON: plain, or avro: the JSON encoding of the Avro specification, where values of unions say their branch",
    )
    framing: Literal["container", "single_object", "confluent", "raw"] = Field(
        "container",
        description="of Avro: an object container, or messages one behind the other: single objects, Confluent's wire format, or datums alone",
    )
    writer_schema: Files = Field(
        (),
        description="Avro schemas that datums were written with, relative to the config file: one for raw, any number for single_object",
    )
    registry: RegistryConfig | None = Field(
        None, description="where the schemas of Confluent's wire format are"
    )

    @model_validator(mode="after")
    def _fitting(self) -> DecodeConfig:
        issues = Issues()
        given = self.model_fields_set
        if self.type != "avro":
            for key in sorted({"framing", "writer_schema", "registry"} & given):
                issues.add((key,), f"{key} has a meaning with decode.type avro only", "type")
        else:
            if "encoding" in given:
                issues.add(
                    ("encoding",),
                    "encoding has a meaning with decode.type json and ndjson only",
                    "type",
                )
            if self.framing == "raw" and len(self.writer_schema) != 1:
                issues.add(
                    ("framing",),
                    f"raw datums need writer_schema, one file; {len(self.writer_schema)} are given",
                    "writer_schema",
                )
            if self.framing in ("container", "confluent") and self.writer_schema:
                issues.add(
                    ("writer_schema",),
                    f"the writer's schema of a {self.framing} body is not configured: the data names it",
                    "framing",
                )
            if self.framing == "confluent" and self.registry is None:
                issues.add(
                    ("framing",),
                    "Confluent's wire format names schemas by their ids in a registry: set decode.registry",
                    "registry",
                )
            if self.framing != "confluent" and self.registry is not None:
                issues.add(
                    ("registry",),
                    f"a registry has a meaning with framing confluent only, not with {self.framing}",
                    "framing",
                )
        issues.check()
        return self
