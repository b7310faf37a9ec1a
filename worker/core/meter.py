"""What a pipeline knows of itself while it runs: where its time goes and what is not durable yet.

Pure; read by `telemetry/` when somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from worker.core.model import Ledger

STATES = ("busy", "blocked", "idle")


class StageTimes:
    """Seconds that a stage was busy, blocked (waiting for room behind it) and idle (waiting for
    something to do).

    A stage of several workers counts each for its share, so that the three always add up to the
    time since it was made. What is busy most of the time is the bottleneck; what is before it is
    blocked, what is behind it idle. Workers beyond those that the stage was made for are not idle
    when they do nothing.
    """

    def __init__(self, monotonic: Callable[[], float], workers: int = 1) -> None:
        self._monotonic, self._workers = monotonic, workers
        self._since = monotonic()
        self._count = {"busy": 0, "blocked": 0, "idle": workers}
        self._seconds = dict.fromkeys(STATES, 0.0)
        self._working = _During(self, "idle", "busy")
        self._idle = _During(self, "busy", "idle")
        self._blocked = _During(self, "busy", "blocked")

    def seconds(self) -> dict[str, float]:
        """State -> seconds until now."""
        self._settle()
        return dict(self._seconds)

    def working(self) -> AbstractContextManager[None]:
        """While a worker of the stage runs; before and after it counts as idle."""
        return self._working

    def idle(self) -> AbstractContextManager[None]:
        """While a running worker waits for something to do."""
        return self._idle

    def blocked(self) -> AbstractContextManager[None]:
        """While a running worker waits for room behind it."""
        return self._blocked

    def move(self, before: str, after: str) -> None:
        """A worker of the stage goes from one state to another."""
        self._settle()
        self._count[before] -= 1
        self._count[after] += 1

    def _settle(self) -> None:
        # a dozen times a page: a loop over the states would cost twice as much
        now, seconds, count = self._monotonic(), self._seconds, self._count
        passed = (now - self._since) / self._workers
        self._since = now
        seconds["busy"] += passed * count["busy"]
        seconds["blocked"] += passed * count["blocked"]
        if count["idle"] > 0:
            seconds["idle"] += passed * count["idle"]


class _During(AbstractContextManager[None]):
    """A state of a worker, and the one before and after it. It keeps nothing, so all workers of the
    stage share it.
    """

    def __init__(self, times: StageTimes, before: str, state: str) -> None:
        self._move, self._before, self._state = times.move, before, state

    def __enter__(self) -> None:
        self._move(self._before, self._state)

    def __exit__(self, *error: object) -> None:
        self._move(self._state, self._before)


class Backlog:
    """Pages of one attempt that are received and not durable.

    They become durable in the order in which they came.
    """

    def __init__(self) -> None:
        self._pages: deque[tuple[float, int]] = deque()
        self._staged = 0
        self.records = 0

    def received(self, now: float, records: int) -> None:
        """A page was accepted."""
        self._pages.append((now, records))
        self.records += records

    def staged(self) -> None:
        """One more page is wholly in open files: the next commit makes it durable."""
        self._staged += 1

    def durable(self) -> None:
        """What is staged was committed, or makes no file and waits for no commit."""
        for _ in range(self._staged):
            self.records -= self._pages.popleft()[1]
        self._staged = 0

    def oldest_s(self, now: float) -> float:
        """Age of the oldest page that is not durable; 0 when all are."""
        return now - self._pages[0][0] if self._pages else 0.0


@dataclass(slots=True)
class Totals:
    """What a pipeline did in this run, over all attempts; for the summary and /status.

    Attributes:
        ledger: of the records in its commits, and of those that made no file.
        files: published files, dead letters too.
        size_bytes: of these files.
        commits: how many there were.
        discarded: records that were received and not committed, because an attempt ended before.
        note: what the operator should know of a run without a commit.
    """

    ledger: Ledger = field(default_factory=Ledger)
    files: int = 0
    size_bytes: int = 0
    commits: int = 0
    discarded: int = 0
    note: str = ""

    def add(self, ledger: Ledger, *, files: int, size_bytes: int) -> None:
        """Counts a commit."""
        self.ledger += ledger
        self.files += files
        self.size_bytes += size_bytes
        self.commits += 1


@dataclass(frozen=True, slots=True)
class Reading:
    """A pipeline at this moment.

    Attributes:
        stages: stage (read, process, write) -> state (busy, blocked, idle) -> seconds so far.
        in_flight: records that are received and not durable.
        oldest_s: age of the oldest of them.
        queues: queue (pages, shaped) -> (bytes used, bytes that fit).
        lag_s: how far the mark of the slowest partition is behind now; None for sources without
            marks in time.
        limits: rate limit -> (what of it is used, what it allows).
    """

    pipeline: str
    state: str
    stages: Mapping[str, Mapping[str, float]]
    in_flight: int
    oldest_s: float
    queues: Mapping[str, tuple[int, int]]
    partitions: int
    done: int
    parked: int
    lag_s: float | None
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
