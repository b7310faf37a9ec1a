"""The circuit breaker: properties over any sequence of calls."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.resilience.breaker import CLOSED, HALF_OPEN, OPEN, Breaker, BreakerSpec, Permit

SPEC = BreakerSpec(
    failure_rate=0.5, min_calls=4, window_s=10.0, open_for_s=5.0, permits=2, longest_open_s=40.0
)


class BreakerMachine(RuleBasedStateMachine):
    """Any order of calls, outcomes and time: half-open lets no more than its permits through, open
    nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.now, self.flying, self.probes = Breaker(SPEC), 0.0, list[Permit](), 0

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        before, open_until = self.breaker.state, self.breaker.open_until
        permit = self.breaker.acquire(self.now)
        if isinstance(permit, Permit):
            assert before != OPEN or self.now >= open_until
            if before == OPEN:
                self.probes = 0
            if self.breaker.state == HALF_OPEN:
                self.probes += 1
            self.flying.append(permit)
        else:
            assert permit > self.now

    @precondition(lambda self: self.flying)
    @rule(ok=st.booleans(), data=st.data())
    def outcome(self, ok: bool, data: st.DataObject) -> None:
        permit = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.breaker.record(permit, ok=ok, seconds=0.1, now=self.now)
        if self.breaker.state != HALF_OPEN:
            self.probes = 0

    @precondition(lambda self: self.flying)
    @rule()
    def given_back(self) -> None:
        permit = self.flying.pop()
        before = self.breaker._generation
        self.breaker.release(permit)
        if self.breaker.state == HALF_OPEN and permit.generation == before:
            self.probes -= 1

    @invariant()
    def permits_are_never_exceeded(self) -> None:
        assert self.probes <= SPEC.permits
        if self.breaker.state == OPEN:
            assert self.breaker.open_until <= self.now + SPEC.longest_open_s


TestBreaker = BreakerMachine.TestCase


def fail(breaker: Breaker, now: float) -> None:
    permit = breaker.acquire(now)
    assert isinstance(permit, Permit)
    breaker.record(permit, ok=False, seconds=0.0, now=now)


def test_it_opens_by_rate_once_there_are_enough_calls() -> None:
    breaker = Breaker(SPEC)
    for number in range(3):
        fail(breaker, float(number))
    assert breaker.state == CLOSED
    fail(breaker, 3.0)
    assert breaker.state == OPEN


def test_failures_out_of_the_window_do_not_count() -> None:
    breaker = Breaker(SPEC)
    for now in (0.0, 1.0, 2.0, 13.0):
        fail(breaker, now)
    assert breaker.state == CLOSED


def test_the_open_time_grows_while_probes_fail_up_to_its_limit() -> None:
    breaker, now, waits = Breaker(SPEC), 0.0, []
    for _ in range(4):
        fail(breaker, now)
    for _ in range(5):
        waits.append(breaker.open_until - now)
        now = breaker.open_until
        fail(breaker, now)
    assert waits == [5.0, 10.0, 20.0, 40.0, 40.0]


def test_an_outcome_of_an_earlier_generation_says_nothing() -> None:
    breaker = Breaker(SPEC)
    late = breaker.acquire(0.0)
    assert isinstance(late, Permit)
    for _ in range(4):
        fail(breaker, 0.0)
    breaker.acquire(5.0)
    assert breaker.state == HALF_OPEN
    breaker.record(late, ok=False, seconds=0.0, now=5.0)
    assert breaker.state == HALF_OPEN


def test_slow_calls_count_as_failures() -> None:
    breaker = Breaker(BreakerSpec(min_calls=1, slow_call_s=1.0))
    permit = breaker.acquire(0.0)
    assert isinstance(permit, Permit)
    breaker.record(permit, ok=True, seconds=2.0, now=2.0)
    assert breaker.state == OPEN


@pytest.mark.fault(21, by="random outcomes")
@given(st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=80), st.integers(1, 8))
def test_it_opens_exactly_when_the_window_says_so(
    calls: list[tuple[float, bool]], most: int
) -> None:
    """Against the definition, counted anew for each call."""
    spec = BreakerSpec(failure_rate=0.5, min_calls=3, window_s=10.0, window_calls=most)
    breaker, now, seen = Breaker(spec), 0.0, list[tuple[float, bool]]()
    for wait, ok in calls:
        now += wait
        permit = breaker.acquire(now)
        assert isinstance(permit, Permit)
        breaker.record(permit, ok=ok, seconds=0.0, now=now)
        seen.append((now, ok))
        counted = [each for at, each in seen[-most:] if at >= now - 10.0]
        opens = len(counted) >= 3 and counted.count(False) * 2 >= len(counted)
        assert (breaker.state == OPEN) == opens
        if opens:
            return


def test_a_probe_that_was_not_made_gives_its_place_back() -> None:
    breaker = Breaker(SPEC)
    for _ in range(4):
        fail(breaker, 0.0)
    permits = [breaker.acquire(5.0) for _ in range(2)]
    assert not isinstance(breaker.acquire(5.0), Permit)
    assert isinstance(permits[0], Permit)
    breaker.release(permits[0])
    assert isinstance(breaker.acquire(5.0), Permit)


def test_it_closes_after_all_probes_and_starts_over() -> None:
    breaker = Breaker(SPEC)
    for _ in range(4):
        fail(breaker, 0.0)
    for _ in range(2):
        assert breaker.state != CLOSED
        permit = breaker.acquire(5.0)
        assert isinstance(permit, Permit)
        breaker.record(permit, ok=True, seconds=0.0, now=5.0)
    assert breaker.state == CLOSED
    for _ in range(3):
        fail(breaker, 6.0)
    assert breaker.state == CLOSED  # what failed before it opened is forgotten
    fail(breaker, 6.0)
    assert breaker.open_until == 6.0 + 5.0  # and so is how often it opened
    assert repr(breaker) == "<Breaker open calls=0 openings=1>"
