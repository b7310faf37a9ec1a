"""A source that says back all that it was sent, kinds of credentials for it, and the places where
nothing of them may be found.
"""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import forked
import kit
from aiohttp import web
from aiohttp.test_utils import TestServer

CANARY = "c4n4ry-t0p-s3cret/+=-of-32-bytes"
"""In the config."""
ISSUED = "1ssu3d-c4n4ry.t0ken"
"""Given out by the endpoints."""
REFRESHED = "r3fresh3d-c4n4ry"
"""Given out too, and kept: in its own place of the state, and nowhere else."""
SECRET = {"env": "CANARY"}
ENVIRONMENT = {"CANARY": CANARY, "PATH": "/usr/bin:/bin"}
PLACES = ("log", "error", "metric", "status", "state dump", "dead letter")

_TOKENS = {"token_url": "BASE/token", "client_id": "me"}
_LOGIN = {"url": "BASE/login", "body": {"user": "me", "password": SECRET}}
KINDS: dict[str, Any] = {
    "bearer": {"type": "bearer", "token": SECRET},
    "basic": {"type": "basic", "username": "me", "password": SECRET},
    "api_key in a header": {"type": "api_key", "value": SECRET},
    "api_key in the query": {"type": "api_key", "name": "key", "in": "query", "value": SECRET},
    "api_key in a cookie": {"type": "api_key", "name": "sid", "in": "cookie", "value": SECRET},
    "digest": {"type": "digest", "username": "me", "password": SECRET},
    "client credentials": {
        "type": "oauth2_client_credentials",
        **_TOKENS,
        "client_secret": SECRET,
    },
    "client credentials in the body": {
        "type": "oauth2_client_credentials",
        **_TOKENS,
        "client_secret": SECRET,
        "client_auth": "body",
        "params": {"more": SECRET},
        "headers": {"X-More": SECRET},
    },
    "refresh token": {"type": "oauth2_refresh_token", **_TOKENS, "refresh_token": SECRET},
    "password": {"type": "oauth2_password", **_TOKENS, "username": "me", "password": SECRET},
    "jwt bearer": {
        "type": "oauth2_jwt_bearer",
        **_TOKENS,
        "issuer": "me",
        "private_key": SECRET,
        "algorithm": "HS256",
    },
    "session in a header": {"type": "session", "login": _LOGIN, "token": {"body": "token"}},
    "session in a cookie": {"type": "session", "login": _LOGIN, "token": {"cookie": "sid"}},
    "session in the query": {
        "type": "session",
        "login": {"url": "BASE/login", "form": {"user": "me", "password": SECRET}},
        "token": {"header": "X-Session"},
        "send": {"param": "token"},
    },
    "aws_sigv4": {
        "type": "aws_sigv4",
        "service": "execute-api",
        "region": "r",
        "access_key": "AKID",
        "secret_key": SECRET,
        "session_token": SECRET,
    },
    "several": [
        {"type": "api_key", "name": "X-Key", "value": SECRET},
        {"type": "api_key", "name": "sid", "in": "cookie", "value": SECRET},
        {"type": "bearer", "token": SECRET},
    ],
}
_OF_URL = {"auth": {"type": "api_key", "in": "path", "name": "k", "value": SECRET}}
PLACED: dict[str, dict[str, Any]] = {
    "secret in a header": {"headers": {"X-More": SECRET}},
    "secret in a parameter": {"params": {"more": SECRET}},
    "secret in the path": {"url": "BASE/{secret.k}/items", **_OF_URL},
    "secret in the query of the url": {"url": "BASE/any/items?k={secret.k}", **_OF_URL},
    "secret of a command": {"headers": {"X-More": {"exec": ["printenv", "CANARY"]}}},
    "password of a proxy": {
        "url": "http://api.example.test/any/items",
        "proxy": {"url": "BASE", "username": "me", "password": SECRET},
    },
}
"""Secrets beside `auth`: the keys of their sources."""
ASKED_FOR = [name for name, auth in KINDS.items() if "BASE" in str(auth)]
"""The kinds with an endpoint."""
NEVER_SENT = ("digest",)
"""The kinds whose secrets stay here, so that no server can repeat them."""


