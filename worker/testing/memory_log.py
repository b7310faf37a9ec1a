"""A commit log that keeps nothing: the whole CommitLog port, for tests of what stands above it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from worker.core.cursor import Cursor
from worker.core.digest import commit_row
from worker.core.errors import ConfigError, Fenced, StateError
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import (
    RECORDS,
    REPLAYED,
    BoundaryKey,
    Claim,
    Commit,
    CommitRow,
    Due,
    PartitionEnd,
    PartitionRow,
    PipelineRow,
    PipelineState,
    Progress,
    of_kind,
)


@dataclass(slots=True)
class _Partition:
    """`cursor` is kept as text, so that tests meet its limits."""

    epoch: int = 0
    seq: int = 0
    cursor: str = field(default_factory=lambda: Cursor().to_json())
    boundary: set[BoundaryKey] = field(default_factory=set)
    tokens: set[bytes] = field(default_factory=set)
    due: Due = field(default_factory=Due)

    def advance(self, seq: int, progress: Progress) -> None:
        self.seq, self.cursor = seq, progress.cursor.to_json()
        if (floor := progress.boundary_floor) is not None:
            older = {key for key in self.boundary if key[0] < floor}  # type: ignore[operator]
            self.boundary -= older
        self.boundary.update(progress.boundary_added)
        if progress.tokens_cleared:
            self.tokens.clear()
        self.tokens.update(progress.tokens_added)

    def put_back(self, cursor: Cursor, *, forget_keys: bool = True) -> None:
        """A cursor that no commit made."""
        self.epoch, self.seq, self.cursor = self.epoch + 1, 0, cursor.to_json()
        self.tokens.clear()
        self.due = Due()
        if forget_keys:
            self.boundary.clear()


@dataclass(slots=True)
class _Pipeline:
    """`schemas` has the one that was used last at its end."""

    lineage: str = field(default_factory=lambda: secrets.token_hex(8))
    seq: int = 0
    digest: str = ""
    published: int = 0
    fingerprint: dict[str, str] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    commits: list[CommitRow] = field(default_factory=list)
    partitions: dict[str, _Partition] = field(default_factory=dict)
    schemas: dict[str, str] = field(default_factory=dict)

    def rows(self) -> list[CommitRow]:
        return [replace(row, published=row.seq <= self.published) for row in self.commits]

    def partition_rows(self) -> list[PartitionRow]:
        return [
            PartitionRow(partition=name, epoch=each.epoch, seq=each.seq, cursor=each.cursor)
            for name, each in sorted(self.partitions.items())
        ]

    def owns(self, end: PartitionEnd) -> bool:
        found = self.partitions[end.partition]
        return (found.epoch, found.seq) == (end.epoch, end.expected_seq)


class Tables:
    """What logs share that are opened over it, as processes share a file or a server."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.pipelines: dict[str, _Pipeline] = {}


