"""`partition_by`: the directory that a record's fields give it. Pure.

Every value becomes one safe segment: percent-encoded, never `.` or `..`, at most 200 bytes. Null
and empty text become `__null__`. Times are read in UTC in the unit of the schema. Segments are
remembered, because strftime costs more than everything else together.
"""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import quote

from worker.core.errors import ConfigError
from worker.core.instants import EPOCH, EPOCH_DAY
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.schema.logical import FRACTION_DIGITS

NULL: Final = "__null__"
SEGMENT_BYTES: Final = 200
CACHED_VALUES: Final = 10_000
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
"""Literal text, then a field and its segments (no field: the empty name and None)."""


class Segments(dict[Any, str]):
    """value -> one safe segment; some are remembered. The look-up raises InvalidRecord for a value
    that makes none."""

    def __init__(self, text: Callable[[Any], str], name: str) -> None:
        super().__init__()
        self._text, self._name = text, name

    def __missing__(self, value: Any) -> str:
        found = _segment(self._text, self._name, value)
        if len(self) >= CACHED_VALUES:
            self.clear()
        self[value] = found
        return found


def route_parts(template: str, fields: Mapping[str, Field]) -> tuple[Part, ...]:
    """The parts of a route.

    Raises:
        ConfigError: the template can never give a directory.
    """
    if not all(part.strip(".") for part in template.split("/")) or "\0" in template:
        raise ConfigError(
            f"partition_by {template!r} is no relative directory",
            remedy="use names with '/' between them, without '..'",
        )
    try:
        parts = [
            (literal, name or "", spec or "")
            for literal, name, spec, _ in string.Formatter().parse(template)
        ]
    except ValueError as error:
        raise ConfigError(
            f"partition_by {template!r}: {error}",
            remedy="fields stand in braces: {name} or {name:%Y-%m-%d}",
        ) from error
    return tuple(
        (literal, name, Segments(_text(template, name, spec, fields), name) if name else None)
        for literal, name, spec in parts
    )


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


def _segment(text: Callable[[Any], str], name: str, value: Any) -> str:
    if value is None or value == "":
        return NULL
    try:
        plain = text(value)
    except (OverflowError, ValueError) as error:
        reason = FieldError(f"$.{name}", "a time out of range", "the years 1 to 9999")
        raise InvalidRecord("route_value", (reason,), stage="route") from error
    encoded = quote(plain, safe=" +,:=@-_.~")
    if encoded.strip(".") == "":
        encoded = encoded.replace(".", "%2E")
    if len(encoded) > SEGMENT_BYTES:
        found, allowed = f"a directory name of {len(encoded)} bytes", f"at most {SEGMENT_BYTES}"
        reason = FieldError(f"$.{name}", found, allowed)
        raise InvalidRecord("route_too_long", (reason,), stage="route")
    return encoded or NULL
