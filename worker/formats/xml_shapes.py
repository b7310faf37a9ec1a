"""What XML cannot say of a value, and the schema does. Pure.

An element that stands once may be the only one of an array. An empty one may be an empty record, or
none. One with attributes may be the number that stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.schema.model import Field, Schema, Type, is_nullable

Shape = Callable[[Any], Any]
"""A value of XML -> the same as its type has it, as far as it can."""


def shape_of(schema: Schema) -> Shape:
    """The shape of the records of a schema."""
    shapes = _Shapes(schema)
    return shapes.of(schema.root)


class _Shapes:
    """Makes shapes of types. Those of records are filled in later: types may hold themselves."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._fields: dict[str, dict[str, Shape]] = {}

    def of(self, kind: Type) -> Shape:
        found = self._schema.value_type(kind)
        empty: dict[str, Any] | None = None if is_nullable(kind) else {}
        if found.kind == "record":
            fields = self._of_fields(found)
            arrays = [each.json_name for each in found.fields if self._needs_array(each)]
            return lambda value: _record(value, fields, arrays, empty)
        if found.kind == "map" and found.items is not None:
            item = self.of(found.items)
            return lambda value: _map(value, item, empty)
        if found.kind == "array" and found.items is not None:
            item = self.of(found.items)
            is_text = self._schema.value_type(found.items).kind in ("string", "bytes")
            return lambda value: _array(value, item, is_text=is_text)
        return _as_it_is if found.kind == "union" else _scalar

    def _of_fields(self, record: Type) -> Mapping[str, Shape]:
        if record.name not in self._fields:
            fields = self._fields[record.name] = {}
            for each in record.fields:
                shape = self.of(each.type)
                if shape is not _as_it_is:
                    fields[each.json_name] = shape
        return self._fields[record.name]

    def _needs_array(self, field: Field) -> bool:
        return self._schema.resolve(field.type).kind == "array"


def _record(value: Any, fields: Mapping[str, Shape], arrays: list[str], empty: Any) -> Any:
    if value == "":
        value = None if empty is None else {}
    if not isinstance(value, dict):
        return value
    for name in value.keys() & fields.keys():
        value[name] = fields[name](value[name])
    for name in arrays:
        value.setdefault(name, [])
    return value


def _map(value: Any, item: Shape, empty: Any) -> Any:
    if value == "":
        return None if empty is None else {}
    return {key: item(each) for key, each in value.items()} if isinstance(value, dict) else value


def _array(value: Any, item: Shape, *, is_text: bool) -> Any:
    if value is None or (value == "" and not is_text):
        return [] if value == "" else None
    return [item(each) for each in (value if isinstance(value, list) else [value])]


def _scalar(value: Any) -> Any:
    """The text of an element whose attributes have no place in its type."""
    return value.get("#text", "") if isinstance(value, dict) and _is_leaf(value) else value


def _is_leaf(value: Mapping[str, Any]) -> bool:
    return all(name.startswith(("@", "#")) for name in value)


def _as_it_is(value: Any) -> Any:
    return value
