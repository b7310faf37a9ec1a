"""What datums have and the schema of the pipeline lacks, as `worker/schema/kept.py` keeps it.

The writer's schema says what there is, so nothing is looked for where the two schemas have the same
fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from worker.schema.json_form import Form, json_form
from worker.schema.model import Schema, Type, by_kind, is_wide, value_branch
from worker.schema.resolve import Pair, fields_of

Rest = Callable[[Any], Any]
"""Datum of a writer's type -> a JSON value of what the reader's lacks; None where that is nothing.
"""


def compile_datum_rest(
    writer: Schema, reader: Schema, bytes_as: str
) -> Callable[[Any], str | None] | None:
    """The function datum of `writer` -> JSON text of what `reader` lacks; None where that can never
    be anything.

    Values have the form that they have in dead letters (see json_form.py); in a datum, records are
    dicts, and values of unions with several branches besides null are `Branch`es.
    """
    rests = _Rests(writer, reader, bytes_as)
    rest = rests.of(writer.root, reader.root)
    if rest is None or not rests.found:
        return None

    def text(datum: Any) -> str | None:
        found = rest(datum)
        return None if found is None else msgspec.json.encode(found).decode()

    return text


class _Rests(Pair):
    """Makes what finds the rest of values; that of a pair of records is made once.

    Attributes:
        found: some pair of records has a field that the reader lacks.
    """

    def __init__(self, writer: Schema, reader: Schema, bytes_as: str) -> None:
        super().__init__(writer, reader)
        self._form: Callable[[Type], Form] = json_form(writer, bytes_as)
        self._pairs: dict[tuple[str, str], Rest] = {}
        self.found = False

    def of(self, writer_type: Type, reader_type: Type) -> Rest | None:
        writer_type = self.writer.resolve(writer_type)
        reader_type = self.reader.resolve(reader_type)
        if writer_type.kind != "union" and reader_type.kind == "union":
            number = self.branch(writer_type, reader_type)
            return None if number is None else self.of(writer_type, reader_type.branches[number])
        return self._BY_KIND[writer_type.kind](self, writer_type, reader_type)

    def _union(self, writer_type: Type, reader_type: Type) -> Rest | None:
        branches = [self.of(each, reader_type) for each in writer_type.branches]
        if not any(branches):
            return None
        if is_wide(writer_type):
            rests = [each or _nothing for each in branches]
            return lambda value: rests[value.number](value.value)
        inner = branches[value_branch(writer_type) or 0] or _nothing
        return lambda value: None if value is None else inner(value)

    def _array(self, writer_type: Type, reader_type: Type) -> Rest | None:
        item = self._item(writer_type, reader_type)
        if item is None:
            return None
        return lambda value: _object((str(n), each, item) for n, each in enumerate(value))

    def _map(self, writer_type: Type, reader_type: Type) -> Rest | None:
        item = self._item(writer_type, reader_type)
        if item is None:
            return None
        return lambda value: _object((key, each, item) for key, each in value.items())

    def _item(self, writer_type: Type, reader_type: Type) -> Rest | None:
        if writer_type.items is None or reader_type.items is None:
            return None
        return self.of(writer_type.items, reader_type.items)

    def _record(self, writer_type: Type, reader_type: Type) -> Rest | None:
        if reader_type.kind != "record":
            return None
        pair = writer_type.name, reader_type.name
        if pair not in self._pairs:
            parts: list[tuple[str, str, Rest]] = []
            self._pairs[pair] = lambda value: _object(
                (json_name, value[name], rest) for json_name, name, rest in parts
            )  # filled below: recursive types find it
            taken = fields_of(writer_type, reader_type)
            for each in writer_type.fields:
                if (field := taken.get(each.name)) is None:
                    self.found = True
                    parts.append((each.json_name, each.name, _wrapped(self._form(each.type))))
                elif (inner := self.of(each.type, field.type)) is not None:
                    parts.append((field.json_name, each.name, inner))
        return self._pairs[pair]

    _BY_KIND: Final[Mapping[str, Callable[[_Rests, Type, Type], Rest | None]]] = by_kind(
        {"union": _union, "array": _array, "map": _map, "record": _record},
        otherwise=lambda self, writer_type, reader_type: None,
    )


class _Whole:
    """A value that is left over as a whole; it may be null."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _wrapped(form: Form) -> Rest:
    return lambda value: _Whole(form(value))


def _object(parts: Iterable[tuple[str, Any, Rest]]) -> dict[str, Any] | None:
    """The object of what is left of each value, under its name."""
    left = {name: found for name, each, rest in parts if (found := rest(each)) is not None}
    if not left:
        return None
    return {name: each.value if isinstance(each, _Whole) else each for name, each in left.items()}


def _nothing(value: Any) -> Any:
    return None
