"""`Retry-After` (RFC 9110, 10.2.3): seconds or a date, which is read against the server's own clock. Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime


def parse_retry_after(value: str, *, date: str | None, max_s: float) -> float | None:
    """Seconds to wait, within 0 and `max_s`; None for what is neither. `date` is the Date header of the same response."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:18]), max_s)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(date or "")
        return min(max((until - now).total_seconds(), 0.0), max_s)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
