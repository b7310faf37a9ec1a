"""Deadline -> retry -> retry budget -> breaker -> gate -> attempt, round any awaitable.

This is the only user of tenacity. Each call has a fresh AsyncRetrying, because one that is shared
by tasks loses failures. Only TransientError is retried, by an allow-list, so that a cancellation
never is. A closed gate, an open breaker and a spent retry budget are not waited for: they raise
Deferred, and the caller comes back later.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)
from tenacity.stop import stop_base

from worker.core.errors import Deferred, NotReady, RateLimited, TransientError
from worker.core.events import BreakerChanged, Emit
from worker.core.ports import Clock
from worker.resilience.backoff import doubling_s
from worker.resilience.breaker import Breaker, Permit
from worker.resilience.gate import Gate
from worker.resilience.retry_budget import RetryBudget

LEAST_WAIT_S: Final = 0.01
"""Between two requests for what is not ready, whatever the config says."""

T = TypeVar("T")
OnRetry = Callable[[int, float, BaseException | None], None]


@dataclass(frozen=True, slots=True)
class RetrySpec:
    max_attempts: int = 8
    base_s: float = 0.5
    cap_s: float = 60.0
    deadline_s: float = 600.0
    max_retry_after_s: float = 600.0


def _may_pass_if_repeated(error: BaseException) -> bool:
    """An allow-list; what is not ready has been asked for until the deadline."""
    return isinstance(error, TransientError) and not isinstance(error, NotReady)


class _StopBefore(stop_base):
    """No attempt begins after a time of the injected clock."""

    def __init__(self, deadline: float, clock: Clock) -> None:
        self._deadline, self._clock = deadline, clock

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._clock.monotonic() + retry_state.upcoming_sleep >= self._deadline


class _StopRefused(stop_base):
    """Stops where the retry budget refuses another attempt.

    There is one for each call. It must be the last of the reasons to stop, so that the budget is
    asked only for attempts that would be made.
    """

    def __init__(self, budget: RetryBudget, clock: Clock) -> None:
        self._budget, self._clock = budget, clock
        self.asked = self.retries = self.refused = False

    def __call__(self, retry_state: RetryCallState) -> bool:
        self.asked = True
        self.refused = not self._budget.retry(self._clock.monotonic(), again=self.retries)
        self.retries |= not self.refused
        return self.refused

    def done(self) -> None:
        if self.retries:
            self._budget.done()


class Guard:
    """The guard of an origin and credential; all that call it share its breaker and gate."""

    def __init__(
        self,
        retry: RetrySpec,
        breaker: Breaker,
        gate: Gate,
        clock: Clock,
        emit: Emit,
        *,
        target: str = "",
        retries: bool = True,
    ) -> None:
        self.breaker, self.gate = breaker, gate
        self._retry, self._retries = retry, retries
        self._clock, self._emit = clock, emit
        self._target = target
        self.budget = RetryBudget(spacing_s=retry.base_s, longest_s=retry.cap_s)

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        speculative: bool = False,
        on_retry: OnRetry = lambda *_: None,
    ) -> T:
        """The result of `attempt`.

        Raises Deferred when it is to be called again later, and what the last attempt raised when
        there is no further one. A speculative call is tried once, and its outcome says nothing to
        the breaker.
        """
        if speculative or not self._retries:
            return await self._once(attempt, first=True, speculative=speculative)
        budget = _StopRefused(self.budget, self._clock)

        def before_sleep(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            on_retry(state.attempt_number, state.upcoming_sleep, error)

        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass_if_repeated),
            wait=wait_random_exponential(multiplier=self._retry.base_s, max=self._retry.cap_s),
            stop=stop_after_attempt(self._retry.max_attempts)
            | _StopBefore(self._clock.monotonic() + self._retry.deadline_s, self._clock)
            | budget,
            sleep=self._clock.sleep,
            before_sleep=before_sleep,
            reraise=True,
        )

        # a lambda would not do: tenacity awaits only what it sees to be a coroutine function
        async def once() -> T:
            return await self._until_ready(attempt, first=not budget.asked)

        try:
            # the deadline also ends an attempt that hangs
            async with asyncio.timeout(self._retry.deadline_s) as limit:
                return await retrying(once)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TransientError(
                f"did not end within {self._retry.deadline_s:g} s",
                where=self._target,
                remedy="see source.retry.deadline",
            ) from error
        except TransientError as error:
            if not budget.refused:
                raise
            raise Deferred(
                self.budget.turn(self._clock.monotonic()),
                f"too many requests to {self._target} are being retried; {error}",
            ) from error
        finally:
            budget.done()

    async def _until_ready(self, attempt: Callable[[], Awaitable[T]], *, first: bool) -> T:
        """One attempt, made again while its answer is not ready; the deadline of `call` ends it."""
        ends = self._clock.monotonic() + self._retry.deadline_s
        for times in itertools.count(1):
            try:
                return await self._once(attempt, first=first and times == 1, speculative=False)
            except NotReady as error:
                wait_s = error.retry_after_s
                if wait_s is None:
                    wait_s = doubling_s(self._retry.base_s, times, self._retry.cap_s)
                wait_s = max(wait_s, LEAST_WAIT_S)
                if self._clock.monotonic() + wait_s >= ends:
                    raise
            await self._clock.sleep(wait_s)
        raise AssertionError("it is counted for ever")

    async def _once(
        self, attempt: Callable[[], Awaitable[T]], *, first: bool, speculative: bool
    ) -> T:
        permit = self._enter()
        started = self._clock.monotonic()
        if first:
            self.budget.first(started)
        recorded = False
        try:
            result = await attempt()
        except RateLimited as error:
            until = self.gate.pause(
                self._clock.monotonic(),
                error.retry_after_s,
                sent_at=started,
                longest_s=self._retry.cap_s,
            )
            raise Deferred(until, str(error)) from error
        except NotReady:
            self.gate.succeeded(started)
            raise
        except TransientError as error:
            if not speculative:
                recorded = True
                self._record(permit, started, ok=False)
            if error.retry_after_s is not None:
                until = self.gate.pause(
                    self._clock.monotonic(), error.retry_after_s, sent_at=started
                )
                raise Deferred(until, str(error)) from error
            raise
        else:
            self.gate.succeeded(started)
            if not speculative:
                recorded = True
                self._record(permit, started, ok=True)
            return result
        finally:
            self.gate.released(started)
            if not recorded:
                self.breaker.release(permit)

    def _enter(self) -> Permit:
        now = self._clock.monotonic()
        permit = self.breaker.acquire(now)
        if not isinstance(permit, Permit):
            raise Deferred(permit, f"the breaker of {self._target} is open")
        until = self.gate.acquire(now)
        if until is not None:
            self.breaker.release(permit)
            raise Deferred(
                until, f"the gate of {self._target} is closed", paced=not self.gate.paused(now)
            )
        return permit

    def _record(self, permit: Permit, started: float, *, ok: bool) -> None:
        now, before = self._clock.monotonic(), self.breaker.state
        self.breaker.record(permit, ok=ok, seconds=now - started, now=now)
        if self.breaker.state != before:
            self._emit(
                BreakerChanged(
                    self._target, self.breaker.state, max(self.breaker.open_until - now, 0.0)
                )
            )
