"""Rows of NDJSON files: one line per record, with names as in Avro. Times and decimals are text,
and bytes are latin-1 or base64 text."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from worker.schema.codegen import CodeBuilder
from worker.schema.logical import duration_text, plain_text
from worker.schema.model import Field, Schema, Type, by_kind, is_wide
from worker.schema.values import Branch
from worker.transforms import values
from worker.transforms.kinds import Kind, kind_of
from worker.transforms.natives import converter

REMEMBERED: Final = 10_000

Form = Callable[[Any], Any]
"""A value between stages -> the JSON value that stands for it."""


class JsonRows:
    """The `RowEncoder` of NDJSON. `bytes_as` is latin1 or base64."""

    ext = "ndjson"

    def __init__(self, schema: Schema, bytes_as: str = "latin1") -> None:
        self._schema, self._bytes = schema, _latin1 if bytes_as == "latin1" else _base64
        self._code = CodeBuilder()
        self._records: dict[str, dict[str, Form]] = {}

    def begin(self, code: CodeBuilder) -> None:
        self._code = code

    def row(self, fields: Sequence[tuple[Field, str, bool]]) -> str:
        items = ", ".join(
            f"{field.name!r}: {self._value(field.type, code)}" for field, code, _ in fields
        )
        return f"{self._code.bind(orjson.dumps)}({{{items}}}, option={orjson.OPT_APPEND_NEWLINE})"

    def _value(self, kind: Type, code: str) -> str:
        form = self._form(kind)
        if form is None:
            return code
        return f"(None if (v := {code}) is None else {self._code.bind(form)}(v))"

    def _form(self, kind: Type) -> Form | None:
        """The form of values that are not null; None where a value is JSON already."""
        if is_wide(kind):
            return self._wide(kind)
        found, what = self._schema.value_type(kind), kind_of(kind, self._schema)
        if found.logical == "duration":
            return duration_text
        make = self._FORMS.get(what.name)
        return None if make is None else make(self, found, what)

    def _wide(self, kind: Type) -> Form:
        branches = [
            (self._form(branch) if branch.kind != "null" else None) or _same
            for branch in map(self._schema.resolve, kind.branches)
        ]
        return lambda value: (
            branches[value.number](value.value) if isinstance(value, Branch) else value
        )

    def _timestamp(self, kind: Type, what: Kind) -> Form:
        zone = "" if what.local else "Z"
        return _remembered(lambda value: values.timestamp_text(value, what.ticks, zone))

    def _date(self, kind: Type, what: Kind) -> Form:
        return _remembered(values.date_text)

    def _time(self, kind: Type, what: Kind) -> Form:
        return _remembered(lambda value: values.time_text(value, what.ticks))

    def _nested(self, kind: Type, what: Kind) -> Form:
        plain, deep = converter(kind, self._schema, native=False), self._deep(kind)
        return lambda value: deep(plain(value))

    _FORMS: Final[Mapping[str, Callable[[JsonRows, Type, Kind], Form]]] = {
        "timestamp": _timestamp,
        "date": _date,
        "time": _time,
        "decimal": lambda self, kind, what: plain_text(what.scale),
        "bytes": lambda self, kind, what: self._bytes,
        "record": _nested,
        "array": _nested,
        "map": _nested,
    }

    # -- values inside other values, which are plain --------------------------------------------

    def _deep(self, kind: Type) -> Form:
        kind = self._schema.value_type(kind)
        return self._DEEP[kind.kind](self, kind)

    def _deep_record(self, kind: Type) -> Form:
        parts = self._records.get(kind.name)
        if parts is None:
            parts = self._records[kind.name] = {}  # filled below: recursive types find it
            parts.update((each.name, self._deep(each.type)) for each in kind.fields)
        return lambda value: (
            None if value is None else {name: part(value[name]) for name, part in parts.items()}
        )

    def _deep_array(self, kind: Type) -> Form:
        assert kind.items is not None
        item = self._deep(kind.items)
        return lambda value: None if value is None else [item(each) for each in value]

    def _deep_map(self, kind: Type) -> Form:
        assert kind.items is not None
        item = self._deep(kind.items)
        return lambda value: (
            None if value is None else {key: item(each) for key, each in value.items()}
        )

    def _deep_scalar(self, kind: Type) -> Form:
        form = self._form(kind)
        return _same if form is None else lambda value: None if value is None else form(value)

    _DEEP: Final[Mapping[str, Callable[[JsonRows, Type], Form]]] = by_kind(
        {
            "record": _deep_record,
            "array": _deep_array,
            "map": _deep_map,
            "union": lambda self, kind: _json,
        },
        otherwise=_deep_scalar,
    )


def _same(value: Any) -> Any:
    return value


def _json(value: Any) -> Any:
    """A value of a union of several types inside another value, where its branch is not known."""
    if isinstance(value, list):
        return [_json(each) for each in value]
    if isinstance(value, dict):
        return {key: _json(each) for key, each in value.items()}
    if isinstance(value, bytes):
        return _latin1(value)
    return value if isinstance(value, str | int | float) or value is None else str(value)


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
