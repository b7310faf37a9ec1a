"""Bodies that do not say how large they are stay within the memory for pages while they come in,
land exactly, and leave the other pipelines alone; over real HTTP, by a process of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from ruamel.yaml import YAML

MIB = 1024 * 1024
PARTS, PAGES, RECORDS, SMALL_PAGES = 8, 2, 40, 30
NOTE = Random(0).randbytes(250_000).hex()
"""Of each record, so that a page has 20 MB."""
BEGUN = RECORDS - 4
"""What lies in the buffers of sockets is less than so many records."""
SETTLES_S = 0.5
MEMORY = 128 * MIB
PROCESS_MIB = 192
"""What a process has beside its pages: 64 MiB of its own, and what the allocator and the garbage
collector keep of pages that are gone.
"""

RUN = """
import json, sys
from pathlib import Path
from worker.app import run
from worker.http.client import _Spool
from worker.runtime.budget import Hold
from worker.settings import load_settings

reserved, coming = [0], [0, 0]
resize, add, leave = Hold.resize, _Spool.add, _Spool.__aexit__

def watched(self, size_bytes):
    resize(self, size_bytes)
    reserved.append(max(reserved.pop(), self.share.budget.used_bytes))

async def received(self, piece):
    coming[0] += len(piece)
    coming[1] = max(coming)
    await add(self, piece)

async def left(self, *error):
    coming[0] -= self._size
    await leave(self, *error)

Hold.resize, _Spool.add, _Spool.__aexit__ = watched, received, left
result = run(load_settings([Path(sys.argv[1])]), once=True)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "exit": result.exit_code, "records": {each.name: each.records for each in result.pipelines},
    "reserved": reserved[0], "coming": coming[1], "peak_mib": peak // 1024}))
"""


@lru_cache
def note(coding: str) -> bytes:
    return gzip.compress(NOTE.encode(), 1, mtime=0) if coding == "gzip" else NOTE.encode()


def coded(text: str, coding: str) -> bytes:
    """A part of a body: a member of its own where it is compressed."""
    return gzip.compress(text.encode(), 1, mtime=0) if coding == "gzip" else text.encode()


def pieces(first: int, following: int | None, coding: str) -> list[bytes]:
    """A page of large records, one in a piece."""
    found = [coded(f'{{"next": {json.dumps(following)}, "items": [', coding)]
    for number in range(RECORDS):
        record = json.dumps({**kit.item(first + number, second=number), "note": ""})
        head = f"{',' if number else ''}{record[:-2]}"
        found.append(coded(head, coding) + note(coding) + coded('"}', coding))
    return [*found, coded("]}", coding)]


class Server:
    """Pages of 20 MB of which nothing says the size, and small ones. Large ones stand still before
    they end until all small ones have been read.
    """

    def __init__(self, coding: str) -> None:
        self._coding, self._small_are_read = coding, asyncio.Event()
        self.written = 0
        self.served, self.begun, self.standing = list[str](), 0, 0

    async def small(self, request: web.Request) -> web.Response:
        page = int(request.query.get("page", "0"))
        if not page:
            await self._large_ones_move_no_more()
        self.served.append("small")
        if page == SMALL_PAGES - 1:
            self._small_are_read.set()
        following = page + 1 if page < SMALL_PAGES - 1 else None
        items = [kit.item(page, second=page)]
        return web.json_response({"items": items, "next": following})

    async def large(self, request: web.Request) -> web.StreamResponse:
        part, page = int(request.query["part"]), int(request.query.get("page", "0"))
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        if self._coding:
            answer.headers["Content-Encoding"] = self._coding
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        following = page + 1 if page < PAGES - 1 else None
        for number, piece in enumerate(
            pieces((part * PAGES + page) * RECORDS, following, self._coding)
        ):
            if number == BEGUN:
                await self._stand_still()
            await answer.write(piece)
            self.written += 1
        self.served.append("large")
        return answer

    async def _large_ones_move_no_more(self) -> None:
        """Those that have room stand still, and the others wait for it."""
        before = -1
        while self.standing < 2 or self.written != before:
            before = self.written
            await asyncio.sleep(SETTLES_S)

    async def _stand_still(self) -> None:
        self.begun, self.standing = self.begun + 1, self.standing + 1
        try:
            await self._small_are_read.wait()
        finally:
            self.standing -= 1


@pytest.fixture(params=["", "gzip"], ids=["chunked", "gzip"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Server, str]]:
    found = Server(request.param)
    application = web.Application()
    application.router.add_get("/small", found.small)
    application.router.add_get("/large", found.large)
    async with TestServer(application) as running:
        yield found, str(running.make_url("/"))


def config_of(directory: Path, url: str) -> Path:
    following = {"type": "cursor", "from": {"body": "next"}, "to": {"param": "page"}}
    path = kit.write_config(directory, f"{url}small", source={"pagination": following})
    both: dict[str, Any] = YAML(typ="safe").load(path.read_text())
    small = both["pipelines"].pop("items")
    source = small["source"] | {
        "url": f"{url}large",
        "concurrency": PARTS,
        "params": {"part": "{partition.part}"},
        "partitions": {"part": list(range(PARTS))},
    }
    large = small | {"source": source, "sink": {"path": str(directory / "large" / "lake")}}
    both |= {"pipelines": {"small": small, "large": large}, "memory": "128MiB"}
    with path.open("w") as file:
        YAML(typ="safe").dump(both, file)
    return path


async def test_bodies_without_a_length_stay_within_the_memory_and_all_land(
    tmp_path: Path, server: tuple[Server, str]
) -> None:
    serving, url = server
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, str(config_of(tmp_path, url))), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    found = json.loads(out)
    print(found, len(serving.served), serving.begun)
    records = PARTS * PAGES * RECORDS
    assert (found["exit"], found["records"]) == (0, {"small": SMALL_PAGES, "large": records})
    assert kit.lake_ids(tmp_path / "large") == list(range(records))
    order = [kind for kind, _ in groupby(serving.served)]
    assert order == ["small", "large"], "small pages were read while large ones stood still"
    assert serving.begun <= 3 * PARTS * PAGES, "few bodies are asked for in vain"
    assert MEMORY / 4 < found["coming"] <= found["reserved"] <= MEMORY
    assert found["peak_mib"] <= MEMORY // MIB + PROCESS_MIB
