"""The commit log in SQLite.

Ownership is a number, not a lock: `claim` adds one to a partition's epoch, and `commit` moves a
cursor only where epoch and seq are still what the committer believes. A stale owner changes no
row, and its whole transaction is rolled back.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from pydantic import Field

from worker.core.cursor import Cursor
from worker.core.digest import commit_row
from worker.core.errors import ConfigError, Fenced, SinkUnavailable, StateError
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import (
    RECORDS,
    REPLAYED,
    Claim,
    Commit,
    CommitRow,
    Due,
    EndRow,
    Ledger,
    PartitionEnd,
    PartitionRow,
    PipelineRow,
    PipelineState,
    StagedFile,
    of_kind,
)
from worker.state.config import StateConfig
from worker.state.database import Database

T = TypeVar("T")


class Config(StateConfig):
    """The commit log."""

    type: Literal["sqlite"] = Field("sqlite", description="kind of commit log")


def build(config: Config, *, read_only: bool) -> SqliteCommitLog:
    """The log in the directory of the config."""
    return SqliteCommitLog(config.path.absolute() / STATE_FILE, read_only=read_only)


STATE_FILE: Final = "state.db"
BATCH: Final = 100
"""So many commits are read at once: a replay needs two, `verify` all of them."""

_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY, lineage TEXT NOT NULL, seq INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL, accepted TEXT NOT NULL) STRICT;
CREATE TABLE partitions (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
CREATE TABLE commits (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, lineage TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL, ledger TEXT NOT NULL, ends TEXT NOT NULL, published INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE files (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,
    root TEXT NOT NULL, staging TEXT NOT NULL, final TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, rows INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq, number)) STRICT, WITHOUT ROWID;
CREATE TABLE boundary (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, value ANY NOT NULL, key BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, value, key)) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, token BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, token)) STRICT, WITHOUT ROWID;
"""
_SCHEMAS: Final = """
CREATE TABLE schemas (
    pipeline TEXT NOT NULL, fingerprint TEXT NOT NULL, last_seq INTEGER NOT NULL,
    schema TEXT NOT NULL,
    PRIMARY KEY (pipeline, fingerprint)) STRICT, WITHOUT ROWID;
"""
SCHEMAS_FORMAT: Final = 2
"""Since this format: the schema of committed files of records, as the last of them had it."""

_DUE: Final = """
CREATE TABLE due (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, pass_no INTEGER NOT NULL, next_us INTEGER,
    failures INTEGER NOT NULL, not_before_us INTEGER NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
"""
"""Since format 3: when each partition is served next. One row for each, changed in place."""

FORMATS: Final = (_TABLES, _SCHEMAS, _DUE)
"""What leads to each format of the state, from 1 on."""

_due_values: Final = attrgetter(*(each.name for each in fields(Due)))
_FILE_FIELDS: Final = tuple(each.name for each in fields(StagedFile))
_FILE_COLUMNS: Final = ", ".join(_FILE_FIELDS)
_file_values: Final = attrgetter(*_FILE_FIELDS)
_COMMIT_COLUMNS: Final = "seq, lineage, id, at, ledger, ends, published, digest"


