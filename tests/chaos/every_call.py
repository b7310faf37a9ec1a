"""A kill at each call that an undisturbed run makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol


class Point(Protocol):
    """Runs what is killed at one call, and says what is wrong at the end; empty when exact."""

    def __call__(self, directory: Path, kind: str, number: int, *, seed: int) -> Awaitable[str]: ...


async def killed_at_each(
    directory: Path,
    counts: Callable[[Path], Awaitable[Mapping[str, int]]],
    point: Point,
    kinds: Collection[str] | None = None,
) -> tuple[int, list[str]]:
    """How many kills there were, and what was wrong after which.

    Args:
        counts: how often an undisturbed run makes each kind of call.
        kinds: those that are killed at; None: all.
    """
    (directory / "count").mkdir()
    points = [
        (kind, number)
        for kind, most in (await counts(directory / "count")).items()
        if kinds is None or kind in kinds
        for number in range(1, most + 1)
    ]
    violations = []
    for seed, (kind, number) in enumerate(points):
        place = directory / f"{kind}-{number}"
        place.mkdir()
        if wrong := await point(place, kind, number, seed=seed):
            violations.append(f"{kind} {number} (seed {seed}): {wrong}")
    print(f"{len(points)} kill points, {len(violations)} violations")
    return len(points), violations
