"""SIGKILL at every step of the rotation of refresh tokens, and a mutant that must be caught."""

from __future__ import annotations

from pathlib import Path

import pytest
import rotation
from every_call import killed_at_each


@pytest.mark.chaos
async def test_killed_at_any_call_no_refresh_token_is_lost(tmp_path: Path) -> None:
    points, violations = await killed_at_each(
        tmp_path, rotation.counts, rotation.point, rotation.KINDS
    )
    assert points >= 100
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
