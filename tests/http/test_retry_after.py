"""`Retry-After`, as servers write it."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.retry_after import (
    limit_reached,
    parse_reset,
    parse_retry_after,
    wait_asked_for,
)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("315360000", 600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("nan", None),
        ("12abc", None),
        ("9" * 5000, 600.0),
    ],
)
def test_retry_after_in_seconds(said: str, seconds: float | None) -> None:
    assert parse_retry_after(said, date=None, max_s=600.0) == seconds


def test_retry_after_as_a_date_is_counted_from_the_servers_own_clock() -> None:
    said, server = formatdate(1_000_090, usegmt=True), formatdate(1_000_000, usegmt=True)
    assert parse_retry_after(said, date=server, max_s=600.0) == 90.0
    assert parse_retry_after(server, date=said, max_s=600.0) == 0.0


@given(st.text(), st.none() | st.text())
def test_retry_after_never_raises(said: str, date: str | None) -> None:
    found = parse_retry_after(said, date=date, max_s=600.0)
    assert found is None or 0 <= found <= 600.0


def test_a_date_without_the_servers_own_date_says_nothing() -> None:
    """Our clock may be hours off, so it is no measure."""
    assert parse_retry_after(formatdate(1_000_090, usegmt=True), date=None, max_s=600.0) is None


@given(st.integers(0, 2_000_000_000), st.integers(0, 2_000_000_000), st.floats(0, 1e6))
def test_any_two_dates_give_a_time_within_the_limit(until: int, now: int, longest: float) -> None:
    found = parse_retry_after(
        formatdate(until, usegmt=True), date=formatdate(now, usegmt=True), max_s=longest
    )
    assert found == min(max(until - now, 0), longest)


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 2024 00:00:00",
        "Mon, 01 Jan 2024 00:00:00 -0000",
        "01 Jan 99999999999 00:00:00 GMT",
        "garbage",
    ],
)
def test_dates_that_cannot_be_compared_are_ignored(date: str) -> None:
    assert parse_retry_after("Mon, 01 Jan 2024 00:01:00 GMT", date=date, max_s=600.0) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30.0),
        (" 0.5 ", 0.5),
        ("1700000090", 90.0),
        ("1700000090.25", 90.25),
        ("1700000090000", 90.0),
        ("1699999999", 0.0),
        ("9" * 5000, 600.0),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("\u00b2", None),  # a digit for `isdigit`, but no number
        ("\u0663", None),
    ],
)
def test_a_reset_is_seconds_from_now_or_since_1970(said: str, seconds: float | None) -> None:
    assert parse_reset(said, date=None, now_s=1_700_000_000.0, max_s=600.0) == seconds


def test_a_reset_is_read_against_the_servers_own_clock() -> None:
    server = formatdate(1_700_000_000, usegmt=True)
    assert parse_reset("1700000090", date=server, now_s=1_700_003_600.0, max_s=600.0) == 90.0


@given(st.text(), st.none() | st.text())
def test_a_reset_never_raises(said: str, date: str | None) -> None:
    found = parse_reset(said, date=date, now_s=1_700_000_000.0, max_s=600.0)
    assert found is None or 0 <= found <= 600.0


@pytest.mark.parametrize(
    ("headers", "reached", "seconds"),
    [
        ({}, False, None),
        ({"Retry-After": "3"}, True, 3.0),
        (
            {"Retry-After": "soon", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"},
            True,
            None,
        ),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"}, True, 9.0),
        ({"X-RateLimit-Remaining": "0"}, True, None),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "9"}, False, None),
    ],
)
def test_retry_after_counts_alone_and_a_reset_only_when_no_request_is_left(
    headers: dict[str, str], reached: bool, seconds: float | None
) -> None:
    assert limit_reached(headers) == reached
    assert wait_asked_for(headers, now_s=1_700_000_000.0, max_s=600.0) == seconds
