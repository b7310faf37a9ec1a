"""The commit log in SQLite: WAL with synchronous=FULL, so that a commit that returned survives a power loss.

Ownership is a number, not a lock: `claim` adds one to a partition's epoch, and `commit` moves a cursor only where epoch and seq
are still what the committer believes. A stale owner changes no row, and its whole transaction is rolled back.
The file may be read and claimed from other processes at any time.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from pydantic import Field

from worker.core.digest import chained, commit_document
from worker.core.errors import ConfigError, Fenced, SinkUnavailable, StateError, WorkerError
from worker.core.model import (
    REPLAYED,
    Claim,
    Commit,
    Cursor,
    Ledger,
    PartitionEnd,
    PipelineState,
    StagedFile,
)
from worker.runtime import fs
from worker.state.config import StateConfig
from worker.state.lock import opening


class Config(StateConfig):
    """The commit log."""

    type: Literal["sqlite"] = Field("sqlite", description="kind of commit log")


def build(config: Config, *, read_only: bool) -> SqliteCommitLog:
    """The log in the directory of the config."""
    return SqliteCommitLog(config.path.absolute() / STATE_FILE, read_only=read_only)


FORMAT: Final = 2
STATE_FILE: Final = "state.db"
LOCKED_S: Final = (
    10.0  # so long another program may hold the database before it is said to be locked
)
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "ceph",
        "glusterfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "afs",
        "lustre",
    }
)

_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY, lineage TEXT NOT NULL, seq INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL, accepted TEXT NOT NULL) STRICT;
CREATE TABLE partitions (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, cursor TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
CREATE TABLE commits (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, lineage TEXT NOT NULL, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, ledger TEXT NOT NULL,
    ends TEXT NOT NULL, published INTEGER NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE files (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, root TEXT NOT NULL, staging TEXT NOT NULL,
    final TEXT NOT NULL, size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL, fingerprint TEXT NOT NULL,
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
    pipeline TEXT NOT NULL, fingerprint TEXT NOT NULL, last_seq INTEGER NOT NULL, schema TEXT NOT NULL,
    PRIMARY KEY (pipeline, fingerprint)) STRICT, WITHOUT ROWID;
"""
"""Since format 2: the schema of committed files of records, as it was when the last of them was committed."""

_FILE_COLUMNS: Final = "kind, root, staging, final, size_bytes, sha256, rows, fingerprint"