@asynccontextmanager
async def echoing(*, refuses: bool) -> AsyncIterator[str]:
    """The source and its endpoints.

    Page 1 is good, page 2 is no JSON, page 3 is refused: both repeat all that they were sent.

    Args:
        refuses: the endpoints refuse, and repeat all that they were sent.
    """

    async def items(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") is None and "digest" in request.path:
            challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        page = int(request.query["page"])
        if page == 1:
            records = [kit.item(number, second=number) for number in range(12)]
            return web.json_response(records, headers={"Set-Cookie": f"own={ISSUED}"})
        return web.Response(status=200 if page == 2 else 403, text=said(request))

    async def endpoint(request: web.Request) -> web.Response:
        if refuses:
            text = said(request) + (await request.text())
            return web.json_response(
                {"error": "no", "error_description": text},
                status=401,
                headers={"X-Repeats": urllib.parse.quote(text)},
            )
        return web.json_response(
            {"access_token": ISSUED, "refresh_token": REFRESHED, "token": ISSUED},
            headers={"Set-Cookie": f"sid={ISSUED}", "X-Session": ISSUED},
        )

    app = web.Application()
    app.router.add_get("/{kind}/items", items)
    app.router.add_post("/token", endpoint)
    app.router.add_post("/login", endpoint)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def said(request: web.Request) -> str:
    sent = {
        name: value
        for name, value in sorted(request.headers.items(), key=lambda each: len(each[1]))
        if name.startswith(("X-", "Authorization", "Cookie", "Proxy-Authorization"))
    }
    raw = request.raw_path
    return f"sent {sent} and {dict(request.query)} as {raw} {json.dumps(sent)}"


def config_of(directory: Path, base: str, kind: str) -> Path:
    """A config that reads the source with a kind of credentials."""
    given = PLACED.get(kind) or {"auth": KINDS[kind]}
    url = f"BASE/{'digest' if kind == 'digest' else 'any'}/items"
    keys = json.loads(json.dumps({"url": url, **given}).replace("BASE", base))
    config = kit.write_config(
        directory,
        keys.pop("url"),
        source={
            **keys,
            "cookies": "keep",
            "records": None,
            "pagination": {"type": "page", "param": "page"},
            "on_body_error": "dead_letter",
            "schedule": {"every": "1h"},
            "concurrency": 1,
            "retry": {"base": "1ms", "cap": "2ms", "max_attempts": 2},
        },
    )
    text = config.read_text().replace("level: error", "level: debug")
    config.write_text(text.replace("listen: null", f"listen: 127.0.0.1:{kit.free_port()}"))
    return config


Seen = dict[str, bytes]


async def shown(config: Path, first: Callable[[], object] | None = None) -> Seen:
    """What can be read in each place, after a run to the end and while a daemon fails.

    Args:
        first: a function of a module that the processes call before anything else.
    """
    directory = config.parent
    _, out, log = await kit.worker("run", config, "--once", environment=ENVIRONMENT, first=first)
    _, state, told = await kit.worker("state", "show", config, "--json", environment=ENVIRONMENT)
    letters = _told_in(kit.published_letters(directory))
    status, metric = await _of_a_daemon(config, first)
    kept = directory / "state" / "credentials"
    dump = b"".join(
        path.read_bytes()
        for path in (directory / "state").rglob("*")
        if path.is_file() and path.parent != kept and "dead_letters" not in path.parts
    )
    return {
        "log": log.encode(),
        "error": out.encode(),
        "metric": metric,
        "status": status,
        "state dump": dump + state.encode() + told.encode(),
        "dead letter": letters,
    }


def admin_pages(config: Path) -> Callable[[str], bytes]:
    """Reads pages of the admin server of a config; an empty object while it is not there."""
    base = "http://" + config.read_text().split("listen: ")[1].split()[0].strip("}")

    def asked(path: str) -> bytes:
        try:
            with urllib.request.urlopen(base + path, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return b"{}"

    return asked


async def _of_a_daemon(config: Path, first: Callable[[], object] | None) -> tuple[bytes, bytes]:
    asked = admin_pages(config)
    await kit.worker(
        "state", "reset", config, "--pipeline", "items", "--yes", environment=ENVIRONMENT
    )

    daemon = forked.start("run", config, first=first, environment=ENVIRONMENT)
    async with asyncio.timeout(60):
        while not _parked(status := await asyncio.to_thread(asked, "/status")):
            await asyncio.sleep(0.02)
    metric = await asyncio.to_thread(asked, "/metrics")
    daemon.send_signal(signal.SIGTERM)
    await daemon.wait()
    return status, metric


def _told_in(letters: list[Path]) -> bytes:
    """What dead letters say of records. The record itself is what the source has sent, like those
    in the output: it is kept as it came.
    """
    lines = [line for path in letters for line in path.read_text().splitlines()]
    return json.dumps([{**json.loads(line), "raw": ""} for line in lines]).encode()


def _parked(status: bytes) -> bool:
    pipelines = json.loads(status).get("pipelines", {})
    return bool(pipelines.get("items", {}).get("parked"))


def found_in(text: bytes) -> str:
    """The beginning of what surrounds a secret in a text; empty where there is none."""
    for secret in (CANARY, ISSUED, REFRESHED):
        pair = base64.b64encode(f"me:{secret}".encode()).decode()
        for form in (secret, urllib.parse.quote(secret, safe=""), pair):
            if (at := text.find(form.encode())) >= 0:
                return text[max(at - 200, 0) :][:400].decode("utf-8", "replace")
    return ""


def guards_off() -> None:
    """Takes away what keeps credentials out of what is shown: the control of the tests."""
    from worker.core.errors import AuthError, BadBody
    from worker.http import client
    from worker.http.auth import endpoint
    from worker.sources import http

    def as_it_is(text: str, secrets: object) -> str:
        return text

    for module in (client, endpoint, http):
        module.redact = as_it_is  # type: ignore[attr-defined]
    # a metric has the code of an error, and the text of none
    for kind in (AuthError, BadBody):
        kind.code = property(lambda self: self.message)  # type: ignore[assignment]
