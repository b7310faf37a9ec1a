"""When a partition is due after a restart."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor, PassState
from worker.core.model import Due
from worker.paging.due import next_pass, not_before, worth_keeping
from worker.paging.schedule import Schedule
from worker.paging.spec import PagingSpec
from worker.sources.pagination import offset

STYLE = offset.build(offset.Config(type="offset", param="o"))
HOURLY = PagingSpec(STYLE, schedule=Schedule(3600.0), jitter=lambda: 5.0, spread=lambda: 7.0)
WALL, NOW = 1_700_000_000.0, 50.0


def kept(pass_no: int, in_s: float) -> Due:
    return Due(pass_no, int((WALL + in_s) * 1e6))


def due(what: Due, cursor: Cursor, spec: PagingSpec = HOURLY) -> float | None:
    return next_pass(what, cursor, spec, now=NOW, wall=WALL)


OVER = Cursor(pass_no=4)  # pass 3 is over
WITHIN = Cursor(pass_no=3, position=PassState(at={"offset": 10}, pages=1))


def test_a_restart_keeps_the_time_of_the_next_pass() -> None:
    assert due(kept(3, 600), OVER) == NOW + 600


def test_the_pass_in_progress_goes_on_and_the_one_after_it_keeps_its_time() -> None:
    assert due(kept(3, 600), WITHIN) == NOW + 600
    assert due(kept(3, -600), WITHIN) == NOW  # a pass that takes longer than `every`


def test_a_pass_of_which_nothing_was_committed_begins_at_once() -> None:
    assert due(kept(4, 600), OVER) is None


def test_a_pass_that_left_nothing_keeps_its_time_also_when_a_later_commit_moved_the_cursor() -> (
    None
):
    assert due(kept(3, 600), Cursor(pass_no=9)) == NOW + 600


def test_what_is_overdue_at_a_start_is_spread() -> None:
    assert due(kept(3, -600), OVER) == NOW + 7


QUICK = PagingSpec(STYLE, schedule=Schedule(10.0), jitter=lambda: 5.0, spread=lambda: 0.5)


def test_a_quick_schedule_is_not_kept_and_its_starts_are_spread() -> None:
    assert not worth_keeping(QUICK) and worth_keeping(HOURLY)
    assert due(Due(), OVER, QUICK) == NOW + 0.5
    assert due(Due(), WITHIN, QUICK) is None  # a pass in progress goes on
    assert due(Due(), Cursor(), QUICK) is None  # it never ran
    assert due(kept(3, 3600), OVER, QUICK) == NOW + 0.5  # the schedule was slower before


@pytest.mark.parametrize(
    ("what", "spec"),
    [
        (Due(), HOURLY),  # it never ran, or an older version ran
        (kept(3, 600), PagingSpec(STYLE)),  # no schedule
        (kept(3, 600), PagingSpec(STYLE, schedule=Schedule(3600.0), once=True)),
        (kept(9, 600), HOURLY),  # of a state that was put back
        (Due(3, None), HOURLY),
    ],
)
def test_where_nothing_is_known_or_asked_for_a_pass_begins_at_once(
    what: Due, spec: PagingSpec
) -> None:
    assert due(what, OVER, spec) is None


@given(st.floats(-1e9, 1e9), st.booleans())
def test_no_clock_and_no_older_schedule_makes_a_pass_later_than_the_schedule_of_now(
    in_s: float, within: bool
) -> None:
    found = due(kept(3, in_s), WITHIN if within else OVER)
    assert found is not None and NOW <= found <= NOW + 3605


@given(st.floats(-1e9, 1e9), st.sampled_from([None, 60.0, 1e7]))
def test_a_partition_that_fails_rests_no_longer_than_the_schedule_or_the_longest_backoff(
    in_s: float, every_s: float | None
) -> None:
    failing = Due(3, None, 2, int((WALL + in_s) * 1e6), "auth", "401")
    spec = PagingSpec(STYLE, schedule=None if every_s is None else Schedule(every_s))
    found = not_before(failing, spec, now=NOW, wall=WALL, cap_s=3600.0)
    longest = min(math.inf if every_s is None else every_s, 3600.0)
    assert found == pytest.approx(NOW + min(max(in_s, 0.0), longest), abs=1e-3)
