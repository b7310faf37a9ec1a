"""What all sinks have in common: their keys, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from worker.config.directories import Directory
from worker.config.model import Model, refusal
from worker.config.problems import listed
from worker.config.references import OutputDirectory
from worker.config.scalars import Duration, Size, Whole, unit_field
from worker.core.errors import ConfigError
from worker.core.model import ChainState
from worker.formats.component import Encoder, FileCodec, FileFormat, codecs_of, file_formats
from worker.http.registry_config import RegisterConfig
from worker.sinks.used_roots import UsedRoots

MakeEncoder = Callable[[str, int, int | None], Encoder]
"""Makes the encoder of a new file from (fingerprint, seq, group)."""


def _with_codecs(schema: dict[str, Any]) -> None:
    """Adds the compressions of each format to the description of the key."""
    formats = (
        f"{name}: {', '.join((f'{codecs[0]} (default)', *codecs[1:]))}"
        for name, codecs in file_formats().items()
    )
    schema["description"] = "; ".join((schema["description"], *formats))


class RollConfig(Model):
    """When files are committed. A commit closes all files of the pipeline."""

    records: Whole = Field(
        100_000, gt=0, description="records of the pipeline that trigger a commit"
    )
    bytes: Size = unit_field(
        "128MiB", description="encoded size at which a file is closed and the next part begun"
    )
    age: Duration = unit_field(
        "5m", description="time since the first staged record that triggers a commit"
    )


class SinkConfig(Model):
    """Base of the `Config` of a sink: what the rest of the worker must know of it."""

    type: str = Field(description="kind of sink")
    path: Annotated[Directory, OutputDirectory("the output")] = Field(
        description="output directory, relative to the working directory"
    )
    format: Annotated[str, FileFormat()] = Field("avro", description="file format")
    codec: Annotated[str, FileCodec()] = Field(
        "deflate", description="compression", json_schema_extra=_with_codecs
    )
    partition_by: str | None = Field(
        None,
        min_length=1,
        description=(
            "directory below path, from fields of the record: origin={origin}/dt={time:%Y-%m-%d}"
        ),
    )
    roll: RollConfig = Field(default_factory=RollConfig, description="when to commit")
    files_are_taken: bool = Field(
        False,
        description=(
            "consumers take files away as soon as they are published; without it a file that is"
            " gone before its commit is marked stops the pipeline"
        ),
    )
    register_: RegisterConfig | None = Field(
        None,
        alias="register",
        description="subject of a schema registry that gets the schema of the files at the start",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_codec(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "codec" in data:
            return data
        try:
            codecs = codecs_of(data.get("format", "avro"))
        except ConfigError:  # the format says so itself
            return data
        return {**data, "codec": codecs[0]} if codecs else data

    @field_validator("codec")
    @classmethod
    def _of_the_format(cls, codec: str, info: ValidationInfo) -> str:
        name = info.data.get("format")
        if name is not None and codec not in (codecs := codecs_of(name)):
            raise refusal(f"codec {codec} is none of {name}", allowed=listed(codecs))
        return codec


@dataclass(frozen=True, slots=True)
class SinkDeps:
    """What a sink is made of, besides its config. One is made for each attempt of a pipeline.

    Attributes:
        chain: what the sink writes for, as it was claimed.
        encoder: makes the encoder of a new file.
        used: the roots of this process; None where nobody else is there, as in a test.
    """

    chain: ChainState
    encoder: MakeEncoder
    used: UsedRoots | None = None
