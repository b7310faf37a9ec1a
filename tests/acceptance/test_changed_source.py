"""A config that changed in the middle of a pass, in whole runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import RunResult, run_async
from worker.settings import load_settings

COUNT = 60


class Source:
    """Records by page, in any order; `fails_at` is the page that it cannot answer."""

    def __init__(self) -> None:
        self.fails_at, self.url = 0, ""
        self.records = [kit.item(number, second=number * 7 % COUNT) for number in range(COUNT)]

    async def page(self, request: web.Request) -> web.Response:
        number, size = int(request.query["page"]), int(request.query["size"])
        if number == self.fails_at:
            return web.Response(status=500)
        since = request.query.get("since", "")
        rows = [each for each in self.records if each["updated_at"] >= since]
        return web.json_response({"items": rows[(number - 1) * size : number * size]})


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    found, application = Source(), web.Application()
    application.router.add_get("/items", found.page)
    async with TestServer(application) as server:
        found.url = str(server.make_url("/items"))
        yield found


async def run(directory: Path, source: Source, **keys: Any) -> RunResult:
    pagination = {"type": "page", "param": "page", "size_param": "size", "size": keys.pop("size")}
    config = kit.write_config(
        directory,
        source.url,
        source={"pagination": pagination, "key": ["id"], "concurrency": 1, **keys},
        sink={"roll": {"records": 10}},
    )
    return await run_async(load_settings([config]), once=True)


def marked(order: str) -> dict[str, Any]:
    return {"incremental": {"field": "updated_at", "param": "since", "order": order}}


async def test_the_order_may_change_in_the_middle_of_a_pass(tmp_path: Path, source: Source) -> None:
    source.fails_at = 3
    assert (await run(tmp_path, source, size=10, **marked("any"))).exit_code == 69
    assert len(kit.lake_ids(tmp_path)) == 20
    source.fails_at = 0
    assert (await run(tmp_path, source, size=10, **marked("ascending"))).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))
    source.records = [kit.item(COUNT + 1, second=COUNT + 9), kit.item(COUNT, second=COUNT + 8)]
    result = await run(tmp_path, source, size=10, **marked("ascending"))
    assert result.exit_code == 65, "the next pass is ascending, which is checked"


@pytest.mark.parametrize("size", [4, 7, 25])
@pytest.mark.parametrize(
    "keys", [{"schedule": {"every": "1h"}}, marked("any")], ids=["snapshot", "incremental"]
)
async def test_the_size_of_pages_may_change_in_the_middle_of_a_pass(
    tmp_path: Path, source: Source, size: int, keys: dict[str, Any]
) -> None:
    source.fails_at = 3
    assert (await run(tmp_path, source, size=10, **keys)).exit_code == 69
    source.fails_at = 0
    assert (await run(tmp_path, source, size=size, **keys)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))