class MemoryCommitLog:
    """See CommitLog. One that is opened over the tables of another finds what that one committed.

    Args:
        tables: default: empty ones.
    """

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or Tables()

    def __str__(self) -> str:
        return "memory"

    def load(self, pipeline: str, fingerprint: Mapping[str, str]) -> PipelineState:
        with self.tables.lock:
            found = self.tables.pipelines.setdefault(pipeline, _Pipeline())
            rows = found.partition_rows()
            keyed = any(found.partitions[row.partition].boundary for row in _of_source(rows))
            cursors = source_cursors(rows).values()
            refuse_changed(
                pipeline, change(found.fingerprint, fingerprint, cursors=cursors, keyed=keyed)
            )
            found.fingerprint = dict(fingerprint)
            return PipelineState(
                pipeline=pipeline,
                lineage=found.lineage,
                seq=found.seq,
                unpublished=tuple(row for row in found.rows() if not row.published),
                accepted_lineages=found.accepted,
                schemas=tuple(found.schemas.values()),
            )

    def claim(self, pipeline: str, partitions: Sequence[str]) -> dict[str, Claim]:
        with self.tables.lock:
            parts = self.tables.pipelines[pipeline].partitions
            claims = {}
            for name in partitions:
                part = parts.setdefault(name, _Partition())
                part.epoch += 1
                claims[name] = Claim(
                    partition=name,
                    epoch=part.epoch,
                    seq=part.seq,
                    cursor=Cursor.from_json(part.cursor),
                    boundary=frozenset(part.boundary),
                    tokens=frozenset(part.tokens),
                    due=part.due,
                )
            return claims

    def commit(self, commit: Commit) -> None:
        with self.tables.lock:
            found = self.tables.pipelines[commit.pipeline]
            if fenced := tuple(end.partition for end in commit.ends if not found.owns(end)):
                raise Fenced(fenced)
            if commit.seq <= found.seq:
                raise StateError(f"pipeline {commit.pipeline} has a commit {commit.seq} already")
            row = commit_row(commit, found.digest)  # the last that may raise
            for end in commit.ends:
                found.partitions[end.partition].advance(commit.seq, end.progress)
            for file in of_kind(commit.files, RECORDS):
                found.schemas.pop(file.fingerprint, None)
                found.schemas[file.fingerprint] = commit.schema
            found.commits.append(row)
            found.published = found.seq
            found.seq, found.digest = commit.seq, row.digest

    def mark_published(self, pipeline: str, seq: int) -> None:
        with self.tables.lock:
            found = self.tables.pipelines[pipeline]
            found.published = max(found.published, seq)

    def keep_due(self, pipeline: str, due: Mapping[str, Due]) -> None:
        with self.tables.lock:
            for name, each in due.items():
                self.tables.pipelines[pipeline].partitions[name].due = each

    def reset(
        self, pipeline: str, partition: str | None = None, *, found_lineages: Sequence[str] = ()
    ) -> None:
        if partition is not None:
            self._put_back(pipeline, partition, Cursor())
            return
        with self.tables.lock:
            before = self.tables.pipelines.get(pipeline)
            known = () if before is None else (before.lineage, *before.accepted)
            accepted = tuple(sorted({*known, *found_lineages}))
            self.tables.pipelines[pipeline] = _Pipeline(accepted=accepted)

    def set_mark(self, pipeline: str, partition: str, mark: int | str) -> None:
        self._put_back(pipeline, partition, Cursor(mark=mark))

    def adopt(
        self,
        pipeline: str,
        cursors: Mapping[str, Cursor],
        *,
        forget_keys: bool,
        fingerprint: Mapping[str, str] | None,
    ) -> None:
        with self.tables.lock:
            found = self._pipeline(pipeline)
            for part, cursor in [(_part(found, pipeline, name), cursors[name]) for name in cursors]:
                part.put_back(cursor, forget_keys=forget_keys)
            if fingerprint is not None:
                found.fingerprint = dict(fingerprint)

    def _put_back(self, pipeline: str, partition: str, cursor: Cursor) -> None:
        with self.tables.lock:
            _part(self._pipeline(pipeline), pipeline, partition).put_back(cursor)

    # -- CommitHistory ---------------------------------------------------------------------------

    def pipelines(self) -> list[PipelineRow]:
        with self.tables.lock:
            return [
                PipelineRow(name=name, lineage=each.lineage, seq=each.seq, digest=each.digest)
                for name, each in sorted(self.tables.pipelines.items())
            ]

    def partitions(self, pipeline: str) -> list[PartitionRow]:
        with self.tables.lock:
            return self._pipeline(pipeline).partition_rows()

    def meaning(self, pipeline: str) -> dict[str, str]:
        with self.tables.lock:
            return dict(self._pipeline(pipeline).fingerprint)

    def remembered(self, pipeline: str) -> dict[str, int]:
        with self.tables.lock:
            parts = self._pipeline(pipeline).partitions
            return {name: len(part.boundary) for name, part in parts.items() if part.boundary}

    def commits(self, pipeline: str, from_seq: int = 1, *, kind: str = "") -> Iterator[CommitRow]:
        with self.tables.lock:
            rows = self._pipeline(pipeline).rows()
        for row in rows:
            if row.seq >= from_seq and (not kind or of_kind(row.files, kind)):
                yield row

    def schemas(self, pipeline: str) -> tuple[str, ...]:
        with self.tables.lock:
            return tuple(self._pipeline(pipeline).schemas.values())

    def close(self) -> None:
        """There is nothing to let go of."""

    def _pipeline(self, name: str) -> _Pipeline:
        return self.tables.pipelines.get(name) or _Pipeline()


def _part(found: _Pipeline, pipeline: str, partition: str) -> _Partition:
    part = found.partitions.get(partition)
    if part is None:
        raise ConfigError(f"pipeline {pipeline!r} has no partition {partition!r}")
    return part


def _of_source(rows: Sequence[PartitionRow]) -> Iterator[PartitionRow]:
    return (row for row in rows if row.partition != REPLAYED)
