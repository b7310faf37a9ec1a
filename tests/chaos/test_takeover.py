"""Many owners of one pipeline, of which each displaces the one before: exact, and each is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import takeover


async def contested(directory: Path, seconds: float, seed: int) -> int:
    """How many owners were displaced, after all that must be true of them."""
    ended, wrong = await takeover.contest(directory, seconds=seconds, seed=seed)
    print(f"{seconds} s: exit codes {dict(ended)}, wrong: {wrong or 'nothing'}")
    assert not wrong
    assert set(ended) <= {0, 75}, ended
    return takeover.displaced(ended)


@pytest.mark.fault(15, by="eight processes without a lock take over from each other")
async def test_eight_owners_that_take_over_from_each_other_are_exact(tmp_path: Path) -> None:
    assert await contested(tmp_path, 8, seed=1) >= 5


@pytest.mark.chaos
async def test_for_two_minutes_too(tmp_path: Path) -> None:
    seconds = float(os.environ.get("SECONDS", "120"))
    assert await contested(tmp_path, seconds, seed=2) >= seconds / 2
