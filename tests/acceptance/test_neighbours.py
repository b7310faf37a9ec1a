"""Whatever one partition or pipeline meets stays its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import run_async
from worker.settings import load_settings

TENANTS = ("a", "b", "c")


async def page(request: web.Request) -> web.Response:
    """Two pages of a tenant; the token of tenant b is larger than any cursor."""
    tenant, second = request.query["tenant"], "cursor" in request.query
    number = 2 * TENANTS.index(tenant) + second
    token = None if second else "t" * (70_000 if tenant == "b" else 10)
    return web.json_response({"items": [kit.item(number, second=number)], "next": token})


@pytest.fixture
async def url() -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/items", page)
    async with TestServer(application) as server:
        yield str(server.make_url("/items"))


@pytest.mark.fault(53, by="a token of 70 KB for one of three partitions")
async def test_a_token_that_is_too_large_parks_its_partition_and_the_others_commit(
    tmp_path: Path, url: str
) -> None:
    source = {
        "pagination": {"type": "cursor", "from": {"body": "next"}, "to": {"param": "cursor"}},
        "partitions": {"tenant": list(TENANTS)},
        "params": {"tenant": "{partition.tenant}"},
    }
    config = kit.write_config(tmp_path, url, source=source)
    settings = load_settings([config])
    items = settings.pipelines["items"]
    small = items.source.model_copy(update={"partitions": {"tenant": ("c",)}})
    lake = items.sink.model_copy(update={"path": tmp_path / "other/lake"})
    others = items.model_copy(update={"source": small, "sink": lake})
    settings = settings.model_copy(update={"pipelines": {"items": items, "others": others}})
    result = await run_async(settings, once=True)
    first, second = sorted(result.pipelines, key=lambda each: each.name)
    assert (first.name, first.records) == ("items", 4)
    assert "tenant=b: a cursor of" in first.error and "at most 65536 are kept" in first.error
    assert (second.name, second.records, second.error) == ("others", 2, "")
    assert result.exit_code == 65
    assert kit.lake_ids(tmp_path) == [0, 1, 4, 5]
    again = await run_async(settings, once=True)
    assert again.exit_code == 65 and kit.lake_ids(tmp_path) == [0, 1, 4, 5]
