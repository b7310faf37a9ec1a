"""Real faults under real processes: a full disk, a failing fsync, short writes, a second instance,
a second signal.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import forked
import kit
import pytest

from worker.app import run_async
from worker.pipeline import Opened, Pipeline
from worker.settings import load_settings
from worker.testing.replica import Fault, Replica, Seen, Shape

COUNT = 3_000
SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def records() -> list[dict[str, Any]]:
    return [kit.item(number, second=number // 3) for number in range(COUNT)]


async def start(
    config: Path, *options: str, before: tuple[str, ...] = ()
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *before,
        sys.executable,
        "-m",
        "worker",
        "run",
        str(config),
        *options,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(config: Path, *options: str, before: tuple[str, ...] = ()) -> tuple[int, str]:
    process = await start(config, *options, before=before)
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, errors.decode()


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.fault(14, by="two processes with one state")
async def test_a_second_instance_exits_75_at_once_and_the_first_goes_on(tmp_path: Path) -> None:
    over = asyncio.Event()

    def kept_waiting(number: int, seen: Seen) -> Fault | None:
        """Nothing but the first page before the second instance is over."""
        hold = number > 1 and not over.is_set()
        return Fault("status", status=429, headers={"Retry-After": "1"}) if hold else None

    async with Replica(records(), Shape(style="cursor", cap=500), kept_waiting) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        first = await start(config, "--once")
        await kit.until(lambda: replica.requests)
        code, said = await finish(config, "--once")
        assert code == 75, said
        assert "another instance" in said
        assert first.returncode is None, "the second one did not wait for the first"
        over.set()
        assert await first.wait() == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))


SLOW_SEAL = """
import sys, time
from worker.__main__ import main
from worker.sinks.files import FilesSink
seal = FilesSink.seal
FilesSink.seal = lambda self: (time.sleep(3600), seal(self))[1]
main(sys.argv[1:])
"""


@pytest.mark.fault(17, by="SIGTERM or SIGINT twice during a commit that takes an hour")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_the_second_signal_exits_at_once_and_the_next_run_is_exact(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    async with Replica(records(), Shape(style="cursor", cap=10)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SLOW_SEAL, "run", str(config), stderr=asyncio.subprocess.PIPE
        )
        await kit.until(lambda: len(replica.requests) >= 50)
        process.send_signal(number)
        await kit.until_logged(process, b"draining")
        process.send_signal(number)
        # the commit that it leaves behind would take an hour
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == code
        assert b"exiting at once" in errors
        assert (await finish(config, "--once"))[0] == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))


@pytest.mark.fault(7, by="a tmpfs of 256 KiB that is full")
@needs_root
async def test_a_full_output_pauses_and_resumes_by_itself_when_space_returns(
    tmp_path: Path,
) -> None:
    lake = tmp_path / "lake"
    with small_disk(lake, "256k"):
        filler = lake / "filler"
        filler.write_bytes(b"x" * 200 * 1024)
        async with Replica(records(), Shape(style="cursor", cap=100)) as replica:
            config = kit.write_config(
                tmp_path,
                replica.url,
                source=SOURCE,
                sink={"codec": "null", "roll": {"records": 500}},
            )
            process = await start(config, "--once")
            for _ in range(2):  # it pauses, and pauses again
                await kit.until_logged(process, b"attempt.failed")
            before = kit.lake_ids(tmp_path)
            assert before == list(range(len(before)))
            filler.unlink()
            _, errors = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, errors
        assert kit.lake_ids(tmp_path) == list(range(COUNT))


@pytest.mark.fault(8, by="a tmpfs of 2 MiB that is full")
@needs_root
async def test_a_full_state_commits_nothing_and_resumes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with small_disk(state, "2m"):
        filler = state / "filler"
        async with Replica(records(), Shape(style="cursor", cap=100)) as replica:
            config = kit.write_config(
                tmp_path, replica.url, source=SOURCE, sink={"roll": {"records": 100}}
            )
            process = await start(config, "--once")
            await kit.until(lambda: kit.published(tmp_path))
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 1024)
            for _ in range(2):
                await kit.until_logged(process, b"attempt.failed")
            filler.unlink()
            _, errors = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, errors
        assert kit.lake_ids(tmp_path) == list(range(COUNT))


@pytest.mark.fault(10, 11, by="the n-th fsync fails with EIO, for each n")
@pytest.mark.parametrize("number", range(1, 14))
async def test_one_failed_fsync_is_redone_from_the_log(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The n-th fsync of the IO pool fails; no descriptor is synced again after it."""
    calls: list[tuple[str, int]] = []  # path, and the number of the attempt
    attempts = 0
    fsync, opening = os.fsync, Pipeline._open

    def opened(pipeline: Pipeline) -> Opened:
        nonlocal attempts
        attempts += 1
        return opening(pipeline)

    def failing(fd: int) -> None:
        if not threading.current_thread().name.startswith("io_"):
            fsync(fd)
            return
        calls.append((os.readlink(f"/proc/self/fd/{fd}"), attempts))
        if len(calls) == number:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    async with Replica(records(), Shape(style="cursor", cap=500)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=SOURCE, sink={"roll": {"records": 1000}}
        )
        monkeypatch.setattr(os, "fsync", failing)
        monkeypatch.setattr(Pipeline, "_open", opened)
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == 0, result
    assert len(calls) > number
    if calls[number - 1][0].endswith(".avro"):
        assert calls[number - 1] not in calls[number:], (
            "never synced again: the next attempt writes it anew"
        )
    assert kit.lake_ids(tmp_path) == list(range(COUNT))


