"""The SQLite file under the commit log: how it is opened, and what its errors mean.

WAL with synchronous=FULL, so that a transaction that returned survives a power loss. The file may
be read and claimed from other processes at any time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from worker.core.errors import ConfigError, SinkUnavailable, StateError, WorkerError
from worker.runtime import fs
from worker.state.lock import opening

LOCKED_S: Final = 10.0
"""How long another program may hold the database before it is reported as locked."""

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
        "afpfs",
        "webdav",
        "lustre",
    }
)
_UNWRITABLE: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
_FULL: Final = _UNWRITABLE | {sqlite3.SQLITE_FULL}
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


class Database:
    """One connection to one file.

    Args:
        path: made when it is missing, unless `read_only`.
        tables: for each format from 1 on, the statements that lead to it from the one before.
        read_only: nothing is created or changed.
    """

    def __init__(self, path: Path, tables: Sequence[str], *, read_only: bool = False) -> None:
        self.path = path
        self._tables, self._read_only = tables, read_only
        with opening(path):
            if not read_only:
                fs.make_root(path.parent)
                _refuse_network(path.parent)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            elif not path.exists():
                raise StateError(
                    f"{path} does not exist",
                    remedy="nothing was committed there yet;"
                    " check state.path and the working directory",
                )
        self.connection = self._open()

    def close(self) -> None:
        self.connection.close()

    def reopen(self) -> None:
        """Goes on over a new connection. The old one stays where none can be opened."""
        fresh = self._open()
        self.connection.close()
        self.connection = fresh

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction, rolled back when the block raises."""
        db = self.connection
        try:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self.unusable(error) from error

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query, in a transaction or without one."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self.unusable(error) from error

    # -- opening ---------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect(self.path)
        except sqlite3.DatabaseError as error:
            if not self._read_only or _primary(error) not in _UNWRITABLE or self._has_wal():
                raise self._unopened(error) from error
        # SQLite may make no files beside the log, as on a mounted copy. It needs none where
        # nobody writes.
        try:
            return self._connect(f"{self.path.as_uri()}?immutable=1", uri=True)
        except sqlite3.DatabaseError as error:
            raise self._unopened(error) from error

    def _has_wal(self) -> bool:
        """Commits stand beside the file: somebody has it open, or was killed with it open."""
        wal = self.path.with_name(f"{self.path.name}-wal")
        return wal.exists() and wal.stat().st_size > 0

    def _connect(self, name: Path | str, *, uri: bool = False) -> sqlite3.Connection:
        db = sqlite3.connect(
            name, isolation_level=None, check_same_thread=False, timeout=LOCKED_S, uri=uri
        )
        try:
            db.execute("PRAGMA query_only = ON" if self._read_only else "PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA fullfsync = ON")  # macOS only: its fsync stops at the drive's cache
            damage = db.execute("PRAGMA quick_check").fetchone()[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(damage)
            self._upgrade(db)
        except BaseException:
            db.close()
            raise
        return db

    def _upgrade(self, db: sqlite3.Connection) -> None:
        version, newest = db.execute("PRAGMA user_version").fetchone()[0], len(self._tables)
        if version > newest:
            raise StateError(
                f"{self.path} has state format {version}, this program knows {newest}",
                remedy="run the version that wrote it, or newer",
            )
        if version < newest and not self._read_only:
            missing = " ".join(self._tables[version:])
            db.executescript(f"BEGIN IMMEDIATE; {missing} PRAGMA user_version = {newest}; COMMIT;")

    # -- errors ----------------------------------------------------------------------------------

    def unusable(self, error: sqlite3.Error) -> WorkerError:
        """What an error of a statement means."""
        code = _primary(error)
        if code in _FULL:
            return SinkUnavailable(
                f"{self.path}: {error}",
                remedy="free space for state.path, and see that it can be written;"
                " the pipeline resumes by itself",
            )
        if code in _LOCKED:  # a backup, a shell with a transaction left open: nothing is wrong
            return SinkUnavailable(
                f"{self.path} is locked by another program",
                remedy="close what has it open; the pipeline resumes by itself",
            )
        if isinstance(error, sqlite3.OperationalError):
            return StateError(
                f"{self.path}: {error}", remedy="check space and permissions of state.path"
            )
        return self.damaged(str(error))

    def _unopened(self, error: sqlite3.Error) -> WorkerError:
        if _primary(error) in _FULL:  # only another user may open it: nothing to restore
            return StateError(
                f"{self.path} cannot be opened: {error}",
                remedy="free space, and let this user read and write it and its directory",
            )
        if isinstance(error, sqlite3.OperationalError):
            return self.unusable(error)
        return self.damaged(str(error))

    def damaged(self, what: str) -> StateError:
        """The file holds what was never written there."""
        return StateError(
            f"{self.path} is damaged: {what}",
            remedy="restore it from a copy; published files are untouched,"
            " and `worker state reset` reads everything again",
        )


def _primary(error: sqlite3.Error) -> int:
    """The primary result code, which is the low byte; 0 when there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _refuse_network(directory: Path) -> None:
    """SQLite's locks do not hold there: two instances could both believe they own the state."""
    kind = fs.file_system(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigError(
            f"state.path is on {kind}, where SQLite is not safe",
            remedy="put it on a local disk; outputs may stay where they are",
        )
