"""Memory and resources of a real process: what is in flight is bounded, whatever the number of
records, routes and partitions.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import kit
import pytest

from worker.runtime.budget import DECODES_WITHIN_S
from worker.testing.replica import Replica, Shape

pytestmark = pytest.mark.chaos

CURSOR = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
BLOCKED_S = 60

# A process of its own: ru_maxrss is inherited from the parent, VmHWM is not.
RUN = """
import json, sys, threading, time
from pathlib import Path
from worker.app import run
from worker.settings import load_settings
from worker.sinks.files import FilesSink

def status(key):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(key))

blocked_s = float(sys.argv[2])
samples = []
if blocked_s:
    write, opened = FilesSink.write, threading.Event()
    def blocked(self, chunk):
        if not opened.is_set():
            end = time.monotonic() + blocked_s
            while time.monotonic() < end:
                samples.append(status("VmRSS"))
                print(json.dumps({"rss_kib": samples[-1]}), flush=True)
                time.sleep(5)
            opened.set()
        write(self, chunk)
    FilesSink.write = blocked
result = run(load_settings([Path(sys.argv[1])]), once=True)
print(json.dumps({"exit": result.exit_code, "records": result.pipelines[0].records, "files": result.pipelines[0].files, "peak_kib": status("VmHWM")}))
"""


def items(count: int, routes: int = 3) -> list[dict[str, Any]]:
    return [
        {**kit.item(number, second=number // 30 % 86_400), "region": f"r{number % routes}"}
        for number in range(count)
    ]


async def run(config: Path, blocked_s: float = 0, watch: Any = None) -> dict[str, Any]:
    """The last line of a run in a process of its own; `watch` is called with each earlier one."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, str(config), str(blocked_s), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    last: dict[str, Any] = {}
    async for line in process.stdout:
        last = json.loads(line)
        if watch is not None:
            watch(last)
    assert await process.wait() == 0
    return last


async def test_ten_times_the_records_over_500_routes_take_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for count in (100_000, 1_000_000):
        directory = tmp_path / str(count)
        directory.mkdir()
        async with Replica(items(count, routes=500), Shape(style="cursor", cap=1000)) as replica:
            sink = {
                "partition_by": "region={region}",
                "max_open_files": 512,
                "roll": {"records": 50_000},
            }
            config = kit.write_config(
                directory, replica.url, source={"pagination": CURSOR}, sink=sink
            )
            found = await run(config)
        assert (found["exit"], found["records"]) == (0, count), found
        peaks.append(found["peak_kib"])
        print(
            f"{count} records in {found['files']} files over 500 routes: peak {found['peak_kib'] / 1024:.0f} MiB"
        )
    # the same run peaks between 78 and 89 MiB, 3,000,000 records at 84: what timing leaves in the
    # channels; 12 bytes kept of each record would be seen
    assert peaks[1] < peaks[0] + 12 * 1024, peaks


@pytest.mark.fault(19, by="the output is blocked for a minute")
async def test_a_sink_that_is_blocked_for_a_minute_stops_requests_and_memory_stays_flat(
    tmp_path: Path,
) -> None:
    seen: list[tuple[int, int]] = []
    async with Replica(items(100_000), Shape(style="cursor", cap=1000)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source={"pagination": CURSOR}, channel_bytes="1MiB"
        )
        found = await run(
            config,
            BLOCKED_S,
            lambda line: seen.append((len(replica.requests), line.get("rss_kib", 0))),
        )
    samples = seen[:-1]
    asked, resident = [each[0] for each in samples[1:]], [each[1] for each in samples[1:]]
    print(f"requests while blocked: {asked}; RSS KiB: {resident}")
    assert len(samples) >= BLOCKED_S // 5 - 1
    again = BLOCKED_S // DECODES_WITHIN_S  # a body that waits so long is asked for again
    assert asked[-1] - asked[0] <= again, "no request once the channels are full"
    assert asked[-1] < 80, "101 pages are there"
    assert max(resident) < 1.02 * min(resident)
    assert (found["exit"], found["records"]) == (0, 100_000)
    assert kit.lake_ids(tmp_path) == list(range(100_000))


async def test_two_thousand_partitions_are_pulled_by_four_connections(tmp_path: Path) -> None:
    tenants = [f"t{number}" for number in range(2_000)]
    records = [
        {**kit.item(number, second=number % 86_400), "tenant": tenants[number % 2_000]}
        for number in range(10_000)
    ]
    source = {
        "pagination": CURSOR,
        "concurrency": 4,
        "params": {"tenant": "{partition.tenant}"},
        "partitions": {"tenant": tenants},
    }
    async with Replica(records, Shape(style="cursor", cap=3, filters=("tenant",))) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source)
        found = await run(config)
        assert len(replica.requests) >= 4_000
    print(f"2,000 partitions: peak {found['peak_kib'] / 1024:.0f} MiB")
    assert (found["exit"], found["records"]) == (0, 10_000)
    assert kit.lake_ids(tmp_path) == list(range(10_000))
