"""Incremental values compare as what they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.paging.marks import MarkFormat

MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))


@given(MOMENTS)
def test_an_rfc3339_mark_survives_the_round_trip(moment: datetime) -> None:
    style = MarkFormat()
    parse = style.parser()
    comparable, _ = parse(moment.isoformat())
    assert parse(style.text(comparable)) == (comparable, 0)


@given(MOMENTS, MOMENTS, st.integers(-720, 720))
def test_instants_compare_as_instants_whatever_their_zone(
    one: datetime, other: datetime, minutes: int
) -> None:
    parse = MarkFormat().parser()
    offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    shifted = (one.replace(tzinfo=None) + timedelta(minutes=minutes)).isoformat() + offset
    assert parse(shifted)[0] == parse(one.isoformat())[0]
    assert (parse(one.isoformat()) < parse(other.isoformat())) == (one < other)


def test_digits_below_a_microsecond_are_kept_apart() -> None:
    parse = MarkFormat().parser()
    assert parse("2024-01-01T00:00:00.123456789Z") == (parse("2024-01-01T00:00:00.123456Z")[0], 789)


@pytest.mark.parametrize(
    "value", ["2024-01-01T00:00:00", "2024-01-01", "", "x", "2024-13-01T00:00:00Z"]
)
def test_what_is_no_instant_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        MarkFormat().parser()(value)


@pytest.mark.parametrize(
    ("style", "value", "text"),
    [
        (MarkFormat("epoch_s"), 1700000000, "1700000000"),
        (MarkFormat("epoch_ms"), 1700000000123, "1700000000123"),
        (MarkFormat("epoch_us"), 7, "7"),
        (MarkFormat("int"), 42, "42"),
        (MarkFormat("string"), "b7", "b7"),
        (MarkFormat("rfc3339", "%Y-%m-%d %H:%M"), "2024-05-06T07:08:59Z", "2024-05-06 07:08"),
        (MarkFormat("rfc3339", "epoch_s"), "1970-01-01T00:00:01.999Z", "1"),
        (MarkFormat("rfc3339", "json_date"), "1970-01-01T00:00:01.9999Z", "/Date(1999)/"),
        (MarkFormat("%d.%m.%Y", "rfc3339"), "02.01.1970", "1970-01-02T00:00:00Z"),
        (
            MarkFormat("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M", "Europe/Berlin"),
            "2024-07-01 12:00",
            "2024-07-01 12:00",
        ),
    ],
)
def test_formats(style: MarkFormat, value: Any, text: str) -> None:
    assert style.text(style.parser()(value)[0]) == text


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),
    st.sampled_from(["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "%Y-%m-%d", "%Y-%m-%d %H:%M"]),
    st.sampled_from(["UTC", "Europe/Berlin"]),
)
def test_a_bound_is_read_as_the_source_reads_it_and_is_never_above_the_mark(
    moment: datetime, param: str, zone: str
) -> None:
    style = MarkFormat("rfc3339", param, zone)
    mark, _ = style.parser()(moment.isoformat())
    bound = style.bound(style.text(mark))
    assert isinstance(bound, int) and isinstance(mark, int)
    assert mark - 26 * 3600 * 1_000_000 < bound <= mark
    assert style.bound(style.text(bound)) == bound


def test_a_bound_that_cannot_be_read_back_is_none() -> None:
    assert MarkFormat("rfc3339", "%Y %Z", "Europe/Berlin").bound("2024 CET") is None


@pytest.mark.parametrize(
    ("style", "initial", "first"),
    [
        (MarkFormat(), "2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00+02:00"),
        (MarkFormat("rfc3339", "%Y-%m-%d %H:%M"), "2024-01-01T00:00:00Z", "2024-01-01 00:00"),
        (MarkFormat("rfc3339", "%Y-%m-%d %H:%M"), "2024-01-01 00:00", "2024-01-01 00:00"),
        (MarkFormat("rfc3339", "%Y-%m-%d", "Asia/Tokyo"), "2024-01-01T23:00:00Z", "2024-01-02"),
        (MarkFormat("rfc3339", "epoch_s"), "2024-01-01T00:00:00Z", 1704067200),
        (MarkFormat("rfc3339", "epoch_s"), 0, 0),
        (MarkFormat("epoch_ms"), "2024-01-01T00:00:00Z", 1704067200000),
        (MarkFormat("epoch_ms"), "1704067200000", "1704067200000"),
        (MarkFormat("epoch_s", "%Y-%m-%d"), 1704067200, "2024-01-01"),
        (MarkFormat("%d.%m.%Y", "rfc3339"), "02.01.2024", "2024-01-02T00:00:00Z"),
        (MarkFormat("%d.%m.%Y", "epoch_s"), "soon", "soon"),
    ],
)
def test_the_first_bound_is_written_as_requests_want_it(
    style: MarkFormat, initial: Any, first: Any
) -> None:
    assert style.first(initial) == first


@pytest.mark.parametrize("value", [True, None, [], "x"])
def test_numbers_are_numbers(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        MarkFormat("int").parser()(value)


OUT_OF_RANGE: list[tuple[MarkFormat, Any]] = [
    (MarkFormat(), "0001-01-01T00:00:00+14:00"),
    (MarkFormat(), "9999-12-31T23:59:59.999999999-12:00"),
    (MarkFormat("epoch_ms", "rfc3339"), 1_700_000_000_000_000),  # microseconds by mistake
    (MarkFormat("epoch_s", "%Y-%m-%d"), 10**12),
    (MarkFormat("epoch_s"), 1e300),
    (MarkFormat("epoch_us"), 2**63 - 1),
    (MarkFormat("int"), 2**63),
    (MarkFormat("int"), "-123456789012345678901234567890"),
]


@pytest.mark.parametrize(("style", "value"), OUT_OF_RANGE)
def test_a_value_that_no_mark_can_be_is_refused(style: MarkFormat, value: Any) -> None:
    with pytest.raises(ValueError):
        style.parser()(value)


@pytest.mark.parametrize("param", ["rfc3339", "epoch_ms", "%Y-%m-%d %H:%M"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("value", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_the_ends_of_the_calendar_can_be_asked_for(param: str, zone: str, value: str) -> None:
    """The least time of .NET is `0001-01-01T00:00:00Z`, and "never" is often the end of the year
    9999.
    """
    style = MarkFormat("rfc3339", param, zone)
    mark = style.parser()(value)[0]
    assert isinstance(mark, int)
    for overlap in (0, 60_000_000):
        bound = style.bound(style.text(mark - overlap))
        assert bound is None or (isinstance(bound, int) and bound <= mark)


@pytest.mark.parametrize(
    ("record", "quick"),
    [("rfc3339", True), ("epoch_ms", True), ("epoch_ns", False), ("int", True), ("string", False)],
)
def test_usual_formats_have_a_quick_way_for_whole_pages(record: str, quick: bool) -> None:
    read = "".join(list(record))  # as a config has it: equal, and not the same object
    assert (MarkFormat(read).column() is not None) == quick
