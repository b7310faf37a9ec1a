"""A circuit breaker by failure rate, over a window of calls and of time.

Pure: it is told the time and decides; it never waits.

closed     calls pass, and their outcomes are kept for `window_s`. When at least `min_calls` of them
           have a failure rate of `failure_rate` or more, the breaker opens.
open       nothing passes until `open_until`, then it is half-open. The time doubles each time that
           probes fail, up to `longest_open_s`.
half-open  `permits` calls pass as probes. One failure opens it again; when all succeed it closes.

Each change of state begins a generation. The outcome of a call from an earlier generation says
nothing about this one and is ignored.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from worker.resilience.backoff import doubling_s

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerSpec:
    failure_rate: float = 0.5
    min_calls: int = 10
    window_s: float = 60.0
    open_for_s: float = 30.0
    permits: int = 3
    slow_call_s: float | None = None
    longest_open_s: float = 600.0
    window_calls: int = 1_000


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call; give it back with `record` or `release`."""

    generation: int


class Breaker:
    """The breaker of one origin; the states are described in the module."""

    def __init__(self, spec: BreakerSpec) -> None:
        self._spec = spec
        self.state = CLOSED
        self.open_until = 0.0
        self._generation = 0
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0  # of these calls
        self._probes = self._passed = self._openings = 0

    def __repr__(self) -> str:
        return f"<Breaker {self.state} calls={len(self._calls)} openings={self._openings}>"

    def acquire(self, now: float) -> Permit | float:
        """A permit, or when to ask again."""
        if self.state == OPEN:
            if now < self.open_until:
                return self.open_until
            self._enter(HALF_OPEN)
        if self.state == HALF_OPEN:
            if self._probes >= self._spec.permits:
                return now + 0.1
            self._probes += 1
        return Permit(self._generation)

    def record(self, permit: Permit, *, ok: bool, seconds: float, now: float) -> None:
        """The outcome of a call; one that was too slow counts as failed."""
        if permit.generation != self._generation:
            return
        ok = ok and (self._spec.slow_call_s is None or seconds <= self._spec.slow_call_s)
        if self.state == HALF_OPEN:
            self._judge_probe(now, ok=ok)
            return
        self._calls.append((now, ok))
        self._failures += not ok
        self._forget(now)
        calls = len(self._calls)
        if calls >= self._spec.min_calls and self._failures >= self._spec.failure_rate * calls:
            self._open(now)

    def _judge_probe(self, now: float, *, ok: bool) -> None:
        self._passed += ok
        if not ok:
            self._open(now)
        elif self._passed >= self._spec.permits:
            self._openings = 0
            self._enter(CLOSED)

    def _forget(self, now: float) -> None:
        """Drops the outcomes that have left one of the two windows."""
        oldest = now - self._spec.window_s
        while len(self._calls) > self._spec.window_calls or self._calls[0][0] < oldest:
            self._failures -= not self._calls.popleft()[1]

    def release(self, permit: Permit) -> None:
        """The call was not made, or its outcome says nothing about the other side."""
        if permit.generation == self._generation and self.state == HALF_OPEN:
            self._probes -= 1

    def _open(self, now: float) -> None:
        self._openings += 1
        self._enter(OPEN)
        self.open_until = now + doubling_s(
            self._spec.open_for_s, self._openings, self._spec.longest_open_s
        )

    def _enter(self, state: str) -> None:
        self.state = state
        self._generation += 1
        self._probes = self._passed = 0
        self._calls.clear()
        self._failures = 0
