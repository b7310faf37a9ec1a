"""Requests through a proxy: what it is asked, what it is told, and whom nothing of that reaches."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from proxy_kit import Proxy, proxied
from pydantic import TypeAdapter, ValidationError
from tls_kit import Authority, needs_openssl, server_context

from worker.config.secrets import Secret, secret_value
from worker.core.errors import ConfigError, PermanentError, ProxyRefused, TransientError
from worker.core.model import Request
from worker.http.auth import Auth, StaticAuth
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.http.proxy import Proxy as ProxySetting
from worker.http.proxy import Route, proxy_shown, route_of
from worker.sources.http_config import HttpConfig

PASSWORD = "pr0xy-p4ss/+"
SETTING: TypeAdapter[Any] = TypeAdapter(ProxySetting)
API = "http://api.example.test"


def route(config: Any) -> Route | None:
    return route_of(SETTING.validate_python(config), reading)


def reading(secret: Secret) -> Callable[[], str]:
    return lambda: secret_value(secret, {})


@asynccontextmanager
async def served(
    handler: Callable[[web.Request], Any], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def told(request: web.Request) -> web.Response:
    return web.json_response({"host": request.host, "headers": dict(request.headers)})


def client(origin: str, spool: Path, proxy: Route | None, **options: Any) -> HttpClient:
    return HttpClient(
        origin,
        user_agent="worker/test",
        timeouts=Timeouts(1, 1, 3),
        limits=BodyLimits(),
        connections=2,
        spool=spool,
        proxy=proxy,
        **options,
    )


async def get(
    origin: str, spool: Path, proxy: Any, auth: Auth | None = None, **options: Any
) -> Any:
    async with client(origin, spool, route(proxy), **options) as opened:
        return await opened.fetch(Request("GET", f"{origin}/items"), auth)


async def test_a_request_goes_through_the_proxy_and_the_origin_is_not_told(tmp_path: Path) -> None:
    async with served(told) as port, proxied(Proxy(f"me:{PASSWORD}")) as proxy:
        proxy.names["api.example.test"] = port
        setting = {"url": proxy.url, "username": "me", "password": PASSWORD}
        answer = await get(API, tmp_path, setting)
    assert b"api.example.test" in answer.body
    assert b"Proxy-Authorization" not in answer.body
    assert proxy.heads[0].startswith("GET http://api.example.test/items HTTP/1.1\r\n")


@needs_openssl
async def test_https_is_tunnelled_with_the_certificate_of_the_origin(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.certificate("api", "DNS:api.example.test")
    trusted = ssl.create_default_context(cafile=authority.cert)
    origin = "https://api.example.test"
    key = StaticAuth(lambda: {"Authorization": "Bearer t0p-s3cret"})
    async with (
        served(told, server_context(own)) as port,
        proxied(Proxy(f"me:{PASSWORD}")) as proxy,
    ):
        proxy.names["api.example.test:443"] = port
        setting = {"url": proxy.url, "username": "me", "password": PASSWORD}
        answer = await get(origin, tmp_path, setting, key, tls=trusted)
        assert b"t0p-s3cret" in answer.body and b"Proxy-Authorization" not in answer.body
        assert [head.split("\r\n")[0] for head in proxy.heads] == [
            "CONNECT api.example.test:443 HTTP/1.1"
        ]
        assert "t0p-s3cret" not in proxy.heads[0]
        with pytest.raises(PermanentError, match="certificate is not trusted"):
            await get(origin, tmp_path, setting)
        async with client(origin, tmp_path, route(setting), tls=trusted) as opened:
            before = proxy.connections
            for _ in range(3):
                await opened.fetch(Request("GET", f"{origin}/items"))
        assert proxy.connections == before + 1, "connections are used again"


@needs_openssl
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_may_itself_be_spoken_to_by_https(scheme: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusted = ssl.create_default_context(cafile=authority.cert)
    of_proxy = server_context(authority.certificate("proxy", "IP:127.0.0.1"))
    of_api = server_context(authority.certificate("api", "DNS:api.example.test"))
    origin = f"{scheme}://api.example.test"
    async with (
        served(told, of_api if scheme == "https" else None) as port,
        proxied(Proxy("me:p"), of_proxy) as proxy,
    ):
        proxy.names |= {"api.example.test:443": port, "api.example.test": port}
        setting = {"url": proxy.url, "username": "me", "password": "p"}
        answer = await get(origin, tmp_path, setting, tls=trusted)
    assert b"api.example.test" in answer.body and len(proxy.heads) == 1


@pytest.mark.parametrize("origin", [API, "https://api.example.test"])
async def test_a_proxy_that_wants_other_credentials_is_named_without_them(
    origin: str, tmp_path: Path
) -> None:
    async with proxied(Proxy("me:another")) as proxy:
        setting = {"url": proxy.url, "username": "me", "password": PASSWORD}
        with pytest.raises(ProxyRefused) as raised:
            await get(origin, tmp_path, setting)
    said = str(raised.value)
    assert "407" in said and proxy.url in said and "source.proxy" in said
    assert PASSWORD not in said and base64.b64encode(f"me:{PASSWORD}".encode()).decode() not in said


@pytest.mark.parametrize(
    ("status", "kind"), [(403, ProxyRefused), (405, ProxyRefused), (503, TransientError)]
)
async def test_a_proxy_that_opens_no_tunnel(
    status: int, kind: type[Exception], tmp_path: Path
) -> None:
    async with proxied(Proxy(refuses=status)) as proxy:
        with pytest.raises(kind, match=str(status)):
            await get("https://api.example.test", tmp_path, proxy.url)


async def test_a_proxy_that_is_not_there_is_tried_again_later(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"proxy cannot be reached.*http://127\.0\.0\.1:9"):
        await get(API, tmp_path, "http://127.0.0.1:9")


async def test_what_a_proxy_says_back_is_known_as_a_secret(tmp_path: Path) -> None:
    async with proxied(Proxy(refuses=502)) as proxy:
        setting = {"url": proxy.url, "username": "me", "password": PASSWORD}
        answer = await get(API, tmp_path, setting)
    assert answer.status == 502 and PASSWORD in answer.secrets
    assert base64.b64encode(f"me:{PASSWORD}".encode()).decode() in answer.secrets
    assert PASSWORD not in repr(answer)


async def test_a_407_without_a_proxy_is_an_answer_like_any_other(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=407)

    async with served(handler) as port:
        answer = await get(f"http://127.0.0.1:{port}", tmp_path, "none")
    assert answer.status == 407


async def test_redirects_and_links_through_a_proxy_stay_at_the_origin(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/latest/meta-data")

    async with served(handler) as port, proxied(Proxy()) as proxy:
        proxy.names["api.example.test"] = port
        with pytest.raises(PermanentError, match="a redirect leads to"):
            await get(API, tmp_path, proxy.url)
        async with client(API, tmp_path, route(proxy.url)) as opened:
            link = Request("GET", "http://169.254.169.254/latest", followed=True)
            with pytest.raises(PermanentError, match="the next link leads to"):
                await opened.fetch(link)
    assert not any("169.254" in head.split("\r\n")[0] for head in proxy.heads)


# -- the environment -------------------------------------------------------------------------------

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*VARIABLES, "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


async def via(url: str) -> tuple[str, dict[str, str]] | None:
    found = route("environment")
    through = None if found is None else await found(url)
    return None if through is None else (through.url, dict(through.headers))


async def test_the_environment_names_a_proxy_for_each_scheme(
    environment: pytest.MonkeyPatch,
) -> None:
    assert await via(API) is None
    environment.setenv("HTTP_PROXY", "http://plain:3128/")
    environment.setenv("https_proxy", "secure:3129")
    assert await via("http://api.example.com/x") == ("http://plain:3128", {})
    assert await via("https://api.example.com/x") == ("http://secure:3129", {})
    assert proxy_shown(SETTING.validate_python("environment"), "https://h/") == "secure:3129"


async def test_a_password_in_a_variable_goes_to_the_proxy_only(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("HTTP_PROXY", "http://me:p%40ss%2Fword@proxy:3128")
    pair = base64.b64encode(b"me:p@ss/word").decode()
    assert await via(API) == ("http://proxy:3128", {"Proxy-Authorization": f"Basic {pair}"})
    assert proxy_shown(SETTING.validate_python("environment"), API) == "http://proxy:3128"


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("api.example.com", "http://api.example.com/x", True),
        ("example.com", "http://api.example.com/x", True),
        (".example.com", "http://api.example.com:8080/x", True),
        ("api.example.com:8080", "http://api.example.com:8080/x", True),
        ("api.example.com:8080", "http://api.example.com/x", False),
        ("example.com", "http://badexample.com/x", False),
        ("EXAMPLE.COM", "http://api.example.com./x", True),
        ("localhost,127.0.0.1", "http://127.0.0.1:80/x", True),
        ("*", "http://api.example.com/x", True),
        ("", "http://api.example.com/x", False),
    ],
)
async def test_no_proxy_names_what_is_asked_directly(
    no_proxy: str, url: str, direct: bool, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy:3128")
    environment.setenv("NO_PROXY", no_proxy)
    assert (await via(url) is None) == direct


@pytest.mark.parametrize("value", ["socks5://me:s3cret-word@proxy:1080", "http://", "http://a b"])
async def test_a_variable_that_names_no_proxy_is_an_error_without_its_value(
    value: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as raised:
        route("environment")
    assert "s3cret-word" not in str(raised.value)
    assert route("none") is None


# -- the setting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "http://me:c4n4ry@proxy:3128",
        "http://me@proxy:3128",
        "socks5://proxy:1080",
        "proxy:3128",
        "http://proxy:3128/path",
        "http://proxy:0",
        "http://proxy:99999",
        "enviroment",
        {"url": "http://me:c4n4ry@proxy:3128"},
        {"url": "http://proxy", "password": "p"},
        {"url": "http://proxy", "username": "a:b", "password": "p"},
        {"url": "http://proxy", "username": "a", "password": {"env": "P_{partition.x}"}},
        {"url": "http://proxy", "username": "a\n", "password": "p"},
        {"username": "a", "password": "p"},
        7,
    ],
)
def test_what_is_no_proxy_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError) as raised:
        HttpConfig.model_validate({"url": "http://h/x", "proxy": value, "partitions": {"x": ["a"]}})
    assert "c4n4ry" not in str(raised.value)
