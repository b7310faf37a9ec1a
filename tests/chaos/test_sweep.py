"""SIGKILL at every step of the commit protocol, and mutants that the sweep must catch."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import product
from pathlib import Path

import kit
import pytest
import sweep
from every_call import killed_at_each

from worker.core.errors import Exit
from worker.testing.replica import Replica


@pytest.mark.fault(
    1,
    2,
    3,
    by="SIGKILL before every call of receive, write (torn too), fsync, rename, mkdir, unlink and COMMIT; then again in the recovery",
)
@pytest.mark.chaos
@pytest.mark.parametrize("windows", [False, True])
async def test_killed_at_any_call_and_again_in_recovery_nothing_is_lost_or_doubled(
    tmp_path: Path, windows: bool
) -> None:
    points, violations = await killed_at_each(
        tmp_path, partial(sweep.counts, windows=windows), partial(sweep.point, windows=windows)
    )
    assert points >= 150
    assert not violations


@pytest.mark.fault(1, 2, 3, by="SIGKILL before some of these calls; then again in the recovery")
@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(("receive", 9), ("write", 7), ("fsync", 20)),
        *(("rename", 3), ("before_commit", 4), ("after_commit", 4)),
    ],
)
async def test_killed_at_some_calls_nothing_is_lost_or_doubled(
    tmp_path: Path, kind: str, number: int, windows: bool
) -> None:
    assert not await sweep.point(tmp_path, kind, number, seed=number, windows=windows)


MOVED = 14
"""So many calls of each kind come before the new output is in use."""


@pytest.mark.fault(46, by="SIGKILL at each step of a change of the output")
@pytest.mark.chaos
async def test_killed_at_any_call_while_the_output_changes_nothing_is_lost_or_doubled(
    tmp_path: Path,
) -> None:
    violations = []
    for seed, (kind, number) in enumerate(product(sweep.KINDS, range(1, MOVED + 1))):
        directory = tmp_path / f"{kind}-{number}"
        directory.mkdir()
        if found := await sweep.moved(directory, kind, number, seed=seed):
            violations.append(f"{kind} {number} (seed {seed}): {found}")
    assert not violations


@pytest.mark.parametrize("kind", sweep.KINDS)
async def test_killed_at_some_calls_while_the_output_changes_nothing_is_lost_or_doubled(
    tmp_path: Path, kind: str
) -> None:
    for number in (1, 4):
        directory = tmp_path / str(number)
        directory.mkdir()
        assert not await sweep.moved(directory, kind, number, seed=number)


@pytest.mark.fault(2, by="the protocol broken in five ways, and the same kills")
@pytest.mark.chaos
@pytest.mark.parametrize(
    "mutation",
    [
        *("publish_first", "cursor_before_files", "reused_names"),
        *("sweep_before_claim", "record_not_proven"),
    ],
)
async def test_a_mutant_is_caught_by_the_sweep(tmp_path: Path, mutation: str) -> None:
    for number in range(1, 25):
        for kind in ("before_commit", "rename", "fsync"):
            directory = tmp_path / f"{kind}-{number}"
            directory.mkdir()
            if await sweep.point(directory, kind, number, seed=number, mutation=mutation):
                return
    pytest.fail(f"the sweep did not notice {mutation}")


@asynccontextmanager
async def killed_after_a_commit(directory: Path) -> AsyncIterator[sweep.World]:
    """A process was killed after a COMMIT; a cleaner has emptied staging since then."""
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, directory, random.Random(0))
        world.change(70)
        assert await world.run("after_row", 1) == sweep.KILLED
        staged = [*(directory / "lake").glob(".worker/*/*/staging/*/*.avro")]
        assert staged
        for path in staged:
            path.unlink()
        yield world


@pytest.mark.fault(45, by="staged files are deleted after a kill behind the COMMIT")
async def test_what_a_cleaner_took_is_never_taken_for_published(tmp_path: Path) -> None:
    async with killed_after_a_commit(tmp_path) as world:
        assert [await world.run(), await world.run()] == [Exit.IO, Exit.IO]


@pytest.mark.fault(45, by="the proof is left out, and the same is done")
async def test_the_mutant_that_takes_it_for_published_is_noticed(tmp_path: Path) -> None:
    async with killed_after_a_commit(tmp_path) as world:
        assert await world.run(mutation="gone_is_published") == 0
        assert "records: lost" in world.wrong()


@pytest.mark.fault(2, 3, by="SIGKILL before a COMMIT, twenty times in a row")
async def test_twenty_kills_between_the_record_and_the_commit_are_no_alarm(tmp_path: Path) -> None:
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, tmp_path, random.Random(0))
        world.change(70)
        for _ in range(20):
            assert await world.run("before_row", 1) == sweep.KILLED
            assert len([*(tmp_path / "lake").glob(".worker/*/*/commits/*")]) == 1
            world.change(1)
        assert await world.run() == 0
        assert not world.wrong()


@asynccontextmanager
async def consumers(world: sweep.World) -> AsyncIterator[None]:
    """Others that take files away as soon as they see them."""

    async def take() -> None:
        while True:
            world.take()
            await asyncio.sleep(0.002)

    taking = asyncio.create_task(take())
    try:
        yield
    finally:
        taking.cancel()


async def taken_and_killed(directory: Path, kills: int, seed: int) -> str:
    """What is wrong after so many kills, while consumers take what they see."""
    rng = random.Random(seed)
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, directory, rng, files_are_taken=True)
        world.change(70)
        async with consumers(world):
            killed = 0
            while killed < kills:
                killed += await world.run(rng.choice(sweep.KINDS), rng.randrange(1, 40)) == -9
                world.change(rng.randrange(1, 12))
            for _ in range(2):
                if code := await world.run():
                    return f"exit {code}"
        world.take()
        assert len(kit.published(directory / "taken")) > kills / 4, "consumers took next to nothing"
        return world.wrong()


@pytest.mark.fault(39, by="files are moved away within milliseconds, and ten kills")
async def test_consumers_that_are_quick_and_ten_kills_are_exact(tmp_path: Path) -> None:
    assert not await taken_and_killed(tmp_path, 10, seed=1)


@pytest.mark.fault(39, by="files are moved away within milliseconds, and two hundred kills")
@pytest.mark.chaos
async def test_consumers_that_are_quick_and_two_hundred_kills_are_exact(tmp_path: Path) -> None:
    assert not await taken_and_killed(tmp_path, 200, seed=2)
