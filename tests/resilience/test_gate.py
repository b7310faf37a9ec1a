"""The gate of an origin: its rate limit, and what it learns from answers."""

from __future__ import annotations

import pytest

from worker.resilience.gate import PROBE_PATIENCE_S, Gate
from worker.resilience.limits import Limit


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
    gate = Gate([Limit(2, 1.0)])
    gate.pause(0.0, 5.0, sent_at=0.0)
    assert repr(gate) == "<Gate [<Spending 0+0 of 2 in 1 s>] closed_until=5.0 probing>"


def test_an_origin_that_says_at_once_and_refuses_again_is_asked_less_and_less() -> None:
    gate, now, waits = Gate(), 1.0, list[float]()
    for said in (0.0, 0.0, 0.0, 0.5, 30.0, 0.0):
        until = gate.pause(now, said, sent_at=now, longest_s=60.0)
        waits.append(until - now)
        now = until
    assert waits == [0.0, 2.0, 4.0, 8.0, 30.0, 32.0]
    gate.succeeded(now)
    assert gate.pause(now, 0.0, sent_at=now) == now
