"""What datums of a schema cost at least and at most, worked out from the schema alone, once a type.

A few bytes can stand for any number of values: nulls take none, nor do records of nothing but nulls, and records that name the same
record twice on thirty levels hold a thousand million values. So limits are kept by weight, before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from worker.schema.model import Schema, Type

_SMALLEST: Final = {"null": 0, "float": 4, "double": 8}


class Sizes:
    """Sizes of the types of one schema.

    Attributes:
        recursive: names of the records that can hold themselves.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.recursive = recursive_names(schema)
        self._smallest: dict[str, int] = {}
        self._weights: dict[str, int] = {}

    def smallest(self, kind: Type) -> int:
        """The fewest bytes that a datum takes, or less: a record inside itself counts as none. 0: no datum takes any."""
        kind = self._schema.resolve(kind)
        match kind.kind:
            case "fixed":
                return kind.size
            case "union":
                return 1 + min(map(self.smallest, kind.branches), default=0)
            case "record":
                if kind.name not in self._smallest:
                    self._smallest[kind.name] = 0  # while it is being counted
                    self._smallest[kind.name] = sum(
                        self.smallest(each.type) for each in kind.fields
                    )
                return self._smallest[kind.name]
            case _:
                return _SMALLEST.get(kind.kind, 1)

    def item(self, kind: Type) -> int:
        """How much a datum counts as an item: its weight, at least 1."""
        return max(1, self.weight(kind))

    def weight(self, kind: Type) -> int:
        """The most values without bytes of their own in a datum: records, nulls, fixed of no bytes.

        Not counted are items of arrays and maps, and recursive records (`own_weight`): they count where they stand.
        """
        kind = self._schema.resolve(kind)
        match kind.kind:
            case "null":
                return 1
            case "fixed":
                return int(kind.size == 0)
            case "union":
                return (
                    max([1, *map(self.weight, kind.branches)]) - 1
                )  # the number of the branch is a byte
            case "record":
                return 0 if kind.name in self.recursive else self.own_weight(kind)
            case _:
                return 0

    def own_weight(self, kind: Type) -> int:
        """The weight of a record, with itself."""
        if kind.name not in self._weights:
            self._weights[kind.name] = 1 + sum(self.weight(each.type) for each in kind.fields)
        return self._weights[kind.name]


def recursive_names(schema: Schema) -> frozenset[str]:
    """The records that can hold themselves: those in cycles of the graph of records, in one walk (Tarjan's components, without recursion)."""
    inside = {
        name: _records_in(kind, schema)
        for name, kind in schema.named.items()
        if kind.kind == "record"
    }
    found = {name for name, parts in inside.items() if name in parts}
    number: dict[str, int] = {}  # in the order of the walk
    lowest: dict[str, int] = {}  # the first one of its component that a record is known to reach
    component: list[str] = []  # records whose component is not complete
    unfinished: set[str] = set()
    todo: list[tuple[str, Iterator[str]]] = []

    def enter(name: str) -> None:
        number[name] = lowest[name] = len(number)
        component.append(name)
        unfinished.add(name)
        todo.append((name, iter(inside[name])))

    for start in inside:
        if start not in number:
            enter(start)
        while todo:
            name, parts = todo[-1]
            for part in parts:
                if part not in number:
                    enter(part)
                    break
                if part in unfinished:
                    lowest[name] = min(lowest[name], lowest[part])
            else:
                todo.pop()
                if todo:
                    before = todo[-1][0]
                    lowest[before] = min(lowest[before], lowest[name])
                if lowest[name] == number[name]:
                    at = len(component) - 1
                    while component[at] != name:
                        at -= 1
                    group = component[at:]
                    del component[at:]
                    unfinished.difference_update(group)
                    found.update(group if len(group) > 1 else ())
    return frozenset(found)


def _records_in(kind: Type, schema: Schema) -> dict[str, None]:
    """Names of the records that stand directly in a record, through arrays, maps and unions, in order."""
    found: dict[str, None] = {}
    todo = [each.type for each in kind.fields]
    while todo:
        part = todo.pop()
        if part.kind == "ref":
            if schema.named[part.name].kind == "record":
                found[part.name] = None
        else:
            todo.extend(part.branches)
            if part.items is not None:
                todo.append(part.items)
    return found
