"""What generated functions call at run time. What has no value raises InvalidRecord, and a number
beyond 64 bits OverflowError."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any, Final

from worker.core.instants import EPOCH, EPOCH_DAY, MICROS
from worker.core.json_kinds import describe_kind
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.coerced_checks import number_text
from worker.schema.defaults import DOUBLE_MAX
from worker.schema.spellings import Numbers


class Misused(Exception):
    """A call that no record can mend; when the config is loaded it becomes a ConfigError.

    Args:
        what: what is wrong with it.
        remedy: what to write, where that is known.
    """

    def __init__(self, what: str, remedy: str = "take it out") -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


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


_number_text: Final = number_text(Numbers(group=""))
"""Python reads more than JSON and `decode.coerce`: `1_000`, digits of other scripts, `nan`."""


def _spelled(value: Any) -> Any:
    """The value; ValueError for a text that is no number."""
    return _number_text(value) if isinstance(value, str) else value


def whole_number(place: str) -> Callable[[Any], int]:
    """int() of a number (towards zero) or of decimal text; `place` is the call, for errors."""

    def to_int(value: Any) -> int:
        try:
            return in_64_bits(int(_spelled(value)))
        except ValueError:
            raise refuse("conversion", place, value, "a whole number, or its text") from None

    return to_int


def number(place: str) -> Callable[[Any], float]:
    """float() of a number or of its text; `place` is the call, for errors."""

    def to_float(value: Any) -> float:
        try:
            return finite(float(_spelled(value)))
        except ValueError:
            raise refuse("conversion", place, value, "a number, or its text") from None

    return to_float


def clock_ticks(text: str, ticks: int) -> int:
    """ISO time of day without a zone -> ticks since midnight; ValueError for any other text."""
    at = time.fromisoformat(text)
    if at.tzinfo is not None:
        raise ValueError(text)
    return (at.hour * 3600 + at.minute * 60 + at.second) * ticks + at.microsecond * ticks // MICROS


def date_text(days: int) -> str:
    """Days since 1970 -> ISO date."""
    try:
        return date.fromordinal(days + EPOCH_DAY).isoformat()
    except (ValueError, OverflowError):
        raise refuse("conversion", "str()", days, "a date in the years 1 to 9999") from None


def timestamp_text(value: int, ticks: int, zone: str = "Z", shown: int | None = None) -> str:
    """Ticks since 1970 -> RFC 3339 text in UTC.

    Args:
        zone: empty for local timestamps.
        shown: how many digits of a second are written; None: all that the ticks have.
    """
    if shown is not None:
        value, ticks = value * 10**shown // ticks, 10**shown
    try:
        moment = EPOCH + timedelta(seconds=value // ticks)
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
