"""Columns of times: many texts of one layout, read several times as quick as one by one. Pure.

What costs is Python's work on each text, so nothing here works on one text. The layout of a column
is that of its first text; the others have it too if all have the same shape, which is the text with
each digit written as 0 and each letter as a; those of another shape are another column. Digits are
then copied, one place of the whole column after the other, into an array of RFC 3339 texts in whole
seconds. msgspec reads that, and writes each moment as its seconds since 1970 in msgpack. The digits
of fractions become numbers by arithmetic on one large number, which has 32 bits for each text.
Names of months and days are found as the words that all letters of a text admit.

A text is read as it would be alone, or not at all: the careful reader decides about whatever is
unusual.
"""

from __future__ import annotations

import re
import string
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import repeat
from operator import add, floordiv, mul, sub
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from worker.core.instants import EPOCH, EPOCH_SHOWN
from worker.core.word_columns import ALIKE, DAY_NAMES, MONTH_NAMES, short, which

_SECOND: Final = timedelta(seconds=1)
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400
_WEEK_S: Final = 7 * _DAY_S
_MOST_LAYOUTS: Final = 100
_MOST_SHAPES: Final = 20
"""Of the texts of a column."""
_FEW: Final = 32
"""So many texts are left to the careful reader where one of them is no time."""
_NO_ASCII: Final = b"?"
"""What stands for any character that is not of ASCII."""
_MOST_HOURS: Final = 20_000
_WORTH_AN_HOUR: Final = 4
"""So many texts for each hour between the first and the last are a reason to ask for all hours."""
_IS_DIGIT: Final = range(ord("0"), ord("9") + 1)
AS_ZEROS: Final = bytes(ord("0") if each in _IS_DIGIT else each for each in range(256))
"""Writes each digit as 0; for bytes.translate."""
_AS_SHAPE: Final = AS_ZEROS.translate(
    bytes.maketrans(string.ascii_letters.encode(), b"a" * len(string.ascii_letters))
)
_READ_AS_ONE: Final = frozenset(string.ascii_letters + string.digits)
"""Characters that a shape does not tell apart."""
_AS_NUMBERS: Final = bytes(each - ord("0") if each in _IS_DIGIT else 0 for each in range(256))
_MOMENTS: Final = msgspec.json.Decoder(list[datetime])
_YEAR: Final = 0
_MONTH: Final = 5
_HOUR: Final = 11
_ENDS: Final = {"Y": 4, "y": 4, "m": 7, "d": 10, "H": 13, "M": 16, "S": 19}
"""Part of a time, as strptime names it -> where its digits end in RFC 3339."""
_SHORTEST: Final = "xxI"
"""Whole seconds from 1970 to 2106 in msgpack: two bytes that say so, and 32 bits."""
_LONGEST: Final = "xxxxxxxq"
"""Those before 1970, or after 2514."""
_FROM_THURSDAY: Final = (*DAY_NAMES[3:], *DAY_NAMES[:3])
"""1970-01-01 was one."""
_WORDS: Final = {
    "A": _FROM_THURSDAY,
    "a": short(_FROM_THURSDAY),
    "B": MONTH_NAMES,
    "b": short(MONTH_NAMES),
    "I": tuple(map(str, range(1, 13))) + tuple(f"0{each}" for each in range(1, 10)),
    "p": ("am", "pm"),
}
"""Part of a time that is one of some words -> these, in their order."""
_MAY_BE_SHORT: Final = frozenset("mdHIMS")
"""Parts that may have one digit instead of two."""
_CENTURY: Final = (
    bytes.maketrans(b"0123456789", b"222222x111"),
    bytes.maketrans(b"0123456789", b"000000x999"),
)
"""First digit of a year of two digits -> the digits of its century, as POSIX has it; the sixties
are in two of them."""
_RFC3339: Final = b'"1970-01-01T00:00:00Z",'
"""A text of the array that digits are copied into."""
_OFFSET_WEIGHTS: Final = (36_000, 3_600, 600, 60)
"""The seconds of each digit of an offset."""
_MOST_OFFSET_S: Final = 86_399
_NEXT: Final = bytes((each + 1) % 256 for each in range(256))
_TWO: Final = tuple(
    bytes(f"{each % 100:02}".encode()[place] for each in range(256)) for place in range(2)
)
"""Number -> its first digit, and its second."""
_HALF_DAYS: Final = bytes.maketrans(b"\1\2", b"\0\x0c")
_HOURS: Final = bytes([0, *range(1, 12), 0, *range(1, 10)]).ljust(256, b"\0")
"""Number of the word of `%I` -> hours since midnight or noon."""


