"""The checks of dates, times of day and timestamps: text or number -> datum.

A number is the datum itself, unless `decode.times` says how the source counts. Digits that are
finer than the type are cut; what lies outside of `TIME_RANGES` is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import repeat
from operator import floordiv, mul
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.core.instants import NANOS
from worker.core.json_kinds import describe_kind
from worker.core.model import FieldError
from worker.core.written_times import (
    EPOCHS,
    JSON_DATE,
    JSON_DATE_ENDS,
    USUAL,
    NoZone,
    instant,
    read_clock,
    read_day,
    read_text,
    time_column,
    time_reader,
)
from worker.schema.defaults import RANGES
from worker.schema.doubts import Doubts, other_readings
from worker.schema.logical import FRACTION_DIGITS, TIME_RANGES
from worker.schema.model import Type
from worker.schema.number_columns import NumberColumn, exact_floats, fixed_point, inside
from worker.schema.spellings import Numbers, Place, Spellings, TimeForm
from worker.schema.text_checks import Plain, ReadColumn, TextCheck, Unreadable
from worker.schema.values import Check

_DAY_S: Final = 86_400
_DAY_NANOS: Final = _DAY_S * NANOS
_MICRO_NANOS: Final = 1_000
_MILLI_NANOS: Final = 1_000_000
_COLUMNS_OF_TEXT: Final = frozenset({str})
_COLUMNS_OF_COUNTS: Final = frozenset({str, float})
_TICKS: Final = {unit: 10**digits for unit, digits in FRACTION_DIGITS.items()}
_TEXT: Final = {
    "date": "an ISO 8601 date",
    "time": "an ISO 8601 time of day without a zone",
    "timestamp": "RFC 3339 text with a zone",
    "local-timestamp": "ISO 8601 text without a zone",
}
_COUNT: Final = {"millis": "milliseconds", "micros": "microseconds", "nanos": "nanoseconds"}
_MOST_DIGITS: Final = 20
_OTHERS: Final = "; decode.times names any other format"


def time_check(
    kind: Type, spellings: Spellings, place: Place, doubts: Doubts | None = None
) -> TextCheck:
    """The check of a type whose logical type is a time.

    Args:
        doubts: where numbers are noted that may be meant in another unit.
    """
    usual = TimeForm(USUAL, spellings.zone)
    return _TimeCheck(kind.logical or "", place.time or usual, doubts).check()


def family_of(logical: str) -> str:
    """`date`, `time`, `timestamp` or `local-timestamp`."""
    return "date" if logical == "date" else logical.rpartition("-")[0]


class _TimeCheck:
    """Makes the check of one logical type whose times are written in one way."""

    def __init__(self, logical: str, how: TimeForm, doubts: Doubts | None) -> None:
        self._logical, self._doubts = logical, doubts
        self._family, self._form = family_of(logical), how.form
        self._read = time_reader(how.form)
        self._zone = ZoneInfo(how.zone) if how.zone else None
        self._low, self._high = TIME_RANGES[logical]
        self._unit = logical.rpartition("-")[2]
        self._nanos = _DAY_NANOS if logical == "date" else NANOS // _TICKS[self._unit]
        count = _COUNT.get(self._unit, "days")
        since = "of a day" if self._family == "time" else "since 1970"
        self._number = f"whole {count} {since}{_span(logical)}"
        self._allowed = f"{_TEXT[self._family]}, or {self._number}{_OTHERS}"
        if how.form != USUAL:
            self._allowed = f"a time in the format {how.form} (see decode.times){_span(logical)}"
        instants = how.form == USUAL and "timestamp" in self._family
        self._others = other_readings(logical) if instants and doubts is not None else ()

    def check(self) -> TextCheck:
        make, plain = self._numbers()
        text = self._usual() if self._form == USUAL else self._formatted
        return TextCheck(
            self._checked(make),
            plain,
            lambda value: self._within(text(value)),
            self._allowed,
            self._column(),
            _COLUMNS_OF_COUNTS if self._form in EPOCHS else _COLUMNS_OF_TEXT,
        )

    def _numbers(self) -> tuple[Callable[[Any], int], Plain]:
        """What makes the datum of a number, and which numbers need no check."""
        if self._form == USUAL:
            return _whole, Plain(f"type(x) is int and ({self._plain_range()})")
        if self._form in EPOCHS:
            return self._formatted, self._counted(NANOS // EPOCHS[self._form])
        return self._formatted, Plain("False")

    def _plain_range(self) -> str:
        """Which numbers need no look: those in range about which there is no doubt."""
        if not self._others:
            return f"{self._low} <= x <= {self._high}"
        least, most = self._others[0].low, self._others[-1].high
        return f"{most} <= x <= {self._high} or {self._low} <= x < {least}"

    def _doubt(self, value: Any, path: str) -> None:
        """Notes a number that would be a time of today in another unit."""
        for each in self._others:
            if type(value) is int and each.low <= value < each.high and self._doubts is not None:
                self._doubts.note(_field_of(path), self._logical, value, each)

    def _counted(self, nanos: int) -> Plain:
        """How whole numbers become datums that count units of so many nanoseconds."""
        finer, coarser = self._ratio(nanos)
        least, most = -(-self._low * coarser // finer), ((self._high + 1) * coarser - 1) // finer
        made = f"x * {finer}" if finer > 1 else f"x // {coarser}" if coarser > 1 else "x"
        return Plain("False", f"type(x) is int and {least} <= x <= {most}", made)

    def _ratio(self, nanos: int) -> tuple[int, int]:
        """How many datums make so many nanoseconds, and how many of these make a datum; one of the
        two is 1."""
        return max(nanos // self._nanos, 1), max(self._nanos // nanos, 1)

    def _checked(self, make: Callable[[Any], int]) -> Check:
        """The check of values that are no text."""

        def check(value: Any, path: str, errors: list[FieldError]) -> Any:
            try:
                datum = self._within(make(value))
            except Unreadable as error:
                errors.append(FieldError(path, error.found, error.allowed))
            except (ValueError, TypeError, ArithmeticError):
                errors.append(FieldError(path, describe_kind(value), self._allowed))
            else:
                self._doubt(value, path)
                return datum
            return None

        return check

    def _within(self, datum: int) -> int:
        if self._low <= datum <= self._high:
            return datum
        raise Unreadable(f"a time outside of the range of {self._family}", self._allowed)

    def _formatted(self, value: Any) -> int:
        """The datum of a value in a format that has a date, or counts from one."""
        written = self._read(value)
        if self._family == "timestamp":
            return instant(written, self._zone) // self._nanos
        since = written.shown % _DAY_NANOS if self._family == "time" else written.shown
        return since // self._nanos

    def _usual(self) -> Callable[[str], int]:
        """What reads any usual text."""
        if self._family == "date":
            return read_day
        if self._family == "time":
            return lambda text: read_clock(text) // self._nanos
        return self._zoned if self._family == "timestamp" else self._local

    def _column(self) -> ReadColumn:
        """What reads many values at once."""
        if self._form in EPOCHS:
            read = self._counts()
        else:
            read = self._json_dates() if self._form == JSON_DATE else self._texts()
        low, high = self._low, self._high

        def column(values: Sequence[Any]) -> Sequence[int | None] | None:
            datums = read(values)
            if datums is None or (None not in datums and low <= min(datums) <= max(datums) <= high):
                return datums
            return [each if each is not None and low <= each <= high else None for each in datums]

        return column

    def _texts(self) -> ReadColumn:
        """What reads text."""
        digits = FRACTION_DIGITS.get(self._unit, 0)
        times = time_column(self._form, self._family, digits, self._zone)
        if digits:
            return times

        def days(texts: Sequence[Any]) -> Sequence[int | None] | None:
            seconds = times(texts)
            return None if seconds is None else _each(seconds, floordiv, _DAY_S)

        return days

    def _counts(self) -> ReadColumn:
        """What reads numbers since 1970, in text and as floats."""
        nanos = NANOS // EPOCHS[self._form]
        wholes = NumberColumn(Numbers(group=""), int, *RANGES["long"])
        scale = max(nanos // _MICRO_NANOS, 1)

        def text(texts: Sequence[Any]) -> Sequence[int | None] | None:
            found = fixed_point(texts, wholes)
            if found is None or max(map(len, texts)) > _MOST_DIGITS or nanos % 10 ** found[1]:
                return None
            return self._converted(found[0], nanos // 10 ** found[1])

        def read(values: Sequence[Any]) -> Sequence[int | None] | None:
            if set(map(type, values)) == {str}:
                return text(values)
            counts = exact_floats(values, scale)
            return None if counts is None else self._converted(counts, nanos // scale)

        return read

    def _json_dates(self) -> ReadColumn:
        """What reads JSON dates without an offset."""
        wholes = NumberColumn(Numbers(group=""), int, *RANGES["long"])

        def read(texts: Sequence[Any]) -> Sequence[int | None] | None:
            if self._family == "time" or (inner := inside(texts, *JSON_DATE_ENDS)) is None:
                return None
            counts = wholes(inner)
            return None if counts is None else self._converted(counts, _MILLI_NANOS)

        return read

    def _converted(self, counts: Sequence[int | None], nanos: int) -> Sequence[int | None]:
        """The datums of counts of so many nanoseconds."""
        finer, coarser = self._ratio(nanos)
        if finer > 1:
            return _each(counts, mul, finer)
        return _each(counts, floordiv, coarser) if coarser > 1 else counts

    def _zoned(self, text: str) -> int:
        try:
            return instant(read_text(text), self._zone) // self._nanos
        except NoZone:
            allowed = "a zone in the text, like Z or +01:00; decode.time_zone says it for all"
            raise Unreadable("text of a time without a zone", allowed) from None

    def _local(self, text: str) -> int:
        written = read_text(text)
        if written.offset is not None:
            raise Unreadable("text of a time with a zone", self._allowed)
        return written.shown // self._nanos


def _field_of(path: str) -> str:
    """The field of a value, as `decode.times` names it."""
    return re.sub(r"\[\d+\]", "", path).removeprefix("$.")


def _span(logical: str) -> str:
    if logical.startswith("time-"):
        return ""
    if logical.endswith("nanos"):
        return ", from 1677-09-21 to 2262-04-11"
    return ", in the years 1 to 9999"


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("no whole number")
    return value


def _each(
    numbers: Sequence[int | None], operation: Callable[[int, int], int], by: int
) -> list[int | None]:
    """The numbers, each with the same operation done to it."""
    if None in numbers:
        return [None if each is None else operation(each, by) for each in numbers]
    return list(map(operation, numbers, repeat(by)))  # type: ignore[arg-type]
