"""A commit log that keeps nothing: the whole CommitLog port, for tests of what stands above it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from threading import Lock

from worker.core import memory_sum
from worker.core.checkpoint import (
    Checkpoint,
    KeptPartition,
    gone_files,
    joined_keys,
)
from worker.core.cursor import Cursor
from worker.core.errors import ConfigError, Fenced, StateError
from worker.core.found import FILE, Child, Found, Standing
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    REPLAYED,
    BoundaryKey,
    ChainRow,
    ChainState,
    Claim,
    Claimed,
    Commit,
    CommitRow,
    Due,
    EndRow,
    PartitionEnd,
    PartitionRow,
    Progress,
    Prunable,
    Root,
    SchemaRow,
    Snapshot,
    StagedFile,
    of_kind,
)
from worker.core.rebuild import EPOCH_LEAP


@dataclass(slots=True)
class _Partition:
    """`cursor` is kept as text, so that tests meet its limits."""

    shard: int = 0
    seq: int = 0
    cursor: str = field(default_factory=lambda: Cursor().to_json())
    memory: str = ""
    boundary: set[BoundaryKey] = field(default_factory=set)
    tokens: set[bytes] = field(default_factory=set)
    due: Due = field(default_factory=Due)

    def after(self, progress: Progress) -> tuple[set[BoundaryKey], set[bytes]]:
        """What is remembered after a step."""
        boundary, floor = self.boundary, progress.boundary_floor
        if floor is not None:
            boundary = {key for key in boundary if key[0] >= floor}  # type: ignore[operator]
        tokens = set() if progress.tokens_cleared else self.tokens
        return boundary | set(progress.boundary_added), tokens | set(progress.tokens_added)

    def put_back(self, cursor: Cursor, *, forget_keys: bool = True) -> None:
        """A cursor that no commit made."""
        self.seq, self.cursor, self.memory = 0, cursor.to_json(), ""
        self.tokens = set()
        self.due = Due()
        if forget_keys:
            self.boundary = set()


@dataclass(slots=True)
class _Listed:
    """A value that a partition has brought."""

    found: Found
    number: int
    changed: int


class _Lists:
    """What is found in the records of a pipeline."""

    def __init__(self) -> None:
        self.since: dict[str, int] = {}
        self.rows: dict[tuple[str, str, str], _Listed] = {}
        self.standings: dict[tuple[str, str], Standing] = {}

    def of(self, origin: str) -> list[Found]:
        return [row.found for (_, _, by), row in sorted(self.rows.items()) if by == origin]

    def after(self, origin: str, found: Sequence[Found]) -> list[Found]:
        """What a partition has brought, after a step that brings these."""
        both = {(each.list, each.value): each for each in (*self.of(origin), *found)}
        return list(both.values())

    def take(self, origin: str, found: Sequence[Found], list_over: int = 0) -> None:
        for each in found:
            self._take(origin, each)
        if list_over:
            self._end(origin, list_over)

    def _take(self, origin: str, found: Found) -> None:
        key = (found.list, found.value, origin)
        rows = self._of_list(found.list)
        last = max((max(row.number, row.changed) for row in rows), default=0)
        old = self.rows.get(key)
        counts_from = self.standings.get((origin, found.list), Standing(found.list)).pass_no
        if old is None or old.found.pass_no < counts_from:
            self.rows[key] = _Listed(found, last + 1, last + 1)
        else:
            changed = old.changed if old.found.digest == found.digest else last + 1
            self.rows[key] = _Listed(found, old.number, changed)

    def _end(self, origin: str, list_over: int) -> None:
        """The pass of this number has brought its whole list."""
        brought = [each for each in self.of(origin) if each.pass_no == list_over]
        known = {of for by, of in self.standings if by == origin}
        for name in {*self.since, *known, *(each.list for each in brought)}:
            size = sum(each.list == name for each in brought)
            before = self.standings.get((origin, name), Standing(name))
            self.standings[origin, name] = before.after(list_over, size)

    def _of_list(self, name: str) -> list[_Listed]:
        return [row for (of, _, _), row in self.rows.items() if of == name]

    def children(self, name: str, value: str | None, *, by_change: bool) -> list[Child]:
        """The values in order; one that several partitions brought stands where the last one put
        it.
        """
        last: dict[str, _Listed] = {}
        there: dict[str, tuple[bool, bool]] = {}
        for (of, text, origin), row in self.rows.items():
            if of != name or value not in (None, text):
                continue
            if text not in last or _order(last[text], by_change) < _order(row, by_change):
                last[text] = row
            stands = self.standings.get((origin, name), Standing(name))
            seen, pass_no = there.get(text, (False, False)), row.found.pass_no
            there[text] = (seen[0] or pass_no >= stands.pass_no, seen[1] or pass_no >= stands.ended)
        return [
            Child(text, row.found.carried, row.found.digest, row.number, row.changed, *there[text])
            for text, row in sorted(last.items(), key=lambda each: _order(each[1], by_change))
        ]


def _order(row: _Listed, by_change: bool) -> int:
    return row.changed if by_change else row.number


@dataclass(slots=True)
class _Chain:
    """A chain of commits."""

    lineage: str = field(default_factory=lambda: secrets.token_hex(8))
    seq: int = 0
    digest: str = ""
    epoch: int = 0
    published: int = 0
    pruned: int = 0
    owners: tuple[str, ...] = ()
    commits: list[CommitRow] = field(default_factory=list)

    def rows(self) -> list[CommitRow]:
        return [replace(row, published=row.seq <= self.published) for row in self.commits]

    def is_followed_by(self, row: CommitRow) -> bool:
        """Whether the owner of the chain makes this commit, and it is the next one."""
        last = (self.lineage, self.seq + 1, self.digest, self.epoch)
        return last == (row.lineage, row.seq, row.previous, row.epoch)


@dataclass(slots=True)
class _Pipeline:
    """`schemas` has the one that was used last at its end."""

    fingerprint: dict[str, str] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    chains: dict[int, _Chain] = field(default_factory=dict)
    partitions: dict[str, _Partition] = field(default_factory=dict)
    schemas: dict[str, str] = field(default_factory=dict)
    roots: dict[str, Root] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    gone: dict[tuple[str, str], str] = field(default_factory=dict)
    lists: _Lists = field(default_factory=_Lists)

    def take(self, partitions: Sequence[str], shard: int) -> dict[str, Claim]:
        claims = {}
        for name in partitions:
            part = self.partitions.setdefault(name, _Partition())
            part.shard = shard
            claims[name] = Claim(
                partition=name,
                seq=part.seq,
                cursor=Cursor.from_json(part.cursor),
                boundary=frozenset(part.boundary),
                tokens=frozenset(part.tokens),
                due=part.due,
            )
        return claims

    def waits(self, row: CommitRow) -> bool:
        """Whether dead letters of a commit were neither replayed nor purged."""
        part = self.partitions.get(REPLAYED)
        mark = None if part is None else Cursor.from_json(part.cursor).mark
        letters = of_kind(row.files, DEAD_LETTERS)
        replayed = isinstance(mark, int) and row.seq <= mark
        return not replayed and any((file.kind, file.final) not in self.gone for file in letters)

    def partition_rows(self) -> list[PartitionRow]:
        return [
            PartitionRow(name, each.shard, each.seq, each.cursor, each.memory)
            for name, each in sorted(self.partitions.items())
        ]

    def owns(self, row: CommitRow, end: EndRow) -> bool:
        found = self.partitions[end.partition]
        return (found.shard, found.seq) == (row.shard, end.expected_seq)


class Tables:
    """What logs share that are opened over it, as processes share a file or a server."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.epoch = 0
        self.state_id = secrets.token_hex(8)
        self.pipelines: dict[str, _Pipeline] = {}

    def next_epoch(self) -> int:
        """One that was never given before."""
        self.epoch += 1
        return self.epoch


