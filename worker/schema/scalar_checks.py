"""The checks of types without inner types: primitives, enums, fixed, and logical types. Those of
times are in time_checks.py, those of numbers and flags in text in coerced_checks.py."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from operator import methodcaller
from typing import Any, Final

from worker.core.json_kinds import describe_kind
from worker.core.model import MISSING, FieldError
from worker.schema.coerced_checks import (
    BOOLEANS_HINT,
    COERCED,
    NUMBERS_HINT,
    coerced_check,
    decimal_text,
    is_coerced,
)
from worker.schema.defaults import DOUBLE_MAX, FLOAT_MAX, RANGES
from worker.schema.doubts import Doubts
from worker.schema.logical import (
    TIME_RANGES,
    describe_decimal,
    fits,
    from_raw,
    read_decimal,
    read_duration,
    read_uuid,
)
from worker.schema.model import Policy, Type
from worker.schema.number_columns import DecimalColumn
from worker.schema.spellings import Numbers, Place, Spellings
from worker.schema.text_checks import Plain, TextCheck
from worker.schema.time_checks import time_check
from worker.schema.values import Check, ExactFloat

_NUMBERS: Final = frozenset({int, float})
_AS_IN_JSON: Final = Numbers(group="")


def scalar_check(kind: Type, policy: Policy, place: Place, doubts: Doubts) -> Check:
    """The check of a type that has no inner types."""
    spellings = policy.spellings
    if kind.logical is None:
        strict = _PRIMITIVE[kind.kind](kind, policy)
        may_be_text = is_coerced(kind, spellings) or spellings.nulls or place.nulls
        if kind.kind in COERCED and may_be_text:
            return coerced_check(kind, spellings, strict)
        return strict
    if policy.tagged and kind.kind in ("bytes", "fixed"):
        return _encoded(kind)
    if kind.logical in TIME_RANGES:
        return time_check(kind, spellings, place, None if policy.tagged else doubts)
    return _LOGICAL[kind.logical](kind, spellings)


def refuse(value: Any, path: str, errors: list[FieldError], allowed: str) -> None:
    """Appends the error of a value that is not allowed."""
    found = "nothing" if value is MISSING else describe_kind(value)
    errors.append(FieldError(path, found, allowed))


# -- primitives, enums and fixed ----------------------------------------------------------------


def _no_hint(value: Any) -> str:
    return ""


def _hint(value: Any) -> str:
    """How the number would be read that a text may stand for."""
    return NUMBERS_HINT if isinstance(value, str) else ""


def _flag_hint(value: Any) -> str:
    return BOOLEANS_HINT if isinstance(value, str | int) else ""


def _only(
    fits: Callable[[Any], bool], allowed: str, hint: Callable[[Any], str] = _no_hint
) -> Check:
    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        return value if fits(value) else refuse(value, path, errors, allowed + hint(value))

    return check


def _null(kind: Type, policy: Policy) -> Check:
    return _only(lambda value: value is None, "null")


def _boolean(kind: Type, policy: Policy) -> Check:
    return _only(lambda value: isinstance(value, bool), "boolean", _flag_hint)


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
        return refuse(value, path, errors, f"a whole number from {low} to {high}{_hint(value)}")

    return check


def _floating(limit: float, kind: str) -> Check:
    def check(value: Any, path: str, errors: list[FieldError]) -> Any:
        if type(value) in (int, float, ExactFloat) and -limit <= value <= limit:
            return float(value)
        return refuse(value, path, errors, f"a number in the range of {kind}{_hint(value)}")

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


def _decimal(kind: Type, spellings: Spellings) -> TextCheck:
    allowed = describe_decimal(kind)
    numbers = spellings.numbers
    read = _fitting(kind, read_decimal if numbers is None else decimal_text(numbers))
    of_text = DecimalColumn(numbers or _AS_IN_JSON, read)
    of_numbers = DecimalColumn(_AS_IN_JSON, _fitting(kind, read_decimal))

    def other(value: Any, path: str, errors: list[FieldError]) -> Any:
        number = _number(value)
        if number is not None and fits(kind, number):
            return number
        return refuse(value, path, errors, allowed)

    def column(values: Sequence[Any]) -> Sequence[Any] | None:
        if not set(map(type, values)) <= _NUMBERS:
            return of_text(values)
        try:
            return of_numbers(list(map(repr, values)))
        except ValueError:  # an integer of thousands of digits
            return None

    return TextCheck(other, Plain("False"), read, allowed, column, _NUMBERS | {str})


def _fitting(kind: Type, read: Callable[[str], Decimal]) -> Callable[[str], Decimal]:
    """What reads a text that is a value of the type. It raises ValueError or ArithmeticError."""

    def fitting(text: str) -> Decimal:
        number = read(text)
        if not fits(kind, number):
            raise ValueError("no value of the type")
        return number

    return fitting


def _number(value: Any) -> Decimal | None:
    """The finite number that a JSON number stands for; None for any other value."""
    try:
        if isinstance(value, ExactFloat):
            shown, written = Decimal(repr(float(value))), read_decimal(value.text)
            return shown if shown == written else written
        if type(value) not in _NUMBERS:
            return None
        number = Decimal(repr(value))
    except (ArithmeticError, ValueError):
        return None
    return number if number.is_finite() else None


_LOGICAL: Final[dict[str, Callable[[Type, Spellings], Check]]] = {
    "uuid": lambda kind, spellings: _uuid,
    "duration": lambda kind, spellings: _duration,
    "decimal": _decimal,
    "big-decimal": _decimal,
}
