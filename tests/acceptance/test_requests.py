"""What goes out over real HTTP, and what answers without a page do to a run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web

from worker.app import RunResult, run_async
from worker.settings import load_settings


@asynccontextmanager
async def served(
    answer: Callable[[web.Request, bytes], Any],
) -> AsyncIterator[tuple[str, list[tuple[str, bytes]]]]:
    """(url, (target, body) of each request as it came)."""
    seen: list[tuple[str, bytes]] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append((request.raw_path, body))
        found = answer(request, body)
        return found if isinstance(found, web.Response) else web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


POST = {"method": "POST", "idempotent": True}


async def run(config: Path) -> RunResult:
    return await run_async(load_settings([config]), once=True)


def items(*numbers: int) -> dict[str, Any]:
    return {"items": [kit.item(number, second=number) for number in numbers]}


async def test_partitions_are_asked_for_by_their_own_names(tmp_path: Path) -> None:
    names = ["C#", "a/b", "50%", "q?x=1&y", "ü +"]
    async with served(lambda request, body: items(names.index(request.query["p"]))) as (url, seen):
        config = kit.write_config(
            tmp_path,
            url + "/langs/{partition.lang}/of?keep=%2f+",
            source={"partitions": {"lang": names}, "params": {"p": "{partition.lang}"}},
        )
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(5))
    assert sorted(target for target, _ in seen) == sorted(
        [
            "/langs/C%23/of?keep=%2f+&p=C%23",
            "/langs/a%2Fb/of?keep=%2f+&p=a/b",
            "/langs/50%25/of?keep=%2f+&p=50%25",
            "/langs/q%3Fx%3D1%26y/of?keep=%2f+&p=q?x%3D1%26y",
            "/langs/%C3%BC%20%2B/of?keep=%2f+&p=%C3%BC%20%2B",
        ]
    )


async def test_a_number_in_a_body_is_one_in_each_pass(tmp_path: Path) -> None:
    rows = [{**kit.item(number, second=number), "t": 1_714_979_200 + number} for number in range(3)]

    def answer(request: web.Request, body: bytes) -> Any:
        since = json.loads(body)["q"]["from"]
        if not isinstance(since, int):
            return web.json_response({"error": "a number is needed"}, status=422)
        return {"items": [row for row in rows if row["t"] >= since]}

    async with served(answer) as (url, seen):
        source = {
            "method": "POST",
            "idempotent": True,
            "body": {"q": {"kind": "x"}},
            "key": ["id"],
            "incremental": {
                "field": "t",
                "to": {"body": "q.from"},
                "initial": 0,
                "format": {"record": "epoch_s"},
            },
        }
        config = kit.write_config(tmp_path, url, source=source)
        for _ in range(3):
            assert (await run(config)).exit_code == 0
    sent = [json.loads(body)["q"] for _, body in seen]
    assert sent == [{"kind": "x", "from": at} for at in (0, 1_714_979_202, 1_714_979_202)]
    assert kit.lake_ids(tmp_path) == [0, 1, 2]


async def test_a_202_is_asked_for_again_and_opens_no_breaker(tmp_path: Path) -> None:
    counted = 0

    def answer(request: web.Request, body: bytes) -> Any:
        nonlocal counted
        counted += 1
        return web.json_response({"state": "running"}, status=202) if counted <= 6 else items(1)

    async with served(answer) as (url, seen):
        source = {
            "retry": {"base": "5ms", "cap": "5ms", "max_attempts": 2},
            "breaker": {"min_calls": 1, "failure_rate": 0.1},
        }
        config = kit.write_config(tmp_path, url, source=source)
        assert (await run(config)).exit_code == 0
    assert len(seen) == 7 and kit.lake_ids(tmp_path) == [1]


async def test_a_202_without_end_says_so_and_loses_nothing(tmp_path: Path) -> None:
    async with served(lambda request, body: web.json_response([], status=202)) as (url, _):
        source = {"retry": {"base": "10ms", "cap": "20ms", "deadline": "200ms"}}
        config = kit.write_config(tmp_path, url, source=source)
        result = await run(config)
        assert result.exit_code == 69
        assert "not ready" in str(result.pipelines[0].error)
        assert "on_status: {202: page}" in str(result.pipelines[0].error)


@pytest.mark.parametrize(
    "source",
    [
        {"on_status": {202: "page"}},
        {"on_body": [{"when": {"path": "items", "exists": True}, "do": "page"}]},
    ],
)
async def test_a_202_with_data_every_time_is_a_page_where_the_config_says_so(
    source: dict[str, Any], tmp_path: Path
) -> None:
    async with served(lambda request, body: web.json_response(items(1, 2), status=202)) as (url, _):
        config = kit.write_config(tmp_path, url, source=source)
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"Content-Range": "items 0-1/2"}, 0), ({}, 0), ({"Content-Range": "bytes 0-99/200"}, 1)],
)
async def test_a_206_is_a_page_unless_its_range_is_in_bytes(
    headers: dict[str, str], code: int, tmp_path: Path
) -> None:
    answer = lambda request, body: web.json_response(items(1, 2), status=206, headers=headers)  # noqa: E731
    async with served(answer) as (url, _):
        assert (await run(kit.write_config(tmp_path, url))).exit_code == code


@pytest.mark.parametrize("total", [-1, "-1", "-1.0", None, 3, "3"])
async def test_a_negative_total_is_unknown(total: Any, tmp_path: Path) -> None:
    rows = [kit.item(number, second=number) for number in range(3)]

    def answer(request: web.Request, body: bytes) -> Any:
        at = int(request.query["o"])
        return {"items": rows[at : at + 2], "total": total}

    async with served(answer) as (url, _):
        source = {"pagination": {"type": "offset", "param": "o", "total": {"body": "total"}}}
        config = kit.write_config(tmp_path, url, source={**source, "concurrency": 1})
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == [0, 1, 2]


async def test_a_function_over_a_wrong_type_is_no_bug(tmp_path: Path) -> None:
    source = {
        "on_body": [{"when": {"path": "length(errors)", "greater": 0}, "do": "fail"}],
        "pagination": {"type": "page", "param": "p"},
        "stop": {"when": {"path": "contains(state, 'last')", "equals": True}},
    }

    def answer(request: web.Request, body: bytes) -> Any:
        page = int(request.query["p"])
        return {**items(page), "state": {1: None, 2: 5}.get(page, "the last")}

    async with served(answer) as (url, _):
        config = kit.write_config(tmp_path, url, source=source)
        assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == [1, 2, 3]


async def test_a_token_that_is_a_number_is_sent_back_as_one(tmp_path: Path) -> None:
    sent = []

    def answer(request: web.Request, body: bytes) -> Any:
        at = json.loads(body)["since"]
        sent.append(at)
        return {**items(*range(at, 3)), "position": 3 if at else 0}

    async with served(answer) as (url, _):
        source = {
            "method": "POST",
            "idempotent": True,
            "incremental": {
                "from": {"body": "position"},
                "to": {"body": "since"},
                "initial": 0,
            },
        }
        config = kit.write_config(tmp_path, url, source=source)
        assert (await run(config)).exit_code == 0  # the token 0 is one
    assert sent == [0] and kit.lake_ids(tmp_path) == [0, 1, 2]


async def test_a_token_keeps_its_type_in_the_pass_after(tmp_path: Path) -> None:
    sent: list[Any] = []

    def answer(request: web.Request, body: bytes) -> Any:
        sent.append(json.loads(body)["since"])
        return {**items(len(sent)), "position": len(sent) * 10}

    async with served(answer) as (url, _):
        mark = {"from": {"body": "position"}, "to": {"body": "since"}, "initial": 0}
        config = kit.write_config(tmp_path, url, source={**POST, "incremental": mark})
        for _ in range(3):
            assert (await run(config)).exit_code == 0
    assert sent == [0, 10, 20] and kit.lake_ids(tmp_path) == [1, 2, 3]
