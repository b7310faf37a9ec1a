"""Signals: the first one asks for a drain, a second SIGTERM or SIGINT ends the process at once.

Python runs a handler in the main thread, between two of its steps, and an event loop runs one when
it turns. Neither happens while the main thread hangs, in a transform or in a call of a library. So
a thread of its own, the *watchdog*, reads the number of each signal from a pipe that the C handler
writes to, and does what the table says:

| signal  | while nothing drains           | the first in a run | the next in a run             |
|---------|--------------------------------|--------------------|-------------------------------|
| SIGTERM | exit at once (143)             | drain              | exit at once (143)            |
| SIGINT  | KeyboardInterrupt; the second  | drain              | exit at once (130)            |
|         | one: exit at once (130)        |                    |                               |
| SIGHUP  | exit at once (129)             | drain              | nothing: a terminal that      |
|         |                                |                    | closes often sends it twice   |

What the process ignored at its start (`nohup`) stays ignored while nothing drains, and SIGHUP in a
run too. The handlers are installed before anything slow is imported, so this module imports little:
the process with number 1 of a container ignores every signal that it has no handler for.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Final

from worker.runtime.places import place_of
from worker.runtime.streams import say

TICK_S: Final = 0.5
"""How often the watchdog looks whether something hangs."""
HANDOVER_S: Final = 1.0
"""How long the main thread leaves the interpreter to the watchdog, at most."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Line = Callable[[str, str], str]
"""Makes the line that reports a signal, from its name and what follows. It is written at once, past
the writer of the log, which an exit at once would cut off."""
PLAIN: Final[Line] = "worker: {}, {}\n".format


@dataclass(frozen=True, slots=True)
class Run:
    """What signals do while a run drains. All functions are called in the watchdog, whatever the
    main thread does.

    Attributes:
        drain: is called at the first signal.
        line: makes the line that reports a signal.
        blocked: says what keeps the process from ending.
        tick: is called twice a second.
    """

    drain: Callable[[], object]
    line: Line = PLAIN
    blocked: Callable[[], str] = "nothing hangs".__str__
    tick: Callable[[], object] = str


class Signals:
    """The signals of a process; `catching` makes it.

    Made in the main thread.

    Args:
        ignored: signals that the process ignored at its start.
    """

    def __init__(self, ignored: Collection[int] = ()) -> None:
        self._ignored, self._main_thread = frozenset(ignored), threading.get_ident()
        self._run: Run | None = None
        self._came = False  # a signal, since the run began or ended
        self._handled = self._watched = 0

    @contextmanager
    def draining(self, run: Run) -> Iterator[None]:
        """While the context is open, signals drain this run."""
        self._came, self._run = False, run
        try:
            yield
        finally:
            self._came, self._run = False, None

    def handle(self, number: int, _: FrameType | None) -> None:
        """The handler of Python, in the main thread.

        A C function that looks for signals (a regular expression does) but keeps the interpreter to
        itself comes here: waiting lets the watchdog have it. It may be interrupted by itself.
        """
        self._handled += 1
        due, until = self._handled, time.monotonic() + HANDOVER_S
        while self._watched < due and time.monotonic() < until:
            time.sleep(0.001)
        if number == signal.SIGINT and self._run is None and number not in self._ignored:
            raise KeyboardInterrupt

    # -- in the watchdog --------------------------------------------------------------------------

    def watch(self, numbers: int, listened_before: int) -> None:
        """Acts on the numbers that come in, until the pipe is closed.

        Args:
            numbers: the end of the pipe to read.
            listened_before: is told of the signals that are not handled here; -1 where nobody did.
        """
        waiting = select.poll()
        waiting.register(numbers, select.POLLIN)
        while True:
            if waiting.poll(TICK_S * 1000):
                received = os.read(numbers, 64)
                if not received:
                    return
                for number in received:
                    if number in _SIGNALS:
                        self._receive(signal.Signals(number))
                        self._watched += 1
                    elif listened_before >= 0:
                        os.write(listened_before, bytes([number]))
            elif (run := self._run) is not None:
                run.tick()

    def _receive(self, number: signal.Signals) -> None:
        run, hangup = self._run, number == signal.SIGHUP
        if number in self._ignored and (run is None or hangup):
            return
        first, self._came = not self._came, True
        if run is not None and first:
            run.drain()  # before anything is said: the drain does not depend on a log
            say(run.line(number.name, "draining; a second SIGINT or SIGTERM exits at once"))
        elif run is not None and not hangup:
            _exit(number, partial(_second, number, run))
        elif run is None and (number != signal.SIGINT or not first):
            _exit(number, partial(_idle, number, self._main_thread))


def _second(number: signal.Signals, run: Run) -> str:
    what = f"exiting at once; uncommitted work will be redone; {run.blocked()}"
    return run.line(f"second {number.name}", what)


def _idle(number: signal.Signals, thread: int) -> str:
    return PLAIN(number.name, f"exiting at once, in {place_of(thread)}")


def _exit(number: signal.Signals, line: Callable[[], str]) -> None:
    """Whatever goes wrong in what is said: the process ends."""
    try:
        say(line())
    finally:
        os._exit(128 + number)


@contextmanager
def catching() -> Iterator[Signals]:
    """Handles the signals of the process while the context is open. In the main thread only.

    They may be blocked before: those that came meanwhile are handled too.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    signals = Signals([number for number, how in before.items() if how is signal.SIG_IGN])
    numbers, told = os.pipe()
    os.set_blocking(told, False)
    listened_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    watchdog = threading.Thread(
        target=signals.watch, args=(numbers, listened_before), name="signals", daemon=True
    )
    watchdog.start()
    for number in _SIGNALS:
        signal.signal(number, signals.handle)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    try:
        yield signals
    finally:
        for number, how in before.items():
            signal.signal(number, how)
        signal.set_wakeup_fd(listened_before)
        os.close(told)
        watchdog.join()
        os.close(numbers)
