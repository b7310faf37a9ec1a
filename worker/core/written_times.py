"""Times as sources write them: text, numbers since 1970, JSON dates, strptime patterns. Pure.

What is written is read into `Written`: the clock that the text shows, and how far that clock is
from UTC, if the text says so. Whether that makes an instant is asked afterwards, because it depends
on what the time is for.

A text of any usual form is one of

* ISO 8601 and RFC 3339: date and time of day, basic or extended, with or without seconds and
  fraction (after a point or a comma), followed by `Z`, an offset (`+01:00`, `+0100`, `+01`), `UTC`,
  `UT` or `GMT`, with a space before it or not;
* RFC 2822 and RFC 1123: `Mon, 06 May 2024 07:08:09 GMT`.

Hour 24, second 60, and days that do not exist are no times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from worker.core.instants import EPOCH_DAY, EPOCH_SHOWN, NANOS
from worker.core.time_columns import TimeColumn
from worker.core.time_patterns import (
    directives,
    pattern_flaw,
    pattern_reader,
    pattern_shape,
    says_year,
    unreadable,
)
from worker.core.word_columns import DAY_NAMES, MONTH_NAMES, short

_DAY_S: Final = 86_400

USUAL: Final = "rfc3339"
"""The format of any usual text; see the module."""
EPOCHS: Final = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": NANOS}
"""Formats that count from 1970-01-01T00:00:00Z -> how many of their units make a second."""
JSON_DATE: Final = "json_date"
"""`/Date(1700000000000+0100)/`: milliseconds since 1970 in UTC, and the offset of the clock."""


class NoZone(ValueError):
    """The text is a time, and does not say in which zone."""


class Written(NamedTuple):
    """A time as it is written.

    Attributes:
        seconds: since 1970-01-01T00:00:00 of the clock that is shown.
        nanos: the fraction of the second, in nanoseconds; finer digits are cut.
        offset: by how many seconds that clock is ahead of UTC; None where nothing says it.
    """

    seconds: int
    nanos: int
    offset: int | None

    @property
    def shown(self) -> int:
        """Nanoseconds since 1970-01-01T00:00:00 of the clock that is shown."""
        return self.seconds * NANOS + self.nanos


Read = Callable[[Any], Written]
"""value -> the time; ValueError, TypeError or OverflowError where it is none of the format."""


def instant(written: Written, zone: ZoneInfo | None = None) -> int:
    """Nanoseconds since 1970-01-01T00:00:00Z.

    Args:
        zone: of a time that does not say one. A time that comes twice there, as the clocks go back,
            is the first of the two; one that the clocks leave out is read with the offset from
            before the change (RFC 5545, 3.3.5).

    Raises:
        NoZone: neither the text nor `zone` says one.
    """
    offset = written.offset
    if offset is None:
        if zone is None:
            raise NoZone("a time without a zone")
        local = EPOCH_SHOWN + timedelta(seconds=written.seconds)
        difference = zone.utcoffset(local)
        assert difference is not None, "every time of a named zone has an offset"
        offset = difference // timedelta(seconds=1)
    return written.shown - offset * NANOS


def time_reader(form: str) -> Read:
    """What reads the times of a format.

    Args:
        form: USUAL, one of EPOCHS, JSON_DATE, or a strptime pattern.

    Raises:
        ValueError: the format is none of these.
    """
    if form == USUAL:
        return read_text
    if form in EPOCHS:
        return _counted(EPOCHS[form])
    if form == JSON_DATE:
        return _json_date
    if "%" not in form:
        raise ValueError(f"{form!r} is neither a known format nor a strptime pattern")
    return _pattern(form)


# -- any usual text -----------------------------------------------------------------------------

_DAY: Final = r"(?P<Y>\d{4})(?P<_dash>-?)(?P<m>\d\d)(?P=_dash)(?P<d>\d\d)"
_OF_DAY: Final = (
    r"(?P<H>\d\d)(?P<_colon>:?)(?P<M>\d\d)(?:(?P=_colon)(?P<S>\d\d)(?:[.,](?P<f>\d+))?)?"
)
_ISO: Final = re.compile(
    rf"{_DAY}[Tt ]{_OF_DAY}"
    r"(?: ?(?P<z>[Zz]|[+-]\d\d(?::?[0-5]\d)?|[Uu][Tt][Cc]?|[Gg][Mm][Tt]))?",
    re.ASCII,
)
_WEEKDAYS: Final = tuple(map(str.lower, short(DAY_NAMES)))
_MONTHS: Final = tuple(map(str.lower, short(MONTH_NAMES)))
_MAIL_DAY: Final = (
    rf"(?:(?P<a>{'|'.join(_WEEKDAYS)}), *)?"
    rf"(?P<d>\d{{1,2}}) +(?P<b>{'|'.join(_MONTHS)}) +(?P<Y>\d{{4}})"
)
_MAIL: Final = (
    _MAIL_DAY + r" +(?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d))?"
    r"(?: +(?P<z>[+-]\d\d[0-5]\d|UTC?|GMT|Z))?(?: +\([^()]*\))?"
)
_ISO_DATE: Final = re.compile(_DAY, re.ASCII)
_CLOCK: Final = re.compile(rf"(?:[Tt]|(?=\d\d:)){_OF_DAY}", re.ASCII)


def read_text(text: Any) -> Written:
    """A date and a time of day in any usual text."""
    match = _ISO.fullmatch(text)
    if match is None:
        return _mail(text)
    hour, minute, second, fraction, zone = match.group("H", "M", "S", "f", "z")
    seconds = _iso_day(match) * _DAY_S + _of_day(hour, minute, second)
    return Written(seconds, _fraction(fraction), _offset(zone))


def read_day(text: str) -> int:
    """Days since 1970 of a date without a time of day: ISO 8601 or RFC 2822."""
    match = _ISO_DATE.fullmatch(text)
    if match is not None:
        return _iso_day(match)
    match = _mail_form(_MAIL_DAY).fullmatch(text)
    if match is None:
        raise ValueError("no date")
    return _mail_day(*match.groups())


def read_clock(text: str) -> int:
    """Nanoseconds since midnight of an ISO 8601 time of day without a zone.

    The basic form needs its `T`, because digits alone could also be a count.
    """
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise ValueError("no time of day")
    hour, minute, second, fraction = match.group("H", "M", "S", "f")
    return _of_day(hour, minute, second) * NANOS + _fraction(fraction)


def _iso_day(match: re.Match[str]) -> int:
    return date(int(match["Y"]), int(match["m"]), int(match["d"])).toordinal() - EPOCH_DAY


@cache
def _mail_form(pattern: str) -> re.Pattern[str]:
    """Compiled when it is needed, which takes 1 ms: most sources write no such times."""
    return re.compile(pattern, re.ASCII | re.IGNORECASE)


def _mail(text: str) -> Written:
    match = _mail_form(_MAIL).fullmatch(text)
    if match is None:
        raise ValueError("no time")
    weekday, day, month, year, hour, minute, second, zone = match.groups()
    days = _mail_day(weekday, day, month, year)
    return Written(days * _DAY_S + _of_day(hour, minute, second), 0, _offset(zone))


def _mail_day(weekday: str | None, day: str, month: str, year: str) -> int:
    found = date(int(year), _MONTHS.index(month.lower()) + 1, int(day))
    if weekday is not None and _WEEKDAYS[found.weekday()] != weekday.lower():
        raise ValueError("the day of the week is another one")
    return found.toordinal() - EPOCH_DAY


def _of_day(hour: str, minute: str, second: str | None) -> int:
    """Seconds since midnight."""
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("no time of day")
    return hours * 3600 + minutes * 60 + seconds


def _fraction(digits: str | None) -> int:
    return int(digits[:9].ljust(9, "0")) if digits else 0


def _offset(zone: str | None) -> int | None:
    """Seconds ahead of UTC; None without a zone."""
    if zone is None:
        return None
    if zone[0] not in "+-":  # Z, UTC, UT or GMT
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23:
        raise ValueError("no offset")
    seconds = hours * 3600 + minutes * 60
    return -seconds if zone[0] == "-" else seconds


def _usual_form(family: str) -> Callable[[str], re.Match[str] | None]:
    """What matches the usual texts of a family."""
    if family == "time":
        return _CLOCK.fullmatch
    iso, mail = (_ISO_DATE, _MAIL_DAY) if family == "date" else (_ISO, _MAIL)
    return lambda text: iso.fullmatch(text) or _mail_form(mail).fullmatch(text)


def time_column(
    form: str, family: str, digits: int, zone: ZoneInfo | None = None
) -> Callable[[Sequence[Any]], Sequence[int | None] | None]:
    """What reads columns of texts; see TimeColumn.

    Args:
        form: USUAL or a strptime pattern; others have no columns.
        family: `date`, `time`, `timestamp` or `local-timestamp`.
        digits: of a second that count.
        zone: of timestamps whose text does not say one.
    """
    if form in EPOCHS or form == JSON_DATE:
        return lambda values: None
    fits = _usual_form(family) if form == USUAL else pattern_shape(form).fullmatch
    return TimeColumn(fits, digits, instants=family == "timestamp", zone=zone)


# -- numbers ------------------------------------------------------------------------------------

_NUMBER: Final = re.compile(r"([+-]?\d{1,20})(?:\.(\d{0,30}))?", re.ASCII)


def _counted(per_second: int) -> Read:
    unit = NANOS // per_second

    def read(value: Any) -> Written:
        if type(value) is int:
            return _utc(value * unit)
        match = _NUMBER.fullmatch(_digits(value))
        if match is None:
            raise ValueError("no number")
        fraction = match[2] or ""
        scale: int = 10 ** len(fraction)
        return _utc(int(match[1] + fraction) * unit // scale)

    return read


def _utc(nanos: int) -> Written:
    seconds, fraction = divmod(nanos, NANOS)
    return Written(seconds, fraction, 0)


def _digits(value: Any) -> str:
    """The text of a number; a float stands for the fewest digits that make it."""
    if isinstance(value, float):
        return format(Decimal(repr(float(value))), "f")
    if isinstance(value, str):
        return value
    raise TypeError("neither a number nor text")


JSON_DATE_ENDS: Final = ("/Date(", ")/")
_JSON_DATE: Final = re.compile(
    r"(-?\d{1,20})([+-]\d\d[0-5]\d)?".join(map(re.escape, JSON_DATE_ENDS)), re.ASCII
)


def _json_date(value: Any) -> Written:
    match = _JSON_DATE.fullmatch(value)
    if match is None:
        raise ValueError("no JSON date")
    offset = _offset(match[2]) or 0
    seconds, millis = divmod(int(match[1]), 1_000)
    return Written(seconds + offset, millis * (NANOS // 1_000), offset)


# -- patterns -----------------------------------------------------------------------------------


def _pattern(pattern: str) -> Read:
    digits, moment_of = len(_SAMPLE.strftime(pattern)), pattern_reader(pattern)

    def read(value: Any) -> Written:
        if type(value) is int and len(str(value)) == digits:  # 20240506, without a zero lost
            value = str(value)
        found, finer = moment_of(value)
        difference = found.utcoffset()
        offset = None if difference is None else difference // timedelta(seconds=1)
        since = found.replace(tzinfo=None) - EPOCH_SHOWN
        nanos = since.microseconds * 1_000 + finer
        return Written(since.days * _DAY_S + since.seconds, nanos, offset)

    return read


_SAMPLE: Final = datetime(2024, 5, 6, 17, 8, 9, tzinfo=UTC)
_OF_CLOCK: Final = re.compile(r"%[HIcX]")
_OF_ZONE: Final = re.compile(r"%z")


def pattern_problem(pattern: str, *, dated: bool = False, clocked: bool = False) -> str:
    """What is wrong with a strptime pattern; empty where it can be read.

    Args:
        dated: the times have a date.   clocked: and a time of day.
    """
    if "Z" in directives(pattern):
        return "%Z reads the names of this machine's zone; write the word itself, like UTC, or %z"
    if dated and not says_year(pattern):
        return "the pattern has no year (%Y)"
    if clocked and _OF_CLOCK.search(pattern) is None:
        return "the pattern has no hour (%H)"
    if flaw := pattern_flaw(pattern):
        return flaw
    reason = unreadable(pattern)
    return f"the pattern cannot be read: {reason}" if reason else ""


def says_zone(form: str) -> bool:
    """Whether every time of a format says how far it is from UTC."""
    return form in EPOCHS or form == JSON_DATE or _OF_ZONE.search(form) is not None
