"""A parsed schema as plain frozen values. A named type is referred to by its full name, so a
recursive schema needs no cycle of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from worker.schema.spellings import AS_USUAL, Spellings

PRIMITIVES: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
KINDS: Final = (*PRIMITIVES, "record", "enum", "fixed", "array", "map", "union")
"""Every kind of type of the Avro specification ("Schema Declaration")."""


class _NoDefault:
    def __repr__(self) -> str:
        return "NO_DEFAULT"


NO_DEFAULT: Final = _NoDefault()


@dataclass(frozen=True, slots=True)
class Type:
    """One type of a schema.

    Attributes:
        kind: one of KINDS, or `ref` for a reference to a named type.
        name: the full name of a named type, or of the type that a `ref` refers to.
        items: the items of an array, or the values of a map.
        branches: the branches of a union.
        fields: the fields of a record.
        symbols, default_symbol: of an enum.
        size: the bytes of a fixed.
        logical: a logical type that is valid here, else None.
        precision, scale: of the logical type `decimal`.
        aliases: full names under which a reader of this type knows the writer's type.
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

    @property
    def parts(self) -> tuple[Type, ...]:
        """The branches of a union, or the one type of the items of an array or map."""
        return self.branches if self.items is None else (self.items,)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a record.

    Attributes:
        json_name: its name in JSON, which differs from `name` where Avro forbids that one.
        default: JSON as it stands in the schema, or NO_DEFAULT.
        aliases: names under which a reader of this field knows the writer's field.
    """

    name: str
    type: Type
    json_name: str
    default: Any = NO_DEFAULT
    aliases: tuple[str, ...] = ()


class SchemaWarning(NamedTuple):
    """What a schema says and does not do.

    Attributes:
        path: where in the schema, like `$.fields[2].type`.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@dataclass(frozen=True, slots=True)
class Schema:
    """A checked schema.

    Attributes:
        root: the type that the schema declares.
        named: full name -> named type, for all named types of the schema.
        source: the JSON text of the schema, without wrappers around types: what files get.
        document: the parsed JSON.
        warnings: what is legal in it and has no effect.
    """

    root: Type
    named: Mapping[str, Type]
    source: str
    document: Any = field(repr=False, compare=False, default=None)
    warnings: tuple[SchemaWarning, ...] = field(repr=False, compare=False, default=())

    def resolve(self, kind: Type) -> Type:
        """The type that a reference refers to; any other type is returned as it is."""
        return self.named[kind.name] if kind.kind == "ref" else kind

    def value_type(self, kind: Type) -> Type:
        """The type of the values besides null; a union that has several such types is returned as
        it is, and a union of nothing but null gives null."""
        if kind.kind == "union" and kind.branches and not is_wide(kind):
            kind = kind.branches[value_branch(kind) or 0]
        return self.resolve(kind)


class Policy(NamedTuple):
    """How a pipeline reads JSON values: its `validation` settings, and what `decode` says.

    Attributes:
        unknown_fields: `drop` or `reject`.
        missing_fields: `fill` (null where that is allowed) or `reject`.
        bytes_as: how bytes are written in JSON, `latin1` or `base64`.
        tagged: values come in Avro's own JSON encoding (specification, "JSON Encoding"): the value
            of a union names its branch, and bytes are latin-1 whatever their logical type.
        spellings: how the source writes times, nulls, numbers and flags.
    """

    unknown_fields: str = "drop"
    missing_fields: str = "fill"
    bytes_as: str = "latin1"
    tagged: bool = False
    spellings: Spellings = AS_USUAL


def is_nullable(kind: Type) -> bool:
    """Whether null is a value of the type."""
    return kind.kind == "null" or any(branch.kind == "null" for branch in kind.branches)


def is_decimal(kind: Type) -> bool:
    """Whether the values of the type are decimals."""
    return kind.logical in ("decimal", "big-decimal")


def is_wide(kind: Type) -> bool:
    """Whether the type is a union that has more than one branch besides null."""
    return kind.kind == "union" and sum(branch.kind != "null" for branch in kind.branches) > 1


def null_branch(kind: Type) -> int | None:
    """The number of the null branch of a union."""
    return next((n for n, branch in enumerate(kind.branches) if branch.kind == "null"), None)


def value_branch(kind: Type) -> int | None:
    """The number of the first branch of a union besides null; the only one, unless it is wide."""
    return next((n for n, branch in enumerate(kind.branches) if branch.kind != "null"), None)


def types_in(schema: Schema) -> Iterator[Type]:
    """All types of a schema, also those within others; a type may come more than once."""
    types = [schema.root, *schema.named.values()]
    while types:
        kind = types.pop()
        types += [*kind.parts, *(each.type for each in kind.fields)]
        yield kind


Handler = TypeVar("Handler")


def by_kind(
    handlers: Mapping[str, Handler], *, otherwise: Handler | None = None
) -> dict[str, Handler]:
    """A table with an entry for every kind of type: how this package treats types by their kind.

    Args:
        handlers: one kind or several, separated by spaces -> what belongs to them.
        otherwise: what belongs to the kinds that `handlers` does not name.

    Raises:
        ValueError: a kind is unknown or named twice, or it has no handler. Tables are constants of
            their modules, so a kind that was forgotten fails at import.
    """
    named = [(kind, handler) for kinds, handler in handlers.items() for kind in kinds.split()]
    rest = {} if otherwise is None else dict.fromkeys(KINDS, otherwise)
    table = rest | dict(named)
    if len(dict(named)) < len(named) or set(table) != set(KINDS):
        raise ValueError(
            f"kinds that are unknown, named twice or without a handler: {list(handlers)}"
        )
    return table
