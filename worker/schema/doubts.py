"""Times in numbers that are most likely counted in another unit than the schema's.

Seconds since 1970 in a field of milliseconds are a day in January or February 1970. They land as
such, because a unit is never guessed; but whoever reads the source is told, unless `decode.times`
says how the field counts.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from worker.core.model import Doubt
from worker.schema.logical import FRACTION_DIGITS, text_of
from worker.schema.model import Type

_TODAY: Final = (100_000_000, 4_100_000_000)
"""Seconds from 1973 to 2099."""
_FORMS: Final = {0: "epoch_s", 3: "epoch_ms", 6: "epoch_us", 9: "epoch_ns"}
"""Digits after the second -> how `decode.times` names the unit."""
MOST_FIELDS: Final = 100
"""Fields of one page that are told; the keys of maps would be any number of them."""


class Reading(NamedTuple):
    """What whole numbers would be in a unit that is coarser than the schema's.

    Attributes:
        low, high: the numbers that are times of today in it; `high` is not one of them.
        digits: of the unit, after the second.
    """

    low: int
    high: int
    digits: int


def other_readings(logical: str) -> tuple[Reading, ...]:
    """The coarser units in which numbers of a timestamp may be meant, from the coarsest on.

    No number is a time of today in two of them.
    """
    own = FRACTION_DIGITS[logical.rpartition("-")[2]]
    low, high = _TODAY
    return tuple(
        Reading(low * 10**digits, high * 10**digits, digits) for digits in _FORMS if digits < own
    )


def _shown(value: int, digits: int) -> str:
    """The text of a time that is counted in a unit of so many digits after the second."""
    digits, value = (digits, value) if digits else (3, value * 1_000)
    unit = next(unit for unit, each in FRACTION_DIGITS.items() if each == digits)
    show = text_of(Type("long", logical=f"timestamp-{unit}"))
    assert show is not None, "timestamps have text"
    return str(show(value))


class Doubts:
    """The first doubtful time of each field, by its path."""

    def __init__(self) -> None:
        self._found: dict[str, Doubt] = {}

    def note(self, field: str, logical: str, value: int, meant: Reading) -> None:
        """Notes a number that was read in the unit of its type."""
        if field not in self._found and len(self._found) < MOST_FIELDS:
            own = FRACTION_DIGITS[logical.rpartition("-")[2]]
            self._found[field] = Doubt(
                read=_shown(value, own),
                unit=_FORMS[own],
                likely=_shown(value, meant.digits),
                likely_unit=_FORMS[meant.digits],
            )

    def take(self) -> dict[str, Doubt]:
        """What was noted since the last call."""
        found, self._found = self._found, {}
        return found
