"""`read` and `check --connect` look at a source and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import kit

from worker.testing.replica import Fault, Replica, Shape

SOURCE = {"pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}}


async def worker(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "worker", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def test_read_prints_transformed_records_and_names_rejects(tmp_path: Path) -> None:
    records = [kit.item(number, second=number, bad=number == 1) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE, transforms=[{"filter": "id != 3"}, {"set": {"region": "upper(region)"}}])
        code, out, errors = await worker("read", str(config), "items", "-n", "6")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0, errors
    assert [line["id"] for line in lines] == [0, 2, 4, 5, 6, 7]
    assert lines[0] == {"id": 0, "tenant": "a", "region": "R0", "updated_at": "2024-01-01T00:00:00Z", "value": 0}
    assert "reject: record 1, validate invalid: $.value: found text of 3 characters, allowed a whole number" in errors
    assert "2 pages of partition default: 10 records received, 1 filtered, 1 rejects" in errors
    assert len(replica.requests) == 2
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "lake").exists()


async def test_check_connect_says_what_came_back_and_where_the_next_page_is(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(20)]
    async with Replica(records, Shape(style="cursor", cap=5)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, errors = await worker("check", str(config), "--connect", "--json")
    assert code == 0, errors
    (promise,) = json.loads(out)
    assert promise["connected"] == "partition default: 5 records, 0 of them rejects, 0 filtered"
    assert "token" in promise["next_position"]
    assert len(replica.requests) == 1


async def test_check_connect_says_why_not_and_how_it_exits(tmp_path: Path) -> None:
    async with Replica([], Shape(), lambda number, seen: Fault("status", status=401)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        code, out, _ = await worker("check", str(config), "--connect")
    assert code == 77
    assert "status 401" in out
