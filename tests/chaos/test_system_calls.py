"""What reaches the kernel, and in which order: durability cannot be seen by killing a process, only
in its system calls.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path

import kit
import pytest
import victim

from worker.testing.replica import Replica, Shape

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(
        shutil.which("strace") is None,
        reason="strace is not installed: fsync order is NOT checked (apt-get install strace)",
    ),
]

SYNC = re.compile(r"(?:fsync|fdatasync)\(\d+<([^>]*)>")
WRITE = re.compile(r"write\(\d+<([^>]*)>")
MKDIR = re.compile(r'mkdir(?:at)?\((?:AT_FDCWD[^,]*, )?"([^"]+)".*\) = 0')
RENAME = re.compile(r'renameat2\(.*?"([^"]+)".*?"([^"]+)".*\) = 0')


async def trace(directory: Path, mutation: str = "") -> list[str]:
    """The calls of one run, in order."""
    records = [kit.item(number, second=number, bad=number % 11 == 5) for number in range(60)]
    async with Replica(records, Shape(style="cursor", cap=10)) as replica:
        config = kit.write_config(
            directory,
            replica.url,
            source={
                "pagination": {
                    "type": "cursor",
                    "from": {"body": "meta.next"},
                    "to": {"param": "cursor"},
                }
            },
            sink={"partition_by": "all/region={region}", "roll": {"records": 20}},
        )
        log = directory / "trace"
        command = [
            "strace",
            "-f",
            "-y",
            "-qq",
            "-s",
            "300",
            "-e",
            "trace=fsync,fdatasync,write,renameat2,?mkdir,mkdirat",
            "-o",
            str(log),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, sys.executable, victim.__file__, str(config), "", "0", mutation, ""
        )
        assert await process.wait() == 0
    return log.read_text().splitlines()


def broken_rules(calls: list[str], top: Path) -> set[str]:
    """The rules of the commit protocol that a trace breaks, with everything below `top`."""
    broken: set[str] = set()
    synced: set[str] = set()
    unsynced_names: set[str] = set()
    state_synced = False
    renames = 0
    for call in calls:
        if match := SYNC.search(call):
            synced.add(match[1])
            unsynced_names.discard(match[1])
            state_synced = state_synced or match[1].endswith("state.db-wal")
        elif (match := RENAME.search(call)) and "/staging/" in match[1]:
            renames += 1
            staged, final = match[1], Path(match[2])
            if staged not in synced:
                broken.add("a file is published that was not synced")
            if str(Path(staged).parent) not in synced:
                broken.add("a file is published from a directory that was not synced")
            if not state_synced:
                broken.add("a file is published before the commit is durable")
            unsynced_names.add(str(final.parent))
            unsynced_names |= {
                str(each)
                for each in final.parent.parents
                if each.is_relative_to(top) and str(each) not in synced
            }
        elif match := MKDIR.search(call):
            synced.discard(str(Path(match[1]).parent))
        elif (match := WRITE.search(call)) and "/staging/" in match[1]:
            synced.discard(match[1])
            state_synced = False
            if unsynced_names:
                broken.add("a commit begins before the names of the one before are durable")
    if unsynced_names:
        broken.add("names are left that are not durable")
    assert renames > 5, "the trace shows no publishing"
    return broken


@pytest.mark.fault(4, by="the order of system calls, as strace sees it")
async def test_everything_is_durable_before_it_is_visible(tmp_path: Path) -> None:
    assert broken_rules(await trace(tmp_path), tmp_path) == set()


@pytest.mark.fault(61, by="directories that a killed process made and did not sync")
async def test_directories_that_a_kill_left_are_durable_before_what_stands_in_them(
    tmp_path: Path,
) -> None:
    for region in (
        "r0",
        "r1",
        "r2",
    ):  # made by another process, which was killed before it synced them
        (tmp_path / f"lake/all/region={region}").mkdir(parents=True)
    assert broken_rules(await trace(tmp_path), tmp_path) == set()


@pytest.mark.fault(4, by="the protocol broken in four ways, and its system calls")
@pytest.mark.parametrize(
    "mutation", ["no_data_fsync", "no_directory_fsync", "synchronous_normal", "publish_first"]
)
async def test_a_mutant_breaks_a_rule(tmp_path: Path, mutation: str) -> None:
    assert broken_rules(await trace(tmp_path, mutation), tmp_path)
