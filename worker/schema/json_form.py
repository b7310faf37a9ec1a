"""Datums -> the JSON that a pipeline reads back as the same datums: for dead letters of records that never were JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from worker.schema.logical import duration_text
from worker.schema.model import Schema, Type, is_wide

Form = Callable[[Any], Any]
Names = Mapping[str, Mapping[str, str]]
"""Full name of a record -> its field -> what the field is called in JSON."""


def compile_json_form(
    schema: Schema, bytes_as: str = "latin1", names: Names | None = None
) -> Callable[[Any], bytes]:
    """Datum of the root type (records are dicts under Avro names, values of wide unions `Branch`es) -> JSON text.

    Fields have the names that `names` says, else their own JSON names; times are numbers, decimals, uuids and durations text, bytes latin-1 or base64 text as `bytes_as` says.
    Values of unions are not tagged, so a union whose branches look alike in JSON may be read back as another of them.
    """
    form = _Forms(schema, bytes_as, names or {}).of(schema.root)
    return lambda datum: msgspec.json.encode(form(datum))


class _Forms:
    def __init__(self, schema: Schema, bytes_as: str, names: Names) -> None:
        self._schema, self._bytes_as, self._names = schema, bytes_as, names
        self._named: dict[str, Form] = {}

    def of(self, kind: Type) -> Form:
        kind = self._schema.resolve(kind)
        if kind.kind == "record":
            if kind.name not in self._named:
                self._named[kind.name] = lambda value: self._named[kind.name](
                    value
                )  # while it is being made
                self._named[kind.name] = self._record(kind)
            return self._named[kind.name]
        if kind.kind == "union":
            return self._union(kind)
        if kind.items is not None:
            item = self.of(kind.items)
            return (
                (lambda value: [item(each) for each in value])
                if kind.kind == "array"
                else lambda value: {key: item(each) for key, each in value.items()}
            )
        if kind.logical in ("decimal", "big-decimal"):
            return str
        if kind.logical == "duration":
            return duration_text
        if kind.kind in ("bytes", "fixed") and kind.logical is None:
            return _latin1 if self._bytes_as == "latin1" else _base64
        if kind.kind in ("float", "double"):
            return _number
        return _same

    def _record(self, kind: Type) -> Form:
        names = self._names.get(kind.name, {})
        parts = [
            (names.get(each.name, each.json_name), each.name, self.of(each.type))
            for each in kind.fields
        ]
        return lambda value: {json_name: form(value[name]) for json_name, name, form in parts}

    def _union(self, kind: Type) -> Form:
        branches = [self.of(each) for each in kind.branches]
        if is_wide(kind):
            return lambda value: branches[value.number](value.value)
        inner = next(
            (
                form
                for form, each in zip(branches, kind.branches, strict=True)
                if each.kind != "null"
            ),
            _same,
        )
        return lambda value: None if value is None else inner(value)


def _same(value: Any) -> Any:
    return value


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinities: as text they are refused again, while null might be taken for a value."""
    return value if math.isfinite(value) else str(value)


def _latin1(value: bytes) -> str:
    return value.decode("latin-1")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
