"""`partition_by`: the directory that a record's fields give it. Pure.

Every value becomes one safe segment: percent-encoded, never `.` or `..`, at most 200 bytes; null and empty are `__null__`.
Times are read in UTC in the schema's unit; formatted times are remembered, because strftime costs more than the rest together.
"""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import quote

from worker.core.errors import ConfigError
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord

NULL: Final = "__null__"
SEGMENT_BYTES: Final = 200
CACHED_VALUES: Final = 10_000
_DIRECTIVES: Final = re.compile(r"%[-_0^#:]?.?", re.DOTALL)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS: Final = {
    f"{zone}timestamp-{unit}": ticks
    for zone in ("", "local-")
    for unit, ticks in (("millis", 1_000), ("micros", 1_000_000), ("nanos", 1_000_000_000))
}


class Field(Protocol):
    """What is known of an output field."""

    @property
    def type(self) -> str: ...
    @property
    def logical(self) -> str | None: ...


Part = tuple[str, str, "Segments | None"]
"""Literal text, then a field and its segments (no field: the empty name and None)."""


class Segments(dict[Any, str]):
    """value -> one safe segment; some are remembered. Looking one up raises InvalidRecord for a value that makes none."""

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
    """The parts of a route. ConfigError for a template that cannot work."""
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
    if name not in fields:
        close = difflib.get_close_matches(name, fields, 1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(
            f"partition_by {template!r} names {name!r}, which is no field of the output",
            remedy=f"{hint}fields: {', '.join(sorted(fields))}",
        )
    unknown = [
        each for each in _DIRECTIVES.findall(spec) if each != "%%" and _EPOCH.strftime(each) == each
    ]
    if unknown:
        raise ConfigError(
            f"partition_by {template!r}: strftime knows no {unknown[0]}",
            remedy="%Y %m %d %H and the like; a percent sign is %%",
        )
    field = fields[name]
    if field.type in ("float", "double", "record", "array", "map", "union", "bytes", "fixed"):
        raise ConfigError(
            f"partition_by field {name!r} is {field.type}: it makes no directory name",
            remedy="use a string, enum, integer, boolean or time field",
        )
    if spec and field.logical in _TICKS:
        ticks = _TICKS[field.logical]
        return lambda value: (_EPOCH + timedelta(microseconds=value * 1_000_000 // ticks)).strftime(
            spec
        )
    if field.logical == "date":
        return lambda value: date.fromordinal(value + 719_163).strftime(spec or "%Y-%m-%d")
    if spec:
        raise ConfigError(
            f"partition_by formats {name!r}, which is no date or timestamp",
            remedy="give the field the logical type that it has",
        )
    return lambda value: ("true" if value else "false") if isinstance(value, bool) else str(value)


def _segment(text: Callable[[Any], str], name: str, value: Any) -> str:
    if value is None or value == "":
        return NULL
    try:
        plain = text(value)
    except (OverflowError, ValueError) as error:
        raise InvalidRecord(
            "route_value",
            (FieldError(f"$.{name}", "a time out of range", "the years 1 to 9999"),),
            stage="route",
        ) from error
    encoded = quote(plain, safe=" +,:=@-_.~")
    if encoded.strip(".") == "":
        encoded = encoded.replace(".", "%2E")
    if len(encoded) > SEGMENT_BYTES:
        raise InvalidRecord(
            "route_too_long",
            (
                FieldError(
                    f"$.{name}",
                    f"a directory name of {len(encoded)} bytes",
                    f"at most {SEGMENT_BYTES}",
                ),
            ),
            stage="route",
        )
    return encoded or NULL
