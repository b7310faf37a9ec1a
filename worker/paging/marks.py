"""Incremental values: from what a source sends to something comparable, and back to what it wants
to be asked.

Instants compare as instants, not as text: their comparable form is microseconds since 1970 (int),
which covers the years 1 to 9999 in 64 bits; values outside of it are none. Finer digits go into the
record's identity instead (`residue`), so that two versions of a record within one microsecond are
not taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from worker.core.errors import ConfigError
from worker.core.instants import EPOCH, LEAST, MICROS, MICROSECOND, MOST, rfc3339_text

_WHOLE: Final = range(-(2**63), 2**63)  # what the commit log can keep
_INSTANTS: Final = range(LEAST, MOST + 1)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:?\d\d)"
)

_USUAL: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
).fullmatch

Comparable = int | str


def _instant(value: Any) -> tuple[int, int]:
    """RFC 3339 with zone -> (microseconds, nanosecond residue 0..999)."""
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise ValueError("not RFC 3339 with a zone")
    date, time, fraction, zone = match.groups()
    moment = datetime.fromisoformat(f"{date}T{time}{'+00:00' if zone in 'Zz' else zone}")
    nanos = int((fraction or "").ljust(9, "0") or 0)
    return (moment - EPOCH) // MICROSECOND + nanos // 1000, nanos % 1000


def _number(scale: int) -> Callable[[Any], tuple[int, int]]:
    def parse(value: Any) -> tuple[int, int]:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError("not a number")
        return int(value * scale) if isinstance(value, float) else int(value) * scale, 0

    return parse


def _instants(values: Sequence[Any]) -> list[int] | None:
    """The instants of RFC 3339 texts with at most six digits of a second."""
    try:
        different = set(values)
        if not all(map(_USUAL, different)):
            return None
        read = {
            text: (moment - EPOCH) // MICROSECOND
            for text, moment in zip(
                different, msgspec.convert(list(different), list[datetime]), strict=True
            )
        }
        if read and not (min(read.values()) in _INSTANTS and max(read.values()) in _INSTANTS):
            return None
        return list(map(read.__getitem__, values))
    except (TypeError, msgspec.ValidationError):
        return None


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


def _pattern(pattern: str, zone: ZoneInfo) -> Callable[[Any], tuple[int, int]]:
    def parse(value: Any) -> tuple[int, int]:
        moment = datetime.strptime(value, pattern)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return (moment - EPOCH) // MICROSECOND, 0

    return parse


_SCALES: Final = {"epoch_s": MICROS, "epoch_ms": 1000, "epoch_us": 1}


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

    Either is `rfc3339 | epoch_s | epoch_ms | epoch_us | int | string` or a strptime pattern, read
    in `zone`.
    """

    record: str = "rfc3339"
    param: str = ""
    zone: str = "UTC"

    @property
    def is_instant(self) -> bool:
        return self.record not in ("int", "string")

    def parser(self) -> Callable[[Any], tuple[Comparable, int]]:
        """value -> (comparable, residue); raises ValueError or TypeError for other values."""
        if self.record == "rfc3339":
            return _within(_INSTANTS, _instant)
        if self.record in _SCALES:
            return _within(_INSTANTS, _number(_SCALES[self.record]))
        if self.record == "int":
            return _within(_WHOLE, _number(1))
        if self.record == "string":
            return _string
        if "%" not in self.record:
            raise ConfigError(
                f"incremental.format {self.record!r} is neither a known format "
                "nor a strptime pattern"
            )
        return _within(_INSTANTS, _pattern(self.record, ZoneInfo(self.zone)))

    def column(self) -> Callable[[Sequence[Any]], list[int] | None] | None:
        """A reader of all values of a page at once, several times as quick as `parser`.

        It says the same, or None where it cannot say anything of the whole page: a value is not in
        the usual form, or has digits finer than the comparable form. The column itself is None for
        formats without a quick way.
        """
        if self.record == "rfc3339":
            return _instants
        if self.record in _SCALES:
            return _whole_numbers(_SCALES[self.record], _INSTANTS)
        return _whole_numbers(1, _WHOLE) if self.record == "int" else None

    def text(self, mark: Comparable) -> str:
        """The mark as the source wants it; finer digits than the format has are dropped (round
        down). Nothing is asked for from before the year 1.
        """
        style = self.param or self.record
        if isinstance(mark, str) or style in ("int", "string"):
            return str(mark)
        if style == "rfc3339":
            return rfc3339_text(max(mark, LEAST))
        if style in _SCALES:
            return str(mark // _SCALES[style])
        return _local(max(mark, LEAST), ZoneInfo(self.zone)).strftime(style)

    def bound(self, text: Any) -> Comparable | None:
        """What `text` says, read back; None when it cannot be read.

        It is below the mark by what rounding took off.
        """
        try:
            return MarkFormat(self.param or self.record, zone=self.zone).parser()(text)[0]
        except (ValueError, TypeError, OverflowError):
            return None
