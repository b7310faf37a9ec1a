"""Rows of NDJSON files: a line per record, times and decimals as text, bytes as latin-1 or base64 text, names as in Avro."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from worker.schema.codegen import CodeBuilder
from worker.schema.logical import duration_text
from worker.schema.model import Field, Schema, Type, is_wide
from worker.schema.values import Branch
from worker.transforms import values
from worker.transforms.kinds import inner, kind_of
from worker.transforms.natives import converter

REMEMBERED: Final = 10_000


class JsonRows:
    """The `RowEncoder` of NDJSON. `bytes_as` is latin1 or base64."""

    ext = "ndjson"

    def __init__(self, schema: Schema, bytes_as: str = "latin1") -> None:
        self._schema, self._bytes_as = schema, bytes_as
        self._source = CodeBuilder()
        self._records: dict[str, dict[str, Callable[[Any], Any]]] = {}

    def begin(self, source: CodeBuilder) -> None:
        self._source = source

    def row(self, fields: Sequence[tuple[Field, str, bool]]) -> str:
        items = ", ".join(
            f"{field.name!r}: {self._value(field.type, code)}" for field, code, _ in fields
        )
        return f"{self._source.bind(orjson.dumps)}({{{items}}}, option={orjson.OPT_APPEND_NEWLINE})"

    def _value(self, kind: Type, code: str) -> str:
        text = self._text(kind)
        if text is None:
            return code
        return f"(None if (v := {code}) is None else {self._source.bind(text)}(v))"

    def _text(self, kind: Type) -> Callable[[Any], Any] | None:
        """What makes JSON of a value that is not null; None where the value is JSON already."""
        if is_wide(kind):
            branches = [
                (self._text(branch) if branch.kind != "null" else None) or _same
                for branch in map(self._schema.resolve, kind.branches)
            ]
            return lambda value: (
                branches[value.number](value.value) if isinstance(value, Branch) else value
            )
        found, what = inner(kind, self._schema), kind_of(kind, self._schema)
        if what.name == "timestamp":
            return _remembered(
                lambda value: values.timestamp_text(value, what.ticks, "" if what.local else "Z")
            )
        if what.name == "date":
            return _remembered(values.date_text)
        if what.name == "time":
            return _remembered(lambda value: values.time_text(value, what.ticks))
        if what.name == "decimal":
            return str
        if found.logical == "duration":
            return duration_text
        if what.name == "bytes":
            return _latin1 if self._bytes_as == "latin1" else _base64
        if found.kind in ("record", "array", "map"):
            return self._nested(found)
        return None

    def _nested(self, kind: Type) -> Callable[[Any], Any]:
        plain, deep = converter(kind, self._schema, native=False), self._deep(kind)
        return lambda value: deep(plain(value))

    def _deep(self, kind: Type) -> Callable[[Any], Any]:
        """JSON of plain nested values."""
        kind = inner(kind, self._schema)
        if kind.kind == "record":
            parts = self._records.get(kind.name)
            if parts is None:
                parts = self._records[
                    kind.name
                ] = {}  # filled below: types that hold themselves find it
                parts.update((each.name, self._deep(each.type)) for each in kind.fields)
            return lambda value: (
                None if value is None else {name: part(value[name]) for name, part in parts.items()}
            )
        if kind.kind in ("array", "map") and kind.items is not None:
            item = self._deep(kind.items)
            if kind.kind == "array":
                return lambda value: None if value is None else [item(each) for each in value]
            return lambda value: (
                None if value is None else {key: item(each) for key, each in value.items()}
            )
        if kind.kind == "union":
            return _json
        text = self._text(kind)
        return _same if text is None else lambda value: None if value is None else text(value)


def _same(value: Any) -> Any:
    return value


def _json(value: Any) -> Any:
    """A value of a wide union inside other values: its branch is not known any more."""
    return (
        value.decode("latin-1")
        if isinstance(value, bytes)
        else value
        if isinstance(value, str | int | float | list | dict) or value is None
        else str(value)
    )


def _latin1(value: bytes) -> str:
    return value.decode("latin-1")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _remembered(text: Callable[[int], str]) -> Callable[[int], str]:
    known: dict[int, str] = {}

    def get(value: int) -> str:
        found = known.get(value)
        if found is None:
            if len(known) >= REMEMBERED:
                known.clear()
            found = known[value] = text(value)
        return found

    return get
