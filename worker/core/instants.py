"""Instants as whole microseconds since 1970-01-01T00:00:00Z, the form in which they are compared
and stored. Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
MICROS: Final = 1_000_000
"""Microseconds per second."""
NANOS: Final = 1_000_000_000
"""Nanoseconds per second."""

LEAST: Final = (datetime.min.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""The first moment of the year 1."""
MOST: Final = (datetime.max.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
"""The last microsecond of the year 9999."""

EPOCH_SHOWN: Final = EPOCH.replace(tzinfo=None)
"""The beginning of 1970 by a clock whose zone is not said."""
EPOCH_DAY: Final = EPOCH.toordinal()
"""The day 0 of Avro, counted as Python counts days."""


def whole_steps(at: int, step: int, zone: ZoneInfo) -> int:
    """An instant rounded down to whole steps, counted in the time of a zone: a day of Berlin begins
    at its own midnight. Both are microseconds.

    Later instants are never rounded to earlier steps: a time that comes twice, as the clocks go
    back, begins one step, unless steps are so short that each of the two begins one. Where the
    calendar has no such time, in its first and last days, the instant stays, or is its beginning.
    """
    try:
        local = (EPOCH + timedelta(microseconds=at)).astimezone(zone)
        since = (local.replace(tzinfo=None) - EPOCH_SHOWN) // MICROSECOND
        rounded = EPOCH_SHOWN + timedelta(microseconds=since - since % step)
    except OverflowError:
        return at if at > 0 else min(at, LEAST)
    first, second = (
        (rounded.replace(tzinfo=zone, fold=fold) - EPOCH) // MICROSECOND for fold in (0, 1)
    )
    return min(second if local.fold and second - first >= step else first, at)


def rfc3339_millis(moment: datetime) -> str:
    """A moment that knows its zone as RFC 3339 text in UTC, with milliseconds, which all have: such
    texts have the order of their moments.
    """
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def rfc3339_at(seconds: float) -> str:
    """Seconds since 1970 as `rfc3339_millis` writes them; the beginning of 1970 for what is before
    it.
    """
    return rfc3339_millis(datetime.fromtimestamp(max(seconds, 0.0), UTC))


def rfc3339_text(micros: int) -> str:
    """The instant as RFC 3339 text in UTC, with microseconds where there are any.

    Raises OverflowError outside the years 1 to 9999.
    """
    moment = EPOCH + timedelta(microseconds=micros)
    timespec = "microseconds" if micros % MICROS else "seconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
