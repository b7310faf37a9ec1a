"""The checks of types without inner types: primitives, enums, fixed, and logical types."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from operator import attrgetter, methodcaller
from typing import Any, Final

from worker.core.model import MISSING, FieldError
from worker.schema.codegen import compile_lookup
from worker.schema.defaults import DOUBLE_MAX, FLOAT_MAX, RANGES
from worker.schema.logical import (
    EPOCH_DAY,
    EXACT,
    describe_decimal,
    fits,
    from_raw,
    read_decimal,
    read_duration,
    read_uuid,
)
from worker.schema.model import Policy, Type
from worker.schema.values import INEXACT, Check, ExactFloat, QuickCheck, describe_kind

FLOAT_DIGITS: Final = 15
"""A float that shows more digits than this may have been rounded from a text with others."""
CACHED_TIMES: Final = 10_000


def scalar_check(kind: Type, policy: Policy) -> Check:
    """The check of a type that has no inner types."""
    if kind.logical is None:
        return _PRIMITIVE[kind.kind](kind, policy)
    if policy.tagged and kind.kind in ("bytes", "fixed"):
        return _encoded(kind)
    return _LOGICAL[kind.logical](kind)


def refuse(value: Any, path: str, errors: list[FieldError], allowed: str) -> None:
    """Appends the error of a value that is not allowed."""
    found = "nothing" if value is MISSING else describe_kind(value)
    errors.append(FieldError(path, found, allowed))


# -- primitives, enums and fixed ----------------------------------------------------------------


def _only(fits: Callable[[Any], bool], allowed: str) -> Check:
    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        return value if fits(value) else refuse(value, path, errors, allowed)

    return check


def _null(kind: Type, policy: Policy) -> Check:
    return _only(lambda value: value is None, "null")


def _boolean(kind: Type, policy: Policy) -> Check:
    return _only(lambda value: isinstance(value, bool), "boolean")


def _string(kind: Type, policy: Policy) -> Check:
    return _only(lambda value: isinstance(value, str), "text")


def _enum(kind: Type, policy: Policy) -> Check:
    symbols = frozenset(kind.symbols)
    allowed = f"one of {', '.join(kind.symbols)}"
    return _only(lambda value: isinstance(value, str) and value in symbols, allowed)


def _integer(kind: str) -> Check:
    low, high = RANGES[kind]

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if type(value) is int and low <= value <= high:
            return value
        return refuse(value, path, errors, f"a whole number from {low} to {high}")

    return check


def _floating(limit: float, kind: str) -> Check:
    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if type(value) in (int, float, ExactFloat) and -limit <= value <= limit:
            return float(value)
        return refuse(value, path, errors, f"a number in the range of {kind}")

    return check


_BYTES_AS: Final[dict[str, tuple[Callable[[str], bytes], str]]] = {
    "latin1": (methodcaller("encode", "latin-1"), "text of code points below 256"),
    "base64": (partial(base64.b64decode, validate=True), "base64 text"),
}


def _binary(kind: Type, bytes_as: str) -> Check:
    read, allowed = _BYTES_AS[bytes_as]
    size = kind.size if kind.kind == "fixed" else None
    if size is not None:
        allowed += f" for {size} bytes"

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        try:
            data = read(value)
        except (AttributeError, TypeError, ValueError):
            return refuse(value, path, errors, allowed)
        return data if size in (None, len(data)) else refuse(value, path, errors, allowed)

    return check


_PRIMITIVE: Final[dict[str, Callable[[Type, Policy], Check]]] = {
    "null": _null,
    "boolean": _boolean,
    "int": lambda kind, policy: _integer("int"),
    "long": lambda kind, policy: _integer("long"),
    "float": lambda kind, policy: _floating(FLOAT_MAX, "float"),
    "double": lambda kind, policy: _floating(DOUBLE_MAX, "double"),
    "string": _string,
    "bytes": lambda kind, policy: _binary(kind, policy.bytes_as),
    "fixed": lambda kind, policy: _binary(kind, policy.bytes_as),
    "enum": _enum,
}


# -- logical types in Avro's own JSON encoding --------------------------------------------------


def _encoded(kind: Type) -> Check:
    """A logical type as Avro's JSON encoding has it: the bytes that stand for it, as text."""
    binary = _binary(replace(kind, logical=None), "latin1")

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        before = len(errors)
        raw = binary(value, path, errors)
        if len(errors) > before:
            return None
        try:
            return from_raw(kind, raw)
        except ValueError:
            allowed = f"the bytes of a {kind.logical} as text of code points below 256"
            return refuse(value, path, errors, allowed)

    return check


# -- times --------------------------------------------------------------------------------------


