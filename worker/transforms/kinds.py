"""The types of expressions, and how the fields of a schema look in them.

Values are those between stages: times are whole numbers in the schema's unit, so a kind carries its ticks per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.schema.model import Schema, Type, is_wide

MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """`name` is null bool int float str bytes date time timestamp decimal record array map union; `ticks` a second for times.

    `local` timestamps have no zone; they compare with each other only.
    """

    name: str
    ticks: int = 0
    local: bool = False

    def __str__(self) -> str:
        return {"str": "text", "int": "whole number", "float": "number", "bool": "boolean"}.get(
            self.name, self.name
        )


NULL: Final = Kind("null")
BOOL: Final = Kind("bool")
INT: Final = Kind("int")
FLOAT: Final = Kind("float")
STR: Final = Kind("str")
BYTES: Final = Kind("bytes")
DATE: Final = Kind("date")
TIMESTAMP: Final = Kind("timestamp", MICROS)

_PRIMITIVE: Final = {
    "null": NULL,
    "boolean": BOOL,
    "int": INT,
    "long": INT,
    "float": FLOAT,
    "double": FLOAT,
    "string": STR,
    "enum": STR,
    "bytes": BYTES,
    "fixed": BYTES,
}
_TICKS: Final = {"millis": 1_000, "micros": MICROS, "nanos": 1_000_000_000}


def nullable(kind: Type) -> bool:
    """null is one of its values."""
    return kind.kind == "null" or any(branch.kind == "null" for branch in kind.branches)


def inner(kind: Type, schema: Schema) -> Type:
    """The type that is left of `kind` or null; unions of more stay what they are."""
    if kind.kind == "union" and not is_wide(kind):
        kind = next(
            (branch for branch in kind.branches if branch.kind != "null"),
            kind.branches[0] if kind.branches else kind,
        )
    return schema.resolve(kind)


def kind_of(kind: Type, schema: Schema) -> Kind:
    """The kind of the values of a schema type that are not null."""
    kind = inner(kind, schema)
    if kind.logical is None or kind.logical == "uuid":
        return (
            _PRIMITIVE[kind.kind]
            if kind.kind in _PRIMITIVE and kind.logical is None
            else STR
            if kind.logical
            else Kind(kind.kind)
        )
    if kind.logical in ("date", "decimal"):
        return Kind(kind.logical)
    if kind.logical == "big-decimal":
        return Kind("decimal")
    if kind.logical == "duration":
        return BYTES
    family, _, unit = kind.logical.rpartition("-")
    return (
        Kind("time" if family == "time" else "timestamp", _TICKS[unit], family.startswith("local"))
        if unit in _TICKS
        else Kind(kind.kind)
    )


def same_values(
    kind: Type,
    schema: Schema,
    other: Type,
    other_schema: Schema,
    assumed: set[tuple[str, str]] | None = None,
) -> bool:
    """Two types have equal values and equal encoding, logical types included. Names of types do not matter.

    Each pair of records is compared once, however often it is met: `assumed` are those that were.
    """
    assumed = set() if assumed is None else assumed
    kind, other = schema.resolve(kind), other_schema.resolve(other)
    if _own(kind) != _own(other):
        return False
    if kind.kind == "record":
        if (kind.name, other.name) in assumed:
            return True
        assumed.add((kind.name, other.name))
    pairs = zip(_parts(kind), _parts(other), strict=True)
    return all(same_values(each, schema, another, other_schema, assumed) for each, another in pairs)


def _own(kind: Type) -> tuple[object, ...]:
    """What a type says itself, without its inner types."""
    names = tuple(each.name for each in kind.fields)
    return (
        kind.kind,
        kind.logical,
        kind.precision,
        kind.scale,
        kind.size,
        kind.symbols,
        names,
        len(kind.branches),
    )


def _parts(kind: Type) -> list[Type]:
    return [
        *([kind.items] if kind.items is not None else []),
        *kind.branches,
        *(each.type for each in kind.fields),
    ]
