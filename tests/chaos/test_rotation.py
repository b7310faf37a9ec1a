"""SIGKILL at every step of the rotation of refresh tokens, and a mutant that must be caught."""

from __future__ import annotations

from pathlib import Path

import pytest
import rotation


@pytest.mark.chaos
async def test_killed_at_any_call_no_refresh_token_is_lost(tmp_path: Path) -> None:
    (tmp_path / "count").mkdir()
    points = [
        (kind, number)
        for kind, most in (await rotation.counts(tmp_path / "count")).items()
        if kind in rotation.KINDS
        for number in range(1, most + 1)
    ]
    violations = []
    for seed, (kind, number) in enumerate(points):
        directory = tmp_path / f"{kind}-{number}"
        directory.mkdir()
        if found := await rotation.point(directory, kind, number, seed=seed):
            violations.append(f"{kind} {number} (seed {seed}): {found}")
    print(f"{len(points)} kill points, {len(violations)} violations")
    assert len(points) >= 100
    assert not violations


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(("receive", 2), ("receive", 5), ("receive", 6), ("receive", 9)),
        *(("replace", 1), ("replace", 2), ("replace", 4), ("mkdir", 2)),
    ],
)
async def test_killed_at_some_calls_no_refresh_token_is_lost(
    tmp_path: Path, kind: str, number: int
) -> None:
    assert not await rotation.point(tmp_path, kind, number, seed=number)


async def test_a_token_that_is_kept_too_late_is_noticed(tmp_path: Path) -> None:
    for number in range(2, 12):
        directory = tmp_path / str(number)
        directory.mkdir()
        found = await rotation.point(
            directory, "receive", number, seed=number, mutation="token_kept_later"
        )
        if "after their successors" in found:
            return
    pytest.fail("the kills did not notice a token that was used before it was kept")