class TimeCheck(QuickCheck):
    """The check of a time: a number is the datum itself. Texts are read once and remembered
    (`known`), because the same times repeat on a page."""

    def __init__(
        self,
        number: Check,
        read: Callable[[str], int],
        allowed: str,
        known: dict[str, int] | None = None,
        *,
        nullable: bool = False,
    ) -> None:
        self._number, self._read, self._allowed, self._nullable = number, read, allowed, nullable
        self.known: dict[str, int] = {} if known is None else known

    def or_null(self) -> TimeCheck:
        """The same check where null is allowed; it shares what is remembered."""
        return TimeCheck(self._number, self._read, self._allowed, self.known, nullable=True)

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """See `QuickCheck`: each text of a page is read once, and null is its own datum."""
        lookup, read = compile_lookup(attribute), attrgetter(attribute)
        rest = lookup(records, self.known.get)
        if not rest:
            return rest
        others = [records[index] for index in rest]
        for text in {value for value in map(read, others) if isinstance(value, str)}:
            with suppress(ValueError, OverflowError):  # the check itself says what is wrong
                self._learn(text)
        left = lookup(others, self.known.get)
        if self._nullable:
            left = [place for place in left if read(others[place]) is not None]
        return [rest[place] for place in left]

    def _learn(self, text: str) -> int:
        """The datum of a text that is not known yet; raises ValueError or OverflowError."""
        datum = self._read(text)
        if len(self.known) >= CACHED_TIMES:
            self.known.clear()
        self.known[text] = datum
        return datum

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any:
        if value is None and self._nullable:
            return None
        if not isinstance(value, str):
            return self._number(value, path, errors)
        if (datum := self.known.get(value)) is not None:
            return datum
        try:
            return self._learn(value)
        except (ValueError, OverflowError):
            return refuse(value, path, errors, self._allowed)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:[0-5]\d)?", re.ASCII
)
_TIME: Final = re.compile(r"(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _ticks(seconds: int, fraction: str | None, per_second: int) -> int:
    """Seconds and the digits after the point, in units of which a second has `per_second`. Digits
    that are finer than the unit are cut."""
    nanos = int((fraction or "").ljust(9, "0"))
    return seconds * per_second + nanos * per_second // 1_000_000_000


def _instant(per_second: int, *, zoned: bool) -> Callable[[str], int]:
    def read(text: str) -> int:
        match = _RFC3339.fullmatch(text)
        if match is None or (match[4] is not None) != zoned:
            raise ValueError(text)
        zone = "+00:00" if match[4] is None or match[4] in "Zz" else match[4]
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}") - _EPOCH
        ticks = _ticks(moment.days * 86_400 + moment.seconds, match[3], per_second)
        if not -(2**63) <= ticks < 2**63:  # years outside 1677 to 2262 in nanoseconds
            raise OverflowError(text)
        return ticks

    return read


def _clock(per_second: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        match = _TIME.fullmatch(text)
        if match is None:
            raise ValueError(text)
        at = time.fromisoformat(match[1])
        return _ticks(at.hour * 3600 + at.minute * 60 + at.second, match[2], per_second)

    return read


def _day(text: str) -> int:
    if _DATE.fullmatch(text) is None:  # Python reads weeks, too
        raise ValueError(text)
    return date.fromisoformat(text).toordinal() - EPOCH_DAY


def _time(read: Callable[[str], int], allowed: str) -> Callable[[Type], Check]:
    return lambda kind: TimeCheck(_integer(kind.kind), read, allowed)


_ZONED: Final = "RFC 3339 text with a zone, or a whole number"
_LOCAL: Final = "ISO 8601 text without a zone, or a whole number"
_NANOS: Final = "from 1677-09-21 to 2262-04-11"
_TIMES: Final[dict[str, Callable[[Type], Check]]] = {
    "date": _time(_day, "an ISO date, or days since 1970"),
    "time-millis": _time(_clock(1_000), "an ISO time, or milliseconds"),
    "time-micros": _time(_clock(1_000_000), "an ISO time, or microseconds"),
    "timestamp-millis": _time(_instant(1_000, zoned=True), _ZONED),
    "timestamp-micros": _time(_instant(1_000_000, zoned=True), _ZONED),
    "timestamp-nanos": _time(_instant(1_000_000_000, zoned=True), f"{_ZONED}, {_NANOS}"),
    "local-timestamp-millis": _time(_instant(1_000, zoned=False), _LOCAL),
    "local-timestamp-micros": _time(_instant(1_000_000, zoned=False), _LOCAL),
    "local-timestamp-nanos": _time(_instant(1_000_000_000, zoned=False), f"{_LOCAL}, {_NANOS}"),
}


# -- uuids, durations and decimals --------------------------------------------------------------


def _uuid(value: Any, path: str, errors: list[FieldError]) -> Any:
    try:
        return read_uuid(value)
    except (TypeError, ValueError):
        return refuse(value, path, errors, "a uuid")


def _duration(value: Any, path: str, errors: list[FieldError]) -> Any:
    try:
        return read_duration(value)
    except (TypeError, ValueError):
        return refuse(value, path, errors, "an ISO 8601 duration, like P1M2DT3.004S")


def _decimal(kind: Type) -> Check:
    allowed = describe_decimal(kind)

    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        number = _number(value)
        if type(value) is float and number is not None and _may_be_rounded(number):
            errors.append(FieldError(path, INEXACT, allowed))
            return None
        if number is not None and fits(kind, number):
            return number
        return refuse(value, path, errors, allowed)

    return check


def _may_be_rounded(number: Decimal) -> bool:
    """Whether a float shows so many digits that its text may have had others."""
    return len(number.normalize(EXACT).as_tuple().digits) > FLOAT_DIGITS


def _number(value: Any) -> Decimal | None:
    """The finite number that a JSON number or text stands for; None for any other value."""
    try:
        if isinstance(value, str):
            return read_decimal(value)
        if isinstance(value, ExactFloat):
            number = Decimal(repr(float(value)))
            return read_decimal(value.text) if _may_be_rounded(number) else number
        if type(value) not in (int, float):
            return None
        number = Decimal(repr(value))
    except (ArithmeticError, ValueError):
        return None
    return number if number.is_finite() else None


_LOGICAL: Final[dict[str, Callable[[Type], Check]]] = {
    **_TIMES,
    "uuid": lambda kind: _uuid,
    "duration": lambda kind: _duration,
    "decimal": _decimal,
    "big-decimal": _decimal,
}
