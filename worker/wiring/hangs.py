"""What hangs in a run: the event loop, which one transform can hold, and pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from worker.core.events import Emit, LoopHeld
from worker.pipeline import Pipeline
from worker.runtime.hangs import Pulse
from worker.runtime.notify import STALLED_S

HELD_S: Final = 1.0
"""A loop that is held for so long is reported."""
BEGIN_S: Final = 30.0
"""While a run begins, and compiles the configs of its pipelines, only this is."""
SLOW_S: Final = 5.0
"""A call that a pipeline waits for longer is named by /healthz/live."""


class Hangs:
    """All of it may be asked in any thread."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse, self._least_s, self._reported_s = pulse, BEGIN_S, 0.0
        self._task: object = None
        self._pipelines: Callable[[], Iterable[Pipeline]] = tuple

    def watch(self, pipelines: Callable[[], Iterable[Pipeline]]) -> None:
        """From now on pipelines run: those that the function returns."""
        self._pipelines, self._least_s = pipelines, HELD_S

    def alive(self) -> bool:
        """Whether a restart would be of no use: nothing has hung for `STALLED_S` seconds.

        It is what the watchdog of the service manager is fed by. Partners that are down, schedules
        and open breakers never make anything hang.
        """
        return self._pulse.held_s() < STALLED_S and self.stalled_s() < STALLED_S

    def stalled_s(self) -> float:
        """The longest time for which data of a pipeline has waited and nothing was done."""
        return max((each.stalled_s() for each in self._pipelines()), default=0.0)

    def found(self) -> list[str]:
        """What hangs, and for how long."""
        held_s = self._pulse.held_s()
        return [self._held(held_s)] if held_s >= HELD_S else self._calls(SLOW_S)

    def blocking(self) -> str:
        """What keeps the process from ending."""
        if not self._pulse.turns():
            return self._held(self._pulse.held_s())
        return "; ".join(self._calls(0.0)) or "nothing hangs"

    def _held(self, seconds: float) -> str:
        return f"the event loop has been held for {seconds:.1f} s by {self._pulse.holder()}"

    def _calls(self, least_s: float) -> list[str]:
        """Calls that pipelines wait for: of a disk that hangs, none comes back."""
        calls = ((each.name, each.call_in_progress()) for each in self._pipelines())
        return [
            f"pipeline {name} has waited for {call[0]} for {call[1]:.1f} s"
            for name, call in calls
            if call is not None and call[1] >= least_s
        ]

    def report(self, emit: Emit) -> None:
        """Reports a task that holds the loop, and again whenever its time has doubled. Twice a
        second; that many tasks were due at once is nothing that one of them could mend.
        """
        held_s, before = self._pulse.held_s(), self._task
        self._task = self._pulse.task() if held_s >= self._least_s else None
        if self._task is None or self._task is not before:
            self._reported_s = 0.0
        elif held_s >= 2 * self._reported_s:
            self._reported_s = held_s
            emit(LoopHeld(self._pulse.holder(), round(held_s, 3)))
