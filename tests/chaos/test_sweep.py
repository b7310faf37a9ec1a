"""SIGKILL at every step of the commit protocol, and mutants that the sweep must catch."""

from __future__ import annotations

from pathlib import Path

import pytest
import sweep


@pytest.mark.chaos
@pytest.mark.parametrize("windows", [False, True])
async def test_killed_at_any_call_and_again_in_recovery_nothing_is_lost_or_doubled(
    tmp_path: Path, windows: bool
) -> None:
    (tmp_path / "count").mkdir()
    points = [
        (kind, number)
        for kind, most in (await sweep.counts(tmp_path / "count", windows=windows)).items()
        for number in range(1, most + 1)
    ]
    violations = []
    for seed, (kind, number) in enumerate(points):
        directory = tmp_path / f"{kind}-{number}"
        directory.mkdir()
        if found := await sweep.point(directory, kind, number, seed=seed, windows=windows):
            violations.append(f"{kind} {number} (seed {seed}): {found}")
    print(f"{len(points)} kill points, {len(violations)} violations")
    assert len(points) >= 150
    assert not violations


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    ("kind", "number"),
    [("write", 7), ("fsync", 20), ("rename", 3), ("before_commit", 4), ("after_commit", 4)],
)
async def test_killed_at_some_calls_nothing_is_lost_or_doubled(
    tmp_path: Path, kind: str, number: int, windows: bool
) -> None:
    assert not await sweep.point(tmp_path, kind, number, seed=number, windows=windows)


@pytest.mark.chaos
@pytest.mark.parametrize("mutation", ["publish_first", "cursor_before_files", "reused_names"])
async def test_a_mutant_is_caught_by_the_sweep(tmp_path: Path, mutation: str) -> None:
    for number in range(1, 25):
        for kind in ("before_commit", "rename", "fsync"):
            directory = tmp_path / f"{kind}-{number}"
            directory.mkdir()
            if await sweep.point(directory, kind, number, seed=number, mutation=mutation):
                return
    pytest.fail(f"the sweep did not notice {mutation}")
