"""Incremental values: from what a source sends to something comparable, and back to what it wants
to be asked.

Instants compare as instants, not as text: their comparable form is microseconds since 1970 (int),
which covers the years 1 to 9999 in 64 bits; values outside of it are none. Finer digits go into the
record's identity instead (`residue`), so that two versions of a record within one microsecond are
not taken for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import repeat
from operator import floordiv, mul
from typing import Any, Final
from zoneinfo import ZoneInfo

from worker.core.errors import ConfigError
from worker.core.instants import EPOCH, LEAST, MICROS, MOST, rfc3339_text
from worker.core.written_times import (
    EPOCHS,
    JSON_DATE,
    USUAL,
    Read,
    instant,
    time_column,
    time_reader,
)

_WHOLE: Final = range(-(2**63), 2**63)  # what the commit log can keep
_INSTANTS: Final = range(LEAST, MOST + 1)
Comparable = int | str


def _instant(read: Read, zone: ZoneInfo | None) -> Callable[[Any], tuple[int, int]]:
    """value -> (microseconds, nanosecond residue 0..999)."""

    def parse(value: Any) -> tuple[int, int]:
        return divmod(instant(read(value), zone), 1000)

    return parse


def _integer(value: Any) -> tuple[int, int]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("not a number")
    return int(value), 0


def _instants(form: str, zone: ZoneInfo | None) -> Callable[[Sequence[Any]], list[int] | None]:
    """What reads instants in text that have at most six digits of a second."""
    read = time_column(form, "timestamp", 9, zone)

    def column(values: Sequence[Any]) -> list[int] | None:
        try:
            different = list(set(values))
        except TypeError:
            return None
        nanos = read(different)
        if not nanos or None in nanos:
            return None
        instants = list(map(floordiv, nanos, repeat(1_000)))
        if list(map(mul, instants, repeat(1_000))) != nanos:
            return None
        if not _INSTANTS[0] <= min(instants) <= max(instants) <= _INSTANTS[-1]:
            return None
        return list(map(dict(zip(different, instants, strict=True)).__getitem__, values))

    return column


def _whole_numbers(scale: int, allowed: range) -> Callable[[Sequence[Any]], list[int] | None]:
    def column(values: Sequence[Any]) -> list[int] | None:
        if set(map(type, values)) != {int}:
            return None
        found = list(values) if scale == 1 else [value * scale for value in values]
        return found if min(found) in allowed and max(found) in allowed else None

    return column


def _within(
    allowed: range, parse: Callable[[Any], tuple[int, int]]
) -> Callable[[Any], tuple[int, int]]:
    def bounded(value: Any) -> tuple[int, int]:
        found = parse(value)
        if found[0] not in allowed:
            raise ValueError("out of range")
        return found

    return bounded


def _string(value: Any) -> tuple[str, int]:
    if not isinstance(value, str):
        raise ValueError("not a string")
    return value, 0


def _local(micros: int, zone: ZoneInfo) -> datetime:
    """The time in a zone, where it has one: in the first and the last hours of the calendar some
    have none, and then an earlier one is taken.
    """
    moment = EPOCH + timedelta(microseconds=micros)
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return datetime.min if micros < 0 else datetime.max - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class MarkFormat:
    """How incremental values are written by the source (`record`) and asked for (`param`).

    Either is `rfc3339 | epoch_s | epoch_ms | epoch_us | epoch_ns | json_date | int | string` or a
    strptime pattern, read in `zone`. What is read as `rfc3339` may be any usual text of an instant;
    see core/written_times.py.

    Attributes:
        assumed: `zone` is also that of such a text that says none; otherwise it is no instant.
    """

    record: str = USUAL
    param: str = ""
    zone: str = "UTC"
    assumed: bool = False

    @property
    def is_instant(self) -> bool:
        return self.record not in ("int", "string")

    @property
    def of_records(self) -> MarkFormat:
        """The format of values as records have them."""
        return replace(self, param="")

    @property
    def usual(self) -> MarkFormat:
        """The format of usual texts in the same zone."""
        return replace(self.of_records, record=USUAL)

    def parser(self) -> Callable[[Any], tuple[Comparable, int]]:
        """value -> (comparable, residue); raises ValueError or TypeError for other values."""
        if self.record == "int":
            return _within(_WHOLE, _integer)
        if self.record == "string":
            return _string
        try:
            read = time_reader(self.record)
        except ValueError as error:
            raise ConfigError(f"incremental.format: {error}") from error
        return _within(_INSTANTS, _instant(read, self._zone))

    @property
    def _zone(self) -> ZoneInfo | None:
        """The zone of values that do not say one."""
        return ZoneInfo(self.zone) if self.assumed or self.record != USUAL else None

    def column(self) -> Callable[[Sequence[Any]], list[int] | None] | None:
        """A reader of all values of a page at once, several times as quick as `parser`.

        It says the same, or None where it cannot say anything of the whole page: a value is not in
        the usual form, or has digits finer than the comparable form. The column itself is None for
        formats without a quick way.
        """
        if self.record == USUAL:
            return _instants(USUAL, self._zone)
        if self.record in EPOCHS and EPOCHS[self.record] <= MICROS:
            return _whole_numbers(MICROS // EPOCHS[self.record], _INSTANTS)
        return _whole_numbers(1, _WHOLE) if self.record == "int" else None

    def text(self, mark: Comparable) -> str:
        """The mark as the source wants it; finer digits than the format has are dropped (round
        down). Nothing is asked for from before the year 1.
        """
        style = self.param or self.record
        if isinstance(mark, str) or style in ("int", "string"):
            return str(mark)
        if style == USUAL:
            return rfc3339_text(max(mark, LEAST))
        if style in EPOCHS:
            return str(mark * EPOCHS[style] // MICROS)
        if style == JSON_DATE:
            return f"/Date({mark // 1000})/"
        return _local(max(mark, LEAST), ZoneInfo(self.zone)).strftime(style)

    def first(self, initial: Any) -> Any:
        """The bound of the first pass as requests have it: of a time that is written as records
        have it, or as usual text. What is no such time is sent as it is.
        """
        if self.bound(initial) is not None:
            return initial
        for form in (self.of_records, self.usual):
            if isinstance(found := form.bound(initial), int):
                text = self.text(found)
                return int(text) if (self.param or self.record) in EPOCHS else text
        return initial

    def bound(self, text: Any) -> Comparable | None:
        """What `text` says, read back; None when it cannot be read.

        It is below the mark by what rounding took off.
        """
        try:
            return replace(self.of_records, record=self.param or self.record).parser()(text)[0]
        except (ValueError, TypeError, OverflowError):
            return None
