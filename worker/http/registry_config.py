"""Schema registries, and schemas that are in one.

They are named by `schema`, `output_schema`, `decode.registry` and `sink.register`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from worker.components import AUTH
from worker.config.chosen import ByType
from worker.config.model import Model
from worker.config.references import SchemaFile
from worker.config.scalars import Url
from worker.config.schema_file import FilesConfig
from worker.http.auth import AuthConfig
from worker.http.tls import TlsConfig

RegistryAuth = Annotated[AuthConfig, ByType(AUTH, only=("basic", "bearer"))]


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
    # no keys of the language: pydantic puts these words into the place of an error
    if not isinstance(value, dict | SubjectConfig | FilesConfig):
        return "a file"
    files = isinstance(value, FilesConfig) or (isinstance(value, dict) and "file" in value)
    return "of files" if files else "in a registry"


SchemaRef = Annotated[
    Annotated[Path, SchemaFile(), Tag("a file")]
    | Annotated[SubjectConfig, Tag("in a registry")]
    | Annotated[FilesConfig, Tag("of files")],
    Discriminator(_kind_of_schema),
]
"""An Avro schema: a file, several files, or a subject in a registry."""
