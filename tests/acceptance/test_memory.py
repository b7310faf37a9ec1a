"""Bodies in flight are weighed as what they are, and a page that never fits stays its own problem;
over real HTTP.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import run_async
from worker.settings import load_settings

PARTS, PAGES = 8, 3
NUMBERED = {"type": "page", "param": "page", "total_pages": {"body": "pages"}}


def body(number: int, size: int) -> bytes:
    """A page of so many bytes whose records are few, so that the test costs little."""
    records = [{**kit.item(number * 10 + each, second=number), "note": ""} for each in range(4)]
    pad = "x" * (size // 4)
    for record in records:
        record["note"] = pad
    return json.dumps({"items": records, "pages": PAGES}).encode()


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/items", answer)
    async with TestServer(application) as server:
        yield str(server.make_url("/items"))


def source(parts: int, **keys: Any) -> dict[str, Any]:
    return {
        "params": {"part": "{partition.part}"},
        "partitions": {"part": list(range(parts))},
        "pagination": NUMBERED,
        **keys,
    }


def with_memory(config: Path, memory: str) -> Path:
    config.write_text(f"{config.read_text()}\nmemory: {memory}\n")
    return config


@pytest.mark.parametrize("size", [1_900_000, 300_000])
async def test_as_many_pages_are_in_flight_as_requests_may_be_made(
    tmp_path: Path, size: int
) -> None:
    """No answer comes before eight requests wait for one, but for the last ones."""
    flying, answered, rounds = set[tuple[int, int]](), set[tuple[int, int]](), [asyncio.Event()]

    async def answer(request: web.Request) -> web.Response:
        part, page = asked = int(request.query["part"]), int(request.query["page"])
        flying.add(asked)
        if len(flying) >= min(PARTS, PARTS * PAGES - len(answered)):
            rounds[-1].set()
            rounds.append(asyncio.Event())
            answered.update(flying)
            flying.clear()
        else:
            await rounds[-1].wait()
        found = body(part * PAGES + page - 1, size)
        return web.Response(body=found, content_type="application/json")

    async with serving(answer) as url:
        reading = source(PARTS, concurrency=PARTS)
        config = kit.write_config(tmp_path, url, source=reading)
        settings = load_settings([with_memory(config, "32MiB")])
        async with asyncio.timeout(60):
            result = await run_async(settings, once=True)
    assert (result.exit_code, result.pipelines[0].records) == (0, PARTS * PAGES * 4)


@pytest.mark.fault(58, by="pages that never fit into the memory for all pages")
async def test_a_page_that_never_fits_parks_its_partition_and_the_others_land(
    tmp_path: Path,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        part, page = int(request.query["part"]), int(request.query["page"])
        found = body(part * PAGES + page - 1, 6_000_000 if part == 1 else 1_000)
        return web.Response(body=found, content_type="application/json")

    async with serving(answer) as url:
        config = kit.write_config(tmp_path, url, source=source(3))
        result = await run_async(load_settings([with_memory(config, "8MiB")]), once=True)
    (found,) = result.pipelines
    assert (result.exit_code, found.records) == (1, 2 * PAGES * 4)
    assert "that could be decoded in the memory that there is for pages" in found.error


async def test_keys_by_the_million_are_weighed_before_they_are_decoded(tmp_path: Path) -> None:
    """A body of 3 MB fits into 8 MiB, but not the hundred bytes that each of its keys takes."""
    keys = json.dumps({f"k{number}": 1 for number in range(250_000)})

    async def answer(request: web.Request) -> web.Response:
        page = f'{{"found": {{"items": []}}, "keys": {keys}}}'
        return web.Response(text=page, content_type="application/json")

    async with serving(answer) as url:
        untyped = {"records": "found.items | [?id]"}
        config = kit.write_config(tmp_path, url, source=untyped)
        settings = load_settings([with_memory(config, "8MiB")])
        result = await run_async(settings, once=True)
    assert result.exit_code == 1
    assert "the page would hold" in result.pipelines[0].error, result.pipelines[0].error