class SqliteCommitLog:
    """The CommitLog port over one file.

    Args:
        path: made when it is missing, unless `read_only`.
        read_only: nothing is created or changed. Raises StateError where there is no file.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = Database(path, FORMATS, read_only=read_only)

    def __str__(self) -> str:
        return f"{self._file.path} (state format {self._file.format})"

    def close(self) -> None:
        self._file.close()

    # -- for a run -------------------------------------------------------------------------------

    def load(self, pipeline: str, fingerprint: Mapping[str, str]) -> PipelineState:
        """See CommitLog."""
        with self._file.transaction() as db:
            row = db.execute(
                "SELECT lineage, seq, fingerprint, accepted FROM pipelines WHERE name = ?",
                (pipeline,),
            ).fetchone()
            if row is None:
                row = (secrets.token_hex(8), 0, "", "[]")
                _insert_pipeline(db, pipeline, lineage=row[0], accepted=[])
            lineage, seq, known, accepted = row
            self._keep_meaning(db, pipeline, known, fingerprint)
            unpublished = [
                self._commit_row(pipeline, each)
                for each in self._file.rows(
                    f"SELECT {_COMMIT_COLUMNS} FROM commits"
                    " WHERE pipeline = ? AND published = 0 ORDER BY seq",
                    pipeline,
                )
            ]
            return PipelineState(
                pipeline=pipeline,
                lineage=lineage,
                seq=seq,
                unpublished=tuple(unpublished),
                accepted_lineages=tuple(msgspec.json.decode(accepted)),
                schemas=self.schemas(pipeline),
            )

    def _keep_meaning(
        self, db: sqlite3.Connection, pipeline: str, known: str, now: Mapping[str, str]
    ) -> None:
        stored = _fingerprint_text(now)
        if stored == known:
            return
        found = change(
            _fingerprint(known),
            now,
            cursors=source_cursors(self.partitions(pipeline)).values(),
            keyed=self._is_keyed(pipeline),
        )
        refuse_changed(pipeline, found)
        db.execute("UPDATE pipelines SET fingerprint = ? WHERE name = ?", (stored, pipeline))

    def _is_keyed(self, pipeline: str) -> bool:
        """Boundary keys were made with `source.key`. A replay makes its own."""
        return bool(
            self._file.rows(
                "SELECT 1 FROM boundary WHERE pipeline = ? AND partition != ? LIMIT 1",
                pipeline,
                REPLAYED,
            )
        )

    def claim(self, pipeline: str, partitions: Sequence[str]) -> dict[str, Claim]:
        """See CommitLog."""
        with self._file.transaction() as db:
            empty = Cursor().to_json()
            db.executemany(
                "INSERT INTO partitions VALUES (?, ?, 1, 0, ?)"
                " ON CONFLICT DO UPDATE SET epoch = epoch + 1",
                ((pipeline, name, empty) for name in partitions),
            )
            return {name: self._claimed(pipeline, name) for name in partitions}

    def _claimed(self, pipeline: str, partition: str) -> Claim:
        at = (pipeline, partition)
        ((epoch, seq, cursor),) = self._file.rows(
            "SELECT epoch, seq, cursor FROM partitions WHERE pipeline = ? AND partition = ?", *at
        )
        boundary = self._file.rows(
            "SELECT value, key FROM boundary WHERE pipeline = ? AND partition = ?", *at
        )
        tokens = self._file.rows(
            "SELECT token FROM tokens WHERE pipeline = ? AND partition = ?", *at
        )
        due = self._file.rows(
            "SELECT pass_no, next_us, failures, not_before_us, code, reason FROM due"
            " WHERE pipeline = ? AND partition = ?",
            *at,
        )
        return Claim(
            partition=partition,
            epoch=epoch,
            seq=seq,
            cursor=Cursor.from_json(cursor),
            boundary=frozenset(boundary),
            tokens=frozenset(token for (token,) in tokens),
            due=Due(*due[0]) if due else Due(),
        )

    def commit(self, commit: Commit) -> None:
        """See CommitLog. When COMMIT itself fails, its outcome is read back by the commit's id."""
        try:
            with self._file.transaction() as db:
                fenced = tuple(
                    end.partition for end in commit.ends if not self._advance(db, commit, end)
                )
                if fenced:
                    raise Fenced(fenced)
                self._insert(db, commit)
        except (StateError, SinkUnavailable):
            if not self._is_committed(commit.id):
                raise

    def _advance(self, db: sqlite3.Connection, commit: Commit, end: PartitionEnd) -> bool:
        """The guarded update; False when the partition has another owner or was moved."""
        progress, at = end.progress, (commit.pipeline, end.partition)
        moved = db.execute(
            "UPDATE partitions SET seq = ?, cursor = ?"
            " WHERE pipeline = ? AND partition = ? AND epoch = ? AND seq = ?",
            (commit.seq, progress.cursor.to_json(), *at, end.epoch, end.expected_seq),
        ).rowcount
        if progress.boundary_floor is not None:
            db.execute(
                "DELETE FROM boundary WHERE pipeline = ? AND partition = ? AND value < ?",
                (*at, progress.boundary_floor),
            )
        db.executemany(
            "INSERT OR IGNORE INTO boundary VALUES (?, ?, ?, ?)",
            ((*at, value, key) for value, key in progress.boundary_added),
        )
        if progress.tokens_cleared:
            db.execute("DELETE FROM tokens WHERE pipeline = ? AND partition = ?", at)
        db.executemany(
            "INSERT OR IGNORE INTO tokens VALUES (?, ?, ?)",
            ((*at, token) for token in progress.tokens_added),
        )
        return moved == 1

    def _insert(self, db: sqlite3.Connection, commit: Commit) -> None:
        at = (commit.pipeline, commit.seq)
        (previous,) = db.execute(
            "SELECT digest FROM pipelines WHERE name = ?", (commit.pipeline,)
        ).fetchone()
        row = commit_row(commit, previous)
        ledger, ends = (msgspec.json.encode(each).decode() for each in (row.ledger, row.ends))
        db.execute(
            "UPDATE commits SET published = 1 WHERE pipeline = ? AND published = 0",
            (commit.pipeline,),
        )
        db.execute(
            "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (*at, row.lineage, row.id, row.at, ledger, ends, row.digest),
        )
        db.executemany(
            f"INSERT INTO files (pipeline, seq, number, {_FILE_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ((*at, number, *_file_values(file)) for number, file in enumerate(row.files, 1)),
        )
        db.executemany(
            "INSERT OR REPLACE INTO schemas VALUES (?, ?, ?, ?)",
            (
                (commit.pipeline, fingerprint, commit.seq, commit.schema)
                for fingerprint in sorted(
                    {file.fingerprint for file in of_kind(commit.files, RECORDS)}
                )
            ),
        )
        db.execute(
            "UPDATE pipelines SET seq = ?, digest = ? WHERE name = ?",
            (commit.seq, row.digest, commit.pipeline),
        )

    def _is_committed(self, commit_id: str) -> bool:
        """Reads an unknown outcome back, over a new connection.

        None may be given. Then the old one stays, and the next attempt reads how the log stands.
        """
        self._file.reopen()
        return bool(self._file.rows("SELECT 1 FROM commits WHERE id = ?", commit_id))

    def mark_published(self, pipeline: str, seq: int) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.execute(
                "UPDATE commits SET published = 1"
                " WHERE pipeline = ? AND seq <= ? AND published = 0",
                (pipeline, seq),
            )

    def keep_due(self, pipeline: str, due: Mapping[str, Due]) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((pipeline, name, *_due_values(each)) for name, each in due.items()),
            )

    # -- for commands, verify and replays --------------------------------------------------------

    def pipelines(self) -> list[PipelineRow]:
        """See CommitHistory."""
        rows = self._file.rows("SELECT name, lineage, seq, digest FROM pipelines ORDER BY name")
        return [
            PipelineRow(name=name, lineage=lineage, seq=seq, digest=digest)
            for name, lineage, seq, digest in rows
        ]

    def partitions(self, pipeline: str) -> list[PartitionRow]:
        """See CommitHistory."""
        rows = self._file.rows(
            "SELECT partition, epoch, seq, cursor FROM partitions"
            " WHERE pipeline = ? ORDER BY partition",
            pipeline,
        )
        return [
            PartitionRow(partition=partition, epoch=epoch, seq=seq, cursor=cursor)
            for partition, epoch, seq, cursor in rows
        ]

    def meaning(self, pipeline: str) -> dict[str, str]:
        """See CommitHistory."""
        rows = self._file.rows("SELECT fingerprint FROM pipelines WHERE name = ?", pipeline)
        return _fingerprint(rows[0][0]) if rows else {}

    def remembered(self, pipeline: str) -> dict[str, int]:
        """See CommitHistory."""
        return dict(
            self._file.rows(
                "SELECT partition, count(*) FROM boundary WHERE pipeline = ? GROUP BY partition",
                pipeline,
            )
        )

    def commits(self, pipeline: str, from_seq: int = 1, *, kind: str = "") -> Iterator[CommitRow]:
        """See CommitHistory. Reads in batches, so that no long query holds back the checkpoints."""
        having = (
            " AND EXISTS (SELECT 1 FROM files WHERE files.pipeline = commits.pipeline"
            " AND files.seq = commits.seq AND files.kind = ?)"
        )
        query = (
            f"SELECT {_COMMIT_COLUMNS} FROM commits WHERE pipeline = ? AND seq >= ?"
            f"{having if kind else ''} ORDER BY seq LIMIT ?"
        )
        chosen = (kind,) if kind else ()
        while rows := self._file.rows(query, pipeline, from_seq, *chosen, BATCH):
            for row in rows:
                yield self._commit_row(pipeline, row)
            from_seq = rows[-1][0] + 1

    def _commit_row(self, pipeline: str, row: Sequence[Any]) -> CommitRow:
        seq, lineage, commit_id, at, ledger, ends, published, digest = row
        try:
            return CommitRow(
                pipeline=pipeline,
                lineage=lineage,
                seq=seq,
                id=commit_id,
                at=at,
                ledger=_decoded(ledger, Ledger),
                files=self._files(pipeline, seq),
                ends=_decoded(ends, tuple[EndRow, ...]),
                published=bool(published),
                digest=digest,
            )
        except (ValueError, msgspec.DecodeError) as error:
            raise self._file.damaged(f"commit {seq} of pipeline {pipeline}: {error}") from error

    def _files(self, pipeline: str, seq: int) -> tuple[StagedFile, ...]:
        rows = self._file.rows(
            f"SELECT {_FILE_COLUMNS} FROM files WHERE pipeline = ? AND seq = ? ORDER BY number",
            pipeline,
            seq,
        )
        return tuple(StagedFile(**dict(zip(_FILE_FIELDS, row, strict=True))) for row in rows)

    def schemas(self, pipeline: str) -> tuple[str, ...]:
        """See CommitHistory."""
        if self._file.format < SCHEMAS_FORMAT:
            return ()
        rows = self._file.rows(
            "SELECT schema FROM schemas WHERE pipeline = ? ORDER BY last_seq", pipeline
        )
        return tuple(schema for (schema,) in rows)

    def reset(
        self, pipeline: str, partition: str | None = None, *, found_lineages: Sequence[str] = ()
    ) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            if partition is not None:
                _put_back(db, pipeline, partition, Cursor())
                return
            row = db.execute(
                "SELECT lineage, accepted FROM pipelines WHERE name = ?", (pipeline,)
            ).fetchone()
            known = [] if row is None else [row[0], *msgspec.json.decode(row[1])]
            for table in ("partitions", "commits", "files", "schemas", "boundary", "tokens", "due"):
                db.execute(f"DELETE FROM {table} WHERE pipeline = ?", (pipeline,))
            db.execute("DELETE FROM pipelines WHERE name = ?", (pipeline,))
            _insert_pipeline(
                db,
                pipeline,
                lineage=secrets.token_hex(8),
                accepted=sorted({*known, *found_lineages}),
            )

    def set_mark(self, pipeline: str, partition: str, mark: int | str) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            _put_back(db, pipeline, partition, Cursor(mark=mark))

    def adopt(
        self,
        pipeline: str,
        cursors: Mapping[str, Cursor],
        *,
        forget_keys: bool,
        fingerprint: Mapping[str, str] | None,
    ) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            for partition, cursor in cursors.items():
                _put_back(db, pipeline, partition, cursor, forget_keys=forget_keys)
            if fingerprint is not None:
                db.execute(
                    "UPDATE pipelines SET fingerprint = ? WHERE name = ?",
                    (_fingerprint_text(fingerprint), pipeline),
                )


