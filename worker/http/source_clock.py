"""When a source gave an answer, by its own clock: Date and Age (RFC 9110, 6.6.1; RFC 9111, 5.1).
Pure.

What the source writes into records, and which of them it shows, follows its clock and not ours. A
mark that is later than its now would skip what it writes next.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from worker.core.instants import EPOCH, MICROS, MICROSECOND

LEAST_SAID_S: Final = 60.0
"""A smaller difference of the clocks is not worth a word."""


def answered_us(headers: Mapping[str, str]) -> int | None:
    """When the source gave the answer, in microseconds since 1970; None where it does not say.

    A cache gives the date of the answer that it keeps, and how old that is.
    """
    said = _date_us(headers.get("Date", ""))
    if said is None:
        return None
    age = headers.get("Age", "").strip()
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        return said
    return said + int(age) * MICROS


@lru_cache(maxsize=64)  # it changes once a second
def _date_us(text: str) -> int | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment - EPOCH) // MICROSECOND
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