class SqliteCommitLog:
    """The CommitLog port over one file. Used by one thread at a time; `read_only` never creates or changes anything."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        with opening(path):
            if not read_only:
                fs.make_root(path.parent)
                _refuse_network(path.parent)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            elif not path.exists():
                raise StateError(
                    f"{path} does not exist",
                    remedy="nothing was committed there yet; check state.path and the working directory",
                )
        self._read_only = read_only
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened(self.path)
        except sqlite3.DatabaseError as error:
            if not self._read_only or _primary(error) not in _NO_FILES or self._written():
                raise _unopened(self.path, error) from error
        try:  # SQLite may make no files beside the log, as on a mounted copy: it needs none where nobody writes
            return self._opened(f"{self.path.as_uri()}?immutable=1", uri=True)
        except sqlite3.DatabaseError as error:
            raise _unopened(self.path, error) from error

    def _written(self) -> bool:
        """Whether commits stand beside the file: it is open for writing, or whoever wrote it was killed."""
        wal = self.path.with_name(f"{self.path.name}-wal")
        return wal.exists() and wal.stat().st_size > 0

    def _opened(self, name: Path | str, *, uri: bool = False) -> sqlite3.Connection:
        db = sqlite3.connect(
            name, isolation_level=None, check_same_thread=False, timeout=LOCKED_S, uri=uri
        )
        try:
            db.execute("PRAGMA query_only = ON" if self._read_only else "PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            damage = db.execute("PRAGMA quick_check").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise StateError(
                f"{self.path} has state format {version}, this program knows {FORMAT}",
                remedy="run the version that wrote it, or newer",
            )
        if version < FORMAT and not self._read_only:
            missing = f"{_TABLES if version == 0 else ''} {_SCHEMAS}"
            db.executescript(f"BEGIN IMMEDIATE; {missing} PRAGMA user_version = {FORMAT}; COMMIT;")

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    # -- the port -------------------------------------------------------------------------------------------------

    def load(self, pipeline: str, fingerprint: Mapping[str, str]) -> PipelineState:
        """See CommitLog. Raises ConfigError naming the keys of the config that no longer mean what the cursors mean."""
        with self._transaction() as db:
            row = db.execute(
                "SELECT lineage, seq, fingerprint FROM pipelines WHERE name = ?", (pipeline,)
            ).fetchone()
            if row is None:
                row = (secrets.token_hex(8), 0, "")
                db.execute(
                    "INSERT INTO pipelines VALUES (?, ?, 0, '', '', '[]')", (pipeline, row[0])
                )
            lineage, seq, known = row
            if known:
                _same_meaning(
                    pipeline, msgspec.json.decode(known), fingerprint, self._binds(db, pipeline)
                )
            stored = msgspec.json.encode(dict(fingerprint)).decode()
            if stored != known:
                db.execute(
                    "UPDATE pipelines SET fingerprint = ? WHERE name = ?", (stored, pipeline)
                )
            unpublished = tuple(
                self._commit(db, pipeline, number)
                for (number,) in db.execute(
                    "SELECT seq FROM commits WHERE pipeline = ? AND published = 0 ORDER BY seq",
                    (pipeline,),
                ).fetchall()
            )
        return PipelineState(
            pipeline,
            lineage,
            seq,
            dict(fingerprint),
            unpublished,
            self.accepted_lineages(pipeline),
            self.schemas(pipeline),
        )

    def _binds(self, db: sqlite3.Connection, pipeline: str) -> Callable[[str], bool]:
        """Whether an entry of a fingerprint is what stored cursors rest on: none before there are some, `key` while there are boundary keys made with it."""
        fresh = Cursor().to_json()
        started = any(
            cursor != fresh
            for (cursor,) in db.execute(
                "SELECT cursor FROM partitions WHERE pipeline = ?", (pipeline,)
            )
        )
        keys = db.execute(
            "SELECT EXISTS (SELECT 1 FROM boundary WHERE pipeline = ? AND partition != ?)",
            (pipeline, REPLAYED),
        ).fetchone()[0]
        return lambda entry: started and (entry != "key" or bool(keys))

    def claim(self, pipeline: str, partitions: Sequence[str]) -> dict[str, Claim]:
        """See CommitLog."""
        with self._transaction() as db:
            empty = Cursor().to_json()
            for name in partitions:
                db.execute(
                    "INSERT INTO partitions VALUES (?, ?, 1, 0, ?) ON CONFLICT DO UPDATE SET epoch = epoch + 1",
                    (pipeline, name, empty),
                )
            return {name: self._claimed(db, pipeline, name) for name in partitions}

    def _claimed(self, db: sqlite3.Connection, pipeline: str, partition: str) -> Claim:
        at = (pipeline, partition)
        epoch, seq, cursor = db.execute(
            "SELECT epoch, seq, cursor FROM partitions WHERE pipeline = ? AND partition = ?", at
        ).fetchone()
        boundary = frozenset(
            db.execute(
                "SELECT value, key FROM boundary WHERE pipeline = ? AND partition = ?", at
            ).fetchall()
        )
        tokens = frozenset(
            token
            for (token,) in db.execute(
                "SELECT token FROM tokens WHERE pipeline = ? AND partition = ?", at
            )
        )
        return Claim(partition, epoch, seq, Cursor.from_json(cursor), boundary, tokens)

    def commit(self, commit: Commit) -> None:
        """See CommitLog. When COMMIT itself fails, its outcome is read back by the commit's id."""
        try:
            with self._transaction() as db:
                fenced = tuple(
                    end.partition for end in commit.ends if not self._advance(db, commit, end)
                )
                if fenced:
                    raise Fenced(fenced)
                self._insert(db, commit)
        except (StateError, SinkUnavailable):
            if not self._committed(commit.id):
                raise

    def _advance(self, db: sqlite3.Connection, commit: Commit, end: PartitionEnd) -> bool:
        """The guarded update; False when the partition has another owner or was moved."""
        progress = end.progress
        moved = db.execute(
            "UPDATE partitions SET seq = ?, cursor = ? WHERE pipeline = ? AND partition = ? AND epoch = ? AND seq = ?",
            (
                commit.seq,
                progress.cursor.to_json(),
                commit.pipeline,
                end.partition,
                end.epoch,
                end.expected_seq,
            ),
        ).rowcount
        at = (commit.pipeline, end.partition)
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
        document = commit_document(commit)
        (previous,) = db.execute(
            "SELECT digest FROM pipelines WHERE name = ?", (commit.pipeline,)
        ).fetchone()
        digest = chained(previous, document)
        ends = [
            {name: end[name] for name in ("partition", "epoch", "expected_seq", "cursor")}
            for end in document["ends"]
        ]
        texts = (
            msgspec.json.encode(document["ledger"]).decode(),
            msgspec.json.encode(ends).decode(),
        )
        db.execute(
            "UPDATE commits SET published = 1 WHERE pipeline = ? AND published = 0",
            (commit.pipeline,),
        )
        db.execute(
            "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (commit.pipeline, commit.seq, commit.lineage, commit.id, commit.at, *texts, digest),
        )
        db.executemany(
            f"INSERT INTO files (pipeline, seq, number, {_FILE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    commit.pipeline,
                    commit.seq,
                    number,
                    f.kind,
                    f.root,
                    f.staging,
                    f.final,
                    f.size_bytes,
                    f.sha256,
                    f.rows,
                    f.fingerprint,
                )
                for number, f in enumerate(commit.files, 1)
            ),
        )
        for written in sorted(
            {file.fingerprint for file in commit.files if file.kind == "records"}
        ):
            db.execute(
                "INSERT OR REPLACE INTO schemas VALUES (?, ?, ?, ?)",
                (commit.pipeline, written, commit.seq, commit.schema),
            )
        db.execute(
            "UPDATE pipelines SET seq = ?, digest = ? WHERE name = ?",
            (commit.seq, digest, commit.pipeline),
        )

    def _committed(self, commit_id: str) -> bool:
        """Reads an unknown outcome back, over a new connection."""
        fresh = self._open()  # may be refused; then the old connection is still one, and the next attempt reads how the log stands
        self._db.close()
        self._db = fresh
        return (
            self._db.execute("SELECT 1 FROM commits WHERE id = ?", (commit_id,)).fetchone()
            is not None
        )

    def mark_published(self, pipeline: str, seq: int) -> None:
        """See CommitLog."""
        with self._transaction() as db:
            db.execute(
                "UPDATE commits SET published = 1 WHERE pipeline = ? AND seq <= ? AND published = 0",
                (pipeline, seq),
            )

    # -- for recovery, commands and verify ------------------------------------------------------------------------

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        try:
            found = self._db.execute(query, values)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    def pipelines(self) -> list[dict[str, Any]]:
        """name, lineage, seq, digest of each pipeline."""
        return self._rows("SELECT name, lineage, seq, digest FROM pipelines ORDER BY name")

    def partitions(self, pipeline: str) -> list[dict[str, Any]]:
        """partition, epoch, seq, cursor (JSON text) of each partition."""
        return self._rows(
            "SELECT partition, epoch, seq, cursor FROM partitions WHERE pipeline = ? ORDER BY partition",
            pipeline,
        )

    def commits(self, pipeline: str) -> list[dict[str, Any]]:
        """The commit rows in order."""
        return self._rows(
            "SELECT seq, lineage, id, at, ledger, ends, published, digest FROM commits WHERE pipeline = ? ORDER BY seq",
            pipeline,
        )

    def files(self, pipeline: str, seq: int) -> list[StagedFile]:
        """The files of a commit."""
        return [
            StagedFile(**row)
            for row in self._rows(
                f"SELECT {_FILE_COLUMNS} FROM files WHERE pipeline = ? AND seq = ? ORDER BY number",
                pipeline,
                seq,
            )
        ]

    def letter_commits(self, pipeline: str, from_seq: int) -> list[int]:
        """Numbers of the commits from `from_seq` on that have dead letters, in order."""
        rows = self._rows(
            "SELECT DISTINCT seq FROM files WHERE pipeline = ? AND seq >= ? AND kind = 'dead_letters' ORDER BY seq",
            pipeline,
            from_seq,
        )
        return [row["seq"] for row in rows]

    def accepted_lineages(self, pipeline: str) -> tuple[str, ...]:
        """Older lineages whose files may stay in the output root."""
        rows = self._rows("SELECT accepted FROM pipelines WHERE name = ?", pipeline)
        return tuple(msgspec.json.decode(rows[0]["accepted"])) if rows else ()

    def schemas(self, pipeline: str) -> tuple[str, ...]:
        """Schemas of committed files of records, the one that was used last at the end."""
        return tuple(
            row["schema"]
            for row in self._rows(
                "SELECT schema FROM schemas WHERE pipeline = ? ORDER BY last_seq", pipeline
            )
        )

    def _commit(self, db: sqlite3.Connection, pipeline: str, seq: int) -> Commit:
        lineage, commit_id, at, ledger = db.execute(
            "SELECT lineage, id, at, ledger FROM commits WHERE pipeline = ? AND seq = ?",
            (pipeline, seq),
        ).fetchone()
        return Commit(
            pipeline,
            lineage,
            seq,
            commit_id,
            at,
            tuple(self.files(pipeline, seq)),
            (),
            Ledger(**msgspec.json.decode(ledger)),
        )

    def reset(
        self, pipeline: str, partition: str | None = None, *, found_lineages: Sequence[str] = ()
    ) -> None:
        """Forgets how far a pipeline or one of its partitions has come; published files stay.

        A whole pipeline gets a new lineage, which accepts the older ones in its output root.
        """
        with self._transaction() as db:
            at: tuple[str, ...] = (pipeline,) if partition is None else (pipeline, partition)
            where = "pipeline = ?" if partition is None else "pipeline = ? AND partition = ?"
            for table in ("boundary", "tokens"):
                db.execute(f"DELETE FROM {table} WHERE {where}", at)
            if partition is not None:
                self._put_back(db, pipeline, partition, Cursor())
                return
            row = db.execute(
                "SELECT lineage, accepted FROM pipelines WHERE name = ?", (pipeline,)
            ).fetchone()
            known = [] if row is None else [row[0], *msgspec.json.decode(row[1])]
            accepted = msgspec.json.encode(sorted({*known, *found_lineages})).decode()
            for table in ("partitions", "commits", "files", "schemas"):
                db.execute(f"DELETE FROM {table} WHERE {where}", at)
            db.execute("DELETE FROM pipelines WHERE name = ?", at)
            db.execute(
                "INSERT INTO pipelines VALUES (?, ?, 0, '', '', ?)",
                (pipeline, secrets.token_hex(8), accepted),
            )

    def set_mark(self, pipeline: str, partition: str, mark: int | str) -> None:
        """Says how far a partition has come, as an operator; the pass in progress and the boundary keys are forgotten. Raises ConfigError."""
        with self._transaction() as db:
            for table in ("boundary", "tokens"):
                db.execute(
                    f"DELETE FROM {table} WHERE pipeline = ? AND partition = ?",
                    (pipeline, partition),
                )
            self._put_back(db, pipeline, partition, Cursor(mark=mark))

    def _put_back(
        self, db: sqlite3.Connection, pipeline: str, partition: str, cursor: Cursor
    ) -> None:
        """A cursor that no commit made: seq 0. The epoch fences whoever owns the partition."""
        changed = db.execute(
            "UPDATE partitions SET cursor = ?, seq = 0, epoch = epoch + 1 WHERE pipeline = ? AND partition = ?",
            (cursor.to_json(), pipeline, partition),
        ).rowcount
        if not changed:
            raise ConfigError(
                f"pipeline {pipeline!r} has no partition {partition!r}",
                remedy="`worker state show` lists them; it is there after the first run",
            )


