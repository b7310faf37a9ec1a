"""Pipelines whose partitions are found in the records of others: who looks for what, and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

from worker.core.found import FILE, Found, Wanted, list_of
from worker.runtime.roster import RosterSpec, combinations
from worker.settings import Settings
from worker.sources.http_config import HttpConfig
from worker.sources.listed_values import values_in


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


class News:
    """Tells pipelines that a commit of another one has brought values for their lists."""

    def __init__(self) -> None:
        self._listening: dict[str, list[asyncio.Event]] = {}

    def of(self, parent: str) -> asyncio.Event:
        """Is set with each such commit of a pipeline; whoever has heard it clears it."""
        event = asyncio.Event()
        self._listening.setdefault(parent, []).append(event)
        return event

    def announce(self, parent: str) -> None:
        """A pipeline has made such a commit."""
        for event in self._listening.get(parent, ()):
            event.set()


def roster_of(settings: Settings, name: str, news: News) -> RosterSpec | None:
    """Where the partitions of a pipeline are found; None where they are listed."""
    source = settings.pipelines[name].source
    if source.found is None:
        return None
    found_name, values = source.found
    parent = name if values.pipeline is None else values.pipeline
    listed = {key: tuple(map(str, each)) for key, each in source.listed.items()}
    return RosterSpec(
        pipeline=name,
        parent=parent,
        list=FILE if values.file is not None else list_of(str(values.field), values.carry),
        name=found_name,
        carry=values.carry,
        others=combinations(listed),
        names=tuple(source.partitions),
        by_change=values.due == "change",
        may_vanish=values.vanish == "allow",
        rereads=values.file is not None or _rereads(settings, parent),
        news=news.of(parent),
    )


def _rereads(settings: Settings, parent: str) -> bool:
    source = settings.pipelines[parent].source
    return source.incremental is None and source.again


def file_of(source: HttpConfig) -> Callable[[], Iterator[Found]] | None:
    """The values of the file in which partitions are found; None where they are not."""
    if source.found is None or source.found[1].file is None:
        return None
    values = source.found[1]
    return partial(values_in, source.found[1].file, values.field or "", values.carry)
