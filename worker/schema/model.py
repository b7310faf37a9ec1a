"""A parsed schema: plain frozen values. Types refer to named types by full name, so recursion needs no cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

PRIMITIVES: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = _NoDefault()


@dataclass(frozen=True, slots=True)
class Type:
    """One type.

    Attributes:
        kind: a primitive, or `record enum fixed array map union ref`.
        name: full name of a named type, or of what `ref` refers to.
        items: of an array; values of a map.   branches: of a union.
        logical: a logical type that is valid here, else None.
        aliases: full names that a reader of this type knows a writer's type by.
    """

    kind: str
    name: str = ""
    items: Type | None = None
    branches: tuple[Type, ...] = ()
    fields: tuple[Field, ...] = ()
    symbols: tuple[str, ...] = ()
    default_symbol: str | None = None
    size: int = 0
    logical: str | None = None
    precision: int = 0
    scale: int = 0
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record. `json_name` is its name in JSON, when Avro forbids that one; `default` is JSON as it stands in the schema."""

    name: str
    type: Type
    json_name: str
    default: Any = NO_DEFAULT
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """A checked schema: `source` is its JSON text, `document` the parsed JSON, `named` all named types."""

    root: Type
    named: Mapping[str, Type]
    source: str
    document: Any = field(repr=False, compare=False, default=None)

    def resolve(self, kind: Type) -> Type:
        """The type behind a reference."""
        return self.named[kind.name] if kind.kind == "ref" else kind


def is_wide(kind: Type) -> bool:
    """A union with more than one branch besides null."""
    return kind.kind == "union" and sum(branch.kind != "null" for branch in kind.branches) > 1


class Policy(NamedTuple):
    """The `validation` settings."""

    unknown_fields: str = "drop"  # drop | reject
    missing_fields: str = "fill"  # fill | reject
    bytes_as: str = "latin1"  # latin1 | base64
    tagged: bool = False  # the JSON encoding of Avro: values of unions say their branch, bytes are latin-1 whatever they mean
