"""How long a server asks us to wait, read against its own clock. Pure.

`Retry-After` (RFC 9110, 10.2.3) is seconds or a date. `X-RateLimit-Reset` has no standard: servers
send seconds from now, seconds since 1970 or milliseconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
LONGEST_FROM_NOW_S: Final = 1e8  # three years; a larger number counts from 1970
LEAST_MILLISECONDS: Final = 1e11  # as seconds it would be the year 5138


def limit_reached(headers: Mapping[str, str]) -> bool:
    """Whether a response says that it was refused because of too many requests."""
    return "Retry-After" in headers or headers.get("X-RateLimit-Remaining") == "0"


def wait_asked_for(headers: Mapping[str, str], *, now_s: float, max_s: float) -> float | None:
    """Seconds that a response asks to wait, within 0 and `max_s`; None when it does not say.

    `Retry-After` counts alone where it is given; otherwise `X-RateLimit-Reset` counts when no
    request is left. `now_s` is the time since 1970 by our own clock.
    """
    if "Retry-After" in headers:
        return retry_after(headers, max_s=max_s)
    if not limit_reached(headers):
        return None
    reset = headers.get("X-RateLimit-Reset", "")
    return parse_reset(reset, date=headers.get("Date"), now_s=now_s, max_s=max_s)


def retry_after(headers: Mapping[str, str], *, max_s: float) -> float | None:
    """Seconds of a `Retry-After` header, within 0 and `max_s`; None when there is none to read."""
    value = headers.get("Retry-After", "")
    return parse_retry_after(value, date=headers.get("Date"), max_s=max_s)


def parse_retry_after(value: str, *, date: str | None, max_s: float) -> float | None:
    """Seconds to wait, within 0 and `max_s`; None for text that is neither seconds nor a date.

    `date` is the Date header of the same response: a date counts from there, because our own clock
    may be hours off.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:18]), max_s)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(date or "")
        return min(max((until - now).total_seconds(), 0.0), max_s)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse_reset(value: str, *, date: str | None, now_s: float, max_s: float) -> float | None:
    """Seconds to wait until the limit is reset, within 0 and `max_s`; None for what is no number.

    `now_s`, the time since 1970 by our own clock, is used where the response has no Date header.
    """
    if not _NUMBER.fullmatch(value.strip()):
        return None
    reset = float(value)
    if reset >= LEAST_MILLISECONDS:
        reset /= 1000.0
    if reset >= LONGEST_FROM_NOW_S:
        reset -= _clock_of(date, now_s)
    return min(max(reset, 0.0), max_s)


def _clock_of(date: str | None, now_s: float) -> float:
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return now_s
