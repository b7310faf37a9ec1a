"""Signals: the first one asks for a drain, a second SIGTERM or SIGINT ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.runtime.streams import say

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def stop_on_signals(
    stop: asyncio.Event, line: Callable[[str, str], str] = "worker: {}, {}\n".format
) -> Iterator[None]:
    """Sets `stop` on the first SIGTERM, SIGINT or SIGHUP.

    On a second SIGTERM or SIGINT the process exits with 143 or 130: staged work is redone from the
    commit log. A terminal that closes sends SIGHUP, often twice: it never cuts a drain short. A
    process that ignores SIGHUP at its start (`nohup`) goes on ignoring it.

    Args:
        line: makes the line that reports a signal, from its name and what follows. The line is
            written at once, past the writer of the log, which an exit at once would cut off.
    """
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if not stop.is_set():
            stop.set()  # before anything is said: the drain does not depend on a log
            say(line(number.name, "draining; a second SIGINT or SIGTERM exits at once"))
        elif number != signal.SIGHUP:
            say(line(f"second {number.name}", "exiting at once; uncommitted work will be redone"))
            os._exit(128 + number)

    handled = [
        number
        for number in _SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN or number != signal.SIGHUP
    ]
    for number in handled:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)
