"""Whole steps of a zone: an instant is rounded down, and never further than a step and its change
of time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.instants import EPOCH, LEAST, MICROS, MICROSECOND, MOST, rfc3339_text, whole_steps

MINUTE = 60 * MICROS
HOUR = 60 * MINUTE
DAY = 24 * HOUR
STEPS = [MICROS, MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY]
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Havana",  # has midnight twice
    "America/Sao_Paulo",  # had no midnight once a year
    "Australia/Lord_Howe",  # changes by half an hour
    "Asia/Kathmandu",
    "Pacific/Apia",  # left out a day
]


def at(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // MICROSECOND


INSTANTS = st.one_of(
    st.integers(at("2010-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z")),
    # around the changes of time
    st.builds(
        lambda day, hour: at(f"{day}T00:00:00+00:00") + hour * HOUR // 4,
        st.sampled_from(
            ["2024-03-31", "2024-10-27", "2024-11-03", "2018-11-04", "2024-04-06", "2011-12-30"]
        ),
        st.integers(-60, 60),
    ),
)


@given(INSTANTS, st.sampled_from(STEPS), st.sampled_from(ZONES))
def test_rounding_goes_down_and_once_is_enough(moment: int, step: int, name: str) -> None:
    zone = ZoneInfo(name)
    rounded = whole_steps(moment, step, zone)
    assert moment - step - 25 * HOUR < rounded <= moment
    assert whole_steps(rounded, step, zone) == rounded


@given(INSTANTS, INSTANTS, st.sampled_from(STEPS), st.sampled_from(ZONES))
@example(at("2024-11-03T05:30:00Z"), at("2024-11-03T06:30:00Z"), DAY, "America/Havana")
def test_a_later_instant_is_never_rounded_to_an_earlier_step(
    one: int, other: int, step: int, name: str
) -> None:
    zone = ZoneInfo(name)
    first, second = sorted((one, other))
    assert whole_steps(first, step, zone) <= whole_steps(second, step, zone)


@pytest.mark.parametrize(
    ("zone", "moment", "step", "rounded"),
    [
        ("UTC", "2024-05-06T23:59:59Z", DAY, "2024-05-06T00:00:00Z"),
        ("Europe/Berlin", "2024-05-06T22:30:00Z", DAY, "2024-05-06T22:00:00Z"),
        ("Europe/Berlin", "2024-05-06T21:30:00Z", DAY, "2024-05-05T22:00:00Z"),
        # the day of 25 hours begins at its own midnight
        ("Europe/Berlin", "2024-10-27T22:59:00Z", DAY, "2024-10-26T22:00:00Z"),
        ("Europe/Berlin", "2024-10-27T01:30:00Z", HOUR, "2024-10-27T01:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T15:00:00Z", DAY, "2018-11-04T03:00:00Z"),
        ("Europe/Berlin", "2024-10-27T00:30:00Z", HOUR, "2024-10-27T00:00:00Z"),
        ("UTC", "0001-01-03T00:00:00Z", 7 * DAY, "0001-01-01T00:00:00Z"),
        ("UTC", "1970-01-02T00:00:00Z", 2 * DAY, "1970-01-01T00:00:00Z"),
        # before 1970 it is rounded down too
        ("UTC", "1969-12-31T23:00:00Z", DAY, "1969-12-31T00:00:00Z"),
    ],
)
def test_a_day_begins_at_its_own_midnight(zone: str, moment: str, step: int, rounded: str) -> None:
    assert whole_steps(at(moment), step, ZoneInfo(zone)) == at(rounded)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("step", [MINUTE, DAY, 7 * DAY])
@pytest.mark.parametrize("moment", [LEAST, LEAST + HOUR, MOST - HOUR, MOST, LEAST - HOUR])
def test_the_ends_of_the_calendar_can_be_rounded(zone: str, step: int, moment: int) -> None:
    """The least time of .NET is a mark like any other; an overlap reaches below it."""
    rounded = whole_steps(moment, step, ZoneInfo(zone))
    assert rounded <= moment
    assert whole_steps(rounded, step, ZoneInfo(zone)) == rounded


def test_the_range_is_the_years_1_to_9999() -> None:
    assert datetime(1970, 1, 1, tzinfo=UTC) == EPOCH
    assert (LEAST, MOST) == (-62_135_596_800_000_000, 253_402_300_799_999_999)
    assert EPOCH + timedelta(microseconds=LEAST) == datetime(1, 1, 1, tzinfo=UTC)
    last = EPOCH + timedelta(microseconds=MOST)
    assert (last.year, last.month, last.day, last.microsecond) == (9999, 12, 31, 999_999)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_000_000, "1970-01-01T00:00:01Z"),
        (LEAST, "0001-01-01T00:00:00Z"),
        (MOST, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_instants_are_written_with_the_digits_that_they_have(micros: int, text: str) -> None:
    assert rfc3339_text(micros) == text
