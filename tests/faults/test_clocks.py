"""A clock that jumps while a worker runs."""

from __future__ import annotations

import random
import time
from pathlib import Path

import forked
import pytest
import sweep
import victim

from worker.testing.replica import Fault, Replica, Seen

HOUR_S = 3600.0


def run_with_jumps(config: str, seed: int) -> None:
    """One run, whose clock is an hour ahead, behind, or right, at each look at it."""
    from worker.runtime.clock import SystemClock

    rng = random.Random(seed)
    SystemClock.time = lambda self: time.time() + rng.choice((-HOUR_S, 0.0, HOUR_S))  # type: ignore[method-assign]
    victim.run(config, "", 0, "", "")


def flapping(number: int, seen: Seen) -> Fault | None:
    """Every fifth answer is a 503, so that retries and breakers have to do with time."""
    return Fault("status", status=503) if number % 5 == 0 else None


def seq_of(path: Path) -> int:
    return int(path.stem.split("-")[-2])


@pytest.mark.fault(36, by="a clock that jumps by an hour at any look, and 503 now and then")
async def test_jumps_of_the_clock_change_nothing_and_names_stay_in_order(tmp_path: Path) -> None:
    async with Replica([], sweep.SHAPE, flapping) as replica:
        world = sweep.World(replica, tmp_path, random.Random(0))
        last = 0
        for seed in range(4):
            world.change(30)
            before = {*tmp_path.rglob("lake/region*/*.avro")}
            assert await forked.call(run_with_jumps, str(world.config), seed) == 0
            made = sorted(map(seq_of, {*tmp_path.rglob("lake/region*/*.avro")} - before))
            assert made and made[0] > last, "names of later commits are later names"
            last = made[-1]
        assert world.wrong() == ""
        assert len(replica.requests) < 400, "no breaker and no backoff was confused"
