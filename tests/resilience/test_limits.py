"""Rate limits are never exceeded, whoever asks and whatever it costs; and pipelines take turns."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.resilience.gate import Gate
from worker.resilience.limits import PARTS, Expectations, Limit, Spending

WINDOWS = st.lists(
    st.builds(Limit, st.sampled_from([1, 2, 3, 5, 20]), st.sampled_from([0.5, 1.0, 7.0, 60.0])),
    min_size=1,
    max_size=3,
)


@dataclass
class World:
    """Askers behind one gate, each with some workers, as fast as they are let; time is simulated.

    Attributes:
        sent: (time, asker) of every request.
        booked: (time at which the source books it, what it costs).
    """

    limits: Sequence[Limit]
    seed: int
    costs: tuple[float, float] = (1.0, 1.0)
    sent: list[tuple[float, int]] = field(default_factory=list)
    booked: list[tuple[float, float]] = field(default_factory=list)

    def run(self, workers: Sequence[int], until: float) -> None:
        draw, gate, order = random.Random(self.seed), Gate(self.limits), count()
        askers = [gate.asker() for _ in workers]
        heap: list[tuple[float, int, int, tuple[float, ...] | None, float]] = []
        for number, each in enumerate(workers):
            for _ in range(each):
                heapq.heappush(heap, (draw.random() / 100, next(order), number, None, 0.0))
        while heap and heap[0][0] < until:
            now, _, number, held, cost = heapq.heappop(heap)
            asker = askers[number]
            if held is not None:  # its request is answered
                gate.settle(now, asker, held, [cost] * len(self.limits))
            if (later := gate.acquire(now, asker)) is None:
                self.sent.append((now, number))
                cost, took = draw.uniform(*self.costs), draw.uniform(0.01, 0.5)
                self.booked.append((now + draw.uniform(0, took), cost))
                heapq.heappush(heap, (now + took, next(order), number, asker.granted, cost))
            else:
                assert later > now
                heapq.heappush(heap, (later, next(order), number, None, 0.0))


def most(spent: Sequence[tuple[float, float]], per_s: float) -> float:
    """The most that lies within any stretch of that length."""
    spent, found, begin, total = sorted(spent), 0.0, 0, 0.0
    for at, amount in spent:
        total += amount
        while spent[begin][0] + per_s <= at:
            total -= spent[begin][1]
            begin += 1
        found = max(found, total)
    return found


@settings(max_examples=60, deadline=None)
@given(WINDOWS, st.lists(st.integers(1, 8), min_size=1, max_size=4), st.integers())
def test_no_stretch_of_time_has_more_requests_than_any_of_its_limits(
    limits: list[Limit], workers: list[int], seed: int
) -> None:
    world = World(limits, seed)
    world.run(workers, 120.0)
    for limit in limits:
        assert most([(at, 1.0) for at, _ in world.sent], limit.per_s) <= limit.amount


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([40.0, 100.0, 1000.0]),
    st.sampled_from([5.0, 60.0]),
    st.floats(0.1, 20.0),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(),
)
def test_no_stretch_of_time_costs_more_than_the_limit(
    amount: float, per_s: float, cost: float, workers: list[int], seed: int
) -> None:
    world = World([Limit(amount, per_s, cost=True)], seed, costs=(cost, cost))
    world.run(workers, 100.0)
    assert most(world.booked, per_s) <= amount * (1 + 1e-6)
    assert len(world.sent) > 2


def test_what_costs_more_than_expected_exceeds_by_no_more_than_the_requests_in_flight() -> None:
    world = World([Limit(100.0, 10.0, cost=True)], 7, costs=(1.0, 9.0))
    world.run([4], 300.0)
    assert most(world.booked, 10.0) <= 100.0 + 4 * 8.0


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([1, 3, 10]),
    st.lists(st.integers(1, 40), min_size=2, max_size=5),
    st.integers(),
)
def test_pipelines_that_share_a_limit_get_the_same_of_it(
    requests: int, workers: list[int], seed: int
) -> None:
    world = World([Limit(requests, 1.0)], seed)
    world.run(workers, 200.0)
    # of few workers each has one request in a second: the limit opens once in that time
    shares = [sum(asker == number for _, asker in world.sent) for number in range(len(workers))]
    fair = requests * 200.0 / len(workers)
    for share, each in zip(shares, workers, strict=True):
        assert share >= min(fair, each * 200.0) * 0.9


def test_a_limit_is_used_up_as_far_as_it_goes() -> None:
    world = World([Limit(10, 1.0), Limit(100, 60.0)], 3)
    world.run([8, 8], 120.0)
    assert len(world.sent) >= 195


@given(st.floats(0, 1e9), st.integers(1, 30), st.integers(1, 100), st.floats(0.5, 5))
def test_who_asks_again_when_told_is_let_through(
    start: float, requests: int, calls: int, per_s: float
) -> None:
    gate, now = Gate([Limit(requests, per_s)]), start
    for _ in range(calls):
        if (until := gate.acquire(now)) is not None:
            assert until > now
            now = until
            assert gate.acquire(now) is None
    whole = (calls - 1) // requests * per_s
    assert now - start <= whole * (1 + 1 / PARTS) + 1e-4


@pytest.mark.parametrize(
    ("amount", "per_s", "times"),
    [(0.5, 1.0, [0.0, 2.0, 4.0]), (0.001, 1.0, [0.0, 1000.0]), (1.5, 1.0, [0.0, 1.0, 2.0])],
)
def test_parts_of_requests_are_none(amount: float, per_s: float, times: list[float]) -> None:
    gate = Gate([Limit(amount, per_s)])
    for one, other in zip(times, [*times[1:], None], strict=True):
        assert gate.acquire(one) is None
        if other is not None:
            assert gate.acquire(one) == other


def test_its_memory_does_not_grow_with_what_it_lets_through() -> None:
    spending = Spending(Limit(1_000_000, 3_600.0))
    for number in range(20_000):
        assert spending.opens(number / 10, 1.0) <= number / 10
        spending.spend(number / 10, 1.0)
    assert len(spending._parts) <= PARTS + 1
    assert spending.used(2_000.0) == 20_000
    assert spending.used(9_999.0) == 0.0


# -- costs -----------------------------------------------------------------------------------------


def costly(amount: float = 10.0) -> tuple[Gate, Expectations]:
    gate = Gate([Limit(amount, 60.0, cost=True)])
    return gate, gate.asker()


def test_before_the_first_answer_one_request_goes_alone() -> None:
    gate, asker = costly()
    assert gate.acquire(0.0, asker) is None
    held = asker.granted
    assert gate.acquire(0.0, asker) == pytest.approx(0.1)
    gate.settle(1.0, asker, held, [2.0])
    assert [gate.acquire(1.0, asker) for _ in range(5)] == [None] * 4 + [61.0]


def test_what_was_spent_counts_from_its_answer_on() -> None:
    gate, asker = costly()
    gate.acquire(0.0, asker)
    gate.settle(5.0, asker, asker.granted, [10.0])
    assert gate.acquire(30.0, asker) == 65.0
    assert gate.acquire(65.0, asker) is None


def test_a_request_that_costs_more_than_the_limit_goes_alone() -> None:
    gate, asker = costly()
    gate.acquire(0.0, asker)
    gate.settle(0.0, asker, asker.granted, [25.0])
    assert gate.acquire(1.0, asker) == 60.0
    assert gate.acquire(60.0, asker) is None


def test_a_request_without_an_answer_has_cost_what_was_expected() -> None:
    gate, asker = costly()
    gate.acquire(0.0, asker)
    gate.settle(0.0, asker, asker.granted, [4.0])
    gate.acquire(0.0, asker)
    gate.settle(0.0, asker, asker.granted, [None])
    [(_, used)] = gate.spending(0.0)
    assert used == 8.0


def test_an_answer_that_never_says_its_cost_counts_as_one() -> None:
    gate, asker = costly(3.0)
    for _ in range(3):
        assert gate.acquire(0.0, asker) is None
        gate.settle(0.0, asker, asker.granted, [None])
    assert gate.acquire(0.0, asker) == 60.0


def test_a_high_cost_is_expected_for_a_while() -> None:
    asker = Expectations((Limit(100.0, 1.0, cost=True),))
    asker.learn(0, 50.0)
    seen = []
    for _ in range(30):
        asker.learn(0, 2.0)
        seen.append(asker.expected()[0])
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 40 and seen[-1] < 3.0
    asker.learn(0, 70.0)
    assert asker.expected() == (70.0,)
