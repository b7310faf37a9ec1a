"""Deadline -> retry -> retry budget -> breaker -> gate -> attempt, round any awaitable.

This is the only user of tenacity, which decides after a failure whether there is another attempt
and when. A call that succeeds at once never meets it. Each call that failed has a Retrying of its
own, because one that is shared loses failures. Only TransientError is retried, by an allow-list, so
that a cancellation never is.

Nothing is waited for in `turn`: a wait between attempts, a closed gate, an open breaker and a spent
retry budget raise Deferred, and the caller comes back later. `call` is for those who cannot put
their work back: it waits between the attempts where it stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
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
Costs = Sequence[float | None]
"""What an attempt has cost under each limit of the gate; None where its answer did not say."""
OnRetry = Callable[[int, float, BaseException | None], None]
"""Told of each failure that another attempt follows: its number, seconds until then, the error."""


@dataclass(frozen=True, slots=True)
class RetrySpec:
    max_attempts: int = 8
    base_s: float = 0.5
    cap_s: float = 60.0
    deadline_s: float = 600.0
    max_retry_after_s: float = 600.0


class RetryDue(Deferred):
    """An attempt failed, or its answer was not ready, and the next one is due later."""


class _StopBefore(stop_base):
    """No attempt begins after a time of the injected clock."""

    def __init__(self, deadline: float, clock: Clock) -> None:
        self._deadline, self._clock = deadline, clock

    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._clock.monotonic() + retry_state.upcoming_sleep >= self._deadline


class _StopRefused(stop_base):
    """Stops where the retry budget refuses another attempt.

    It must be the last of the reasons to stop, so that the budget is asked only for attempts that
    would be made.
    """

    def __init__(self, call: _FailedCall, budget: RetryBudget, clock: Clock) -> None:
        self._call, self._budget, self._clock = call, budget, clock
        self.refused = False

    def __call__(self, retry_state: RetryCallState) -> bool:
        now = self._clock.monotonic()
        self.refused = not self._budget.retry(self._call, now, until=self._call.deadline)
        return self.refused


class _FailedCall:
    """A call whose first attempt failed, until its last one has ended.

    Attributes:
        deadline: no attempt begins after this monotonic second.
        attempts: how many have failed.
        last: why there is another one.
    """

    def __init__(self, spec: RetrySpec, deadline: float, budget: RetryBudget, clock: Clock) -> None:
        self.deadline = deadline
        self.last: TransientError | None = None
        self._spec, self._polls = spec, 0
        self._refusal = _StopRefused(self, budget, clock)
        self._retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_random_exponential(multiplier=spec.base_s, max=spec.cap_s),
            stop=stop_after_attempt(spec.max_attempts)
            | _StopBefore(deadline, clock)
            | self._refusal,
            reraise=True,
        )
        self._retrying.begin()
        self._state = RetryCallState(self._retrying, None, (), {})

    @property
    def attempts(self) -> int:
        return self._state.attempt_number - 1

    @property
    def refused(self) -> bool:
        """Whether there is no further attempt because the budget refused it."""
        return self._refusal.refused

    def poll_s(self, error: NotReady) -> float:
        """Seconds until what is not ready is asked for again: that is no attempt that failed."""
        self.last, self._polls = error, self._polls + 1
        wait_s = error.retry_after_s
        if wait_s is None:
            wait_s = doubling_s(self._spec.base_s, self._polls, self._spec.cap_s)
        return max(wait_s, LEAST_WAIT_S)

    def wait_s(self, error: TransientError) -> float:
        """Seconds until the attempt after one that failed. Raises `error` when there is none."""
        self.last = error
        self._state.set_exception((type(error), error, error.__traceback__))
        wait_s = cast(float, self._retrying.iter(self._state))  # a DoSleep, or it raises
        self._state.prepare_for_next_attempt()
        return wait_s


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
        self._asker = gate.asker()
        self._retry, self._retries = retry, retries
        self._clock, self._emit = clock, emit
        self._target = target
        self._failed: dict[Hashable, _FailedCall] = {}  # between two attempts, by their names
        self.budget = RetryBudget(spacing_s=retry.base_s, longest_s=retry.cap_s)

    async def call(
        self, attempt: Callable[[], Awaitable[T]], *, on_retry: OnRetry = lambda *_: None
    ) -> T:
        """The result of `attempt`; waits between attempts where it stands.

        Raises Deferred when a gate, a breaker or the retry budget says that it is to be called
        again later, and what the last attempt raised when there is no further one.
        """
        name = object()
        try:
            while True:
                try:
                    return await self.turn(name, attempt, on_retry=on_retry)
                except RetryDue as due:
                    await self._clock.sleep(max(due.until - self._clock.monotonic(), 0.0))
        finally:
            self._end(name)

    async def turn(
        self,
        name: Hashable,
        attempt: Callable[[], Awaitable[T]],
        *,
        speculative: bool = False,
        on_retry: OnRetry = lambda *_: None,
        costs: Costs = (),
    ) -> T:
        """One attempt of the call `name`, and its result; the attempt fills in what it `costs`.

        Raises Deferred when it is to be called again later: with the same name it goes on with the
        attempts that are left until its deadline. Raises what the last attempt raised when there is
        no further one. A speculative call is tried once, and its outcome says nothing to the
        breaker.
        """
        if speculative or not self._retries:
            return await self._once(attempt, costs, first=True, speculative=speculative)
        now = self._clock.monotonic()
        call = self._going_on(name, now)
        deadline = now + self._retry.deadline_s if call is None else call.deadline
        try:
            # the deadline also ends an attempt that hangs
            async with asyncio.timeout(deadline - now) as limit:
                result = await self._once(attempt, costs, first=call is None, speculative=False)
        except TimeoutError as error:
            self._end(name)
            if not limit.expired():
                raise
            raise self._too_late(None if call is None else call.last) from error
        except NotReady as error:
            raise self._ready_later(name, self._kept(name, deadline), error) from error
        except TransientError as error:
            raise self._retry_due(name, self._kept(name, deadline), error, on_retry) from error
        except Exception:
            self._end(name)
            raise
        if call is not None:
            self._end(name)
        return result

    def _too_late(self, last: TransientError | None) -> TransientError:
        """The error of a call that its deadline ended; `last` is that of its attempt before."""
        if isinstance(last, NotReady):
            return last
        before = "" if last is None else f"; before that: {last}"
        return TransientError(
            f"did not end within {self._retry.deadline_s:g} s{before}",
            where=self._target,
            remedy="see source.retry.deadline",
        )

    def _going_on(self, name: Hashable, now: float) -> _FailedCall | None:
        """The call whose earlier attempts failed; None for a new one.

        One that was not gone on with before its deadline is over, as after a restart of its
        pipeline.
        """
        call = self._failed.get(name)
        if call is not None and now >= call.deadline:
            self._end(name)
            if isinstance(call.last, NotReady):
                raise call.last
            return None
        return call

    def _kept(self, name: Hashable, deadline: float) -> _FailedCall:
        """The call that is gone on with later."""
        if (call := self._failed.get(name)) is None:
            call = _FailedCall(self._retry, deadline, self.budget, self._clock)
            self._failed[name] = call
        return call

    def _ready_later(self, name: Hashable, call: _FailedCall, error: NotReady) -> Deferred:
        """When to ask again for what is not ready. Raises `error` when the deadline is too near."""
        until = self._clock.monotonic() + call.poll_s(error)
        if until >= call.deadline:
            self._end(name)
            raise error
        return RetryDue(until, str(error))

    def _retry_due(
        self, name: Hashable, call: _FailedCall, error: TransientError, on_retry: OnRetry
    ) -> Deferred:
        """When the call may be made again after a failure. Raises `error` when it may not."""
        try:
            wait_s = call.wait_s(error)
        except TransientError:
            self._end(name)
            if not call.refused:
                raise
            return Deferred(
                self.budget.turn(self._clock.monotonic()),
                f"too many requests to {self._target} are being retried; {error}",
            )
        on_retry(call.attempts, wait_s, error)
        return RetryDue(self._clock.monotonic() + wait_s, str(error))

    def _end(self, name: Hashable) -> None:
        """The call has ended, however it did."""
        if (call := self._failed.pop(name, None)) is not None:
            self.budget.done(call)

    async def _once(
        self, attempt: Callable[[], Awaitable[T]], costs: Costs, *, first: bool, speculative: bool
    ) -> T:
        permit = self._enter()
        held = self._asker.granted
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
            if held:
                self.gate.settle(self._clock.monotonic(), self._asker, held, costs)
            if not recorded:
                self.breaker.release(permit)

    def _enter(self) -> Permit:
        now = self._clock.monotonic()
        permit = self.breaker.acquire(now)
        if not isinstance(permit, Permit):
            raise Deferred(permit, f"the breaker of {self._target} is open")
        until = self.gate.acquire(now, self._asker)
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
