"""What pipelines of one origin share, and what each has of its own."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from worker.core.model import Facts
from worker.core.urls import origin_of
from worker.http.registry_config import RegistryConfig
from worker.sources.http_config import HttpConfig
from worker.sources.rate_limit import RateLimit, limit_words
from worker.testing.clock import FakeClock
from worker.wiring.origins import Origins

URL = "https://api.example.com/v1/items"


def source(url: str = URL, **more: Any) -> HttpConfig:
    return HttpConfig.model_validate({"url": url, "records": "items", **more})


def origins() -> Origins:
    return Origins(FakeClock(), lambda event: None)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin_of("https://api.example.com:8443/v1?a=b") == "https://api.example.com:8443"


def test_one_origin_has_one_breaker_and_one_retry_budget() -> None:
    shared = origins()
    first, second = shared.guard(source()), shared.guard(source(URL + "/orders"))
    assert first is not second
    assert first.breaker is second.breaker and first.budget is second.budget
    other = shared.guard(source("https://other.example.com/v1"))
    assert other.breaker is not first.breaker and other.budget is not first.budget


def test_each_credential_has_a_gate_of_its_own() -> None:
    shared = origins()
    tokens = [{"type": "bearer", "token": text} for text in ("a", "a", "b")]
    first, same, other = (shared.guard(source(auth=auth)) for auth in tokens)
    assert first.gate is same.gate and other.gate is not first.gate
    assert other.breaker is first.breaker


def test_the_rate_limit_of_the_config_is_that_of_the_gate() -> None:
    gate = origins().guard(source(rate_limit={"requests": 2, "per": "10s"})).gate
    assert [gate.acquire(0.0), gate.acquire(0.0)] == [None, None]
    assert gate.acquire(0.0) == 10.0


def test_limits_of_requests_and_of_costs_are_those_of_one_gate_in_the_words_of_the_config() -> None:
    limits = [
        {"requests": 10},
        {"requests": 0.5, "per": "1m"},
        {"cost": 1000, "per": "1h", "from": {"header": "X-Cost"}},
    ]
    shared = origins()
    gate = shared.guard(source(rate_limit=limits)).gate
    assert shared.guard(source(URL + "/more", rate_limit=limits)).gate is gate
    assert [limit_words(limit) for limit, _ in gate.spending(0.0)] == [
        "10 requests per 1s",
        "0.5 requests per 1m",
        "cost 1000 per 1h",
    ]


@pytest.mark.parametrize(
    ("said", "cost"),
    [(5, 5.0), ("7.5", 7.5), (0, 0.0), (-1, None), (True, None), (None, None), ("a", None)],
)
def test_a_cost_is_a_number_or_the_text_of_one(said: Any, cost: float | None) -> None:
    limit = RateLimit.model_validate({"cost": 9, "from": {"body": "cost"}})
    assert limit.cost_of(Facts(0, body={"cost": said}), {}) == cost


def test_a_registry_at_the_origin_of_the_source_has_a_breaker_of_its_own() -> None:
    shared, config = origins(), source()
    guard = shared.registry_guard(RegistryConfig(url="https://api.example.com/sr"), config.retry)
    assert guard.breaker is not shared.guard(config).breaker


async def test_slots_are_shared_only_where_the_config_names_an_origin() -> None:
    shared = origins()
    assert isinstance(shared.slots(source()), nullcontext)
    named = source().model_copy(update={"origin": "partner", "concurrency": 2})
    slots = shared.slots(named)
    assert shared.slots(named) is slots
    async with slots, slots:
        assert slots.locked()  # type: ignore[attr-defined]
