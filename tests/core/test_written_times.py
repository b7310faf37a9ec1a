"""Times are read as they are written, or not at all."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.written_times import (
    EPOCHS,
    NANOS,
    USUAL,
    NoZone,
    Written,
    instant,
    pattern_problem,
    read_clock,
    read_day,
    read_text,
    says_zone,
    time_column,
    time_reader,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
MAY = int(datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()) * NANOS


def nanos(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1) * 1_000


# -- text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-06T07:08:09Z",
        "2024-05-06t07:08:09z",
        "2024-05-06 07:08:09Z",
        "2024-05-06T07:08:09.000Z",
        "2024-05-06T07:08:09,0000000000000001Z",
        "2024-05-06T09:08:09+02:00",
        "2024-05-06T09:08:09+0200",
        "2024-05-06T09:08:09+02",
        "2024-05-06T03:38:09-03:30",
        "2024-05-06T07:08:09-00:00",
        "2024-05-06 09:08:09 +0200",
        "2024-05-06 07:08:09 UTC",
        "2024-05-06 07:08:09 utc",
        "2024-05-06 07:08:09 UT",
        "2024-05-06T07:08:09GMT",
        "20240506T070809Z",
        "20240506T070809.000Z",
        "20240506 070809 GMT",
        "20240506T090809+02",
        "20240506T07:08:09Z",
        "Mon, 06 May 2024 07:08:09 GMT",
        "Mon, 6 May 2024 09:08:09 +0200",
        "06 May 2024 07:08:09 +0000 (UTC)",
        "mon, 06 may 2024 07:08:09 ut",
    ],
)
def test_an_instant_is_read_in_every_usual_form(text: str) -> None:
    assert instant(read_text(text)) == MAY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "N/A",
        "2024-05-06",
        "2024-05-06T07Z",
        "2024-05-06T24:00:00Z",
        "2024-05-06T23:59:60Z",
        "2024-05-06T07:60:00Z",
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2024-05-06T07:08:09+24:00",
        "2024-05-06T07:08:09+02:60",
        "2024-05-06T07:08:09.Z",
        "2024-05-06T07:08.5Z",
        "2024-05-06T07:0809Z",
        "2024-0506T07:08:09Z",
        "24-05-06T07:08:09Z",
        "2024-5-6T07:08:09Z",
        "2024-05-06T7:08:09Z",
        "2024-05-06T07:08:09 EST",
        "2024-05-06T07:08:09 GMT+2",
        "2024-05-06T07:08:09ZZ",
        " 2024-05-06T07:08:09Z",
        "2024-05-06T07:08:09Z\n",
        "2024-W19-1T07:08:09Z",
        "2024-127T07:08:09Z",
        "2024/05/06 07:08:09Z",
        "05/06/2024 07:08:09",
        "1714979289",
        "20240506070809",
        "Tue, 06 May 2024 07:08:09 GMT",
        "Mon, 06 May 24 07:08:09 GMT",
        "Mon, 32 May 2024 07:08:09 GMT",
        "Mon, 06 Mai 2024 07:08:09 GMT",
        "Mon, 06 May 2024 24:00:00 GMT",
        "Monday, 06-May-24 07:08:09 GMT",
        "Mon May  6 07:08:09 2024",
        "٢٠٢٤-05-06T07:08:09Z",  # digits of another script
        "2024-05-06T07:08:09" + "9" * 10_000,
        "2024-05-06T07:08:09." + "9" * 10_000 + "x",
        "\0",
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        instant(read_text(text))


ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)


@given(MOMENTS)
def test_what_python_writes_is_read_as_the_instant_that_it_was(at: datetime) -> None:
    offset = at.strftime("%z")
    clock = f"{at:%H%M%S}.{at.microsecond:06}"
    basic = f"{at.year:04}{at:%m%d}T{clock}{offset}"
    for text in (at.isoformat(), at.isoformat(" ").replace(".", ","), basic):
        assert instant(read_text(text)) == nanos(at)
    assert instant(read_text(format_datetime(at))) == nanos(at.replace(microsecond=0))


@given(st.text() | st.text("0123456789-:TZ+., /()GMTUC", max_size=40))
def test_no_text_makes_more_than_a_value_error(text: str) -> None:
    for read in (read_text, read_day, read_clock, *map(time_reader, (*EPOCHS, "json_date"))):
        with suppress(ValueError):
            read(text)


# -- zones --------------------------------------------------------------------------------------


def test_a_text_without_a_zone_is_no_instant_unless_one_is_given() -> None:
    written = read_text("2024-05-06T09:08:09")
    with pytest.raises(NoZone):
        instant(written)
    assert instant(written, BERLIN) == MAY


def test_a_zone_in_the_text_counts_and_not_the_one_that_is_given() -> None:
    assert instant(read_text("2024-05-06T07:08:09Z"), BERLIN) == MAY


@pytest.mark.parametrize(
    ("zone", "text", "utc"),
    [
        ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00Z"),  # comes twice
        ("America/New_York", "2024-11-03T01:30:00", "2024-11-03T05:30:00Z"),
        ("Australia/Lord_Howe", "2024-04-07T01:45:00", "2024-04-06T14:45:00Z"),
        ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T01:30:00Z"),  # is left out
        ("America/New_York", "2024-03-10T02:30:00", "2024-03-10T07:30:00Z"),
        ("America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T03:00:00Z"),
    ],
)
def test_a_time_at_a_change_of_clocks_has_one_meaning(zone: str, text: str, utc: str) -> None:
    """RFC 5545, 3.3.5: the first of two, and the offset from before a gap."""
    expected = instant(read_text(utc))
    assert instant(read_text(text), ZoneInfo(zone)) == expected
    assert time_column(USUAL, "timestamp", 9, ZoneInfo(zone))([text]) == [expected]


# -- dates and times of day ---------------------------------------------------------------------


@given(st.dates())
def test_a_date_is_read_in_every_form(day: Any) -> None:
    expected = day.toordinal() - EPOCH.toordinal()
    mail = format_datetime(datetime(day.year, day.month, day.day, tzinfo=UTC))[:16]
    for text in (day.isoformat(), day.isoformat().replace("-", ""), mail, mail[5:]):
        assert read_day(text) == expected


@given(st.times())
def test_a_time_of_day_is_read_in_every_form(at: Any) -> None:
    expected = ((at.hour * 60 + at.minute) * 60 + at.second) * NANOS + at.microsecond * 1_000
    basic = f"T{at:%H%M%S},{at.microsecond:06}"
    for text in (at.isoformat(), f"T{at.isoformat()}", basic):
        assert read_clock(text) == expected


@pytest.mark.parametrize("text", ["", "24:00", "23:59:60", "7:08", "07:08Z", "070809", "T07", "07"])
def test_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_clock(text)


@pytest.mark.parametrize("text", ["", "2024-02-30", "2024-05", "2024-05-06Z", "24-05-06", "202405"])
def test_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_day(text)


# -- numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", EPOCHS)
@given(st.integers(-(10**19), 10**19))
def test_a_count_is_the_same_as_a_number_and_as_text(form: str, number: int) -> None:
    read = time_reader(form)
    assert read(number) == read(str(number)) == read(f"{number}.0")
    assert instant(read(number)) == number * (NANOS // EPOCHS[form])


@given(st.decimals(-(10**10), 10**10, places=9))
def test_a_fraction_of_a_second_keeps_nine_digits(number: Decimal) -> None:
    assert instant(time_reader("epoch_s")(f"{number:f}")) == int(number * NANOS)


@pytest.mark.parametrize(
    ("form", "digits"), [("epoch_s", 0), ("epoch_ms", 3), ("epoch_us", 6), ("epoch_ns", 9)]
)
@given(st.integers(-(10**9), 10**10), st.integers(0, NANOS - 1))
def test_a_count_is_in_its_unit(form: str, digits: int, seconds: int, nanos: int) -> None:
    whole = seconds * NANOS + nanos
    unit = 10 ** (9 - digits)
    assert instant(time_reader(form)(whole // unit)) == whole // unit * unit


def test_a_float_is_the_digits_that_it_shows() -> None:
    read = time_reader("epoch_s")
    assert instant(read(1714979289.1)) == MAY + 100_000_000
    assert instant(read(0.1)) == 100_000_000
    assert read(-0.5) == Written(-1, NANOS // 2, 0)


@pytest.mark.parametrize(
    "value",
    [
        True,
        None,
        [],
        {},
        "",
        "x",
        "1e5",
        "1_0",
        " 1",
        "0x10",
        "1,5",
        "NaN",
        "Infinity",
        "9" * 10_000,
    ],
)
@pytest.mark.parametrize("form", EPOCHS)
def test_what_is_no_count_is_refused(form: str, value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        time_reader(form)(value)


@pytest.mark.parametrize(
    ("text", "seconds", "offset"),
    [
        ("/Date(1714979289000)/", 1714979289, 0),
        ("/Date(1714979289000+0200)/", 1714979289 + 7200, 7200),
        ("/Date(1714979289000-0330)/", 1714979289 - 12600, -12600),
        ("/Date(-62135596800000)/", -62135596800, 0),
    ],
)
def test_a_json_date_counts_in_utc_and_shows_its_offset(
    text: str, seconds: int, offset: int
) -> None:
    written = time_reader("json_date")(text)
    assert written == Written(seconds, 0, offset)
    assert instant(written) == (seconds - offset) * NANOS


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_a_json_date_counts_milliseconds(millis: int) -> None:
    assert instant(time_reader("json_date")(f"/Date({millis})/")) == millis * (NANOS // 1_000)


@pytest.mark.parametrize(
    "value", ["", "Date(1)", "/Date()/", "/Date(1.5)/", "/Date(1+2)/", 5, None]
)
def test_what_is_no_json_date_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        time_reader("json_date")(value)


# -- patterns -----------------------------------------------------------------------------------


def test_a_whole_number_is_read_by_its_digits_if_none_was_lost() -> None:
    assert time_reader("%Y%m%d")(20240506) == time_reader("%Y%m%d")("20240506")
    with pytest.raises((ValueError, TypeError)):
        time_reader("%d%m%Y")(6052024)  # 6 or 60?


@pytest.mark.parametrize(
    ("pattern", "options", "words"),
    [
        ("%d.%m", {"dated": True}, "no year"),
        ("%d.%m.%Y", {"clocked": True}, "no hour"),
        ("%Y %Z", {}, "%z"),
        ("%Q", {}, "cannot be read"),
        ("%", {}, "cannot be read"),
        ("%e.%m.%Y", {}, "cannot be read: %e"),
        ("%m/%m/%Y", {}, "%m more than once"),
        ("%Y%Y", {}, "%Y more than once"),
        ("%c %Y", {}, "%Y more than once"),
        ("%f %f %Y", {}, "%f more than once"),
        ("%x %d", {}, "%d more than once"),
        ("%Y-%m-%d %H:%M %p", {}, "%p (AM or PM) counts only with %I"),
        ("%Y-%m-%d %I:%M", {}, "%I needs %p"),
        ("%Y %W", {}, "%W (the week) counts only with"),
        ("%U %a", {}, "%U (the week) counts only with"),
        ("%G %U %u", {}, "%U (the week) counts only with"),
        ("%j", {}, "%j (the day of the year) counts only with"),
        ("%Y %V %u", {}, "cannot be read"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_why(
    pattern: str, options: dict[str, bool], words: str
) -> None:
    assert words in pattern_problem(pattern, **options)
    assert pattern_problem("%d.%m.%Y %H:%M", dated=True, clocked=True) == ""


@pytest.mark.parametrize(
    ("pattern", "text", "other"),
    [
        ("%a, %d %b %Y", "mon, 6 May 2024", "Tue, 06 May 2024"),
        ("%A %d.%m.%Y", "Monday 06.05.2024", "Sunday 06.05.2024"),
        ("%w %Y-%m-%d", "1 2024-05-06", "0 2024-05-06"),
        ("%u %Y-%m-%d %z", "1 2024-05-06 +0200", "7 2024-05-06 +0200"),
        ("%c", "Mon May  6 00:00:00 2024", "Tue May  6 00:00:00 2024"),
        ("%Y-%j", "2024-127", "2023-366"),
        ("%Y%j", "2024127", "2023366"),
        ("%Y-%m-%d (%j)", "2024-05-06 (127)", "2024-05-06 (126)"),
        ("%Y-W%W-%w", "2024-W19-1", "2024-W53-6"),
        ("%Y-W%U-%a", "2024-W18-Mon", "2022-W00-Mon"),
        ("%Y-%m-%d W%W %a", "2024-05-06 W19 Mon", "2024-05-07 W19 Mon"),
        ("%G-W%V-%u", "2024-W19-1", "2021-W53-1"),
        ("%d/%m/%b/%Y", "06/05/May/2024", "06/05/Jun/2024"),
        ("%Y-%m-%d %y", "2024-05-06 24", "2024-05-06 23"),
        ("%Y-%m-%d %H (%I %p)", "2024-05-06 00 (12 AM)", "2024-05-06 00 (12 PM)"),
    ],
)
def test_a_text_that_contradicts_itself_is_no_time(pattern: str, text: str, other: str) -> None:
    assert pattern_problem(pattern, dated=True) == ""
    midnight = int(datetime(2024, 5, 6, tzinfo=UTC).timestamp()) * NANOS
    assert time_reader(pattern)(text).shown == midnight
    with pytest.raises(ValueError, match=r"has another %"):
        time_reader(pattern)(other)


def test_a_time_of_a_day_says_nothing_of_the_day_of_the_week() -> None:
    assert time_reader("%a %H:%M")("Tue 07:08") == time_reader("%a %H:%M")("Mon 07:08")


@pytest.mark.parametrize(
    ("digits", "nanos"),
    [
        ("1", 100_000_000),
        ("123456", 123_456_000),
        ("1234567", 123_456_700),
        ("123456789", 123_456_789),
        ("1234567899", 123_456_789),
        ("000000001", 1),
    ],
)
@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%Y-%m-%d %H:%M:%S.%f%z", "2024-05-06 07:08:09.{}Z"),
        ("%Y-%m-%d %H:%M:%S:%f", "2024-05-06 07:08:09:{}"),
        ("%f %a, %d %b %Y %H:%M:%S %%", "{} Mon, 06 May 2024 07:08:09 %"),
    ],
)
def test_a_fraction_may_be_finer_than_microseconds(
    pattern: str, text: str, digits: str, nanos: int
) -> None:
    assert time_reader(pattern)(text.format(digits)).shown == MAY + nanos
    for wrong in ("", "12345678x", "-1", "1 2"):
        with pytest.raises(ValueError, match="no time of the pattern"):
            time_reader(pattern)(text.format(wrong))


@given(
    st.datetimes(datetime(1000, 1, 1)),
    st.lists(st.sampled_from("YmdHMSjbBaAwuUWIpf"), min_size=1, unique=True),
)
def test_a_pattern_without_a_problem_reads_what_it_writes(
    moment: datetime, names: list[str]
) -> None:
    pattern = " ".join(f"%{name}" for name in names)
    if pattern_problem(pattern) or "Y" not in names:
        return
    read = time_reader(pattern)(moment.strftime(pattern))
    found = datetime(1970, 1, 1) + timedelta(microseconds=read.shown // 1_000)
    assert found.strftime(pattern) == moment.strftime(pattern)


@given(st.text("%YymdHIpjWUaAuwVGcxXfzZQe .", max_size=12), st.text(max_size=20))
def test_no_pattern_makes_more_than_a_problem(pattern: str, text: str) -> None:
    if pattern_problem(pattern) == "" and "%" in pattern:
        with suppress(ValueError):
            time_reader(pattern)(text)


def test_an_unknown_format_is_no_reader() -> None:
    with pytest.raises(ValueError, match="neither a known format"):
        time_reader("epoch")


def test_formats_that_say_their_zone() -> None:
    assert all(map(says_zone, (*EPOCHS, "json_date", "%Y %z")))
    assert not any(map(says_zone, ("rfc3339", "%Y")))
