"""What pipelines of one origin share.

They share its breaker, where they reach it by the same way, and its retry budget; its gate, for
each credential; and its slots, where the config says so.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from worker.core.events import Emit
from worker.core.ports import Clock
from worker.core.urls import origin_of
from worker.http.proxy import proxy_shown
from worker.http.registry_config import RegistryConfig
from worker.resilience.breaker import Breaker, BreakerSpec
from worker.resilience.config import BreakerConfig, RetryConfig
from worker.resilience.gate import Gate
from worker.resilience.guard import Guard, RetrySpec
from worker.resilience.retry_budget import RetryBudget
from worker.sources.http_config import HttpConfig
from worker.sources.rate_limit import limits_of


class Origins:
    """One a run. The first pipeline of an origin sets its breaker."""

    def __init__(self, clock: Clock, emit: Emit) -> None:
        self._clock, self._emit = clock, emit
        self._breakers: dict[str, Breaker] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._gates: dict[tuple[str, str], Gate] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}

    def guard(self, source: HttpConfig) -> Guard:
        """The guard of a source: its own retries round what the origin shares."""
        origin, credential = origin_of(source.url), source.credential
        proxy = proxy_shown(source.proxy, source.url)
        reached = f"{origin} through {proxy}" if proxy else origin
        guard = Guard(
            _retry_spec(source.retry),
            self._breakers.setdefault(reached, Breaker(_breaker_spec(source.breaker))),
            self._gates.setdefault((origin, credential), Gate(limits_of(source.rate_limit))),
            self._clock,
            self._emit,
            target=reached,
            retries=source.may_repeat,
        )
        guard.budget = self._budgets.setdefault(origin, guard.budget)
        return guard

    def registry_guard(self, server: RegistryConfig, retry: RetryConfig) -> Guard:
        """The guard of a schema registry, which shares no breaker with a source of its origin."""
        origin = origin_of(server.url)
        credential = "" if server.auth is None else server.auth.model_dump_json()
        return Guard(
            _retry_spec(retry),
            self._breakers.setdefault(f"registry {origin}", Breaker(BreakerSpec())),
            self._gates.setdefault((f"registry {origin}", credential), Gate()),
            self._clock,
            self._emit,
            target=origin,
        )

    def slots(self, source: HttpConfig) -> AbstractAsyncContextManager[Any]:
        """What a request holds: one of the `concurrency` of a shared origin, or nothing."""
        if source.origin is None:
            return nullcontext()
        return self._slots.setdefault(source.origin, asyncio.Semaphore(source.concurrency))


def _retry_spec(config: RetryConfig) -> RetrySpec:
    return RetrySpec(
        max_attempts=config.max_attempts,
        base_s=config.base,
        cap_s=config.cap,
        deadline_s=config.deadline,
        max_retry_after_s=config.max_retry_after,
    )


def _breaker_spec(config: BreakerConfig) -> BreakerSpec:
    return BreakerSpec(
        failure_rate=config.failure_rate,
        min_calls=config.min_calls,
        window_s=config.window,
        open_for_s=config.open_for,
        permits=config.permits,
    )
