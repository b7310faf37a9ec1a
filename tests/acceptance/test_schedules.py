"""Schedules and backoffs across restarts of the process, over real HTTP and the real commit log."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import forked
import kit
import pytest

from worker.testing.replica import Replica, Shape


@pytest.fixture
def start() -> Iterator[Callable[..., forked.Process]]:
    """Starts the program; what still runs at the end of a test is killed."""
    started: list[forked.Process] = []

    def run(*arguments: str) -> forked.Process:
        started.append(forked.start("run", *arguments))
        return started[-1]

    yield run
    for process in started:
        process.send_signal(signal.SIGKILL)


HOURLY = {"pagination": {"type": "offset", "param": "offset"}, "schedule": {"every": "1h"}}


@pytest.mark.fault(37, 56, by="five restarts during one pass of a source with a schedule")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
async def test_five_restarts_of_a_pass_that_takes_longer_make_one_pass(
    tmp_path: Path,
    number: signal.Signals,
    start: Callable[..., forked.Process],
) -> None:
    records = [kit.item(number, second=number) for number in range(60)]
    async with Replica(records, Shape(style="offset", cap=1)) as replica:
        sink = {"roll": {"records": 1}}
        config = kit.write_config(tmp_path, replica.url, source=HOURLY, sink=sink)

        def asked(requests: int) -> bool:
            return len(replica.requests) >= requests

        for restart in range(1, 6):
            process = start(str(config))
            await kit.until(partial(asked, 10 * restart))
            process.send_signal(number)
            await process.wait()
        process = start(str(config))
        await kit.until(lambda: len(kit.lake_ids(tmp_path)) >= 60)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        seen = len(replica.requests)
        for _ in range(2):  # the pass is over: nothing is due for an hour
            process = start(str(config), "--for", "1s")
            assert await process.wait() == 0
        assert len(replica.requests) == seen
    assert kit.lake_ids(tmp_path) == list(range(60))
