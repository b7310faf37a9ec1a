"""Signals at the calls of a roll: a drain in the middle of it, and a suspension that others use."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import kit
import pytest
import sweep

from worker.core.errors import Exit
from worker.testing.replica import Replica


async def terminated(directory: Path, kind: str, number: int) -> str:
    """What is wrong after SIGTERM at a call, and after the next run."""
    directory.mkdir(exist_ok=True)
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, directory, random.Random(number))
        world.change(70)
        if code := await world.run(kind, number, how=signal.SIGTERM):
            return f"{kind} {number}: exit {code} after SIGTERM"
        if left := world.left():
            return f"{kind} {number}: {left}"
        world.change(5)
        code = await world.run()
        return f"{kind} {number}: exit {code}" if code else world.wrong()


@pytest.mark.fault(16, by="SIGTERM before some calls of write, fsync, rename and COMMIT")
@pytest.mark.parametrize(
    ("kind", "number"),
    [("write", 7), ("fsync", 20), ("rename", 3), ("before_row", 2), ("after_row", 2)],
)
async def test_a_drain_that_begins_within_a_roll_is_exact_and_exits_0(
    tmp_path: Path, kind: str, number: int
) -> None:
    assert await terminated(tmp_path, kind, number) == ""


@pytest.mark.chaos
@pytest.mark.fault(
    16, by="SIGTERM before every third call of receive, write, fsync, rename, COMMIT"
)
async def test_a_drain_that_begins_at_any_call_is_exact_and_exits_0(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    kinds = {"receive", "write", "fsync", "rename", "before_row", "after_row"}
    points = [
        (kind, number)
        for kind, most in (await sweep.counts(tmp_path / "count")).items()
        if kind in kinds
        for number in range(1, most + 1, 3)
    ]
    found = [
        wrong
        for kind, number in points
        if (wrong := await terminated(tmp_path / f"{kind}-{number}", kind, number))
    ]
    print(f"{len(points)} points, {len(found)} violations")
    assert len(points) > 40
    assert found == []


def is_stopped(pid: int) -> bool:
    """Whether a process is suspended."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.fault(15, by="SIGSTOP before a call, another instance without a lock, then SIGCONT")
@pytest.mark.parametrize(
    ("kind", "number"), [("write", 12), ("fsync", 30), ("rename", 8), ("after_row", 2)]
)
async def test_whoever_was_suspended_while_another_took_over_commits_nothing_more(
    tmp_path: Path, kind: str, number: int
) -> None:
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, tmp_path, random.Random(0))
        world.change(70)
        suspended = world.start(kind, number, locked=False, how=signal.SIGSTOP)
        try:
            await kit.until(lambda: is_stopped(suspended.pid))
            world.change(10)
            assert await world.run(locked=False) == 0
        finally:
            suspended.send_signal(signal.SIGCONT)
        assert await suspended.wait() == Exit.BUSY
        assert await world.run() == 0
        assert world.wrong() == ""
