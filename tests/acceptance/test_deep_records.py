"""A record that nobody can follow, over HTTP: a dead letter of its own, and no page is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import run_async
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape


@pytest.mark.fault(41, by="records nested deeper than the limit")
@pytest.mark.parametrize("levels", [5_000, 300_000])
async def test_a_deep_record_is_one_dead_letter_and_the_pages_behind_it_follow(
    tmp_path: Path, levels: int
) -> None:
    deep = b"[" * levels + b"]" * levels

    async def handler(request: web.Request) -> web.Response:
        number = int(request.query.get("page", 0))
        items: list[dict[str, Any]] = [
            kit.item(each, second=each) for each in range(number * 3, number * 3 + 3)
        ]
        body = (
            b'{"items": ['
            + b",".join(str({**each}).replace("'", '"').encode() for each in items)
            + b'], "next": NEXT}'
        )
        body = body.replace(b"NEXT", b"null" if number == 3 else str(number + 1).encode())
        return web.Response(
            body=body.replace(b'"id": 4,', b'"id": 4, "more": ' + deep + b","),
            content_type="application/json",
        )

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        source = {
            "pagination": {"type": "cursor", "from": {"body": "next"}, "to": {"param": "page"}},
            "limits": {"depth": 64},
        }
        config = kit.write_config(tmp_path, str(server.make_url("/v1/items")), source=source)
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    finally:
        await server.close()
    assert kit.lake_ids(tmp_path) == [number for number in range(12) if number != 4]
    [letter] = (tmp_path / "state" / "dead_letters" / "items").rglob("*.ndjson")
    assert letter.read_text().count('"code":"nested_too_deep"') == 1


@pytest.mark.parametrize(
    ("limits", "landed"),
    [({"depth": 4}, [0, 1, 3, 4]), ({"depth": 5}, [0, 1, 2, 3, 4]), ({}, [0, 1, 2, 3, 4])],
    ids=["too deep", "as deep as allowed", "not set"],
)
@pytest.mark.parametrize("unknown", ["in a field that the schema lacks", "in a map"])
async def test_the_depth_counts_where_it_is_set_whatever_the_schema(
    tmp_path: Path, limits: dict[str, int], landed: list[int], unknown: str
) -> None:
    items: list[dict[str, Any]] = [kit.item(number, second=number) for number in range(5)]
    items[2]["more"] = {"a": {"b": [{"c": 1}]}}
    async with Replica(items, Shape(style="none", cap=100)) as replica:
        source = {"pagination": {"type": "none"}, "limits": limits}
        config = kit.write_config(tmp_path, replica.url, source=source)
        if unknown == "in a map":
            inner = {"type": "record", "name": "C", "fields": [{"name": "c", "type": "int"}]}
            kind = {
                "type": "map",
                "values": {"type": "map", "values": {"type": "array", "items": inner}},
            }
            fields = [*kit.SCHEMA["fields"], {"name": "more", "type": ["null", kind]}]
            (tmp_path / "item.avsc").write_text(json.dumps({**kit.SCHEMA, "fields": fields}))
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert kit.lake_ids(tmp_path) == landed
    letters = list((tmp_path / "state" / "dead_letters" / "items").rglob("*.ndjson"))
    assert [each.read_text().count("a record of 5 levels") for each in letters] == (
        [1] if landed != [0, 1, 2, 3, 4] else []
    )
