"""How long a server asks us to wait, read against its own clock. Pure.

`Retry-After` (RFC 9110, 10.2.3) is seconds or a date; servers send decimals too. The headers of
rate limits come in several dialects:

    RateLimit: "default";r=0;t=30               the IETF draft since version 8: seconds from now
    RateLimit: limit=10, remaining=0, reset=30  the same in version 7
    RateLimit-Remaining, RateLimit-Reset        the same before
    X-RateLimit-Remaining, X-RateLimit-Reset    no standard: seconds from now, seconds or
    X-Rate-Limit-Remaining, X-Rate-Limit-Reset  milliseconds since 1970, or a date
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

WaitFormat = Literal[
    "seconds", "milliseconds", "minutes", "epoch_s", "epoch_ms", "http_date", "rfc3339"
]

LONGEST_FROM_NOW_S: Final = 1e8  # three years; a larger number counts from 1970
LEAST_MILLISECONDS: Final = 1e11  # as seconds it would be the year 5138
_SCALES: Final = {"seconds": 1.0, "milliseconds": 1e-3, "minutes": 60.0}
_EPOCHS: Final = {"epoch_s": 1.0, "epoch_ms": 1e-3}
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_FAMILIES: Final = ("RateLimit", "X-RateLimit", "X-Rate-Limit")
# An item of a structured field (RFC 9651) with its parameters, and a member of a dictionary.
# What is passed over is passed over for good, also a text that never ends and an item without
# parameters: a header of 8 KiB took seconds otherwise.
_QUOTED: Final = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_POLICY: Final = rf'(?:{_QUOTED}|[A-Za-z*][\w*.:/-]*+)((?:\s*;(?:{_QUOTED}|[^,;"])*+)*+)'
_PARAM: Final = r"(?a);\s*([rt])\s*=\s*(\d+)\s*(?=;|$)"
_MEMBER: Final = r"(?a)(?:^|[,;])\s*(remaining|reset)\s*=\s*(\d+)\s*(?=[,;]|$)"


def limit_reached(headers: Mapping[str, str]) -> bool:
    """Whether a response says that it was refused because of too many requests."""
    return "Retry-After" in headers or any(left == 0 for left, _ in _limits(headers))


def wait_asked_for(
    headers: Mapping[str, str], *, now_s: float, max_s: float, limited: bool = False
) -> float | None:
    """Seconds that a response asks to wait, within 0 and `max_s`; None when it does not say.

    `Retry-After` counts alone where it can be read; otherwise the longest reset of the limits of
    which no request is left.

    Args:
        now_s: the time since 1970 by our own clock.
        limited: the response itself says that a limit was reached, so that a reset counts which
            does not say how many requests are left.
    """
    if (asked_for := retry_after(headers, max_s=max_s)) is not None:
        return asked_for
    date = headers.get("Date")
    resets = [
        parse_reset(reset, date=date, now_s=now_s, max_s=max_s)
        for left, reset in _limits(headers)
        if left == 0 or (limited and left is None)
    ]
    return max((each for each in resets if each is not None), default=None)


def retry_after(headers: Mapping[str, str], *, max_s: float) -> float | None:
    """Seconds of a `Retry-After` header, within 0 and `max_s`; None when there is none to read."""
    value = headers.get("Retry-After", "")
    return parse_retry_after(value, date=headers.get("Date"), max_s=max_s)


def parse_retry_after(value: str, *, date: str | None, max_s: float) -> float | None:
    """Seconds to wait, within 0 and `max_s`; None for text that is neither seconds nor a date.

    `date` is the Date header of the same response: a date counts from there, because our own clock
    may be hours off.
    """
    if _NUMBER.fullmatch(value.strip()):
        return min(float(value), max_s)
    until, now = _date(value), _date(date)
    try:
        if until is None or now is None:
            return None
        return min(max((until - now).total_seconds(), 0.0), max_s)
    except TypeError:  # one of them has no zone
        return None


def parse_reset(value: str, *, date: str | None, now_s: float, max_s: float) -> float | None:
    """Seconds to wait until the limit is reset, within 0 and `max_s`; None for what says no time.

    A number counts from now, or from 1970 where it is too large for that. `now_s`, the time since
    1970 by our own clock, is used where the response has no Date header.
    """
    if _NUMBER.fullmatch(value.strip()):
        reset = float(value)
        form: WaitFormat = "seconds" if reset < LONGEST_FROM_NOW_S else "epoch_s"
        if reset >= LEAST_MILLISECONDS:
            form = "epoch_ms"
        return parse_wait(value, form, date=date, now_s=now_s, max_s=max_s)
    forms: tuple[WaitFormat, ...] = ("http_date", "rfc3339")
    found = (parse_wait(value, form, date=date, now_s=now_s, max_s=max_s) for form in forms)
    return next((each for each in found if each is not None), None)


def parse_wait(
    value: Any, form: WaitFormat, *, date: str | None, now_s: float, max_s: float
) -> float | None:
    """Seconds to wait, within 0 and `max_s`, of a value of a header or a body that is written in a
    format; None for any other value. Numbers may be text, and `seconds` may have an `s` behind.

    `now_s`, the time since 1970 by our own clock, is used where the response has no Date header.
    """
    if form in ("http_date", "rfc3339"):
        text = value if isinstance(value, str) else ""
        until = _date(text) if form == "http_date" else _rfc3339(text)
        if until is None or until.tzinfo is None:
            return None
        wait_s = until.timestamp() - _clock_of(date, now_s)
    elif (number := _number(value, form)) is None:
        return None
    elif form in _SCALES:
        wait_s = number * _SCALES[form]
    else:
        wait_s = number * _EPOCHS[form] - _clock_of(date, now_s)
    return min(max(wait_s, 0.0), max_s)


def _number(value: Any, form: WaitFormat) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = f"{value:f}" if isinstance(value, float) else str(value)
    text = text.strip()
    if form == "seconds":
        text = text.removesuffix("s")
    return float(text) if _NUMBER.fullmatch(text) else None


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[int | None, str]]:
    """(requests left, text that says until when) of every limit that the headers name; None where
    the first is not said.
    """
    field = headers.get("RateLimit", "")
    policies = [dict(re.findall(_PARAM, each)) for each in re.findall(_POLICY, field)]
    for found in policies:
        if "r" in found:
            yield int(found["r"][:18]), found.get("t", "")
    members = dict(re.findall(_MEMBER, field))
    if "remaining" in members:
        yield int(members["remaining"][:18]), members.get("reset", "")
    for family in _FAMILIES:
        left, reset = headers.get(f"{family}-Remaining", ""), headers.get(f"{family}-Reset", "")
        if left or reset:
            yield _left(left), reset


def _left(text: str) -> int | None:
    """How many requests are left; None for nothing, and 1 for what cannot be read."""
    text = text.strip()
    if not text:
        return None
    return int(float(text[:18])) if _NUMBER.fullmatch(text) else 1


def _date(text: str | None) -> datetime | None:
    """The moment of an HTTP date (RFC 9110, 5.6.7); None for any other text."""
    try:
        return parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _rfc3339(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _clock_of(date: str | None, now_s: float) -> float:
    """Now, by the clock of the server where it says its time."""
    moment = _date(date)
    try:
        return now_s if moment is None else moment.timestamp()
    except (ValueError, OverflowError):
        return now_s