class MemoryCommitLog:
    """See CommitLog. One that is opened over the tables of another finds what that one committed.

    Args:
        tables: default: empty ones.
    """

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()

    def __str__(self) -> str:
        return "memory"

    def load(self, pipeline: str, fingerprint: Mapping[str, str], *, shard: int = 0) -> ChainState:
        with self.tables.lock:
            found = self.tables.pipelines.setdefault(pipeline, _Pipeline())
            rows = found.partition_rows()
            keyed = any(found.partitions[row.partition].boundary for row in _of_source(rows))
            cursors = source_cursors(rows).values()
            refuse_changed(
                pipeline, change(found.fingerprint, fingerprint, cursors=cursors, keyed=keyed)
            )
            found.fingerprint = dict(fingerprint)
            found.chains.setdefault(shard, _Chain())
            return _state(self.tables, pipeline, shard)

    def claim(
        self,
        pipeline: str,
        partitions: Sequence[str],
        *,
        owner: str,
        held: int | None = None,
        shard: int = 0,
    ) -> Claimed:
        with self.tables.lock:
            found = self.tables.pipelines[pipeline]
            chain = found.chains[shard]
            if held not in (None, chain.epoch):
                raise Fenced
            chain.epoch = self.tables.next_epoch()
            earlier = tuple(each for each in chain.owners if each != owner)
            chain.owners = (*earlier, owner)
            claims = found.take(partitions, shard)
            state = _state(self.tables, pipeline, shard)
            return Claimed(replace(state, owner=owner, owners=earlier), claims)

    def take(
        self, pipeline: str, partitions: Sequence[str], *, epoch: int, shard: int = 0
    ) -> dict[str, Claim]:
        with self.tables.lock:
            found = self.tables.pipelines[pipeline]
            if found.chains[shard].epoch != epoch:
                raise Fenced
            return found.take(partitions, shard)

    def keep_lists(self, pipeline: str, lists: Sequence[str], *, shard: int = 0) -> None:
        with self.tables.lock:
            found = self.tables.pipelines[pipeline]
            for name in lists:
                found.lists.since.setdefault(name, found.chains[shard].seq)

    def keep_found(self, pipeline: str, values: Sequence[Found], *, list_over: int = 0) -> None:
        with self.tables.lock:
            self.tables.pipelines[pipeline].lists.take(FILE, values, list_over)

    def ends(self, pipeline: str, ends: Sequence[PartitionEnd]) -> tuple[EndRow, ...]:
        with self.tables.lock:
            parts = self.tables.pipelines[pipeline].partitions
            lists = self.tables.pipelines[pipeline].lists
            return tuple(
                EndRow(
                    partition=end.partition,
                    expected_seq=end.expected_seq,
                    cursor=end.progress.cursor.to_json(),
                    memory=_memory(
                        *parts[end.partition].after(end.progress),
                        lists.after(end.partition, end.progress.found),
                    ),
                )
                for end in ends
            )

    def commit(self, commit: Commit) -> None:
        row = commit.row
        with self.tables.lock:
            found = self.tables.pipelines[row.pipeline]
            chain = found.chains[row.shard]
            if not chain.is_followed_by(row):
                raise Fenced
            if not all(found.owns(row, end) for end in row.ends):
                raise Fenced
            for end, progress in zip(row.ends, commit.progress, strict=True):
                part = found.partitions[end.partition]
                part.boundary, part.tokens = part.after(progress)
                found.lists.take(end.partition, progress.found, progress.list_over)
                part.seq, part.cursor, part.memory = row.seq, end.cursor, end.memory
            for file in of_kind(row.files, RECORDS):
                found.schemas.pop(file.fingerprint, None)
                found.schemas[file.fingerprint] = commit.schema
            chain.commits.append(row)
            chain.seq, chain.digest = row.seq, row.digest

    def mark_published(self, lineage: str, seq: int) -> None:
        with self.tables.lock:
            for pipeline in self.tables.pipelines.values():
                for chain in pipeline.chains.values():
                    if chain.lineage == lineage:
                        chain.published = max(chain.published, seq)

    def keep_root(self, pipeline: str, kind: str, root: Root) -> None:
        with self.tables.lock:
            found = self.tables.pipelines.setdefault(pipeline, _Pipeline())
            found.roots[kind] = root
            found.places[root.id] = root.path

    def keep_due(self, pipeline: str, due: Mapping[str, Due]) -> None:
        with self.tables.lock:
            for name, each in due.items():
                self.tables.pipelines[pipeline].partitions[name].due = each

    def keep_gone(self, pipeline: str, files: Sequence[StagedFile], why: str) -> None:
        with self.tables.lock:
            gone = self.tables.pipelines[pipeline].gone
            gone.update(((file.kind, file.final), why) for file in files)

    def prunable(self, pipeline: str, before: str, most: int, *, shard: int = 0) -> Prunable:
        with self.tables.lock:
            found = self._pipeline(pipeline)
            if (chain := found.chains.get(shard)) is None:
                return Prunable()
            late = [row for row in chain.commits if row.seq <= chain.pruned]
            late = [row for row in late if not found.waits(row)][:most]
            last = min(chain.seq - 1, chain.published)
            later = (row for row in chain.commits if chain.pruned < row.seq <= last)
            old = list(takewhile(lambda row: row.at < before, later))
            looked = old[:most]
            free = [row for row in looked if not found.waits(row)]
            return Prunable(
                upto=looked[-1].seq if looked else chain.pruned,
                seqs=tuple(row.seq for row in (*late, *free)),
                more=len(old) > most or len(late) == most,
            )

    def prune(self, pipeline: str, commits: Prunable, *, shard: int = 0) -> None:
        with self.tables.lock:
            found = self.tables.pipelines[pipeline]
            chain = found.chains[shard]
            for row in [each for each in chain.commits if each.seq in commits.seqs]:
                chain.commits.remove(row)
                for file in row.files:
                    found.gone.pop((file.kind, file.final), None)
            chain.pruned = max(chain.pruned, commits.upto)

    def shrink(self) -> None:
        """Memory needs none."""

    def restore(self, state: str, chains: Sequence[tuple[Checkpoint, Iterable[CommitRow]]]) -> None:
        with self.tables.lock:
            self.tables.state_id = state or secrets.token_hex(8)
            self.tables.epoch = EPOCH_LEAP + max((each.epoch for each, _ in chains), default=0)
            for each, rows in sorted(chains, key=lambda chain: chain[0].epoch):
                found = self.tables.pipelines.setdefault(each.pipeline, _Pipeline())
                found.fingerprint, found.accepted = dict(each.meaning), each.accepted
                found.schemas |= {kept.fingerprint: kept.schema for kept in each.schemas}
                found.roots |= each.roots
                found.gone |= {(gone.kind, gone.final): gone.why for gone in each.gone}
                found.chains[each.shard] = _Chain(
                    lineage=each.lineage,
                    seq=each.seq,
                    digest=each.digest,
                    epoch=self.tables.epoch,
                    published=each.published,
                    pruned=each.pruned,
                    owners=each.owners,
                    commits=list(rows),
                )
                found.lists.since |= each.lists
                for part in each.partitions:
                    found.lists.take(part.partition, part.found)
                    found.lists.standings |= {
                        (part.partition, stands.list): stands for stands in part.standings
                    }
                    found.partitions[part.partition] = _Partition(
                        shard=each.shard,
                        seq=part.seq,
                        cursor=part.cursor,
                        memory=part.memory,
                        boundary=set(part.boundary_keys()),
                        tokens=set(part.token_list()),
                    )

    def reset(
        self, pipeline: str, partition: str | None = None, *, found_lineages: Sequence[str] = ()
    ) -> None:
        if partition is not None:
            self._put_back(pipeline, {partition: Cursor()})
            return
        with self.tables.lock:
            before = self._pipeline(pipeline)
            known = {chain.lineage for chain in before.chains.values()}
            accepted = tuple(sorted({*known, *before.accepted, *found_lineages}))
            self.tables.pipelines[pipeline] = _Pipeline(accepted=accepted)

    def set_mark(self, pipeline: str, partition: str, mark: int | str) -> None:
        self._put_back(pipeline, {partition: Cursor(mark=mark)})

    def adopt(
        self,
        pipeline: str,
        cursors: Mapping[str, Cursor],
        *,
        forget_keys: bool,
        fingerprint: Mapping[str, str] | None,
    ) -> None:
        self._put_back(pipeline, cursors, forget_keys=forget_keys)
        if fingerprint is not None:
            with self.tables.lock:
                self._pipeline(pipeline).fingerprint = dict(fingerprint)

    def _put_back(
        self, pipeline: str, cursors: Mapping[str, Cursor], *, forget_keys: bool = True
    ) -> None:
        with self.tables.lock:
            found = self._pipeline(pipeline)
            for part, cursor in [(_part(found, pipeline, name), cursors[name]) for name in cursors]:
                part.put_back(cursor, forget_keys=forget_keys)
                found.chains[part.shard].epoch = self.tables.next_epoch()

    # -- CommitHistory ---------------------------------------------------------------------------

    def chains(self, pipeline: str | None = None) -> list[ChainRow]:
        with self.tables.lock:
            return [
                ChainRow(
                    *(name, shard, each.lineage, each.seq),
                    *(each.digest, each.epoch, each.published, each.pruned),
                )
                for name, found in sorted(self.tables.pipelines.items())
                if pipeline in (None, name)
                for shard, each in sorted(found.chains.items())
            ]

    def partitions(self, pipeline: str) -> list[PartitionRow]:
        with self.tables.lock:
            return self._pipeline(pipeline).partition_rows()

    def meaning(self, pipeline: str) -> dict[str, str]:
        with self.tables.lock:
            return dict(self._pipeline(pipeline).fingerprint)

    def snapshot(self, pipeline: str) -> Snapshot:
        """See CommitHistory."""
        found = self.tables.pipelines.get(pipeline)
        last = {
            file.fingerprint: row.seq
            for chain in (found.chains.values() if found else ())
            for row in chain.commits
            for file in of_kind(row.files, RECORDS)
        }
        return Snapshot(
            pipeline=pipeline,
            epoch=self.tables.epoch,
            chains=tuple(self.chains()),
            partitions=tuple(self.partitions(pipeline)),
            schemas=tuple(
                SchemaRow(name, last.get(name, 0), text)
                for name, text in (found.schemas.items() if found else ())
            ),
            meaning=self.meaning(pipeline),
            memories={
                name: _memory(part.boundary, part.tokens, found.lists.of(name) if found else ())
                for name, part in (found.partitions.items() if found else ())
            },
        )

    def remembered(self, pipeline: str) -> dict[str, int]:
        with self.tables.lock:
            parts = self._pipeline(pipeline).partitions
            return {name: len(part.boundary) for name, part in parts.items() if part.boundary}

    def standing(self, pipeline: str, partitions: Sequence[str]) -> dict[str, tuple[Cursor, Due]]:
        with self.tables.lock:
            there = self._pipeline(pipeline).partitions
            return {
                name: (Cursor.from_json(there[name].cursor), there[name].due)
                for name in partitions
                if name in there
            }

    def lists(self, pipeline: str) -> dict[str, int]:
        with self.tables.lock:
            return dict(self._pipeline(pipeline).lists.since)

    def children(
        self,
        pipeline: str,
        name: str,
        *,
        after: int = 0,
        most: int,
        by_change: bool = False,
        value: str | None = None,
    ) -> list[Child]:
        with self.tables.lock:
            every = self._pipeline(pipeline).lists.children(name, value, by_change=by_change)
        order = "changed" if by_change else "number"
        return [each for each in every if getattr(each, order) > after][:most]

    def standings(self, pipeline: str, name: str) -> dict[str, Standing]:
        with self.tables.lock:
            standings = self._pipeline(pipeline).lists.standings
            return {origin: each for (origin, of), each in standings.items() if of == name}

    def roots(self, pipeline: str) -> dict[str, Root]:
        with self.tables.lock:
            return dict(self._pipeline(pipeline).roots)

    def places(self, pipeline: str) -> dict[str, str]:
        with self.tables.lock:
            return dict(self._pipeline(pipeline).places)

    def lineages(self, pipeline: str) -> list[str]:
        accepted = self._pipeline(pipeline).accepted
        return [*(chain.lineage for chain in self.chains(pipeline)), *accepted]

    def state_id(self) -> str:
        return self.tables.state_id

    def commit_count(self, pipeline: str, *, shard: int = 0) -> int:
        return sum(1 for _ in self.commits(pipeline, shard=shard))

    def commits(
        self, pipeline: str, from_seq: int = 1, *, kind: str = "", shard: int = 0
    ) -> Iterator[CommitRow]:
        with self.tables.lock:
            chain = self._pipeline(pipeline).chains.get(shard)
            rows = [] if chain is None else chain.rows()
        for row in rows:
            if row.seq >= from_seq and (not kind or of_kind(row.files, kind)):
                yield row

    def schemas(self, pipeline: str) -> tuple[str, ...]:
        with self.tables.lock:
            return tuple(self._pipeline(pipeline).schemas.values())

    def gone(self, pipeline: str) -> dict[tuple[str, str], str]:
        with self.tables.lock:
            return dict(self._pipeline(pipeline).gone)

    def checkpoint(self, pipeline: str, *, shard: int = 0) -> Checkpoint:
        with self.tables.lock:
            found = self._pipeline(pipeline)
            if (chain := found.chains.get(shard)) is None:
                raise StateError(f"pipeline {pipeline} has no commits yet")
            last = {
                file.fingerprint: row.seq
                for row in chain.commits
                for file in of_kind(row.files, RECORDS)
            }
            return Checkpoint(
                pipeline=pipeline,
                shard=shard,
                lineage=chain.lineage,
                seq=chain.seq,
                digest=chain.digest,
                epoch=self.tables.epoch,
                published=chain.published,
                pruned=chain.pruned,
                state=self.tables.state_id,
                meaning=dict(found.fingerprint),
                accepted=_state(self.tables, pipeline, shard).accepted_lineages,
                owners=chain.owners,
                roots=dict(found.roots),
                schemas=tuple(
                    SchemaRow(name, last.get(name, 0), text) for name, text in found.schemas.items()
                ),
                gone=gone_files(found.gone),
                lists=dict(found.lists.since),
                partitions=tuple(
                    KeptPartition(
                        partition=name,
                        seq=part.seq,
                        cursor=part.cursor,
                        memory=part.memory,
                        boundary=joined_keys(sorted(part.boundary)),
                        tokens=b"".join(sorted(part.tokens)),
                        found=tuple(found.lists.of(name)),
                        standings=tuple(
                            stands
                            for (origin, _), stands in sorted(found.lists.standings.items())
                            if origin == name
                        ),
                    )
                    for name, part in sorted(found.partitions.items())
                    if part.shard == shard
                ),
            )

    def backup(self, target: Path) -> None:
        raise NotImplementedError("memory is in no file")

    def close(self) -> None:
        """There is nothing to let go of."""

    def _pipeline(self, name: str) -> _Pipeline:
        return self.tables.pipelines.get(name) or _Pipeline()


