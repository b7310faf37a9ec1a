"""The retry budget: a share of what is sent, a floor, and turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.resilience.retry_budget import RetryBudget


@given(
    st.lists(
        st.tuples(st.sampled_from(["first", "retry", "again", "done", "wait"]), st.floats(0, 4)),
        max_size=200,
    )
)
def test_beyond_the_floor_retries_are_a_share_of_first_attempts_of_the_window(
    steps: list[tuple[str, float]],
) -> None:
    budget, now, holders = RetryBudget(0.2, 3, window_s=10.0), 0.0, 0
    firsts, retries = list[float](), list[float]()
    for what, seconds in steps:
        if what == "wait":
            now += seconds
        elif what == "first":
            budget.first(now)
            firsts.append(now)
        elif what == "done" and holders:
            budget.done()
            holders -= 1
        elif what == "retry" or (what == "again" and holders):
            again = what == "again"
            allowed = budget.retry(now, again=again)
            within = holders + (not again) <= 3
            assert allowed or not within  # the floor is never refused
            if allowed:
                holders += not again
                retries.append(now)
                # a slot is forgotten as a whole, at most a tenth of the window before its last
                # attempt is that old
                assert within or sum(at > now - 9.0 for at in retries) <= 0.2 * sum(
                    at > now - 10.0 - 1e-9 for at in firsts
                )
        assert budget.retrying == holders


def test_one_caller_retries_as_if_there_were_no_budget() -> None:
    budget = RetryBudget()
    budget.first(0.0)
    assert all(budget.retry(float(number), again=number > 0) for number in range(100))


def test_what_left_the_window_does_not_count() -> None:
    budget = RetryBudget(0.5, 0, window_s=10.0)
    for _ in range(4):
        budget.first(0.0)
    assert [budget.retry(1.0, again=False) for _ in range(3)] == [True, True, False]
    assert not budget.retry(11.5, again=False)
    assert repr(budget) == "<RetryBudget firsts=0 retries=0 retrying=2>"


def test_who_was_refused_comes_back_one_by_one() -> None:
    budget = RetryBudget(spacing_s=0.5, longest_s=2.0)
    assert [budget.turn(10.0) for _ in range(7)] == [10.5, 11.0, 11.5, 12.0, 11.0, 11.5, 12.0]
    assert budget.turn(20.0) == 20.5
