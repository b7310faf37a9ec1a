"""Log lines: structlog, JSON or for people, always on stderr. Secrets are taken out by key."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import orjson
import structlog

REDACTED: Final = "***"
_SECRET_KEY: Final = re.compile(r"(token|secret|password|passwd|authorization|api[_-]?key|cookie|credential)", re.IGNORECASE)
_URL_SECRET: Final = re.compile(r"(?<=//)[^/@\s]+@|(?<=[?&])(?:[^=&\s]*(?:token|key|secret|password|sig)[^=&\s]*)=[^&\s'\"]+", re.IGNORECASE)


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: values of secret keys, and secrets within URLs."""
    for key, value in event.items():
        if _SECRET_KEY.search(key):
            event[key] = REDACTED
        elif isinstance(value, str):
            event[key] = _URL_SECRET.sub(REDACTED, value)
    return event


def make_logger(level: str, style: str | None) -> Any:
    """A bound logger. `style` is json, console, or None for console on a terminal."""
    console = style == "console" or (style is None and sys.stderr.isatty())
    shared: list[Any] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), redact]
    if console:
        renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        renderer = structlog.processors.JSONRenderer(serializer=lambda event, **_: orjson.dumps(event, default=str))
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    wrapper = structlog.make_filtering_bound_logger(level)
    return structlog.wrap_logger(factory(), processors=[*shared, renderer], wrapper_class=wrapper, cache_logger_on_first_use=True)
