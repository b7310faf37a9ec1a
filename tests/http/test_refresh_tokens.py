"""Refresh tokens that the endpoint replaces: the next one is kept before anything else happens."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import answered

from worker.core.errors import AuthError, SinkUnavailable, TransientError
from worker.core.model import Request
from worker.http.auth import Auth, AuthDeps, Outgoing
from worker.http.auth.oauth2_refresh_token import Config, build
from worker.http.client import Response
from worker.testing.clock import FakeClock


@dataclass
class Endpoint:
    """Gives out r1, r2, ... Each may be used until its successor was; then it is theft."""

    good: list[str] = field(default_factory=lambda: ["r0"])
    asked: list[str] = field(default_factory=list)
    stolen: bool = False
    rotates: bool = True
    fails: int = 0
    gate: asyncio.Event | None = None

    async def __call__(self, request: Request, *, follow: bool = True) -> Response:
        token = parse_qs((request.body or b"").decode())["refresh_token"][0]
        self.asked.append(token)
        if self.fails:
            self.fails -= 1
            raise TransientError("away")
        if token not in self.good or self.stolen:
            self.stolen = True
            return self._answer(400, b'{"error":"invalid_grant"}')
        del self.good[: self.good.index(token)]
        number = len(self.asked)
        body = f'{{"access_token":"a{number}","expires_in":100'
        if self.rotates:
            self.good.append(f"r{number}")
            body += f',"refresh_token":"r{number}"'
        if self.gate is not None:
            await self.gate.wait()
        return self._answer(200, f"{body}}}".encode())

    def _answer(self, status: int, body: bytes) -> Response:
        found = answered(status)
        return Response(status, found.headers, body, found.url)


@dataclass
class Kept:
    """A durable place in memory."""

    values: dict[str, str] = field(default_factory=dict)
    full: bool = False
    writes: int = 0

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        yield

    async def read(self) -> Mapping[str, str]:
        return dict(self.values)

    async def write(self, values: Mapping[str, str]) -> None:
        if self.full:
            raise SinkUnavailable("full")
        self.writes += 1
        self.values = dict(values)


def auth_over(endpoint: Endpoint, kept: Kept, clock: FakeClock, token: str = "r0") -> Auth:
    keys = {"type": "oauth2_refresh_token", "token_url": "http://h/t", "refresh_token": token}
    config = Config.model_validate(keys)
    return build(config, AuthDeps({}, clock, lambda url: endpoint, lambda name: kept))


async def sent(auth: Auth) -> str:
    return (await auth.authorize(Outgoing("GET", "http://h/", {}))).credentials["Authorization"]


async def test_the_next_token_is_used_and_goes_on_after_a_restart() -> None:
    endpoint, kept, clock = Endpoint(), Kept(), FakeClock()
    auth = auth_over(endpoint, kept, clock)
    assert await sent(auth) == "Bearer a1"
    assert kept.values["refresh_token"] == "r1"
    clock.advance(99)
    assert await sent(auth) == "Bearer a2"
    assert await sent(auth_over(endpoint, kept, clock)) == "Bearer a3"
    assert endpoint.asked == ["r0", "r1", "r2"]
    assert not endpoint.stolen


async def test_nothing_is_used_whose_refresh_token_could_not_be_kept() -> None:
    endpoint, kept, clock = Endpoint(), Kept(full=True), FakeClock()
    auth = auth_over(endpoint, kept, clock)
    for _ in range(2):
        with pytest.raises(SinkUnavailable):
            await sent(auth)
    assert endpoint.asked == ["r0"]  # the one that came waits to be kept; no other is asked for
    kept.full = False
    assert await sent(auth) == "Bearer a2"
    assert endpoint.asked == ["r0", "r1"]


async def test_a_token_that_is_not_replaced_is_kept_nowhere() -> None:
    endpoint, kept = Endpoint(rotates=False), Kept()
    assert await sent(auth_over(endpoint, kept, FakeClock())) == "Bearer a1"
    assert (kept.writes, kept.values) == (0, {})


async def test_another_token_in_the_config_takes_the_place_of_what_came_from_the_old_one() -> None:
    endpoint, kept, clock = Endpoint(good=["r0", "fresh"]), Kept(), FakeClock()
    await sent(auth_over(endpoint, kept, clock))
    endpoint.good = ["fresh"]
    assert await sent(auth_over(endpoint, kept, clock, "fresh")) == "Bearer a2"
    assert endpoint.asked == ["r0", "fresh"]
    assert kept.values == {"refresh_token": "r2", "of": hashlib.sha256(b"fresh").hexdigest()}


async def test_a_refused_token_says_what_to_do_and_is_told_by_nobody() -> None:
    endpoint = Endpoint(good=[])
    with pytest.raises(AuthError) as caught:
        await sent(auth_over(endpoint, Kept(), FakeClock(), "r0-secret"))
    assert "new refresh token" in caught.value.remedy
    assert "r0-secret" not in str(caught.value)


async def test_whoever_is_cancelled_waits_for_the_answer_that_holds_the_next_token() -> None:
    endpoint, kept = Endpoint(gate=asyncio.Event()), Kept()
    assert endpoint.gate is not None
    asking = asyncio.create_task(sent(auth_over(endpoint, kept, FakeClock())))
    while not endpoint.asked:
        await asyncio.sleep(0)
    for _ in range(3):
        asking.cancel()
        await asyncio.sleep(0)
    assert not asking.done()
    endpoint.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert kept.values["refresh_token"] == "r1"


@given(st.lists(st.sampled_from(["ask", "away", "full", "room", "restart", "cancel"]), max_size=25))
def test_no_history_uses_a_token_after_its_successor(steps: list[str]) -> None:
    async def history() -> None:
        endpoint, kept, clock = Endpoint(), Kept(), FakeClock()
        auth: Any = auth_over(endpoint, kept, clock)
        for step in steps:
            clock.advance(200)
            if step == "restart":
                auth = auth_over(endpoint, kept, clock)
                continue
            endpoint.fails = int(step == "away")
            kept.full = kept.full if step not in ("full", "room") else step == "full"
            asking = asyncio.create_task(sent(auth))
            if step == "cancel":
                await asyncio.sleep(0)
                asking.cancel()
            with suppress(TransientError, SinkUnavailable, asyncio.CancelledError):
                await asking
        kept.full, endpoint.fails = False, 0
        clock.advance(200)
        await sent(auth)
        assert not endpoint.stolen

    asyncio.run(history())
