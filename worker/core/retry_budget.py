"""How many calls may be in retries at once: a share of all calls, and a few in any case (Envoy's retry budget). Pure.

Without it, every caller of an origin that fails retries at the same time, and the origin gets a multiple of its usual load
just when it can bear none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class RetryBudget:
    """At most `share` of the active calls, or `floor` of them, retry at once."""

    def __init__(self, share: float = 0.2, floor: int = 3) -> None:
        self._share, self._floor = share, floor
        self.active = self.retrying = 0

    def __repr__(self) -> str:
        return f"<RetryBudget retrying={self.retrying} active={self.active}>"

    @contextmanager
    def call(self) -> Iterator[None]:
        """Counts a call while it runs."""
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    def begin(self) -> bool:
        """A call that failed wants to retry; True: it may, and calls `end` when it is done."""
        if self.retrying >= max(self._floor, int(self._share * self.active)):
            return False
        self.retrying += 1
        return True

    def end(self) -> None:
        self.retrying -= 1
