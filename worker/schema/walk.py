"""Walks over the bytes of a datum, slowly, to say where they break: the generated readers only say that they do."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, NoReturn

from worker.schema.errors import CorruptDatum
from worker.schema.limits import Limits
from worker.schema.logical import reader
from worker.schema.model import Schema, Type
from worker.schema.sizes import Sizes

LONGEST: Final = {"int": (5, 2**32), "long": (10, 2**64)}


class Budget(NamedTuple):
    """What is left of the limits when the walk begins."""

    items: int
    depth: int
    empty: int


def explain(data: bytes, start: int, schema: Schema, limits: Limits, empty: int) -> int:
    """Walks over one datum of the schema from `start`; returns where it ends. Raises CorruptDatum."""
    return _Walk(data, start, schema, Budget(limits.items, limits.depth, empty)).run()


class _Walk:
    def __init__(self, data: bytes, start: int, schema: Schema, budget: Budget) -> None:
        self._data, self._at, self._schema = data, start, schema
        self._items, self._depth, self._empty = budget
        self._path: list[str] = ["$"]
        self._sizes = Sizes(schema)

    def run(self) -> int:
        self._weigh(
            0,
            self._sizes.weight(self._schema.root),
            "a datum of up to {} values that take no bytes",
        )
        try:
            self._value(self._schema.root)
        except RecursionError:
            self._refuse(self._at, "nested too deep")
        return self._at

    def _value(self, kind: Type) -> None:
        kind = self._schema.resolve(kind)
        match kind.kind:
            case "null":
                return
            case "boolean":
                at = self._at
                if self._take(1)[0] > 1:
                    self._refuse(at, f"byte {self._data[at]} as a boolean, 0 or 1 is allowed")
            case "int" | "long":
                self._long(kind.kind)
            case "float":
                self._take(4)
            case "double":
                self._take(8)
            case "bytes" | "fixed":
                self._bytes(kind)
            case "string":
                at = self._at
                try:
                    self._take(self._length()).decode()
                except UnicodeDecodeError as error:
                    self._refuse(at, f"text that is not UTF-8 ({error.reason})")
            case "enum":
                at, number = self._at, self._long("int")
                if not 0 <= number < len(kind.symbols):
                    self._refuse(
                        at, f"symbol number {number}, 0 to {len(kind.symbols) - 1} are allowed"
                    )
            case "union":
                self._union(kind)
            case "array" | "map":
                self._blocks(kind)
            case _:
                self._record(kind)

    def _bytes(self, kind: Type) -> None:
        at = self._at
        raw = self._take(kind.size if kind.kind == "fixed" else self._length())
        try:
            reader(kind)(raw)
        except ValueError as error:
            self._refuse(at, f"no {kind.logical}: {error}")

    def _union(self, kind: Type) -> None:
        at, number = self._at, self._long("long")
        if not 0 <= number < len(kind.branches):
            self._refuse(at, f"branch number {number}, 0 to {len(kind.branches) - 1} are allowed")
        self._value(kind.branches[number])

    def _blocks(self, kind: Type) -> None:
        assert kind.items is not None
        index = 0
        while True:
            at, count, end = self._at, self._long("long"), None
            if count == 0:
                return
            if count < 0:
                count, size = -count, self._long("long")
                end = self._at + size
                if size < 0 or end > len(self._data):
                    self._refuse(
                        at, f"a block of {size} bytes, {len(self._data) - self._at} are left"
                    )
            self._weigh(
                at,
                count * self._sizes.item(kind.items),
                f"a block of {count} items, {{}} with all that takes no bytes",
            )
            begin = self._at
            if kind.kind == "array" and self._sizes.smallest(kind.items) == 0:
                self._nothing(at, count * self._sizes.item(kind.items))
                index, count = index + count - 1, 1  # they are all alike
            for _ in range(count):
                self._path.append(f"[{index}]" if kind.kind == "array" else f".{self._key()}")
                self._value(kind.items)
                self._path.pop()
                index += 1
            if end is not None and self._at != end:
                self._refuse(
                    at, f"a block that says {end - begin} bytes and has {self._at - begin}"
                )

    def _weigh(self, at: int, weight: int, what: str) -> None:
        self._items -= weight
        if self._items < 0:
            self._refuse(at, f"{what.format(weight)}, more than the datum may still have")

    def _nothing(self, at: int, weight: int) -> None:
        """Counts items without bytes."""
        self._empty -= weight
        if self._empty < 0:
            self._refuse(at, "too many items that take no bytes")

    def _key(self) -> str:
        at = self._at
        try:
            return self._take(self._length()).decode()[:40]
        except UnicodeDecodeError as error:
            self._refuse(at, f"a key that is not UTF-8 ({error.reason})")

    def _record(self, kind: Type) -> None:
        nested = kind.name in self._sizes.recursive
        self._depth -= nested
        if self._depth < 0:
            self._refuse(self._at, "records nested deeper than allowed")
        if nested:
            self._weigh(
                self._at,
                self._sizes.own_weight(kind),
                "a record of up to {} values that take no bytes",
            )
        for each in kind.fields:
            self._path.append(f".{each.name}")
            self._value(each.type)
            self._path.pop()
        self._depth += nested

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
            self._refuse(at, f"a whole number that is no {kind}")
        return (value >> 1) ^ -(value & 1)

    def _take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            self._refuse(self._at, f"the data ends after {len(taken)} of {size} bytes")
        self._at += size
        return taken

    def _refuse(self, at: int, reason: str) -> NoReturn:
        raise CorruptDatum("".join(self._path), at, reason)


def cause_text(error: BaseException) -> Any:
    """What to say of an error that the walk could not place."""
    return str(error)[:200] or type(error).__name__
