"""The checks of numbers and flags that a source writes as text (`decode.coerce`), or whose absence
it writes as text (`decode.null_values`).

A text is a number only if it is one in the configured form, and fits the type as the JSON number
would: `1,5` is none where the comma separates thousands, and `5.0` is no whole number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from worker.core.json_kinds import describe_kind
from worker.core.model import FieldError
from worker.schema.defaults import DOUBLE_MAX, FLOAT_MAX, RANGES
from worker.schema.logical import read_decimal
from worker.schema.model import Type
from worker.schema.number_columns import SPACES, NumberColumn
from worker.schema.spellings import Numbers, Place, Spellings
from worker.schema.text_checks import Plain, ReadColumn, TextCheck, Unreadable
from worker.schema.values import Check

NUMBERS_HINT: Final = "; decode.coerce: [numbers] reads numbers in text"
BOOLEANS_HINT: Final = "; decode.coerce: [booleans] reads flags in text and numbers"
_TEXTS: Final = ("string", "bytes", "fixed")
COERCED: Final = ("int", "long", "float", "double", "boolean")
_LIMITS: Final = {"float": FLOAT_MAX, "double": DOUBLE_MAX}


def is_coerced(kind: Type, spellings: Spellings) -> bool:
    """Whether other JSON values than those of the type stand for values of a primitive type."""
    if kind.logical is not None or kind.kind not in COERCED:
        return False
    return bool(spellings.booleans) if kind.kind == "boolean" else spellings.numbers is not None


def has_text(branches: Collection[Type]) -> bool:
    """Whether any text is a value of one of these types, which are no references."""
    return any(each.kind in _TEXTS and each.logical is None for each in branches)


def uncoerced(spellings: Spellings) -> Spellings:
    """The same where text is no number and no flag."""
    return replace(spellings, numbers=None, booleans={})


def null_texts(branches: Collection[Type], spellings: Spellings, place: Place) -> frozenset[str]:
    """The texts that mean null in a union of these types, which are no references."""
    if all(each.kind != "null" for each in branches):
        return frozenset()
    if has_text(branches):
        return place.nulls
    symbols = {symbol for each in branches for symbol in each.symbols}
    return place.nulls | (spellings.nulls - symbols)


def coerced_check(kind: Type, spellings: Spellings, strict: Check) -> TextCheck:
    """The check of a primitive number or a boolean that may be text.

    Args:
        strict: the check of JSON values that are no text.
    """
    if kind.kind == "boolean":
        return _boolean(spellings, strict)
    return (
        _whole(kind, spellings, strict) if kind.kind in RANGES else _float(kind, spellings, strict)
    )


def number_text(numbers: Numbers) -> Callable[[str], str]:
    """What turns a number written in a form into the text that JSON and Python have for it.

    It raises ValueError for other text.
    """
    group = f"[{SPACES}]" if numbers.group == " " else re.escape(numbers.group)
    grouped = rf"\d{{1,3}}(?:{group}\d{{3}})+|" if numbers.group else ""
    decimal = re.escape(numbers.decimal)
    form = re.compile(
        rf" *([+-]?)({grouped}\d+)?(?:{decimal}(\d*))?([eE][+-]?\d{{1,4}})? *", re.ASCII
    )

    def read(text: str) -> str:
        match = form.fullmatch(text)
        if match is None or not (match[2] or match[3]):
            raise ValueError("no number")
        whole = re.sub(r"\D", "", match[2] or "0")
        fraction = "" if match[3] is None else f".{match[3] or 0}"
        return f"{match[1]}{whole}{fraction}{match[4] or ''}"

    return read


def _number_column(
    numbers: Numbers | None, number: type[int] | type[float], low: float, high: float
) -> ReadColumn:
    """What reads many numbers at once."""
    if numbers is None or not (numbers.group + numbers.decimal).isascii():
        return lambda values: None
    return NumberColumn(numbers, number, low, high)


def decimal_text(numbers: Numbers) -> Callable[[str], Decimal]:
    """What reads a decimal that is written in a form. It raises ValueError or ArithmeticError."""
    read = number_text(numbers)
    return lambda text: read_decimal(read(text))


def _whole(kind: Type, spellings: Spellings, strict: Check) -> TextCheck:
    low, high = RANGES[kind.kind]
    allowed = f"a whole number from {low} to {high}"

    def number(text: str) -> int:
        found = int(text)
        if not low <= found <= high:
            raise Unreadable("text of a number out of range", allowed)
        return found

    plain = Plain(f"type(x) is int and {low} <= x <= {high}")
    column = _number_column(spellings.numbers, int, low, high)
    return TextCheck(strict, plain, *_reader(spellings.numbers, number, allowed, ""), column)


def _float(kind: Type, spellings: Spellings, strict: Check) -> TextCheck:
    limit = _LIMITS[kind.kind]
    allowed = f"a number in the range of {kind.kind}"

    def number(text: str) -> float:
        found = float(text)
        if not -limit <= found <= limit:
            raise Unreadable("text of a number out of range", allowed)
        return found

    fits = f"{-limit!r} <= x <= {limit!r}"
    plain = Plain(f"type(x) is float and {fits}", f"type(x) is int and {fits}", "float(x)")
    column = _number_column(spellings.numbers, float, -limit, limit)
    return TextCheck(strict, plain, *_reader(spellings.numbers, number, allowed, "5"), column)


def _reader(
    numbers: Numbers | None, number: Callable[[str], Any], allowed: str, digit: str
) -> tuple[Callable[[str], Any], str]:
    """What reads a number in text, and what is allowed."""
    if numbers is None:
        return _no_text, allowed + NUMBERS_HINT
    form = number_text(numbers)
    example = f"1{numbers.group}234" + (f"{numbers.decimal}{digit}" if digit else "")
    return lambda text: number(form(text)), f"{allowed}, or text like {example} (decode.coerce)"


def _boolean(spellings: Spellings, strict: Check) -> TextCheck:
    words = spellings.booleans
    plain = Plain("x is True or x is False")
    if not words:
        return TextCheck(strict, plain, _no_text, f"boolean{BOOLEANS_HINT}")
    allowed = f"true, false, or one of {', '.join(map(str, words))} (decode.coerce)"

    def other(value: Any, path: str, errors: list[FieldError]) -> Any:
        if isinstance(value, bool):
            return value
        if type(value) is int and value in words:
            return words[value]
        errors.append(FieldError(path, describe_kind(value), allowed))
        return None

    def read(text: str) -> bool:
        found = words.get(text.strip().lower())
        if found is None:
            raise ValueError("none of the words")
        return found

    if {words.get(0), words.get(1)} == {True, False}:
        plain = plain._replace(makes="type(x) is int and 0 <= x <= 1", made=f"x == {+words[1]}")
    return TextCheck(other, plain, read, allowed)


def _no_text(text: str) -> Any:
    raise ValueError("text is not allowed")
