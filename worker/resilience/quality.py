"""The data-quality breaker. Pure.

A source whose records suddenly are mostly rejects has changed, and a person should look at it
before more of it becomes dead letters. The share is taken of the last records of all partitions,
duplicates and records outside of what was asked for aside, and held against the limit where a page
ends. A few records say little, so that `MID_PASS` are needed while more are to come. `PASS_OVER`
are enough where every partition has come to the end of its pass: nothing more may follow for long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Final

from worker.core.errors import Exit, WorkerError
from worker.core.model import Reject

MID_PASS: Final = 100
PASS_OVER: Final = 10


class TooManyRejects(WorkerError):
    """The share of rejects is over `dead_letters.max_ratio`, so what is not committed is discarded.
    The pipeline pauses for five minutes and starts again from its last commit; a run with `--once`
    ends. Fix the schema, the transforms or the source, or raise the limit.
    """

    exit = Exit.DATA
    code = "too_many_rejects"


class QualityWatch:
    """The share of rejects among the last records.

    Args:
        max_ratio: the share that is still allowed; 1 allows any.
        window: how many records count, in whole pages; at least `MID_PASS` do.
        partitions: those that are to be read. While one of them has not ended a pass, more records
            are to come.
    """

    def __init__(self, max_ratio: float, window: int, partitions: Collection[str]) -> None:
        self._max_ratio, self._window = max_ratio, max(window, MID_PASS)
        self._unread, self._midway = set(partitions), set[str]()
        self._pages: deque[tuple[int, int]] = deque()
        self._records = self._rejects = 0
        self._page = (0, 0)
        self._all_rejected = True
        self._last: Reject | None = None

    def add(self, records: int, rejects: Sequence[Reject]) -> None:
        """Counts a part of a page: the records that were looked at, and those that failed."""
        before = self._page
        self._page = (before[0] + records, before[1] + len(rejects))
        if rejects:
            self._last = rejects[-1]

    def end_page(self, partition: str, *, pass_over: bool) -> None:
        """The page that was counted is complete. Raises TooManyRejects."""
        self._unread.discard(partition)
        (self._midway.discard if pass_over else self._midway.add)(partition)
        page, self._page = self._page, (0, 0)
        if page[0]:
            self._take(*page)
        self._hold(MID_PASS if self._unread or self._midway else PASS_OVER)

    def is_read(self, partition: str) -> None:
        """A partition brings nothing more."""
        self._unread.discard(partition)

    def end_run(self) -> None:
        """Nothing more is to come, from no partition. Raises TooManyRejects."""
        if not self._midway:
            self._hold(PASS_OVER)

    def refuse_none_left(self) -> None:
        """The run has ended, and what it brought is committed.

        Raises TooManyRejects where nothing but rejects came, too few to be held back.
        """
        if self._midway or not self._records or not self._all_rejected or self._max_ratio >= 1:
            return
        raise TooManyRejects(
            f"every record was rejected, {self._records} of {self._records}{self._example()}",
            remedy="they are dead letters, which `worker dlq show` prints; fix the schema, the "
            "transforms or the source, and let `worker dlq replay` read them again",
        )

    def _take(self, records: int, rejects: int) -> None:
        self._all_rejected &= rejects == records
        self._pages.append((records, rejects))
        self._records += records
        self._rejects += rejects
        while self._records - self._pages[0][0] >= self._window:
            records, rejects = self._pages.popleft()
            self._records -= records
            self._rejects -= rejects

    def _hold(self, least: int) -> None:
        """Holds the share of at least so many records against the limit."""
        if self._records < least or self._rejects <= self._max_ratio * self._records:
            return
        raise TooManyRejects(
            f"{self._rejects} of the last {self._records} records were rejected, more than "
            f"dead_letters.max_ratio = {self._max_ratio:g}{self._example()}",
            remedy="what was not committed is discarded; see more with `worker read CONFIG "
            "PIPELINE`; fix the schema, the transforms or the source, or raise "
            "dead_letters.max_ratio (1: off)",
        )

    def _example(self) -> str:
        """What was wrong with the last one."""
        if self._last is None:
            return ""
        text = f"; the last one: {self._last.code}"
        for error in self._last.errors[:1]:
            text += f", {error.path}: found {error.found}, allowed {error.allowed}"
        return text
