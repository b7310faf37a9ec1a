"""The words of times, and columns of texts each of which is one of a few words. Pure.

Each letter of a text admits some of the words, a bit each; the word of a text is the one that all
its letters admit. That is asked for all texts at once, in one large number with a byte for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

DAY_NAMES: Final = (
    *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
)
MONTH_NAMES: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
ALIKE: Final = (frozenset("YyG"), frozenset("mbB"), frozenset("HI"))
"""Directives of strptime that say one value: the year, the month, the hour."""
_PLANE: Final = 8
"""Each word is a bit of a byte."""


def short(words: Iterable[str]) -> tuple[str, ...]:
    """Names as they are shortened in English."""
    return tuple(each[:3] for each in words)


def which(columns: Sequence[bytes], words: tuple[str, ...]) -> bytes:
    """Which of the words the letters of each text are: 1 for the first one, and 0 for none. Capital
    letters are the small ones."""
    count, found = len(columns[0]), 0
    for first in range(0, len(words), _PLANE):
        admitted = int.from_bytes(b"\xff" * count)
        for column, table in zip(
            columns, _tables(words[first : first + _PLANE], len(columns)), strict=True
        ):
            admitted &= int.from_bytes(column.translate(table))
        found |= int.from_bytes(admitted.to_bytes(count).translate(_bits(first)))
    return found.to_bytes(count)


@cache
def _tables(words: tuple[str, ...], length: int) -> tuple[bytes, ...]:
    """Place of a letter in words of this length -> letter -> the words that have it there."""
    tables = [bytearray(256) for _ in range(length)]
    for number, word in enumerate(words):
        if len(word) == length:
            for table, letter in zip(tables, word, strict=True):
                for each in {ord(letter.lower()), ord(letter.upper())}:
                    table[each] |= 1 << number
    return tuple(map(bytes, tables))


@cache
def _bits(first: int) -> bytes:
    """Bit of a word -> its number."""
    table = bytearray(256)
    for number in range(_PLANE):
        table[1 << number] = first + number + 1
    return bytes(table)
