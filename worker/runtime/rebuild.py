"""A state from its outputs: what `worker state rebuild` finds, before anything is changed.

What is proven by a record or a checkpoint was committed. A record that was staged and not proven
was not: the files of a commit get their final names only after it was proven, so nobody has seen
them, and they are read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import msgspec
from msgspec import structs

from worker.core.checkpoint import LOST, PURGED, Checkpoint, GoneFile, decoded
from worker.core.digest import record_head
from worker.core.errors import StateError
from worker.core.model import DEAD_LETTERS, RECORDS, ChainRow, CommitRow, StagedFile, of_kind
from worker.core.ports import CommitRecords, FileState, OutputRoot
from worker.core.rebuild import ChainRebuild, Record, whole_record
from worker.core.replays import replayed_to
from worker.core.roots import MISSED, known_root, look


class _Head(msgspec.Struct, frozen=True):
    """What tells which of several lineages goes on. Records of version 1 have neither."""

    epoch: int = 0
    shard: int = 0
    at: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pipeline writes.

    Attributes:
        records: lineage -> the records of its commits.
        roots: the root of each kind of files.
        files_are_taken: consumers take published files away.
    """

    pipeline: str
    records: Mapping[str, CommitRecords]
    roots: Mapping[str, OutputRoot]
    files_are_taken: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A chain that goes on.

    Attributes:
        lost: files of dead letters that wait and are not there.
        letters: where dead letters begin anew, because their directory is not there, or is another
            one; empty where they go on.
    """

    chain: Checkpoint
    records: CommitRecords
    lost: tuple[StagedFile, ...]
    letters: str = ""

    def rows(self) -> Iterator[CommitRow]:
        """The commits whose records are there."""
        return _rows(self.records, self.chain.seq)

    def prove(self) -> None:
        """A kill came between the last COMMIT, which a checkpoint proves, and the proof of it."""
        if self.chain.seq not in self.records.seqs():
            self.records.prove(self.chain.seq)


def chains_of(place: Place) -> list[Found]:
    """The chains of a pipeline: of each shard that of its newest owner.

    Raises StateError where something is missing that is needed.
    """
    newest: dict[int, tuple[tuple[int, str], str]] = {}
    for lineage, records in place.records.items():
        if (head := _head(records)) is not None:
            rank = (head.epoch, head.at)
            newest[head.shard] = max((rank, lineage), newest.get(head.shard, (rank, lineage)))
    chosen = sorted(lineage for _, lineage in newest.values())
    others = set(place.records).difference(chosen)
    return [_found(place, lineage, others) for lineage in chosen]


def _head(records: CommitRecords) -> _Head | None:
    """Of the newest commit; None where there is none."""
    record, base = records.proven(records.newest()), _checkpoint(records)
    found = [] if base is None else [_Head(base.epoch, base.shard)]
    if record is not None:
        try:
            found.append(msgspec.json.decode(record, type=_Head))
        except msgspec.DecodeError:
            found.append(_Head())
    return max(found, key=lambda head: (head.epoch, head.at), default=None)


def _checkpoint(records: CommitRecords) -> Checkpoint | None:
    """The newest one that is not damaged."""
    for seq in reversed(records.checkpoints()):
        found = decoded(records.read_checkpoint(seq) or b"")
        if found is not None:
            return found
    return None


def _found(place: Place, lineage: str, others: set[str]) -> Found:
    records = place.records[lineage]
    chain = _rebuilt(place.pipeline, lineage, records).chain()
    last = _last_row(chain, records)
    known = {(each.kind, each.final) for each in chain.gone}
    replayed = replayed_to(chain.partitions)
    whole, gone, lost = set(), list(chain.gone), []
    for row in _rows(records, chain.seq):
        whole.add(row.seq)
        for file in _missing_letters(place, row, known):
            waits = row.seq > replayed
            gone.append(GoneFile(file.kind, file.final, LOST if waits else PURGED))
            lost += [file] if waits else []
    chain = structs.replace(
        chain,
        accepted=tuple(sorted({*chain.accepted, *others} - {lineage})),
        gone=tuple(gone),
        published=chain.seq - _is_unpublished(place, last),
        pruned=max((seq for seq in range(1, chain.seq) if seq not in whole), default=0),
    )
    return Found(chain, records, tuple(lost), _new_letters(place, chain, last))


def _new_letters(place: Place, chain: Checkpoint, last: CommitRow) -> str:
    root = place.roots[DEAD_LETTERS]
    known = known_root(chain.roots, DEAD_LETTERS, (last,))
    sight = partial(root.sight, _chain_row(chain))
    _, found = look(known, str(root), sight, has_commits=True)
    return str(root) if found in MISSED else ""


def _chain_row(chain: Checkpoint) -> ChainRow:
    return ChainRow(
        pipeline=chain.pipeline,
        shard=chain.shard,
        lineage=chain.lineage,
        seq=chain.seq,
        digest=chain.digest,
        epoch=chain.epoch,
        published=chain.published,
    )


def _rows(records: CommitRecords, upto: int) -> Iterator[CommitRow]:
    """The commits whose records are there and say enough, in order."""
    for seq in records.seqs():
        record = whole_record(records.proven(seq) or b"")
        if record is not None and seq <= upto:
            yield record.row


def _rebuilt(pipeline: str, lineage: str, records: CommitRecords) -> ChainRebuild:
    """The newest checkpoint, and every later commit."""
    base = _checkpoint(records)
    newest = records.newest()
    if base is None:
        base = Checkpoint(
            pipeline=pipeline,
            shard=_record(pipeline, records, 1).shard,
            lineage=lineage,
            seq=0,
            digest="",
            epoch=0,
            published=0,
        )
    rebuild = ChainRebuild(base)
    for seq in range(base.seq + 1, newest + 1):
        rebuild.add(_record(pipeline, records, seq))
    return rebuild


def _record(pipeline: str, records: CommitRecords, seq: int) -> Record:
    data = records.proven(seq)
    found = None if data is None else whole_record(data)
    if found is None:
        what = "is missing" if data is None else "is damaged, or of a version that said too little"
        raise StateError(
            f"the record of commit {seq} of pipeline {pipeline} {what}, and no checkpoint makes it"
            " unnecessary",
            remedy="bring .worker of the output back from a copy; or read everything again:"
            f" `worker state reset CONFIG --pipeline {pipeline}`",
        )
    return found


def _last_row(chain: Checkpoint, records: CommitRecords) -> CommitRow:
    """The last commit. Its record is never pruned, so the output has it, or is an older copy."""
    for data in (records.proven(chain.seq), records.staged(chain.seq)):
        head = None if data is None else record_head(data)
        if data is not None and head is not None and head.digest == chain.digest:
            record = whole_record(data)
            if record is not None:
                return record.row
    raise StateError(
        f"the output has a checkpoint of commit {chain.seq} of pipeline {chain.pipeline}, and not"
        " its record: it is an older copy, or a part of one",
        remedy="bring back the output as it was",
    )


def _is_unpublished(place: Place, last: CommitRow) -> bool:
    """Whether the last commit has still to be published; all before it were. A dead letter that is
    not found is lost, so it says nothing.
    """
    standing = [(file.kind, place.roots[file.kind].standing(file)) for file in last.files]
    if any(found is FileState.STAGED for _, found in standing):
        return True
    return (RECORDS, FileState.GONE) in standing and not place.files_are_taken


def _missing_letters(
    place: Place, row: CommitRow, known: set[tuple[str, str]]
) -> Iterator[StagedFile]:
    """The files of dead letters of a commit that are not there, and of which that is news."""
    for file in of_kind(row.files, DEAD_LETTERS):
        is_news = (file.kind, file.final) not in known
        if is_news and place.roots[file.kind].standing(file) is FileState.GONE:
            yield file
