"""Times that expressions read from texts and numbers: by a unit or by a strptime pattern.

A time is read in nanoseconds since 1970, which is finer than any pattern; what a field cannot hold
is cut when the value is written, never rounded.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, available_timezones

from worker.core.instants import EPOCH, EPOCH_DAY, LEAST, MICROSECOND, MOST, NANOS
from worker.core.ports import InvalidRecord
from worker.core.time_patterns import pattern_flaw, pattern_reader, says_year, unreadable
from worker.core.written_times import EPOCHS
from worker.transforms.values import Misused, refuse

DAY: Final = 86_400 * NANOS

Read = Callable[[Any], int]
"""A text or number -> nanoseconds since 1970; raises ValueError, TypeError or OverflowError."""

UNITS: Final = {form: NANOS // per_second for form, per_second in EPOCHS.items()}
"""Form -> nanoseconds of one unit."""
_YEARS: Final = range(LEAST * 1_000, (MOST + 1) * 1_000)
"""The years 1 to 9999 (RFC 3339, section 1)."""
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
_NUMBER: Final = re.compile(r"[+-]?\d{1,25}(?:\.\d{0,30})?", re.ASCII)
_EXACT: Final = Context(prec=100)
"""More digits than `_NUMBER` and a scale can have: a product is never rounded."""
_UNIVERSAL: Final = ("GMT", "UTC", "Z")
"""What `%Z` stands for: other names of zones mean different offsets in different places."""
_MOST_SHOWN: Final = 4


def instant_reader(form: str, zone: str | None, place: str) -> Callable[[Any], int]:
    """The function that reads a time in nanoseconds since 1970.

    It raises InvalidRecord for what is no time of the form, at the place.

    Args:
        form: `rfc3339`, a unit (`epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`), or a strptime
            pattern.
        zone: an IANA name, the zone of texts that name none. None: UTC for patterns, while text of
            `rfc3339` must name its zone.
        place: the source of the call, for errors.

    Raises:
        Misused: there is no such form or zone.
    """
    read, allowed = _reader(form, zone)

    def instant(value: Any) -> int:
        try:
            found = read(value)
            if found in _YEARS:
                return found
        except (ValueError, TypeError, OverflowError):
            pass
        raise refuse("conversion", place, value, f"{allowed}, in the years 1 to 9999")

    return instant


def day_reader(form: str | None, place: str) -> Callable[[Any], int]:
    """The function that reads a day in days since 1970, as `instant_reader` reads a time.

    It is the day in UTC of what names an instant, and otherwise the day that the text names.

    Args:
        form: None: an ISO date, or RFC 3339 text.
    """
    instant = instant_reader(form or "rfc3339", None, place)
    if form is not None:
        return lambda value: instant(value) // DAY

    def day(text: str) -> int:
        try:
            if len(text) == len("2024-12-31"):
                return date.fromisoformat(text).toordinal() - EPOCH_DAY
            return instant(text) // DAY
        except (ValueError, InvalidRecord):
            allowed = "an ISO date, or RFC 3339 text with a zone"
            raise refuse("conversion", place, text, allowed) from None

    return day


def _reader(form: str, zone: str | None) -> tuple[Read, str]:
    """What reads a form, and which values it reads, in words."""
    if (scale := UNITS.get(form)) is not None:
        if zone is not None:
            raise Misused(f"a zone has no effect on {form}, which counts from 1970 in UTC")
        return _number(scale), f"a number of the format {form}"
    there = None if zone is None else _zone(zone)
    if form == "rfc3339":
        suffix = "" if there else " with a zone"
        return _rfc3339(there), f"RFC 3339 text{suffix}"
    _check_pattern(form)
    return _pattern(form, there), f"text of the format {form}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        close = difflib.get_close_matches(name, available_timezones(), 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise Misused(
            f"{name!r} is not a zone", f"{hint}write an IANA name like 'Europe/Berlin'"
        ) from None


def _check_pattern(form: str) -> None:
    """Raises Misused for a pattern that reads nothing, or not the date."""
    if "%" not in form:
        close = difflib.get_close_matches(form, UNITS, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise Misused(
            f"{form!r} is neither a unit nor a strptime pattern",
            f"{hint}{', '.join(map(repr, UNITS))}, 'rfc3339', or a pattern like '%d.%m.%Y'",
        )
    plain = form.replace("%Z", _UNIVERSAL[0])
    if problem := pattern_flaw(plain) or unreadable(plain):
        raise Misused(
            f"{form!r} is no strptime pattern: {problem}", "write one like '%d.%m.%Y %H:%M'"
        )
    if not says_year(form):
        raise Misused(
            f"the pattern {form!r} has no year, so it tells no time",
            "write a pattern of the whole date, like '%d.%m.%Y'; concat() joins text",
        )


def _number(scale: int) -> Read:
    def read(value: Any) -> int:
        if isinstance(value, int):
            return value * scale
        text = value.strip() if isinstance(value, str) else repr(value)
        if isinstance(value, str) and not _NUMBER.fullmatch(text):
            raise ValueError
        number = Decimal(text)
        if number.adjusted() > len(str(_YEARS.stop)):
            raise OverflowError
        return math.floor(_EXACT.multiply(number, scale))

    return read


def _rfc3339(zone: ZoneInfo | None) -> Read:
    def read(value: Any) -> int:
        match = _RFC3339.fullmatch(value)
        if match is None or (match[4] is None and zone is None):
            raise ValueError
        day, time, fraction, offset = match.groups()
        suffix = "+00:00" if offset in ("Z", "z") else offset or ""
        moment = datetime.fromisoformat(f"{day}T{time}{suffix}")
        return _nanos(moment, zone) + int((fraction or "")[:9].ljust(9, "0"))

    return read


def _pattern(form: str, zone: ZoneInfo | None) -> Read:
    forms = [form.replace("%Z", each) for each in _UNIVERSAL] if "%Z" in form else [form]
    there = zone if forms == [form] else None
    readers = [pattern_reader(each) for each in forms]

    def read(value: Any) -> int:
        for each in readers:
            try:
                moment, finer = each(value)
            except ValueError:
                continue
            return _nanos(moment, there) + finer
        raise ValueError

    return read


def _nanos(moment: datetime, zone: ZoneInfo | None) -> int:
    """Nanoseconds since 1970 of a time, which is one of `zone` (None: UTC) if it names none.

    Of a time that comes twice in a zone the first counts; one that a zone skips is no time.
    """
    if moment.tzinfo is None:
        naive, moment = moment, moment.replace(tzinfo=zone or UTC)
        if zone and moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
            raise ValueError
    return (moment - EPOCH) // MICROSECOND * 1_000
