"""Limits repeated log lines: the first few of a kind pass, the others are counted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Key = tuple[Any, ...]

BURST: Final = 5
WINDOW_S: Final = 10.0
MOST_KEYS: Final = 1_000
"""Kinds that are counted. Events of further kinds all pass: memory is bounded, none is hidden."""


@dataclass(slots=True)
class _Window:
    ends: float
    passed: int = 0
    held: int = 0


class Repeats:
    """The windows of all kinds.

    Args:
        burst: events of a kind that pass in a window.
        window_s: how long a window is, from the first event of a kind on.
    """

    def __init__(self, burst: int = BURST, window_s: float = WINDOW_S) -> None:
        self._burst, self._window_s = burst, window_s
        self._windows: dict[Key, _Window] = {}

    def admit(self, key: Key, now: float) -> bool:
        """Whether an event of this kind passes; it is counted otherwise."""
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= MOST_KEYS:
                return True
            window = self._windows[key] = _Window(now + self._window_s)
        if window.passed < self._burst:
            window.passed += 1
            return True
        window.held += 1
        return False

    def ended(self, now: float) -> list[tuple[Key, int]]:
        """(kind, number held back) of the windows that are over and held events back.

        The next event of a kind begins a new window.
        """
        over = [key for key, window in self._windows.items() if window.ends <= now]
        return [(key, window.held) for key in over if (window := self._windows.pop(key)).held]
