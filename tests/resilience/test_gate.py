"""The gate of an origin: its rate limit, and what it learns from answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.resilience.gate import PROBE_PATIENCE_S, Gate


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60), st.integers(1, 5), st.floats(0.5, 5))
def test_a_rate_limit_holds_in_every_window(
    waits: list[float], requests: int, per_s: float
) -> None:
    gate, now, passed = Gate(requests, per_s), 0.0, list[float]()
    for wait in waits:
        now += wait
        until = gate.acquire(now)
        if until is None:
            passed.append(now)
        else:
            assert until > now
    for first, start in enumerate(passed):
        for last, end in enumerate(passed[first:], first):
            flowed = (end - start) * requests / per_s
            assert (
                last - first + 1 <= requests + flowed + 1e-4
            )  # a full bucket, and what flows in meanwhile


@given(st.integers(1, 50), st.floats(0.5, 5), st.integers(1, 100), st.floats(0, 1e6))
def test_who_asks_again_when_told_is_let_through(
    requests: int, per_s: float, calls: int, start: float
) -> None:
    gate, now = Gate(requests, per_s), start
    for _ in range(calls):
        if (until := gate.acquire(now)) is not None:
            now = until
            assert gate.acquire(now) is None
    assert now - start <= max(calls - requests, 0) * per_s / requests + 1e-4


@pytest.mark.fault(20, by="a pause that ends, and many that wait")
def test_after_a_pause_one_request_goes_ahead() -> None:
    gate = Gate()
    assert gate.pause(0.0, 10.0, sent_at=0.0) == 10.0
    assert gate.acquire(9.0) == 10.0
    assert gate.acquire(10.0) is None
    assert gate.acquire(10.0) is not None
    gate.succeeded(10.0)
    assert gate.acquire(10.0) is None
    assert gate.acquire(10.0) is None


def test_a_probe_that_ends_without_an_answer_lets_another_one_go() -> None:
    gate = Gate()
    gate.pause(0.0, 10.0, sent_at=0.0)
    assert gate.acquire(10.0) is None
    gate.released(10.0)
    assert gate.acquire(11.0) is None
    assert gate.acquire(11.0) is not None
    assert (
        gate.acquire(11.0 + PROBE_PATIENCE_S) is None
    )  # a probe that never ends blocks nobody for ever


def test_pauses_grow_when_the_origin_does_not_say_how_long() -> None:
    gate, now, waits = Gate(), 1.0, list[float]()
    for _ in range(5):
        until = gate.pause(now, None, sent_at=now, longest_s=5.0)
        waits.append(until - now)
        now = until
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0]
    gate.succeeded(now)
    assert gate.pause(now, None, sent_at=now, longest_s=5.0) == now + 1.0


@pytest.mark.fault(20, by="a burst of 429")
def test_a_burst_of_refusals_is_one_pause() -> None:
    gate = Gate()
    assert {gate.pause(1.0, None, sent_at=0.9) for _ in range(64)} == {2.0}


def test_the_longest_pause_of_a_burst_counts() -> None:
    gate = Gate()
    gate.pause(1.0, 30.0, sent_at=0.9)
    assert gate.pause(1.1, 5.0, sent_at=0.9) == 31.0
    assert gate.acquire(30.0) == 31.0


def test_what_was_sent_before_a_pause_does_not_end_it() -> None:
    gate = Gate()
    gate.pause(1.0, 10.0, sent_at=0.5)
    gate.succeeded(0.5)
    assert gate.acquire(11.0) is None
    gate.released(0.5)
    assert gate.acquire(11.0) is not None  # the probe is still out


def test_a_gate_explains_itself() -> None:
    gate = Gate(2, 1.0)
    gate.pause(0.0, 5.0, sent_at=0.0)
    assert repr(gate) == "<Gate tokens=2.0 closed_until=5.0 probing>"


def test_an_origin_that_says_at_once_and_refuses_again_is_asked_less_and_less() -> None:
    gate, now, waits = Gate(), 1.0, list[float]()
    for said in (0.0, 0.0, 0.0, 0.5, 30.0, 0.0):
        until = gate.pause(now, said, sent_at=now, longest_s=60.0)
        waits.append(until - now)
        now = until
    assert waits == [0.0, 2.0, 4.0, 8.0, 30.0, 32.0]
    gate.succeeded(now)
    assert gate.pause(now, 0.0, sent_at=now) == now
