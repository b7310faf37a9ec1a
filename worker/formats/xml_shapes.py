"""What XML cannot say of a value, and the schema does. Pure.

An element that stands once may be the only one of an array. An empty one may be an empty record, or
none. One with attributes may be the number that stands in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.schema.model import Schema, Type, is_nullable

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
        self._records: dict[str, _Record] = {}

    def of(self, kind: Type) -> Shape:
        found = self._schema.value_type(kind)
        empty: dict[str, Any] | None = None if is_nullable(kind) else {}
        if found.kind == "record":
            record = self._of_record(found)
            return lambda value: _record(value, record, empty)
        if found.kind == "map" and found.items is not None:
            item = self.of(found.items)
            return lambda value: _map(value, item, empty)
        if found.kind == "array" and found.items is not None:
            item = self.of(found.items)
            is_text = self._schema.value_type(found.items).kind in ("string", "bytes")
            return lambda value: _array(value, item, is_text=is_text)
        return _as_it_is if found.kind == "union" else _scalar

    def _of_record(self, kind: Type) -> _Record:
        if (made := self._records.get(kind.name)) is None:
            made = self._records[kind.name] = _Record()
            for each in kind.fields:
                name, shape = each.json_name, self.of(each.type)
                made.fields[name] = shape
                if shape is not _as_it_is and shape is not _scalar:
                    made.nested.append(name)
                if self._schema.resolve(each.type).kind == "array":
                    made.arrays.append(name)
        return made


@dataclass(slots=True)
class _Record:
    """The shapes of the fields of a record.

    Attributes:
        nested: the fields whose texts have a shape too.
        arrays: the fields that are an empty array where nothing is.
    """

    fields: dict[str, Shape] = field(default_factory=dict)
    nested: list[str] = field(default_factory=list)
    arrays: list[str] = field(default_factory=list)


def _record(value: Any, record: _Record, empty: Any) -> Any:
    if value == "":
        value = None if empty is None else {}
    if not isinstance(value, dict):
        return value
    shapes = record.fields
    for name, each in value.items():
        if type(each) is not str and (shape := shapes.get(name)) is not None:
            value[name] = shape(each)
    for name in record.nested:
        if type(each := value.get(name)) is str:
            value[name] = shapes[name](each)
    for name in record.arrays:
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
