"""The live /metrics of a running worker, read by the tool that knows the format."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import kit
import pytest

from worker.testing.replica import Replica, Shape


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_promtool_accepts_the_metrics_of_a_running_worker(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = {"pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}, "schedule": {"every": "1h"}}
    records = [kit.item(number, second=number, bad=number == 7) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=10)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=source, sink={"roll": {"age": "200ms"}})
        config.write_text(config.read_text().replace("listen: null", f"listen: 127.0.0.1:{port}"))
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "worker", "run", str(config))

        def scrape() -> str:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                    return str(answer.read().decode())
            except OSError:
                return ""

        while 'worker_records_total{outcome="sent",pipeline="items"} 99.0' not in (page := await asyncio.to_thread(scrape)):
            assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    found = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True)
    assert (found.returncode, found.stderr + found.stdout) == (0, "")
    assert 'worker_records_total{outcome="dead_lettered",pipeline="items"} 1.0' in page
