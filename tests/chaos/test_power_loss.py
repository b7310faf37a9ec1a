"""Power losses at any moment of what a worker does with its state and its output."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import kit
import power_loss
import pytest
import sweep
import test_formats
import victim

from worker.testing.replica import Replica

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None,
    reason="strace is not installed: power loss is NOT checked (apt-get install strace)",
)


PAUSED_S = 60


class Story:
    """A world below a directory of its own, and what is traced in it."""

    def __init__(self, world: sweep.World, mutation: str = "") -> None:
        self.world = world
        config = str(world.config)
        self.run = (sys.executable, victim.__file__, config, "", "0", mutation, "")
        self.command = self.run

    def worker(self, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "worker", *arguments)

    async def ran(self) -> int:
        """The exit code of a run; one that pauses until somebody comes is killed."""
        process = self.world.start()
        killing = asyncio.get_running_loop().call_later(
            PAUSED_S, process.send_signal, signal.SIGKILL
        )
        code = await process.wait()
        killing.cancel()
        return code

    async def goes_on(self) -> str:
        """What is wrong once the power is back and the worker has run again."""
        if code := await self.ran():
            return f"exit {code}"
        return self.world.wrong()


class Rebuilding(Story):
    """Whoever lost the state may also have to make it again."""

    def lose(self) -> None:
        for path in self.world.directory.glob("state/state.db*"):  # dead letters stay
            path.unlink()

    async def rebuilt(self) -> str:
        code, out, errors = await kit.worker("state", "rebuild", str(self.world.config), "--yes")
        return f"rebuild: exit {code}: {out}{errors}" if code else ""

    async def goes_on(self) -> str:
        if await self.ran() == 0:
            return self.world.wrong()
        return await self.rebuilt() or await super().goes_on()


class Pruning(Rebuilding):
    """A log that was pruned goes on, and so does what is rebuilt from its output."""

    async def goes_on(self) -> str:
        if wrong := await Story.goes_on(self):
            return wrong
        self.lose()
        return await self.rebuilt() or await Story.goes_on(self)


async def commit(story: Story) -> None:
    """The first run of a pipeline."""


async def recovery(story: Story) -> None:
    """A run after a kill between COMMIT and publishing."""
    assert await story.world.run("after_row", 2) == sweep.KILLED


async def prune(story: Story) -> None:
    """All commits but the last are forgotten."""
    for record in story.world.replica.records:  # commits with dead letters would be kept
        record["value"] = 1
    assert await story.world.run() == 0
    story.command = story.worker("prune", str(story.world.config), "--keep", "0s")


async def rebuild(story: Rebuilding) -> None:
    """The state is made from an output whose last commit was not published."""
    assert await story.world.run("after_row", 2) == sweep.KILLED
    story.lose()
    story.command = story.worker("state", "rebuild", str(story.world.config), "--yes")


KINDS = {commit: Story, recovery: Story, prune: Pruning, rebuild: Rebuilding}


@asynccontextmanager
async def told(name: str, directory: Path, mutation: str = "") -> AsyncIterator[Story]:
    """A story, ready to be traced."""
    directory.mkdir()
    if name == "migration":  # of a state of an older format, with commits that are not published
        landed = test_formats.FORMATS / "landed/format_2-committed.json"
        async with test_formats.world(landed, directory) as world:
            yield Story(world, mutation)
        return
    (prepare,) = (each for each in KINDS if each.__name__ == name)
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, directory, random.Random(0))
        world.change(40)
        story = KINDS[prepare](world, mutation)
        await prepare(story)
        yield story


async def recorded(story: Story) -> power_loss.Recording:
    """What the command of a story did, which is held against what it left."""
    top = story.world.directory
    before, log = power_loss.Disk.of(top), top.with_suffix(".calls")
    assert await power_loss.traced(story.command, log) == 0
    recording = power_loss.Recording(top, before, log)
    left = power_loss.Disk.of(top)
    power_loss.without_shared_memory(left)
    assert listing(recording.final()) == listing(left), "the recording lacks something"
    return recording


def listing(disk: power_loss.Disk) -> dict[str, bytes | None]:
    """Content by path; None for directories."""
    found: dict[str, bytes | None] = {}

    def walk(number: int, path: str) -> None:
        if number in disk.directories:
            found[path] = None
            for name, each in disk.directories[number].items():
                walk(each, f"{path}/{name}")
        else:
            found[path] = bytes(disk.files[number])

    walk(power_loss.TOP, "")
    return found


async def violations(
    name: str, directory: Path, count: int, *, mutation: str = "", seed: int = 0
) -> list[str]:
    """What is wrong after power losses in a story; with a mutation, the first."""
    found = []
    async with told(name, directory / name, mutation) as story:
        recording = await recorded(story)
        for what, disk in power_loss.states(recording, count, seed):
            disk.write(story.world.directory)
            if wrong := await story.goes_on():
                found.append(f"{what}: {wrong}")
                if mutation:
                    break
    print(f"{name}: {count} states of {len(recording.steps)} changes, {len(found)} violations")
    return found


NAMES = [*(each.__name__ for each in KINDS), "migration"]


@pytest.mark.fault(4, 5, by="three states of a disk after a power loss, rebuilt from system calls")
@pytest.mark.parametrize("name", ["recovery", "rebuild"])
async def test_after_some_power_losses_nothing_is_lost_or_doubled(
    name: str, tmp_path: Path
) -> None:
    assert await violations(name, tmp_path, 3, seed=1) == []


@pytest.mark.chaos
@pytest.mark.fault(
    4,
    5,
    by="forty states of a disk: what is not durable is kept, lost or torn, names and data apart",
)
@pytest.mark.parametrize("name", NAMES)
async def test_after_any_power_loss_nothing_is_lost_or_doubled(name: str, tmp_path: Path) -> None:
    assert await violations(name, tmp_path, 40) == []


@pytest.mark.chaos
@pytest.mark.fault(4, by="the protocol without one fsync, and power losses")
@pytest.mark.parametrize("mutation", ["no_data_fsync", "no_directory_fsync", "synchronous_normal"])
async def test_a_mutant_without_one_fsync_is_noticed(mutation: str, tmp_path: Path) -> None:
    assert await violations("commit", tmp_path, 25, mutation=mutation)
