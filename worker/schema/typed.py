"""The msgspec type of a JSON record, so that one C call decodes and checks a page.

A field is either *typed* (msgspec checks everything that the schema demands) or *checked* (it is
decoded to plain values, and a check of checks.py turns them into datums afterwards). Times,
decimals, bytes, unions of several types and recursive records are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

import msgspec

from worker.schema.coerced_checks import is_coerced, null_texts
from worker.schema.defaults import FLOAT_MAX
from worker.schema.model import (
    NO_DEFAULT,
    Field,
    Policy,
    Schema,
    Type,
    by_kind,
    is_nullable,
    is_wide,
    value_branch,
)
from worker.schema.sizes import recursive_names
from worker.schema.spellings import ELSEWHERE, Place

_INT: Final = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_LONG: Final = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_FLOAT: Final = Annotated[float, msgspec.Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)]


class Types:
    """The msgspec types of a schema under a policy; each record is made once, however often it is
    named."""

    def __init__(self, schema: Schema, policy: Policy) -> None:
        self._schema, self._policy = schema, policy
        self._recursive = recursive_names(schema)
        self._records: dict[tuple[str, Place], Any | None] = {}
        self._renamed_records: dict[str, bool] = {}

    def of(self, kind: Type, place: Place = ELSEWHERE) -> Any | None:
        """The msgspec type that allows exactly the values of `kind`; None when there is none."""
        kind = self._schema.resolve(kind)
        if kind.logical is not None or is_coerced(kind, self._policy.spellings):
            return None
        return self._BY_KIND[kind.kind](self, kind, place)

    def _enum(self, kind: Type, place: Place) -> Any | None:
        return Literal[kind.symbols] if kind.symbols else None

    def _array(self, kind: Type, place: Place) -> Any | None:
        assert kind.items is not None
        item = self.of(kind.items, place)
        return None if item is None else list[item]  # type: ignore[valid-type]

    def _map(self, kind: Type, place: Place) -> Any | None:
        assert kind.items is not None
        item = self.of(kind.items, place)
        return None if item is None else dict[str, item]  # type: ignore[valid-type]

    def _union(self, kind: Type, place: Place) -> Any | None:
        number = value_branch(kind)
        if number is None or is_wide(kind) or self._policy.tagged:
            return None
        branches = [self._schema.resolve(each) for each in kind.branches]
        if null_texts(branches, self._policy.spellings, place):
            return None
        inner = self.of(kind.branches[number], place)
        return inner | None if inner is not None and is_nullable(kind) else inner

    def _record(self, kind: Type, place: Place) -> Any | None:
        if kind.name in self._recursive:
            return None
        key = (kind.name, place)
        if key not in self._records:
            types = [self.field(each, place) for each in kind.fields]
            typed = all(inner is not None for inner in types)
            self._records[key] = record_struct(kind, types, self._policy) if typed else None
        return self._records[key]

    _BY_KIND: Final[Mapping[str, Callable[[Types, Type, Place], Any | None]]] = by_kind(
        {
            "boolean": lambda self, kind, place: bool,
            "int": lambda self, kind, place: _INT,
            "long": lambda self, kind, place: _LONG,
            "float": lambda self, kind, place: _FLOAT,
            "double": lambda self, kind, place: float,
            "string": lambda self, kind, place: str,
            "enum": _enum,
            "array": _array,
            "map": _map,
            "union": _union,
            "record": _record,
            "null bytes fixed": lambda self, kind, place: None,
        }
    )

    def field(self, each: Field, place: Place) -> Any | None:
        """The type of a field of a record at a place. None also where its default holds records
        that have other field names in JSON, because defaults have Avro's names."""
        if isinstance(each.default, list | dict) and self._renamed(each.type):
            return None
        return self.of(each.type, place.field(each.json_name))

    def _renamed(self, kind: Type) -> bool:
        """Whether a record in values of the type has other field names in JSON, or is recursive."""
        kind = self._schema.resolve(kind)
        if kind.kind != "record":
            return any(self._renamed(part) for part in kind.parts)
        if kind.name not in self._renamed_records:
            self._renamed_records[kind.name] = kind.name in self._recursive or any(
                each.json_name != each.name or self._renamed(each.type) for each in kind.fields
            )
        return self._renamed_records[kind.name]


def record_struct(kind: Type, types: list[Any], policy: Policy, extra: Collection[str] = ()) -> Any:
    """The Struct of a record: attributes `f0, f1, ...` for its fields and `x0, x1, ...` for extra
    names, read under their JSON names.

    Args:
        types: of the fields; None where a field is decoded to plain values, to be checked later.
        extra: JSON names outside the schema whose values are kept.
    """
    fields: list[Any] = []
    names: dict[str, str] = {}
    for number, (each, inner) in enumerate(zip(kind.fields, types, strict=True)):
        names[f"f{number}"] = each.json_name
        fields.append((f"f{number}", *_type_and_default(each, inner, policy)))
    for number, name in enumerate(extra):
        names[f"x{number}"] = name
        fields.append((f"x{number}", Any, msgspec.UNSET))
    return msgspec.defstruct(
        kind.name.rpartition(".")[2],
        fields,
        rename=names,
        kw_only=True,
        gc=False,  # what is decoded from JSON has no cycles, and nobody makes any
        forbid_unknown_fields=policy.unknown_fields == "reject",
    )


def _type_and_default(each: Field, inner: Any, policy: Policy) -> tuple[Any, ...]:
    if inner is None:
        return Any, msgspec.UNSET
    if each.default is NO_DEFAULT:
        fills = policy.missing_fields == "fill" and is_nullable(each.type)
        return (inner, None) if fills else (inner,)
    if isinstance(each.default, list | dict):
        return inner, msgspec.field(default_factory=partial(msgspec.convert, each.default, inner))
    return inner, msgspec.convert(each.default, inner)  # an int may be the default of a double
