"""Holds back what is said again and again: of equal things the first few in a window pass, the others are counted. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Key = tuple[Any, ...]

BURST: Final = 5
WINDOW_S: Final = 10.0
MOST_KEYS: Final = (
    1_000  # beyond it things pass uncounted: memory is bounded, and nothing is hidden
)


@dataclass(slots=True)
class _Window:
    ends: float
    passed: int = 0
    held: int = 0


class Repeats:
    """See the module."""

    def __init__(self, burst: int = BURST, window_s: float = WINDOW_S) -> None:
        self._burst, self._window_s = burst, window_s
        self._windows: dict[Key, _Window] = {}

    def admit(self, key: Key, now: float) -> bool:
        """Whether this one is to be said."""
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
        """(key, how many were held back) of the windows that are over; they begin anew with the next one of their key."""
        over = [key for key, window in self._windows.items() if window.ends <= now]
        return [(key, window.held) for key in over if (window := self._windows.pop(key)).held]
