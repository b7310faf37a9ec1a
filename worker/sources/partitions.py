"""The config of `partitions`: values that are listed, or found in records or in a file. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from worker.config.model import Issues, Model
from worker.config.references import ReadableFile
from worker.config.scalars import Name, Whole

FIELD_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"
FieldPath = Annotated[str, Field(pattern=FIELD_PATTERN)]


class FoundIn(Model):
    """Values that are found: in the committed records of another pipeline, or in a file."""

    pipeline: Name | None = Field(
        None, description="in the committed records of this pipeline, with each of its commits"
    )
    file: Annotated[Path, ReadableFile()] | None = Field(
        None,
        description=(
            "in this file, relative to the config file: .csv, .json, .ndjson, or one value a line"
        ),
    )
    field: FieldPath | None = Field(
        None, description="the field of the records, or the column, that has the values"
    )
    carry: tuple[FieldPath, ...] = Field(
        (), description="other fields of them, as {partition.FIELD}"
    )
    due: Literal["always", "change"] = Field(
        "always",
        description=(
            "change: a pass begins when the record with the value is new, or another one than the "
            "pass before was for"
        ),
    )
    vanish: Literal["fail", "allow"] = Field(
        "fail",
        description=(
            "what it is when no value is left, or less than half of them: an error, or as meant"
        ),
    )

    @model_validator(mode="after")
    def _one_place(self) -> FoundIn:
        issues = Issues()
        if (self.pipeline is None) == (self.file is None):
            issues.add(
                ("pipeline",) if self.pipeline is None else ("file",),
                "values are found in one place: give either pipeline or file",
                "pipeline",
                "file",
            )
        if self.field is None and (self.pipeline is not None or not self._is_lines):
            issues.add(("field",), "field is missing: it names where the values stand")
        if self.file is not None and self._is_lines:
            for key in ("field", "carry"):
                if getattr(self, key):
                    issues.add((key,), f"{key} has no meaning with a file of lines")
        if len({*self.carry}) != len(self.carry) or self.field in self.carry:
            issues.add(("carry",), "a field is carried twice")
        issues.check()
        return self

    def carried_as(self, names: Container[str]) -> list[int]:
        """Numbers of the carried fields that are called like one of these."""
        return [number for number, each in enumerate(self.carry) if each in names]

    @property
    def _is_lines(self) -> bool:
        return self.file is not None and self.file.suffix.lower() not in TABLES


TABLES: Final = (".csv", ".json", ".ndjson", ".jsonl")
"""Endings of files whose values stand in a column."""


def _kind(value: Any) -> str:
    return "found" if isinstance(value, dict | FoundIn) else "listed"


Values = Annotated[
    Annotated[tuple[str | Whole, ...], Tag("listed")] | Annotated[FoundIn, Tag("found")],
    Discriminator(_kind),
]
"""The values of one name: a list of them, or where they are found."""


def value_names(partitions: dict[str, Any]) -> Iterator[str]:
    """What `{partition.NAME}` may name: the names, and what is carried with a found one."""
    for name, values in partitions.items():
        yield name
        if isinstance(values, FoundIn):
            yield from values.carry
