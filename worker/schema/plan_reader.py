"""Datums of a writer's schema -> records of a plan, as they are when the plan has finished them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Protocol

import msgspec

from worker.schema.compat import problems
from worker.schema.errors import SchemaError
from worker.schema.json_form import compile_json_form
from worker.schema.kept_datums import compile_datum_rest
from worker.schema.limits import Limits
from worker.schema.model import Schema, Type, by_kind, value_branch
from worker.schema.reading import DatumReader
from worker.schema.resolve import Pair, fields_of
from worker.schema.stored import json_tells, store


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A datum that is valid in its writer's schema and has no value in the plan's.

    Attributes:
        path, reason: where it has no value, and why.
        size_bytes: the size of the datum.
        raw: the datum as JSON, or as it is stored where JSON cannot tell what it was.
    """

    path: str
    reason: str
    size_bytes: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Some consecutive datums of a body.

    Attributes:
        records: those that were read.
        end: where the next datum begins.
        unreadable: the datum after the records, if it ended the part because it cannot be read.
    """

    records: list[Any]
    end: int
    unreadable: Unreadable | None = None


class Target(Protocol):
    """What is used of the plan."""

    @property
    def schema(self) -> Schema: ...
    @property
    def typed_fields(self) -> Sequence[bool]: ...
    @property
    def record_type(self) -> Any: ...
    @property
    def incoming(self) -> Schema: ...
    @property
    def keep_text(self) -> Callable[[Any, str | None], None] | None: ...


class PlanReader:
    """Reads datums of one writer's schema as records of a plan.

    Args:
        record_bytes: the most bytes of a datum; a longer one is unreadable.
        bytes_as: how bytes are written in JSON, `latin1` or `base64`.

    Raises:
        SchemaError: no datum can ever be a record of the plan, with every reason for that.
    """

    def __init__(
        self,
        writer: Schema,
        plan: Target,
        *,
        limits: Limits,
        record_bytes: int,
        bytes_as: str,
    ) -> None:
        self._writer, self._plan, self._limits, self._bytes_as = writer, plan, limits, bytes_as
        try:
            self._read = DatumReader(
                writer,
                plan.incoming,
                limits=replace(limits, datum=record_bytes),
                branches=True,
                strict=True,
            )
        except SchemaError as error:
            reasons = [str(each) for each in problems(writer, plan.incoming)] or [error.message]
            raise SchemaError("$", "; ".join(reasons)) from error
        self.smallest, self.weight = self._read.smallest, self._read.weight
        self._type = list[plan.record_type]  # type: ignore[name-defined]
        renames = _Renames(plan.schema)
        self._names = [
            (each.json_name, each.name, renames.of(each.type) if typed else None)
            for each, typed in zip(plan.schema.root.fields, plan.typed_fields, strict=True)
            if each.name in {field.name for field in plan.incoming.root.fields}
        ]
        self._renamed = any(
            json_name != name or rename is not None for json_name, name, rename in self._names
        )

    @cached_property
    def dropped(self) -> dict[str, str]:
        """Name -> kind of the type, for the writer's fields that the plan's schema lacks."""
        root = self._writer.root
        if root.kind != "record":
            return {}
        taken = fields_of(root, self._plan.incoming.root)
        return {
            each.name: self._writer.resolve(each.type).kind
            for each in root.fields
            if each.name not in taken
        }

    def part(self, data: bytes, at: int, rows: int, left: list[int]) -> Part:
        """Up to `rows` datums from `at` on; fewer when they are large, or when one is unreadable.

        Args:
            left: see DatumReader.several.

        Raises:
            CorruptDatum: the next bytes are no datum of the writer's schema, so it is unknown where
                the datum after it begins.
        """
        found, end, problem = self._read.several(data, at, rows, left)
        records = self._built(found)
        if self._rest is not None:
            self._keep_rest(records, data, at, left)
        if problem is None:
            return Part(records, end)
        datums, after, broken = self._as_written.several(data, end, 1, [0, 0, left[2]])
        if broken is not None:
            raise broken
        raw = self._as_written_json(datums[0])
        if not self._json_tells:
            raw = store(raw, data[end:after], self._writer)
        return Part(records, after, Unreadable(problem.path, problem.reason, after - end, raw))

    @cached_property
    def _rest(self) -> Callable[[Any], str | None] | None:
        """What finds the values that the plan keeps; None where there can be none."""
        if self._plan.keep_text is None:
            return None
        return compile_datum_rest(self._writer, self._plan.incoming, self._bytes_as)

    def _keep_rest(self, records: list[Any], data: bytes, at: int, left: list[int]) -> None:
        """Reads the datums of records once more, as they were written, and keeps their rest."""
        assert self._rest is not None and self._plan.keep_text is not None
        written, _, _ = self._as_written.several(data, at, len(records), [0, 0, left[2]])
        for record, datum in zip(records, written, strict=True):
            self._plan.keep_text(record, self._rest(datum))

    def raws(self, data: bytes, at: int, rows: int) -> list[bytes]:
        """The records of a part that was read before, as `one` of the plan reads them back."""
        if self._json_tells:
            datums, _, _ = self._read.several(data, at, rows, [0, 0, self._limits.empty])
            return [self._json(each) for each in datums]
        found = []
        for _ in range(rows):
            [datum], end, _ = self._read.several(data, at, 1, [0, 0, self._limits.empty])
            found.append(store(self._json(datum), data[at:end], self._writer))
            at = end
        return found

    @cached_property
    def _json_tells(self) -> bool:
        if self._plan.keep_text is not None:
            return False  # the form of the plan's schema lacks what is kept
        return json_tells(self._writer) and json_tells(self._plan.schema)

    def _built(self, found: list[Any]) -> list[Any]:
        if self._renamed:
            found = [
                {
                    name: rename(each[avro]) if rename else each[avro]
                    for name, avro, rename in self._names
                }
                for each in found
            ]
        records: list[Any] = msgspec.convert(found, self._type)
        return records

    @cached_property
    def _json(self) -> Callable[[Any], bytes]:
        return compile_json_form(self._plan.incoming, self._bytes_as)

    # -- datums that have no value in the plan's schema -----------------------------------------

    @cached_property
    def _as_written(self) -> DatumReader:
        return DatumReader(self._writer, limits=self._limits, branches=True)

    @cached_property
    def _as_written_json(self) -> Callable[[Any], bytes]:
        names = _JsonNames(self._writer, self._plan.incoming).found
        return compile_json_form(self._writer, self._bytes_as, names)


Rename = Callable[[Any], Any]
"""Puts the records in a value under their JSON names."""


class _Renames:
    """Makes the renames of values that a typed field has; such types are not recursive.

    A rename is None where Avro's names and the JSON names are the same. That of a record is made
    once, however often the record is named.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._records: dict[str, Rename | None] = {}

    def of(self, kind: Type) -> Rename | None:
        kind = self._schema.resolve(kind)
        return self._BY_KIND[kind.kind](self, kind)

    def _union(self, kind: Type) -> Rename | None:
        number = value_branch(kind)
        inner = None if number is None else self.of(kind.branches[number])
        return None if inner is None else lambda value: None if value is None else inner(value)

    def _array(self, kind: Type) -> Rename | None:
        item = None if kind.items is None else self.of(kind.items)
        return None if item is None else lambda value: [item(each) for each in value]

    def _map(self, kind: Type) -> Rename | None:
        item = None if kind.items is None else self.of(kind.items)
        if item is None:
            return None
        return lambda value: {key: item(each) for key, each in value.items()}

    def _record(self, kind: Type) -> Rename | None:
        if kind.name not in self._records:
            self._records[kind.name] = self._fields(kind)
        return self._records[kind.name]

    def _fields(self, kind: Type) -> Rename | None:
        parts = [(each.json_name, each.name, self.of(each.type)) for each in kind.fields]
        if all(json_name == name and rename is None for json_name, name, rename in parts):
            return None
        return lambda value: {
            json_name: rename(value[name]) if rename else value[name]
            for json_name, name, rename in parts
        }

    _BY_KIND: Final[Mapping[str, Callable[[_Renames, Type], Rename | None]]] = by_kind(
        {"union": _union, "array": _array, "map": _map, "record": _record},
        otherwise=lambda self, kind: None,
    )