_LATER: Final = ("key", "method", "headers")
"""Entries that states of older versions lack: nobody knows what they were, so they count as unchanged."""


def _same_meaning(
    pipeline: str, known: Mapping[str, str], now: Mapping[str, str], binds: Callable[[str], bool]
) -> None:
    changed = sorted(
        key
        for key in {*known, *now}
        if known.get(key) != now.get(key) and binds(key) and (key in known or key not in _LATER)
    )
    if changed:
        raise ConfigError(
            f"pipeline {pipeline!r}: source.{', source.'.join(changed)} changed since its cursors were stored; they would mean something else now",
            remedy=f"put it back, rename the pipeline, or read everything again: `worker state reset CONFIG --pipeline {pipeline}`",
        )


_NO_FILES: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_FULL: Final = _NO_FILES | {sqlite3.SQLITE_FULL}


def _primary(error: sqlite3.Error) -> int:
    """The primary result code, which is the low byte; 0 when there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _unopened(path: Path, error: sqlite3.Error) -> WorkerError:
    """Nobody should restore from a copy what only another user may open."""
    if _primary(error) in _FULL:
        return StateError(
            f"{path} cannot be opened: {error}",
            remedy="free space, and let this user read and write it and its directory",
        )
    return (
        _unusable(path, error)
        if isinstance(error, sqlite3.OperationalError)
        else _damaged(path, error)
    )


def _is_locked(error: sqlite3.Error) -> bool:
    """Somebody holds the database for longer than we wait: a backup, a shell with a transaction left open. Nothing is wrong with it."""
    return _primary(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _unusable(path: Path, error: sqlite3.Error) -> WorkerError:
    if _primary(error) in _FULL:
        return SinkUnavailable(
            f"{path}: {error}",
            remedy="free space for state.path, and see that it can be written; the pipeline resumes by itself",
        )
    if _is_locked(error):
        return SinkUnavailable(
            f"{path} is locked by another program",
            remedy="close what has it open; the pipeline resumes by itself",
        )
    if isinstance(error, sqlite3.OperationalError):
        return StateError(f"{path}: {error}", remedy="check space and permissions of state.path")
    return _damaged(path, error)


def _damaged(path: Path, error: sqlite3.Error) -> StateError:
    return StateError(
        f"{path} is damaged: {error}",
        remedy="restore it from a copy; published files are untouched, and `worker state reset` reads everything again",
    )


def _refuse_network(directory: Path) -> None:
    """SQLite's locks do not hold on network file systems, so two instances could both believe they own the state."""
    best, kind = "", ""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        for line in mounts:
            fields = line.split()
            point = fields[4].replace("\\040", " ")
            inside = str(directory.resolve() / "x").startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best):
                best, kind = point, fields[fields.index("-") + 1]
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigError(
            f"state.path is on {kind}, where SQLite is not safe",
            remedy="put it on a local disk; outputs may stay where they are",
        )
