"""Credentials in whole runs: what they share, what counts, and where they never go."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
from aiohttp import web
from ruamel.yaml import YAML

from worker.app import run_async
from worker.core.errors import Exit
from worker.settings import load_settings

Handler = Callable[[web.Request], Awaitable[web.Response]]
LOGIN = {"type": "session", "token": {"body": "token"}}


@asynccontextmanager
async def served(routes: dict[str, Handler]) -> AsyncIterator[str]:
    app = web.Application()
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class DigestServer:
    """Answers pages to who proves the password; each nonce is good for `uses` requests."""

    def __init__(self, uses: int) -> None:
        self.uses, self.nonces, self.seen = uses, Counter[str](), list[int]()

    async def items(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "")
        given = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', sent)}
        nonce = given.get("nonce", "")
        self.nonces[nonce] += 1
        if self.nonces[nonce] > self.uses or not self.proves(request, given):
            stale = f"n{len(self.nonces)}"
            challenge = (
                f'Digest realm="r", nonce="{stale}", qop="auth", algorithm=SHA-256, stale=true'
            )
            self.seen.append(401)
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        self.seen.append(200)
        page = int(request.query["page"])
        return web.json_response({"items": [kit.item(page, second=page)] if page <= 12 else []})

    def proves(self, request: web.Request, given: dict[str, str]) -> bool:
        if not given:
            return False
        secret = digest("me:r:s3cret")
        counted = f"{given['nonce']}:{given['nc']}:{given['cnonce']}:auth"
        want = digest(f"{secret}:{counted}:{digest(f'{request.method}:{request.raw_path}')}")
        return given["response"] == want and given["uri"] == request.raw_path


async def test_refusals_that_bring_a_nonce_are_no_failures_and_pass_the_gate(
    tmp_path: Path,
) -> None:
    """With a single attempt and the strictest breaker the run goes on; each request is metered."""
    server = DigestServer(uses=3)
    async with served({"/items": server.items}) as url:
        config = kit.write_config(
            tmp_path,
            f"{url}/items",
            source={
                "auth": {"type": "digest", "username": "me", "password": "s3cret"},
                "pagination": {"type": "page", "param": "page"},
                "retry": {"max_attempts": 1},
                "breaker": {"min_calls": 1, "failure_rate": 0.01, "open_for": "1h"},
                "rate_limit": {"requests": 50, "per": "1s"},
                "concurrency": 3,
            },
        )
        config.write_text(config.read_text().replace("level: error", "level: debug"))
        code, _, log = await kit.worker("run", config, "--once")
    assert code == Exit.OK
    assert kit.lake_ids(tmp_path) == list(range(1, 13))
    ended = [json.loads(line) for line in log.splitlines() if '"request.ended"' in line]
    assert Counter(each["status"] for each in ended if each["status"]) == Counter(server.seen)
    assert server.seen.count(401) >= 4
    assert '"request.retried"' not in log and '"breaker.changed"' not in log


class Logins:
    """A login whose tokens are good until the next one; the items are for who has the last."""

    def __init__(self, hold: int = 0) -> None:
        self.asked, self.hold = list[Any](), hold

    async def login(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        await asyncio.sleep(0)
        return web.json_response({"token": f"t{len(self.asked)}"})

    async def items(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer t{len(self.asked)}":
            return web.Response(status=401)
        number = int(request.query["n"])
        return web.json_response({"items": [kit.item(number, second=number)]})


def config_of(directory: Path, pipelines: dict[str, Any], **more: Any) -> Path:
    (directory / "item.avsc").write_text(json.dumps(kit.SCHEMA))
    config = {
        "version": 1,
        "state": {"path": str(directory / "state")},
        "admin": {"listen": None},
        "pipelines": {
            name: {
                "source": {"records": "items", "retry": {"base": "1ms"}, **source},
                "schema": "item.avsc",
                "sink": {"path": str(directory / "lake" / name)},
            }
            for name, source in pipelines.items()
        },
        **more,
    }
    with (directory / "worker.yaml").open("w") as file:
        YAML(typ="safe").dump(config, file)
    return directory / "worker.yaml"


async def test_pipelines_of_one_credential_share_its_session(tmp_path: Path) -> None:
    """A server that ends the session before with each login is read by several pipelines."""
    logins = Logins()
    async with served({"/login": logins.login, "/items": logins.items}) as url:
        login = {"url": f"{url}/login", "body": {"user": "me"}}
        pipelines = {
            f"p{number}": {"origin": "o", "path": "/items", "params": {"n": number}}
            for number in range(5)
        }
        origins = {"o": {"url": url, "auth": {**LOGIN, "login": login}}}
        config = config_of(tmp_path, pipelines, origins=origins)
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == Exit.OK
    assert kit.lake_ids(tmp_path) == list(range(5))
    assert logins.asked == [{"user": "me"}]


async def test_partitions_with_other_secrets_have_sessions_and_cookies_of_their_own(
    tmp_path: Path,
) -> None:
    seen = list[tuple[str, str, str]]()

    async def login(request: web.Request) -> web.Response:
        who = (await request.json())["password"]
        answer = web.json_response({"token": f"of-{who}"})
        answer.set_cookie("who", who)
        return answer

    async def items(request: web.Request) -> web.Response:
        tenant = request.query["tenant"]
        cookie = request.cookies.get("who", "")
        seen.append((tenant, request.headers["Authorization"], cookie))
        number = "ab".index(tenant)
        return web.json_response({"items": [kit.item(number, second=1)]})

    for tenant in "ab":
        (tmp_path / f"pw-{tenant}").write_text(f"{tenant}{tenant}\n")
    async with served({"/login": login, "/items": items}) as url:
        secret = {"file": f"{tmp_path}/pw-{{partition.tenant}}"}
        source = {
            "url": f"{url}/items",
            "params": {"tenant": "{partition.tenant}"},
            "partitions": {"tenant": ["a", "b"]},
            "auth": {**LOGIN, "login": {"url": f"{url}/login", "body": {"password": secret}}},
            "cookies": "keep",
        }
        config = config_of(tmp_path, {"p": source})
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == Exit.OK
    assert sorted(seen) == [("a", "Bearer of-aa", "aa"), ("b", "Bearer of-bb", "bb")]


async def test_a_request_that_is_refused_with_every_session_ends(tmp_path: Path) -> None:
    """One partition has no rights, while others keep the session good: it is not asked for ever."""
    logins, refused = Logins(), 0

    async def items(request: web.Request) -> web.Response:
        nonlocal refused
        if request.query["tenant"] == "b":
            refused += 1
            return web.Response(status=401)
        page = int(request.query["page"])
        return web.json_response({"items": [kit.item(page, second=page)] if page <= 30 else []})

    async with served({"/login": logins.login, "/items": items}) as url:
        source = {
            "url": f"{url}/items",
            "params": {"tenant": "{partition.tenant}"},
            "partitions": {"tenant": ["a", "b"]},
            "pagination": {"type": "page", "param": "page"},
            "auth": {**LOGIN, "login": {"url": f"{url}/login", "body": {"user": "me"}}},
        }
        config = config_of(tmp_path, {"p": source})
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == Exit.PERMISSION
    assert kit.lake_ids(tmp_path) == list(range(1, 31))
    assert refused <= 4 and len(logins.asked) <= 4


async def test_a_look_beside_a_run_does_not_use_up_the_refresh_token(tmp_path: Path) -> None:
    good, stolen = "r0", False

    async def token(request: web.Request) -> web.Response:
        nonlocal good, stolen
        if (await request.post())["refresh_token"] != good:
            stolen = True
            return web.json_response({"error": "invalid_grant"}, status=400)
        good = f"r{int(good[1:]) + 1}"
        return web.json_response({"access_token": f"a{good}", "refresh_token": good})

    async def items(request: web.Request) -> web.Response:
        return web.json_response({"items": [kit.item(1, second=1)]})

    async with served({"/token": token, "/items": items}) as url:
        auth = {"type": "oauth2_refresh_token", "token_url": f"{url}/token", "refresh_token": "r0"}
        config = kit.write_config(
            tmp_path, f"{url}/items", source={"auth": auth, "schedule": {"every": "1h"}}
        )
        for arguments in (
            ("check", str(config), "--connect"),
            ("run", str(config), "--once"),
            ("read", str(config), "items"),
            ("run", str(config), "--once"),
        ):
            code, out, errors = await kit.worker(*arguments)
            assert code == 0, out + errors
    assert good == "r4" and not stolen


async def test_at_another_origin_there_is_neither_session_nor_cookie(tmp_path: Path) -> None:
    seen = list[tuple[bool, bool, bool]]()

    async def login(request: web.Request) -> web.Response:
        answer = web.json_response({"token": "t1"})
        answer.set_cookie("lb", "1")
        return answer

    async def items(request: web.Request) -> web.Response:
        ours = (request.host or "").startswith("127.")
        seen.append((ours, "Authorization" in request.headers, "Cookie" in request.headers))
        elsewhere = str(request.url.with_host("localhost"))
        records = [kit.item(len(seen), second=1)]
        return web.json_response({"items": records, "next": elsewhere if ours else None})

    async with served({"/login": login, "/items": items}) as url:
        source = {
            "auth": {**LOGIN, "login": {"url": f"{url}/login", "body": {"user": "me"}}},
            "cookies": "keep",
            "pagination": {"type": "next_url", "path": "next"},
            "allowed_origins": [url.replace("127.0.0.1", "localhost")],
        }
        config = kit.write_config(tmp_path, f"{url}/items", source=source)
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == Exit.OK
    assert seen == [(True, True, True), (False, False, False)]


async def test_a_source_whose_answers_never_like_a_session_is_asked_four_times(
    tmp_path: Path,
) -> None:
    """Its status is 200, so that each session looks accepted."""
    logins, asked = Logins(), 0

    async def items(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        body = {"errcode": 1} if asked < 20 else {"items": [kit.item(1, second=1)]}
        return web.json_response(body)

    async with served({"/login": logins.login, "/items": items}) as url:
        source = {
            "auth": {**LOGIN, "login": {"url": f"{url}/login", "body": {"user": "me"}}},
            "on_body": [{"when": {"path": "errcode", "exists": True}, "do": "refresh_auth"}],
        }
        config = kit.write_config(tmp_path, f"{url}/items", source=source)
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == Exit.PERMISSION
    assert (asked, len(logins.asked)) == (4, 4)
