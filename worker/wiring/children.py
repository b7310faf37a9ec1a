"""Pipelines whose partitions are found in the records of others: who looks for what, and where."""

from __future__ import annotations

from collections.abc import Iterator

from worker.core.found import Wanted
from worker.settings import Settings


def wanted_of(settings: Settings, parent: str) -> tuple[Wanted, ...]:
    """What enabled pipelines look for in the records of one, each list once."""
    wanted = {each.list: each for each in _wanted(settings, parent)}
    return tuple(wanted.values())


def _wanted(settings: Settings, parent: str) -> Iterator[Wanted]:
    for name, config in settings.pipelines.items():
        if not config.enabled or (found := config.source.found) is None:
            continue
        values = found[1]
        if values.pipeline == parent and values.field is not None:
            yield Wanted(values.field, values.carry, name)
