"""Sources that have nothing new, for years: no pass leaves a row or a file, and none is forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import App, RunResult
from worker.settings import load_settings
from worker.testing.clock import FakeClock
from worker.wiring.pipelines import Poll

STEADY: Final = 80
"""Passes after which nothing may grow any more: more than an hour, in which moves are kept."""
PASSES: Final = 240
AFTER_THEM: Final = 10_000_000.0
"""On a clock before the times of the records, marks would move with it."""
RECORDS: Final = [kit.item(number, second=number) for number in range(30)]

Answer = Callable[[dict[str, str]], Any]


def by_time(query: dict[str, str]) -> Any:
    """Those from the bound on, and always the last ones."""
    return {"items": [row for row in RECORDS if row["updated_at"] >= query.get("since", "")]}


def paged(query: dict[str, str]) -> Any:
    """The same in pages of three."""
    rows, start = by_time(query)["items"], int(query.get("offset", 0))
    return {"items": rows[start : start + 3]}


def changes(query: dict[str, str]) -> Any:
    return {"items": [] if query.get("delta") == "30" else RECORDS, "delta": "30"}


MODES: Final[dict[str, tuple[dict[str, Any], Answer]]] = {
    "empty": ({"incremental": {"field": "updated_at", "param": "since"}}, lambda _: {"items": []}),
    "same_mark": ({"incremental": {"field": "updated_at", "param": "since"}}, by_time),
    "overlap": (
        {"incremental": {"field": "updated_at", "param": "since", "overlap": "10s"}},
        by_time,
    ),
    "overlap_in_pages": (
        {
            "incremental": {"field": "updated_at", "param": "since", "overlap": "10s"},
            "pagination": {"type": "offset", "param": "offset"},
        },
        paged,
    ),
    "same_token": ({"incremental": {"from": {"body": "delta"}, "to": {"param": "delta"}}}, changes),
    "unchanged": (
        {"incremental": {"field": "updated_at", "param": "since"}, "conditional": True},
        by_time,
    ),
    "snapshot": ({"conditional": True}, by_time),
    "empty_snapshot": ({}, lambda _: {"items": []}),
}


@dataclass
class Source:
    """Serves one of the modes.

    Attributes:
        clock: more than the time of the schedule passes with each pass, up to the last one.
        then: what is done when a pass of this number begins.
        is_taken: whether the writer has taken all pages: its time is that of the source.
    """

    mode: str
    clock: FakeClock
    then: Mapping[int, Callable[[], None]] = field(default_factory=dict)
    is_taken: Callable[[], bool] = lambda: True
    passes: int = 0
    last: int = PASSES

    async def answer(self, request: web.Request) -> web.Response:
        source, page = MODES[self.mode]
        query = dict(request.query)
        if not int(query.get("offset", 0)):
            while not self.is_taken():
                await asyncio.sleep(0)
            self.passes += 1
            if self.passes != self.last:
                self.clock.advance(61.0)
            self.then.get(self.passes, lambda: None)()
        if "conditional" in source and request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304, headers={"ETag": '"v1"'})
        return web.json_response(page(query), headers={"ETag": '"v1"'})


@asynccontextmanager
async def served(source: Source, directory: Path) -> AsyncIterator[Path]:
    """A config with its pipeline."""
    app = web.Application()
    app.router.add_get("/items", source.answer)
    async with TestServer(app) as server:
        keys = {"key": ["id"], "schedule": {"every": "1m"}, **MODES[source.mode][0]}
        yield kit.write_config(directory, str(server.make_url("/items")), source=keys)


async def run(config: Path, source: Source) -> RunResult:
    """A daemon that is stopped when it waits for its schedule."""
    app = App(load_settings([config]), Poll(once=False), clock=source.clock)

    def waits() -> bool:
        pool = app._supervisor.pipelines[0].pool if hasattr(app, "_supervisor") else None
        return pool is not None and (pool._due.wait_s(source.clock.monotonic()) or 0) > 0

    def is_taken() -> bool:
        return not any(each._items for each in app._supervisor.pipelines[0]._queues.values())

    source.is_taken = is_taken

    running = asyncio.create_task(app.run())
    await kit.until(lambda: running.done() or waits())
    app._stop.set()
    return await running


def rows(directory: Path) -> dict[str, int]:
    """By table of the state."""
    with closing(sqlite3.connect(f"file:{directory}/state/state.db?mode=ro", uri=True)) as db:
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for (name,) in tables
        }


def kept(directory: Path) -> tuple[dict[str, int], list[str]]:
    """The rows of the state, and all files of the output."""
    return rows(directory), sorted(str(path) for path in (directory / "lake").rglob("*"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("passes", [PASSES, pytest.param(2_000, marks=pytest.mark.thorough)])
async def test_passes_without_news_leave_no_row_and_no_file(
    tmp_path: Path, mode: str, passes: int
) -> None:
    seen = []

    def look() -> None:
        seen.append(kept(tmp_path))

    source = Source(mode, FakeClock(AFTER_THEM), {STEADY: look, passes: look}, last=passes)
    async with served(source, tmp_path) as config:
        result = await run(config, source)
    [done] = result.pipelines
    assert (result.exit_code, done.error) == (0, "")
    assert len(seen) == 2
    assert set(seen[0][1]) ^ set(seen[1][1]) == set()
    assert set(seen[0][0].items()) ^ set(seen[1][0].items()) == set()
    news = 0 if mode.startswith("empty") else len(RECORDS)
    assert (done.records, kit.lake_ids(tmp_path)) == (news, list(range(news)))
    again = {"same_mark": 1, "overlap": 11, "overlap_in_pages": 11}.get(mode, 0) * (passes - 1)
    again += mode == "unchanged"  # the first time that it is asked with this bound
    assert done.deduplicated == again


@pytest.mark.parametrize("mode", MODES)
async def test_a_restart_keeps_the_schedule_of_passes_that_left_nothing(
    tmp_path: Path, mode: str
) -> None:
    source = Source(mode, FakeClock(AFTER_THEM), last=5)
    async with served(source, tmp_path) as config:
        for _ in range(3):
            await run(config, source)
            assert source.passes == 5
