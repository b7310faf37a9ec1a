"""SIGTERM drains: what is staged is committed, the next run goes on exactly there."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import kit

from worker.testing.replica import Replica, Shape


async def test_sigterm_commits_what_is_staged_and_exits_0(tmp_path: Path) -> None:
    records = [kit.item(number, second=number // 3) for number in range(20_000)]
    source = {"pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}}
    async with Replica(records, Shape(style="cursor", cap=50)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source)
        command = (sys.executable, "-m", "worker", "run", str(config))
        process = await asyncio.create_subprocess_exec(*command)
        while len(replica.requests) < 60:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        got = kit.lake_ids(tmp_path)
        assert 0 < len(got) < 20_000
        assert got == list(range(len(got)))
        process = await asyncio.create_subprocess_exec(*command, "--once")
        assert await process.wait() == 0
    assert kit.lake_ids(tmp_path) == list(range(20_000))
