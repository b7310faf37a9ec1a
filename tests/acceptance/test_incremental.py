"""Incremental sources over several passes, against servers that work like real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from ruamel.yaml import YAML

from worker.app import run_async
from worker.settings import load_settings
from worker.testing.replica import Fault, Replica, Seen, Shape


@asynccontextmanager
async def served(
    answer: Callable[[dict[str, str]], Any],
) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """(url, queries as they came)."""
    seen: list[dict[str, str]] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(dict(request.query))
        found = answer(seen[-1])
        return found if isinstance(found, web.Response) else web.json_response(found)

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/v1/items")), seen
    finally:
        await server.close()


async def run(config: Path) -> Any:
    return await run_async(load_settings([config]), once=True)


async def test_a_token_of_the_response_is_kept_across_passes(tmp_path: Path) -> None:
    """Delta links: pages by skip tokens, and on the last one the token for the next pass."""
    changes = [kit.item(number, second=number) for number in range(10)]

    def answer(query: dict[str, str]) -> Any:
        start = int(query.get("skip") or query.get("delta") or 0)
        part = changes[start : start + 4]
        if start + 4 < len(changes):
            return {"items": part, "skip": str(start + 4)}
        return {"items": part, "delta": str(len(changes))}

    async with served(answer) as (url, seen):
        source = {
            "pagination": {"type": "cursor", "from": {"body": "skip"}, "to": {"param": "skip"}},
            "incremental": {
                "from": {"body": "delta"},
                "to": {"param": "delta"},
                "first": {"full": "true"},
            },
            "schedule": {"every": "1h"},
        }
        config = kit.write_config(tmp_path, url, source=source)
        assert (await run(config)).exit_code == 0
        assert kit.lake_ids(tmp_path) == list(range(10))
        changes.extend(kit.item(number, second=number) for number in range(10, 13))
        for _ in range(2):
            assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(13))
    assert seen == [
        {"full": "true"},
        {"full": "true", "skip": "4"},
        {"full": "true", "skip": "8"},
        {"delta": "10"},
        {"delta": "13"},
    ]


async def test_a_pass_without_the_promised_token_is_an_error_and_not_a_full_read_again(
    tmp_path: Path,
) -> None:
    async with served(lambda query: {"items": [kit.item(1, second=1)]}) as (url, _):
        source = {
            "incremental": {"from": {"header": "X-Delta"}, "to": {"header": "X-Since"}},
            "schedule": {"every": "1h"},
        }
        config = kit.write_config(tmp_path, url, source=source)
        result = await run(config)
    assert result.exit_code == 1
    assert "without a token" in result.pipelines[0].error
    assert kit.lake_ids(tmp_path) == []


async def test_the_bound_is_never_newer_than_the_source_is_settled(tmp_path: Path) -> None:
    """A record of the far future moves the mark; the next bound is asked for a minute before now
    all the same.
    """
    records = [
        kit.item(1, second=1),
        {**kit.item(2, second=2), "updated_at": "2999-01-01T00:00:00Z"},
    ]

    def answer(query: dict[str, str]) -> Any:
        return {
            "items": [
                record for record in records if record["updated_at"] >= query.get("since", "")
            ]
        }

    async with served(answer) as (url, seen):
        source = {
            "key": ["id"],
            "incremental": {"field": "updated_at", "param": "since", "newest_bound": "60s"},
            "schedule": {"every": "1h"},
        }
        config = kit.write_config(tmp_path, url, source=source)
        for _ in range(3):
            assert (await run(config)).exit_code == 0
    assert "since" not in seen[0]
    assert all(query["since"].startswith("20") for query in seen[1:])
    assert kit.lake_ids(tmp_path) == [1, 2]


async def test_values_below_the_mark_within_the_overlap_are_no_violation_of_the_order(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number * 10) for number in range(20)]

    def answer(query: dict[str, str]) -> Any:
        return {
            "items": [
                record for record in records if record["updated_at"] >= query.get("since", "")
            ]
        }

    async with served(answer) as (url, seen):
        source = {
            "key": ["id"],
            "incremental": {"field": "updated_at", "param": "since", "overlap": "60s"},
            "schedule": {"every": "1h"},
        }
        config = kit.write_config(tmp_path, url, source=source)
        assert (await run(config)).exit_code == 0
        records.insert(18, {**kit.item(99, second=175)})  # late, but within the overlap
        for _ in range(2):
            assert (await run(config)).exit_code == 0
    assert seen[1]["since"] == "2024-01-01T00:02:10Z"
    assert kit.lake_ids(tmp_path) == [*range(20), 99]


async def test_pipelines_of_one_origin_share_its_rate_limit_and_its_slots(tmp_path: Path) -> None:
    """Two pipelines of ten pages each; ten requests at once are in the bucket, the others wait for
    theirs.
    """
    flying = most = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        page = int(request.query["page"])
        return web.json_response({"items": [kit.item(page, second=page)] if page < 10 else []})

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    source = {"pagination": {"type": "page", "param": "page"}, "concurrency": 4}
    config = kit.write_config(tmp_path, "http://unused", source=source)
    document = YAML(typ="safe").load(config)
    document["origins"] = {
        "partner": {
            "url": str(server.make_url("/")).rstrip("/"),
            "rate_limit": {"requests": 10, "per": "1s"},
            "concurrency": 2,
        }
    }
    pipeline = document["pipelines"].pop("items")
    pipeline["source"] = {
        key: value for key, value in pipeline["source"].items() if key not in ("url", "concurrency")
    } | {
        "origin": "partner",
        "path": "/v1/items",
    }
    for name in ("one", "two"):
        document["pipelines"][name] = pipeline | {"sink": {"path": str(tmp_path / name)}}
    with config.open("w") as file:
        YAML(typ="safe").dump(document, file)
    started = asyncio.get_running_loop().time()
    result = await run(config)
    await server.close()
    assert result.exit_code == 0, result
    assert [each.records for each in result.pipelines] == [9, 9]
    assert asyncio.get_running_loop().time() - started > 0.8, "20 requests at 10 a second"
    assert most <= 2


async def test_another_key_would_bring_records_at_the_mark_twice_so_it_is_refused(
    tmp_path: Path,
) -> None:
    changes = [kit.item(number, second=number) for number in range(10)]
    async with served(
        lambda query: {
            "items": [each for each in changes if each["updated_at"] >= query.get("since", "")]
        }
    ) as (url, _):
        source = {
            "incremental": {"field": "updated_at", "param": "since"},
            "schedule": {"every": "1h"},
        }
        assert (
            await run(kit.write_config(tmp_path, url, source={**source, "key": ["id"]}))
        ).exit_code == 0
        changed = await run(
            kit.write_config(tmp_path, url, source={**source, "key": ["id", "tenant"]})
        )
        assert changed.exit_code == 78
        assert "source.key changed" in changed.pipelines[0].error
        assert (
            await run(kit.write_config(tmp_path, url, source={**source, "key": ["id"]}))
        ).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(10))


async def test_the_next_page_may_be_in_the_second_line_of_the_link_header(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        number = int(request.query.get("page", "0"))
        response = web.json_response(
            {"items": [kit.item(number, second=number)]},
            headers={"Link": '</v1/items>; rel="first"; title="; rel=prev";'},
        )
        if number < 3:
            response.headers.add("Link", f"<?page={number + 1}>; rel='next';")
        return response

    app = web.Application()
    app.router.add_get("/v1/items", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        config = kit.write_config(
            tmp_path,
            str(server.make_url("/v1/items")),
            source={"pagination": {"type": "link_header"}},
        )
        assert (await run(config)).exit_code == 0
    finally:
        await server.close()
    assert kit.lake_ids(tmp_path) == [0, 1, 2, 3]


async def test_a_bound_in_whole_days_brings_no_duplicates(tmp_path: Path) -> None:
    records = [kit.item(number, second=number * 600) for number in range(20)]

    def answer(query: dict[str, str]) -> Any:
        return {
            "items": [
                record for record in records if record["updated_at"][:10] >= query.get("since", "")
            ]
        }

    async with served(answer) as (url, seen):
        incremental = {
            "field": "updated_at",
            "param": "since",
            "format": {"record": "rfc3339", "param": "%Y-%m-%d"},
        }
        config = kit.write_config(
            tmp_path,
            url,
            source={"key": ["id"], "incremental": incremental, "schedule": {"every": "1h"}},
        )
        assert (await run(config)).exit_code == 0
        records.extend(kit.item(number, second=number * 600) for number in range(20, 40))
        for _ in range(2):
            assert (await run(config)).exit_code == 0
    assert [query.get("since") for query in seen] == [None, "2024-01-01", "2024-01-01"]
    assert kit.lake_ids(tmp_path) == list(range(40))


@pytest.mark.fault(29, by="a kept token is answered with 400 or 410")
@pytest.mark.parametrize("status", [400, 410])
@pytest.mark.parametrize("ends", [True, False], ids=["fresh", "resumed"])
async def test_a_refused_token_sends_an_ascending_source_back_to_its_mark(
    status: int, ends: bool, tmp_path: Path
) -> None:
    """Tokens live shortly: one that waits in the state over a stop has expired, and most servers
    answer 400 or 410.
    """
    records = [kit.item(number, second=number // 3) for number in range(100)]
    refused: list[int] = []

    def script(number: int, seen: Seen) -> Fault | None:
        if len(refused) < (1 if ends else 2) and (seen.query.get("cursor") or "") and number >= 4:
            refused.append(number)
            return Fault("status", status if ends or len(refused) > 1 else 403)
        return None

    async with Replica(records, Shape(style="cursor", cap=10, since="since"), script) as replica:
        source = {
            "pagination": {
                "type": "cursor",
                "from": {"body": "meta.next"},
                "to": {"param": "cursor"},
            },
            "key": ["id"],
            "incremental": {"field": "updated_at", "param": "since"},
        }
        config = kit.write_config(tmp_path, replica.url, source=source)
        codes = [(await run(config)).exit_code for _ in range(1 if ends else 2)]
    assert codes == ([0] if ends else [77, 0])
    assert kit.lake_ids(tmp_path) == list(range(100))
    again = next(seen for seen in replica.requests if seen.number > refused[-1])
    assert "cursor" not in again.query and again.query["since"] > "2024-01-01T00:00:00Z", (
        "the pass begins anew, at the mark"
    )


@pytest.mark.fault(29, by="the same, of a source without a mark")
async def test_a_refused_token_parks_a_source_without_a_mark(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=10, fail_pages={4: 400})) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={
                "pagination": {
                    "type": "cursor",
                    "from": {"body": "meta.next"},
                    "to": {"param": "cursor"},
                }
            },
        )
        result = await run(config)
    assert result.exit_code == 1
    assert (
        "worker state reset" in result.pipelines[0].error
        and "source.on_status" in result.pipelines[0].error
    )
    assert kit.lake_ids(tmp_path) == list(range(30))
