"""Partitions that hang do not keep the others waiting; over real HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import run_async
from worker.settings import load_settings

PARTITIONS, PAGES, LATENCY_S = 40, 12, 0.05


@dataclass
class Server:
    """Each partition has pages of one record; those that hang never answer."""

    hung: Collection[int]
    url: str = ""
    flying: int = 0
    most_flying: int = 0
    answered: set[tuple[int, int]] = field(default_factory=set)
    asked: list[tuple[int, int]] = field(default_factory=list)
    first_at: float = 0.0
    last_at: float = 0.0

    async def answer(self, request: web.Request) -> web.Response:
        number, page = int(request.query["part"]), int(request.query["page"])
        self.first_at = self.first_at or time.monotonic()
        self.asked.append((number, page))
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(3_600 if number in self.hung else LATENCY_S)
        finally:
            self.flying -= 1
        self.answered.add((number, page))
        self.last_at = time.monotonic()
        found = [kit.item(number * 100 + page, second=page)] if page <= PAGES else []
        return web.json_response({"items": found, "pages": PAGES})


@asynccontextmanager
async def serving(hung: Collection[int]) -> AsyncIterator[Server]:
    server = Server(hung)
    app = web.Application()
    app.router.add_get("/items", server.answer)
    test_server = TestServer(app, handler_cancellation=True)
    await test_server.start_server()
    server.url = str(test_server.make_url("/items"))
    try:
        yield server
    finally:
        await test_server.close()


async def seconds(
    directory: Path, partitions: Collection[int], hung: Collection[int], concurrency: int
) -> tuple[float, Server]:
    """How long the partitions take that do not hang."""
    directory.mkdir()
    healthy = len(set(partitions) - set(hung)) * PAGES
    async with serving(hung) as server:
        source = {
            "params": {"part": "{partition.part}"},
            "partitions": {"part": sorted(partitions)},
            "concurrency": concurrency,
            "pagination": {"type": "page", "param": "page", "total_pages": {"body": "pages"}},
            "timeout": {"total": "5s"},
        }
        config = kit.write_config(directory, server.url, source=source)
        running = asyncio.create_task(run_async(load_settings([config]), once=True))
        async with asyncio.timeout(120):
            while len(server.answered) < healthy:
                await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    return server.last_at - server.first_at, server


@pytest.mark.fault(53, by="eight of forty partitions never answer")
@pytest.mark.parametrize(
    ("concurrency", "hung"),
    [
        pytest.param(4, range(8), id="4 first", marks=pytest.mark.thorough),
        pytest.param(8, range(0, 40, 5), id="8 spread"),
    ],
)
async def test_eight_of_forty_partitions_hang_and_the_others_take_hardly_longer(
    tmp_path: Path, concurrency: int, hung: Collection[int]
) -> None:
    partitions = range(PARTITIONS)
    without, _ = await seconds(tmp_path / "w", set(partitions) - set(hung), (), concurrency)
    found, server = await seconds(tmp_path / "h", partitions, hung, concurrency)
    assert found < 1.3 * without
    assert server.most_flying <= concurrency + concurrency // 4
