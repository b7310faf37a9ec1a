"""Which values of a record JSON does not have: the parser of records only says at which byte it
gave up."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from worker.core.model import FieldError

SHOWN: Final = 5
"""Errors of one record that are worth naming."""


class _NoNumber(float):
    """NaN, an infinity, or a number that no float holds."""


def no_json_values(raw: bytes) -> tuple[FieldError, ...]:
    """The values of a record that are no JSON, each with its place; none where the record has no
    intact brackets, commas and colons, so that nobody can tell its values."""
    try:
        text, unreadable = raw.decode(), "text with a lone surrogate"
    except UnicodeDecodeError:
        text, unreadable = raw.decode(errors="surrogateescape"), "text that is not UTF-8"
    try:
        document = json.loads(text, parse_constant=_NoNumber, parse_float=_number)
    except (ValueError, RecursionError):
        return ()
    return tuple(islice(_broken(document, unreadable), SHOWN))


def _number(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _NoNumber(text)


def _broken(document: Any, unreadable: str) -> Iterator[FieldError]:
    """A loop and no recursion: the record may nest as deeply as the parser follows."""
    todo = [("$", document)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            if not all(map(_is_unicode, value)):
                yield FieldError(path, f"a name of a field that is {unreadable}", "valid Unicode")
            todo += [(f"{path}.{_shown(key)}", each) for key, each in reversed(value.items())]
        elif isinstance(value, list):
            items = [(f"{path}[{number}]", each) for number, each in enumerate(value)]
            todo += reversed(items)
        elif isinstance(value, str) and not _is_unicode(value):
            yield FieldError(path, unreadable, "valid Unicode")
        elif isinstance(value, _NoNumber):
            yield FieldError(path, "no number of JSON", "a number that a 64-bit float holds")


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _shown(key: str) -> str:
    return key[:40].encode(errors="replace").decode()
