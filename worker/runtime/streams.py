"""Standard streams that are closed, full, or that nobody reads: none of it may hold the process."""

from __future__ import annotations

import io
import os
import re
import select
import sys
from typing import Any, Final

from worker.core.errors import OutputLost

PIECE_BYTES: Final = select.PIPE_BUF
"""A pipe that is ready takes so much without waiting."""
_COMMANDS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What commands a terminal, ends a line or turns its order round, besides the end of a line and a
tab; and lone surrogates, which no stream takes."""


def harmless(text: str) -> str:
    """Text of others without what would command the terminal of whoever looks at it."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def open_streams() -> None:
    """Opens what is closed of the standard streams, and makes an `Output` of stdout.

    Closed ones become the null device: the next file that is opened, which is the commit log, would
    get their number. Streams that somebody put in place (tests, embedders) are left alone.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115  # for the rest of the process
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        encoding = getattr(sys.stdout, "encoding", "utf-8")
        raw: Any = Output(1)
        sys.stdout = (_Terminal if raw.isatty() else io.TextIOWrapper)(
            io.BufferedWriter(raw),
            encoding,
            getattr(sys.stdout, "errors", "strict"),
            line_buffering=raw.isatty(),
        )


class _Terminal(io.TextIOWrapper):
    """What is printed to a terminal, most of which others have said, commands nothing there."""

    def write(self, text: str, /) -> int:
        super().write(harmless(text))
        return len(text)


class Output(io.RawIOBase):
    """A descriptor to write to. What cannot be written is OutputLost, once.

    Attributes:
        reader_gone: the reader of a pipe went away, which is no error.
        patience_s: how long a reader may keep us waiting before the rest is dropped; None: forever.
    """

    def __init__(self, number: int) -> None:
        self._number, self._over = number, False
        self.reader_gone = False
        self.patience_s: float | None = None

    def fileno(self) -> int:
        return self._number

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Any) -> int:
        """Bytes taken; what comes after the end of the reader is taken and dropped."""
        size = memoryview(data).nbytes
        piece = data if self.patience_s is None else memoryview(data)[:PIECE_BYTES]
        while not self._over:
            try:
                if (
                    self.patience_s is not None
                    and not select.select([], [self._number], [], self.patience_s)[1]
                ):
                    break
                return os.write(self._number, piece)
            except BlockingIOError:  # somebody else made the descriptor non-blocking
                select.select([], [self._number], [])
            except BrokenPipeError:
                self.reader_gone = True
                break
            except OSError as error:
                self._over = True
                raise OutputLost(
                    f"standard output cannot be written: {error.strerror}",
                    remedy="free space, or write it to another place",
                ) from error
        self._over = True
        return size


def output() -> Output | None:
    """The standard output, unless somebody put another one in place."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, Output) else None


def say(text: str, *, wait_s: float = 0.0) -> None:
    """Writes to stderr what it takes within `wait_s` seconds a piece; the rest is dropped.

    Never raises: whoever has something to say goes on.
    """
    try:
        number = sys.stderr.fileno()
    except (OSError, ValueError):  # a stand-in for a file
        sys.stderr.write(text)
        return
    data = text.encode("utf-8", "replace")
    try:
        while data and select.select([], [number], [], wait_s)[1]:
            data = data[os.write(number, data[:PIECE_BYTES]) :]
    except OSError:
        return
