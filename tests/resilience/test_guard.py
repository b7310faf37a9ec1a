"""Retries, budget, breaker and gate round an attempt."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.core.errors import (
    Deferred,
    NotReady,
    PermanentError,
    RateLimited,
    TransientError,
)
from worker.core.events import Event
from worker.resilience.breaker import OPEN, Breaker, BreakerSpec
from worker.resilience.gate import Gate
from worker.resilience.guard import Guard, RetrySpec
from worker.resilience.limits import Limit
from worker.resilience.retry_budget import RetryBudget
from worker.testing.clock import FakeClock

PATIENT = BreakerSpec(min_calls=10**9)


class SteppedClock(FakeClock):
    """Sleepers wake in order of their times while `run` lets time pass."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = itertools.count()

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._number), woken))
        await woken

    async def run(self, until: float) -> None:
        await asyncio.sleep(0)
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
            if not self._sleepers or self._sleepers[0][0] > self.now:
                for _ in range(4):
                    await asyncio.sleep(0)


def guard(
    clock: FakeClock,
    *,
    retry: RetrySpec | None = None,
    breaker: BreakerSpec = PATIENT,
    gate: Gate | None = None,
    events: list[Event] | None = None,
) -> Guard:
    emit = (events if events is not None else []).append
    return Guard(
        retry or RetrySpec(max_attempts=4),
        Breaker(breaker),
        gate or Gate(),
        clock,
        emit,
        target="https://a.example",
    )


def failing(
    times: int, error: Callable[[], Exception], result: str = "ok"
) -> tuple[Callable[[], Awaitable[str]], list[float]]:
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


async def test_no_attempt_begins_after_the_deadline() -> None:
    clock, begun = FakeClock(), list[float]()

    async def slow() -> str:
        begun.append(clock.monotonic())
        await clock.sleep(40)
        raise TransientError("slow")

    with pytest.raises(TransientError, match="slow"):
        await guard(clock, retry=RetrySpec(max_attempts=100, deadline_s=100)).call(slow)
    assert begun[0] == 1_000
    assert begun[-1] < 1_100
    assert clock.monotonic() < 1_100 + 40


async def test_an_attempt_that_hangs_ends_with_the_deadline() -> None:
    subject = guard(FakeClock(), retry=RetrySpec(deadline_s=0.02))
    with pytest.raises(TransientError, match=r"did not end within 0\.02 s"):
        await subject.call(asyncio.Event().wait)
    assert subject.budget.retrying == 0


async def test_a_timeout_of_the_attempt_itself_is_not_taken_for_the_deadline() -> None:
    attempt, calls = failing(1, lambda: TimeoutError("a bug"))
    with pytest.raises(TimeoutError, match="a bug"):
        await guard(FakeClock()).call(attempt)
    assert len(calls) == 1


@pytest.mark.parametrize(
    "error", [PermanentError("no"), ValueError("bug"), asyncio.CancelledError()]
)
async def test_nothing_else_is_retried(error: BaseException) -> None:
    calls = 0

    async def attempt() -> str:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        await guard(FakeClock()).call(attempt)
    assert calls == 1


@pytest.mark.fault(20, by="429 with Retry-After")
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


@pytest.mark.fault(21, by="failures until the breaker opens")
async def test_an_open_breaker_defers_and_closes_again_after_probes() -> None:
    clock, events = FakeClock(), list[Event]()
    subject = guard(
        clock,
        retry=RetrySpec(max_attempts=1),
        breaker=BreakerSpec(min_calls=2, open_for_s=30, permits=1),
        events=events,
    )
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
        await subject.turn("p", attempt, speculative=True)
    assert len(calls) == 1
    assert subject.breaker.state == "closed"


@pytest.mark.fault(22, by="an answer that is too slow")
async def test_an_attempt_that_is_too_slow_counts_as_a_failure() -> None:
    clock = FakeClock()
    subject = guard(clock, breaker=BreakerSpec(min_calls=1, slow_call_s=1.0))

    async def slow() -> str:
        await clock.sleep(2)
        return "late"

    assert await subject.call(slow) == "late"
    assert subject.breaker.state == OPEN


