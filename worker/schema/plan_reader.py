"""Datums of some writer's schema -> records of a plan, as they are when the plan has finished them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec

from worker.schema.compat import problems
from worker.schema.errors import SchemaError
from worker.schema.json_form import compile_json_form
from worker.schema.limits import Limits
from worker.schema.model import Schema, Type
from worker.schema.plan import CompiledPlan
from worker.schema.reading import DatumReader
from worker.schema.resolve import Pair, fields_of


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A datum that is right in its writer's schema and has no value in the plan's.

    Attributes:
        path, reason: where and why.
        size_bytes: of the datum.
        raw: what was written, as JSON.
    """

    path: str
    reason: str
    size_bytes: int
    raw: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Some records, the one behind them that could not be read (if that is what ended the part), and where the next datum begins."""

    records: list[Any]
    end: int
    unreadable: Unreadable | None = None


class PlanReader:
    """Reads datums of one writer's schema. Raises SchemaError with every reason when none of them can ever be a record of the plan.

    Args:
        record_bytes: a longer datum is unreadable.
        bytes_as: how bytes are written in JSON.
    """

    def __init__(
        self,
        writer: Schema,
        plan: CompiledPlan,
        *,
        limits: Limits,
        record_bytes: int,
        bytes_as: str,
    ) -> None:
        self._writer, self._plan, self._limits, self._bytes_as = writer, plan, limits, bytes_as
        self._record_bytes = record_bytes
        try:
            self._read = DatumReader(
                writer,
                plan.schema,
                limits=replace(limits, datum=record_bytes),
                branches=True,
                strict=True,
            )
        except SchemaError as error:
            reasons = [str(each) for each in problems(writer, plan.schema)] or [error.message]
            raise SchemaError("$", "; ".join(reasons)) from error
        self.smallest, self.weight = self._read.smallest, self._read.weight
        self._type = list[plan.record_type]  # type: ignore[name-defined]
        renamers: dict[str, Rename | None] = {}
        self._names = [
            (
                each.json_name,
                each.name,
                _renamer(each.type, plan.schema, renamers) if typed else None,
            )
            for each, typed in zip(plan.schema.root.fields, plan.typed_fields, strict=True)
        ]
        self._renamed = any(
            json_name != name or rename is not None for json_name, name, rename in self._names
        )

    @cached_property
    def dropped(self) -> dict[str, str]:
        """Fields of the writer that the plan's schema lacks, and their types."""
        root = self._writer.root
        if root.kind != "record":
            return {}
        taken = fields_of(root, self._plan.schema.root)
        return {
            each.name: self._writer.resolve(each.type).kind
            for each in root.fields
            if each.name not in taken
        }

    def part(self, data: bytes, at: int, rows: int, left: list[int]) -> Part:
        """Up to `rows` datums from `at` on; fewer when they are large, or when one is unreadable. See DatumReader.several for `left`.

        Raises CorruptDatum when the next one is no datum of the writer's schema: nobody can say where the one after it begins.
        """
        found, end, problem = self._read.several(data, at, rows, left)
        records = self._built(found)
        if problem is None:
            return Part(records, end)
        written, behind, broken = self._written.several(data, end, 1, [0, 0, left[2]])
        if broken is not None:
            raise broken
        return Part(
            records,
            behind,
            Unreadable(problem.path, problem.reason, behind - end, self._written_json(written[0])),
        )

    def raws(self, data: bytes, at: int, rows: int) -> list[bytes]:
        """The records of a part that was read before, as JSON that the plan reads back."""
        return [
            self._json(each)
            for each in self._read.several(data, at, rows, [0, 0, self._limits.empty])[0]
        ]

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
        return compile_json_form(self._plan.schema, self._bytes_as)

    # -- what has no value in the plan's schema -------------------------------------------------------------------

    @cached_property
    def _written(self) -> DatumReader:
        return DatumReader(self._writer, limits=self._limits, branches=True)

    @cached_property
    def _written_json(self) -> Callable[[Any], bytes]:
        return compile_json_form(
            self._writer, self._bytes_as, _json_names(self._writer, self._plan.schema)
        )


Rename = Callable[[Any], Any]


def _renamer(kind: Type, schema: Schema, known: dict[str, Rename | None]) -> Rename | None:
    """Puts records in a value under their JSON names; None where they have them. For types that msgspec can say: they are not recursive.

    `known`: those of records, each made once, however often it is named.
    """
    kind = schema.resolve(kind)
    if kind.kind == "record":
        if kind.name not in known:
            known[kind.name] = _record_renamer(kind, schema, known)
        return known[kind.name]
    if kind.kind == "union":
        inner = next(
            (
                each
                for branch in kind.branches
                if (each := _renamer(branch, schema, known)) is not None
            ),
            None,
        )
        return None if inner is None else lambda value: None if value is None else inner(value)
    item = None if kind.items is None else _renamer(kind.items, schema, known)
    if item is None:
        return None
    return (
        (lambda value: [item(each) for each in value])
        if kind.kind == "array"
        else lambda value: {key: item(each) for key, each in value.items()}
    )


def _record_renamer(kind: Type, schema: Schema, known: dict[str, Rename | None]) -> Rename | None:
    parts = [
        (each.json_name, each.name, _renamer(each.type, schema, known)) for each in kind.fields
    ]
    if all(json_name == name and rename is None for json_name, name, rename in parts):
        return None
    return lambda value: {
        json_name: rename(value[name]) if rename else value[name]
        for json_name, name, rename in parts
    }


def _json_names(writer: Schema, reader: Schema) -> dict[str, dict[str, str]]:
    """What the reader's schema calls the fields of each written record in JSON."""
    found: dict[str, dict[str, str]] = {}
    pair = Pair(writer, reader)
    todo, seen = [(writer.root, reader.root)], set[tuple[str, str]]()
    while todo:
        written, read = (
            schema.resolve(kind) for schema, kind in zip((writer, reader), todo.pop(), strict=True)
        )
        if written.kind == "union":
            todo += [(each, read) for each in written.branches]
        elif read.kind == "union":
            if (number := pair.branch(written, read)) is not None:
                todo.append((written, read.branches[number]))
        elif written.kind == read.kind == "record" and (written.name, read.name) not in seen:
            seen.add((written.name, read.name))
            fields = fields_of(written, read)
            found.setdefault(written.name, {name: each.json_name for name, each in fields.items()})
            todo += [
                (each.type, fields[each.name].type)
                for each in written.fields
                if each.name in fields
            ]
        elif written.items is not None and read.items is not None:
            todo.append((written.items, read.items))
    return found
