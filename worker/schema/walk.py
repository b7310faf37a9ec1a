"""Walks over the bytes of a datum, slowly, to find where and how they break its schema. The
generated readers only notice that they do.

Source: Avro specification, "Data Serialization and Deserialization", "Binary Encoding".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, NoReturn

from worker.schema.errors import CorruptDatum
from worker.schema.limits import Limits
from worker.schema.logical import reader
from worker.schema.model import Schema, Type, by_kind
from worker.schema.sizes import Sizes

LONGEST: Final = {"int": (5, 2**32), "long": (10, 2**64)}
"""The most bytes of a whole number, and the end of its values before zig-zag."""


class Budget(NamedTuple):
    """What is left of the limits when the walk begins; see Limits."""

    items: int
    depth: int
    empty: int


def explain(data: bytes, start: int, schema: Schema, limits: Limits, empty: int) -> int:
    """Walks over one datum of the schema.

    Args:
        start: where the datum begins.
        empty: how many values may still come in records and items that take no bytes.

    Returns:
        Where the datum ends.

    Raises:
        CorruptDatum: the bytes are no datum of the schema, or they are beyond the limits.
    """
    return _Walk(data, start, schema, Budget(limits.items, limits.depth, empty)).run()


class _Walk:
    def __init__(self, data: bytes, start: int, schema: Schema, budget: Budget) -> None:
        self._data, self._at, self._schema = data, start, schema
        self._items, self._depth, self._empty = budget
        self._path: list[str] = ["$"]
        self._sizes = Sizes(schema)

    def run(self) -> int:
        weight = self._sizes.weight(self._schema.root)
        self._weigh(0, weight, "a datum of up to {} values that take no bytes")
        try:
            self._value(self._schema.root)
        except RecursionError:
            self._refuse(self._at, "nested too deeply")
        return self._at

    def _value(self, kind: Type) -> None:
        kind = self._schema.resolve(kind)
        self._BY_KIND[kind.kind](self, kind)

    def _null(self, kind: Type) -> None:
        """A null takes no bytes."""

    def _boolean(self, kind: Type) -> None:
        at = self._at
        if (byte := self._take(1)[0]) > 1:
            self._refuse(at, f"byte {byte} as a boolean, 0 or 1 is allowed")

    def _whole(self, kind: Type) -> None:
        self._long(kind.kind)

    def _float(self, kind: Type) -> None:
        self._take(4)

    def _double(self, kind: Type) -> None:
        self._take(8)

    def _bytes(self, kind: Type) -> None:
        at = self._at
        raw = self._take(kind.size if kind.kind == "fixed" else self._length())
        try:
            reader(kind)(raw)
        except ValueError as error:
            self._refuse(at, f"bytes that are not a {kind.logical}: {error}")

    def _string(self, kind: Type) -> None:
        self._text("text")

    def _enum(self, kind: Type) -> None:
        at, number = self._at, self._long("int")
        if not 0 <= number < len(kind.symbols):
            self._refuse(at, f"symbol number {number}, 0 to {len(kind.symbols) - 1} are allowed")

    def _union(self, kind: Type) -> None:
        at, number = self._at, self._long("long")
        if not 0 <= number < len(kind.branches):
            self._refuse(at, f"branch number {number}, 0 to {len(kind.branches) - 1} are allowed")
        self._value(kind.branches[number])

    def _record(self, kind: Type) -> None:
        nested = kind.name in self._sizes.recursive
        self._depth -= nested
        if self._depth < 0:
            self._refuse(self._at, "records nested deeper than allowed")
        if nested:
            weight = self._sizes.own_weight(kind)
            self._weigh(self._at, weight, "a record of up to {} values that take no bytes")
        for each in kind.fields:
            self._path.append(f".{each.name}")
            self._value(each.type)
            self._path.pop()
        self._depth += nested

    def _blocks(self, kind: Type) -> None:
        assert kind.items is not None
        is_map, index = kind.kind == "map", 0
        for at, count in self._counts():
            weight = count * self._sizes.item(kind.items)
            self._weigh(
                at, weight, f"a block of {count} items, {{}} with all values that take no bytes"
            )
            if not is_map and self._sizes.smallest(kind.items) == 0:
                self._count_empty(at, weight)
                index, count = index + count - 1, 1  # the items are all alike
            for number in range(index, index + count):
                self._path.append(f".{self._text('a key')[:40]}" if is_map else f"[{number}]")
                self._value(kind.items)
                self._path.pop()
            index += count

    def _counts(self) -> Iterator[tuple[int, int]]:
        """Where each block of an array or map begins and how many items it has (specification,
        "Arrays", "Maps"). Who iterates walks over the items."""
        while True:
            at, count = self._at, self._long("long")
            if count == 0:
                return
            end = self._block_end(at) if count < 0 else None
            begin = self._at
            yield at, abs(count)
            if end is not None and self._at != end:
                found = self._at - begin
                self._refuse(at, f"a block that declares {end - begin} bytes and has {found}")

    def _block_end(self, at: int) -> int:
        """The end of a block with a negative count, which is followed by the size of the block."""
        size = self._long("long")
        left = len(self._data) - self._at
        if not 0 <= size <= left:
            self._refuse(at, f"a block of {size} bytes, {left} are left")
        return self._at + size

    _BY_KIND: Final[Mapping[str, Callable[[_Walk, Type], None]]] = by_kind(
        {
            "null": _null,
            "boolean": _boolean,
            "int long": _whole,
            "float": _float,
            "double": _double,
            "bytes fixed": _bytes,
            "string": _string,
            "enum": _enum,
            "union": _union,
            "array map": _blocks,
            "record": _record,
        }
    )

    # -- limits ---------------------------------------------------------------------------------

    def _weigh(self, at: int, weight: int, what: str) -> None:
        self._items -= weight
        if self._items < 0:
            self._refuse(at, f"{what.format(weight)}, more than the datum may still have")

    def _count_empty(self, at: int, weight: int) -> None:
        """Counts items that take no bytes."""
        self._empty -= weight
        if self._empty < 0:
            self._refuse(at, "too many items that take no bytes")

    # -- bytes ----------------------------------------------------------------------------------

    def _text(self, what: str) -> str:
        at = self._at
        try:
            return self._take(self._length()).decode()
        except UnicodeDecodeError as error:
            self._refuse(at, f"{what} that is not UTF-8 ({error.reason})")

    def _length(self) -> int:
        at, size = self._at, self._long("long")
        if not 0 <= size <= len(self._data) - self._at:
            self._refuse(at, f"a length of {size} bytes, {len(self._data) - self._at} are left")
        return size

    def _long(self, kind: str) -> int:
        at, value, shift = self._at, 0, 0
        most, end = LONGEST[kind]
        while True:
            byte = self._take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if shift >= 7 * most:
                self._refuse(at, f"a whole number of more than {most} bytes")
        if value >= end:
            self._refuse(at, f"a whole number that does not fit {kind}")
        return (value >> 1) ^ -(value & 1)

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            self._refuse(self._at, f"the data ends after {len(taken)} of {size} bytes")
        self._at += size
        return taken

    def _refuse(self, at: int, reason: str) -> NoReturn:
        raise CorruptDatum("".join(self._path), at, reason)
