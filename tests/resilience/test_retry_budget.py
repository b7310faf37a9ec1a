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
    budget, now, number = RetryBudget(0.2, 3, window_s=10.0), 0.0, 0
    holders = list[int]()
    firsts, retries = list[float](), list[float]()
    for what, seconds in steps:
        if what == "wait":
            now += seconds
        elif what == "first":
            budget.first(now)
            firsts.append(now)
        elif what == "done" and holders:
            budget.done(holders.pop())
        elif what == "retry" or (what == "again" and holders):
            again = what == "again"
            number += 1
            call = holders[0] if again else number
            allowed = budget.retry(call, now, until=1e9)
            within = len(holders) + (not again) <= 3
            assert allowed or not within  # the floor is never refused
            if allowed:
                holders += [] if again else [call]
                retries.append(now)
                # a slot is forgotten as a whole, at most a tenth of the window before its last
                # attempt is that old
                assert within or sum(at > now - 9.0 for at in retries) <= 0.2 * sum(
                    at > now - 10.0 - 1e-9 for at in firsts
                )
        assert budget.retrying == len(holders)


def test_one_caller_retries_as_if_there_were_no_budget() -> None:
    budget = RetryBudget()
    budget.first(0.0)
    assert all(budget.retry("call", float(number), until=1e9) for number in range(100))


def test_a_call_holds_its_place_of_the_floor_until_it_is_over_at_the_latest() -> None:
    budget = RetryBudget(0.0, 1)
    assert budget.retry("stopped", 0.0, until=10.0)
    assert not budget.retry("next", 9.0, until=20.0)
    assert budget.retry("next", 10.0, until=20.0)
    budget.done("stopped")  # nobody says so, or late
    assert budget.retrying == 1


def test_what_left_the_window_does_not_count() -> None:
    budget = RetryBudget(0.5, 0, window_s=10.0)
    for _ in range(4):
        budget.first(0.0)
    assert [budget.retry(call, 1.0, until=1e9) for call in "abc"] == [True, True, False]
    assert not budget.retry("c", 11.5, until=1e9)
    assert repr(budget) == "<RetryBudget firsts=0 retries=0 retrying=2>"


def test_who_was_refused_comes_back_one_by_one() -> None:
    budget = RetryBudget(spacing_s=0.5, longest_s=2.0)
    assert [budget.turn(10.0) for _ in range(7)] == [10.5, 11.0, 11.5, 12.0, 11.0, 11.5, 12.0]
    assert budget.turn(20.0) == 20.5
