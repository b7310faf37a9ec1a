"""What checks work on and what they make: JSON values, datums of unions, and descriptions of values
that never quote their content."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from worker.core.model import FieldError

Check = Callable[[Any, str, list[FieldError]], Any]
"""(JSON value, path, errors) -> datum. It appends to `errors` and never raises for bad data."""


@runtime_checkable
class QuickCheck(Protocol):
    """A check that handles the usual cases of many records at once."""

    def quick(self, records: Sequence[Any], attribute: str) -> Sequence[int]:
        """Replaces the attribute by its datum in the records of the usual cases.

        Returns:
            The indices of the other records, which the check itself must handle.
        """

    def __call__(self, value: Any, path: str, errors: list[FieldError]) -> Any: ...


class Branch(msgspec.Struct, frozen=True, gc=False):
    """A datum of a union that has several branches besides null, with the number of its branch."""

    number: int
    value: Any


# -- JSON numbers -------------------------------------------------------------------------------


class ExactFloat(float):
    """A JSON number that keeps its text: a decimal may need more digits than a float has."""

    text: str


ExactFloat.__name__ = "float"  # JMESPath knows types by their names


def parse_number(text: str) -> ExactFloat:
    """A number with a point or an exponent that is decoded without a type (a `float_hook`).

    Raises:
        ValueError: no float holds the number.
    """
    value = ExactFloat(text)
    if not math.isfinite(value):
        raise ValueError("Number out of range")
    value.text = text
    return value


def encode_number(value: Any) -> msgspec.Raw:
    """The text of an ExactFloat (an `enc_hook`).

    Raises:
        NotImplementedError: the value is of another type.
    """
    if not isinstance(value, ExactFloat):
        raise NotImplementedError
    return msgspec.Raw(value.text.encode())


# -- kinds of values ----------------------------------------------------------------------------

_JSON_KINDS: Final[dict[type, str]] = {
    NoneType: "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}

INEXACT: Final = "number of more digits than a float holds"
"""What a check reports that it found when its decision needs the text of a number."""


def json_kind(value: Any) -> str:
    """`null`, `boolean`, `integer`, `number` (with a point or an exponent), `string`, `array` or
    `object`; the name of the Python type for what is no JSON value."""
    for base in type(value).__mro__:
        if base in _JSON_KINDS:
            return _JSON_KINDS[base]
    return type(value).__name__


def describe_kind(value: Any) -> str:
    """What a value is, without its content, for error messages."""
    kind = json_kind(value)
    if kind == "string":
        return f"text of {len(value)} characters"
    return "whole number" if kind == "integer" else kind