@pytest.mark.fault(27, by="a POST that fails")
async def test_what_may_not_be_repeated_is_tried_once() -> None:
    clock = FakeClock()
    subject = Guard(RetrySpec(), Breaker(PATIENT), Gate(), clock, [].append, retries=False)
    attempt, calls = failing(1, lambda: TransientError("503"))
    with pytest.raises(TransientError):
        await subject.call(attempt)
    assert len(calls) == 1
    assert clock.slept == []


async def test_a_cancelled_call_gives_everything_back() -> None:
    clock = FakeClock()
    subject = guard(
        clock,
        breaker=BreakerSpec(min_calls=1, permits=1, open_for_s=1),
        retry=RetrySpec(max_attempts=1),
    )
    bad, _ = failing(1, lambda: TransientError("500"))
    with pytest.raises(TransientError):
        await subject.call(bad)
    clock.advance(1)
    task = asyncio.create_task(subject.call(asyncio.Event().wait))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    good, _ = failing(0, lambda: TransientError(""))
    assert await subject.call(good) == "ok"  # the probe's permit was returned
    assert subject.breaker.state == "closed"


async def test_a_pause_in_the_middle_of_retries_ends_them() -> None:
    errors: list[Exception] = [TransientError("500"), TransientError("503", retry_after_s=20)]
    clock = FakeClock()
    subject, told = guard(clock), list[int]()

    async def attempt() -> str:
        if errors:
            raise errors.pop(0)
        return "ok"

    with pytest.raises(Deferred) as caught:
        await subject.call(attempt, on_retry=lambda number, wait_s, error: told.append(number))
    assert caught.value.until == clock.monotonic() + 20
    assert told == [1]
    assert subject.budget.retrying == 0
    clock.advance(20)
    assert await subject.call(attempt) == "ok"


async def test_one_caller_has_all_its_attempts_however_often_it_fails() -> None:
    clock = FakeClock()
    subject = guard(clock, retry=RetrySpec(max_attempts=8, base_s=0.001))
    for _ in range(20):
        attempt, calls = failing(7, lambda: TransientError("503"))
        assert await subject.call(attempt) == "ok"
        assert len(calls) == 8


async def test_the_last_attempt_raises_its_error_even_when_the_budget_is_spent() -> None:
    """Else a page that always fails would be deferred for ever."""
    subject = guard(FakeClock(), retry=RetrySpec(max_attempts=1))
    subject.budget = RetryBudget(0.0, 0)
    attempt, _ = failing(9, lambda: TransientError("503"))
    with pytest.raises(TransientError):
        await subject.call(attempt)


async def test_calls_that_a_closed_gate_refuses_earn_no_budget() -> None:
    clock = FakeClock()
    subject = guard(clock)
    subject.gate.pause(clock.monotonic(), 100, sent_at=clock.monotonic())
    attempt, calls = failing(0, lambda: TransientError(""))
    for _ in range(50):
        with pytest.raises(Deferred):
            await subject.call(attempt)
    assert calls == []
    assert subject.budget.firsts == 0


async def test_a_turn_does_not_wait_and_the_next_one_goes_on_with_the_attempts_that_are_left() -> (
    None
):
    clock, told = FakeClock(), list[tuple[int, float, str]]()
    subject = guard(clock)
    attempt, calls = failing(9, lambda: TransientError("503"))

    def retried(number: int, wait_s: float, error: BaseException | None) -> None:
        told.append((number, clock.monotonic() + wait_s, str(error)))

    for number in range(1, 4):
        with pytest.raises(Deferred, match="503") as caught:
            await subject.turn("p", attempt, on_retry=retried)
        assert told[-1] == (number, caught.value.until, "503")
        assert not caught.value.paced
        clock.now = caught.value.until
    with pytest.raises(TransientError, match="503"):
        await subject.turn("p", attempt, on_retry=retried)
    assert (len(calls), len(told), clock.slept) == (4, 3, [])
    assert subject.budget.retrying == 0
    with pytest.raises(Deferred):  # another call has all its attempts
        await subject.turn("p", attempt)


