"""The msgspec type of a JSON record, so that one C call decodes and checks a page.

A field is either *typed* (msgspec says everything the schema says) or *checked* (it decodes to plain values, and a check of
checks.py turns them into datums afterwards). Times, decimals, bytes, wide unions and recursive types are checked.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Final, Literal

import msgspec

from worker.schema.defaults import FLOAT_MAX
from worker.schema.model import NO_DEFAULT, Field, Policy, Schema, Type
from worker.schema.sizes import recursive_names

_SCALARS: Final[dict[str, Any]] = {
    "null": None,
    "boolean": bool,
    "int": Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)],
    "long": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "float": Annotated[float, msgspec.Meta(ge=-FLOAT_MAX, le=FLOAT_MAX)],
    "double": float,
    "string": str,
}


class Types:
    """The msgspec types of a schema under a policy; a record is made once, however often it is named."""

    def __init__(self, schema: Schema, policy: Policy) -> None:
        self._schema, self._policy = schema, policy
        self._recursive = recursive_names(schema)
        self._records: dict[str, Any | None] = {}
        self._renamed_records: dict[str, bool] = {}

    def of(self, kind: Type) -> Any | None:
        """The type that says all of `kind`, or None when there is no such type."""
        kind = self._schema.resolve(kind)
        if kind.logical is not None:
            return None
        if kind.kind in _SCALARS and kind.kind != "null":
            return _SCALARS[kind.kind]
        if kind.kind == "enum":
            return Literal[kind.symbols] if kind.symbols else None
        if kind.kind in ("array", "map") and kind.items is not None:
            inner = self.of(kind.items)
            if inner is None:
                return None
            return list[inner] if kind.kind == "array" else dict[str, inner]  # type: ignore[valid-type]
        if kind.kind == "union":
            if self._policy.tagged:
                return None
            rest = [branch for branch in kind.branches if branch.kind != "null"]
            inner = self.of(rest[0]) if len(rest) == 1 else None
            return (
                None
                if inner is None
                else (inner | None if len(rest) < len(kind.branches) else inner)
            )
        if kind.kind == "record" and kind.name not in self._recursive:
            if kind.name not in self._records:
                self._records[kind.name] = self._record(kind)
            return self._records[kind.name]
        return None

    def field(self, each: Field) -> Any | None:
        """The type of a field. None also where its default holds records under Avro names that JSON calls otherwise."""
        return (
            None
            if isinstance(each.default, list | dict) and self._renamed(each.type)
            else self.of(each.type)
        )

    def _renamed(self, kind: Type) -> bool:
        kind = self._schema.resolve(kind)
        if kind.kind == "record":
            if kind.name not in self._renamed_records:
                renamed = kind.name in self._recursive or any(
                    each.json_name != each.name or self._renamed(each.type) for each in kind.fields
                )
                self._renamed_records[kind.name] = renamed
            return self._renamed_records[kind.name]
        return any(self._renamed(branch) for branch in kind.branches) or (
            kind.items is not None and self._renamed(kind.items)
        )

    def _record(self, kind: Type) -> Any | None:
        inner_types = [self.field(each) for each in kind.fields]
        return (
            None
            if any(inner is None for inner in inner_types)
            else record_struct(kind, inner_types, self._policy)
        )


def record_struct(kind: Type, types: list[Any], policy: Policy, extra: Collection[str] = ()) -> Any:
    """The Struct of a record: attributes `f0, f1, ...`, then `x0, ...` for extra names, read under their JSON names."""
    fields: list[Any] = []
    names: dict[str, str] = {}
    for number, (each, inner) in enumerate(zip(kind.fields, types, strict=True)):
        names[f"f{number}"] = each.json_name
        checked = inner is None
        default = msgspec.UNSET if checked else _default(each, inner, policy)
        fields.append(
            (
                f"f{number}",
                Any if checked else inner,
                *(() if default is msgspec.NODEFAULT else (default,)),
            )
        )
    for number, name in enumerate(extra):
        names[f"x{number}"] = name
        fields.append((f"x{number}", Any, msgspec.UNSET))
    return msgspec.defstruct(
        kind.name.rpartition(".")[2],
        fields,
        rename=names,
        kw_only=True,
        gc=False,  # what JSON brings has no cycles, and nobody makes any
        forbid_unknown_fields=policy.unknown_fields == "reject",
    )


def _default(each: Field, inner: Any, policy: Policy) -> Any:
    if each.default is NO_DEFAULT:
        nullable = any(branch.kind == "null" for branch in each.type.branches)
        return None if nullable and policy.missing_fields == "fill" else msgspec.NODEFAULT
    if isinstance(each.default, list | dict):
        return msgspec.field(default_factory=lambda: msgspec.convert(each.default, inner))
    return msgspec.convert(each.default, inner)  # a whole number may be the default of a double
