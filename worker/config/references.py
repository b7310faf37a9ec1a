"""What a key refers to outside the config, marked at its type for `check` to look at.

    path: Annotated[Path, OutputDirectory("the output")]

Secrets need no mark: their type is `Secret`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """A file that holds an Avro schema."""


@dataclass(frozen=True, slots=True)
class ReadableFile:
    """A file that is read."""


@dataclass(frozen=True, slots=True)
class OutputDirectory:
    """A directory that is written, and made when it is missing.

    Attributes:
        holds: what is written there, for error texts.
    """

    holds: str


Reference = SchemaFile | ReadableFile | OutputDirectory
