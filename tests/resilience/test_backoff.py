"""Waits that double with each failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.resilience.backoff import doubling_s


def test_the_wait_doubles_up_to_its_limit() -> None:
    waits = [doubling_s(0.5, failures, longest_s=3.0) for failures in range(1, 6)]
    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.floats(1e-3, 1e6), st.integers(1, 10**6), st.floats(1e-3, 1e6))
def test_any_number_of_failures_has_a_wait_within_the_limit(
    first_s: float, failures: int, longest_s: float
) -> None:
    assert 0 < doubling_s(first_s, failures, longest_s) <= longest_s
