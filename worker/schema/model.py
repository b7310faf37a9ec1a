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


def min_size(kind: Type, schema: Schema, known: dict[str, int] | None = None) -> int:
    """The fewest bytes that a datum of the type takes, or less: a record inside itself counts as none."""
    known = {} if known is None else known
    kind = schema.resolve(kind)
    match kind.kind:
        case "null":
            return 0
        case "float":
            return 4
        case "double":
            return 8
        case "fixed":
            return kind.size
        case "union":
            return 1 + min((min_size(branch, schema, known) for branch in kind.branches), default=0)
        case "record":
            if kind.name not in known:
                known[kind.name] = 0  # while it is being counted
                known[kind.name] = sum(min_size(each.type, schema, known) for each in kind.fields)
            return known[kind.name]
        case _:
            return 1


def recursive_names(schema: Schema) -> frozenset[str]:
    """The records that can hold themselves."""
    inside = {name: _records_in(kind, schema) for name, kind in schema.named.items() if kind.kind == "record"}
    found = set()
    for start in inside:
        seen: set[str] = set()
        todo = list(inside[start])
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(inside[name])
        if start in seen:
            found.add(start)
    return frozenset(found)


def _records_in(kind: Type, schema: Schema) -> set[str]:
    """Names of the records that stand directly in a record, through arrays, maps and unions."""
    found: set[str] = set()
    todo = [each.type for each in kind.fields]
    while todo:
        part = todo.pop()
        if part.kind == "ref":
            if schema.named[part.name].kind == "record":
                found.add(part.name)
        else:
            todo.extend(part.branches)
            if part.items is not None:
                todo.append(part.items)
    return found


class Policy(NamedTuple):
    """The `validation` settings."""

    unknown_fields: str = "drop"  # drop | reject
    missing_fields: str = "fill"  # fill | reject
    bytes_as: str = "latin1"  # latin1 | base64
    tagged: bool = False  # the JSON encoding of Avro: values of unions say their branch, bytes are latin-1 whatever they mean