def _insert_pipeline(
    db: sqlite3.Connection, pipeline: str, *, lineage: str, accepted: Sequence[str]
) -> None:
    db.execute(
        "INSERT INTO pipelines VALUES (?, ?, 0, '', '', ?)",
        (pipeline, lineage, msgspec.json.encode(accepted).decode()),
    )


def _put_back(
    db: sqlite3.Connection,
    pipeline: str,
    partition: str,
    cursor: Cursor,
    *,
    forget_keys: bool = True,
) -> None:
    """A cursor that no commit made: seq 0, and no token of a pass. The epoch fences the owner."""
    changed = db.execute(
        "UPDATE partitions SET cursor = ?, seq = 0, epoch = epoch + 1"
        " WHERE pipeline = ? AND partition = ?",
        (cursor.to_json(), pipeline, partition),
    ).rowcount
    if not changed:
        raise ConfigError(
            f"pipeline {pipeline!r} has no partition {partition!r}",
            remedy="`worker state show` lists them; it is there after the first run",
        )
    for table in ("boundary", "tokens", "due") if forget_keys else ("tokens", "due"):
        db.execute(
            f"DELETE FROM {table} WHERE pipeline = ? AND partition = ?", (pipeline, partition)
        )


def _fingerprint(stored: str) -> dict[str, str]:
    return msgspec.json.decode(stored, type=dict[str, str]) if stored else {}


def _fingerprint_text(fingerprint: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(fingerprint)).decode()


def _decoded(text: str, kind: type[T]) -> T:
    """A stored value that is all that its text says. Raises ValueError, msgspec.DecodeError."""
    value = msgspec.json.decode(text, type=kind)
    if msgspec.json.decode(msgspec.json.encode(value)) != msgspec.json.decode(text):
        raise ValueError(f"{text[:100]} has keys that nobody wrote, or lacks some")
    return value
