"""How far the dead letters of a pipeline were replayed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from worker.core.cursor import Cursor
from worker.core.model import REPLAYED


class _Stands(Protocol):
    """A partition with its stored cursor, in a log or in a checkpoint."""

    @property
    def partition(self) -> str: ...
    @property
    def cursor(self) -> str: ...


def replayed_to(partitions: Iterable[_Stands]) -> int:
    """Number of the last commit whose dead letters were replayed; 0 where none were.

    Raises StateError for a cursor that cannot be read.
    """
    for each in partitions:
        if each.partition == REPLAYED:
            mark = Cursor.from_json(each.cursor).mark
            return mark if isinstance(mark, int) else 0
    return 0
