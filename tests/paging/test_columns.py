"""A page of incremental values read at once says what each value says alone, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.model import MISSING
from worker.paging.marks import MarkFormat

FORMATS = ["rfc3339", "epoch_s", "epoch_ms", "epoch_us", "int"]
MOMENT = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
TEXT = st.builds(
    "{}{}{}{}".format,
    MOMENT.map(lambda moment: moment.replace(microsecond=0).isoformat()),
    st.sampled_from(["", ".1", ".12", ".123", ".123456", ".1234560", ".123456789", ".", ",5"]),
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+05:30", "+0530", "-11:59", "+23:59"]),
    st.sampled_from(["", "", "", " ", "x"]),
)
ODD = [
    "",
    "2024-05-06",
    "2024-05-06T07:08:09",  # of no zone
    "2024-05-06t07:08:09z",
    "2024-05-06 07:08:09Z",
    "2024-05-06T07:08Z",
    "2024-05-06T24:00:00Z",
    "2024-05-06T07:08:60Z",
    "2024-02-30T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-12:00",
    "2024-05-06T07:08:09+24:00",
    "2024-05-06T07:08:09+05:60",
    "2024-05-06T07:08:09+05:99",
    "2024-05-06T07:08:09+99:00",
    "２０２４-05-06T07:08:09Z",
    "2024-05-06T07:08:09Z\n",
    "+2024-05-06T07:08:09Z",
    "7",
    " 7",
    "1_000",
    True,
    False,
    None,
    MISSING,
    7.0,
    7.9,
    -7.9,
    float("nan"),
    float("inf"),
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**63 - 1,
    10**400,
    [],
    {},
    b"2024-05-06T07:08:09Z",
    datetime(2024, 5, 6, tzinfo=UTC),
]
VALUES = st.lists(st.one_of(TEXT, st.integers(), st.sampled_from(ODD)), max_size=3) | st.lists(
    st.sampled_from(["2024-05-06T07:08:09Z", *ODD]), max_size=2
)


def one_by_one(style: MarkFormat, values: list[Any]) -> list[tuple[Any, int]] | None:
    """None where one of them cannot be read."""
    parse = style.parser()
    try:
        return [parse(value) for value in values]
    except (ValueError, TypeError, OverflowError):
        return None


@pytest.mark.parametrize("record", FORMATS)
@given(values=VALUES)
def test_a_column_says_exactly_what_its_values_say_or_nothing(
    record: str, values: list[Any]
) -> None:
    style = MarkFormat(record)
    column = style.column()
    assert column is not None
    found = column(values)
    if found is not None:
        assert [(value, 0) for value in found] == one_by_one(style, values)
        assert all(type(value) is int for value in found)


@pytest.mark.parametrize("record", FORMATS)
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_one_odd_value_among_usual_ones_is_no_exception(record: str, value: Any) -> None:
    style = MarkFormat(record)
    usual = "2024-05-06T07:08:09Z" if record == "rfc3339" else 7
    column = style.column()
    assert column is not None
    for values in ([value], [usual, value], [value, usual]):
        if (found := column(values)) is not None:
            assert [(each, 0) for each in found] == one_by_one(style, values)


@given(st.lists(st.tuples(MOMENT, st.integers(-1439, 1439)), min_size=1, max_size=20))
@example([(datetime(1, 1, 2), 0)])
def test_the_usual_form_is_read_at_once(moments: list[tuple[datetime, int]]) -> None:
    texts = [
        moment.isoformat()
        + f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        for moment, minutes in moments
    ]
    column = MarkFormat().column()
    assert column is not None
    exact = [
        (moment.replace(tzinfo=UTC) - timedelta(minutes=minutes)) for moment, minutes in moments
    ]
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert column(texts) == [(each - epoch) // timedelta(microseconds=1) for each in exact]


@pytest.mark.parametrize(
    ("record", "scale"),
    [("epoch_s", 1_000_000), ("epoch_ms", 1000), ("epoch_us", 1), ("int", 1)],
)
@given(values=st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=9))
def test_whole_numbers_are_read_at_once(record: str, scale: int, values: list[int]) -> None:
    column = MarkFormat(record).column()
    assert column is not None
    assert column(values) == [value * scale for value in values]


@pytest.mark.parametrize(("least", "most"), [(-(2**63), 2**63 - 1)])
def test_the_ends_of_what_can_be_kept_are_read(least: int, most: int) -> None:
    column = MarkFormat("int").column()
    assert column is not None
    assert column([least, most]) == [least, most]
    assert column([least - 1]) is None and column([most + 1]) is None
    instants = MarkFormat("epoch_s").column()
    assert instants is not None
    assert instants([-62_135_596_800]) and instants([253_402_300_799])
    assert instants([-62_135_596_801]) is None and instants([253_402_300_800]) is None
    texts = MarkFormat().column()
    assert texts is not None
    assert texts(["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
    assert texts(["0001-01-01T00:00:00+00:01"]) is None
    assert texts(["9999-12-31T23:59:59-00:01"]) is None


def test_an_empty_page_is_no_exception() -> None:
    for record in FORMATS:
        column = MarkFormat(record).column()
        assert column is not None and not column([])


@pytest.mark.parametrize("record", ["string", "%Y-%m-%d"])
def test_formats_without_a_quick_way_have_no_column(record: str) -> None:
    assert MarkFormat(record).column() is None
