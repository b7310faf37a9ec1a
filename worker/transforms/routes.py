"""`partition_by`: the directory that a record's fields give it. Pure.

A route is directory names, its segments, with `/` between them. Every value is percent-encoded, so
that it stays within its segment. No segment begins with `.` or `_`: listings that people use leave
such directories out, and no value can name what is ours, `.worker`. So `.` and `_` are encoded
where a value begins a segment, and refused where a literal does. Null and empty text become
`__null__`, and `%5F_null__` at the beginning. A segment has at most 200 bytes.

Times are read in UTC in the unit of the schema. Segments are remembered, because strftime costs
more than everything else together.
"""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

from worker.core.errors import ConfigError
from worker.core.instants import EPOCH, EPOCH_DAY
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.logical import FRACTION_DIGITS

NULL: Final = "__null__"
SEGMENT_BYTES: Final = 200
CACHED_VALUES: Final = 10_000
_VALUE: Final = "\0"
"""Stands for a value in the outline of a template, which has none itself."""
_HIDING: Final = {".": "%2E", "_": "%5F"}
"""What hides a directory at the beginning of its name, and how it is encoded there."""
_DIRECTIVES: Final = re.compile(r"%[-_0^#:]?.?", re.DOTALL)
_TICKS: Final = {
    f"{zone}timestamp-{unit}": 10**digits
    for zone in ("", "local-")
    for unit, digits in FRACTION_DIGITS.items()
}
_NO_NAMES: Final = ("float", "double", "record", "array", "map", "union", "bytes", "fixed")
"""Types whose values make no directory names."""


class Field(Protocol):
    """What is known of an output field."""

    @property
    def type(self) -> str: ...
    @property
    def logical(self) -> str | None: ...


Part = tuple[str, str, "Segments | None"]
"""Literal text, then a field and its values as text (no field: the empty name and None)."""


class _Piece(NamedTuple):
    """A part of a template that was taken apart.

    Attributes:
        segment: the number of the segment that the field stands in.
        begins: the field begins it.
    """

    literal: str
    name: str | None
    spec: str
    segment: int
    begins: bool


class Segments(dict[Any, str]):
    """value -> its safe text; some are remembered. The look-up raises InvalidRecord for a value
    that makes none.

    Args:
        text: makes the plain text of a value that is not null.
        name: the field.
        begins: the value begins a segment.
        most: bytes that the text may have.
    """

    def __init__(self, text: Callable[[Any], str], name: str, *, begins: bool, most: int) -> None:
        super().__init__()
        self._text, self._name, self._begins, self._most = text, name, begins, most

    def __missing__(self, value: Any) -> str:
        found = self._encoded(value)
        if len(found) > self._most:
            raise _too_long(self._name, len(found), self._most)
        if len(self) >= CACHED_VALUES:
            self.clear()
        self[value] = found
        return found

    def _encoded(self, value: Any) -> str:
        plain = NULL if value is None or value == "" else self._plain(value)
        encoded = quote(plain or NULL, safe=" +,:=@-_.~")
        if self._begins and encoded[0] in _HIDING:
            return _HIDING[encoded[0]] + encoded[1:]
        return encoded

    def _plain(self, value: Any) -> str:
        try:
            return self._text(value)
        except (OverflowError, ValueError) as error:
            reason = FieldError(f"$.{self._name}", "a time out of range", "the years 1 to 9999")
            raise InvalidRecord("route_value", (reason,), stage="route") from error


