"""What is said again and again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry import repeats
from worker.telemetry.repeats import Repeats


def test_the_first_few_pass_and_the_others_are_counted() -> None:
    filter_ = Repeats(burst=2, window_s=10)
    assert [filter_.admit(("a",), 0.0) for _ in range(5)] == [True, True, False, False, False]
    assert filter_.admit(("b",), 1.0)
    assert filter_.ended(9.9) == []
    assert filter_.ended(10.0) == [(("a",), 3)]
    assert filter_.admit(("a",), 10.0)


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from("abc")), max_size=200))
def test_everything_passes_or_is_counted_once(said: list[tuple[float, str]]) -> None:
    filter_, now, passed, held = Repeats(), 0.0, 0, 0
    for wait, key in said:
        now += wait
        held += sum(times for _, times in filter_.ended(now))
        passed += filter_.admit((key,), now)
    held += sum(times for _, times in filter_.ended(float("inf")))
    assert passed + held == len(said)


def test_memory_is_bounded_and_nothing_is_hidden_for_it() -> None:
    filter_ = Repeats(burst=1)
    assert all(filter_.admit((number,), 0.0) for number in range(repeats.MOST_KEYS + 500))
    assert filter_.admit((repeats.MOST_KEYS + 1,), 0.0)
    assert len(filter_._windows) == repeats.MOST_KEYS
