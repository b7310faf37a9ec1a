"""Disks that refuse: real mounts that fill up, run out of inodes, or turn read-only."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kit
import pytest

from worker.testing.replica import Fault, Replica, Shape

COUNT = 2_000
BAD = [number for number in range(COUNT) if number % 10 == 5]
GOOD = [number for number in range(COUNT) if number % 10 != 5]
SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")


def mount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)


@contextmanager
def mounted(path: Path, options: str) -> Iterator[None]:
    """A file system of its own in memory."""
    path.mkdir(parents=True)
    mount(path, options)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path: Path) -> list[Path]:
    """Empty files until there are no inodes left, then bytes until there is no space."""
    files = []
    with contextlib.suppress(OSError):
        for number in range(10_000):
            file = path / f"filler{number}"
            file.touch()
            files.append(file)
    with contextlib.suppress(OSError), files[0].open("wb", buffering=0) as first:
        while True:
            first.write(b"x" * 4096)
    return files


def exact(directory: Path) -> bool:
    """Whether what landed is all that was committed up to some page, bad records included."""
    landed = kit.lake_ids(directory)
    until = landed[-1] + 1 if landed else 0
    bad = [each for each in BAD if each < until]
    return landed == [each for each in GOOD if each < until] and kit.dead_ids(directory) == bad


async def started(config: Path, *before: str) -> asyncio.subprocess.Process:
    """A run whose log can be read; `before`: the command that runs it."""
    run = (*before, sys.executable, "-m", "worker", "run", str(config), "--once")
    return await asyncio.create_subprocess_exec(*run, stderr=asyncio.subprocess.PIPE)


async def refused_and_mended(
    directory: Path, refuse: Callable[[], Any], mend: Callable[[Any], object]
) -> None:
    """A run whose disk refuses after the first commits, pauses twice, and goes on when mended."""
    records = [kit.item(each, second=each // 3, bad=each in BAD) for each in range(COUNT)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(
            directory, replica.url, source=SOURCE, sink={"codec": "null", "roll": {"records": 100}}
        )
        process = await started(config)
        await kit.until(lambda: kit.published(directory))
        refused = refuse()
        for _ in range(2):
            await kit.until_logged(process, b"attempt.failed")
        assert exact(directory)
        mend(refused)
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors
    assert (kit.lake_ids(directory), kit.dead_ids(directory)) == (GOOD, BAD)


def remove(files: list[Path]) -> None:
    for file in files:
        file.unlink()


@needs_root
@pytest.mark.fault(33, by="a tmpfs for the dead letters, whose space and inodes run out")
async def test_without_space_for_dead_letters_their_commit_is_not_made(tmp_path: Path) -> None:
    letters = tmp_path / "state/dead_letters"
    with mounted(letters, "size=512k,nr_inodes=200"):
        await refused_and_mended(tmp_path, lambda: fill(letters), remove)


@needs_root
@pytest.mark.fault(9, by="a tmpfs with 200 inodes, which run out")
async def test_without_inodes_it_pauses_and_goes_on_when_there_are_some(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with mounted(lake, "size=8m,nr_inodes=200"):
        await refused_and_mended(tmp_path, lambda: fill(lake), remove)


@needs_root
@pytest.mark.fault(13, by="the output is mounted read-only between two runs, then writable again")
async def test_an_output_that_is_read_only_pauses_and_goes_on(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    records = [kit.item(each, second=each // 3) for each in range(500)]
    with mounted(lake, "size=8m"):
        async with Replica(records, Shape(style="cursor", cap=100)) as replica:
            replica.script = lambda number, seen: Fault("status", 400) if number > 3 else None
            config = kit.write_config(
                tmp_path, replica.url, source=SOURCE, sink={"roll": {"records": 100}}
            )
            assert (await kit.worker("run", config, "--once"))[0] != 0
            assert kit.lake_ids(tmp_path) == list(range(300))
            replica.script = None
            mount(lake, "remount,ro")
            process = await started(config)
            for _ in range(2):
                await kit.until_logged(process, b"attempt.failed")
            assert kit.lake_ids(tmp_path) == list(range(300))
            mount(lake, "remount,rw")
            _, errors = await asyncio.wait_for(process.communicate(), 60)
            assert process.returncode == 0, errors
        assert kit.lake_ids(tmp_path) == list(range(500))


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.fault(12, by="strace answers every fifth write and pwrite64 with EINTR")
async def test_calls_that_are_interrupted_are_made_again(tmp_path: Path) -> None:
    records = [kit.item(each, second=each // 3) for each in range(500)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=SOURCE, sink={"roll": {"records": 100}}
        )
        calls = "write,pwrite64"
        strace = ("strace", "-f", "-qq", "-o", str(tmp_path / "calls"), "-e", f"trace={calls}")
        inject = ("-e", f"inject={calls}:error=EINTR:when=5+5")
        process = await started(config, *strace, *inject)
        _, errors = await process.communicate()
        assert process.returncode == 0, errors
    assert (tmp_path / "calls").read_text().count("EINTR") > 5
    assert kit.lake_ids(tmp_path) == list(range(500))
