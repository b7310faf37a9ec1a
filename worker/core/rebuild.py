"""A chain from what stands beside its output: a checkpoint, and the records of later commits. Pure.

Nothing is believed that can be checked: each record must follow the one before by its digest, and
what a partition remembers after a commit must have the sum that the commit says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from msgspec import structs

from worker.core import memory_sum
from worker.core.checkpoint import Checkpoint, KeptPartition, joined_keys
from worker.core.digest import VERSION, digest_of
from worker.core.errors import StateError
from worker.core.found import Found, Standing
from worker.core.model import (
    RECORDS,
    BoundaryKey,
    CommitRow,
    EndRow,
    Ledger,
    SchemaRow,
    StagedFile,
    of_kind,
)

EPOCH_LEAP: Final = 1 << 20
"""A rebuilt state begins so far above all epochs that were seen: whoever still has the state that
was lost may have been given some that nobody saw."""


class RecordEnd(msgspec.Struct, frozen=True, kw_only=True):
    """A partition in the record of a commit; see `Progress`. Identities are hex digits."""

    partition: str
    expected_seq: int
    cursor: str
    memory: str = ""
    boundary_floor: int | str | None
    boundary_added: tuple[tuple[int | str, str], ...]
    tokens_cleared: bool
    tokens_added: tuple[str, ...]
    found: tuple[Found, ...] = ()
    list_over: int = 0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a commit, as `worker.core.digest.commit_record` writes it."""

    v: int
    pipeline: str
    shard: int
    lineage: str
    seq: int
    epoch: int
    id: str
    at: str
    ledger: Ledger
    files: tuple[StagedFile, ...]
    ends: tuple[RecordEnd, ...]
    previous: str
    digest: str
    owner: str
    schema: str = ""
    meaning: dict[str, str] = {}

    @property
    def row(self) -> CommitRow:
        """What the log kept of the commit."""
        return CommitRow(
            pipeline=self.pipeline,
            shard=self.shard,
            lineage=self.lineage,
            seq=self.seq,
            epoch=self.epoch,
            id=self.id,
            at=self.at,
            ledger=self.ledger,
            files=self.files,
            ends=tuple(
                EndRow(
                    partition=end.partition,
                    expected_seq=end.expected_seq,
                    cursor=end.cursor,
                    memory=end.memory,
                )
                for end in self.ends
            ),
            previous=self.previous,
            digest=self.digest,
        )


