"""What checks work on and what they make: JSON values, and datums of unions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


SURE_CHARS: Final = 16
"""A number of so many characters with a point has 15 digits at most, which every float shows as
they were written."""


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


def read_number(text: str) -> float:
    """A number with a point or an exponent (a `float_hook`), as an ExactFloat where a float may
    not have all of its digits.

    Raises:
        ValueError: no float holds the number.
    """
    if len(text) > SURE_CHARS or "e" in text or "E" in text:
        return parse_number(text)
    return float(text)


def plain_number(value: Any) -> Any:
    """A JSON value without the texts of its numbers."""
    if type(value) is ExactFloat:
        return float(value)
    if type(value) is list:
        return [plain_number(each) for each in value]
    if type(value) is dict:
        return {key: plain_number(each) for key, each in value.items()}
    return value


def known_number(value: Any) -> Any:
    """A JSON value with what identifies each of its numbers: a float, as it is compared and
    encoded, or its digits where a float does not have all of them.
    """
    if type(value) is ExactFloat:
        plain = float(value)
        return plain if _digits(repr(plain)) == (digits := _digits(value.text)) else digits
    if type(value) is list:
        return [known_number(each) for each in value]
    if type(value) is dict:
        return {key: known_number(each) for key, each in value.items()}
    return value


def _digits(text: str) -> tuple[str, int]:
    """A number as (its digits with their sign, the power of ten by which they count), so that
    equal numbers are the same however they are written.
    """
    number, _, exponent = text.lower().partition("e")
    whole, _, fraction = number.partition(".")
    sign = "-" if whole.startswith("-") else ""
    digits = (whole.removeprefix("-") + fraction).lstrip("0")
    short = digits.rstrip("0")
    power = int(exponent[:20] or 0) - len(fraction) + len(digits) - len(short)
    return (f"{sign}{short}", power) if short else ("0", 0)


def encode_number(value: Any) -> msgspec.Raw:
    """The text of an ExactFloat (an `enc_hook`).

    Raises:
        NotImplementedError: the value is of another type.
    """
    if not isinstance(value, ExactFloat):
        raise NotImplementedError
    return msgspec.Raw(value.text.encode())
