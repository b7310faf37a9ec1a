"""The types of expressions, and how the fields of a schema look in them.

Values are those between stages: times are whole numbers in the unit of the schema, so a kind has
its ticks per second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from worker.schema.logical import FRACTION_DIGITS
from worker.schema.model import Schema, Type, is_nullable

MICROS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a value.

    Attributes:
        name: null bool int float str bytes date time timestamp decimal record array map union.
        ticks: of times: how many make a second.
        local: of timestamps: they have no zone, and compare with each other only.
        items: of arrays: the kind of their elements that are not null.
        nulls: of arrays: elements may be null.
        branches: of unions of several types: the kinds of all branches, in the order of the schema.
        shown: of times that were computed: how many digits of a second `str` writes, where these
            are fewer than the ticks have. It makes no other kind.
        scale: of decimals: how many digits `str` writes after the point; None for a big-decimal. It
            makes no other kind.
    """

    name: str
    ticks: int = 0
    local: bool = False
    items: Kind | None = None
    nulls: bool = False
    branches: tuple[Kind, ...] = ()
    shown: int | None = field(default=None, compare=False)
    scale: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.items is not None:
            return f"{self.name} of {self.items}"
        if self.branches:
            return f"{self.name} of {', '.join(map(str, self.branches))}"
        return _WORDS.get(self.name, self.name)


_WORDS: Final = {"str": "text", "int": "whole number", "float": "number", "bool": "boolean"}

NULL: Final = Kind("null")
BOOL: Final = Kind("bool")
INT: Final = Kind("int")
FLOAT: Final = Kind("float")
STR: Final = Kind("str")
BYTES: Final = Kind("bytes")
DATE: Final = Kind("date")
DECIMAL: Final = Kind("decimal")
TIMESTAMP: Final = Kind("timestamp", MICROS)
READ_TIMESTAMP: Final = Kind("timestamp", 1_000 * MICROS, shown=6)
"""What `timestamp()` reads; as text it has microseconds."""
TEXTS: Final = Kind("array", items=STR)

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
_TICKS: Final = {unit: 10**digits for unit, digits in FRACTION_DIGITS.items()}
_LOGICAL: Final = {
    "uuid": STR,
    "big-decimal": DECIMAL,
    "duration": BYTES,
    "date": DATE,
    **{f"time-{unit}": Kind("time", ticks) for unit, ticks in _TICKS.items()},
    **{f"timestamp-{unit}": Kind("timestamp", ticks) for unit, ticks in _TICKS.items()},
    **{
        f"local-timestamp-{unit}": Kind("timestamp", ticks, local=True)
        for unit, ticks in _TICKS.items()
    },
}


def kind_of(kind: Type, schema: Schema) -> Kind:
    """The kind of the values of a schema type that are not null."""
    kind = schema.value_type(kind)
    if kind.logical == "decimal":
        return Kind("decimal", scale=kind.scale)
    if kind.logical is not None:
        return _LOGICAL[kind.logical]
    if kind.kind == "array" and kind.items is not None:
        return Kind("array", items=kind_of(kind.items, schema), nulls=is_nullable(kind.items))
    if kind.kind == "union":
        return Kind("union", branches=tuple(kind_of(each, schema) for each in kind.branches))
    return _PRIMITIVE.get(kind.kind) or Kind(kind.kind)


def same_values(
    kind: Type,
    schema: Schema,
    other: Type,
    other_schema: Schema,
    assumed: set[tuple[str, str]] | None = None,
) -> bool:
    """Whether two types have equal values and equal encodings, logical types included. The names of
    types do not matter.

    Args:
        assumed: pairs of records that were compared already, or are being compared: each pair is
            compared once, however often it is met.
    """
    assumed = set() if assumed is None else assumed
    kind, other = schema.resolve(kind), other_schema.resolve(other)
    if _own(kind) != _own(other):
        return False
    if kind.kind == "record":
        if (kind.name, other.name) in assumed:
            return True
        assumed.add((kind.name, other.name))
    pairs = zip(_inner_types(kind), _inner_types(other), strict=True)
    return all(same_values(each, schema, another, other_schema, assumed) for each, another in pairs)


def _own(kind: Type) -> tuple[object, ...]:
    """What a type is by itself, without its inner types."""
    return (
        kind.kind,
        kind.logical,
        kind.precision,
        kind.scale,
        kind.size,
        kind.symbols,
        tuple(each.name for each in kind.fields),
        len(kind.branches),
    )


def _inner_types(kind: Type) -> list[Type]:
    return [*kind.parts, *(each.type for each in kind.fields)]