class SharedSegments(dict[str, str]):
    """route -> the same, for routes with several values in one segment; some are remembered. The
    look-up raises InvalidRecord for a route with a segment over the limit.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, route: str) -> str:
        longest = max(len(each.encode()) for each in route.split("/"))
        if longest > SEGMENT_BYTES:
            raise _too_long(", ".join(self._names), longest, SEGMENT_BYTES)
        if len(self) >= CACHED_VALUES:
            self.clear()
        self[route] = route
        return route


def _too_long(name: str, found: int, most: int) -> InvalidRecord:
    reason = FieldError(f"$.{name}", f"a directory name of {found} bytes", f"at most {most}")
    return InvalidRecord("route_too_long", (reason,), stage="route")


def route_parts(template: str, fields: Mapping[str, Field]) -> tuple[Part, ...]:
    """The parts of a route.

    Raises:
        ConfigError: the template can never give a directory, or gives one that listings leave out.
    """
    if not all(part.strip(".") for part in template.split("/")) or _VALUE in template:
        raise ConfigError(
            f"partition_by {template!r} is no relative directory",
            remedy="use names with '/' between them, without '..'",
        )
    pieces = list(_pieces(template))
    literals = _literal_bytes(template, _outline((each.literal, each.name) for each in pieces))
    return tuple(
        (
            each.literal,
            each.name or "",
            None
            if each.name is None
            else Segments(
                _text(template, each.name, each.spec, fields),
                each.name,
                begins=each.begins,
                most=SEGMENT_BYTES - literals[each.segment],
            ),
        )
        for each in pieces
    )


def shared_segments(route: Sequence[Part]) -> SharedSegments | None:
    """What checks the length of segments in which several values stand; None where none do."""
    if all(each.count(_VALUE) < 2 for each in _outline(route)):
        return None
    return SharedSegments([name for _, name, _ in route if name])


def _pieces(template: str) -> Iterator[_Piece]:
    segment, begins = 0, True
    try:
        for literal, name, spec, conversion in string.Formatter().parse(template):
            if name == "" or conversion:
                raise ValueError("a field stands in braces by its name alone")
            segment += literal.count("/")
            begins = literal.endswith("/") if literal else begins
            yield _Piece(literal, name, spec or "", segment, begins)
            begins = begins and name is None
    except ValueError as error:
        raise ConfigError(
            f"partition_by {template!r}: {error}",
            remedy="fields stand in braces: {name} or {name:%Y-%m-%d}",
        ) from error


def _outline(parts: Iterable[tuple[str, str | None, *tuple[Any, ...]]]) -> list[str]:
    """The segments, each value in them as one `_VALUE`."""
    return "".join(literal + (_VALUE if name else "") for literal, name, *_ in parts).split("/")


def _literal_bytes(template: str, segments: Sequence[str]) -> list[int]:
    """The bytes of the literals in each segment.

    Raises ConfigError for a segment that a literal hides, or that literals alone make too long.
    """
    found = []
    for segment in segments:
        literal = segment.replace(_VALUE, "")
        if segment[:1] in _HIDING:
            raise ConfigError(
                f"partition_by {template!r}: a directory name begins with {segment[0]!r}, and many"
                " readers leave such directories out",
                remedy="begin it with another character, as in year={t:%Y}",
            )
        found.append(len(literal.encode()))
        if found[-1] >= SEGMENT_BYTES:
            raise ConfigError(
                f"partition_by {template!r}: a directory name of {found[-1]} bytes or more",
                remedy=f"write a shorter one, at most {SEGMENT_BYTES} bytes with its values",
            )
    return found


def _text(template: str, name: str, spec: str, fields: Mapping[str, Field]) -> Callable[[Any], str]:
    """What makes the text of a field's value that is not null."""
    field = _field(template, name, fields)
    _check_directives(template, spec)
    if field.type in _NO_NAMES:
        raise ConfigError(
            f"partition_by field {name!r} is {field.type}: it makes no directory name",
            remedy="use a string, enum, integer, boolean or time field",
        )
    if spec and field.logical in _TICKS:
        return partial(_instant_text, _TICKS[field.logical], spec)
    if field.logical == "date":
        return partial(_day_text, spec or "%Y-%m-%d")
    if spec:
        raise ConfigError(
            f"partition_by formats {name!r}, which is no date or timestamp",
            remedy="give the field the logical type that it has",
        )
    return _plain_text


def _field(template: str, name: str, fields: Mapping[str, Field]) -> Field:
    if name in fields:
        return fields[name]
    close = difflib.get_close_matches(name, fields, 1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ConfigError(
        f"partition_by {template!r} names {name!r}, which is no field of the output",
        remedy=f"{hint}fields: {', '.join(sorted(fields))}",
    )


def _check_directives(template: str, spec: str) -> None:
    for each in _DIRECTIVES.findall(spec):
        if each != "%%" and EPOCH.strftime(each) == each:
            raise ConfigError(
                f"partition_by {template!r}: strftime knows no {each}",
                remedy="%Y %m %d %H and the like; a percent sign is %%",
            )


def _instant_text(ticks: int, spec: str, value: int) -> str:
    return (EPOCH + timedelta(microseconds=value * 1_000_000 // ticks)).strftime(spec)


def _day_text(spec: str, value: int) -> str:
    return date.fromordinal(value + EPOCH_DAY).strftime(spec)


def _plain_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
