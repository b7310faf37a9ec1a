"""Which reader type a writer type is read as (specification, "Schema Resolution").

Of the branches of a union the specification takes "the first that matches". Taken literally, a long read with its own schema
`["float", "long"]` would become a float. So, like Apache's Java library, a branch of the same type comes before one that it is promoted to,
and one of the same full name (or alias) before one that shares only its last name. Two logical types that give the same number
different meanings do not match; there the specification is silent.
"""

from __future__ import annotations

from typing import Final

from worker.schema.model import Field, Schema, Type

PROMOTIONS: Final = {
    "int": ("long", "float", "double"),
    "long": ("float", "double"),
    "float": ("double",),
    "string": ("bytes",),
    "bytes": ("string",),
}


class Pair:
    """A writer's schema and the reader's."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        self.writer, self.reader = writer, reader

    def mismatch(self, written: Type, read: Type) -> tuple[str, str] | None:
        """(code, what is wrong) when types that are no unions do not match by themselves; what is in them is not looked at."""
        if written.kind != read.kind:
            if read.kind not in PROMOTIONS.get(written.kind, ()):
                return "type_mismatch", f"{_label(written)} cannot be read as {_label(read)}"
        elif written.name and not _same_name(written, read):
            return (
                "name_mismatch",
                f"{written.kind} {written.name!r} cannot be read as {read.name!r}, which has no such alias",
            )
        elif written.size != read.size:
            return (
                "fixed_size_mismatch",
                f"fixed {written.name!r} has {written.size} bytes, the reader's has {read.size}",
            )
        return self._unlike(written, read)

    def _unlike(self, written: Type, read: Type) -> tuple[str, str] | None:
        if written.logical is None or read.logical is None or _meaning(written) == _meaning(read):
            return None
        return "logical_type_mismatch", f"{_shown(written)} would be taken for {_shown(read)}"

    def branch(self, written: Type, read: Type) -> int | None:
        """The number of the branch of union `read` that a written type, no union, is read as."""
        fits = [
            number
            for number, each in enumerate(read.branches)
            if self._matches(written, self.reader.resolve(each))
        ]
        return min(
            fits,
            key=lambda number: self._distance(written, self.reader.resolve(read.branches[number])),
            default=None,
        )

    def _distance(self, written: Type, read: Type) -> int:
        """How far a branch that matches is from the written type; of equal ones the first is taken."""
        return (
            0
            if written.kind == read.kind
            and (written.name == read.name or written.name in read.aliases)
            else 1
        )

    def _matches(self, written: Type, read: Type) -> bool:
        if self.mismatch(written, read) is not None:
            return False
        if written.items is None or read.items is None:
            return True
        inner_written, inner_read = (
            self.writer.resolve(written.items),
            self.reader.resolve(read.items),
        )
        return "union" in (inner_written.kind, inner_read.kind) or self._matches(
            inner_written, inner_read
        )


def fields_of(written: Type, read: Type) -> dict[str, Field]:
    """Writer's field name -> the reader's field that takes its values: of the same name, else with it as an alias."""
    names = {each.name for each in written.fields}
    found = {each.name: each for each in read.fields if each.name in names}
    for each in read.fields:
        if each.name not in names:
            alias = next(
                (alias for alias in each.aliases if alias in names and alias not in found), None
            )
            if alias is not None:
                found[alias] = each
    return found


def _same_name(written: Type, read: Type) -> bool:
    return (
        written.name.rpartition(".")[2] == read.name.rpartition(".")[2]
        or written.name in read.aliases
    )


def _meaning(kind: Type) -> tuple[str | None, int, int]:
    return kind.logical, kind.precision, kind.scale


def _label(kind: Type) -> str:
    return f"{kind.kind} {kind.name!r}" if kind.name else kind.kind


def _shown(kind: Type) -> str:
    return (
        f"decimal({kind.precision}, {kind.scale})"
        if kind.logical == "decimal"
        else str(kind.logical)
    )
