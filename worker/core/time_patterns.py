"""Times by strptime patterns, of which no part is ignored. Pure.

Python's strptime takes parts of a text that it makes nothing of, such as a day of the week, and
moves a day that a year does not have into the next one. Here a time counts only if it shows
every value of the text that strptime might have passed over, and a fraction of a second (`%f`)
may have more than six digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from worker.core.word_columns import ALIKE, DAY_NAMES, MONTH_NAMES, short

_DIRECTIVE: Final = re.compile(r"%(.)|(\s+)|([^%])", re.DOTALL)
_COMPOSED: Final = {"c": "%a %b %d %H:%M:%S %Y", "x": "%m/%d/%y", "X": "%H:%M:%S"}
"""Directives that stand for several ones, in English."""
_SHAPES: Final = {
    "Y": r"\d{4}",
    "G": r"\d{4}",
    "y": r"\d\d",
    "m": r"1[0-2]|0[1-9]|[1-9]",
    "B": "|".join(MONTH_NAMES),
    "b": "|".join(short(MONTH_NAMES)),
    "d": r"3[01]|[12]\d|0[1-9]|[1-9]| [1-9]",
    "j": r"36[0-6]|3[0-5]\d|[12]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]",
    "U": r"5[0-3]|[0-4]\d|\d",
    "W": r"5[0-3]|[0-4]\d|\d",
    "V": r"5[0-3]|0[1-9]|[1-4]\d|\d",
    "A": "|".join(DAY_NAMES),
    "a": "|".join(short(DAY_NAMES)),
    "w": r"[0-6]",
    "u": r"[1-7]",
    "H": r"2[0-3]|[01]\d|\d",
    "I": r"1[0-2]|0[1-9]|[1-9]",
    "p": r"am|pm",
    "M": r"[0-5]\d|\d",
    "S": r"6[01]|[0-5]\d|\d",
    "f": r"\d+",
    "z": r"[+-]\d\d:?[0-5]\d(?::?[0-5]\d(?:\.\d{1,6})?)?|(?-i:Z)",
    "Z": r"[a-z]+",
}
"""Directive -> what it reads, as strptime does, but for `%f`."""
_YEARS: Final = ALIKE[0]
_OF_YEAR: Final = re.compile(r"%[YyGcx]")
_WEEKDAYS: Final = frozenset("aAwu")
_MOVING: Final = frozenset("jUWV")
"""Directives by which strptime finds another day than the others say, or one of another year."""
_NOT_SHOWN: Final = frozenset("fzZ")
"""Directives whose text differs from what the time writes, and that nothing else contradicts."""
_SAMPLE: Final = datetime(2024, 5, 6, 17, 8, 9, tzinfo=UTC)

Read = Callable[[str], tuple[datetime, int]]
"""Text -> the time by the clock that it shows, and its nanoseconds beyond whole microseconds;
ValueError or TypeError for what is no time of the pattern."""


def directives(pattern: str) -> list[str]:
    """The directives of a pattern in their order, without the `%` and without `%%`."""
    return [name for name, _, _ in _parts(pattern) if name and name != "%"]


def says_year(pattern: str) -> bool:
    """Whether the times of a pattern have a year, without which they have no date."""
    return _OF_YEAR.search(pattern) is not None


def pattern_flaw(pattern: str) -> str:
    """Why times that a pattern writes say less, or other things, than they seem to; empty where
    nothing is wrong. Whether strptime knows all directives is not asked."""
    names = directives(pattern)
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        return f"the pattern has %{twice} more than once"
    found = frozenset(names)
    if "p" in found and "I" not in found:
        return "%p (AM or PM) counts only with %I, hours from 01 to 12"
    if "I" in found and "p" not in found:
        return "%I needs %p (AM or PM), which tells the half of the day; %H has hours 00 to 23"
    return _flaw_of_day(found)


def _flaw_of_day(found: frozenset[str]) -> str:
    """The same of days that are counted within a year."""
    dated = bool(found & {"Y", "y"})
    for name in "UW":
        if name in found and not (dated and found & _WEEKDAYS):
            return f"%{name} (the week) counts only with a year (%Y) and a day of the week (%a)"
    if "j" in found and not dated:
        return "%j (the day of the year) counts only with a year (%Y)"
    return ""


def pattern_reader(pattern: str) -> Read:
    """What reads the times of a strptime pattern."""
    found = frozenset(directives(pattern))
    shown = _shown(found) & _SHAPES.keys()
    if not shown and "f" not in found:
        return lambda text: (datetime.strptime(text, pattern), 0)
    shape = pattern_shape(pattern)

    def read(text: str) -> tuple[datetime, int]:
        match = shape.fullmatch(text)
        if match is None:
            raise ValueError("no time of the pattern")
        finer = 0
        if "f" in found:
            start, end = match.span("f")
            finer = int(text[start + 6 : min(end, start + 9)].ljust(3, "0"))
            text = text[: min(end, start + 6)] + text[end:]
        moment = datetime.strptime(text, pattern)
        for name in shown:
            if not _same(match[name], moment.strftime(f"%{name}")):
                raise ValueError(f"the time has another %{name}")
        return moment, finer

    return read


def unreadable(pattern: str) -> str:
    """Why strptime cannot read a pattern; empty where it can."""
    unknown = [name for name in directives(pattern) if name not in _SHAPES]
    if unknown:
        return f"%{unknown[0]} is no directive of strptime"
    try:
        pattern_reader(pattern)(_SAMPLE.strftime(pattern))
    except (ValueError, re.error) as error:
        return str(error)
    return ""


def _shown(found: frozenset[str]) -> frozenset[str]:
    """The directives whose values the time has to show: those of the day of the week if there is
    a year, and all where one could change or replace what another says."""
    counted = found - _NOT_SHOWN if found & _YEARS else found - _NOT_SHOWN - _WEEKDAYS
    if counted & _MOVING or any(len(counted & alike) > 1 for alike in ALIKE):
        return counted
    return counted & _WEEKDAYS


def _same(text: str, written: str) -> bool:
    if written.isdecimal():
        return int(text) == int(written)
    return text.lower() == written.lower()


def pattern_shape(pattern: str) -> re.Pattern[str]:
    """What the texts of a pattern look like, with a group for each directive; an unknown one fits
    nothing."""
    parts = []
    for name, space, text in _parts(pattern):
        if name and name != "%":
            parts.append(f"(?P<{name}>{_SHAPES[name]})" if name in _SHAPES else "(?!)")
        else:
            parts.append(r"\s+" if space else re.escape(name or text))
    return re.compile("".join(parts), re.IGNORECASE)


def _parts(pattern: str) -> list[tuple[str, str, str]]:
    """(directive, white space, other character) of a pattern, one of which is not empty."""
    found: list[tuple[str, str, str]] = []
    for part in _DIRECTIVE.findall(pattern):
        composed = _COMPOSED.get(part[0])
        found += _DIRECTIVE.findall(composed) if composed else [part]
    return found
