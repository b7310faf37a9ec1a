"""Places for requests, and patience with those that hang."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.runtime.lanes import FIRST_S, LEAST_S, TIMES, Lanes, Place, most_lent


@given(
    st.integers(1, 20),
    st.lists(st.tuples(st.sampled_from(["take", "lend", "leave"]), st.integers(0, 99))),
)
def test_no_more_requests_are_made_than_places_and_those_that_are_lent(
    workers: int, steps: list[tuple[str, int]]
) -> None:
    lanes, places = Lanes(workers), list[Place]()
    for what, which in steps:
        if what == "take" and lanes.free:
            places.append(lanes.take())
        elif what == "take" and lanes.may_lend:
            places.append(lanes.take(lent=True))
        elif places and what == "leave":
            lanes.leave(places.pop(which % len(places)))
        elif places and what == "lend" and lanes.may_lend:
            place = places[which % len(places)]
            if not place.lent:
                lanes.lend(place)
        assert lanes.taken == sum(not place.lent for place in places) <= workers
        assert lanes.lent == sum(place.lent for place in places) <= max(workers // 4, 1)


def test_the_share_that_is_lent() -> None:
    assert [most_lent(workers) for workers in (1, 4, 8, 64)] == [1, 1, 2, 16]


def test_patience_follows_what_answers_usually_take() -> None:
    lanes = Lanes(4)
    assert lanes.patience_s == FIRST_S
    for _ in range(50):
        lanes.answered("p", 0.001)
    assert lanes.patience_s == LEAST_S
    for _ in range(50):
        lanes.answered("p", 2.0)
    assert lanes.patience_s == pytest.approx(2.0 * TIMES, rel=0.01)


def test_where_all_answers_are_slow_no_partition_is() -> None:
    lanes = Lanes(4)
    lanes.gave_up("a", 0.5)
    assert lanes.is_slow("a")
    lanes.answered("b", 2.0)
    assert not lanes.is_slow("a") and not lanes.is_slow("b")


def test_a_partition_is_slow_until_it_answers_as_others_do() -> None:
    lanes = Lanes(4)
    for _ in range(9):
        lanes.answered("b", 0.05)
    lanes.waited("a", 0.1)
    assert not lanes.is_slow("a")
    lanes.waited("a", 5.0)
    assert lanes.is_slow("a") and not lanes.is_slow("b")
    for _ in range(2):
        lanes.answered("a", 5.0)
        assert lanes.is_slow("a")
        for _ in range(30):
            lanes.answered("b", 0.05)
    lanes.answered("a", 0.05)
    assert not lanes.is_slow("a")


def test_patience_grows_while_nobody_answers_at_all() -> None:
    lanes, waits = Lanes(2), list[float]()
    for number in range(6):
        waits.append(lanes.patience_s / FIRST_S)
        lanes.gave_up(str(number), lanes.patience_s)
    assert waits == [1, 1, 2, 2, 4, 4]
    assert all(lanes.is_slow(str(number)) for number in range(6))
    for _ in range(10_000):
        lanes.gave_up("a", 1.0)
    assert lanes.patience_s < 1e9
    lanes.answered("a", 0.1)
    assert lanes.patience_s == pytest.approx(0.6)
