"""Sessions: where a login has its token, where requests carry it, and when it is made again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from kit import answered
from pydantic import ValidationError

from worker.core.errors import AuthError, PermanentError, TransientError
from worker.core.model import Request
from worker.http.auth import Auth, AuthDeps, Outgoing
from worker.http.auth.session import Config, build
from worker.http.client import Response
from worker.testing.clock import FakeClock

LOGIN = {"url": "http://h/login?tenant=s3cret", "body": {"user": "me", "password": "pa55-word"}}


@dataclass
class Server:
    """A login with these answers, the last one again and again."""

    answers: list[Response]
    asked: list[Request] = field(default_factory=list)
    followed: list[bool] = field(default_factory=list)

    async def __call__(self, request: Request, *, follow: bool = True) -> Response:
        self.asked.append(request)
        self.followed.append(follow)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def answer(
    body: Any = None, status: int = 200, cookies: tuple[str, ...] = (), **headers: str
) -> Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = answered(
        status, headers={name.replace("_", "-"): each for name, each in headers.items()}
    )
    return Response(status, found.headers, data, found.url, set_cookies=cookies)


def session(server: Server, clock: FakeClock | None = None, **keys: Any) -> Auth:
    config = Config.model_validate({"type": "session", "login": LOGIN, **keys})
    return build(config, AuthDeps({}, clock or FakeClock(), lambda url: server))


async def sent(auth: Auth) -> Outgoing:
    return await auth.authorize(Outgoing("GET", "http://h/a?b=c", {"Cookie": "x=1"}))


@pytest.mark.parametrize(
    ("keys", "given", "headers", "url"),
    [
        (
            {"token": {"body": "a.b"}},
            answer({"a": {"b": "t0"}}),
            {"Authorization": "Bearer t0"},
            "",
        ),
        ({"token": {"body": "id"}}, answer({"id": 7}), {"Authorization": "Bearer 7"}, ""),
        ({"token": {"header": "X-T"}}, answer(x_t=" t0 "), {"Authorization": "Bearer t0"}, ""),
        (
            {"token": {"cookie": "sid"}},
            answer(cookies=("a=b; Path=/", "sid=old", "sid = t0=; HttpOnly; Secure")),
            {"Cookie": "x=1; sid=t0="},
            "",
        ),
        (
            {"token": {"body": "t"}, "send": {"header": "X-Auth", "prefix": "Token "}},
            answer({"t": "t0"}),
            {"X-Auth": "Token t0"},
            "",
        ),
        (
            {"token": {"body": "t"}, "send": {"cookie": "s"}},
            answer({"t": "t0"}),
            {"Cookie": "x=1; s=t0"},
            "",
        ),
        ({"token": {"body": "t"}, "send": {"param": "k"}}, answer({"t": "t+0"}), {}, "&k=t%2B0"),
        (
            {"token": {"cookie": "s"}, "send": {"header": "X"}},
            answer(status=302, cookies=("s=t0",)),
            {"X": "t0"},
            "",
        ),
    ],
)
async def test_a_token_is_taken_from_one_place_and_sent_in_another(
    keys: dict[str, Any], given: Response, headers: dict[str, str], url: str
) -> None:
    server = Server([given])
    request = await sent(session(server, **keys))
    assert dict(request.credentials) == headers
    assert request.url == f"http://h/a?b=c{url}"
    assert server.followed == [False]


@pytest.mark.parametrize(
    "given",
    [
        answer({"error": "locked", "detail": "for pa55-word"}),
        answer({"t": ""}),
        answer({"t": True}),
        answer({"t": ["x"]}),
        answer({"t": "a\r\nX-Admin: 1"}),
        answer(b"<html>"),
        answer(status=302, location="/login?failed"),
    ],
)
async def test_an_answer_without_a_token_is_a_refusal(given: Response) -> None:
    with pytest.raises(AuthError, match="without a token") as caught:
        await sent(session(Server([given]), token={"body": "t"}))
    assert "source.auth.token" in caught.value.remedy
    assert "s3cret" not in str(caught.value) and "pa55" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, AuthError),
        (401, AuthError),
        (403, AuthError),
        (404, PermanentError),
        (503, TransientError),
    ],
)
async def test_a_refused_login_says_what_the_server_said(
    status: int, kind: type[Exception]
) -> None:
    given = answer({"error": {"message": "no pa55-word"}}, status)
    with pytest.raises(kind, match=rf"the login answered {status}, saying 'no \*\*\*'"):
        await sent(session(Server([given]), token={"body": "t"}))


async def test_a_session_that_expires_is_made_anew_before_a_request() -> None:
    server, clock = Server([answer({"t": "t0"}), answer({"t": "t1"})]), FakeClock()
    auth = session(server, clock, token={"body": "t"}, expires="30m")
    clock.advance(1799)
    assert (await sent(auth)).credentials["Authorization"] == "Bearer t0"
    clock.advance(1799)
    assert (await sent(auth)).credentials["Authorization"] == "Bearer t0"
    clock.advance(1)
    assert (await sent(auth)).credentials["Authorization"] == "Bearer t1"


async def test_a_session_that_was_good_is_renewed_whenever_it_is_refused() -> None:
    server = Server([answer({"t": f"t{number}"}) for number in range(9)])
    auth = session(server, token={"body": "t"})
    for number in range(5):
        headers = (await sent(auth)).credentials
        auth.answered(answered(200, credentials=headers))
        assert auth.renew(answered(401, credentials=headers)), number
    assert len(server.asked) == 5


async def test_a_session_that_was_never_good_is_renewed_once() -> None:
    auth = session(Server([answer({"t": "t0"}), answer({"t": "t1"})]), token={"body": "t"})
    assert auth.renew(answered(401, credentials=(await sent(auth)).credentials))
    assert not auth.renew(answered(401, credentials=(await sent(auth)).credentials))


async def test_a_secret_within_the_body_is_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "from-the-environment")
    server = Server([answer({"t": "t0"})])
    body = {"users": [{"password": {"env": "PW"}, "env": "prod", "n": 1, "empty": {}}]}
    auth = session(
        server,
        token={"body": "t"},
        login={"url": "http://h/login", "body": body, "headers": {"X-K": {"env": "PW"}}},
    )
    await sent(auth)
    [asked] = server.asked
    assert json.loads(asked.body or b"") == {
        "users": [{"password": "from-the-environment", "env": "prod", "n": 1, "empty": {}}]
    }
    assert dict(asked.headers)["X-K"] == "from-the-environment"
    assert dict(asked.headers)["Content-Type"] == "application/json"


async def test_a_form_is_sent_as_one() -> None:
    server = Server([answer({"t": "t0"})])
    await sent(
        session(server, token={"body": "t"}, login={"url": "http://h/l", "form": {"a": "b c&"}})
    )
    [asked] = server.asked
    assert asked.body == b"a=b+c%26"
    assert dict(asked.headers)["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"login": {**LOGIN, "form": {"a": "b"}}, "token": {"body": "t"}}, ("login", "form")),
        ({"login": {**LOGIN, "method": "GET"}, "token": {"body": "t"}}, ("login", "body")),
        ({"token": {"body": "t", "header": "X"}}, ("token",)),
        ({"token": {}}, ("token",)),
        ({"token": {"cookie": "a b"}}, ("token", "cookie")),
        ({"token": {"body": "t"}, "send": {"header": "X", "param": "y"}}, ("send",)),
        ({"token": {"body": "t"}, "send": {"header": "Host"}}, ("send", "header")),
        ({"token": {"body": "t"}, "expires": "0s"}, ("expires",)),
        ({"token": {"body": "["}}, ("token", "body")),
        ({"login": {"url": "http://u:p@h/l"}, "token": {"body": "t"}}, ("login", "url")),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_key(
    keys: dict[str, Any], place: tuple[str, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate({"type": "session", "login": LOGIN, **keys})
    assert [error["loc"] for error in caught.value.errors()] == [place]


@pytest.mark.parametrize(
    ("send", "carried", "params"),
    [
        (None, ("token", "header", "Authorization"), ()),
        ({"cookie": "s"}, ("send", "cookie", "s"), ()),
        ({"param": "k"}, ("send", "param", "k"), ("k",)),
    ],
)
def test_it_says_where_it_is_carried(
    send: Any, carried: tuple[str, str, str], params: tuple[str, ...]
) -> None:
    keys = {"type": "session", "login": LOGIN, "token": {"body": "t"}, "send": send}
    config = Config.model_validate(keys)
    assert (config.carried, config.secret_params) == (carried, params)
    assert config.endpoints == (LOGIN["url"],)
