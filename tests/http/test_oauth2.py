"""Client credentials against a token server that does what such servers do."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from worker.components import AUTH
from worker.core.errors import AuthError, BadBody, Exit, PermanentError, TransientError, WorkerError
from worker.core.model import Request
from worker.http.auth import Auth, AuthDeps, Outgoing
from worker.http.auth.tokens import seconds
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Response, Timeouts
from worker.testing.clock import FakeClock

SECRET = "s3/cr+t ü"


@dataclass
class TokenServer:
    """A token endpoint that gives out t1, t2, ... after `answers`, and the API that takes them.

    The API takes the tokens in `valid`, or any.
    """

    answers: list[tuple[int, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    life: Any = 3600
    asked: list[tuple[dict[str, str], str | None]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    valid: set[str] | None = None
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append(
            (dict(parse_qsl((await request.read()).decode())), request.headers.get("Authorization"))
        )
        number = len(self.asked)
        await self.hold.wait()
        if self.answers:
            status, document = self.answers.pop(0)
            return web.Response(
                status=status,
                text=document if isinstance(document, str) else json.dumps(document),
                headers=self.headers,
            )
        return web.json_response(
            {"access_token": f"t{number}", "token_type": "bearer"}
            | ({} if self.life is None else {"expires_in": self.life})
        )

    async def data(self, request: web.Request) -> web.Response:
        header = request.headers.get("Authorization", "")
        self.seen.append(header)
        return web.Response(
            status=200
            if self.valid is None or header.removeprefix("Bearer ") in self.valid
            else 401
        )


Make = Callable[..., Auth]


async def sent(auth: Auth) -> dict[str, str]:
    """The headers that credentials add to a request."""
    return dict((await auth.authorize(Outgoing("GET", "http://h/", {}))).credentials)


@asynccontextmanager
async def served(
    server: TokenServer, tmp_path: Path
) -> AsyncIterator[tuple[Make, HttpClient, str, FakeClock]]:
    app = web.Application()
    app.router.add_post("/token", server.token)
    app.router.add_get("/data", server.data)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    server.hold.set()
    clock = FakeClock()
    client = HttpClient(
        origin,
        user_agent="t",
        timeouts=Timeouts(1, 1, 3),
        limits=BodyLimits(65536, 65536),
        connections=9,
        spool=tmp_path,
    )
    async with client:

        async def fetch(request: Request, *, follow: bool = True) -> Response:
            return await client.fetch(request)

        def make(**options: Any) -> Auth:
            given: dict[str, Any] = {
                "type": "oauth2_client_credentials",
                "token_url": f"{origin}/token?tenant=s3cret",
                "client_id": "me",
                "client_secret": SECRET,
            }
            module = AUTH.load(options.get("type", given["type"]))
            config = module.Config.model_validate(given | options)
            made: Auth = module.build(config, AuthDeps({}, clock, lambda url: fetch))
            return made

        yield make, client, origin, clock
    await runner.cleanup()


async def test_the_client_proves_itself_as_configured(tmp_path: Path) -> None:
    server = TokenServer()
    async with served(server, tmp_path) as (make, _, _, _):
        assert await sent(make(scope="a b")) == {"Authorization": "Bearer t1"}
        assert await sent(make(client_auth="body")) == {"Authorization": "Bearer t2"}
    form, header = server.asked[0]
    assert form == {"grant_type": "client_credentials", "scope": "a b"}
    assert header is not None
    assert (
        base64.b64decode(header.removeprefix("Basic ")) == b"me:s3%2Fcr%2Bt+%C3%BC"
    )  # RFC 6749, 2.3.1: encoded as in a form
    assert server.asked[1] == (
        {"grant_type": "client_credentials", "client_id": "me", "client_secret": SECRET},
        None,
    )


async def test_a_token_is_asked_for_once_by_all_who_need_it(tmp_path: Path) -> None:
    server = TokenServer()
    async with served(server, tmp_path) as (make, _, _, _):
        auth = make()
        found = await asyncio.gather(*(sent(auth) for _ in range(50)))
        assert found == [{"Authorization": "Bearer t1"}] * 50
        assert await sent(auth) == found[0]
    assert len(server.asked) == 1


async def test_a_failure_is_shared_by_all_who_waited_for_it(tmp_path: Path) -> None:
    server = TokenServer([(503, "")])
    async with served(server, tmp_path) as (make, _, _, _):
        auth = make()
        found = await asyncio.gather(*(sent(auth) for _ in range(50)), return_exceptions=True)
        assert {type(each) for each in found} == {TransientError}
        assert len({id(each) for each in found}) == 50
        assert len(server.asked) == 1
        assert await sent(auth) == {"Authorization": "Bearer t2"}  # who comes later asks anew


async def test_a_cancelled_asker_leaves_the_question_to_the_next(tmp_path: Path) -> None:
    server = TokenServer()
    async with served(server, tmp_path) as (make, _, _, _):
        server.hold.clear()
        auth = make()
        first, second = asyncio.create_task(sent(auth)), asyncio.create_task(sent(auth))
        while not server.asked:
            await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.hold.set()
        assert await second == {"Authorization": "Bearer t2"}


async def test_a_token_is_renewed_before_it_expires(tmp_path: Path) -> None:
    async with served(TokenServer(life=600), tmp_path) as (make, _, _, clock):
        auth = make(refresh_before="60s")
        await sent(auth)
        clock.advance(539)
        assert await sent(auth) == {"Authorization": "Bearer t1"}
        clock.advance(1)
        assert await sent(auth) == {"Authorization": "Bearer t2"}


async def test_a_short_life_is_used_to_its_half(tmp_path: Path) -> None:
    """Otherwise each request would ask for a token that lives no longer than refresh_before."""
    async with served(TokenServer(life="30"), tmp_path) as (make, _, _, clock):
        auth = make(refresh_before="60s")
        await sent(auth)
        clock.advance(14)
        assert await sent(auth) == {"Authorization": "Bearer t1"}
        clock.advance(1)
        assert await sent(auth) == {"Authorization": "Bearer t2"}


async def test_others_use_the_old_token_while_it_is_renewed(tmp_path: Path) -> None:
    server = TokenServer(life=600)
    async with served(server, tmp_path) as (make, _, _, clock):
        auth = make()
        await sent(auth)
        clock.advance(550)
        server.hold.clear()
        renewing = asyncio.create_task(sent(auth))
        while len(server.asked) < 2:
            await asyncio.sleep(0)
        assert await sent(auth) == {"Authorization": "Bearer t1"}
        server.hold.set()
        assert await renewing == {"Authorization": "Bearer t2"}


async def test_an_endpoint_that_is_down_costs_nothing_while_the_token_is_valid(
    tmp_path: Path,
) -> None:
    server = TokenServer(life=600)
    async with served(server, tmp_path) as (make, _, _, clock):
        auth = make()
        await sent(auth)
        server.answers = [(503, "")] * 9
        clock.advance(550)
        for _ in range(20):
            assert await sent(auth) == {"Authorization": "Bearer t1"}
        assert len(server.asked) == 2  # not with each request
        clock.advance(50)
        with pytest.raises(TransientError):
            await sent(auth)


async def test_a_token_without_a_lifetime_holds_until_it_is_refused(tmp_path: Path) -> None:
    async with served(TokenServer(life=None), tmp_path) as (make, _, _, clock):
        auth = make()
        await sent(auth)
        clock.advance(30 * 86_400)
        assert await sent(auth) == {"Authorization": "Bearer t1"}


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_refused_credentials_are_permanent_and_exit_with_77(
    status: int, tmp_path: Path
) -> None:
    server = TokenServer(
        [(status, {"error": "invalid_client", "error_description": f"no client has {SECRET}"})]
    )
    async with served(server, tmp_path) as (make, _, _, _):
        with pytest.raises(
            AuthError, match=rf"answered {status}, saying 'invalid_client: no client has \*\*\*'"
        ) as caught:
            await sent(make())
    assert caught.value.exit == Exit.PERMISSION
    assert "client_secret" in caught.value.remedy


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
async def test_an_endpoint_that_may_answer_later_is_transient(status: int, tmp_path: Path) -> None:
    server = TokenServer([(status, "<html>")], headers={"Retry-After": "7"})
    async with served(server, tmp_path) as (make, _, _, _):
        with pytest.raises(TransientError) as caught:
            await sent(make())
    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((404, ""), PermanentError, "answered 404"),
        ((200, "<html>login</html>"), BadBody, "no JSON object"),
        ((200, "[" * 5_000), BadBody, "no JSON object"),
        ((200, []), BadBody, "no JSON object"),
        ((200, {"error": "invalid_client"}), AuthError, "no access_token, saying 'invalid_client'"),
        ((200, {"access_token": ""}), AuthError, "no access_token"),
        ((200, {"access_token": 7}), AuthError, "no access_token"),
        ((200, {"access_token": "a\r\nX-Admin: 1"}), AuthError, "no access_token"),
    ],
)
async def test_answers_that_are_no_token_have_names(
    answer: tuple[int, Any], kind: type[WorkerError], says: str, tmp_path: Path
) -> None:
    async with served(TokenServer([answer]), tmp_path) as (make, _, origin, _):
        with pytest.raises(kind, match=says) as caught:
            await sent(make())
    assert type(caught.value) is kind
    assert caught.value.where == f"{origin}/token"


async def test_nothing_that_is_shown_carries_a_secret(tmp_path: Path) -> None:
    basic = base64.b64encode(b"me:s3%2Fcr%2Bt+%C3%BC").decode()
    echoes = {"error": "x", "error_description": f"{SECRET} s3%2Fcr%2Bt+%C3%BC {basic}"}
    async with served(
        TokenServer([(401, echoes), (503, SECRET), (200, {"access_token": 7, **echoes})]), tmp_path
    ) as (make, client, origin, _):
        auth = make()
        shown = []
        for _ in range(3):
            with pytest.raises(WorkerError) as caught:
                await client.fetch(Request("GET", f"{origin}/data?key=s3cret"), auth)
            shown.append(str(caught.value))
        answer = await client.fetch(Request("GET", f"{origin}/data"), auth)
        assert answer.credentials == {"Authorization": "Bearer t4"}
        shown += [repr(auth), repr(answer)]
    for text in shown:
        assert not any(secret in text for secret in (SECRET, "s3%2F", "bWU6", "s3cret", "t4"))


@pytest.mark.parametrize(
    ("status", "location"),
    [
        *((status, "http://127.0.0.1:1/token") for status in (302, 303, 307)),
        *((status, "/token") for status in (302, 307)),
    ],
)
async def test_a_token_endpoint_that_redirects_is_refused(
    status: int, location: str, tmp_path: Path
) -> None:
    server = TokenServer([(status, "")], headers={"Location": location})
    async with served(server, tmp_path) as (make, _, _, _):
        with pytest.raises(PermanentError, match=r"a redirect leads to|was redirected to"):
            await sent(make())
    assert len(server.asked) == 1  # the secret goes nowhere but to the endpoint


async def fetched(client: HttpClient, origin: str, auth: Auth) -> Response:
    return await client.fetch(Request("GET", f"{origin}/data"), auth)


async def test_a_secret_in_the_path_of_a_redirect_is_not_told(tmp_path: Path) -> None:
    server = TokenServer(
        answers=[(302, "")], headers={"Location": f"/denied/{quote(SECRET, safe='')}"}
    )
    async with served(server, tmp_path) as (make, _, _, _):
        with pytest.raises(PermanentError) as caught:
            await sent(make())
    assert "denied/***" in str(caught.value)


async def test_a_refused_token_is_renewed_once(tmp_path: Path) -> None:
    server = TokenServer(valid={"t2"})
    async with served(server, tmp_path) as (make, client, origin, clock):
        auth = make()
        answers = await asyncio.gather(*(fetched(client, origin, auth) for _ in range(5)))
        assert [answer.status for answer in answers] == [401] * 5
        assert all(auth.renew(answer) for answer in answers)
        late = answers[0]
        answers = await asyncio.gather(*(fetched(client, origin, auth) for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5
        assert len(server.asked) == 2
        assert auth.renew(late)  # who was late with the old one takes the new one
        assert len(server.asked) == 2
        server.valid = set()
        refused = await fetched(client, origin, auth)
        assert auth.renew(refused)  # it was good, and has ended
        refused = await fetched(client, origin, auth)
        assert not auth.renew(refused)  # another one just after it would be refused too
        clock.advance(60)
        assert auth.renew(refused)  # a later look asks anew
        found = await fetched(client, origin, auth)
        assert found.credentials == {"Authorization": "Bearer t4"}


@given(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers())
    )
)
def test_any_lifetime_is_a_number_of_seconds(expires_in: Any) -> None:
    assert 1.0 <= seconds(expires_in) <= 10 * 365 * 86_400.0
