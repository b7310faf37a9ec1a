"""Several credentials of one request, and cookies that are kept."""

from __future__ import annotations

from typing import Any

import pytest
from kit import answered, auth_of

from worker.http.auth import Auth, Outgoing
from worker.http.auth.cookies import KeptCookies
from worker.http.auth.several import Several
from worker.http.client import Response


def with_cookies(*lines: str, url: str = "http://h/a/b", status: int = 200) -> Response:
    return Response(status, answered(status).headers, b"", url, set_cookies=lines)


async def cookies_of(auth: Auth, url: str = "http://h/a/c", **headers: str) -> str:
    request = await auth.authorize(Outgoing("GET", url, headers))
    return request.headers.get("Cookie", "")


async def test_each_adds_its_own_and_cookies_are_joined() -> None:
    auth = Several(
        [
            auth_of("bearer", token="t0"),
            auth_of("api_key", name="a", **{"in": "cookie"}, value="1"),
            auth_of("api_key", name="b", **{"in": "cookie"}, value="2"),
            auth_of("api_key", name="k", **{"in": "query"}, value="x y"),
            auth_of("api_key", name="l", **{"in": "query"}, value="z"),
        ]
    )
    request = await auth.authorize(Outgoing("GET", "http://h/p?q=1", {"cookie": "own=0"}))
    assert request.headers == {"Authorization": "Bearer t0", "Cookie": "own=0; a=1; b=2"}
    assert request.url == "http://h/p?q=1&k=x%20y&l=z"
    assert dict(request.params) == {"k": "x y", "l": "z"}
    assert set(request.credentials) == {"Authorization", "Cookie"}


class Renews:
    """Credentials that are renewed, or not."""

    def __init__(self, renewed: bool) -> None:
        self._renewed, self.asked, self.told = renewed, 0, 0

    async def authorize(self, request: Outgoing) -> Outgoing:
        return request

    def answered(self, answer: Any) -> None:
        self.told += 1

    def renew(self, refused: Any) -> bool:
        self.asked += 1
        return self._renewed


@pytest.mark.parametrize("kinds", [(True, False), (False, True), (True, True), (False, False)])
def test_all_are_renewed_because_nobody_knows_which_was_refused(kinds: tuple[bool, bool]) -> None:
    each = [Renews(kind) for kind in kinds]
    auth = Several(each)
    auth.answered(answered(401))
    assert auth.renew(answered(401)) == any(kinds)
    assert [(one.told, one.asked) for one in each] == [(1, 1), (1, 1)]


async def test_cookies_are_sent_back_where_they_belong() -> None:
    jar = KeptCookies()
    jar.answered(
        with_cookies("a=1; Path=/", 'b="x y"; Path=/a', "c=3; Path=/other", "d=4; Domain=evil")
    )
    assert set((await cookies_of(jar)).split("; ")) == {"a=1", 'b="x y"'}
    assert await cookies_of(jar, "http://h/") == "a=1"
    assert await cookies_of(jar, "http://other/a/c") == ""


@pytest.mark.parametrize("value", ["a/b=c@==", '"x y"', "x y", '{"k":1}', "1%3D", "", "é"])
async def test_a_value_goes_back_as_it_came(value: str) -> None:
    jar = KeptCookies()
    jar.answered(with_cookies(f"sid={value}; Path=/; HttpOnly; SameSite=None"))
    assert await cookies_of(jar) == f"sid={value}"


async def test_cookies_change_and_end() -> None:
    jar = KeptCookies()
    jar.answered(with_cookies("a=1; Path=/", "b=2; Path=/"))
    jar.answered(with_cookies("a=3; Path=/", "b=; Max-Age=0; Path=/", status=401))
    assert await cookies_of(jar) == "a=3"


async def test_a_cookie_that_is_sent_anyway_is_not_sent_twice() -> None:
    jar = KeptCookies()
    jar.answered(with_cookies("a=1; Path=/", "b=2; Path=/"))
    assert await cookies_of(jar, Cookie="a=mine") == "a=mine; b=2"


@pytest.mark.parametrize(
    "line", ["", "=", ";;", "a", "a=b; Expires=never; Max-Age=x", "\x00=1", "é=ü"]
)
async def test_any_line_is_read(line: str) -> None:
    jar = KeptCookies()
    jar.answered(with_cookies(line, "good=1; Path=/"))
    assert "good=1" in await cookies_of(jar)


async def test_a_cookie_of_encrypted_connections_stays_on_them() -> None:
    jar = KeptCookies()
    jar.answered(with_cookies("a=1; Path=/; Secure", url="https://h/a"))
    assert await cookies_of(jar, "http://h/a") == ""
    assert await cookies_of(jar, "https://h/a") == "a=1"
