"""Which type of the reader's schema a type of the writer's is read as.

Source: Avro specification, "Schema Resolution", with two decisions of our own:

* Of the branches of a union the specification takes "the first schema that matches". Taken
  literally, a long that is read with its own schema `["float", "long"]` would become a float. So,
  as in Apache's Java library, a branch of the same type comes before one that the type is promoted
  to, and a branch of the same full name (or alias) before one that shares only its last name.
* Two logical types that give the same number different meanings do not match; there the
  specification is silent.
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

INTO_UNION: Final = "into_union"
MISMATCH: Final = "mismatch"


class Pair:
    """A writer's schema and a reader's."""

    def __init__(self, writer: Schema, reader: Schema) -> None:
        self.writer, self.reader = writer, reader

    def rule(self, writer_type: Type, reader_type: Type) -> str:
        """Which rule of schema resolution applies to two types that are no references.

        Returns:
            `union`: the writer's type is a union, so the branch that was written decides.
            INTO_UNION: only the reader's type is one, so `branch` decides.
            MISMATCH: the types do not match; `mismatch` gives the reason.
            Otherwise the kind of the writer's type: the types match, apart from their inner types.
        """
        if writer_type.kind == "union":
            return "union"
        if reader_type.kind == "union":
            return INTO_UNION
        return MISMATCH if self.mismatch(writer_type, reader_type) else writer_type.kind

    def mismatch(self, writer_type: Type, reader_type: Type) -> tuple[str, str] | None:
        """The code and the description of why two types that are no unions do not match by
        themselves, their inner types left aside; None when they match."""
        if writer_type.kind != reader_type.kind:
            if reader_type.kind not in PROMOTIONS.get(writer_type.kind, ()):
                message = f"{_label(writer_type)} cannot be read as {_label(reader_type)}"
                return "type_mismatch", message
        elif writer_type.name and not _same_name(writer_type, reader_type):
            return (
                "name_mismatch",
                (
                    f"{_label(writer_type)} cannot be read as {reader_type.name!r},"
                    " which has no such alias"
                ),
            )
        elif writer_type.size != reader_type.size:
            return (
                "fixed_size_mismatch",
                (
                    f"fixed {writer_type.name!r} has {writer_type.size} bytes,"
                    f" the reader's has {reader_type.size}"
                ),
            )
        return _logical_mismatch(writer_type, reader_type)

    def branch(self, writer_type: Type, reader_union: Type) -> int | None:
        """The number of the branch of the reader's union that a type of the writer, no union, is
        read as; None when no branch matches."""
        branches = [self.reader.resolve(each) for each in reader_union.branches]
        matching = [n for n, each in enumerate(branches) if self._matches(writer_type, each)]
        same = (n for n in matching if _is_same(writer_type, branches[n]))
        return next(same, matching[0] if matching else None)

    def _matches(self, writer_type: Type, reader_type: Type) -> bool:
        if self.mismatch(writer_type, reader_type) is not None:
            return False
        if writer_type.items is None or reader_type.items is None:
            return True
        writer_item = self.writer.resolve(writer_type.items)
        reader_item = self.reader.resolve(reader_type.items)
        if "union" in (writer_item.kind, reader_item.kind):
            return True
        return self._matches(writer_item, reader_item)


def fields_of(writer_record: Type, reader_record: Type) -> dict[str, Field]:
    """Name of a writer's field -> the reader's field that takes its values: the one of the same
    name, or else the one that has it as an alias."""
    names = {each.name for each in writer_record.fields}
    found = {each.name: each for each in reader_record.fields if each.name in names}
    for each in reader_record.fields:
        if each.name not in names:
            free = (alias for alias in each.aliases if alias in names and alias not in found)
            if (alias := next(free, None)) is not None:
                found[alias] = each
    return found


def _is_same(writer_type: Type, reader_type: Type) -> bool:
    """Whether two types that match are of the same kind and of the same full name or alias."""
    same_name = writer_type.name == reader_type.name or writer_type.name in reader_type.aliases
    return writer_type.kind == reader_type.kind and same_name


def _same_name(writer_type: Type, reader_type: Type) -> bool:
    last_names = (kind.name.rpartition(".")[2] for kind in (writer_type, reader_type))
    return len(set(last_names)) == 1 or writer_type.name in reader_type.aliases


def _logical_mismatch(writer_type: Type, reader_type: Type) -> tuple[str, str] | None:
    if writer_type.logical is None or reader_type.logical is None:
        return None
    meanings = {(each.logical, each.precision, each.scale) for each in (writer_type, reader_type)}
    if len(meanings) == 1:
        return None
    written, taken_for = _logical_label(writer_type), _logical_label(reader_type)
    return "logical_type_mismatch", f"{written} would be taken for {taken_for}"


def _label(kind: Type) -> str:
    return f"{kind.kind} {kind.name!r}" if kind.name else kind.kind


def _logical_label(kind: Type) -> str:
    if kind.logical == "decimal":
        return f"decimal({kind.precision}, {kind.scale})"
    return str(kind.logical)
