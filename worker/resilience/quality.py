"""The data-quality breaker. Pure.

A source whose records suddenly are mostly rejects has changed, and a person should look at it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from worker.core.errors import Exit, WorkerError

LEAST_RECORDS: Final = 100


class TooManyRejects(WorkerError):
    """The share of rejects is over `dead_letters.max_ratio`, so what is not committed is discarded.
    The pipeline pauses for five minutes and starts again from its last commit. Fix the schema or
    the source, or raise the limit.
    """

    exit = Exit.DATA
    code = "too_many_rejects"


class QualityWatch:
    """The share of rejects among the last records.

    Args:
        max_ratio: the share that is still allowed; None: any.
        window: how many records count; at least 100 do.
    """

    def __init__(self, max_ratio: float | None, window: int = 1_000) -> None:
        self._max_ratio, self._window = max_ratio, window
        self._parts: deque[tuple[int, int]] = deque()
        self._records = self._rejects = 0

    def add(self, records: int, rejects: int) -> None:
        """Counts a part of a page. Raises TooManyRejects."""
        if self._max_ratio is None or not records:
            return
        self._parts.append((records, rejects))
        self._records += records
        self._rejects += rejects
        while self._records - self._parts[0][0] >= max(self._window, LEAST_RECORDS):
            old = self._parts.popleft()
            self._records -= old[0]
            self._rejects -= old[1]
        if self._records >= LEAST_RECORDS and self._rejects > self._max_ratio * self._records:
            raise TooManyRejects(
                f"{self._rejects} of the last {self._records} records were rejected, "
                f"more than dead_letters.max_ratio = {self._max_ratio:g}",
                remedy="see why with `worker read CONFIG PIPELINE`; "
                "fix the schema or the source, or raise max_ratio",
            )
