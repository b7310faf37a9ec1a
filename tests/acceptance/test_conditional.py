"""Conditional requests against a server that keeps versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import run_async
from worker.settings import load_settings


class Versions:
    """Serves `records`, newest first, two a page if `paged`; its first page has a version.

    `fail`: pages behind the first answer 500.
    """

    def __init__(self, *, paged: bool = False, date: bool = False) -> None:
        self.records = [kit.item(number, second=number) for number in range(5)]
        self.paged, self.date, self.fail, self.version = paged, date, False, 1
        self.seen: list[tuple[dict[str, str], str, int]] = []

    async def answer(self, request: web.Request) -> web.Response:
        response = self._response(request)
        asked = request.headers.get("If-None-Match", "") + request.headers.get(
            "If-Modified-Since", ""
        )
        self.seen.append((dict(request.query), asked, response.status))
        return response

    def _response(self, request: web.Request) -> web.Response:
        start = int(request.query.get("skip", 0))
        if start and self.fail:
            return web.Response(status=500)
        stamp = f"Mon, 01 Jan 2024 00:00:{self.version:02} GMT"
        headers = {"Last-Modified": stamp} if self.date else {"ETag": f'"v{self.version}"'}
        if not start and (
            request.headers.get("If-None-Match") == headers.get("ETag", "-")
            or request.headers.get("If-Modified-Since") == stamp
        ):
            return web.Response(status=304, headers=headers)
        rows = sorted(
            (each for each in self.records if each["updated_at"] >= request.query.get("since", "")),
            key=lambda each: -each["id"],
        )
        size = 2 if self.paged else len(rows)
        following = str(start + size) if start + size < len(rows) else None
        return web.json_response(
            {"items": rows[start : start + size], "next": following}, headers=headers
        )

    def add(self, number: int) -> None:
        self.records.append(kit.item(number, second=number))
        self.version += 1


@asynccontextmanager
async def served(versions: Versions) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/items", versions.answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1/items"))


async def run(config: Path) -> int:
    return (await run_async(load_settings([config]), once=True)).exit_code


HOURLY = {"schedule": {"every": "1h"}, "conditional": True}
NEWEST_FIRST = {
    **HOURLY,
    "key": ["id"],
    "pagination": {"type": "cursor", "from": {"body": "next"}, "to": {"param": "skip"}},
    "incremental": {"field": "updated_at", "param": "since", "order": "descending"},
}


@pytest.mark.parametrize("date", [False, True], ids=["ETag", "Last-Modified"])
async def test_an_unchanged_snapshot_is_one_304_and_no_file(date: bool, tmp_path: Path) -> None:
    versions = Versions(date=date)
    async with served(versions) as url:
        config = kit.write_config(tmp_path, url, source=HOURLY)
        for _ in range(3):
            assert await run(config) == 0
        versions.add(5)
        for _ in range(2):
            assert await run(config) == 0
    assert [status for _, _, status in versions.seen] == [200, 304, 304, 200, 304]
    assert kit.lake_ids(tmp_path) == sorted([*range(5), *range(6)])


async def test_a_newest_first_source_costs_one_request_until_something_is_new(
    tmp_path: Path,
) -> None:
    """The first pass with a new bound asks for everything from it on: what is known of another
    bound says nothing of this one.
    """
    versions = Versions(paged=True)
    async with served(versions) as url:
        config = kit.write_config(tmp_path, url, source=NEWEST_FIRST)
        for _ in range(3):
            assert await run(config) == 0
        assert [status for _, _, status in versions.seen] == [200, 200, 200, 200, 304]
        versions.add(5)
        for _ in range(3):
            assert await run(config) == 0
    assert kit.lake_ids(tmp_path) == list(range(6))
    assert versions.seen[-1][2] == 304


async def test_a_pass_that_was_killed_behind_its_first_page_is_finished_before_anything_counts_as_known(
    tmp_path: Path,
) -> None:
    versions = Versions(paged=True)
    async with served(versions) as url:
        config = kit.write_config(
            tmp_path, url, source={**NEWEST_FIRST, "retry": {"max_attempts": 1}}
        )
        versions.fail = True
        for _ in range(2):
            assert await run(config) != 0
        assert not any(asked for _, asked, _ in versions.seen), (
            "the first page would be taken for everything"
        )
        versions.fail = False
        assert await run(config) == 0
    assert kit.lake_ids(tmp_path) == list(range(5))


async def test_another_config_asks_for_everything(tmp_path: Path) -> None:
    versions = Versions()
    async with served(versions) as url:
        for headers in ({}, {}, {"X-Other": "1"}):
            config: dict[str, Any] = {**HOURLY, "headers": headers}
            code = await run(kit.write_config(tmp_path, url, source=config))
            if headers:
                assert code in (0, 78)
    assert [status for _, _, status in versions.seen][:2] == [200, 304]
    assert all(status == 200 for _, _, status in versions.seen[2:])


async def test_a_page_that_became_a_dead_letter_is_asked_for_again(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        asked.append(request.headers.get("If-None-Match"))
        return web.Response(body=b"<html>", headers={"ETag": '"v1"'})

    asked: list[str | None] = []
    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        source = {**HOURLY, "on_body_error": "dead_letter", "retry": {"max_attempts": 1}}
        for _ in range(2):
            assert (
                await run(
                    kit.write_config(tmp_path, str(server.make_url("/v1/items")), source=source)
                )
                == 65
            )
    finally:
        await server.close()
    assert asked == [None, None]
