"""`Retry-After`, as servers write it."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.retry_after import (
    WaitFormat,
    limit_reached,
    parse_reset,
    parse_retry_after,
    parse_wait,
    wait_asked_for,
)

FORMATS = get_args(WaitFormat)


@pytest.mark.fault(20, by="seconds, also of ten years")
@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("315360000", 600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", 1.5),
        (" 2.25 ", 2.25),
        ("601.0", 600.0),
        ("1.", None),
        (".5", None),
        ("1e9", None),
        ("nan", None),
        ("12abc", None),
        ("9" * 5000, 600.0),
    ],
)
def test_retry_after_in_seconds(said: str, seconds: float | None) -> None:
    assert parse_retry_after(said, date=None, max_s=600.0) == seconds


@pytest.mark.fault(20, by="dates")
def test_retry_after_as_a_date_is_counted_from_the_servers_own_clock() -> None:
    said, server = formatdate(1_000_090, usegmt=True), formatdate(1_000_000, usegmt=True)
    assert parse_retry_after(said, date=server, max_s=600.0) == 90.0
    assert parse_retry_after(server, date=said, max_s=600.0) == 0.0


@pytest.mark.fault(20, by="garbage")
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
            9.0,
        ),
        (
            {"Retry-After": "3", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"},
            True,
            3.0,
        ),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9"}, True, 9.0),
        ({"X-RateLimit-Remaining": "0"}, True, None),
        ({"X-RateLimit-Remaining": "1", "X-RateLimit-Reset": "9"}, False, None),
    ],
)
def test_retry_after_that_can_be_read_counts_alone_and_a_reset_only_when_no_request_is_left(
    headers: dict[str, str], reached: bool, seconds: float | None
) -> None:
    assert limit_reached(headers) == reached
    assert wait_asked_for(headers, now_s=1_700_000_000.0, max_s=600.0) == seconds


NOW = 1_700_000_000.0
DATE = formatdate(NOW, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit": '"default";r=0;t=30'}, 30.0),
        ({"RateLimit": "default;r=0;t=30"}, 30.0),
        ({"RateLimit": '"burst";r=0;t=5, "daily";r=0;t=90, "x";r=7;t=999'}, 90.0),
        ({"RateLimit": '"a, b;r=5;t=1" ; t=40 ; r=0;pk=:abc=:'}, 40.0),
        ({"RateLimit": '"default";r=5;t=30'}, None),
        ({"RateLimit": '"default";r=0'}, None),
        ({"RateLimit": "limit=10, remaining=0, reset=12"}, 12.0),
        ({"RateLimit": "limit=10,remaining=0,reset=12"}, 12.0),
        ({"RateLimit": "limit=10, remaining=3, reset=12"}, None),
        ({"RateLimit": "no limit at all"}, None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "12"}, 12.0),
        ({"RateLimit-Limit": "10", "RateLimit-Reset": "12"}, 12.0),
        ({"RateLimit-Remaining": "5", "RateLimit-Reset": "12"}, None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "1700000012"}, 12.0),
        ({"X-RateLimit-Reset": "1700000012"}, 12.0),
        ({"X-RateLimit-Reset": "1700000012500", "X-RateLimit-Remaining": "0"}, 12.5),
        ({"X-Rate-Limit-Reset": "1700000012", "X-Rate-Limit-Remaining": "0"}, 12.0),
        ({"X-Rate-Limit-Reset": "12"}, 12.0),
        ({"X-RateLimit-Reset": "2023-11-14T22:13:32Z"}, 12.0),
        ({"X-RateLimit-Reset": formatdate(NOW + 12, usegmt=True)}, 12.0),
        ({"X-RateLimit-Reset": "tomorrow"}, None),
        ({"X-RateLimit-Remaining": "many", "X-RateLimit-Reset": "12"}, None),
        ({"RateLimit": '"default";r=0;t=30', "X-RateLimit-Reset": "1700000090"}, 90.0),
        ({"RateLimit": '"default";r=0;t=3000'}, 600.0),
        ({"Retry-After": "1", "RateLimit": '"default";r=0;t=30'}, 1.0),
    ],
)
def test_a_limit_says_in_its_own_dialect_how_long_to_wait(
    headers: dict[str, str], seconds: float | None
) -> None:
    ours = NOW + 4_000.0  # an hour off: the Date of the answer counts
    said = {**headers, "Date": DATE}
    assert wait_asked_for(said, now_s=ours, max_s=600.0, limited=True) == seconds


@pytest.mark.parametrize(
    "headers", [{"RateLimit-Reset": "9"}, {"X-RateLimit-Reset": "9"}, {"X-Rate-Limit-Reset": "9"}]
)
def test_a_reset_of_an_answer_that_was_not_refused_is_no_wait(headers: dict[str, str]) -> None:
    assert wait_asked_for(headers, now_s=NOW, max_s=600.0) is None and not limit_reached(headers)


@pytest.mark.parametrize(
    ("value", "form", "seconds"),
    [
        (30, "seconds", 30.0),
        (1.5, "seconds", 1.5),
        ("31.5s", "seconds", 31.5),
        (1500, "milliseconds", 1.5),
        ("2", "minutes", 120.0),
        (1_700_000_020, "epoch_s", 20.0),
        ("1700000020500", "epoch_ms", 20.5),
        (1_600_000_000, "epoch_s", 0.0),
        (formatdate(NOW + 20, usegmt=True), "http_date", 20.0),
        ("2023-11-14T22:13:40+00:00", "rfc3339", 20.0),
        ("2023-11-14T22:13:40", "rfc3339", None),
        (10**30, "seconds", 600.0),
        (-1, "seconds", None),
        (True, "seconds", None),
        (None, "seconds", None),
        ([30], "seconds", None),
        ("soon", "http_date", None),
        (5, "http_date", None),
        ("31.5s", "minutes", None),
    ],
)
def test_a_wait_is_read_as_the_config_says(value: Any, form: Any, seconds: float | None) -> None:
    assert parse_wait(value, form, date=DATE, now_s=0.0, max_s=600.0) == seconds


@given(st.text() | st.integers() | st.floats() | st.none(), st.sampled_from(FORMATS), st.text())
def test_any_value_is_a_wait_within_the_limit_or_none(value: Any, form: Any, date: str) -> None:
    found = parse_wait(value, form, date=date, now_s=NOW, max_s=600.0)
    assert found is None or 0.0 <= found <= 600.0
    headers = {name: str(value) for name in ("RateLimit", "X-RateLimit-Reset", "RateLimit-Reset")}
    found = wait_asked_for(headers, now_s=NOW, max_s=600.0, limited=True)
    assert found is None or 0.0 <= found <= 600.0
