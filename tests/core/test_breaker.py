"""The circuit breaker and the gate: properties over any sequence of calls."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from worker.core.breaker import CLOSED, HALF_OPEN, OPEN, Breaker, BreakerSpec, Permit
from worker.core.gate import Gate
from worker.core.retry_after import parse_retry_after

SPEC = BreakerSpec(failure_rate=0.5, min_calls=4, window_s=10.0, open_for_s=5.0, permits=2, longest_open_s=40.0)


class BreakerMachine(RuleBasedStateMachine):
    """Any order of calls, outcomes and time: half-open lets no more than its permits through, open nothing."""

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


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.integers(1, 5), st.floats(0.5, 5))
def test_a_rate_limit_holds_in_every_window(waits: list[float], requests: int, per_s: float) -> None:
    gate, now, passed = Gate(requests, per_s), 0.0, list[float]()
    for wait in waits:
        now += wait
        until = gate.acquire(now)
        if until is None:
            passed.append(now)
        else:
            assert until > now
    for start in passed:
        inside = sum(start <= each < start + per_s for each in passed)
        assert inside <= 2 * requests  # a full bucket, and what flows in meanwhile


def test_after_a_pause_one_request_goes_ahead() -> None:
    gate = Gate()
    assert gate.pause(0.0, 10.0) == 10.0
    assert gate.acquire(9.0) == 10.0
    assert gate.acquire(10.0) is None
    assert gate.acquire(10.0) is not None
    gate.succeeded()
    assert gate.acquire(10.0) is None
    assert gate.acquire(10.0) is None


def test_pauses_grow_when_the_origin_does_not_say_how_long() -> None:
    gate = Gate()
    assert [gate.pause(0.0, None, longest_s=5.0) for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("315360000", 600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1e9", None),
        ("nan", None),
        ("12abc", None),
        ("9" * 5000, 600.0),
    ],
)
def test_retry_after_in_seconds(said: str, seconds: float | None) -> None:
    assert parse_retry_after(said, date=None, max_s=600.0) == seconds


def test_retry_after_as_a_date_is_counted_from_the_servers_own_clock() -> None:
    said, server = formatdate(1_000_090, usegmt=True), formatdate(1_000_000, usegmt=True)
    assert parse_retry_after(said, date=server, max_s=600.0) == 90.0
    assert parse_retry_after(server, date=said, max_s=600.0) == 0.0


@given(st.text(), st.none() | st.text())
def test_retry_after_never_raises(said: str, date: str | None) -> None:
    found = parse_retry_after(said, date=date, max_s=600.0)
    assert found is None or 0 <= found <= 600.0