class _Layout(NamedTuple):
    """Where the parts of a time stand in all texts of one shape.

    Attributes:
        places: (place in the text, place in RFC 3339) of each digit that is copied.
        words: part of a time -> the places of its letters.
        fixed: (place, character) of what is no part of a time, and is the same in all texts.
        fraction: the places of the digits of a fraction of a second.
        short_year: the place of the first digit of a year that has two.
        dated: whether the texts have a year, without which they have no day of the week.
        offset: the places of the digits of an offset, hours and minutes.
        ahead: 1 where the offset is ahead of UTC, -1 where it is behind.
        zoned: whether the texts say how far they are from UTC.
    """

    places: tuple[tuple[int, int], ...]
    words: dict[str, range]
    fixed: tuple[tuple[int, bytes], ...]
    short_year: int | None
    dated: bool
    fraction: range
    offset: tuple[int, ...]
    ahead: int
    zoned: bool


class TimeColumn:
    """Reads columns of texts of one form.

    Args:
        form: matches a text, with its parts as groups that are named as in strptime. Names of
            groups that are no parts begin with `_`.
        digits: of a second that count; finer ones are cut.
        instants: whether texts are instants, or else the clock that they show.
        zone: of instants that do not say one; None: they are not read here.
    """

    def __init__(
        self,
        form: Callable[[str], re.Match[str] | None],
        digits: int,
        *,
        instants: bool,
        zone: ZoneInfo | None = None,
    ) -> None:
        self._form, self._digits, self._instants = form, digits, instants
        self._offsets = None if zone is None or not instants else _Offsets(zone)
        self._layouts: dict[bytes, _Layout] = {}

    def __call__(self, texts: Sequence[Any]) -> list[int | None] | None:
        """The times, as whole numbers of the last digit since 1970, and None for each text that is
        not read here; None where a value is no text."""
        if not texts:
            return []
        try:
            block = _block(texts)
        except TypeError:
            return None
        zeros, count = block.translate(_AS_SHAPE), len(texts)
        shape = zeros[: zeros.find(b"\n") + 1]
        if zeros == shape * count:
            return self._read(texts, shape, block)
        shapes = zeros.split(b"\n")[:-1]
        found: list[int | None] = [None] * count
        if len(shapes) > count:  # a text has several lines
            return found
        places_of: dict[bytes, list[int]] = defaultdict(list)
        for place, shape in enumerate(shapes):
            places_of[shape].append(place)
        for shape, places in sorted(places_of.items(), key=_count, reverse=True)[:_MOST_SHAPES]:
            alike = [texts[place] for place in places]
            times = self._read(alike, shape + b"\n", _block(alike))
            for place, time in zip(places, times, strict=True):
                found[place] = time
        return found

    def _read(self, texts: Sequence[str], shape: bytes, block: bytes) -> list[int | None]:
        """The times of texts of one shape, without those near to one that is no time."""
        times = self._alike(texts, shape, block)
        if times is not None:
            return times  # type: ignore[return-value]
        if len(texts) <= _FEW:
            return [None] * len(texts)
        half = len(texts) // 2
        parts = texts[:half], texts[half:]
        return [time for part in parts for time in self._read(part, shape, _block(part))]

    def _alike(self, texts: Sequence[str], shape: bytes, block: bytes) -> list[int] | None:
        """The times of texts of one shape, if all have the layout of the first one."""
        layout = self._layouts.get(shape) or self._learn(shape, texts[0])
        if layout is None or not self._fits(layout):
            return None
        seconds = _seconds(block, len(shape), layout)
        if seconds is None:
            return None
        if layout.offset:
            seconds = _in_utc(seconds, block, len(shape), layout)
        elif self._offsets is not None and not layout.zoned:
            seconds = self._offsets.in_utc(seconds)
        if seconds is None:
            return None
        return self._scaled(seconds, block, len(shape), layout.fraction)

    def _fits(self, layout: _Layout) -> bool:
        if self._instants:
            return layout.zoned or self._offsets is not None
        return not layout.zoned

    def _learn(self, shape: bytes, text: str) -> _Layout | None:
        match = None if _NO_ASCII in shape else self._form(text)
        layout = None if match is None else _layout(match)
        if layout is not None:
            if len(self._layouts) >= _MOST_LAYOUTS:
                self._layouts.clear()
            self._layouts[shape] = layout
        return layout

    def _scaled(
        self, seconds: Sequence[int], block: bytes, width: int, fraction: range
    ) -> list[int]:
        """The seconds and their fractions, in units of the last digit."""
        if not self._digits:
            return list(seconds)
        whole = map(mul, seconds, repeat(10**self._digits))
        places = fraction[: self._digits]
        if not places:
            return list(whole)
        weights = [10 ** (self._digits - number) for number in range(1, len(places) + 1)]
        columns = [block[place::width] for place in places]
        return list(map(add, whole, _numbers(columns, weights)))


