"""Log lines are written by a thread of their own, so that no reader can hold the event loop."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

BOUND_BYTES: Final = 1 << 20
CLOSE_S: Final = 2.0
"""How long the end of the program waits for a reader that is slow."""


class LineWriter:
    """Lines wait in memory up to a bound.

    Debug lines are dropped when half of it is used, and all lines when all of it is. How many were
    dropped is logged when there is room again.

    Args:
        stream: an object with `fileno()`, which is written to directly, or with `write(bytes)`.
        say_dropped: makes the line that says how many were dropped.
    """

    def __init__(
        self, stream: Any, say_dropped: Callable[[int], bytes], bound_bytes: int = BOUND_BYTES
    ) -> None:
        self._write = _writer(stream)
        self._say_dropped, self._bound = say_dropped, bound_bytes
        self._lines: deque[bytes] = deque()
        self._size = self._dropped = 0
        self._closed = self._gone = False
        self._changed = threading.Condition()
        # a daemon, so that a stuck reader does not keep the process alive
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes, *, debug: bool = False) -> None:
        """Queues a line (with its newline). Never waits."""
        with self._changed:
            if self._gone:
                return
            if self._size + len(line) > (self._bound // 2 if debug else self._bound):
                self._dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)
            self._changed.notify()

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Waits until all lines are written, for at most `timeout_s` seconds."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._dropped or self._closed)
                if not self._lines and not self._dropped:
                    return
                batch = b"".join(self._lines)
                self._lines.clear()
                if self._dropped:
                    batch += self._say_dropped(self._dropped)
                    self._dropped = 0
            try:
                self._write(batch)
            except (OSError, ValueError):  # the reader is gone: the program goes on without a log
                self._gone = True
                return
            with self._changed:  # only now, because what is being written takes memory, too
                self._size = sum(map(len, self._lines))


def _writer(stream: Any) -> Callable[[bytes], Any]:
    try:
        number = stream.fileno()
    except (OSError, AttributeError):  # an object that stands for a file
        return _flushed(stream)

    def write(data: bytes) -> None:
        while data:
            try:
                data = data[os.write(number, data) :]
            except BlockingIOError:  # another owner made the descriptor non-blocking
                select.select([], [number], [])

    return write


def _flushed(stream: Any) -> Callable[[bytes], Any]:
    binary = getattr(stream, "buffer", stream)

    def write(data: bytes) -> None:
        binary.write(data)
        binary.flush()

    return write
