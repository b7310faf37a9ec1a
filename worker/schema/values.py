"""What checks are and what they make: datums, branches, descriptions that never quote content."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from worker.core.model import FieldError

Check = Callable[[Any, str, list[FieldError]], Any]
"""(JSON value, path, errors) -> datum; appends to errors and never raises for bad data."""


@runtime_checkable
class QuickCheck(Protocol):
    """A check that does the usual cases of many records at once."""

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """Puts the datums of the usual cases in place; returns the places of the records that are left."""

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any: ...


class Branch(msgspec.Struct, frozen=True, gc=False):
    """A datum of a union with several branches."""

    number: int
    value: Any


class Written(float):
    """A JSON number with its text: a decimal may need more digits than a float has."""

    text: str


Written.__name__ = "float"  # JMESPath knows types by their names


def written(text: str) -> Written:
    """What an untyped number with a point or an exponent decodes to (`float_hook`). Raises ValueError for one that no float holds."""
    value = Written(text)
    if not math.isfinite(value):
        raise ValueError("Number out of range")
    value.text = text
    return value


def as_written(value: Any) -> msgspec.Raw:
    """The text of a `Written` (`enc_hook`)."""
    if not isinstance(value, Written):
        raise NotImplementedError
    return msgspec.Raw(value.text.encode())


INEXACT: Final = "number of more digits than a float holds"
"""What a check finds whose decision needs the text of a number."""


def found(value: Any) -> str:
    """What a value is, without saying its content."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, int | float):
        return "whole number" if isinstance(value, int) else "number"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else type(value).__name__
