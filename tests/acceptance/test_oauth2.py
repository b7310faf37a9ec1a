"""OAuth 2 in whole runs: tokens that are revoked on the way, and credentials that are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web

from worker.app import run_async
from worker.core.errors import Exit
from worker.settings import load_settings
from worker.testing.replica import Fault, Replica, Script, Seen, Shape

PAGES = {"pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}}
RECORDS = [kit.item(number, second=number) for number in range(200)]


@asynccontextmanager
async def token_server(asked: list[str], status: int = 200) -> AsyncIterator[str]:
    async def token(request: web.Request) -> web.Response:
        asked.append((await request.post()).get("client_id", ""))  # type: ignore[arg-type]
        return web.json_response(
            {"access_token": f"t{len(asked)}", "expires_in": 3600}, status=status
        )

    app = web.Application()
    app.router.add_post("/token", token)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


def accepting(*, revoked_after: int) -> Script:
    """t1 is good for so many requests, later only t2 is."""

    def script(number: int, seen: Seen) -> Fault | None:
        good = "Bearer t1" if number <= revoked_after else "Bearer t2"
        return None if seen.headers.get("Authorization") == good else Fault("status", status=401)

    return script


async def run(
    tmp_path: Path, token_url: str, script: Script, *, source: dict[str, Any]
) -> tuple[int, Replica]:
    async with Replica(
        list(RECORDS), Shape(style="cursor", cap=10, filters=("tenant",)), script
    ) as replica:
        secret = tmp_path / "secret"
        secret.write_text("s3cret\n")
        auth = {
            "type": "oauth2_client_credentials",
            "token_url": token_url,
            "client_id": "me",
            "client_secret": {"file": str(secret)},
            "client_auth": "body",
        }
        config = kit.write_config(tmp_path, replica.url, source={**PAGES, "auth": auth, **source})
        result = await run_async(load_settings([config]), once=True)
    return result.exit_code, replica


@pytest.mark.parametrize(
    "source",
    [
        {"concurrency": 1},
        {"partitions": {"tenant": list(kit.TENANTS)}, "params": {"tenant": "{partition.tenant}"}},
    ],
)
async def test_a_token_that_is_revoked_on_the_way_costs_no_record(
    source: dict[str, Any], tmp_path: Path
) -> None:
    asked: list[str] = []
    async with token_server(asked) as url:
        code, _ = await run(tmp_path, url, accepting(revoked_after=6), source=source)
    assert code == Exit.OK
    assert kit.lake_ids(tmp_path) == list(range(len(RECORDS)))
    assert asked == ["me", "me"]  # partitions share the token, and its renewal


async def test_a_revoked_token_is_no_failure_of_the_source(tmp_path: Path) -> None:
    """Neither a retry nor an outcome for the breaker: with a single attempt and the strictest
    breaker the run goes on.
    """
    asked: list[str] = []
    strict = {
        "concurrency": 1,
        "retry": {"max_attempts": 1},
        "breaker": {"min_calls": 1, "failure_rate": 0.01, "open_for": "1h"},
    }
    async with token_server(asked) as url:
        code, _ = await run(tmp_path, url, accepting(revoked_after=3), source=strict)
    assert code == Exit.OK
    assert kit.lake_ids(tmp_path) == list(range(len(RECORDS)))


async def test_credentials_that_the_token_endpoint_refuses_exit_with_77(tmp_path: Path) -> None:
    asked: list[str] = []
    async with token_server(asked, status=401) as url:
        code, replica = await run(tmp_path, url, accepting(revoked_after=99), source={})
    assert code == Exit.PERMISSION
    assert replica.requests == []
    assert len(asked) == 1


async def test_tokens_that_the_source_refuses_exit_with_77(tmp_path: Path) -> None:
    asked: list[str] = []
    async with token_server(asked) as url:
        code, _ = await run(
            tmp_path, url, lambda number, seen: Fault("status", status=401), source={}
        )
    assert code == Exit.PERMISSION
    assert len(asked) == 2  # one renewal, then it is believed


async def test_nothing_of_the_credentials_is_stored(tmp_path: Path) -> None:
    asked: list[str] = []
    async with token_server(asked) as url:
        await run(tmp_path, url, accepting(revoked_after=99), source={})
    assert asked == ["me"]
    stored = b"".join(
        path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()
    )
    assert b"s3cret" not in stored
    assert b"Bearer" not in stored
