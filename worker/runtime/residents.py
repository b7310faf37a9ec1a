"""Which of the found partitions have something that is not in the commit log yet.

There may be far more partitions than memory holds. One of which everything is committed is let go
of: whoever needs it again reads it from the log. Until then it must stay, or its pages would be
read again from where the log says that it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable


class Residents:
    """Pages on their way to the writer, and partitions that wait for a commit.

    Attributes:
        settled: is told of each partition of which everything is committed.
    """

    def __init__(self) -> None:
        self.settled: Callable[[str], None] = lambda partition: None
        self._pages: Counter[str] = Counter()
        self._waiting: set[str] = set()

    def __repr__(self) -> str:
        return f"<Residents pages={self._pages.total()} waiting={len(self._waiting)}>"

    def is_settled(self, partition: str) -> bool:
        """Whether everything of it is committed."""
        return partition not in self._pages and partition not in self._waiting

    def sent(self, partition: str) -> None:
        """A page was accepted."""
        self._pages[partition] += 1

    def staged(self, partition: str, *, waits: bool) -> None:
        """A page has come to its end; `waits`: for a commit."""
        self._pages[partition] -= 1
        if not self._pages[partition]:
            del self._pages[partition]
        (self._waiting.add if waits else self._waiting.discard)(partition)
        if self.is_settled(partition):
            self.settled(partition)

    def committed(self, partitions: Iterable[str]) -> None:
        """What waited of them is committed."""
        for partition in partitions:
            self._waiting.discard(partition)
            if self.is_settled(partition):
                self.settled(partition)
