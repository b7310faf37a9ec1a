"""How long an answer asks to wait: the places of the config, then the headers that all know."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from worker.core.model import MISSING
from worker.sources.http_config import HttpConfig
from worker.sources.waits import wait_of

NOW = 1_700_000_000.0


def wait(
    places: list[dict[str, Any]],
    headers: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    *,
    limited: bool = True,
) -> float | None:
    config = HttpConfig.model_validate({"url": "https://h", "retry_after": places})
    return wait_of(
        config.retry_after,
        headers or {},
        lambda path: (body or {}).get(path, MISSING),
        now_s=NOW,
        max_s=600.0,
        limited=limited,
    )


IN_BODY = {"body": "retry_in"}
IN_HEADER = {"header": "X-Reset", "format": "epoch_ms"}


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, {"retry_in": 7}, 7.0),
        ({"X-Reset": "1700000009000"}, {"retry_in": 7}, 7.0),
        ({"X-Reset": "1700000009000"}, {}, 9.0),
        ({"X-Reset": "1700000009000"}, {"retry_in": "soon"}, 9.0),
        ({"X-Reset": "never", "Retry-After": "3"}, {"retry_in": None}, 3.0),
        ({"Retry-After": "3"}, {"retry_in": 7}, 7.0),
        ({"RateLimit": '"default";r=0;t=5'}, {}, 5.0),
        ({}, {}, None),
    ],
)
def test_the_first_place_that_says_a_time_counts(
    headers: dict[str, str], body: dict[str, Any], seconds: float | None
) -> None:
    assert wait([IN_BODY, IN_HEADER], headers, body) == seconds


@pytest.mark.parametrize("limited", [True, False])
def test_a_place_of_the_config_counts_for_every_answer_that_waits(limited: bool) -> None:
    assert wait([IN_BODY], {}, {"retry_in": 1.5}, limited=limited) == 1.5
    assert wait([], {"X-RateLimit-Reset": "4"}, limited=limited) == (4.0 if limited else None)


@pytest.mark.parametrize(
    "place", [{}, {"body": "a", "header": "X-A"}, {"format": "seconds"}, {"header": "no name"}]
)
def test_a_place_is_one_place(place: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        wait([place])