async def test_turns_of_several_names_do_not_count_each_others_attempts() -> None:
    subject = guard(FakeClock(), retry=RetrySpec(max_attempts=3))
    subject.budget = RetryBudget(1.0, 1_000)
    attempt, _ = failing(10**9, lambda: TransientError("503"))
    for _ in range(2):
        for name in range(50):
            with pytest.raises(Deferred):
                await subject.turn(name, attempt)
    for name in range(50):
        with pytest.raises(TransientError):
            await subject.turn(name, attempt)
    assert subject.budget.retrying == 0


async def test_a_turn_that_succeeds_ends_its_call() -> None:
    subject = guard(FakeClock(), retry=RetrySpec(max_attempts=2))
    for _ in range(3):
        attempt, calls = failing(1, lambda: TransientError("503"))
        with pytest.raises(Deferred):
            await subject.turn("p", attempt)
        assert await subject.turn("p", attempt) == "ok"
        assert len(calls) == 2
    assert subject.budget.retrying == 0


async def test_a_call_that_nobody_went_on_with_is_over_at_its_deadline() -> None:
    """Its pipeline was stopped between two attempts; the origin is shared with others."""
    clock = FakeClock()
    subject = guard(clock, retry=RetrySpec(max_attempts=2, base_s=0.001, deadline_s=100))
    attempt, calls = failing(3, lambda: TransientError("503"))
    with pytest.raises(Deferred):
        await subject.turn("p", attempt)
    assert subject.budget.retrying == 1
    clock.advance(101)
    with pytest.raises(Deferred):  # the first of two attempts again
        await subject.turn("p", attempt)
    assert subject.budget.retrying == 1
    with pytest.raises(TransientError):
        await subject.turn("p", attempt)
    assert len(calls) == 3
    assert subject.budget.retrying == 0


async def test_a_turn_that_hangs_ends_with_the_deadline_of_its_call() -> None:
    clock = FakeClock()
    subject = guard(clock, retry=RetrySpec(base_s=0.001, deadline_s=100))
    attempt, _ = failing(1, lambda: TransientError("503"))
    with pytest.raises(Deferred):
        await subject.turn("p", attempt)
    clock.advance(99.98)
    with pytest.raises(TransientError, match="did not end within 100 s"):
        await subject.turn("p", asyncio.Event().wait)
    assert subject.budget.retrying == 0


async def test_a_turn_that_is_cancelled_keeps_the_attempts_of_its_call() -> None:
    subject = guard(FakeClock(), retry=RetrySpec(max_attempts=2))
    attempt, _ = failing(2, lambda: TransientError("503"))
    with pytest.raises(Deferred):
        await subject.turn("p", attempt)
    task = asyncio.create_task(subject.turn("p", asyncio.Event().wait))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(TransientError):
        await subject.turn("p", attempt)


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


@pytest.mark.fault(21, by="a burst of failures")
@pytest.mark.parametrize("callers", [100, 1_000])
async def test_a_burst_is_amplified_by_a_fifth_and_the_floor_at_most(callers: int) -> None:
    """Callers of an origin that always fails: what may not retry now is deferred, each to its own
    turn.
    """
    clock = FakeClock()
    subject = guard(clock, retry=RetrySpec(max_attempts=5, deadline_s=1e9))
    sent = 0

    async def attempt() -> str:
        nonlocal sent
        sent += 1
        await asyncio.sleep(0)
        raise TransientError("503")

    found = await asyncio.gather(
        *(subject.call(attempt) for _ in range(callers)), return_exceptions=True
    )
    turns = [outcome.until for outcome in found if isinstance(outcome, Deferred)]
    assert len(turns) >= callers * 0.8
    assert sent <= callers * 1.2 + 3 * 4
    assert max(Counter(turns).values()) <= 1 + callers // 60  # no herd comes back
    assert subject.budget.retrying == 0


