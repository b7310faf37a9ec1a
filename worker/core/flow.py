"""The pure middle of a pipeline: accepted page -> encoded chunks per route and dead letters. No loop, no files, no clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.core.json_split import SLICE_RECORDS
from worker.core.model import Chunk, FieldError, Ledger, Progress, Reject
from worker.core.planner import Accepted
from worker.core.ports import InvalidRecord, Plan

OBJECT_BYTES = 256  # what a chunk weighs besides its data: with many routes it is most of it

Route = Callable[[Any], str]
"""Record -> directory below the output root; raises InvalidRecord for a value that makes no directory."""


@dataclass(slots=True)
class Shaped:
    """A part of a page, ready to write. Only the last part of a page carries `progress`: only there may a commit be cut."""

    partition: str
    position: Any
    chunks: list[Chunk]
    rejects: list[Reject]
    ledger: Ledger
    progress: Progress | None = None
    weight: int = field(default=0)


class Flow:
    """What happens to the records of a page. `grouped` keeps passes apart in files (snapshots)."""

    def __init__(self, plan: Plan, route: Route | None, *, grouped: bool = False) -> None:
        self._plan, self._route, self._grouped = plan, route, grouped

    def shape(self, partition: str, page: Accepted) -> Iterator[Shaped]:
        """The page in parts of at most 2,000 records; the last part moves the cursor."""
        decoded = page.decoded
        records, indices = decoded.records, decoded.indices
        group = page.group if self._grouped else None
        starts = range(0, len(records), SLICE_RECORDS) or range(1)
        for start in starts:
            last = start + SLICE_RECORDS >= len(records)
            part = records[start : start + SLICE_RECORDS]
            chunks, rejects = self._encode(part, indices, start, group)
            sent = len(part) - len(rejects)
            ledger = Ledger(sent=sent, dead_lettered=len(rejects))
            if last:
                rejects = [*decoded.rejects, *rejects]
                ledger += page.ledger
            weight = sum(len(chunk.data) + OBJECT_BYTES for chunk in chunks) + sum(len(reject.raw) + 2 * OBJECT_BYTES for reject in rejects)
            yield Shaped(partition, page.position, chunks, rejects, ledger, page.progress if last else None, weight)

    def _encode(self, records: list[Any], indices: list[int] | None, start: int, group: int | None) -> tuple[list[Chunk], list[Reject]]:
        encode, fingerprint = self._plan.encode, self._plan.fingerprint
        if not records:
            return [], []
        if self._route is None:
            return [Chunk("", fingerprint, len(records), encode(records), group)], []
        rejects: list[Reject] = []
        routes: defaultdict[str, list[Any]] = defaultdict(list)
        route = self._route
        for place, record in enumerate(records, start):
            try:
                routes[route(record)].append(record)
            except InvalidRecord as invalid:
                index = place if indices is None else indices[place]
                errors = invalid.errors or (FieldError("$", "no route", "a value that makes a directory name"),)
                rejects.append(Reject(index, "route", invalid.code, errors, encode([record])))
        return [Chunk(name, fingerprint, len(part), encode(part), group) for name, part in routes.items()], rejects
