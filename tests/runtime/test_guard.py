"""Retries, budget, breaker and gate round an attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.core.breaker import OPEN, Breaker, BreakerSpec
from worker.core.errors import Deferred, PermanentError, RateLimited, TransientError
from worker.core.events import Event
from worker.core.gate import Gate
from worker.core.retry_budget import RetryBudget
from worker.runtime.guard import Guard, RetrySpec
from worker.testing.clock import FakeClock

PATIENT = BreakerSpec(min_calls=1_000)


def guard(
    clock: FakeClock, *, retry: RetrySpec | None = None, breaker: BreakerSpec = PATIENT, gate: Gate | None = None, events: list[Event] | None = None
) -> Guard:
    emit = (events if events is not None else []).append
    return Guard(retry or RetrySpec(max_attempts=4), Breaker(breaker), gate or Gate(), clock, emit, target="https://a.example")


def failing(times: int, error: Callable[[], Exception], result: str = "ok") -> tuple[Callable[[], Awaitable[str]], list[float]]:
    """An attempt that fails so many times first, and when it was called."""
    calls: list[float] = []

    async def attempt() -> str:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) <= times:
            raise error()
        return result

    return attempt, calls


async def test_transient_errors_are_retried_until_it_works() -> None:
    attempt, calls = failing(3, lambda: TransientError("503"))
    assert await guard(FakeClock()).call(attempt) == "ok"
    assert len(calls) == 4


async def test_the_last_error_is_raised_when_attempts_are_spent() -> None:
    attempt, calls = failing(9, lambda: TransientError("503"))
    with pytest.raises(TransientError, match="503"):
        await guard(FakeClock()).call(attempt)
    assert len(calls) == 4


async def test_the_deadline_bounds_all_attempts_together() -> None:
    clock = FakeClock()

    async def slow() -> str:
        await clock.sleep(40)
        raise TransientError("slow")

    with pytest.raises(TransientError):
        await guard(clock, retry=RetrySpec(max_attempts=100, deadline_s=100)).call(slow)
    assert clock.monotonic() - 1_000 < 100 + 40 + 60


@pytest.mark.parametrize("error", [PermanentError("no"), ValueError("bug"), asyncio.CancelledError()])
async def test_nothing_else_is_retried(error: BaseException) -> None:
    calls = 0

    async def attempt() -> str:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        await guard(FakeClock()).call(attempt)
    assert calls == 1


async def test_retry_after_closes_the_gate_and_is_deferred_without_a_retry() -> None:
    clock = FakeClock()
    subject = guard(clock)
    attempt, calls = failing(1, lambda: RateLimited("429", retry_after_s=30))
    with pytest.raises(Deferred) as caught:
        await subject.call(attempt)
    assert caught.value.until == clock.monotonic() + 30
    with pytest.raises(Deferred, match="gate"):
        await subject.call(attempt)
    assert len(calls) == 1
    await clock.sleep(30)
    assert await subject.call(attempt) == "ok"


async def test_an_open_breaker_defers_and_closes_again_after_probes() -> None:
    clock, events = FakeClock(), list[Event]()
    subject = guard(clock, retry=RetrySpec(max_attempts=1), breaker=BreakerSpec(min_calls=2, open_for_s=30, permits=1), events=events)
    bad, _ = failing(99, lambda: TransientError("500"))
    for _ in range(2):
        with pytest.raises(TransientError):
            await subject.call(bad)
    assert subject.breaker.state == OPEN
    good, calls = failing(0, lambda: TransientError(""))
    with pytest.raises(Deferred, match="breaker"):
        await subject.call(good)
    await clock.sleep(30)
    assert await subject.call(good) == "ok"
    assert len(calls) == 1
    assert [getattr(event, "state", "") for event in events] == ["open", "closed"]


async def test_a_speculative_call_is_tried_once_and_says_nothing_to_the_breaker() -> None:
    subject = guard(FakeClock(), breaker=BreakerSpec(min_calls=1))
    attempt, calls = failing(9, lambda: TransientError("500"))
    with pytest.raises(TransientError):
        await subject.call(attempt, speculative=True)
    assert len(calls) == 1
    assert subject.breaker.state == "closed"


async def test_a_hundred_concurrent_calls_each_get_their_own_outcome() -> None:
    subject = guard(FakeClock())
    subject.budget = RetryBudget(1.0, 1_000)

    async def one(number: int) -> Any:
        attempt, _ = failing(number % 6, lambda: TransientError(str(number)), result=str(number))
        return await subject.call(attempt)

    found = await asyncio.gather(*(one(number) for number in range(100)), return_exceptions=True)
    for number, outcome in enumerate(found):
        if number % 6 < 4:
            assert outcome == str(number)
        else:
            assert isinstance(outcome, TransientError) and str(number) in str(outcome)


async def test_a_storm_is_not_amplified_beyond_the_budget() -> None:
    """100 callers of an origin that always fails: at most a fifth retries, the others are deferred."""
    subject = guard(FakeClock(), retry=RetrySpec(max_attempts=5))
    sent = 0

    async def attempt() -> str:
        nonlocal sent
        sent += 1
        await asyncio.sleep(0)
        raise TransientError("503")

    found = await asyncio.gather(*(subject.call(attempt) for _ in range(100)), return_exceptions=True)
    deferred = sum(isinstance(outcome, Deferred) for outcome in found)
    assert deferred >= 80
    assert sent <= 100 + 20 * 4
    assert repr(subject.budget) == "<RetryBudget retrying=0 active=0>"