def _count(places: tuple[bytes, list[int]]) -> int:
    return len(places[1])


def _block(texts: Sequence[str]) -> bytes:
    """The texts as lines. Raises TypeError where one of them is none."""
    return "\n".join([*texts, ""]).encode("ascii", "replace")


def _may_be_longer(text: str, span: range) -> bool:
    """Whether another text of the shape may have a digit more in this part, which has one, and one
    less in the next."""
    around = text[max(span.start - 1, 0) : span.start] + text[span.stop : span.stop + 1]
    return len(span) == 1 and any(each.isdigit() for each in around)


def _layout(match: re.Match[str]) -> _Layout | None:
    """The layout of a text; None where a part is not read here."""
    spans = {
        name: range(*match.span(name))
        for name in match.re.groupindex
        if match[name] and name[0] != "_"
    }
    if not spans.keys() <= {*_ENDS, *_WORDS, "f", "z"}:
        return None
    if ("I" in spans) != ("p" in spans) or any(len(spans.keys() & each) > 1 for each in ALIKE):
        return None
    if any(_may_be_longer(match.string, spans[name]) for name in spans.keys() & _MAY_BE_SHORT):
        return None
    places: list[tuple[int, int]] = []
    for name in spans.keys() & _ENDS.keys():
        digits = [place for place in spans[name] if match.string[place].isdigit()]
        places += zip(digits, range(_ENDS[name] - len(digits), _ENDS[name]), strict=True)
    fraction = spans.get("f", range(0))
    words = {each: spans[each] for each in spans.keys() & _WORDS}
    zone = match["z"] if "z" in spans else ""
    signed = zone[:1] in ("+", "-")  # and not none, Z, UTC, UT or GMT
    offset = tuple(each for each in spans.get("z", ()) if signed and match.string[each].isdigit())
    if len(offset) > len(_OFFSET_WEIGHTS):
        return None
    read = {place for place, _ in places}.union(fraction, offset, *words.values())
    return _Layout(
        places=tuple(places),
        words=words,
        fixed=tuple(
            (place, each.encode())
            for place, each in enumerate(match.string)
            if each in _READ_AS_ONE and place not in read
        ),
        short_year=spans["y"].start if "y" in spans else None,
        dated=bool(spans.keys() & {"Y", "y"}),
        fraction=fraction,
        offset=offset,
        ahead=-1 if zone[:1] == "-" else int(signed),
        zoned=bool(zone),
    )


def _seconds(block: bytes, width: int, layout: _Layout) -> Sequence[int] | None:
    """The whole seconds since 1970 by the clock that is shown; None where one text is no time."""
    count = len(block) // width
    if any(block[place::width] != each * count for place, each in layout.fixed):
        return None
    words = {
        name: which([block[place::width] for place in places], _WORDS[name])
        for name, places in layout.words.items()
    }
    digits = _digits(words)
    if digits is None:
        return None
    made = bytearray(_RFC3339 * count)
    for source, target in layout.places:
        made[target + 1 :: len(_RFC3339)] = block[source::width]
    if layout.short_year is not None:
        for number, century in enumerate(_CENTURY, _YEAR + 1):
            made[number :: len(_RFC3339)] = block[layout.short_year :: width].translate(century)
    for target, column in digits:
        made[target + 1 :: len(_RFC3339)] = column
    made[-1:] = b"]"
    try:
        moments = _MOMENTS.decode(b"[" + made)
    except msgspec.ValidationError:
        return None
    seconds = _since_1970(moments)
    days = [words[name] for name in words.keys() & {"A", "a"} if layout.dated]
    if days and days != [_weekdays(seconds)] * len(days):
        return None
    return seconds


