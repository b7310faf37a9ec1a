"""What is SQLite's own about the commit log: formats, locks, damage, file systems."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from worker.core.cursor import Cursor
from worker.core.digest import digest_of
from worker.core.errors import ConfigError, SinkUnavailable, StateError
from worker.core.model import Due
from worker.runtime import fs
from worker.state.database import LOCKED_S
from worker.state.sqlite import SqliteCommitLog
from worker.state.tables import FORMATS
from worker.testing.commit_log_contract import MEANING, Owner, at, staged


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteCommitLog]:
    with closing(SqliteCommitLog(path)) as opened:
        opened.load("p", MEANING)
        yield opened


def change(path: Path, statement: str) -> None:
    """Changes the file by hand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement)


def test_a_state_of_a_newer_program_is_refused(path: Path) -> None:
    SqliteCommitLog(path).close()
    change(path, "PRAGMA user_version = 99")
    with pytest.raises(StateError, match=f"format 99, this program knows {len(FORMATS)}"):
        SqliteCommitLog(path)


# what runs of landed versions left: a pass in the middle, one that is over, one of tokens, and a
# source that was read once
OLDER = sorted((Path(__file__).parent / "formats").glob("format_*.sql"))


@pytest.mark.parametrize("dump", OLDER, ids=lambda dump: dump.stem)
def test_a_state_of_an_older_format_is_brought_up_to_date_when_it_is_written(
    dump: Path, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(dump.read_text())
        pipelines = dict(db.execute("SELECT name, fingerprint FROM pipelines").fetchall())
        rows = db.execute("SELECT pipeline, partition, cursor FROM partitions").fetchall()
        stored = {(pipeline, partition): cursor for pipeline, partition, cursor in rows}
        boundary = db.execute("SELECT COUNT(*) FROM boundary").fetchone()[0]
        tokens = db.execute("SELECT COUNT(*) FROM tokens").fetchone()[0]
    assert boundary and tokens
    with closing(SqliteCommitLog(path, read_only=True)) as old:
        seen = {(name, row.partition): row for name in pipelines for row in old.partitions(name)}
        assert {at: row.cursor for at, row in seen.items()} == stored
        commits = {name: [each.id for each in old.commits(name)] for name in pipelines}
    with closing(SqliteCommitLog(path)) as log:
        for name, meaning in pipelines.items():
            log.load(name, json.loads(meaning))
        found = {at: Owner(log, at[1], pipeline=at[0])[at[1]] for at in stored}
        assert {at: claim.cursor for at, claim in found.items()} == {
            at: Cursor.from_json(text) for at, text in stored.items()
        }
        assert sum(len(claim.boundary) for claim in found.values()) == boundary
        assert sum(len(claim.tokens) for claim in found.values()) == tokens
        assert {claim.due for claim in found.values()} == {Due()}
        assert {name: [each.id for each in log.commits(name)] for name in pipelines} == commits
        log.keep_due("events", {"tenant=a": Due(1, 5)})
        assert Owner(log, "tenant=a", pipeline="events")["tenant=a"].due == Due(1, 5)
        for name in pipelines:
            assert all(digest_of(row) == row.digest for row in log.commits(name))
            before = log.chains(name)[0]
            owner = Owner(log, "new", pipeline=name)
            assert owner.chain.epoch > before.epoch
            made = owner.commit({"new": at(1)})
            assert (made.seq, made.previous) == (before.seq + 1, before.digest)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (len(FORMATS),)


def grown(log: SqliteCommitLog, commits: int) -> Owner:
    """A log with so many published commits."""
    owner = Owner(log, "a")
    for number in range(1, commits + 1):
        owner.commit({"a": at(number)}, files=tuple(staged(each) for each in range(20)))
    owner.published(commits)
    return owner


def size_of(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.iterdir())


@pytest.mark.parametrize("mode", ["new", "of an older version"])
def test_the_space_of_what_is_forgotten_is_given_back(
    log: SqliteCommitLog, path: Path, mode: str
) -> None:
    if mode != "new":
        log.close()
        change(path, "PRAGMA auto_vacuum = NONE")
        change(path, "VACUUM")
        log = SqliteCommitLog(path)
    empty = size_of(path)
    grown(log, 300)
    log.shrink()
    before = path.stat().st_size
    log.prune("p", log.prunable("p", "2030", 100))
    assert path.stat().st_size < before * 0.8, "a little at a time while it runs"
    log.prune("p", log.prunable("p", "2030", 1_000))
    log.shrink()
    assert size_of(path) < empty + 64 * 1024
    log.close()


def test_a_log_that_somebody_reads_is_shrunk_another_time(log: SqliteCommitLog, path: Path) -> None:
    grown(log, 50)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM commits").fetchone()
        log.prune("p", log.prunable("p", "2030", 100))
        assert reader.execute("SELECT count(*) FROM commits").fetchone() == (50,)
    assert [row.seq for row in log.commits("p")] == [50]
    log.shrink()
    assert size_of(path) < 200 * 1024


def test_the_stored_texts_are_those_that_every_state_has(log: SqliteCommitLog, path: Path) -> None:
    made = Owner(log, "a").commit({"a": at(7)}, files=(staged(1),))
    with closing(sqlite3.connect(path)) as db:
        (row,) = db.execute("SELECT seq, lineage, id, at, ledger, ends, epoch FROM commits")
        (file,) = db.execute("SELECT * FROM files")
    cursor = Cursor(received=7).to_json().replace('"', '\\"')
    assert row == (
        1,
        made.lineage,
        made.id,
        made.at,
        '{"received":3,"expanded":0,"sent":3,"filtered":0,"deduplicated":0,"dead_lettered":0}',
        f'[{{"partition":"a","expected_seq":0,"cursor":"{cursor}","memory":"{"0" * 32}"}}]',
        1,
    )
    assert file[:8] == ("p", 0, 1, 1, "records", "/lake", ".worker/l/p/staging/f1", "r=ü/f1")
    assert file[8:] == (10, "ab" * 32, 3, "f" * 16, "")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE commits SET ledger = '{}'",
        "UPDATE commits SET ledger = 'no json'",
        """UPDATE commits SET ledger = json_set(ledger, '$.sent', 'three')""",
        """UPDATE commits SET ledger = json_set(ledger, '$.more', 1)""",
        """UPDATE commits SET ends = json_remove(ends, '$[0].cursor')""",
        """UPDATE commits SET ends = json_set(ends, '$[0].more', 1)""",
    ],
)
def test_a_row_that_is_no_commit_is_named(log: SqliteCommitLog, path: Path, statement: str) -> None:
    Owner(log, "a").commit({"a": at(7)})
    change(path, statement)
    with pytest.raises(StateError, match=r"is damaged: commit 1 of pipeline p"):
        list(log.commits("p"))