def whole_record(data: bytes) -> Record | None:
    """The record of a commit; None for one that says too little, as those of version 1 do, that is
    damaged, or whose digest is not that of what it says.
    """
    try:
        found = msgspec.json.decode(data, type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return found if found.v == VERSION and digest_of(found.row) == found.digest else None


@dataclass(slots=True)
class _Partition:
    """What is known of a partition so far.

    Attributes:
        sum: over the boundary keys and tokens (`worker.core.memory_sum`).
    """

    seq: int = 0
    cursor: str = ""
    memory: str = ""
    boundary: set[BoundaryKey] = field(default_factory=set)
    tokens: set[bytes] = field(default_factory=set)
    found: dict[tuple[str, str], Found] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    sum: int = 0

    @property
    def is_as_said(self) -> bool:
        """Whether it remembers what its last commit says; one that says nothing is believed."""
        return self.memory in ("", memory_sum.as_text(self.sum))

    def move(self, seq: int, end: RecordEnd) -> None:
        """What a commit did to it."""
        was_put_back = end.expected_seq == 0 and self.seq > 0  # by an operator, so its pass is over
        added = {bytes.fromhex(token) for token in end.tokens_added}
        kept = set() if end.tokens_cleared or was_put_back else self.tokens
        self.seq, self.cursor, self.memory = seq, end.cursor, end.memory
        self.find(end.found)
        self.end_lists(end.list_over)
        self.remember(_boundary_after(self.boundary, end), kept | added)
        if was_put_back and not self.is_as_said:  # the operator has forgotten its keys too
            self.remember(_boundary_after(set(), end), added)

    def find(self, found: Iterable[Found]) -> None:
        """Takes values for lists."""
        for each in found:
            key = (each.list, each.value)
            if (known := self.found.get(key)) is not None:
                self.sum -= memory_sum.of_found((known,))
            self.sum += memory_sum.of_found((each,))
            self.found[key] = each

    def end_lists(self, pass_no: int) -> None:
        """A pass has brought all values that it has; 0: none has."""
        if pass_no:
            sizes = Counter(each.list for each in self.found.values() if each.pass_no == pass_no)
            for name in {*self.standings, *sizes}:
                before = self.standings.get(name, Standing(name))
                self.standings[name] = before.after(pass_no, sizes[name])

    def remember(self, boundary: set[BoundaryKey], tokens: set[bytes]) -> None:
        """These instead of those before; the sum costs what differs."""
        self.sum += memory_sum.of_boundary(boundary - self.boundary)
        self.sum -= memory_sum.of_boundary(self.boundary - boundary)
        self.sum += memory_sum.of_tokens(tokens - self.tokens)
        self.sum -= memory_sum.of_tokens(self.tokens - tokens)
        self.boundary, self.tokens = boundary, tokens


def _boundary_after(known: set[BoundaryKey], end: RecordEnd) -> set[BoundaryKey]:
    floor = end.boundary_floor
    if floor is not None:
        known = {key for key in known if key[0] >= floor}  # type: ignore[operator]  # one type
    return known | {(value, bytes.fromhex(key)) for value, key in end.boundary_added}


class ChainRebuild:
    """A chain, commit after commit.

    Args:
        base: where it begins: a checkpoint, or the chain before its first commit.

    Attributes:
        seq: of the last commit that was added.

    Raises:
        StateError: the checkpoint contradicts itself.
    """

    def __init__(self, base: Checkpoint) -> None:
        self.seq = base.seq
        self._base, self._digest, self._epoch = base, base.digest, base.epoch
        self._meaning = base.meaning
        self._owners = list(base.owners)
        self._schemas = {each.fingerprint: each for each in base.schemas}
        self._parts = {each.partition: _of(each) for each in base.partitions}
        for name in self._parts:
            self._compare(name)

    def add(self, record: Record) -> None:
        """The next commit.

        Raises StateError where it does not follow, or where a partition does not remember then
        what the commit says.
        """
        if (record.seq, record.previous) != (self.seq + 1, self._digest):
            raise StateError(
                f"the record of commit {record.seq} of pipeline {record.pipeline} does not follow"
                f" commit {self.seq}",
                remedy="bring back what is missing in .worker of the output",
            )
        for end in record.ends:
            self._parts.setdefault(end.partition, _Partition()).move(record.seq, end)
            self._compare(end.partition)
        self.seq, self._digest, self._epoch = record.seq, record.digest, record.epoch
        self._meaning = record.meaning or self._meaning
        self._owners = [*(each for each in self._owners if each != record.owner), record.owner]
        for file in of_kind(record.files, RECORDS):
            known = self._schemas.get(file.fingerprint)
            text = record.schema or ("" if known is None else known.schema)
            self._schemas[file.fingerprint] = SchemaRow(file.fingerprint, record.seq, text)

    def chain(self) -> Checkpoint:
        """The chain at the last commit."""
        return structs.replace(
            self._base,
            seq=self.seq,
            digest=self._digest,
            epoch=self._epoch,
            meaning=self._meaning,
            owners=tuple(self._owners),
            schemas=tuple(sorted(self._schemas.values(), key=lambda each: each.last_seq)),
            partitions=tuple(_kept(name, part) for name, part in sorted(self._parts.items())),
        )

    def _compare(self, name: str) -> None:
        part = self._parts[name]
        if not part.is_as_said:
            raise StateError(
                f"partition {name} of pipeline {self._base.pipeline}: what it remembers is not what"
                f" commit {part.seq} says",
                remedy="bring back an undamaged copy of .worker of the output",
            )


def _of(kept: KeptPartition) -> _Partition:
    part = _Partition(seq=kept.seq, cursor=kept.cursor, memory=kept.memory)
    part.remember(set(kept.boundary_keys()), set(kept.token_list()))
    part.find(kept.found)
    part.standings = {each.list: each for each in kept.standings}
    return part


def _kept(name: str, part: _Partition) -> KeptPartition:
    return KeptPartition(
        partition=name,
        seq=part.seq,
        cursor=part.cursor,
        memory=part.memory,
        boundary=joined_keys(sorted(part.boundary)),
        tokens=b"".join(sorted(part.tokens)),
        found=tuple(part.found.values()),
        standings=tuple(part.standings.values()),
    )