@pytest.mark.fault(21, by="failures that last")
async def test_a_storm_that_lasts_is_amplified_by_a_fifth_and_the_floor_at_most() -> None:
    """200 partitions, 64 workers, five minutes of 503, and no breaker to help: the workers obey
    what Deferred says.
    """
    clock = SteppedClock()
    subject = Guard(RetrySpec(deadline_s=600), Breaker(PATIENT), Gate(), clock, [].append)
    sent = firsts = 0
    due = [(0.0, number) for number in range(200)]

    async def attempt() -> str:
        nonlocal sent
        sent += 1
        await clock.sleep(0.05)
        raise TransientError("503")

    async def worker() -> None:
        nonlocal firsts
        while True:
            at, number = heapq.heappop(due)
            await clock.sleep(max(at - clock.monotonic(), 0))
            firsts += 1
            try:
                await subject.call(attempt)
            except Deferred as deferred:
                at = deferred.until
            except TransientError:
                at = clock.monotonic() + 60  # parked
            heapq.heappush(due, (at, number))

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(worker()) for _ in range(64)]
        await clock.run(300)
        for task in workers:
            task.cancel()
    retries_of_floor = 3 * 7 * 300 / 30  # seven retries take half a minute
    assert firsts > 600
    assert sent <= firsts * 1.2 + retries_of_floor


async def test_a_wait_says_whether_the_origin_or_our_own_rate_limit_is_its_cause() -> None:
    clock = FakeClock(0.0)
    guarded = guard(clock, gate=Gate([Limit(1, 60.0)]))

    async def well() -> str:
        return "ok"

    assert await guarded.call(well) == "ok"
    with pytest.raises(Deferred) as caught:
        await guarded.call(well)
    assert caught.value.paced
    guarded.gate.pause(0.0, 300.0, sent_at=0.0)
    with pytest.raises(Deferred) as caught:
        await guarded.call(well)
    assert not caught.value.paced


# -- an answer that is not ready ----------------------------------------------------------------------


async def test_what_is_not_ready_is_asked_for_until_it_is_and_costs_nothing() -> None:
    clock = SteppedClock()
    origin = guard(
        clock,
        retry=RetrySpec(max_attempts=2, base_s=1, cap_s=4, deadline_s=600),
        breaker=BreakerSpec(min_calls=1, failure_rate=0.1),
    )
    asked: list[float] = []

    async def attempt() -> str:
        asked.append(clock.now)
        if len(asked) <= 6:
            raise NotReady("202")
        return "page"

    call = asyncio.create_task(origin.call(attempt))
    await clock.run(until=600)
    assert await call == "page"
    assert asked == [0, 1, 3, 7, 11, 15, 19]  # the waits of retry, and more than its attempts
    assert origin.breaker.state != OPEN and origin.gate.closed_for(clock.now) == 0


async def test_what_is_not_ready_waits_as_long_as_the_source_says_and_others_do_not() -> None:
    clock = SteppedClock()
    origin = guard(clock)
    asked: list[float] = []

    async def attempt() -> str:
        asked.append(clock.now)
        if len(asked) == 1:
            raise NotReady("202", retry_after_s=30)
        return "page"

    call = asyncio.create_task(origin.call(attempt))
    await asyncio.sleep(0)
    assert origin.gate.closed_for(clock.now) == 0  # it says nothing of other requests
    await clock.run(until=60)
    assert await call == "page" and asked == [0, 30]


async def test_what_never_gets_ready_ends_at_the_deadline() -> None:
    clock = SteppedClock()
    origin = guard(clock, retry=RetrySpec(max_attempts=2, base_s=1, cap_s=1, deadline_s=10))
    asked = 0

    async def attempt() -> str:
        nonlocal asked
        asked += 1
        raise NotReady("202")

    call = asyncio.create_task(origin.call(attempt))
    await clock.run(until=60)
    with pytest.raises(NotReady):
        await call
    assert asked == 10 and clock.now < 10


async def test_a_failure_while_waiting_is_a_failure_like_any_other() -> None:
    clock = SteppedClock()
    origin = guard(clock, retry=RetrySpec(max_attempts=2, base_s=0.1, cap_s=0.1))
    answers = iter([NotReady("202"), TransientError("503"), NotReady("202"), None])

    async def attempt() -> str:
        if (error := next(answers)) is not None:
            raise error
        return "page"

    call = asyncio.create_task(origin.call(attempt))
    await clock.run(until=60)
    assert await call == "page"
