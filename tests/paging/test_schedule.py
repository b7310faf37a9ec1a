"""When passes begin: in any zone, in the nights in which the clocks change, and after restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paging.test_planner import claim, offset_style, spec, token_style

from worker.core.cursor import Cursor
from worker.core.model import Claim, Due
from worker.paging.due import next_pass
from worker.paging.planner import LOOK_S, PartitionPlanner
from worker.paging.schedule import DRIFT_S, Hours, Schedule, cron_flaw
from worker.paging.spec import Fetch, PagingSpec, Wait

BERLIN = ZoneInfo("Europe/Berlin")
DAILY = Schedule(cron="15 2 * * *", zone="Europe/Berlin")
ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",  # half an hour
        "Asia/Kathmandu",
        "Pacific/Apia",  # a day was left out
        "America/Santiago",  # at midnight
        "Africa/Casablanca",
    ]
)
TIMES = st.floats(1_200_000_000, 2_100_000_000)


def at(*local: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime(*local, tzinfo=zone, fold=fold).timestamp()  # type: ignore[arg-type, misc]


def texts(schedule: Schedule, after: float, count: int) -> list[str]:
    zone = ZoneInfo(schedule.zone)
    return [
        datetime.fromtimestamp(each, zone).isoformat() for each in schedule.next_times(after, count)
    ]


# -- the nights in which the clocks change ---------------------------------------------------------


def test_a_time_that_comes_twice_is_its_first_one() -> None:
    assert texts(DAILY, at(2026, 10, 24, 12), 2) == [
        "2026-10-25T02:15:00+02:00",
        "2026-10-26T02:15:00+01:00",
    ]


@pytest.mark.parametrize("minute", [0, 10, 15, 20, 59])
def test_within_the_hour_that_came_twice_the_next_one_is_that_of_the_day_after(minute: int) -> None:
    now = at(2026, 10, 25, 2, minute, fold=1)
    assert texts(DAILY, now, 1) == ["2026-10-26T02:15:00+01:00"]


def test_a_time_that_is_missing_is_the_moment_of_the_change() -> None:
    assert texts(DAILY, at(2026, 3, 28, 12), 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:15:00+02:00",
    ]
    several = replace(DAILY, cron="15,45 2 * * *")
    assert texts(several, at(2026, 3, 28, 12), 2)[0] == "2026-03-29T03:00:00+02:00"
    assert texts(several, at(2026, 3, 28, 12), 2)[1] == "2026-03-30T02:15:00+02:00"


def test_what_is_said_of_every_hour_comes_twice_and_is_left_out() -> None:
    half = replace(DAILY, cron="*/30 2 * * *")
    assert texts(half, at(2026, 10, 24, 12), 4) == [
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T02:30:00+01:00",
    ]
    assert texts(half, at(2026, 3, 28, 12), 1) == ["2026-03-30T02:00:00+02:00"]


@given(ZONES, TIMES, st.integers(0, 59), st.integers(0, 23))
def test_a_time_of_the_day_comes_once_on_each_day(
    zone: str, after: float, minute: int, hour: int
) -> None:
    schedule = Schedule(cron=f"{minute} {hour} * * *", zone=zone)
    times = schedule.next_times(after, 5)
    assert times[0] > after
    for one, other in pairwise(times):
        days = round((other - one) / 86_400)
        assert 1 <= days <= 2  # two where the calendar left a day out
        assert abs(other - one - days * 86_400) <= 2 * 3_600
    for each in times:
        local = datetime.fromtimestamp(each, ZoneInfo(zone))
        shown = (local.hour, local.minute) == (hour, minute)
        named = local.replace(hour=hour, minute=minute, fold=0, tzinfo=None)
        missing = named != (
            named.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
        ).replace(tzinfo=None)
        assert shown or missing


@given(
    ZONES,
    TIMES,
    st.sampled_from(["*/7 * * * *", "15 2 * * *", "0 */6 * * MON", "5,35 1-3 L * *"]),
    st.floats(0, DRIFT_S),
)
def test_a_pass_that_begins_a_moment_too_early_does_not_begin_again(
    zone: str, after: float, cron: str, early_s: float
) -> None:
    schedule = Schedule(cron=cron, zone=zone)
    due = schedule.after(after)
    assert schedule.after(due - early_s, due) == schedule.after(due) > due


# -- hours -----------------------------------------------------------------------------------------


def hours(start: int, end: int, zone: str) -> Hours:
    return Hours(start, end if end != start else (end + 1) % 1440, zone)


@settings(max_examples=200)
@given(ZONES, TIMES, st.integers(0, 1439), st.integers(0, 1439))
def test_hours_open_at_the_first_minute_that_a_clock_shows_of_them(
    zone: str, wall: float, start: int, end: int
) -> None:
    within = hours(start, end, zone)
    found = within.opens(wall)
    assert found >= wall and within.holds(found)
    if found > wall:
        first = int(wall) - int(wall) % 60 + 60
        assert not any(within.holds(minute) for minute in range(first, int(found), 60))


@given(ZONES, TIMES, st.integers(0, 1439), st.integers(0, 1439), st.floats(1, 200_000))
def test_no_pass_is_due_outside_its_hours_or_before_its_first_day(
    zone: str, wall: float, start: int, end: int, every_s: float
) -> None:
    within = hours(start, end, zone)
    schedule = Schedule(every_s, hours=within, not_before=wall + 50_000)
    for each in (schedule.first(wall), schedule.admits(wall), *schedule.next_times(wall, 4)):
        assert within.holds(each) and each >= wall + 50_000
    due = schedule.after(wall)
    assert due >= wall + every_s and within.holds(due)


def test_a_night_has_the_hours_that_the_clock_shows() -> None:
    night = Hours(22 * 60, 6 * 60, "Europe/Berlin")
    assert night.opens(at(2026, 12, 1, 12)) == at(2026, 12, 1, 22)
    assert night.opens(at(2026, 12, 1, 5, 59)) == at(2026, 12, 1, 5, 59)
    assert night.opens(at(2026, 12, 1, 6)) == at(2026, 12, 1, 22)
    missing = Hours(2 * 60, 3 * 60, "Europe/Berlin")
    assert missing.opens(at(2026, 3, 28, 12)) == at(2026, 3, 30, 2)
    assert Hours(2 * 60 + 30, 4 * 60, "Europe/Berlin").opens(at(2026, 3, 28, 12)) == at(
        2026, 3, 29, 3
    )


# -- lines of cron ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("15 2 * * *", ""),
        ("0 0 29 2 *", ""),
        ("0 0 L * *", ""),
        ("*/15 8-17 * JAN-MAR MON#1", ""),
        ("0 0 31 2 *", "bad day-of-month"),
        ("61 * * * *", "bad minute"),
        ("* * * *", "found 4"),
        ("* * * * * *", "found 6"),
        ("@daily", "found 1"),
        ("", "found 0"),
        ("a b c d e", "bad minute"),
    ],
)
def test_a_line_that_is_none_is_named(line: str, flaw: str) -> None:
    assert flaw in cron_flaw(line) if flaw else cron_flaw(line) == ""


# -- the planner -----------------------------------------------------------------------------------


class Clock:
    """A wall clock and a monotonic one, which need not agree."""

    def __init__(self, wall: float) -> None:
        self.wall, self.now = wall, 1_000.0

    def read(self) -> float:
        return self.wall

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.now += seconds


def planner(clock: Clock, schedule: Schedule, kept: Due | None = None) -> PartitionPlanner:
    plan = replace(plan_of(schedule), wall=clock.read)
    stands = claim() if kept is None else Claim("p", 0, Cursor(pass_no=2), due=kept)
    due = next_pass(stands.due, stands.cursor, plan, now=clock.now, wall=clock.wall)
    return PartitionPlanner(plan, stands, due)


def plan_of(schedule: Schedule, *, once: bool = False) -> PagingSpec:
    return spec(token_style(), once=once, schedule=schedule)


def begins(found: PartitionPlanner, clock: Clock, most_s: float = 200_000.0) -> float:
    """When the planner asks for something, if it is asked whenever it says."""
    end = clock.now + most_s
    while clock.now < end:
        step = found.next(clock.now)
        if isinstance(step, Fetch):
            return clock.wall
        assert isinstance(step, Wait), step
        assert clock.now < step.until <= clock.now + LOOK_S
        clock.passes(step.until - clock.now)
    raise AssertionError("nothing is asked for")


def test_a_first_pass_waits_for_the_time_of_the_day() -> None:
    clock = Clock(at(2026, 12, 1, 12))
    assert begins(planner(clock, DAILY), clock) == at(2026, 12, 2, 2, 15)


def test_a_clock_that_is_set_forward_does_not_put_a_pass_off() -> None:
    clock = Clock(at(2026, 12, 1, 12))
    found = planner(clock, DAILY)
    assert isinstance(found.next(clock.now), Wait)
    clock.wall = at(2026, 12, 2, 9)  # the machine slept, which a monotonic clock does not count
    assert begins(found, clock) == at(2026, 12, 2, 9)


def test_a_clock_that_is_set_back_does_not_begin_a_pass_before_its_time() -> None:
    clock = Clock(at(2026, 12, 2, 2, 14))
    found = planner(clock, DAILY)
    assert isinstance(found.next(clock.now), Wait)
    clock.wall -= 7_200
    assert begins(found, clock) == at(2026, 12, 2, 2, 15)


def test_a_pass_that_was_due_while_nothing_ran_is_made_up_for_once() -> None:
    clock = Clock(at(2026, 12, 2, 9))
    found = planner(clock, DAILY, Due(1, int(at(2026, 12, 1, 2, 15) * 1e6)))
    assert isinstance(found.next(clock.now), Fetch)
    assert found.due is not None
    assert clock.wall + found.due - clock.now == at(2026, 12, 3, 2, 15)


def test_a_restart_waits_for_the_time_that_was_kept() -> None:
    clock = Clock(at(2026, 12, 1, 12))
    kept = Due(1, int(at(2026, 12, 2, 2, 15) * 1e6))
    assert begins(planner(clock, DAILY, kept), clock) == at(2026, 12, 2, 2, 15)


def test_a_first_page_that_is_asked_for_again_does_not_put_the_next_pass_off() -> None:
    minutely = Schedule(cron="* * * * *")
    clock = Clock(600_000_000.0)
    found = planner(clock, minutely)
    wait = found.next(clock.now)
    assert isinstance(wait, Wait)
    clock.passes(wait.until - clock.now)
    for _ in range(5):
        step = found.next(clock.now)
        assert isinstance(step, Fetch)
        found.drop(step)
        clock.passes(9.0)
        assert found.due is not None
        assert clock.wall + found.due - clock.now == pytest.approx(600_000_120.0)
    assert clock.wall == 600_000_105.0


def test_a_restart_obeys_the_hours() -> None:
    nightly = Schedule(3_600.0, hours=Hours(22 * 60, 6 * 60, "Europe/Berlin"))
    clock = Clock(at(2026, 12, 1, 12))
    kept = Due(1, int(at(2026, 12, 1, 6, 30) * 1e6))
    assert begins(planner(clock, nightly, kept), clock) == at(2026, 12, 1, 22)


@pytest.mark.parametrize(
    "schedule", [DAILY, Schedule(60.0, not_before=4e9), Schedule(60.0, hours=Hours(1, 2, "UTC"))]
)
def test_a_run_with_once_waits_for_nothing(schedule: Schedule) -> None:
    plan = replace(plan_of(schedule, once=True), wall=lambda: at(2026, 12, 1, 12))
    assert isinstance(PartitionPlanner(plan, claim()).next(0.0), Fetch)


def test_a_pass_in_progress_goes_on_at_any_time() -> None:
    plan = spec(offset_style(), once=False, schedule=DAILY)
    clock = Clock(at(2026, 12, 1, 12))
    opened = PartitionPlanner(replace(plan, wall=clock.read, once=True), claim())
    assert isinstance(opened.next(0.0), Fetch)
    inside = Claim("p", 0, Cursor(position=opened._state))
    found = PartitionPlanner(replace(plan, wall=clock.read), inside, clock.now + 9_999)
    assert isinstance(found.next(clock.now), Fetch)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["15 2 * * *", "0 */4 * * *", "*/20 3 * * *"]),
    ZONES,
    TIMES,
    st.lists(st.floats(1.0, 90_000.0), min_size=1, max_size=5),
)
def test_restarts_at_any_time_neither_lose_nor_double_a_pass(
    cron: str, zone: str, wall: float, runs: list[float]
) -> None:
    """A daemon that runs for some time, again and again without a break between."""
    schedule, wall = Schedule(cron=cron, zone=zone), float(int(wall))
    clock, kept, begun = Clock(wall), Due(1, int(schedule.after(wall) * 1e6)), []
    for run_s in runs:
        found, end = planner(clock, schedule, kept), clock.now + run_s
        while clock.now < end:
            step = found.next(clock.now)
            if isinstance(step, Fetch):
                begun.append(clock.wall)
                assert found.due is not None
                kept = Due(1, round((clock.wall + found.due - clock.now) * 1e6))
                found = planner(clock, schedule, kept)
            else:
                assert isinstance(step, Wait)
                clock.passes(min(step.until, end) - clock.now)
    expected = schedule.next_times(wall, len(begun) + 1)
    assert begun == pytest.approx(expected[:-1], abs=0.01)
    assert expected[-1] >= clock.wall - 0.01
    assert timedelta(seconds=clock.wall - wall) <= timedelta(days=6)
