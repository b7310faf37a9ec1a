"""A log with a hundred thousand commits."""

from __future__ import annotations

import time
from pathlib import Path

import kit
import pytest
from benchmarks.grown_log import grow

from worker.app import run_async
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

COMMITS = 100_000
SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "key": ["id"],
    "incremental": {"field": "updated_at", "param": "since"},
}


async def cpu_s(config: Path) -> float:
    """The CPU seconds of a run that finds nothing new, the least of three."""
    found = []
    for _ in range(3):
        began = time.process_time()
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.thorough
@pytest.mark.fault(57, by="the rows of a commit repeated a hundred thousand times, then pruned")
async def test_a_log_of_many_commits_is_pruned_and_starts_like_a_new_one(tmp_path: Path) -> None:
    shape = Shape(style="cursor", cap=10, since="since")
    async with Replica([kit.item(each, second=each) for each in range(10)], shape) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
        new = await cpu_s(config)
        grow(tmp_path / "state", tmp_path / "lake", COMMITS)
        grown = await cpu_s(config)
        full = (tmp_path / "state/state.db").stat().st_size
        code, out, errors = await kit.worker("prune", config, "--keep", "0s")
        assert code == 0, errors
        pruned = await cpu_s(config)
    size = (tmp_path / "state/state.db").stat().st_size
    print(
        f"CPU of a start: new {new:.3f} s, {COMMITS} commits {grown:.3f} s, pruned {pruned:.3f} s"
    )
    print(f"{out.strip()}; {full / 1e6:.0f} MB -> {size / 1e6:.1f} MB")
    assert size < 1_000_000
    assert pruned < 1.5 * new
