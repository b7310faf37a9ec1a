"""A daemon whose log cannot be written goes on, and ends when it is told to: the log is for people,
the files are the job.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import kit
import pytest
from ruamel.yaml import YAML

from worker.testing.replica import Replica, Shape

F_SETPIPE_SZ = 1031


def chatty_config(directory: Path, url: str) -> tuple[Path, int]:
    """A daemon that asks twenty times a second, commits three times a second and logs everything."""
    path = kit.write_config(
        directory, url, source={"schedule": {"every": "50ms"}}, sink={"roll": {"age": "300ms"}}
    )
    port = kit.free_port()
    config = YAML(typ="safe").load(path)
    config |= {
        "logging": {"level": "debug", "format": "json"},
        "admin": {"listen": f"127.0.0.1:{port}"},
    }
    with path.open("w") as file:
        YAML(typ="safe").dump(config, file)
    return path, port


def alive(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/live", timeout=60) as answer:
        return bool(answer.read() == b"ok\n")


async def requests_more(replica: Replica, more: int) -> None:
    """Waits until the daemon has asked so much more often."""
    asked = len(replica.requests) + more
    await kit.until(lambda: len(replica.requests) >= asked)


async def drained(process: subprocess.Popen[bytes]) -> int:
    """The exit code after SIGTERM, which must come in time."""
    process.send_signal(signal.SIGTERM)
    try:
        return await asyncio.to_thread(process.wait, 60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def start(config: Path, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "worker", "run", str(config)], stdin=subprocess.DEVNULL, **streams
    )


@pytest.mark.fault(43, by="the pipe of the log is closed")
async def test_the_reader_of_the_log_goes_away(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    async with Replica([kit.item(1, second=0)], Shape(style="none")) as replica:
        config, port = chatty_config(tmp_path, replica.url)
        process = start(config, stdout=subprocess.DEVNULL, stderr=writing)
        os.close(writing)
        await requests_more(replica, 3)
        os.close(reading)
        await requests_more(replica, 20)
        assert await asyncio.to_thread(alive, port)
        assert await drained(process) == 0


@pytest.mark.fault(43, by="a full pipe that nobody reads")
@pytest.mark.parametrize("shared", [False, True], ids=["stderr", "stdout_too"])
async def test_nobody_reads_the_log(tmp_path: Path, shared: bool) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, F_SETPIPE_SZ, 4096)
    try:
        async with Replica([kit.item(1, second=0)], Shape(style="none")) as replica:
            config, port = chatty_config(tmp_path, replica.url)
            process = start(
                config, stdout=writing if shared else subprocess.DEVNULL, stderr=writing
            )
            os.close(writing)
            await requests_more(replica, 40)
            assert await asyncio.to_thread(alive, port)
            assert await drained(process) == 0
    finally:
        os.close(reading)


@pytest.mark.fault(43, by="/dev/full as the log")
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2>&- >&- <&-"])
async def test_a_log_that_cannot_be_written(tmp_path: Path, redirection: str) -> None:
    async with Replica([kit.item(1, second=0)], Shape(style="none")) as replica:
        config, _ = chatty_config(tmp_path, replica.url)
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {sys.executable} -m worker run {config} {redirection}"],
            stdout=subprocess.DEVNULL,
        )
        await requests_more(replica, 20)
        assert await drained(process) == 0
    assert kit.lake_ids(tmp_path)


def test_an_error_that_nobody_can_read_keeps_its_exit_code(tmp_path: Path) -> None:
    for redirection in ("2>/dev/full", "2>&-"):
        ended = subprocess.run(
            [
                "/bin/sh",
                "-c",
                f"exec {sys.executable} -m worker check {tmp_path}/none.yaml {redirection}",
            ],
            check=False,
            timeout=60,
        )
        assert ended.returncode == 78


async def test_every_line_of_the_log_is_json_the_signal_too(tmp_path: Path) -> None:
    async with Replica([kit.item(1, second=0)], Shape(style="none")) as replica:
        config, _ = chatty_config(tmp_path, replica.url)
        process = start(config, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        await requests_more(replica, 3)
        process.send_signal(signal.SIGTERM)
        _, said = await asyncio.to_thread(process.communicate, timeout=60)
    assert process.returncode == 0
    events = [json.loads(line) for line in said.splitlines()]
    assert [event["signal"] for event in events if event["event"] == "signal.received"] == [
        "SIGTERM"
    ]
    assert all({"event", "level", "timestamp"} <= event.keys() for event in events)
