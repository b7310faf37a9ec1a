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
from worker.schema.spellings import Numbers, Place, Spellings
from worker.schema.text_checks import Plain, TextCheck, Unreadable
from worker.schema.values import Check

NUMBERS_HINT: Final = "; decode.coerce: [numbers] reads numbers in text"
BOOLEANS_HINT: Final = "; decode.coerce: [booleans] reads flags in text and numbers"
_TEXTS: Final = ("string", "bytes", "fixed")
COERCED: Final = ("int", "long", "float", "double", "boolean")
_SPACES: Final = " \u00a0\u202f"
"""A space that separates groups may be one that no line is broken at."""
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
    group = f"[{_SPACES}]" if numbers.group == " " else re.escape(numbers.group)
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


def _number_texts(
    numbers: Numbers | None, number: Callable[[str], Any], low: float, high: float
) -> Callable[[Collection[str]], list[Any] | None]:
    """What reads many numbers at once, in the usual form and in range; None for others."""
    if numbers is None:
        return lambda texts: None
    signs = _SPACES if numbers.group == " " else numbers.group
    group, decimal = f"[{re.escape(signs)}]" if signs else "(?!)", re.escape(numbers.decimal)
    one = rf"-?(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)(?:{decimal}\d+)?"
    lines = re.compile(rf"(?:{one}\n)*{one}", re.ASCII)
    as_python = str.maketrans({**dict.fromkeys(signs), numbers.decimal: "."})

    def read(texts: Collection[str]) -> list[Any] | None:
        block = "\n".join(texts)
        if lines.fullmatch(block) is None:
            return None
        try:
            found = [number(text) for text in block.translate(as_python).split("\n")]
        except ValueError:  # a fraction of a whole number, or too many digits
            return None
        fits = len(found) == len(texts) and low <= min(found) and max(found) <= high
        return found if fits else None

    return read


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
    read_all = _number_texts(spellings.numbers, int, low, high)
    return TextCheck(strict, plain, *_reader(spellings.numbers, number, allowed, ""), read_all)


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
    read_all = _number_texts(spellings.numbers, float, -limit, limit)
    return TextCheck(strict, plain, *_reader(spellings.numbers, number, allowed, "5"), read_all)


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
