"""`run` on a terminal, and its summary."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import kit

from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "offset", "param": "offset"},
    "concurrency": 1,
    "rate_limit": {"requests": 3, "per": "1s"},
}


async def test_a_terminal_shows_progress_and_the_summary_says_what_landed_where(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number, bad=number == 3) for number in range(60)]
    terminal, end = os.openpty()
    async with Replica(records, Shape(style="offset", cap=12)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=SOURCE, sink={"roll": {"records": 12}}
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "worker",
            "run",
            str(config),
            "--once",
            stdout=asyncio.subprocess.PIPE,
            stderr=end,
        )
        out, _ = await process.communicate()
    os.close(end)
    shown = os.read(terminal, 65536).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert "items: " in shown and "records" in shown and "\r" in shown
    assert "items: 59 records in" in out.decode() and "1 rejects" in out.decode()
    assert str(tmp_path / "lake") in out.decode()


def until_closed(terminal: int) -> bytes:
    """What a terminal is sent until nobody holds its other end."""
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            os.close(terminal)
            return shown


async def test_log_lines_do_not_run_into_the_progress_and_may_have_no_color(tmp_path: Path) -> None:
    terminal, end = os.openpty()
    async with Replica(
        [kit.item(number, second=number) for number in range(60)], Shape(style="offset", cap=12)
    ) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        config.write_text(
            config.read_text()
            .replace("level: error", "level: info")
            .replace("format: json", "format: console")
        )
        command = (sys.executable, "-m", "worker", "run", str(config), "--once")
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=end,
            env={**os.environ, "NO_COLOR": "1"},
        )
        os.close(end)
        shown = (await asyncio.to_thread(until_closed, terminal)).decode()
        assert await process.wait() == 0
    assert "not yet in one" in shown, "what waits for a commit is progress too"
    lines = [line.rpartition("\r\x1b[2K")[2] for line in shown.split("\r\n") if "[info" in line]
    assert len(lines) > 3 and all(line[:4].isdigit() for line in lines), "each begins with its time"
    assert "\x1b" not in shown.replace("\x1b[2K", "")


async def test_a_port_that_is_in_use_is_named_with_the_place_of_its_key(tmp_path: Path) -> None:
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/v1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(
            config.read_text().replace(
                "listen: null", f"listen: 127.0.0.1:{taken.getsockname()[1]}"
            )
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker", "run", str(config), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()
    assert process.returncode == 78
    line = next(
        number
        for number, text in enumerate(config.read_text().splitlines(), 1)
        if "listen:" in text
    )
    assert f"{config}:{line}: admin.listen" in errors.decode()


async def test_a_run_in_which_nothing_is_enabled_says_so(tmp_path: Path) -> None:
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/v1", enabled=False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worker", "run", str(config), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert "no pipeline is enabled" in out.decode()


async def test_json_is_all_there_is_for_machines(tmp_path: Path) -> None:
    async with Replica([kit.item(1, second=1)], Shape(style="offset")) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source={"pagination": {"type": "offset", "param": "offset"}}
        )
        command = (sys.executable, "-m", "worker", "run", str(config), "--once", "--json")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await process.communicate()
    assert errors == b""
    found = json.loads(out)
    assert (found["exit_code"], found["pipelines"][0]["records"]) == (0, 1)
