"""What a partition remembers of records and pages while it is read. Kept durably by the commit log.

Boundary      identities of records that later requests may bring again, by their value
PassMemory    hashes of the pages and records of the pass, or window, in progress
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from heapq import heappop, heappush
from typing import Final

from worker.core.model import BoundaryKey
from worker.paging.marks import Comparable

MANY_PART: Final = 8
"""More than such a part of all keys are forgotten sooner at once than one by one."""
KEY_BYTES: Final = 8
"""An entry of a record begins with so many bytes of its key; the rest says what stood in it."""


def at_least(keys: Iterable[BoundaryKey], least: Comparable | None) -> set[BoundaryKey]:
    """The keys that are not below a value; None is below all."""
    if least is None:
        return set(keys)
    # one source has values of one type
    return {key for key in keys if key[0] >= least}  # type: ignore[operator]


class Boundary:
    """Identities of records that are known, each with its incremental value.

    A page costs what it changes, however many there are: a heap has the lowest ones.

    Attributes:
        keys: all of them.
        top: no key is above this value; None where there are none.
    """

    def __init__(self, keys: Iterable[BoundaryKey] = ()) -> None:
        self._heap = sorted(keys)
        self.keys: set[BoundaryKey] = set(self._heap)
        self.top: Comparable | None = self._heap[-1][0] if self._heap else None
        self._floor: Comparable | None = None

    def __contains__(self, key: object) -> bool:
        return key in self.keys

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, keys: Iterable[BoundaryKey]) -> list[BoundaryKey]:
        """Remembers keys. Returns those that it did not know, in order."""
        new = sorted(key for key in keys if key not in self.keys)
        self.keys.update(new)
        for key in new:
            heappush(self._heap, key)
        if new and (self.top is None or new[-1][0] > self.top):  # type: ignore[operator]
            self.top = new[-1][0]
        return new

    def forget(self, least: Comparable | None) -> None:
        """Forgets keys below a value; None forgets none."""
        if least is None or least == self._floor:
            return
        self._floor, heap = least, self._heap
        for _ in range(len(heap) // MANY_PART + 1):
            if not heap or heap[0][0] >= least:  # type: ignore[operator]
                return
            self.keys.discard(heappop(heap))
        self.keys = at_least(self.keys, least)
        self._heap = sorted(self.keys)


class PassMemory:
    """16-byte hashes: of page tokens, and the entries of records.

    An entry is that of a record whose key begins with its first bytes, where records have keys.
    """

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self.hashes: set[bytes] = set(hashes)
        self._keys = {each[:KEY_BYTES] for each in self.hashes}

    def __contains__(self, each: object) -> bool:
        return each in self.hashes

    def __len__(self) -> int:
        return len(self.hashes)

    def knows_key(self, entry: bytes) -> bool:
        """Whether a record with the key of this entry was seen."""
        return entry[:KEY_BYTES] in self._keys

    def knows_none(self, keys: Set[bytes]) -> bool:
        """Whether no record of the keys that entries begin with was seen."""
        return self._keys.isdisjoint(keys)

    def add(self, hashes: Iterable[bytes]) -> None:
        """Remembers hashes."""
        new = set(hashes)
        self.hashes |= new
        self._keys |= {each[:KEY_BYTES] for each in new}

    def clear(self) -> None:
        """Forgets all: the pass, or its window, is over."""
        self.hashes.clear()
        self._keys.clear()