def test_a_log_that_only_looks_changes_nothing_and_makes_nothing(path: Path) -> None:
    with pytest.raises(StateError, match="does not exist"):
        SqliteCommitLog(path, read_only=True)
    assert not path.exists()
    SqliteCommitLog(path).close()
    with (
        closing(SqliteCommitLog(path, read_only=True)) as log,
        pytest.raises(SinkUnavailable, match="readonly"),
    ):
        log.load("p", MEANING)


def files_of(directory: Path) -> dict[str, bytes]:
    """All files, but the index that SQLite keeps in shared memory."""
    paths = (path for path in directory.iterdir() if not path.name.endswith("-shm"))
    return {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("shut", ["closed", "killed", "open"])
def test_a_log_that_only_looks_leaves_every_file_as_it_is(
    path: Path, tmp_path: Path, shut: str
) -> None:
    with closing(SqliteCommitLog(path)) as log:
        log.load("p", MEANING)
        Owner(log, "a").commit({"a": at(7)})
        where = path
        if shut == "killed":
            where = tmp_path / "copy" / path.name
            shutil.copytree(tmp_path, where.parent, ignore=lambda *_: ["copy"])
        if shut == "closed":
            log.close()
        before = files_of(where.parent) if shut != "open" else files_of(tmp_path)
        assert (f"{path.name}-wal" in before) == (shut != "closed")
        with closing(SqliteCommitLog(where, read_only=True)) as looking:
            assert looking.partitions("p")[0].seq == 1
            assert files_of(where.parent) == before
        assert files_of(where.parent) == before


def test_a_log_that_was_read_at_rest_sees_what_others_commit_from_then_on(path: Path) -> None:
    with closing(SqliteCommitLog(path)) as log:
        log.load("p", MEANING)
    with closing(SqliteCommitLog(path, read_only=True)) as looking:
        assert looking.partitions("p") == []
        with closing(SqliteCommitLog(path)) as log:
            for seq in (1, 2):
                Owner(log, "a").commit({"a": at(seq)})
                assert [row.seq for row in looking.partitions("p")] == [seq]


@pytest.mark.parametrize("mode", ["NORMAL", "EXCLUSIVE"])
def test_a_database_that_another_program_holds_is_waited_for_and_not_called_damaged(
    path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.state.database.LOCKED_S", 0.01)
    with closing(SqliteCommitLog(path)) as log:
        log.load("p", MEANING)
        owner = Owner(log, "a", name="me")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(f"PRAGMA locking_mode = {mode}")
    other.execute("BEGIN IMMEDIATE")
    with (
        pytest.raises(SinkUnavailable, match="locked by another program"),
        closing(SqliteCommitLog(path)) as log,
    ):
        Owner(log, "a", name="me", held=owner.chain.epoch)
    other.execute("ROLLBACK")
    other.close()
    with closing(SqliteCommitLog(path)) as log:
        Owner(log, "a", name="me", held=owner.chain.epoch).commit({"a": at(1)})
        assert Owner(log, "a")["a"].cursor.received == 1


def test_a_journal_that_has_grown_long_is_begun_anew_once_its_readers_have_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 100_000
    monkeypatch.setattr("worker.state.database.WAL_BYTES", most)
    monkeypatch.setattr("worker.state.database.WAL_WAIT_MS", 1)
    wal = path.with_name(f"{path.name}-wal")

    def write(log: SqliteCommitLog, size: int) -> None:
        with log._file.transaction() as db:
            db.execute("CREATE TABLE IF NOT EXISTS theirs (a)")
            db.execute("INSERT INTO theirs VALUES (zeroblob(?))", (size,))

    with (
        closing(SqliteCommitLog(path)) as log,
        closing(sqlite3.connect(path, isolation_level=None)) as reader,
    ):
        write(log, 1)
        reader.executescript("BEGIN; SELECT * FROM sqlite_schema")
        write(log, most)
        while (size := wal.stat().st_size) < 2 * most:  # it is waited for once, and then no more
            write(log, most // 10)
        waited = log._file._long_wal
        assert log._file.connection.execute("PRAGMA busy_timeout").fetchone()[0] == LOCKED_S * 1000
        assert most < waited - most <= size
        reader.execute("ROLLBACK")
        while wal.stat().st_size:
            write(log, most // 10)
            assert wal.stat().st_size < 2 * waited
        assert log._file._long_wal == most


def test_a_state_that_another_program_writes_is_shrunk_the_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.state.database.LOCKED_S", 0.01)
    with (
        closing(SqliteCommitLog(path)) as log,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        log.load("p", MEANING)
        other.execute("CREATE TABLE theirs AS SELECT zeroblob(1000000) AS a")
        other.execute("DROP TABLE theirs")
        other.execute("BEGIN IMMEDIATE")
        log._file.shrink()
        assert other.execute("PRAGMA freelist_count").fetchone()[0] > 0
        other.execute("ROLLBACK")
        log._file.shrink()
        assert other.execute("PRAGMA freelist_count").fetchone()[0] == 0


def test_a_state_that_cannot_be_shrunk_is_named(
    log: SqliteCommitLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(sqlite3.Connection):
        def executescript(self, script: str) -> sqlite3.Cursor:
            if "vacuum" in script:
                raise sqlite3.OperationalError("disk I/O error")
            return super().executescript(script)

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **kw: connect(*args, factory=Broken, **kw)
    )
    log._file.reopen()
    monkeypatch.undo()
    with pytest.raises(StateError, match="disk I/O error"):
        log._file.shrink()


@pytest.mark.parametrize("committed", [False, True])
def test_an_unknown_outcome_is_read_back(
    log: SqliteCommitLog, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql != "COMMIT":
                return super().execute(sql, *values)  # type: ignore[arg-type]
            if committed:
                super().execute(sql)
            raise sqlite3.OperationalError("disk I/O error")

    connect = sqlite3.connect
    made = Owner(log, "a").draft({"a": at(1)})
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **kw: connect(*args, factory=Broken, **kw)
    )
    log._file.reopen()
    monkeypatch.undo()
    if committed:
        log.commit(made)
    else:
        with pytest.raises(StateError, match="disk I/O error"):
            log.commit(made)
    assert [row.id for row in log.commits("p")] == [made.row.id] * committed


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "file_system", lambda directory: "nfs4")
    with pytest.raises(ConfigError, match=r"state\.path is on nfs4"):
        SqliteCommitLog(path)
    assert not path.exists()


@pytest.mark.parametrize("held", ["BEGIN IMMEDIATE", "BEGIN; SELECT * FROM sqlite_schema"])
def test_a_state_that_another_program_makes_or_reads_meanwhile_is_waited_for(
    path: Path, held: str
) -> None:
    with (
        ThreadPoolExecutor(1) as pool,
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        change(path, "CREATE TABLE theirs (a)")  # the journal of an empty file needs no lock
        change(path, "DROP TABLE theirs")
        other.executescript(held)
        opened = pool.submit(SqliteCommitLog, path)
        with pytest.raises(TimeoutError):
            opened.result(0.5)
        other.execute("ROLLBACK")
        opened.result(20).close()


def test_eight_that_make_the_state_at_once_make_one(path: Path) -> None:
    together = threading.Barrier(8)

    def make(_: int) -> str:
        together.wait(20)
        with closing(SqliteCommitLog(path)) as log:
            return log.load("p", MEANING).lineage

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1
