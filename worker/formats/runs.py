"""Where the records of a page are found again as they were received."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

Load = Callable[[], Sequence[Any]]
"""Finds a run of records as they were received."""


class Runs:
    """The runs of records of a page: the place of the first of each, and how it is loaded."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, Load]] = []
        self._loaded: tuple[int, Sequence[Any]] | None = None

    def __bool__(self) -> bool:
        return bool(self._runs)

    def add(self, first: int, load: Load) -> None:
        """Adds a run behind the others."""
        self._runs.append((first, load))

    def find(self, place: int) -> bytes:
        """The record at a place of the page."""
        number = bisect_right(self._runs, place, key=lambda each: each[0]) - 1
        first, load = self._runs[number]
        if self._loaded is None or self._loaded[0] != number:
            self._loaded = (number, load())
        return bytes(self._loaded[1][place - first])

    def all(self, count: int) -> list[Any]:
        """All of so many records by place, as they are loaded; empty bytes where no run has one."""
        found: list[Any] = [b""] * count
        for first, load in self._runs:
            part = load()
            found[first : first + len(part)] = part
        return found

    def unload(self) -> None:
        """Frees what was loaded; it is loaded again when it is asked for."""
        self._loaded = None
