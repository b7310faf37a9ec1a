"""When a pipeline commits: a roll closes all its open files. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOVED_S: Final = 3_600.0
"""Moves of cursors alone wait for a commit at least so many seconds: a kill costs requests that are
made again, and no record."""


@dataclass(frozen=True, slots=True)
class RollSpec:
    """What cuts a commit. The size of a file does not: a full one waits for the next commit.

    Attributes:
        records: so many are staged.
        age_s: so many seconds passed since the first of them was staged.
    """

    records: int = 100_000
    age_s: float = 300.0


class RollState:
    """Counts since the last commit."""

    def __init__(self, spec: RollSpec) -> None:
        self._spec = spec
        self._since: float | None = None
        self._moved: float | None = None
        self.reset()

    def __repr__(self) -> str:
        return (
            f"<RollState records={self._records}/{self._spec.records} since={self._since}"
            f" moved={self._moved}>"
        )

    @property
    def deadline(self) -> float | None:
        """Monotonic second at which age cuts a commit; None while there is nothing to commit."""
        moved_s = max(self._spec.age_s, MOVED_S)
        due = [] if self._since is None else [self._since + self._spec.age_s]
        due += [] if self._moved is None else [self._moved + moved_s]
        return min(due, default=None)

    def add(self, records: int, now: float) -> None:
        """Counts what was staged at `now` (monotonic seconds)."""
        self._records += records
        if self._since is None:
            self._since = now

    def move(self, now: float) -> None:
        """Only cursors have moved."""
        if self._moved is None:
            self._moved = now

    def due(self, now: float) -> str:
        """What triggers a commit now, or the empty string."""
        if self._records >= self._spec.records:
            return "records"
        if (deadline := self.deadline) is not None and now >= deadline:
            return "age"
        return ""

    def reset(self) -> None:
        """Begins to count anew, after a commit."""
        self._records = 0
        self._since = self._moved = None
