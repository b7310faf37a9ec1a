"""When a source answered, by its own clock."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.instants import EPOCH, MICROS, MICROSECOND
from worker.http.source_clock import answered_us

NOON = "Mon, 06 May 2024 12:00:00 GMT"
NOON_US = (datetime(2024, 5, 6, 12, tzinfo=UTC) - EPOCH) // MICROSECOND


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)),
    st.one_of(st.none(), st.integers(0, 10**9)),
)
def test_date_and_age_together_say_when_the_answer_was_given(
    moment: datetime, age: int | None
) -> None:
    moment = moment.replace(microsecond=0)
    headers = {"Date": format_datetime(moment, usegmt=True)}
    if age is not None:
        headers["Age"] = str(age)
    assert answered_us(headers) == (moment - EPOCH) // MICROSECOND + (age or 0) * MICROS


@pytest.mark.parametrize(
    "date",
    [
        "",
        "0",
        "now",
        "Mon, 06 May 2024",
        "Mon, 31 Feb 2024 12:00:00 GMT",
        "Mon, 06 May 2024 12:00:00 -0000",  # of no known zone
        "Mon, 06 May 2024 25:00:00 GMT",
        "Mon, 06 May 99999 12:00:00 GMT",
        "Mon, 06 May 2024 12:00:00 +9999",
    ],
)
def test_what_is_no_date_says_nothing(date: str) -> None:
    assert answered_us({"Date": date, "Age": "10"}) is None


def test_without_a_date_an_age_says_nothing() -> None:
    assert answered_us({}) is None
    assert answered_us({"Age": "10"}) is None


@pytest.mark.parametrize("date", [NOON, "Mon, 06 May 2024 14:00:00 +0200", f"  {NOON}"])
def test_a_date_in_any_zone_is_an_instant(date: str) -> None:
    assert answered_us({"Date": date}) == NOON_US


@pytest.mark.parametrize("age", ["", "-1", "1.5", "x", "²", "٣", "1e3", "12345678901", "+1"])
def test_a_wrong_age_is_none(age: str) -> None:
    assert answered_us({"Date": NOON, "Age": age}) == NOON_US


@pytest.mark.parametrize(
    ("age", "seconds"), [("0", 0), (" 60 ", 60), ("9999999999", 9_999_999_999)]
)
def test_an_age_is_in_seconds(age: str, seconds: int) -> None:
    assert answered_us({"Date": NOON, "Age": age}) == NOON_US + seconds * MICROS


@given(st.text(max_size=40), st.text(max_size=12))
def test_any_text_is_a_time_or_none(date: str, age: str) -> None:
    assert isinstance(answered_us({"Date": date, "Age": age}), int | None)
