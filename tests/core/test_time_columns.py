"""A column of times says what each of its texts says alone, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.instants import NANOS
from worker.core.written_times import (
    EPOCHS,
    JSON_DATE,
    USUAL,
    instant,
    read_clock,
    read_day,
    time_column,
    time_reader,
)

ZONES = [None, *map(ZoneInfo, ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Monrovia"))]
PATTERNS = [
    *("%d.%m.%Y %H:%M", "%Y%m%d", "%m/%d/%Y", "%Y-%m-%d_%H%M%S", "(%H) [%d*%m+%Y]", "%Y-%m"),
    *("%Y-%m-%d %H:%M:%S.%f", "%d.%m.%Y %H:%M %z", "100%% %d/%m/%Y", "%d\\d%m.%Y", "%Y %X"),
    *("%d.%m.%y", "%d %b %Y", "%I:%M %p %d.%m.%Y", "%A %d/%m/%Y", "%c", "%x %I.%M%p"),
    *("v2 of %B %d, %Y", "Mayor %a %d %b %y", "%a %A %Y-%m-%d"),
]
OTHER_PATTERNS = ["%Y-%j", "%G-%V-%u", "%Y-%U-%a", "%m %b %Y %d"]
FAMILIES = ["date", "timestamp", "local-timestamp"]

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
NEAR = st.datetimes(datetime(1965, 1, 1), datetime(2110, 1, 1), timezones=st.just(UTC) | OFFSETS)
MOMENTS = NEAR | st.datetimes(datetime(1, 1, 1), timezones=st.just(UTC) | OFFSETS)
ISO: list[Callable[[datetime], str]] = [
    lambda at: at.isoformat(),
    lambda at: at.isoformat(" ", "milliseconds"),
    lambda at: at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    lambda at: at.replace(tzinfo=None).isoformat(timespec="seconds"),
    lambda at: at.replace(tzinfo=None).isoformat(timespec="minutes"),
    lambda at: at.replace(tzinfo=None).isoformat(" ", "microseconds") + "789 UTC",
    lambda at: at.replace(tzinfo=None).isoformat(timespec="milliseconds").replace(".", ",") + "+01",
    lambda at: f"{at.year:04}{at:%m%dT%H%M%S%z}",
    lambda at: str(at.date()),
    lambda at: f"{at:%H:%M:%S}",
    lambda at: f"{at:%a, %d %b} {at.year:04} {at:%H:%M:%S} GMT",
    lambda at: f"{at.day} {at:%b} {at.year:04} {at:%H:%M} +0230 (there)",
    lambda at: f"{at:%d %b} {at.year:04}",
]
HOSTILE = (
    st.sampled_from(
        [
            *("", "0", "Z", "\n", "2024-05-06T07:08:09Z\n2024-05-06T07:08:09Z", "N/A"),
            *("2024-02-30T00:00:00Z", "2024-05-06T24:00:00Z", "2016-12-31T23:59:60Z"),
            *("2024-05-06T07:08:09+24:00", "2024-05-06T07:08:09+02:60", "2024-05-06T07:08:09-00:00"),
            *("0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00", "0000-01-01T00:00:00Z"),
            *("٢٠٢٤-05-06T07:08:09Z", "2024-05-06T07:08:09z", "2024-05-06T07:08:09²"),
            *("2024-05-06T07:08:09." + "9" * 50 + "Z", "06.05.2024 09:08", "6.5.2024 9:08"),
            *("06.05.2024 09:08 Z", "06.05.2024 09:08 z", "06.05.2024 09:08 +02:00:30"),
        ]
    )
    | st.text("0123456789-:TZ+., /()", max_size=26)
    | st.text(max_size=20)
)  # fmt: skip


def alone(form: str, family: str, zone: ZoneInfo | None) -> Callable[[str], int]:
    """What reads one text, in nanoseconds."""

    def read(text: str) -> int:
        if form == USUAL and family == "date":
            return read_day(text) * 86_400 * NANOS
        if form == USUAL and family == "time":
            return read_clock(text)
        written = time_reader(form)(text)
        if family == "timestamp":
            return instant(written, zone)
        if form == USUAL and written.offset is not None:
            raise ValueError("a time with a zone")
        return written.shown

    return read


def held(texts: list[str], form: str, family: str, digits: int, zone: ZoneInfo | None) -> Any:
    """The column, of which each value is what the text says alone."""
    found = time_column(form, family, digits, zone)(texts)
    read = alone(form, family, zone)
    for text, value in zip(texts, found or (), strict=bool(found)):
        if value is not None:
            assert value == read(text) // 10 ** (9 - digits), text
    return found


@given(
    st.sampled_from(ISO),
    st.lists(MOMENTS, min_size=1),
    st.lists(HOSTILE, max_size=3),
    st.sampled_from([*FAMILIES, "time"]),
    st.sampled_from([0, 3, 6, 9]),
    st.sampled_from(ZONES),
)
def test_a_column_of_usual_texts_says_what_each_says_alone(
    write: Callable[[datetime], str],
    moments: list[datetime],
    hostile: list[str],
    family: str,
    digits: int,
    zone: ZoneInfo | None,
) -> None:
    texts = [*map(write, moments), *hostile]
    held(texts, USUAL, family, digits, zone)
    held(texts[::-1], USUAL, family, digits, zone)
    held(hostile or [""], USUAL, family, digits, zone)


def with_another(text: str, place: int, sign: str) -> str:
    """The text with one character changed."""
    place %= max(len(text), 1)
    return text[:place] + sign + text[place + 1 :]


SIGNS = st.sampled_from("0123456789aAmMpPtzZ .:-/+?") | st.characters()
CHANGES = st.lists(st.tuples(st.integers(0, 40), SIGNS), max_size=3)


@pytest.mark.parametrize("pattern", [*PATTERNS, *OTHER_PATTERNS])
@given(
    st.lists(MOMENTS, min_size=1),
    st.lists(HOSTILE, max_size=3),
    CHANGES,
    st.sampled_from(FAMILIES),
    st.sampled_from(ZONES[1:]),
)
def test_a_column_of_a_pattern_says_what_each_text_says_alone(
    pattern: str,
    moments: list[datetime],
    hostile: list[str],
    changes: list[tuple[int, str]],
    family: str,
    zone: ZoneInfo,
) -> None:
    written = [at.strftime(pattern) for at in moments]
    texts = [*written, *hostile]
    held(texts, pattern, family, 6, zone)
    held(texts[::-1], pattern, family, 6, zone)
    for change in changes:
        held([*written, with_another(written[0], *change)], pattern, family, 6, zone)


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("v1 %Y-%m-%d", ["v1 2024-05-06", "v2 2024-05-06"]),
        ("%Y-%m-%dT", ["2024-05-06T", "2024-05-06U"]),
        ("%a %Y-%m-%d", ["Mon 2024-05-06", "Tue 2024-05-06"]),
        ("%d %B %Y", ["06 March 2024", "06 Marsh 2024"]),
        ("%y-%m-%d", ["24-05-06", "68-05-06", "69-05-06"]),
        ("%I %p %Y-%m-%d", ["12 AM 2024-05-06", "12 PM 2024-05-06", "00 PM 2024-05-06"]),
    ],
)
def test_texts_of_one_shape_that_are_not_of_the_pattern_are_left_to_the_careful_reader(
    pattern: str, texts: list[str]
) -> None:
    many = texts * 20
    held(many, pattern, "date", 0, None)
    assert None not in held(texts[:1] * 20, pattern, "date", 0, None)


@given(
    st.sampled_from(ISO),
    st.lists(NEAR, min_size=1),
    CHANGES.filter(bool),
    st.sampled_from([*FAMILIES, "time"]),
)
def test_a_usual_text_with_a_character_changed_says_what_it_says_alone(
    write: Callable[[datetime], str],
    moments: list[datetime],
    changes: list[tuple[int, str]],
    family: str,
) -> None:
    written = [write(at) for at in moments]
    changed = [with_another(written[0], *change) for change in changes]
    held([*written, *changed], USUAL, family, 3, ZONES[2])


@given(st.sampled_from(ZONES[1:]), st.integers(1880, 2040), st.lists(st.integers(0, 366 * 96)))
@example(ZoneInfo("Europe/Berlin"), 2024, [8 * 96 * 30 + each for each in range(2_000)])
@example(ZoneInfo("Europe/Berlin"), 2024, [*range(90 * 96, 91 * 96), *range(300 * 96, 301 * 96)])
# it changes its clock by half an hour, in the middle of one
@example(ZONES[3], 2024, [*range(97 * 96, 98 * 96), *range(279 * 96, 280 * 96)])
def test_changes_of_clocks_are_read_as_one_by_one(
    zone: ZoneInfo, year: int, quarters: list[int]
) -> None:
    start = datetime(year, 1, 1)
    moments = [start + timedelta(minutes=15 * each) for each in quarters]
    texts = [f"{at:%Y-%m-%d %H:%M:%S}" for at in moments] or [f"{start}"]
    assert None not in held(texts, USUAL, "timestamp", 3, zone)


@pytest.mark.parametrize(
    ("form", "family", "text"),
    [
        *((USUAL, "timestamp", write(datetime(2024, 5, 6, 7, 8, 9, 123_456, UTC)))
          for write in ISO[:8]),
        *((USUAL, "local-timestamp", write(datetime(2024, 5, 6, 7, 8, 9, 0, UTC)))
          for write in ISO[3:5]),
        (USUAL, "date", "2024-05-06"),
        (USUAL, "date", "20240506"),
        (USUAL, "date", "6 May 2024"),
        (USUAL, "timestamp", "Mon, 06 May 2024 07:08:09 GMT"),
        (USUAL, "timestamp", "Mon, 06 May 2024 23:59:59 GMT"),
        (USUAL, "timestamp", "Mon, 06 May 2024 00:00:00 GMT"),
        ("%Y/%m/%d %H:%M", "timestamp", "2024/5/6 7:08"),
        (USUAL, "timestamp", "6 may 2024 07:08 +0200"),
        (USUAL, "time", "07:08"),
        (USUAL, "time", "07:08:09.5"),
        (USUAL, "time", "T070809"),
        *((pattern, "timestamp", datetime(2024, 5, 6, 7, 8, 9, 0, UTC).strftime(pattern))
          for pattern in PATTERNS),
    ],
)  # fmt: skip
def test_what_is_usual_is_read_as_a_column(form: str, family: str, text: str) -> None:
    found = held([text, text], form, family, 9, ZoneInfo("Europe/Berlin"))
    assert found is not None
    assert None not in found


@given(
    st.sampled_from(ZONES[1:]),
    st.datetimes(datetime(2023, 12, 31), datetime(2025, 1, 2))
    | st.sampled_from([datetime(2024, 3, 31, 1), datetime(2024, 10, 27, 1, 30)]),
    st.integers(1, 240),
)
def test_times_within_few_hours_have_the_offsets_that_each_has_alone(
    zone: ZoneInfo, first: datetime, step_s: int
) -> None:
    texts = [f"{first + each * timedelta(seconds=step_s):%Y-%m-%d %H:%M:%S}" for each in range(60)]
    assert None not in held(texts, USUAL, "timestamp", 3, zone)


@given(
    st.lists(st.sampled_from(["+02:00", "+02:30", "-09:30"]), min_size=1)
    | st.sampled_from(["+02:00", "-00:30", "-23:59", "+24:00", "+02:60"]).map(
        lambda each: [each] * 9
    )
)
def test_offsets_are_read_where_all_are_the_same_and_where_they_differ(offsets: list[str]) -> None:
    found = held([f"2024-05-06T07:08:09{each}" for each in offsets], USUAL, "timestamp", 3, None)
    assert (None in found) == (not {"+24:00", "+02:60"}.isdisjoint(offsets))


@given(
    st.lists(
        st.sampled_from(["0001-01-01", "1969-12-31", "1970-01-01", "2106-02-07", "2106-02-08"])
        | st.sampled_from(["2514-05-30", "2514-05-31", "9999-12-31"]),
        min_size=1,
    ),
    st.sampled_from(["00:00:00", "01:53:04", "06:28:15", "06:28:16", "23:59:59"]),
)
def test_seconds_of_all_years_are_counted(days: list[str], clock: str) -> None:
    assert None not in held([f"{day}T{clock}Z" for day in days], USUAL, "timestamp", 3, None)


@pytest.mark.parametrize("clock", ["00:00:00", "07:08:09", "23:59:59"])
@pytest.mark.parametrize("day", ["Sun", "Tue", "Fri"])
def test_a_text_that_names_another_day_of_the_week_is_in_no_column(day: str, clock: str) -> None:
    text = f"{day}, 06 May 2024 {clock} GMT"
    assert held([text, text], USUAL, "timestamp", 3, None) == [None, None]


def test_texts_of_other_shapes_are_other_columns() -> None:
    good = ["2024-05-06T07:08:09.5Z", "2024-05-06T07:08:09Z", "2024-05-06T07:08:09-02:00"]
    bad = ["", "x" * 20, "2024-05-06T07:08:09é"]
    found = held([*good, *bad, *good], USUAL, "timestamp", 3, None)
    assert [each is None for each in found] == [*[False] * 3, *[True] * 3, *[False] * 3]
    assert None not in held(good * 100, USUAL, "timestamp", 3, None)
    shapes = ["x" * each for each in range(50)]
    assert len(set(held([*shapes, *good], USUAL, "timestamp", 3, None))) <= 1 + len(good)


@pytest.mark.parametrize("place", range(len("2024-05-06T07:08:09Z")))
@pytest.mark.parametrize("other", "0:/;-9 T")
def test_a_digit_and_what_is_none_are_never_the_same(place: int, other: str) -> None:
    good = "2024-05-06T07:08:09Z"
    held([good, f"{good[:place]}{other}{good[place + 1 :]}"], USUAL, "timestamp", 3, None)


@pytest.mark.parametrize("place", [0, 500, 999])
@pytest.mark.parametrize(
    ("form", "bad"), [("%Y-%m-%d %H:%M:%S", "0000-00-00 00:00:00"), (USUAL, "2024-02-30 00:00:00")]
)
def test_a_text_that_is_no_time_costs_itself_and_its_neighbours(
    form: str, bad: str, place: int
) -> None:
    texts = [str(datetime(2024, 5, 6) + timedelta(seconds=each)) for each in range(1_000)]
    texts[place] = bad
    found = held(texts, form, "local-timestamp", 3, None)
    assert found[place] is None
    assert found.count(None) <= 32


@pytest.mark.parametrize("pattern", OTHER_PATTERNS)
def test_patterns_of_other_directives_are_read_one_by_one(pattern: str) -> None:
    text = datetime(2024, 5, 6, 17, 8, 9).strftime(pattern)
    assert held([text, text], pattern, "timestamp", 3, ZoneInfo("UTC")) == [None, None]


@pytest.mark.parametrize("value", [5, None, [], ["2024-05-06T07:08:09Z"], {}, b"2024-05-06"])
def test_what_is_no_text_is_in_no_column(value: Any) -> None:
    found = time_column(USUAL, "timestamp", 3)(["2024-05-06T07:08:09Z", value])
    assert found is None or found[1] is None


@pytest.mark.parametrize("form", [*EPOCHS, JSON_DATE])
def test_counts_have_no_columns_of_texts(form: str) -> None:
    assert time_column(form, "timestamp", 3)(["1714979289", "1714979290"]) is None


def test_texts_without_a_zone_are_no_instants_and_those_with_one_no_local_times() -> None:
    assert held(["2024-05-06T07:08:09"], USUAL, "timestamp", 3, None) == [None]
    assert held(["2024-05-06T07:08:09Z"], USUAL, "local-timestamp", 3, None) == [None]


def test_what_is_remembered_of_layouts_and_hours_is_bounded() -> None:
    column = time_column(USUAL, "timestamp", 3, ZoneInfo("Europe/Berlin"))
    for digits in range(1, 300):
        assert column([f"2024-05-06T07:08:09.{'5' * digits}"]) is not None
    start = datetime(2000, 1, 1)
    for part in range(0, 60_000, 10_000):
        hours = [start + timedelta(hours=part + each) for each in range(10_000)]
        read = alone(USUAL, "timestamp", ZoneInfo("Europe/Berlin"))
        texts = [str(at) for at in hours]
        found = column(texts)
        assert found is not None
        assert found[::999] == [read(text) // 10**6 for text in texts[::999]]
        assert len(column._offsets) <= 20_000 and len(column._layouts) <= 100
