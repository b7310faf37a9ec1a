"""`timestamp()` and `date()`: every spelling is the right instant, or a reject or an error of the
config; nothing is rounded, and nothing is read as another time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms.test_expression import outcome_with

from worker.core.errors import ConfigError
from worker.core.ports import InvalidRecord
from worker.schema import compile_plan, parse_schema
from worker.transforms.instants import UNITS, day_reader, instant_reader

FIELDS = [
    {"name": "s", "type": ["null", "string"]},
    {"name": "i", "type": "long"},
    {"name": "x", "type": "double"},
]
PLAN = compile_plan(parse_schema(json.dumps({"type": "record", "name": "R", "fields": FIELDS})))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stamp(unit: str) -> dict[str, str]:
    return {"type": "long", "logicalType": f"timestamp-{unit}"}


def made(expression: str, kind: Any, s: Any = None, i: int = 0, x: float = 0.0) -> Any:
    return outcome_with(PLAN, expression, {"s": s, "i": i, "x": x}, kind)


@pytest.mark.parametrize(
    ("form", "text", "nanos"),
    [
        ("'rfc3339'", "2024-05-06T07:08:09.123456789Z", 1714979289123456789),
        ("'rfc3339'", "2024-05-06t09:08:09.1234567891+02:00", 1714979289123456789),
        ("'rfc3339', 'Europe/Berlin'", "2024-05-06 09:08:09", 1714979289000000000),
        ("'rfc3339', 'Europe/Berlin'", "2024-05-06T07:08:09Z", 1714979289000000000),
        ("'epoch_s'", "1714979289", 1714979289000000000),
        ("'epoch_s'", " 1714979289.123456789 ", 1714979289123456789),
        ("'epoch_s'", "-1.5", -1500000000),
        ("'epoch_s'", "1714979289." + "9" * 30, 1714979289999999999),
        ("'epoch_s'", "-1." + "0" * 29 + "1", -1000000001),
        ("'epoch_ms'", "1714979289123.4", 1714979289123400000),
        ("'epoch_us'", "1714979289123456.7", 1714979289123456700),
        ("'epoch_ns'", "1714979289123456789.9", 1714979289123456789),
        ("'%d.%m.%Y', 'Europe/Berlin'", "06.05.2024", 1714946400000000000),
        ("'%d.%m.%Y %H:%M'", "06.05.2024 07:08", 1714979280000000000),
        ("'%Y%m%dT%H%M%S%z'", "20240506T090809+0200", 1714979289000000000),
        ("'%Y-%m-%dT%H:%M:%S.%f%z'", "2024-05-06T07:08:09.1234567Z", 1714979289123456700),
        ("'%a, %d %b %Y %H:%M:%S %Z'", "Mon, 06 May 2024 07:08:09 GMT", 1714979289000000000),
        ("'%d/%b/%Y:%H:%M:%S %z'", "06/May/2024:09:08:09 +0200", 1714979289000000000),
    ],
)
def test_a_text_is_read_to_the_nanosecond(form: str, text: str, nanos: int) -> None:
    found = made(f"timestamp(s, {form}) == '1970-01-01T00:00:00Z'", "boolean", s=text)
    assert found is False
    parts = [each.strip(" '") for each in form.split("', ")]
    form_, zone = (*parts, None)[:2]
    assert instant_reader(form_, zone, "here")(text) == nanos


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("millis", datetime(2024, 5, 6, 7, 8, 9, 999_000, UTC)),
        ("micros", datetime(2024, 5, 6, 7, 8, 9, 999_999, UTC)),
        ("nanos", 1714979289_999999999),
    ],
)
def test_the_result_fits_the_unit_of_the_field_and_finer_digits_are_cut(
    unit: str, value: Any
) -> None:
    for expression, given_ in (
        ("timestamp(s)", {"s": "2024-05-06T07:08:09.9999999999Z"}),
        ("timestamp(i, 'epoch_ns')", {"i": 1714979289_999999999}),
        ("timestamp(s, 'epoch_s')", {"s": "1714979289.9999999999"}),
    ):
        assert made(expression, stamp(unit), **given_) == value


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("'epoch_s'", ""),
        ("'epoch_s'", "1_000"),
        ("'epoch_s'", "١"),
        ("'epoch_s'", "1e99999999"),
        ("'epoch_s'", "nan"),
        ("'epoch_s'", "253402300800"),
        ("'epoch_ms'", "9" * 5_000),
        ("'rfc3339'", "2024-05-06T07:08:09"),
        ("'rfc3339'", "2024-02-30T07:08:09Z"),
        ("'rfc3339'", "2024-05-06T24:00:00Z"),
        ("'rfc3339'", "2024-05-06T23:59:60Z"),
        ("'%d.%m.%Y'", "06.05.2024 07:08"),
        ("'%d.%m.%Y'", "30.02.2024"),
        ("'%H:%M:%S %d.%m.%Y'", "23:59:60 06.05.2024"),
        ("'%H:%M:%S %d.%m.%Y'", "23:59:61 06.05.2024"),
        ("'%Y-%m-%d %H:%M %Z'", "2024-05-06 07:08 EST"),
        ("'%Y-%m-%d %H:%M', 'Europe/Berlin'", "2024-03-31 02:30"),
        ("'%Y-%m-%d'", "\0"),
        ("'%a, %d %b %Y %Z'", "Tue, 06 May 2024 GMT"),
        ("'%Y-%j'", "2023-366"),
    ],
)
def test_what_is_no_time_is_a_reject(form: str, value: str) -> None:
    assert made(f"timestamp(s, {form})", stamp("millis"), s=value) == "conversion"


@pytest.mark.parametrize("x", [1e300, -1e300, 1e-300, 253402300800.0])
def test_numbers_of_any_size_end_at_once(x: float) -> None:
    found = made("timestamp(x, 'epoch_s')", stamp("millis"), x=x)
    assert found in ("conversion", EPOCH)


def test_of_an_hour_that_comes_twice_the_first_counts() -> None:
    read = instant_reader("%Y-%m-%d %H:%M", "Europe/Berlin", "here")
    moment = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=0)
    assert read("2024-10-27 02:30") == int(moment.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("timestamp(s, 'epoch')", "did you mean 'epoch_s'?"),
        ("timestamp(s, '%H:%M')", "has no year"),
        ("timestamp(s, '%Y-%Q')", "no strptime pattern"),
        ("timestamp(s, '%m/%m/%Y')", "has %m more than once"),
        ("date(s, '%c %Y')", "has %Y more than once"),
        ("timestamp(s, '%f %f %Y %Z')", "has %f more than once"),
        ("timestamp(s, '%Y-%m-%d %I:%M')", "%I needs %p"),
        ("date(s, '%Y %W')", "%W (the week) counts only with"),
        ("timestamp(s, 'epoch_s', 'UTC')", "a zone has no effect on epoch_s"),
        ("timestamp(s, '%Y', 'Europe/Berlim')", "did you mean 'Europe/Berlin'?"),
        ("timestamp(s, '%Y', '../../etc/passwd')", "is not a zone"),
        ("timestamp(s, '%Y', '')", "is not a zone"),
        ("timestamp(s, s)", "timestamp takes"),
        ("timestamp(i)", "timestamp takes"),
        ("timestamp(i, '%Y')", "timestamp takes"),
        ("timestamp(s, null)", "timestamp takes"),
        ("date(i)", "date takes"),
        ("date(s, 'epoch')", "did you mean 'epoch_s'?"),
    ],
)
def test_a_form_that_can_read_nothing_is_an_error_of_the_config(expression: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(expression, ["null", stamp("millis")])
    assert says in str(caught.value)
    assert "column 1: " in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "values", "day"),
    [
        ("date(s)", {"s": "2024-05-06"}, "2024-05-06"),
        ("date(s)", {"s": "2024-05-06T23:30:00-02:00"}, "2024-05-07"),
        ("date(s, '%d.%m.%Y')", {"s": "06.05.2024"}, "2024-05-06"),
        ("date(s, '%d.%m.%Y %H:%M %z')", {"s": "06.05.2024 00:30 +0200"}, "2024-05-05"),
        ("date(i, 'epoch_s')", {"i": -1}, "1969-12-31"),
        ("date(s)", {"s": "2024-02-30"}, "conversion"),
        ("date(s)", {"s": "06.05.2024"}, "conversion"),
        ("date(s, '%d.%m.%Y')", {"s": "2024-05-06"}, "conversion"),
        ("date(s)", {"s": None}, None),
    ],
)
def test_a_day(expression: str, values: dict[str, Any], day: Any) -> None:
    assert made(f"str({expression})", ["null", "string"], **values) == day


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(UNITS)),
    st.decimals(-(10**11), 10**11, places=9, allow_nan=False),
    st.sampled_from([("millis", 10**3), ("micros", 10**6), ("nanos", 10**9)]),
)
def test_a_number_since_1970_is_the_instant_at_or_before_it(
    form: str, number: Decimal, unit: tuple[str, int]
) -> None:
    exact = number * UNITS[form]
    nanos = int(exact.to_integral_value(ROUND_FLOOR))
    try:
        found = instant_reader(form, None, "here")(format(number, "f"))
    except InvalidRecord:
        assert nanos not in range(-62_135_596_800 * 10**9, 253_402_300_800 * 10**9)
        return
    assert found == nanos
    assert found // (10**9 // unit[1]) == int(
        (number * UNITS[form] * unit[1] / 10**9).to_integral_value(ROUND_FLOOR)
    )


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),
    st.sampled_from([None, "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]),
)
def test_a_pattern_reads_what_it_writes(moment: datetime, zone: str | None) -> None:
    there = ZoneInfo(zone) if zone else UTC
    local = moment.replace(tzinfo=UTC).astimezone(there)
    text = local.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    found = instant_reader("%Y-%m-%d %H:%M:%S.%f", zone, "here")(text)
    expected = (local.replace(fold=0) - EPOCH) // timedelta(microseconds=1) * 1_000
    assert found == expected
    assert day_reader("%Y-%m-%d %H:%M:%S.%f", "here")(text) == (
        local.date() - EPOCH.date()
    ) // timedelta(days=1)


@settings(max_examples=200, deadline=None)
@given(
    st.text() | st.from_regex(r"\d{1,4}-\d\d-\d\d.{0,12}"),
    st.sampled_from(["rfc3339", "epoch_s", "%Y-%m-%d", "%c %Z"]),
)
def test_any_text_is_an_instant_or_a_reject(text: str, form: str) -> None:
    try:
        assert isinstance(instant_reader(form, None, "here")(text), int)
    except InvalidRecord as refused:
        assert refused.code == "conversion"
        assert refused.errors[0].found == f"text of {len(text)} characters"
