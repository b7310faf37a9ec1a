"""Columns of numbers: many texts, or many floats, read at once.

A column is read as its values would be one by one, or not at all: the careful check decides about
whatever is unusual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import repeat
from operator import mul, truediv
from typing import Annotated, Any, Final

import msgspec

from worker.core.time_columns import AS_ZEROS
from worker.schema.spellings import Numbers

SPACES: Final = " \u00a0\u202f"
"""A space that separates groups may be one that no line is broken at."""
_KEPT: Final = b"-0123456789"
_EXACT: Final = 2**52
"""Up to it, floats are closer to each other than whole numbers are."""
_AS_NINES: Final = str.maketrans(dict.fromkeys("012345678", "9"))


class NumberColumn:
    """Reads columns of texts that are numbers without an exponent.

    Args:
        number: int or float.
        low, high: the least and the greatest number.
    """

    def __init__(
        self, numbers: Numbers, number: type[int] | type[float], low: float, high: float
    ) -> None:
        self._number, self._low, self._high = number, low, high
        limited = Annotated[number, msgspec.Meta(ge=low, le=high)]  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[limited])
        self._group = numbers.group
        self._form = _form(numbers)
        self._as_json = bytearray(b"?" * 256)  # which is no JSON outside of text
        for each in _KEPT:
            self._as_json[each] = each
        self._as_json[ord(numbers.decimal)], self._as_json[ord("\n")] = ord("."), ord(",")

    def __call__(self, texts: Sequence[Any]) -> list[Any] | None:
        """The numbers; None where one of the texts is none that is read here."""
        try:
            block = self._ungrouped("\n".join(texts))
            listed = block.encode("ascii").translate(self._as_json)
        except (TypeError, UnicodeEncodeError):
            return None
        found = self._as_in_json(listed)
        return found if found is not None and len(found) == len(texts) else None

    def _ungrouped(self, block: str) -> str:
        """The texts without the signs between groups, where these stand as they should."""
        block = _with_one_space(block, self._group)
        if not self._group or self._group not in block:
            return block
        usual = all(map(self._form.fullmatch, set(_shapes(block))))
        return block.replace(self._group, "") if usual else block

    def _as_in_json(self, listed: bytes) -> list[Any] | None:
        try:
            return self._decoder.decode(b"[%b]" % listed)
        except msgspec.DecodeError:
            return self._not_as_in_json(listed)

    def _not_as_in_json(self, listed: bytes) -> list[Any] | None:
        """Numbers that have zeros in front, or nothing at one side of the decimal sign."""
        try:
            found = list(map(self._number, listed.split(b",")))
        except ValueError:
            return None
        return found if self._low <= min(found) and max(found) <= self._high else None


class DecimalColumn:
    """Reads columns of texts that are decimals without an exponent.

    Texts are grouped by their shape, which is the text with a 9 for each digit. If that is read
    alone, each text of the shape is read alone too, because none has more digits that count.

    Args:
        read: what reads one text. It raises ValueError or ArithmeticError.
    """

    def __init__(self, numbers: Numbers, read: Callable[[str], Decimal]) -> None:
        self._numbers, self._read = numbers, read
        self._form = _form(numbers)

    def __call__(self, texts: Sequence[Any]) -> list[Decimal | None] | None:
        """The numbers, and None for each text that is not read here; None where a value is no
        text."""
        try:
            block = _with_one_space("\n".join(texts), self._numbers.group)
        except TypeError:
            return None
        shapes = _shapes(block)
        plain = self._as_python(block).split("\n")
        if not len(shapes) == len(plain) == len(texts):  # a text has several lines
            return None
        different = set(shapes)
        usual = set(filter(self._is_usual, different))
        if len(usual) == len(different):
            return list(map(Decimal, plain))
        return [
            Decimal(text) if shape in usual else None
            for text, shape in zip(plain, shapes, strict=True)
        ]

    def _is_usual(self, shape: str) -> bool:
        if self._form.fullmatch(shape) is None:
            return False
        try:
            self._read(shape)
        except (ValueError, ArithmeticError):
            return False
        return True

    def _as_python(self, block: str) -> str:
        """Lines of numbers with the signs that Python has."""
        if self._numbers.group:
            block = block.replace(self._numbers.group, "")
        return block.replace(self._numbers.decimal, ".")


def _with_one_space(block: str, group: str) -> str:
    """The texts with the same space between all groups, where these are separated by spaces."""
    if group == " ":
        for space in SPACES[1:]:
            block = block.replace(space, " ")
    return block


def _shapes(block: str) -> list[str]:
    """The lines, each with a 9 for each digit."""
    return block.translate(_AS_NINES).split("\n")


def _form(numbers: Numbers) -> re.Pattern[str]:
    """A number, maybe with groups of three digits."""
    group, decimal = re.escape(numbers.group), re.escape(numbers.decimal)
    one = rf"-?(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)(?:{decimal}\d+)?"
    return re.compile(one, re.ASCII)


def fixed_point(texts: Sequence[Any], read: NumberColumn) -> tuple[list[int], int] | None:
    """Texts that all have as many digits after a point -> the whole numbers without the point, and
    how many digits these are; None for other texts."""
    point = texts[0].find(".")
    if point < 0:
        return None if (wholes := read(texts)) is None else (wholes, 0)
    digits = len(texts[0]) - point - 1
    try:
        block = "\n".join([*texts, ""])
        zeros = block.encode("ascii").translate(AS_ZEROS)
    except (TypeError, UnicodeEncodeError):
        return None
    ends = zeros.count(b"0.%b\n" % (b"0" * digits))
    if not zeros.count(b".") == ends == len(texts):
        return None
    wholes = read(block.replace(".", "").split("\n")[:-1])
    return None if wholes is None or len(wholes) != len(texts) else (wholes, digits)


def inside(texts: Sequence[Any], start: str, end: str) -> list[str] | None:
    """Texts without the same start and the same end of each; None where one has others."""
    try:
        block = "\n".join(["", *texts, ""])
    except TypeError:
        return None
    for sign, whole in ((start, f"\n{start}"), (end, f"{end}\n")):
        if not block.count(sign) == block.count(whole) == len(texts):
            return None
    inner = block.replace(start, "").replace(end, "").split("\n")[1:-1]
    return inner if len(inner) == len(texts) else None


def exact_floats(values: Sequence[Any], scale: int) -> list[int | None] | None:
    """Floats, each of which stands for the fewest digits that make it -> these times a power of
    ten, where that is a whole number of at most 15 digits; None for other floats and other values.
    """
    if not set(map(type, values)) <= {int, float}:
        return None
    try:
        wholes = list(map(round, map(mul, values, repeat(scale))))
    except (OverflowError, ValueError):
        return None
    if not -_EXACT < min(wholes) <= max(wholes) < _EXACT:
        return None
    same = list(map(truediv, wholes, repeat(scale)))
    if same == values:
        return list(wholes)
    return [
        whole if again == value else None
        for whole, again, value in zip(wholes, same, values, strict=True)
    ]
