"""Log lines by structlog, as JSON or for people, always on stderr.

Values of keys that name a secret are taken out, and so are secrets in URLs. Whatever others have
said, an event is one line, and commands no terminal.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import structlog

from worker.runtime.streams import harmless
from worker.telemetry.writer import LineWriter

REDACTED: Final = "***"
OVER_PROGRESS: Final = b"\r\x1b[2K"
"""Clears the line of a terminal, which may hold the progress of `run --once`."""
_SECRET_KEY: Final = re.compile(
    r"(token|secret|password|passwd|authorization|api[_-]?key|cookie|credential)", re.IGNORECASE
)
_USER_INFO: Final = re.compile(r"(?<=//)[^/@\s]+@")
_PARAMETER: Final = re.compile(r"(?<=[?&])([^=&?\s]*)=")
_SECRET_PARAMETER: Final = re.compile(r"token|key|secret|password|sig", re.IGNORECASE)
_VALUE: Final = re.compile(r"[^&\s'\"]+")


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that takes out values of secret keys, and secrets in URLs."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = redact_urls(value)
    return event


def disarm(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that writes out what would command a terminal or could not be written;
    see `harmless`.
    """
    return {key: _disarmed(value) for key, value in event.items()}


def _disarmed(value: Any) -> Any:
    if isinstance(value, str):
        return harmless(value)
    if isinstance(value, Mapping):
        return {harmless(str(key)): _disarmed(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_disarmed(each) for each in value]
    return value


def redact_urls(text: str) -> str:
    """`text` without the credentials of the URLs in it.

    It takes a time that grows with the text and no faster, whatever a server has put there.
    """
    text = _USER_INFO.sub(REDACTED, text)
    kept, at = [], 0
    for found in _PARAMETER.finditer(text):
        if found.start() < at or not _SECRET_PARAMETER.search(found[1]):
            continue
        if value := _VALUE.match(text, found.end()):
            kept.append(text[at : found.start()])
            at = value.end()
    return REDACTED.join([*kept, text[at:]])


@contextmanager
def open_logger(level: str, style: str | None, *, colors: bool = True) -> Iterator[Any]:
    """A logger whose lines are all written when the context ends.

    Args:
        level: the least level that is logged.
        style: `json` or `console`; None for console on a terminal, and JSON otherwise.
        colors: whether the console has colors, which it has on a terminal only.
    """
    terminal = sys.stderr.isatty()
    console = _for_people(style)
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
        disarm,
    ]
    if console:
        renderer: Any = structlog.dev.ConsoleRenderer(
            colors=colors and terminal, exception_formatter=structlog.dev.plain_traceback
        )
    else:
        renderer = structlog.processors.JSONRenderer(
            serializer=lambda event, **_: orjson.dumps(event, default=str)
        )
    writer = LineWriter(sys.stderr, _dropped_text if console else _dropped_json)
    wrapper = structlog.make_filtering_bound_logger(level)
    try:
        yield structlog.wrap_logger(
            _Lines(writer, OVER_PROGRESS if terminal else b""),
            processors=[*shared, renderer],
            wrapper_class=wrapper,
            cache_logger_on_first_use=True,
        )
    finally:
        writer.close()


def signal_line(style: str | None) -> Callable[[str, str], str]:
    """A function (signal, what follows) -> log line, in the style of the other lines.

    It needs no logger, because a signal may come when there is none yet, or no more.
    """

    def line(name: str, follows: str) -> str:
        if _for_people(style):
            return f"worker: {name}, {follows}\n"
        fields = {
            "event": "signal.received",
            "level": "warning",
            "signal": name,
            "detail": follows,
            "timestamp": _now(),
        }
        return orjson.dumps(fields).decode() + "\n"

    return line


def _for_people(style: str | None) -> bool:
    return style == "console" or (style is None and sys.stderr.isatty())


class _Lines:
    """The logger that structlog wraps: it is called with a rendered line, by its level."""

    def __init__(self, writer: LineWriter, before: bytes) -> None:
        self._writer, self._before = writer, before

    def debug(self, line: str | bytes) -> None:
        self._writer.put(self._before + _encoded(line), debug=True)

    def info(self, line: str | bytes) -> None:
        self._writer.put(self._before + _encoded(line))

    warning = error = critical = info


def _encoded(line: str | bytes) -> bytes:
    return (line if isinstance(line, bytes) else line.encode("utf-8", "replace")) + b"\n"


def _dropped_json(lines: int) -> bytes:
    line = {"event": "log.dropped", "level": "warning", "lines": lines, "timestamp": _now()}
    return orjson.dumps(line) + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _dropped_text(lines: int) -> bytes:
    return f"{lines} log lines were dropped, because they were not read in time\n".encode()
