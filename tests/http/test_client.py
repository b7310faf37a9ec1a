"""The client against a server that does what servers should not do."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import random
import ssl
import subprocess
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from worker.core.errors import (
    BadBody,
    Deferred,
    PermanentError,
    TooManyOpenFiles,
    TransientError,
    WorkerError,
)
from worker.core.model import Request
from worker.http.auth import Auth, StaticAuth
from worker.http.body import BodyLimits
from worker.http.body_form import COMPRESSIONS, BodyForm
from worker.http.client import SPOOL_BYTES, HttpClient, Timeouts, TlsError, _parsed

Handler = Callable[[web.Request], Any]


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer: bytes, *, trickle_s: float = 0.0, abort: bool = False) -> AsyncIterator[str]:
    """Sends bytes as they are and closes."""

    talks: list[asyncio.Task[Any]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in [answer[i : i + 1] for i in range(len(answer))] if trickle_s else [answer]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(trickle_s)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if abort:
                writer.transport.abort()
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def client_of(origin: str, tmp_path: Path, **options: Any) -> HttpClient:
    settings: dict[str, Any] = {
        "user_agent": "worker/test",
        "timeouts": Timeouts(1, 1, 3),
        "limits": BodyLimits(),
        "connections": 2,
        "spool": tmp_path,
    }
    return HttpClient(origin, **settings | options)


async def get(
    origin: str,
    tmp_path: Path,
    path: str = "/data?token=s3cret",
    auth: Auth | None = None,
    **options: Any,
) -> Any:
    async with client_of(origin, tmp_path, **options) as client:
        return await client.fetch(Request("GET", origin + path), auth)


async def test_a_plain_answer(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"agent": request.headers["User-Agent"]}, headers={"X-Total": "5"})

    async with served(handler) as origin:
        answer = await get(origin, tmp_path)
    assert (answer.status, bytes(answer.body), answer.headers["x-total"]) == (
        200,
        b'{"agent": "worker/test"}',
        "5",
    )


async def test_lines_of_one_header_are_one_value(tmp_path: Path) -> None:
    lines = [
        *(
            b'Link: </x?page=1>; rel="first"',
            b'link: </x?page=3>; rel="next"',
            b"X-Total: 5",
            b"X-Total: 5",
        ),
        *(
            b"Date: Mon, 01 Jan 2024 00:00:00 GMT",
            b"date: Mon, 01 Jan 2024 00:00:01 GMT",
            b"Retry-After: 3",
            b"Retry-After: 4",
        ),
    ]
    async with raw(HEAD + b"\r\n".join(lines) + b"\r\n\r\n[]") as origin:
        headers = (await get(origin, tmp_path)).headers
    assert headers["LINK"] == '</x?page=1>; rel="first", </x?page=3>; rel="next"'
    assert (headers["x-total"], headers["Retry-After"], headers["Date"]) == (
        "5",
        "3",
        "Mon, 01 Jan 2024 00:00:00 GMT",
    )


HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
PACKED = gzip.compress(b'{"items": []}' * 50, mtime=0)


@pytest.mark.fault(23, by="bodies cut in seven ways")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HEAD + b"Content-Length: 100\r\n\r\nshort", TransientError),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", TransientError),
        (
            HEAD
            + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(PACKED) - 9)
            + PACKED[:-9],
            BadBody,
        ),
        (
            HEAD + b"Content-Encoding: gzip\r\n\r\n" + PACKED[:-9],
            BadBody,
        ),  # ended by the connection
        (b"HTTP/1.1 200 OK\r\nContent-Len", TransientError),
        (b"garbage\r\n\r\n", TransientError),
        (b"", TransientError),
    ],
)
async def test_what_is_cut_is_never_a_page(
    answer: bytes, error: type[WorkerError], tmp_path: Path
) -> None:
    async with raw(answer) as origin:
        with pytest.raises(error) as caught:
            await get(origin, tmp_path)
    assert "s3cret" not in str(caught.value)


async def test_a_reset_in_the_body_is_transient(tmp_path: Path) -> None:
    async with raw(HEAD + b"Content-Length: 100\r\n\r\nhalf", abort=True) as origin:
        with pytest.raises(TransientError):
            await get(origin, tmp_path)


@pytest.mark.fault(22, by="a byte every 2 ms")
async def test_a_body_that_trickles_is_given_up(tmp_path: Path) -> None:
    timeouts = Timeouts(1, 1, 30, floor_bytes_s=1_000_000, floor_after_s=0.05)
    async with raw(
        HEAD + b"Content-Length: 2000\r\n\r\n" + b"x" * 2_000, trickle_s=0.002
    ) as origin:
        with pytest.raises(TransientError, match="trickles"):
            await get(origin, tmp_path, timeouts=timeouts)


@pytest.mark.fault(24, by="a server that accepts and never answers")
async def test_silence_ends_with_the_read_timeout(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with served(handler) as origin:
        with pytest.raises(TransientError, match="in time"):
            await get(origin, tmp_path, timeouts=Timeouts(1, 0.05, 5))


@pytest.mark.fault(25, by="nobody listens at the address")
async def test_nobody_there_is_transient(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        await get("http://127.0.0.1:1", tmp_path)


async def test_redirects_stay_at_the_origin_and_keep_the_credentials(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/data":
            raise web.HTTPFound("/moved")
        return web.json_response(request.headers.get("X-Api-Key"))

    async with served(handler) as origin:
        answer = await get(
            origin, tmp_path, auth=kit.auth_of("api_key", name="X-Api-Key", value="k3y")
        )
    assert bytes(answer.body) == b'"k3y"'
    assert answer.url == f"{origin}/moved"


@pytest.mark.fault(28, by="redirects of all kinds to another origin")
@pytest.mark.parametrize(
    "auth",
    [
        kit.auth_of("api_key", name="X-Api-Key", value="k3y"),
        kit.auth_of("bearer", token="k3y"),
        kit.auth_of("basic", username="u", password="k3y"),
        kit.auth_of("api_key", name="k", **{"in": "cookie"}, value="k3y"),
    ],
)
async def test_a_redirect_to_another_origin_is_refused_and_nothing_is_sent_there(
    auth: Auth, tmp_path: Path
) -> None:
    reached = []

    async def other(request: web.Request) -> web.Response:
        reached.append(request)
        return web.Response()

    async with served(other) as elsewhere:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{elsewhere}/data")

        async with served(handler) as origin:
            with pytest.raises(PermanentError, match="a redirect leads to") as caught:
                await get(origin, tmp_path, auth=auth)
    assert not reached
    assert "k3y" not in str(caught.value)


async def test_an_allowed_origin_is_followed_without_credentials(tmp_path: Path) -> None:
    async def other(request: web.Request) -> web.Response:
        return web.json_response([request.headers.get("X-Api-Key"), dict(request.query)])

    async with served(other) as elsewhere:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{elsewhere}/data")

        async with served(handler) as origin:
            for auth in (
                kit.auth_of("api_key", name="X-Api-Key", value="k3y"),
                kit.auth_of("api_key", name="key", **{"in": "query"}, value="k3y"),
            ):
                allowed = {elsewhere: False}
                answer = await get(origin, tmp_path, auth=auth, allowed_origins=allowed)
                assert bytes(answer.body) == b"[null, {}]"


@pytest.mark.parametrize("trusted", [True, False])
async def test_an_allowed_origin_gets_credentials_only_where_the_config_sends_them(
    trusted: bool, tmp_path: Path
) -> None:
    async def other(request: web.Request) -> web.Response:
        names = ("X-Api-Key", "Cookie", "X-Team")
        return web.json_response([request.headers.get(name) for name in names])

    async with served(other) as elsewhere:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPFound(elsewhere.replace("http:", "") + "/data")

        async with (
            served(handler) as origin,
            client_of(origin, tmp_path, allowed_origins={elsewhere.upper(): trusted}) as client,
        ):
            sent = Request("GET", origin, headers=(("cookie", "a=1"), ("X-Team", "t")))
            answer = await client.fetch(sent, kit.auth_of("api_key", name="X-Api-Key", value="k3y"))
    assert json.loads(bytes(answer.body)) == (["k3y", "a=1", "t"] if trusted else [None, None, "t"])
    assert answer.credentials == ({"X-Api-Key": "k3y"} if trusted else {})


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_redirect_that_repeats_a_credential_of_the_query_sends_it_where_it_belongs(
    elsewhere: bool, tmp_path: Path
) -> None:
    asked = []

    async def other(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        if request.path == "/moved":
            return web.json_response([])
        target = there if elsewhere else ""
        raise web.HTTPFound(f"{target}/moved?{request.query_string}&page=2")

    async with served(other) as there, served(other) as origin:
        await get(
            origin,
            tmp_path,
            "/data",
            auth=kit.auth_of("api_key", name="key", **{"in": "query"}, value="k3y"),
            allowed_origins={there: False},
        )
    assert asked == ["/data?key=k3y", "/moved?page=2" if elsewhere else "/moved?page=2&key=k3y"]


async def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    asked = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        raise web.HTTPFound("/data")

    async with served(handler) as origin:
        with pytest.raises(PermanentError, match="more than 5 redirects"):
            await get(origin, tmp_path)
    assert asked == 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://169.254.169.254/", "//127.0.0.1:1/x", "http://[bad"]
)
async def test_redirects_to_strange_places_are_refused(location: str, tmp_path: Path) -> None:
    async with raw(
        b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: "
        + location.encode()
        + b"\r\n\r\n"
    ) as origin:
        with pytest.raises(PermanentError, match=r"a redirect leads to|a link that is no URL"):
            await get(origin, tmp_path)


@pytest.mark.parametrize("elsewhere", [True, False])
async def test_a_followed_link_stays_at_the_origin(elsewhere: bool, tmp_path: Path) -> None:
    reached = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(request.headers.get("X-Api-Key"))
        return web.Response()

    async with served(handler) as origin, served(handler) as other:
        client = client_of(origin, tmp_path)
        request = Request(
            "GET", f"{other if elsewhere else origin}/next?cursor=s3cret", followed=True
        )
        async with client:
            if elsewhere:
                with pytest.raises(PermanentError, match="the next link leads to") as caught:
                    await client.fetch(
                        request, kit.auth_of("api_key", name="X-Api-Key", value="k3y")
                    )
                assert "s3cret" not in str(caught.value)
            else:
                await client.fetch(request, kit.auth_of("api_key", name="X-Api-Key", value="k3y"))
    assert reached == ([] if elsewhere else ["k3y"])


HOSTS = st.sampled_from(
    [
        "h.example",
        "H.EXAMPLE:80",
        "h.example:99999",
        "h.example:x",
        "xn--",
        "\ud800",
        "[::1",
        "u:p@h.example",
        "@h.example",
        "other.example",
        "",
    ]
)


@pytest.mark.fault(28, by="any text as a next link")
@given(
    st.one_of(
        st.text(max_size=30),
        st.builds(
            "{}//{}{}".format,
            st.sampled_from(["http:", "https:", "", "ftp:"]),
            HOSTS,
            st.text(max_size=8),
        ),
    )
)
def test_any_link_is_a_url_of_the_origin_or_refused(link: str) -> None:
    client = client_of("http://h.example", Path())
    for base in (None, URL("http://h.example/items")):
        try:
            url = _parsed(link)
            url = client._checked(url if base is None else base.join(url), "the next link")
        except PermanentError:
            continue
        assert (url.scheme, url.host, url.port, url.user, url.password) == (
            "http",
            "h.example",
            80,
            None,
            None,
        )


async def test_a_password_in_a_link_is_not_sent(tmp_path: Path) -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        if request.path == "/data":
            raise web.HTTPFound(
                str(request.url.with_user("mallory").with_password("pw").with_path("/moved"))
            )
        return web.Response()

    async with served(handler) as origin:
        await get(origin, tmp_path, auth=kit.auth_of("bearer", token="k3y"))
        link = str(URL(origin).with_user("mallory").with_password("pw"))
        async with client_of(origin, tmp_path) as client:
            await client.fetch(Request("GET", f"{link}/next", followed=True))
    assert seen == ["Bearer k3y", "Bearer k3y", None]


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "nul\0", "\ud800"])
async def test_what_a_server_said_cannot_become_a_second_header(value: str, tmp_path: Path) -> None:
    async with client_of("http://127.0.0.1:1", tmp_path) as client:
        with pytest.raises(PermanentError, match="header X-Cursor"):
            await client.fetch(Request("GET", "http://127.0.0.1:1/", (), (("X-Cursor", value),)))


async def test_credentials_of_each_kind_are_sent_as_they_should(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response(
            [
                request.headers.get("Authorization"),
                request.headers.get("Cookie"),
                request.headers.get("X-Key"),
                request.rel_url.raw_query_string,
            ]
        )

    kinds = [
        (
            kit.auth_of("basic", username="usér", password="p:w"),
            ["Basic dXPDqXI6cDp3", None, None, "a=1"],
        ),
        (kit.auth_of("bearer", token="t"), ["Bearer t", None, None, "a=1"]),
        (
            kit.auth_of("api_key", name="X-Key", **{"in": "header"}, value="k", prefix="Key "),
            [None, None, "Key k", "a=1"],
        ),
        (
            kit.auth_of("api_key", name="sid", **{"in": "cookie"}, value="k"),
            [None, "sid=k", None, "a=1"],
        ),
        (
            kit.auth_of("api_key", name="key", **{"in": "query"}, value="a&b c"),
            [None, None, None, "a=1&key=a%26b%20c"],
        ),
    ]
    async with served(handler) as origin:
        for auth, expected in kinds:
            answer = await get(origin, tmp_path, "/data?a=1", auth=auth)
            assert json.loads(bytes(answer.body)) == expected
            assert answer.url.startswith(f"{origin}/data?a=")
            assert "key" not in answer.url


async def test_secrets_are_read_anew_for_each_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Authorization"])

    auth = kit.auth_of("bearer", token={"env": "KEY"})
    answers = []
    async with served(handler) as origin:
        for key in ("old", "new"):
            monkeypatch.setenv("KEY", key)
            answers.append(bytes((await get(origin, tmp_path, auth=auth)).body))
    assert answers == [b"Bearer old", b"Bearer new"]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirected_post_is_refused(status: int, tmp_path: Path) -> None:
    """As a GET it would ask for something else, as a POST it might do something twice."""
    reached = []

    async def handler(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(status=status, headers={"Location": "/other"})

    async with served(handler) as origin:
        client = client_of(origin, tmp_path)
        async with client:
            with pytest.raises(PermanentError, match="POST was redirected"):
                await client.fetch(Request("POST", f"{origin}/data?token=s3cret", (), (), b"{}"))
    assert reached == ["/data"]


async def test_a_redirect_of_a_doubtful_status_is_an_answer_where_its_body_says_so(
    tmp_path: Path,
) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/moved":
            return web.Response(text="page")
        return web.Response(
            status=302, text=request.path, headers={"Location": "/moved", "X-A": "b"}
        )

    async with served(handler) as origin, client_of(origin, tmp_path) as client:

        async def asked(path: str, *doubtful: int) -> tuple[int, bytes]:
            answer = await client.fetch(
                Request("GET", origin + path),
                doubtful=doubtful,
                stays=lambda each: bytes(each.body) == b"/login",
            )
            return answer.status, bytes(answer.body)

        assert await asked("/login", 302) == (302, b"/login")
        assert await asked("/other", 302) == (200, b"page")
        assert await asked("/login", 301) == (200, b"page")


@asynccontextmanager
async def closing() -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers one request of each connection, and closes it at the next one; and the
    requests that were answered.
    """
    used: list[bytes] = []
    talks: list[asyncio.Task[Any]] = []
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        used.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await reader.read(1)
        writer.transport.abort()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", used
        await asyncio.gather(*talks)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("repeats", [False, True])
