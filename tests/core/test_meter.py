"""Where time goes, and what is not durable."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.meter import Backlog, StageTimes

TICKS = st.floats(0, 100)


class Hand:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_of_one_worker() -> None:
    clock = Hand()
    times = StageTimes(clock)
    clock.now = 1
    with times.working():
        clock.now = 3
        with times.blocked():
            clock.now = 7
        with times.idle():
            clock.now = 15
    clock.now = 31
    assert times.seconds() == {"busy": 2.0, "blocked": 4.0, "idle": 1.0 + 8.0 + 16.0}


def test_a_worker_that_fails_is_idle_again() -> None:
    clock = Hand()
    times = StageTimes(clock)
    with pytest.raises(OSError), times.working(), times.blocked():
        clock.now = 2
        raise OSError
    clock.now = 5
    assert times.seconds() == {"busy": 0.0, "blocked": 2.0, "idle": 3.0}


@given(
    st.integers(1, 5),
    st.lists(st.tuples(TICKS, st.sampled_from(["working", "idle", "blocked"])), max_size=20),
)
def test_the_three_add_up_to_the_time_that_passed(
    workers: int, steps: list[tuple[float, str]]
) -> None:
    clock = Hand()
    times = StageTimes(clock, workers)
    with ExitStack() as stack:
        for _ in range(workers):
            stack.enter_context(times.working())
        for seconds, state in steps:
            with getattr(times, state)() if state != "working" else ExitStack():
                clock.now += seconds
        assert sum(times.seconds().values()) == pytest.approx(clock.now)
        assert all(seconds >= 0 for seconds in times.seconds().values())


@given(st.lists(st.one_of(st.integers(0, 1_000), st.sampled_from(["stage", "commit"]))))
def test_the_backlog_against_a_list(steps: list[int | str]) -> None:
    """A number is a page of so many records."""
    backlog, pages, staged = Backlog(), [], 0
    for now, step in enumerate(steps):
        if isinstance(step, int):
            backlog.received(now, step)
            pages.append((now, step))
        elif step == "stage" and staged < len(pages):
            backlog.staged()
            staged += 1
        elif step == "commit":
            backlog.durable()
            pages, staged = pages[staged:], 0
        assert backlog.records == sum(records for _, records in pages)
        assert backlog.oldest_s(now) == (now - pages[0][0] if pages else 0)