class _JsonNames(Pair):
    """What the reader's schema calls the fields of the writer's records in JSON.

    Attributes:
        found: full name of a writer's record -> name of a field -> its name in JSON.
    """

    def __init__(self, writer: Schema, reader: Schema) -> None:
        super().__init__(writer, reader)
        self.found: dict[str, dict[str, str]] = {}
        self._seen: set[tuple[str, str]] = set()
        todo = [(writer.root, reader.root)]
        while todo:
            todo += self._inside(*todo.pop())

    def _inside(self, writer_type: Type, reader_type: Type) -> list[tuple[Type, Type]]:
        """Takes the names of one pair of types; returns the pairs that stand in it."""
        writer_type = self.writer.resolve(writer_type)
        reader_type = self.reader.resolve(reader_type)
        if writer_type.kind != "union" and reader_type.kind == "union":
            number = self.branch(writer_type, reader_type)
            return [] if number is None else [(writer_type, reader_type.branches[number])]
        return self._BY_KIND[writer_type.kind](self, writer_type, reader_type)

    def _union(self, writer_type: Type, reader_type: Type) -> list[tuple[Type, Type]]:
        return [(each, reader_type) for each in writer_type.branches]

    def _items(self, writer_type: Type, reader_type: Type) -> list[tuple[Type, Type]]:
        if writer_type.items is None or reader_type.items is None:
            return []
        return [(writer_type.items, reader_type.items)]

    def _record(self, writer_type: Type, reader_type: Type) -> list[tuple[Type, Type]]:
        pair = writer_type.name, reader_type.name
        if reader_type.kind != "record" or pair in self._seen:
            return []
        self._seen.add(pair)
        fields = fields_of(writer_type, reader_type)
        names = {name: each.json_name for name, each in fields.items()}
        self.found.setdefault(writer_type.name, names)
        taken = [each for each in writer_type.fields if each.name in fields]
        return [(each.type, fields[each.name].type) for each in taken]

    _BY_KIND: Final[Mapping[str, Callable[[_JsonNames, Type, Type], list[tuple[Type, Type]]]]] = (
        by_kind(
            {"union": _union, "array map": _items, "record": _record},
            otherwise=lambda self, writer_type, reader_type: [],
        )
    )
