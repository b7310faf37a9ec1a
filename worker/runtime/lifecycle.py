"""Signals: the first SIGTERM or SIGINT asks for a drain, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Sets `stop` on the first signal. On the second the process exits with 143 or 130: staged work is redone from the commit log."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if stop.is_set():
            print(f"worker: second {number.name}, exiting at once; uncommitted work will be redone", file=sys.stderr, flush=True)
            os._exit(128 + number)
        print(f"worker: {number.name}, draining; a second one exits at once", file=sys.stderr, flush=True)
        stop.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, received, number)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
