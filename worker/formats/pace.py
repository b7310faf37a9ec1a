"""How long one call of the parser over a whole page holds the event loop.

A page is cut into its records by one such call where it is short enough for those who wait, and
step by step where it is not. How long it takes is told by the bytes and by the objects and arrays
of the page, which are counted in samples, and by how wrong that was for the pages before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from worker.formats.weight import sample_of

T = TypeVar("T")

MOST_S: Final = 0.025
"""Half of what the loop may lag while a long page is read."""
BYTE_S: Final = 1e-9
VALUE_S: Final = 6e-8
"""What a byte, and an object or array, take about; the first page is told by that alone."""
_TRUST: Final = 0.25
"""How much one page changes what is thought of the next."""


class Pace:
    """The pace of the pages of one pipeline.

    Args:
        clock: seconds that this thread has worked; waiting for a processor says nothing of a page.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock, self._factor = clock, 1.0

    def allows(self, body: Any) -> bool:
        """Whether one call may go over the whole body."""
        return self._factor * _told(body) <= MOST_S

    def timed(self, call: Callable[[Any], T], body: Any) -> T:
        """The result of a call over a whole body, whose time counts for the next ones."""
        told, start = _told(body), self._clock()
        found = call(body)
        took = self._clock() - start
        self._factor += _TRUST * (took / told - self._factor)
        return found


def _told(body: Any) -> float:
    sample = sample_of(body)
    values = sample.count(b"{") + sample.count(b"[")
    return len(body) * (BYTE_S + VALUE_S * values / max(len(sample), 1))
