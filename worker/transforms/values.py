"""What generated functions call at run time. What has no value raises InvalidRecord, and a number
beyond 64 bits OverflowError."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from worker.core.errors import ConfigError
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.paging.marks import MarkFormat
from worker.schema.defaults import DOUBLE_MAX
from worker.schema.logical import EPOCH_DAY
from worker.schema.values import describe_kind

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROS: Final = 1_000_000
_INSTANT_FORMS: Final = ("rfc3339", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_instant = MarkFormat().parser()


def refuse(code: str, path: str, value: Any, allowed: str) -> InvalidRecord:
    """The error of a value that a transform cannot take; it names the kind of the value, never its
    content."""
    return InvalidRecord(
        code, (FieldError(path, describe_kind(value), allowed),), stage="transform"
    )


def finite(value: float) -> float:
    """The value, when it is neither NaN nor infinite; OverflowError otherwise."""
    if -DOUBLE_MAX <= value <= DOUBLE_MAX:
        return value
    raise OverflowError


def in_64_bits(value: int) -> int:
    """The value, when it fits a long; OverflowError otherwise."""
    if -0x8000000000000000 <= value <= 0x7FFFFFFFFFFFFFFF:
        return value
    raise OverflowError


def to_int(value: Any) -> int:
    """int() of a number (towards zero) or of decimal text."""
    try:
        return in_64_bits(int(value))
    except ValueError:
        raise refuse("conversion", "int()", value, "a whole number, or its text") from None


def to_float(value: Any) -> float:
    """float() of a number or of its text."""
    try:
        return finite(float(value))
    except ValueError:
        raise refuse("conversion", "float()", value, "a number, or its text") from None


def clock_ticks(text: str, ticks: int) -> int:
    """ISO time of day without a zone -> ticks since midnight; ValueError for any other text."""
    at = time.fromisoformat(text)
    if at.tzinfo is not None:
        raise ValueError(text)
    return (at.hour * 3600 + at.minute * 60 + at.second) * ticks + at.microsecond * ticks // _MICROS


def day_of_text(text: str) -> int:
    """ISO date, or the date in UTC of an RFC 3339 text -> days since 1970."""
    try:
        if len(text) == 10:
            return date.fromisoformat(text).toordinal() - EPOCH_DAY
        return int(_instant(text)[0]) // (86_400 * _MICROS)
    except (ValueError, OverflowError):
        raise refuse(
            "conversion", "date()", text, "an ISO date, or RFC 3339 text with a zone"
        ) from None


def instant_reader(form: str = "rfc3339", zone: str = "UTC") -> Callable[[Any], int] | None:
    """A function from a value to microseconds since 1970; None where the format is none.

    Args:
        form: `rfc3339`, `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` or a strptime pattern.
        zone: of texts of a pattern that name none.
    """
    nanos = form == "epoch_ns"
    if form not in _INSTANT_FORMS and "%" not in form:
        return None
    try:
        parse = MarkFormat("int" if nanos else form, zone=zone).parser()
    except (ConfigError, KeyError, ValueError, OSError):  # a zone that there is not
        return None
    allowed = "RFC 3339 text with a zone" if form == "rfc3339" else f"a value of the format {form}"

    def read(value: Any) -> int:
        try:
            found = int(parse(value)[0])
        except (ValueError, TypeError, OverflowError):
            raise refuse("conversion", "timestamp()", value, allowed) from None
        return found // 1000 if nanos else found

    return read


def date_text(days: int) -> str:
    """Days since 1970 -> ISO date."""
    try:
        return date.fromordinal(days + EPOCH_DAY).isoformat()
    except (ValueError, OverflowError):
        raise refuse("conversion", "str()", days, "a date in the years 1 to 9999") from None


def timestamp_text(value: int, ticks: int, zone: str = "Z") -> str:
    """Ticks since 1970 -> RFC 3339 text in UTC; `zone` is empty for local timestamps."""
    try:
        moment = _EPOCH + timedelta(seconds=value // ticks)
    except OverflowError:
        raise refuse("conversion", "str()", value, "a time in the years 1 to 9999") from None
    fraction, digits = value % ticks, len(str(ticks)) - 1
    text = moment.strftime("%Y-%m-%dT%H:%M:%S") if moment.year >= 1000 else moment.isoformat()[:19]
    return f"{text}.{fraction:0{digits}}{zone}" if fraction else f"{text}{zone}"


def time_text(value: int, ticks: int) -> str:
    """Ticks since midnight -> ISO time."""
    seconds, fraction = divmod(value, ticks)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:0{len(str(ticks)) - 1}}" if fraction else text