def _since_1970(moments: Sequence[datetime]) -> Sequence[int]:
    packed, count = msgspec.msgpack.encode(moments), len(moments)
    head = len(msgspec.msgpack.encode([None] * count)) - count
    for form in (_SHORTEST, _LONGEST):
        if len(packed) == head + struct.calcsize(f">{form}") * count:  # then all have this form
            return struct.unpack(f">{form * count}", packed[head:])
    return [(at - EPOCH) // _SECOND for at in moments]


def _weekdays(seconds: Sequence[int]) -> bytes:
    """The days of the week, as `which` numbers them."""
    return bytes([second % _WEEK_S // _DAY_S for second in seconds]).translate(_NEXT)


def _digits(words: dict[str, bytes]) -> list[tuple[int, bytes]] | None:
    """(place in RFC 3339, digits of the column) of what is said by words; None where a text has
    another word."""
    if any(0 in found for found in words.values()):
        return None
    made = []
    for name in words.keys() & {"B", "b"}:
        made += [(_MONTH + place, words[name].translate(_TWO[place])) for place in range(2)]
    if "p" in words:
        noon = int.from_bytes(words["p"].translate(_HALF_DAYS))
        hours = (int.from_bytes(words["I"].translate(_HOURS)) + noon).to_bytes(len(words["p"]))
        made += [(_HOUR + place, hours.translate(_TWO[place])) for place in range(2)]
    return made


def _in_utc(
    seconds: Sequence[int], block: bytes, width: int, layout: _Layout
) -> Sequence[int] | None:
    """The same in UTC; None where an offset is none."""
    columns = [block[place::width] for place in layout.offset]
    alike = all(column == column[:1] * len(column) for column in columns)
    if alike:
        columns = [column[:1] for column in columns]
    offsets = _numbers(columns, _OFFSET_WEIGHTS)
    tens_of_minutes = b"".join(columns[2:3])
    if max(offsets) > _MOST_OFFSET_S or tens_of_minutes.translate(None, b"012345"):
        return None
    each = repeat(offsets[0]) if alike else offsets
    return list(map(sub if layout.ahead > 0 else add, seconds, each))


def _numbers(columns: Sequence[bytes], weights: Sequence[int]) -> Sequence[int]:
    """The sums of the digits in these columns, each times its weight; they fit 32 bits."""
    count, total = len(columns[0]), 0
    for column, weight in zip(columns, weights, strict=False):
        lanes = bytearray(4 * count)
        lanes[3::4] = column.translate(_AS_NUMBERS)
        total += weight * int.from_bytes(lanes, "big")
    return struct.unpack(f">{count}I", total.to_bytes(4 * count, "big"))


class _Offsets(dict[int, int | None]):
    """Hour of the clock of a zone, since 1970 -> by how many seconds it is ahead of UTC all through
    that hour; None where that changes."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, hour: int) -> int | None:
        first, last = self._at(hour * _HOUR_S), self._at((hour + 1) * _HOUR_S - 1)
        if len(self) >= _MOST_HOURS:
            self.clear()
        found = self[hour] = first if first == last else None
        return found

    def in_utc(self, seconds: Sequence[int]) -> list[int]:
        """Seconds since 1970 by the clock of the zone -> the same in UTC."""
        if (offset := self._of_all(seconds)) is not None:
            return list(map(sub, seconds, repeat(offset)))
        hours = map(floordiv, seconds, repeat(_HOUR_S))
        offsets = list(map(self.__getitem__, hours))
        if None in offsets:
            offsets = [
                self._at(second) if offset is None else offset
                for second, offset in zip(seconds, offsets, strict=True)
            ]
        return list(map(sub, seconds, offsets))

    def _of_all(self, seconds: Sequence[int]) -> int | None:
        """The offset of all, where they lie within fewer hours than are worth a look."""
        hours = range(min(seconds) // _HOUR_S, max(seconds) // _HOUR_S + 1)
        if len(hours) * _WORTH_AN_HOUR > len(seconds):
            return None
        offsets = set(map(self.__getitem__, hours))
        return offsets.pop() if len(offsets) == 1 else None

    def _at(self, second: int) -> int:
        """See `instant` in written_times.py for times that come twice or never."""
        difference = self._zone.utcoffset(EPOCH_SHOWN + timedelta(seconds=second))
        assert difference is not None, "every time of a named zone has an offset"
        return difference // _SECOND
