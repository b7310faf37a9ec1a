"""Datums -> JSON that a pipeline reads back as the same datums. It is for dead letters of records
that were never JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from worker.schema.logical import duration_text
from worker.schema.model import Schema, Type, by_kind, is_wide, value_branch

Form = Callable[[Any], Any]
"""Datum of a type -> the JSON value that stands for it."""
Names = Mapping[str, Mapping[str, str]]
"""Full name of a record -> name of its field -> name of that field in JSON."""


def compile_json_form(
    schema: Schema, bytes_as: str = "latin1", names: Names | None = None
) -> Callable[[Any], bytes]:
    """Makes the function datum of the root type -> JSON text.

    In the datum, records are dicts under their Avro names, and values of unions with several
    branches besides null are `Branch`es. In JSON, times are numbers; decimals, uuids and durations
    are text. Values of unions do not name their branch, so where branches look alike in JSON, the
    value may be read back as another one.

    Args:
        bytes_as: `latin1` or `base64`, which becomes the text of bytes and fixed.
        names: names of fields in JSON, where they are not the fields' own JSON names.
    """
    form = json_form(schema, bytes_as, names)(schema.root)
    return lambda datum: msgspec.json.encode(form(datum))


def json_form(schema: Schema, bytes_as: str, names: Names | None = None) -> Callable[[Type], Form]:
    """Makes the form of any type of a schema; the arguments are those of `compile_json_form`."""
    return _Forms(schema, bytes_as, names or {}).of


class _Forms:
    def __init__(self, schema: Schema, bytes_as: str, names: Names) -> None:
        self._schema, self._names = schema, names
        self._bytes = _latin1 if bytes_as == "latin1" else _base64
        self._named: dict[str, Form] = {}

    def of(self, kind: Type) -> Form:
        kind = self._schema.resolve(kind)
        return _LOGICAL.get(kind.logical or "") or self._BY_KIND[kind.kind](self, kind)

    def _number(self, kind: Type) -> Form:
        return _finite

    def _binary(self, kind: Type) -> Form:
        return _same if kind.logical is not None else self._bytes  # the datum of a uuid is text

    def _array(self, kind: Type) -> Form:
        assert kind.items is not None
        item = self.of(kind.items)
        return lambda value: [item(each) for each in value]

    def _map(self, kind: Type) -> Form:
        assert kind.items is not None
        item = self.of(kind.items)
        return lambda value: {key: item(each) for key, each in value.items()}

    def _union(self, kind: Type) -> Form:
        branches = [self.of(each) for each in kind.branches]
        if is_wide(kind):
            return lambda value: branches[value.number](value.value)
        number = value_branch(kind)
        inner = _same if number is None else branches[number]
        return lambda value: None if value is None else inner(value)

    def _record(self, kind: Type) -> Form:
        if kind.name not in self._named:
            self._named[kind.name] = self._later(kind.name)
            self._named[kind.name] = self._fields(kind)
        return self._named[kind.name]

    def _later(self, name: str) -> Form:
        """Stands for the form of a record while that is being made."""
        return lambda value: self._named[name](value)

    def _fields(self, kind: Type) -> Form:
        names = self._names.get(kind.name, {})
        parts = [
            (names.get(each.name, each.json_name), each.name, self.of(each.type))
            for each in kind.fields
        ]
        return lambda value: {json_name: form(value[name]) for json_name, name, form in parts}

    _BY_KIND: Final[Mapping[str, Callable[[_Forms, Type], Form]]] = by_kind(
        {
            "record": _record,
            "union": _union,
            "array": _array,
            "map": _map,
            "bytes fixed": _binary,
            "float double": _number,
        },
        otherwise=lambda self, kind: _same,
    )


def _same(value: Any) -> Any:
    return value


def _finite(value: float) -> float | str:
    """JSON has neither NaN nor infinities. As text they are refused when they are read back, while
    null might be taken for a value."""
    return value if math.isfinite(value) else str(value)


def _latin1(value: bytes) -> str:
    return value.decode("latin-1")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_LOGICAL: Final[Mapping[str, Form]] = {
    "decimal": str,
    "big-decimal": str,
    "duration": duration_text,
}
