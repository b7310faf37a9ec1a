"""SIGTERM drains: what is staged is committed, the next run goes on exactly there."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import kit
import pytest

from worker.testing.replica import Replica, Shape


def heed_hangups() -> None:
    """A process inherits what its parent ignores: the tests may run under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.fault(16, by="SIGTERM or SIGHUP in the middle of a pass")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
async def test_a_signal_commits_what_is_staged_and_exits_0(
    tmp_path: Path, number: signal.Signals
) -> None:
    records = [kit.item(number, second=number // 3) for number in range(20_000)]
    source = {
        "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
    }
    async with Replica(records, Shape(style="cursor", cap=50)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source)
        command = (sys.executable, "-m", "worker", "run", str(config))
        process = await asyncio.create_subprocess_exec(*command, preexec_fn=heed_hangups)
        await kit.until(lambda: len(replica.requests) >= 60)
        process.send_signal(number)
        if number == signal.SIGHUP:
            process.send_signal(number)  # a terminal that closes may send it twice
        assert await process.wait() == 0
        got = kit.lake_ids(tmp_path)
        assert 0 < len(got) < 20_000
        assert got == list(range(len(got)))
        process = await asyncio.create_subprocess_exec(*command, "--once")
        assert await process.wait() == 0
    assert kit.lake_ids(tmp_path) == list(range(20_000))


async def test_nohup_is_respected(tmp_path: Path) -> None:
    async with Replica([kit.item(1, second=0)], Shape(style="none")) as replica:
        config = kit.write_config(tmp_path, replica.url, source={"schedule": {"every": "50ms"}})
        process = await asyncio.create_subprocess_exec(
            "nohup", sys.executable, "-m", "worker", "run", str(config)
        )
        await kit.until(lambda: replica.requests)
        process.send_signal(signal.SIGHUP)
        seen = len(replica.requests)
        await kit.until(lambda: len(replica.requests) >= seen + 10)
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
