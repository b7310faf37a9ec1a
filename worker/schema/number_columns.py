"""Columns of numbers: many texts, or many floats, read at once.

A column is read as its values would be one by one, or not at all: the careful check decides about
whatever is unusual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
        self._lines = _lines(numbers)
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
        if self._group == " ":
            for space in SPACES[1:]:
                block = block.replace(space, " ")
        if not self._group or self._group not in block or self._lines.fullmatch(block) is None:
            return block
        return block.replace(self._group, "")

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


def _lines(numbers: Numbers) -> re.Pattern[str]:
    """Lines of numbers with groups of three digits."""
    group, decimal = re.escape(numbers.group), re.escape(numbers.decimal)
    one = rf"-?(?:\d{{1,3}}(?:{group}\d{{3}})+|\d+)(?:{decimal}\d+)?"
    return re.compile(rf"(?:{one}\n)*{one}", re.ASCII)


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
    ends = zeros.count(b".%b\n" % (b"0" * digits))
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
