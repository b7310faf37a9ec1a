"""SIGKILL at every step while partitions are found: each record of each of them lands once."""

from __future__ import annotations

from pathlib import Path

import found
import pytest
from every_call import killed_at_each


@pytest.mark.fault(1, 2, 3, by="SIGKILL at each step while partitions are found in records")
@pytest.mark.chaos
async def test_killed_at_any_call_what_was_found_is_exact(tmp_path: Path) -> None:
    points, violations = await killed_at_each(tmp_path, found.counts, found.point, found.KINDS)
    assert points >= 50
    assert not violations


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        *(("receive", 3), ("write", 9), ("fsync", 8), ("fsync", 20), ("rename", 3)),
        *(("before_commit", 4), ("after_commit", 4), ("before_commit", 9), ("after_commit", 9)),
    ],
)
async def test_killed_at_some_calls_what_was_found_is_exact(
    tmp_path: Path, kind: str, number: int
) -> None:
    assert not await found.point(tmp_path, kind, number, seed=number)
