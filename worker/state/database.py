"""The SQLite file under the commit log: how it is opened, and what its errors mean.

WAL with synchronous=FULL, so that a transaction that returned survives a power loss. The file may
be read and claimed from other processes at any time.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from worker.core.errors import (
    ConfigError,
    SinkUnavailable,
    StateAbsent,
    StateError,
    WorkerError,
)
from worker.runtime import fs
from worker.runtime.descriptors import are_exhausted, exhausted
from worker.state.lock import opening

T = TypeVar("T")

LOCKED_S: Final = 10.0
"""How long another program may hold the database before it is reported as locked."""

WAL_BYTES: Final = 16 * 1024 * 1024
"""A WAL of this size is begun anew. SQLite itself tries from 4 MB on."""
WAL_WAIT_MS: Final = 200
"""How long readers are waited for then. Nobody reads or writes meanwhile."""

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
_INCREMENTAL: Final = 2
"""The mode of SQLite in which free pages are given back a few at a time."""
_UNWRITABLE: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
FILES: Final = 5
"""SQLite has so many files open for a database: itself, its WAL, its index, a journal, a directory.
Where it cannot open one it closes the others first."""
_NO_DESCRIPTOR: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR})
"""SQLite does not tell that it could open no file because too many are open."""
_FULL: Final = _UNWRITABLE | {sqlite3.SQLITE_FULL}
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_CREATING: Final = threading.Lock()


class Database:
    """One connection to one file, for any number of threads: one of them uses it at a time.

    Args:
        path: made when it is missing, unless `read_only`.
        tables: for each format from 1 on, the statements that lead to it from the one before.
        read_only: nothing is created or changed, not even the files that SQLite keeps beside it.
            Raises StateAbsent where there is no file.

    Attributes:
        format: the format of the state; that of this program unless `read_only`.
    """

    format: int

    def __init__(self, path: Path, tables: Sequence[str], *, read_only: bool = False) -> None:
        self.path = path
        self._tables, self._read_only = tables, read_only
        with opening(path):
            if not read_only:
                fs.make_root(path.parent)
                _refuse_network(path.parent)
                with suppress(FileExistsError):
                    _create(path)
            elif not path.exists():
                raise StateAbsent(f"{path} does not exist")
        self._at_rest = self._checked = False
        self._lock = threading.RLock()
        self._long_wal = WAL_BYTES
        self.connection = self._open()

    def close(self) -> None:
        with self._lock:
            self.connection.close()

    def reopen(self) -> None:
        """Goes on over a new connection. The old one stays where none can be opened."""
        with self._lock:
            fresh = self._open()
            self.connection.close()
            self.connection = fresh

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction, rolled back when the block raises."""
        with self._lock:
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
            self._shorten_wal(db)

    def rows(self, query: str, *values: Any) -> list[Any]:
        """All rows of a query, in a transaction or without one."""
        with self._lock:
            try:
                found = self.connection.execute(query, values).fetchall()
            except sqlite3.Error as error:
                if not self._is_woken():
                    raise self.unusable(error) from error
            else:
                if not self._is_woken():
                    return found
            return self.rows(query, *values)

    def _shorten_wal(self, db: sqlite3.Connection) -> None:
        """SQLite begins its WAL anew only when it finds no reader in it, and with readers that come
        and go it may never do. From `WAL_BYTES` on they are waited for, `WAL_WAIT_MS` at most; one
        that stays longer, as a backup does, is met again after as many bytes more.
        """
        wal = self._beside("-wal")
        try:
            size = wal.stat().st_size
        except OSError:
            return
        if size < self._long_wal:
            return
        db.execute(f"PRAGMA busy_timeout = {WAL_WAIT_MS}")
        try:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:  # what was committed is in the WAL: the next transaction meets it
            busy = True
        finally:
            db.execute(f"PRAGMA busy_timeout = {LOCKED_S * 1000:.0f}")
        self._long_wal = size + WAL_BYTES if busy else WAL_BYTES

    def at_one_instant(self, read: Callable[[], T]) -> T:
        """What a function returns that only calls `rows`: no commit comes between."""
        with self._lock:
            while True:
                connection = self.connection
                self.rows("BEGIN")
                try:
                    found = read()
                finally:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                if connection is self.connection:  # else it was woken in between
                    return found

    def each(self, query: str, *values: Any) -> Iterator[Any]:
        """The rows of a query one by one, within a transaction."""
        try:
            yield from self.connection.execute(query, values)
        except sqlite3.Error as error:
            raise self.unusable(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """What is read in the block is of one moment, whoever writes meanwhile."""
        db = self.connection
        try:
            with self._lock:
                db.execute("BEGIN")
                try:
                    yield
                finally:
                    db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self.unusable(error) from error

    def shrink(self, pages: int = 0) -> None:
        """Gives free pages back to the file system: so many at most, or all of them.

        A file that cannot be shrunk a little at a time is written anew once. While somebody reads
        it, it stays as it is until the next time.
        """
        try:
            with self._lock:
                self._shrink(self.connection, pages)
        except sqlite3.OperationalError as error:
            if _primary(error) not in _LOCKED:
                raise self.unusable(error) from error

    def _shrink(self, db: sqlite3.Connection, pages: int) -> None:
        ((vacuum,),) = db.execute("PRAGMA auto_vacuum")
        if vacuum != _INCREMENTAL:
            db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
            db.execute("VACUUM")
        # a script, because each step of the statement frees one page, and has no row to fetch
        db.executescript(f"PRAGMA incremental_vacuum({pages})")
        mode = "PASSIVE" if pages else "TRUNCATE"  # only the latter waits for readers
        db.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()

    def backup(self, target: Path) -> None:
        """Copies the file, as it is at one moment, to one that does not exist."""
        with opening(target):
            _create(target)
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            self.connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, which needs no other
        except sqlite3.Error as error:
            raise self.unusable(error) from error
        finally:
            copy.close()

    def _is_woken(self) -> bool:
        """Somebody has opened the file that was read at rest; from now on it is read as one that is
        in use.
        """
        if not (self._at_rest and self._in_use()):
            return False
        self.reopen()
        return True

    # -- opening ---------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        self._at_rest = self._read_only and not self._in_use()
        try:
            if self._at_rest:
                return self._connect("?immutable=1")
            return self._connect("?mode=ro" if self._read_only else "")
        except sqlite3.DatabaseError as error:
            if not self._read_only or _primary(error) not in _UNWRITABLE or self._has_wal():
                raise self._unopened(error) from error
        # SQLite may make no files beside the log, as on a mounted copy. It needs none where
        # nobody writes.
        try:
            return self._connect("?immutable=1")
        except sqlite3.DatabaseError as error:
            raise self._unopened(error) from error

    def _in_use(self) -> bool:
        """Whether somebody has the file open, or was killed with it open: SQLite has made files
        beside it.
        """
        return any(self._beside(suffix).exists() for suffix in ("-wal", "-shm"))

    def _has_wal(self) -> bool:
        """Whether commits stand beside the file that are not in it."""
        wal = self._beside("-wal")
        return wal.exists() and wal.stat().st_size > 0

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f"{self.path.name}{suffix}")

    def _connect(self, options: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self.path.absolute().as_uri()}{options}",
            isolation_level=None,
            check_same_thread=False,
            timeout=LOCKED_S,
            uri=True,
        )
        try:
            if self._read_only:
                db.execute("PRAGMA query_only = ON")
            else:
                if not self.path.stat().st_size:  # of a file with pages it would be a write
                    db.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
                _use_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA fullfsync = ON")  # macOS only: its fsync stops at the drive's cache
            self._check(db)
            return self._in_newest_format(db)
        except BaseException:
            db.close()
            raise

    def _check(self, db: sqlite3.Connection) -> None:
        """Once a process: it reads the whole file."""
        if self._checked:
            return
        damage = db.execute("PRAGMA quick_check").fetchone()[0]
        if damage != "ok":
            raise sqlite3.DatabaseError(damage)
        self._checked = True

    def _in_newest_format(self, db: sqlite3.Connection) -> sqlite3.Connection:
        """The connection, after an upgrade where the state is of an older format. What may only be
        looked at is upgraded in a copy in memory.
        """
        self.format = self._known_format(db)
        if self.format == len(self._tables):
            return db
        if self._read_only:
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            db.backup(copy)
            db.close()
            self._upgrade(copy)
            copy.execute("PRAGMA query_only = ON")
            return copy
        self._upgrade(db)
        self.format = len(self._tables)
        return db

    def _upgrade(self, db: sqlite3.Connection) -> None:
        """In one transaction: whoever is killed in it has changed nothing."""
        db.execute("BEGIN IMMEDIATE")  # of several that open it at once, one upgrades it
        for statements in self._tables[self._known_format(db) :]:
            for statement in statements.split(";\n"):
                db.execute(statement)
        db.execute(f"PRAGMA user_version = {len(self._tables)}")
        db.execute("COMMIT")

    def _known_format(self, db: sqlite3.Connection) -> int:
        """The format of the state. Raises StateError for one that is newer than this program."""
        version, newest = db.execute("PRAGMA user_version").fetchone()[0], len(self._tables)
        if version > newest:
            raise StateError(
                f"{self.path} has state format {version}, this program knows {newest}",
                remedy="run the version that wrote it, or newer",
            )
        if not version and self._read_only:
            raise StateAbsent(f"{self.path} is empty")  # whoever made it was killed, or goes on now
        return int(version)

    # -- errors ----------------------------------------------------------------------------------

    def unusable(self, error: sqlite3.Error) -> WorkerError:
        """What an error of a statement means."""
        if not _no_descriptor(error) and _primary(error) in _FULL:
            return SinkUnavailable(
                f"{self.path}: {error}",
                remedy="free space for state.path, and see that it can be written;"
                " the pipeline resumes by itself",
            )
        return self._unusable(error)

    def _unopened(self, error: sqlite3.Error) -> WorkerError:
        """What an error of opening the file means."""
        if not _no_descriptor(error) and _primary(error) in _FULL:
            return StateError(  # only another user may open it: nothing to restore
                f"{self.path} cannot be opened: {error}",
                remedy="free space, and let this user read and write it and its directory",
            )
        return self._unusable(error)

    def _unusable(self, error: sqlite3.Error) -> WorkerError:
        code = _primary(error)
        if _no_descriptor(error):
            return exhausted(str(self.path))
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

    def damaged(self, what: str) -> StateError:
        """The file holds what was never written there."""
        return StateError(
            f"{self.path} is damaged: {what}",
            remedy="make it again from its output: `worker state rebuild CONFIG`, which puts the"
            " damaged file aside; or bring back a copy of it",
        )


def _primary(error: sqlite3.Error) -> int:
    """The primary result code, which is the low byte; 0 when there is none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _no_descriptor(error: sqlite3.Error) -> bool:
    return _primary(error) in _NO_DESCRIPTOR and are_exhausted(FILES)


def _create(path: Path) -> None:
    """Makes an empty file where there is none, else raises FileExistsError. An existing one is
    never opened, since a process that closes a descriptor gives up all locks that it holds on the
    file, also those of SQLite (POSIX, fcntl).
    """
    with _CREATING:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _use_wal(db: sqlite3.Connection) -> None:
    """Changes the mode of the journal. Two that do it at once hold the same lock and want the next
    one, so that SQLite fails the second without any wait; it waits for the first here.
    """
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _primary(error) not in _LOCKED:
                raise
            db.execute("BEGIN EXCLUSIVE")  # waits for readers too, `LOCKED_S` at most
            db.execute("ROLLBACK")
        else:
            return


def _refuse_network(directory: Path) -> None:
    """SQLite's locks do not hold there: two instances could both believe they own the state."""
    kind = fs.file_system(directory)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ConfigError(
            f"state.path is on {kind}, where SQLite is not safe",
            remedy="put it on a local disk; outputs may stay where they are",
        )
