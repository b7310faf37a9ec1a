"""The pure middle of a pipeline: an accepted page becomes chunks for each route, and rejects.

It touches no event loop, no files and no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from worker.core.found import Found
from worker.core.model import Chunk, Decoded, Ledger, Progress, Reject
from worker.core.ports import SLICE_RECORDS, InvalidRecord, Shape
from worker.paging.spec import Accepted

OBJECT_BYTES: Final = 256  # what a chunk weighs besides its data: with many routes it is most of it


@dataclass(slots=True)
class Shaped:
    """A part of a page, ready to write.

    Only the last part of a page carries `progress`: only there may a commit be cut.

    Attributes:
        looked_at: records that were decoded and shaped, the rejects included. Duplicates and
            records outside of what was asked for are not.
        pass_over: the page is the last one of its pass.
        group: the pass of its records, where passes are kept apart in files.
        found: values for lists that other pipelines read.
    """

    partition: str
    position: Any
    chunks: list[Chunk]
    rejects: list[Reject]
    ledger: Ledger
    looked_at: int
    progress: Progress | None = None
    pass_over: bool = False
    group: int | None = None
    weight: int = field(default=0)
    found: Sequence[Found] = ()


class Flow:
    """What happens to the records of a page.

    Args:
        shape: transforms, routes and encodes finished records.
        fingerprint: of the schema of the output.
        grouped: passes are kept apart in files (snapshots).
        whole: each pass brings all that there is, so that values which it lacks have vanished.
    """

    def __init__(
        self, shape: Shape, fingerprint: str, *, grouped: bool = False, whole: bool = False
    ) -> None:
        self._shape, self._fingerprint, self._grouped = shape, fingerprint, grouped
        self._whole = whole

    def shape(self, partition: str, page: Accepted) -> Iterator[Shaped]:
        """The page in parts of at most 2,000 records, all of which came from one partition at one
        time; the last part moves the cursor.
        """
        decoded = page.decoded
        records, group = decoded.records, page.group if self._grouped else None
        for start, end, received_us, origin in _parts(decoded):
            part = records[start:end]
            shaping = self._shape(part, received_us, origin or partition)
            rejects = [
                _reject(decoded, start + index, why, origin) for index, why in shaping.refused
            ]
            chunks = [
                Chunk(route, self._fingerprint, rows, data, group)
                for route, rows, data in shaping.chunks
            ]
            sent = len(part) + shaping.expanded - shaping.filtered - len(rejects)
            ledger = Ledger(
                expanded=shaping.expanded,
                sent=sent,
                filtered=shaping.filtered,
                dead_lettered=len(rejects),
            )
            looked_at, last = len(part), end >= len(records)
            if last:
                looked_at += len(decoded.rejects)
                rejects = [*decoded.rejects, *rejects]
                ledger += page.ledger
            yield Shaped(
                partition=partition,
                position=page.position,
                chunks=chunks,
                rejects=rejects,
                ledger=ledger,
                looked_at=looked_at,
                progress=page.progress if last else None,
                pass_over=last and page.pass_end is not None,
                group=group,
                weight=_weight(chunks, rejects),
                found=self._found(shaping.found, page.group),
            )

    def _found(self, found: Sequence[Found], pass_no: int) -> Sequence[Found]:
        if not (found and self._whole):
            return found
        return [msgspec.structs.replace(each, pass_no=pass_no) for each in found]


def _parts(decoded: Decoded) -> Iterator[tuple[int, int, int, str]]:
    """First record, end, time and partition of each part; one part where there is no record.

    The partition is empty where it is that of the page.
    """
    facts, size, start = decoded.facts, len(decoded.records), 0
    each = facts.came_each
    if each and decoded.indices is not None:
        each = [each[index] for index in decoded.indices]
    while True:
        end = min(start + SLICE_RECORDS, size)
        origin = (facts.received_us, "")
        if each and size:
            origin = each[start]
            end = next((at for at in range(start, end) if each[at] != origin), end)
        yield start, end, *origin
        if (start := end) >= size:
            return


def _reject(decoded: Decoded, place: int, why: InvalidRecord, origin: str) -> Reject:
    index = place if decoded.indices is None else decoded.indices[place]
    return Reject(
        index=index,
        stage=why.stage,
        code=why.code,
        errors=why.errors,
        raw=decoded.raw(index),
        place=decoded.place(index),
        origin=origin,
    )


def _weight(chunks: Sequence[Chunk], rejects: Sequence[Reject]) -> int:
    return sum(len(chunk.data) + OBJECT_BYTES for chunk in chunks) + sum(
        len(reject.raw) + 2 * OBJECT_BYTES for reject in rejects
    )
