"""The live /metrics of a running worker, read by the tool that knows the format."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import kit
import pytest
from prometheus_client.parser import text_string_to_metric_families

from worker.testing.replica import Replica, Shape


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
async def test_promtool_accepts_the_metrics_of_a_running_worker(tmp_path: Path) -> None:
    port = kit.free_port()
    source = {
        "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
        "schedule": {"every": "1h"},
    }
    records = [kit.item(number, second=number, bad=number == 7) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=10)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=source, sink={"roll": {"age": "200ms"}}
        )
        config.write_text(config.read_text().replace("listen: null", f"listen: 127.0.0.1:{port}"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker", "run", str(config)
        )

        def scrape() -> str:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{port}/metrics", timeout=5
                ) as answer:
                    return str(answer.read().decode())
            except OSError:
                return ""

        while 'worker_records_sent_total{pipeline="items"} 99.0' not in (
            page := await asyncio.to_thread(scrape)
        ):
            assert process.returncode is None
        status = json.loads(
            await asyncio.to_thread(
                lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5).read()
            )
        )
        asking = [sys.executable, "-m", "worker", "status", str(config)]
        told = await asyncio.to_thread(
            lambda: subprocess.run(asking, capture_output=True, text=True, timeout=60)
        )
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    found = subprocess.run(
        ["promtool", "check", "metrics"], input=page, capture_output=True, text=True
    )
    assert (found.returncode, found.stderr + found.stdout) == (0, "")
    assert 'worker_records_dead_lettered_total{pipeline="items",reason="invalid"} 1.0' in page
    assert_the_ledger_holds(page)
    assert told.returncode == 0
    assert told.stdout.splitlines()[0] == "items: running"
    assert "99 records, 1 rejects" in told.stdout
    assert told.stdout.endswith("ready\n")
    items = status["pipelines"]["items"]
    assert (
        items["state"],
        items["records"],
        items["rejects"],
        items["in_flight"],
        items["parked"],
    ) == ("running", 99, 1, 0, {})
    assert items["source"] == {
        "breaker": "closed",
        "breaker_opens_in_s": 0.0,
        "gate_opens_in_s": 0.0,
        "rate_limits": {},
        "clock_skew_s": 0.0,
        "unknown_fields": {},
    }
    assert all(set(times) == {"busy", "blocked", "idle"} for times in items["stages"].values())


def assert_the_ledger_holds(page: str) -> None:
    """received + expanded = sent + discarded + dead-lettered + in flight."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        if family.name.startswith("worker_records_"):
            sums[family.name.removeprefix("worker_records_")] = sum(
                sample.value for sample in family.samples
            )
    assert sums["received"] == 100
    assert (
        sums["received"] + sums["expanded"]
        == sums["sent"] + sums["discarded"] + sums["dead_lettered"] + sums["in_flight"]
    )
