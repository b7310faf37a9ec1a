"""Windows tile their range whatever its length, the format of the parameters and the zone; and so
do halves.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.instants import MICROS
from worker.paging.marks import MarkFormat
from worker.paging.windows import DAY, HOUR, Window, Windows, resolution

MINUTE = 60 * MICROS
START = 1_704_067_200 * MICROS  # 2024-01-01T00:00:00Z

FORMS = {
    "rfc3339": MarkFormat("rfc3339"),
    "epoch_s": MarkFormat("rfc3339", "epoch_s"),
    "epoch_ms": MarkFormat("epoch_ms"),
    "minutes": MarkFormat("rfc3339", "%Y-%m-%d %H:%M"),
    "minutes of Berlin": MarkFormat("rfc3339", "%Y-%m-%d %H:%M", "Europe/Berlin"),
    "days": MarkFormat("rfc3339", "%Y-%m-%d"),
    "days of Berlin": MarkFormat("rfc3339", "%Y-%m-%d", "Europe/Berlin"),
    "days of Lord Howe": MarkFormat("rfc3339", "%Y-%m-%d", "Australia/Lord_Howe"),
    "months": MarkFormat("rfc3339", "%Y-%m"),
}


@st.composite
def ways(draw: Any) -> tuple[Windows, int, int]:
    """(windows, where they begin, now); a few hundred windows at most, ends anywhere in three
    years.
    """
    form = draw(st.sampled_from(list(FORMS.values())))
    shortest = resolution(form)
    assert shortest is not None
    step = draw(
        st.sampled_from(
            [
                0,
                0,
                *(
                    each
                    for each in (MICROS, MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY)
                    if each >= shortest
                ),
            ]
        )
    )
    size = draw(st.integers(max(shortest, step, MICROS), 40 * max(shortest, step, DAY)))
    begin = START + draw(st.integers(0, 3 * 366 * DAY))
    length = draw(st.integers(0, min(200 * size, 3 * 366 * DAY)))
    lag = draw(st.sampled_from([0, 5 * MINUTE, 3 * DAY]))
    windows = Windows(
        size,
        form,
        lag=lag,
        step=step,
        inclusive=draw(st.booleans()),
        smallest=draw(st.sampled_from([1, MICROS, HOUR])),
    )
    return windows, begin, begin + length


def walk(windows: Windows, first: Window | None) -> list[Window]:
    found = []
    while first is not None:
        found.append(first)
        first = windows.after(first)
    return found


@given(ways())
def test_windows_tile_the_range_up_to_the_lag(way: tuple[Windows, int, int]) -> None:
    windows, begin, now = way
    found = walk(windows, windows.first(begin, now))
    end = windows.floor(now - windows.lag)
    if not found:
        assert windows.floor(begin) >= end
        return
    assert found[0].start == windows.floor(begin) <= begin
    assert found[-1].end == end <= now - windows.lag
    assert all(
        window.start < window.end <= window.start + windows.size + 25 * HOUR for window in found
    )
    assert all(one.end == two.start for one, two in pairwise(found))


@given(ways())
def test_what_is_asked_for_is_what_a_window_holds(way: tuple[Windows, int, int]) -> None:
    """Read back, the texts are the boundaries; with an inclusive end and a step, the end is the
    last whole step of the window.
    """
    windows, begin, now = way
    for window in walk(windows, windows.first(begin, now)):
        start, end = map(windows.form.bound, windows.asked(window))
        assert start == window.start
        if windows.inclusive and windows.step:
            assert end is not None and window.start <= end < window.end  # type: ignore[operator]
            assert windows.floor(window.end - 1) == end
        else:
            assert end == window.end


@given(ways(), st.integers(0, 10))
def test_halves_tile_their_parent_and_then_the_range(
    way: tuple[Windows, int, int], seed: int
) -> None:
    """Any window may be refused, its halves too."""
    windows, begin, now = way
    whole = walk(windows, windows.first(begin, now))
    if not whole:
        return
    found, window, refused, parents = [], windows.first(begin, now), 0, set()
    while window is not None:
        half = (
            windows.halved(window) if (window.start // MICROS + seed) % 3 and refused < 60 else None
        )
        if half is not None:
            assert half.start == window.start < half.end < window.end
            assert min(half.end - half.start, window.end - half.end) >= windows.smallest
            size = half.end - half.start
            second = msgspec.structs.replace(window, start=half.end, size=size)
            assert windows.after(half) == second, "inside what the whole was inside of"
            parents.add(window.end)
            window, refused = half, refused + 1
            continue
        found.append(window)
        window = windows.after(window)
    assert (found[0].start, found[-1].end) == (whole[0].start, whole[-1].end)
    assert all(one.end == two.start for one, two in pairwise(found))
    assert parents <= {window.end for window in found}, (
        "a parent is over before the next one begins"
    )
    assert all(window.end - window.start <= windows.size + DAY for window in found)


@given(ways(), st.integers(0, 200))
def test_a_walk_goes_on_from_what_a_cursor_keeps(way: tuple[Windows, int, int], cut: int) -> None:
    windows, begin, now = way
    found = walk(windows, windows.first(begin, now))
    if not found:
        return
    at = found[min(cut, len(found) - 1)]
    assert (
        walk(windows, msgspec.convert(msgspec.to_builtins(at), Window)) == found[found.index(at) :]
    )


@given(ways(), st.integers(0, 30 * DAY))
def test_the_next_pass_begins_where_the_last_one_ended(
    way: tuple[Windows, int, int], later: int
) -> None:
    windows, begin, now = way
    one = walk(windows, windows.first(begin, now))
    if not one:
        return
    two = walk(windows, windows.first(one[-1].end, now + later))
    assert not two or two[0].start == one[-1].end
    assert windows.first(one[-1].end, now) is None, "at the same moment nothing is left"


@given(ways(), st.integers(0, 900 * DAY))
def test_a_range_is_asked_for_to_its_end_and_not_much_beyond(
    way: tuple[Windows, int, int], length: int
) -> None:
    windows, begin, now = way
    until = begin + length
    found = walk(windows, windows.first(begin, now, until))
    if found:
        assert found[-1].end == min(windows.floor(now - windows.lag), windows.ceiling(until))
    assert (
        until
        <= windows.ceiling(until)
        < until + 2 * max(resolution(windows.form) or 0, windows.step, MICROS) + DAY
    )


@given(ways())
def test_boundaries_stay_where_they_are(way: tuple[Windows, int, int]) -> None:
    windows, begin, _ = way
    assert windows.floor(windows.floor(begin)) == windows.floor(begin) <= begin
    assert windows.ceiling(windows.floor(begin)) == windows.floor(begin)


@pytest.mark.parametrize(("day", "hours"), [("2024-03-31", 23), ("2024-10-27", 25)])
@pytest.mark.parametrize(
    "form",
    [
        MarkFormat("rfc3339", "%Y-%m-%d", "Europe/Berlin"),
        MarkFormat("rfc3339", "rfc3339", "Europe/Berlin"),
    ],
)
def test_a_day_of_a_zone_is_its_own_however_long(form: MarkFormat, day: str, hours: int) -> None:
    windows = Windows(DAY, form, step=DAY, inclusive=True)
    days = MarkFormat("rfc3339", "%Y-%m-%d", "Europe/Berlin")
    start = days.bound(day)
    assert isinstance(start, int)
    one, two, *_ = walk(windows, windows.first(start, start + 3 * DAY))
    assert (one.start, one.end - one.start, two.start) == (
        start,
        hours * HOUR,
        start + hours * HOUR,
    )
    if form.param == "%Y-%m-%d":
        assert windows.asked(one) == (day, day)


def test_an_inclusive_end_with_a_step_is_asked_for_one_step_before_the_next_window() -> None:
    days = Windows(7 * DAY, FORMS["days"], step=DAY, inclusive=True)
    assert [
        days.asked(window) for window in walk(days, days.first(START, START + 15 * DAY + HOUR))
    ] == [
        ("2024-01-01", "2024-01-07"),
        ("2024-01-08", "2024-01-14"),
        ("2024-01-15", "2024-01-15"),
    ]
    shared = replace(days, step=0)
    assert shared.asked(Window(START, START + 7 * DAY, START + 7 * DAY)) == (
        "2024-01-01",
        "2024-01-08",
    )


def test_windows_of_zero_or_less_do_not_exist() -> None:
    windows = Windows(DAY, FORMS["rfc3339"], lag=HOUR)
    assert windows.first(START, START + HOUR) is None
    assert windows.first(START, START - DAY) is None
    assert windows.first(START, START + DAY, START) is None


def test_the_smallest_window_is_not_halved() -> None:
    windows = Windows(DAY, FORMS["epoch_s"], smallest=MINUTE)
    assert windows.halved(Window(START, START + 2 * MINUTE, START + DAY)) == Window(
        START, START + MINUTE, START + DAY, (START + 2 * MINUTE,), MINUTE
    )
    assert windows.halved(Window(START, START + 2 * MINUTE - 1, START + DAY)) is None
    week, found = (
        Windows(7 * DAY, FORMS["rfc3339"]),
        Window(START, START + 7 * DAY, START + 7 * DAY),
    )
    while (half := week.halved(found)) is not None:
        found = half
        assert found.end % MICROS == 0, "not every source reads fractions"
    assert found.end == START + MICROS, "to the very smallest"
    assert (
        Windows(DAY, FORMS["days"], smallest=1).halved(Window(START, START + DAY, START + DAY))
        is None
    )


@pytest.mark.parametrize(
    ("form", "text", "begin"),
    [
        (FORMS["rfc3339"], "2024-01-01T00:00:00Z", START),
        (FORMS["epoch_s"], "1704067200", START),
        (FORMS["epoch_s"], 1704067200, START),
        (FORMS["epoch_s"], "2024-01-01T00:00:00Z", START),  # as records have it
        (FORMS["days"], "2024-01-01", START),
        (FORMS["days of Berlin"], "2024-01-01", START - HOUR),
        (FORMS["rfc3339"], "soon", None),
        (FORMS["rfc3339"], 5, None),
    ],
)
def test_the_first_window_begins_at_the_initial_value_in_either_format(
    form: MarkFormat, text: Any, begin: int | None
) -> None:
    assert Windows(DAY, form).initial(text) == begin


@pytest.mark.parametrize(
    "form", [MarkFormat("rfc3339", "%H:%M"), MarkFormat("rfc3339", "%Y %Z", "Europe/Berlin")]
)
def test_a_format_that_is_not_read_back_has_no_resolution(form: MarkFormat) -> None:
    assert resolution(form) is None


@pytest.mark.parametrize(
    ("written", "shortest"),
    [
        ("rfc3339", 1),
        ("epoch_us", 1),
        ("epoch_ms", 1000),
        ("epoch_s", MICROS),
        ("%Y-%m-%d %H:%M:%S", MICROS),
        ("%Y-%m-%d %H:%M", 60 * MICROS),
        ("%Y-%m-%d %H", 3600 * MICROS),
        ("%Y-%m-%d", 86_400 * MICROS),
        ("%Y-%m", 31 * 86_400 * MICROS),
        ("%Y", 366 * 86_400 * MICROS),
    ],
)
def test_a_format_says_how_short_its_steps_are(written: str, shortest: int) -> None:
    assert resolution(MarkFormat("rfc3339", written, zone="UTC")) == shortest


def test_the_zones_of_the_tests_are_there() -> None:
    assert {str(ZoneInfo(form.zone)) for form in FORMS.values()} == {
        "UTC",
        "Europe/Berlin",
        "Australia/Lord_Howe",
    }


def test_after_a_refusal_windows_grow_by_a_quarter_up_to_the_whole_size() -> None:
    windows = Windows(DAY, FORMS["epoch_s"], smallest=MINUTE)
    whole = windows.first(START, START + 30 * DAY)
    assert whole is not None
    half = windows.halved(whole)
    assert half is not None and half.end - half.start == DAY // 2
    sizes, window = [], windows.after(half)
    while window is not None and len(sizes) < 6:
        sizes.append((window.end - window.start) / (DAY // 2))
        window = windows.after(window)
    assert sizes == pytest.approx([1, 1.25, 1.5625, 1.953125, 2, 2], abs=2e-3)


def test_the_next_pass_begins_with_the_size_that_the_last_one_ended_with() -> None:
    windows = Windows(DAY, FORMS["epoch_s"])
    first = windows.first(START, START + 30 * DAY, size=DAY // 4)
    assert first is not None
    assert (first.end - START, first.size) == (DAY // 4, DAY // 4)
    longer = windows.first(START, START + 30 * DAY, size=9 * DAY)  # the config said more then
    assert longer is not None and longer.end - START == DAY


def test_windows_grow_again_where_a_quarter_is_less_than_a_unit() -> None:
    windows = Windows(10, MarkFormat("epoch_us"), smallest=1)
    window = windows.first(START, START + 1_000, size=1)
    found = 0
    while window is not None and window.size:
        window, found = windows.after(window), found + 1
    assert 1 < found < 12
