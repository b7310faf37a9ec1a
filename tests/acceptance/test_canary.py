"""A canary secret never leaves: not in logs, errors, metrics, dead letters, status, summaries or
the state.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from canary_kit import admin_pages

CANARY = "c4n4ry-t0p-s3cret/+="
ENVIRONMENT = {"CANARY": CANARY, "PATH": "/usr/bin:/bin"}

AUTH: dict[str, dict[str, Any]] = {
    "bearer": {"type": "bearer", "token": {"env": "CANARY"}},
    "basic": {"type": "basic", "username": "me", "password": {"env": "CANARY"}},
    "api_key in a header": {"type": "api_key", "name": "X-Api-Key", "value": {"env": "CANARY"}},
    "api_key in the query": {
        "type": "api_key",
        "name": "key",
        "in": "query",
        "value": {"env": "CANARY"},
    },
    "api_key in a cookie": {
        "type": "api_key",
        "name": "session",
        "in": "cookie",
        "value": {"env": "CANARY"},
    },
}


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """Says back all that was sent, in errors and in pages, and leads on with links that carry the
    query.
    """
    count = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        said = {
            "headers": dict(request.headers),
            "query": dict(request.query),
            "raw": str(request.url),
        }
        if request.path.startswith("/denied"):
            return web.json_response(said, status=403)
        if request.query.get("page") == "3":
            raise web.HTTPFound(f"/denied/{urllib.parse.quote(CANARY, safe='')}")
        if count % 3 == 0:
            return web.json_response(said, status=500)
        if count % 5 == 0:
            return web.Response(text=json.dumps(said)[:-5], content_type="application/json")
        page = int(request.query.get("page", 1))
        following = str(request.url.update_query(page=page + 1))
        return web.json_response(
            {"items": [kit.item(page, second=page, bad=page == 2)], "next": following}
        )

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    app.router.add_get("/denied/{secret:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1/items"))


async def of_a_daemon(config: Path) -> list[bytes]:
    """What a daemon says that fails on its third page: on its pages, through `worker status`, and
    in its log.
    """
    asked = admin_pages(config)
    await kit.worker(
        *("state", "reset", config, "--pipeline", "items", "--yes"), environment=ENVIRONMENT
    )

    pipe = asyncio.subprocess.PIPE
    daemon = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "worker",
        "run",
        str(config),
        env=ENVIRONMENT,
        stdout=pipe,
        stderr=pipe,
    )
    while (
        not json.loads(status := await asyncio.to_thread(asked, "/status"))
        .get("pipelines", {})
        .get("items", {})
        .get("parked")
    ):
        assert daemon.returncode is None
    _, *told = await kit.worker("status", config, environment=ENVIRONMENT)
    seen = [status, await asyncio.to_thread(asked, "/metrics"), *map(str.encode, told)]
    daemon.terminate()
    return [*seen, *await daemon.communicate()]


@pytest.mark.parametrize("kind", AUTH)
async def test_the_canary_stays_inside(kind: str, tmp_path: Path) -> None:
    async with echoing() as url:
        config = kit.write_config(
            tmp_path,
            url,
            source={
                "auth": AUTH[kind],
                "pagination": {"type": "next_url", "path": "next"},
                "schedule": {"every": "1h"},
            },
            transforms=[
                {"mask": {"fields": ["region"], "method": "hash", "key": {"env": "CANARY"}}}
            ],
        )
        config.write_text(
            config.read_text()
            .replace("level: error", "level: debug")
            .replace("listen: null", f"listen: 127.0.0.1:{kit.free_port()}")
        )
        seen: list[bytes] = []
        for arguments in (
            ("run", str(config), "--once"),
            ("state", "show", str(config), "--json"),
            ("dlq", "list", str(config)),
            ("check", str(config), "--connect"),
            ("read", str(config), "items"),
        ):
            _, *told = await kit.worker(*arguments, environment=ENVIRONMENT)
            seen += map(str.encode, told)
        seen += await of_a_daemon(config)
    seen += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != config]
    forms = [
        CANARY,
        base64.b64encode(f"me:{CANARY}".encode()).decode(),
        urllib.parse.quote(CANARY, safe=""),
    ]
    for text in seen:
        for form in forms:
            assert form.encode() not in text, text[max(text.find(form.encode()) - 200, 0) :][:400]
    assert any(b"403" in text for text in seen), "the failure itself is told"


@pytest.mark.parametrize("kind", ["basic", "api_key in the query", "api_key in a cookie"])
@pytest.mark.parametrize("action", ["skip", "smaller_page"])
async def test_what_a_source_says_of_a_page_that_it_refuses_is_told_without_the_credential(
    kind: str, action: str, tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.Response:
        said = {"headers": dict(request.headers), "raw": str(request.url)}
        page = int(request.query["page"])
        if page == 2:
            return web.json_response({"refused": True, **said}, status=500)
        return web.json_response({"items": [kit.item(page, second=page)] if page < 4 else []})

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    async with TestServer(app) as server:
        source = {
            "auth": AUTH[kind],
            "on_status": {500: action},
            "pagination": {"type": "page", "param": "page", "size_param": "n", "size": 1},
        }
        config = kit.write_config(tmp_path, str(server.make_url("/v1/items")), source=source)
        config.write_text(config.read_text().replace("level: error", "level: debug"))
        _, out, errors = await kit.worker("run", config, "--once", environment=ENVIRONMENT)
    told = out + errors
    assert "refused" in told
    encoded = base64.b64encode(f"me:{CANARY}".encode()).decode()
    for form in (CANARY, encoded, urllib.parse.quote(CANARY, safe="")):
        assert form not in told


@pytest.mark.parametrize("kind", ["bearer", "basic", "api_key in a header", "api_key in a cookie"])
@pytest.mark.parametrize(
    ("pagination", "quoted"),
    [
        ({"type": "next_url", "path": "next"}, True),
        ({"type": "next_url", "header": "X-Next"}, True),
        ({"type": "link_header"}, True),
        ({"type": "cursor", "from": {"body": "token.at"}, "to": {"param": "at"}}, False),
        ({"type": "cursor", "from": {"last_record": "region"}, "to": {"param": "at"}}, False),
    ],
    ids=["next link", "next link in a header", "Link", "token", "last record"],
)
async def test_a_page_token_with_the_credential_in_it_is_refused_and_kept_nowhere(
    kind: str, pagination: dict[str, Any], quoted: bool, tmp_path: Path
) -> None:
    async def handler(request: web.Request) -> web.Response:
        said = urllib.parse.quote(CANARY, safe="") if quoted else CANARY
        link = f"{request.url.with_query(None)}?at={said}"
        record = {**kit.item(1, second=1), "region": f"at-{said}"}
        return web.json_response(
            {"items": [record], "next": link, "token": {"at": f"x{said}"}},
            headers={"X-Next": link, "Link": f'<{link}>; rel="next"'},
        )

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    async with TestServer(app) as server:
        config = kit.write_config(
            tmp_path,
            str(server.make_url("/v1/items")),
            source={"auth": AUTH[kind], "pagination": pagination},
        )
        code, out, errors = await kit.worker("run", config, "--once", environment=ENVIRONMENT)
    assert code == 1
    assert "puts the credential of the request into its page token" in errors + out
    for text in (
        out.encode(),
        errors.encode(),
        *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()),
    ):
        assert CANARY.encode() not in text
        assert urllib.parse.quote(CANARY, safe="").encode() not in text
