"""How few bytes and how many values a datum of a schema can have, derived from the schema alone.

A few bytes can stand for any number of values: a null takes no byte, nor does a record of nulls,
and records that name the same record twice on thirty levels hold a thousand million values.
Therefore limits are kept by weight, before anything is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from worker.schema.model import Schema, Type, by_kind


class Sizes:
    """Sizes of the types of one schema, each computed once.

    Attributes:
        recursive: names of the records that can hold themselves.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self.recursive = recursive_names(schema)
        self._smallest: dict[str, int] = {}
        self._weights: dict[str, int] = {}

    def smallest(self, kind: Type) -> int:
        """A lower bound of the bytes of a datum; a record inside itself counts as no byte. 0 means
        that no datum takes any byte."""
        kind = self._schema.resolve(kind)
        return self._SMALLEST[kind.kind](self, kind)

    def _smallest_union(self, kind: Type) -> int:
        return 1 + min(map(self.smallest, kind.branches), default=0)

    def _smallest_record(self, kind: Type) -> int:
        if kind.name not in self._smallest:
            self._smallest[kind.name] = 0  # while it is being computed
            self._smallest[kind.name] = sum(self.smallest(each.type) for each in kind.fields)
        return self._smallest[kind.name]

    _SMALLEST: Final[Mapping[str, Callable[[Sizes, Type], int]]] = by_kind(
        {
            "null": lambda self, kind: 0,
            "float": lambda self, kind: 4,
            "double": lambda self, kind: 8,
            "fixed": lambda self, kind: kind.size,
            "union": _smallest_union,
            "record": _smallest_record,
        },
        otherwise=lambda self, kind: 1,
    )

    def item(self, kind: Type) -> int:
        """How much a datum counts as an item of an array or map: its weight, at least 1."""
        return max(1, self.weight(kind))

    def weight(self, kind: Type) -> int:
        """The most values without bytes of their own that a datum has: records, nulls, and fixed of
        size 0.

        Items of arrays and maps and recursive records (`own_weight`) are not counted here: they
        count where they stand.
        """
        kind = self._schema.resolve(kind)
        match kind.kind:
            case "null":
                return 1
            case "fixed":
                return int(kind.size == 0)
            case "union":  # the number of the branch is a byte
                return max([1, *map(self.weight, kind.branches)]) - 1
            case "record":
                return 0 if kind.name in self.recursive else self.own_weight(kind)
            case _:
                return 0

    def own_weight(self, kind: Type) -> int:
        """The weight of a record, which counts as one value itself."""
        if kind.name not in self._weights:
            self._weights[kind.name] = 1 + sum(self.weight(each.type) for each in kind.fields)
        return self._weights[kind.name]


def recursive_names(schema: Schema) -> frozenset[str]:
    """The full names of the records that can hold themselves."""
    holds = {
        name: _records_in(kind, schema)
        for name, kind in schema.named.items()
        if kind.kind == "record"
    }
    return frozenset(
        name for group in _Components(holds) for name in group if _cycles(group, holds)
    )


def _cycles(group: list[str], holds: Mapping[str, Iterable[str]]) -> bool:
    """Whether the records of a component lie on a cycle: a single one does if it holds itself."""
    return len(group) > 1 or group[0] in holds[group[0]]


class _Components:
    """The strongly connected components of a graph (Tarjan 1972), in one walk without recursion,
    because a schema may be deeper than Python's stack."""

    def __init__(self, graph: Mapping[str, Iterable[str]]) -> None:
        self._graph = graph
        self._number: dict[str, int] = {}  # in the order of the walk
        self._lowest: dict[str, int] = {}  # the first node of its component known to be reachable
        self._open: dict[str, None] = {}  # nodes whose component is not complete, in order
        self._path: list[tuple[str, Iterator[str]]] = []  # from the start to the present node

    def __iter__(self) -> Iterator[list[str]]:
        for start in self._graph:
            if start not in self._number:
                self._enter(start)
                while self._path:
                    if not self._descend():
                        yield from self._leave()

    def _enter(self, name: str) -> None:
        self._number[name] = self._lowest[name] = len(self._number)
        self._open[name] = None
        self._path.append((name, iter(self._graph[name])))

    def _descend(self) -> bool:
        """Enters the next unseen successor of the present node; False when there is none left."""
        name, successors = self._path[-1]
        for successor in successors:
            if successor not in self._number:
                self._enter(successor)
                return True
            if successor in self._open:
                self._reaches(name, successor)
        return False

    def _leave(self) -> Iterator[list[str]]:
        """Goes back to the node before; yields the component that is complete with that, if any."""
        name, _ = self._path.pop()
        if self._path:
            self._reaches(self._path[-1][0], name)
        if self._lowest[name] == self._number[name]:
            group: list[str] = []
            while not group or group[-1] != name:
                group.append(self._open.popitem()[0])
            yield group

    def _reaches(self, name: str, other: str) -> None:
        self._lowest[name] = min(self._lowest[name], self._lowest[other])


def _records_in(kind: Type, schema: Schema) -> dict[str, None]:
    """Names of the records that a record holds directly or through arrays, maps and unions."""
    found: dict[str, None] = {}
    todo = [each.type for each in kind.fields]
    while todo:
        part = todo.pop()
        if part.kind != "ref":
            todo.extend(part.parts)
        elif schema.named[part.name].kind == "record":
            found[part.name] = None
    return found
