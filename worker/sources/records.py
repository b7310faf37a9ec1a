"""What `source.records` says: where the records of a page are, and what one of them is.

A path alone is short for a mapping with that path; the rest of the worker knows only the mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from worker.config.model import Issues, Model
from worker.config.problems import Path_
from worker.config.scalars import Flag, JmesPath
from worker.formats.shape import Shape

FieldName = Annotated[str, Field(min_length=1)]


class Records(Model):
    """Where the records of a page are, and what one of them is."""

    path: JmesPath | None = Field(
        None,
        description=(
            "path of the records; omitted: the root array; '@': the root object is one record"
        ),
    )
    each: JmesPath | None = Field(
        None,
        description="path of an array in each item at `path`; its elements are the records",
    )
    names: tuple[FieldName, ...] = Field(
        (), description="records that are arrays become objects, with these names in order"
    )
    keep: dict[FieldName, JmesPath] = Field(
        {}, description="field of the record: path of its value in the item it stands in"
    )
    map_key: FieldName | None = Field(
        None,
        description="`path` holds an object whose values are the records; the key of each goes "
        "into this field",
    )
    zip_: tuple[FieldName, ...] = Field(
        (),
        alias="zip",
        description="names of parallel arrays; a record has one value of each",
    )
    envelope: dict[FieldName, JmesPath] = Field(
        {}, description="field of the record: path of its value in the page"
    )
    single: Flag = Field(
        False,
        description="an object in place of an array is one record; null, absent and empty text "
        "are none",
    )
    parse: Literal["json"] | None = Field(
        None, description="json: the value at `path` is text that holds JSON"
    )

    @property
    def shape(self) -> Shape:
        """The same as the decoder wants it."""
        said = Shape(
            each=self.each,
            names=self.names,
            keep=self.keep,
            map_key=self.map_key or "",
            zip=self.zip_,
            envelope=self.envelope,
            single=self.single,
            parse=self.parse is not None,
        )
        # the page itself is the object, so that it is one record needs no word
        return said if said.plain or self.path != "@" else replace(said, single=True)

    @property
    def meaning(self) -> Any:
        """What a cursor rests on: the path alone where nothing else is said."""
        if self.shape.plain:
            return self.path
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @property
    def given(self) -> bool:
        """Whether anything is said at all."""
        return self.meaning is not None

    @property
    def may_miss(self) -> bool:
        """Whether something that is looked for may be absent, and is not none by itself."""
        return self.each is not None or (self.path not in (None, "@") and not self.single)

    @model_validator(mode="after")
    def _consistent(self) -> Records:
        issues = Issues()
        if self.keep and self.each is None and not self.zip_:
            issues.add(
                ("keep",),
                "without each and zip a record stands in no item, so there is nothing to keep "
                "fields of",
                "each",
                "zip",
                remedy="name the array within each item with each; fields of the page are named "
                "by envelope",
            )
        if self.names and self.zip_:
            issues.add(
                ("names",), "records of zip are objects already; take names or zip out", "zip"
            )
        if len(self.zip_) == 1:
            issues.add(
                ("zip",),
                "one array is parallel to nothing",
                allowed="the names of two arrays at least",
                remedy="for an array of plain values use names with one name",
            )
        for path, name in self._repeated():
            issues.add(
                path,
                f"the field {name!r} is given twice",
                allowed="each field once in names, keep, map_key, zip and envelope",
                remedy="give one of them another name",
            )
        issues.check()
        return self

    def made(self) -> list[tuple[Path_, str]]:
        """(key, name) of each field whose name stands here."""
        return [
            *((("names", number), name) for number, name in enumerate(self.names)),
            *((("zip", number), name) for number, name in enumerate(self.zip_)),
            *((("keep", name), name) for name in self.keep),
            *([(("map_key",), self.map_key)] if self.map_key else []),
            *((("envelope", name), name) for name in self.envelope),
        ]

    def _repeated(self) -> Iterator[tuple[Path_, str]]:
        """(key, name) of each field that is given again after its first place."""
        seen: set[str] = set()
        for path, name in self.made():
            if name in seen:
                yield path, name
            seen.add(name)


def _from_path(value: Any) -> Any:
    if value is None:
        return Records()
    return {"path": value} if isinstance(value, str) else value


RecordsAt = Annotated[
    Records, BeforeValidator(_from_path, json_schema_input_type=str | Records | None)
]
"""A mapping, or a path alone; null is the root array, also where `defaults` say something else."""