async def test_a_connection_that_was_closed_meanwhile_is_no_failure(
    repeats: bool, method: str, tmp_path: Path
) -> None:
    async with (
        closing() as (origin, used),
        client_of(origin, tmp_path, repeats=repeats) as client,
    ):
        for number in range(1, 4):
            answer = await client.fetch(Request(method, origin))
            assert (answer.status, len(used)) == (200, number)


async def test_a_long_header_is_read(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(headers={"Link": "x" * 40_000})

    async with served(handler) as origin:
        answer = await get(origin, tmp_path)
    assert len(answer.headers["Link"]) == 40_000


async def test_cookies_are_not_kept(tmp_path: Path) -> None:
    seen = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=1"})

    async with (
        served(handler) as origin,
        client_of(origin, tmp_path) as client,
    ):
        for _ in range(2):
            await client.fetch(Request("GET", f"{origin}/"))
    assert seen == [None, None]


async def test_a_long_body_is_spooled_and_leaves_no_file(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bytes(range(256)) * 40_000)

    async with served(handler) as origin:
        answer = await get(origin, tmp_path)
    assert bytes(answer.body) == bytes(range(256)) * 40_000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(41, by="a body over its limit")
async def test_a_body_over_the_limit_is_permanent(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 5_000)

    async with served(handler) as origin:
        with pytest.raises(PermanentError, match="on the wire"):
            await get(origin, tmp_path, limits=BodyLimits(wire_bytes=4_000))


@pytest.mark.fault(26, by="a certificate that is not trusted")
async def test_a_certificate_that_is_not_trusted_is_no_case_for_a_retry(tmp_path: Path) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-days",
        "1",
        "-subj",
        "/CN=other",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with served(handler, context) as origin:
        with pytest.raises(TlsError, match=r"self-signed certificate.*tls\.ca_file"):
            await get(origin, tmp_path)


@pytest.mark.parametrize(("head", "whole"), [(b"", False), (b"Content-Length: 0\r\n", True)])
async def test_an_empty_body_of_a_coding_is_whole_only_where_the_server_says_so(
    head: bytes, whole: bool, tmp_path: Path
) -> None:
    """Where the body ends with the connection, nothing of it may have come."""
    async with raw(
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\n" + head + b"\r\n"
    ) as origin:
        if whole:
            assert (await get(origin, tmp_path)).body == b""
        else:
            with pytest.raises(BadBody):
                await get(origin, tmp_path)


@pytest.mark.parametrize("ends", [True, False], ids=["refused", "endless"])
async def test_credentials_in_the_path_of_a_redirect_are_not_told(
    ends: bool, tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.Response:
        elsewhere = "http://127.0.0.1:1" if ends and request.path.startswith("/denied") else ""
        raise web.HTTPFound(f"{elsewhere}/denied/k3y%2F%2B")

    async with served(handler) as origin:
        with pytest.raises(PermanentError) as caught:
            await get(origin, tmp_path, auth=kit.auth_of("bearer", token="k3y/+"))
    assert "k3y" not in str(caught.value) and "***" in str(caught.value)


# -- what is sent, and to whom -------------------------------------------------------------------------


async def asked_for(tmp_path: Path, request: Callable[[str], Request], **options: Any) -> list[str]:
    """The targets of the requests that a server got, byte by byte."""
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response([])

    async with served(handler) as origin, client_of(origin, tmp_path, **options) as client:
        await client.fetch(request(origin))
    return seen


@pytest.mark.parametrize(
    ("path", "params", "target"),
    [
        ("/a", [("q", "x y+z&w#%ü")], "/a?q=x%20y%2Bz%26w%23%25%C3%BC"),
        ("/a?x=%2f+1&y=a:b", [("q", "1")], "/a?x=%2f+1&y=a:b&q=1"),
        ("/a?tag=b&tag=a", [("tag", "c")], "/a?tag=b&tag=a&tag=c"),
        ("/a%2Fb/ü x?y=1 2", [], "/a%2Fb/%C3%BC%20x?y=1%202"),
        ("", [("q", "")], "/?q="),
    ],
)
async def test_a_request_is_sent_as_it_is_written(
    path: str, params: list[tuple[str, str]], target: str, tmp_path: Path
) -> None:
    asked = await asked_for(
        tmp_path, lambda origin: Request("GET", origin + path, params=tuple(params))
    )
    assert asked == [target]


async def test_a_link_is_sent_verbatim_to_its_origin_however_that_is_written(
    tmp_path: Path,
) -> None:
    def request(origin: str) -> Request:
        return Request("GET", origin.replace("http:", "HTTP:") + "/b?c=%2f+&d='", followed=True)

    assert await asked_for(tmp_path, request) == ["/b?c=%2f+&d='"]


@pytest.mark.parametrize(
    ("origin", "link"),
    [
        ("http://example.com", "http://EXAMPLE.com:80/a"),
        ("http://example.com:80", "http://example.com./a"),
        ("https://example.com", "https://example.com:443/a"),
        ("http://münchen.example", "http://xn--mnchen-3ya.example/a"),
        ("http://other.example", "http://cdn.example:80/a"),
    ],
)
def test_an_origin_is_the_same_however_it_is_written(
    origin: str, link: str, tmp_path: Path
) -> None:
    client = client_of(origin, tmp_path, allowed_origins={"http://CDN.example.": False})
    assert client._checked(_parsed(link), "the next link")
    for other in ("https://example.com:80/a", "http://example.com:8080/a", "http://evil.example/a"):
        with pytest.raises(PermanentError):
            client._checked(_parsed(other), "the next link")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_too_many_open_files_are_no_fault_of_the_connection(
    host: str, tmp_path: Path
) -> None:
    async with client_of(f"http://{host}:9", tmp_path) as client:
        request = Request("GET", f"http://{host}:9/data")
        with pytest.raises(TransientError):  # nobody listens; the resolver has its thread now
            await client.fetch(request)
        with (
            kit.descriptors_left(0),
            pytest.raises(TooManyOpenFiles, match="this process may have"),
        ):
            await client.fetch(request)


@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_a_body_without_a_length_asks_for_its_room_while_it_comes_in(
    tmp_path: Path, coding: str
) -> None:
    """By its size without compression, and not again for what it was allowed."""
    body, asked = b"0123456789" * 100_000, list[int]()

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Encoding": coding} if coding else {})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(gzip.compress(body) if coding else body)
        return answer

    async def receive(body_bytes: int) -> int:
        asked.append(body_bytes)
        return body_bytes + 400_000

    async with served(handler) as origin, client_of(origin, tmp_path) as client:
        answer = await client.fetch(Request("GET", origin + "/"), receive=receive)
    assert answer.body == body
    assert asked[0] == 0 and 2 <= len(asked) <= 4
    assert all(later > before + 400_000 for before, later in pairwise(asked))


@pytest.mark.parametrize(("method", "length"), [("GET", 5), ("HEAD", 0)])
async def test_a_body_that_says_its_length_asks_for_its_room_before_it_is_received(
    tmp_path: Path, method: str, length: int
) -> None:
    asked = list[int]()

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def receive(body_bytes: int) -> int:
        asked.append(body_bytes)
        return body_bytes

    async with served(handler) as origin, client_of(origin, tmp_path) as client:
        await client.fetch(Request(method, origin + "/"), receive=receive)
    assert asked == [length]


async def test_a_body_that_finds_no_room_is_let_go_of(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1_000_000)

    async def receive(body_bytes: int) -> int:
        raise Deferred(0.0, "no memory", paced=True)

    async with served(handler) as origin, client_of(origin, tmp_path) as client:
        with pytest.raises(Deferred, match="no memory"):
            await client.fetch(Request("GET", origin + "/"), receive=receive)


# -- secrets of the url ----------------------------------------------------------------------------

OF_URL = StaticAuth(in_url=lambda: {"key": "s3cret/key+1"})


async def test_a_secret_of_the_url_is_filled_in_where_the_request_leaves(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"raw": request.raw_path})

    async with served(handler) as origin:
        answer = await get(origin, tmp_path, "/v1/{secret.key}/a b?x={secret.key}", OF_URL)
    raw = "/v1/s3cret%2Fkey%2B1/a%20b?x=s3cret/key%2B1"
    assert json.loads(answer.body) == {"raw": raw}
    assert answer.url == f"{origin}/v1/{{secret.key}}/a%20b?x={{secret.key}}"
    assert answer.in_url == {"key": "s3cret/key+1"}
    assert "s3cret" not in repr(replace(answer, body=b""))
    assert "s3cret/key+1" in answer.secrets


async def test_a_redirect_that_repeats_a_secret_of_the_url_has_its_placeholder(
    tmp_path: Path,
) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.raw_path.startswith("/v1/"):
            raise web.HTTPFound("/v2/s3cret%2fkey%2b1/items")
        return web.json_response({"raw": request.raw_path})

    async with served(handler) as origin:
        answer = await get(origin, tmp_path, "/v1/{secret.key}", OF_URL)
    assert answer.url == f"{origin}/v2/{{secret.key}}/items"
    assert json.loads(answer.body) == {"raw": "/v2/s3cret%2Fkey%2B1/items"}


async def test_a_secret_of_the_url_goes_to_no_origin_without_credentials(tmp_path: Path) -> None:
    async def told(request: web.Request) -> web.Response:
        return web.json_response({"raw": request.raw_path})

    async with served(told) as other:

        async def handler(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{other}/v2/s3cret%2Fkey%2B1/items")

        async with served(handler) as origin:
            answer = await get(
                *(origin, tmp_path, "/v1/{secret.key}", OF_URL), allowed_origins={other: False}
            )
    assert "s3cret" not in json.loads(answer.body)["raw"]


@pytest.mark.parametrize("secret", ["", ".", ".."])
async def test_an_error_names_the_url_without_its_secret(secret: str, tmp_path: Path) -> None:
    auth = StaticAuth(in_url=lambda: {"key": secret})
    with pytest.raises(PermanentError, match=r"\{secret\.key\}"):
        await get("http://127.0.0.1:9", tmp_path, "/v1/{secret.key}/x", auth)
    with pytest.raises(TransientError) as raised:
        await get("http://127.0.0.1:9", tmp_path, "/v1/{secret.key}/x", OF_URL)
    assert "/v1/{secret.key}/x" in str(raised.value) and "s3cret" not in str(raised.value)


async def test_see_other_after_a_post_is_asked_with_get(tmp_path: Path) -> None:
    """RFC 9110, 15.4.4: neither the body nor what describes it is sent there."""
    asked = []

    async def handler(request: web.Request) -> web.Response:
        asked.append((request.method, request.path, await request.text(), dict(request.headers)))
        if request.path == "/search":
            return web.Response(status=303, headers={"Location": "/results"})
        return web.Response(text="[]")

    async with served(handler) as origin:
        client = client_of(origin, tmp_path)
        async with client:
            headers = (("Content-Type", "text/plain"), ("X-Other", "1"))
            request = Request("POST", f"{origin}/search", headers=headers, body=b"q")
            response = await client.fetch(request)
    assert bytes(response.body) == b"[]"
    assert [(method, path, body) for method, path, body, _ in asked] == [
        ("POST", "/search", "q"),
        ("GET", "/results", ""),
    ]
    assert "Content-Type" not in asked[1][3] and asked[1][3]["X-Other"] == "1"


async def test_a_large_zip_is_unpacked_beside_its_archive(tmp_path: Path) -> None:
    """Both are files: neither fits what is kept in memory."""
    data = random.Random(1).randbytes(SPOOL_BYTES + 1_000_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bin", data)
    asked_for = []

    async def room(size: int) -> int:
        asked_for.append(size)
        return size

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=packed.getvalue())

    async with served(handler) as origin:
        client = client_of(
            origin, tmp_path, timeouts=Timeouts(1, 5, 10), form=BodyForm(frozenset(COMPRESSIONS))
        )
        async with client:
            response = await client.fetch(Request("GET", f"{origin}/a"), receive=room)
    assert response.body[:] == data
    assert max(asked_for) >= len(data) + len(packed.getvalue())
    assert list(tmp_path.iterdir()) == []