@pytest.mark.fault(10, 11, by="strace fails every fsync of the directory of the output with EIO")
@needs_strace
async def test_an_fsync_that_fails_again_ends_with_74_and_nothing_is_lost(tmp_path: Path) -> None:
    async with Replica(records(), Shape(style="cursor", cap=500)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=SOURCE, sink={"roll": {"records": 1000}}
        )
        strace = (
            "strace",
            "-f",
            "-qq",
            "-o",
            str(tmp_path / "trace"),
            "-e",
            "trace=fsync",
            "-P",
            str(tmp_path / "lake"),
            "-e",
            "inject=fsync:error=EIO",
        )
        assert (await finish(config, "--once", before=strace))[0] == 74
        assert (await finish(config, "--once"))[0] == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))


@pytest.mark.fault(12, by="every write takes a third")
async def test_short_writes_still_make_complete_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(
        "worker.runtime.fs.os.write",
        lambda fd, data: write(fd, bytes(data[: max(len(data) // 3, 1)])),
    )
    async with Replica(records(), Shape(style="cursor", cap=500)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))


@pytest.mark.fault(39, by="published files are deleted between two runs")
async def test_published_files_that_consumers_took_away_are_not_missed(tmp_path: Path) -> None:
    async with Replica(records(), Shape(style="cursor", cap=500, since="since")) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={
                **SOURCE,
                "key": ["id"],
                "incremental": {"field": "updated_at", "param": "since"},
            },
        )
        assert (await finish(config, "--once"))[0] == 0
        taken = kit.lake_ids(tmp_path)
        for path in kit.published(tmp_path):
            path.unlink()
        assert (await finish(config, "--once"))[0] == 0
    assert taken == list(range(COUNT))
    assert kit.lake_ids(tmp_path) == []


@pytest.mark.fault(6, by="bytes of state.db are flipped")
async def test_a_damaged_state_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    async with Replica(records(), Shape(style="cursor", cap=500)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await finish(config, "--once"))[0] == 0
        database = tmp_path / "state" / "state.db"
        data = bytearray(database.read_bytes())
        for place in range(4096, len(data), 64):
            data[place] ^= 0xFF
        database.write_bytes(data)
        code, said = await finish(config, "--once")
        assert code == 74, said
        assert "state.db" in said and "remedy" in said and "Traceback" not in said
        assert "`worker state rebuild CONFIG`" in said
        assert kit.lake_ids(tmp_path) == list(range(COUNT))
        assert (await kit.worker("state", "rebuild", str(config), "--yes"))[0] == 0
        assert (await finish(config, "--once"))[0] == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))


@pytest.mark.fault(55, by="300 half-open connections, and 128 descriptors for all")
async def test_connections_to_the_admin_port_take_no_descriptors_of_the_pipelines(
    tmp_path: Path,
) -> None:
    port, held = kit.free_port(), asyncio.Event()

    def kept_waiting(number: int, seen: Seen) -> Fault | None:
        """Nothing but the first page before the connections are there."""
        hold = number > 1 and not held.is_set()
        return Fault("status", status=429, headers={"Retry-After": "1"}) if hold else None

    async with Replica(records(), Shape(style="cursor", cap=10), kept_waiting) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        config.write_text(config.read_text().replace("listen: null", f"listen: 127.0.0.1:{port}"))
        process = forked.start("run", config, "--once", first=few_descriptors)
        await kit.until(lambda: replica.requests)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(300):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /metrics HTTP/1.1\r\n")
                stack.callback(writer.close)
            held.set()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /status HTTP/1.1\r\n\r\n")
            assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
            writer.close()
            assert await process.wait() == 0
    assert kit.lake_ids(tmp_path) == list(range(COUNT))