def _state(tables: Tables, pipeline: str, shard: int) -> ChainState:
    found = tables.pipelines[pipeline]
    chain = found.chains[shard]
    rows = chain.rows()
    others = (each.lineage for number, each in found.chains.items() if number != shard)
    return ChainState(
        pipeline=pipeline,
        shard=shard,
        lineage=chain.lineage,
        seq=chain.seq,
        digest=chain.digest,
        epoch=chain.epoch,
        owners=chain.owners,
        unpublished=tuple(row for row in rows if not row.published),
        last=rows[-1] if rows else None,
        accepted_lineages=(*found.accepted, *others),
        schemas=tuple(found.schemas.values()),
        roots=dict(found.roots),
        state_id=tables.state_id,
        gone=frozenset(found.gone),
    )


def _memory(boundary: set[BoundaryKey], tokens: set[bytes], found: Iterable[Found] = ()) -> str:
    return memory_sum.as_text(
        memory_sum.of_boundary(boundary) + memory_sum.of_tokens(tokens) + memory_sum.of_found(found)
    )


def _part(found: _Pipeline, pipeline: str, partition: str) -> _Partition:
    part = found.partitions.get(partition)
    if part is None:
        raise ConfigError(f"pipeline {pipeline!r} has no partition {partition!r}")
    return part


def _of_source(rows: Sequence[PartitionRow]) -> Iterator[PartitionRow]:
    return (row for row in rows if row.partition != REPLAYED)
