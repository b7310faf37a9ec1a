"""The commit protocol: its order, and what is true after it stopped at any of its steps."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor
from worker.core.errors import (
    DurabilityLost,
    Fenced,
    PublishConflict,
    SinkUnavailable,
    StateError,
    WorkerError,
)
from worker.core.model import DEAD_LETTERS, RECORDS, Chunk, Claim, Ledger, PartitionEnd, Progress
from worker.core.ports import CommitLog, Sink
from worker.formats.ndjson import NdjsonEncoder
from worker.runtime.committer import Committer
from worker.runtime.io_thread import IoThread
from worker.sinks.files import FilesSink
from worker.state.sqlite import SqliteCommitLog
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import MemorySink, MemoryStore


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Journal:
    """The calls of the ports in order; before the `fatal` one (or after it) an error is raised."""

    calls: list[str] = field(default_factory=list)
    fatal: str = ""
    error: BaseException = field(default_factory=Killed)
    late: bool = False

    def watched(self, name: str, target: Any) -> Any:
        return _Watched(name, target, self)


class _Watched:
    """A port whose calls are written down."""

    def __init__(self, name: str, target: Any, journal: Journal) -> None:
        self._name, self._target, self._journal = name, target, journal

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._target, attribute)
        if not callable(value):
            return value
        journal, call = self._journal, f"{self._name}.{attribute}"

        def watched(*args: Any, **options: Any) -> Any:
            journal.calls.append(call)
            if journal.fatal == call and not journal.late:
                raise journal.error
            result = value(*args, **options)
            if journal.fatal == call:
                raise journal.error
            return result

        return watched


class Lake:
    """A pipeline over a log and two outputs in memory, attempt after attempt."""

    def __init__(self) -> None:
        self.log = MemoryCommitLog()
        self.records, self.letters = MemoryStore("memory://lake"), MemoryStore("memory://dead")

    def attempt(self, journal: Journal | None = None) -> Attempt:
        return Attempt(self, journal or Journal())

    def published(self) -> list[str]:
        """The lines that a reader of both outputs sees."""
        return [
            line
            for store in (self.records, self.letters)
            for name in store.published
            for line in store.names[name].decode().splitlines()
        ]

    def committed(self) -> int:
        """How far the cursor came."""
        return self.log.claim("p", ["a"])["a"].cursor.received


class Attempt:
    """What an attempt does, up to where it is killed."""

    def __init__(self, lake: Lake, journal: Journal) -> None:
        log = journal.watched("log", lake.log)
        state = log.load("p", {})
        self.sinks = tuple(
            journal.watched(kind, MemorySink(store, "p", state.lineage, state.seq + 1, kind=kind))
            for kind, store in ((RECORDS, lake.records), (DEAD_LETTERS, lake.letters))
        )
        self.committer = Committer(log, self.sinks, state, schema="{}")
        self.committer.recover()
        self.claim: Claim = log.claim("p", ["a"])["a"]
        self.seq, self.received = self.claim.seq, self.claim.cursor.received
        journal.calls.clear()

    def commit(self, *lines: str, dead: Sequence[str] = ()) -> None:
        """Commits lines and dead letters, and that so many records were received."""
        for line in lines:
            self.sinks[0].write(Chunk("", "f" * 16, 1, f"{line}\n".encode()))
        for line in dead:
            self.sinks[1].write(Chunk("", "f" * 16, 1, f"{line}\n".encode()))
        received = len(lines) + len(dead)
        end = PartitionEnd(
            partition="a",
            epoch=self.claim.epoch,
            expected_seq=self.seq,
            progress=Progress(Cursor(received=self.received + received)),
        )
        ledger = Ledger(received=received, sent=len(lines), dead_lettered=len(dead))
        made = self.committer.commit((end,), ledger)
        self.seq, self.received = made.seq, self.received + received


# -- the order ------------------------------------------------------------------------------------


def test_a_commit_seals_all_then_stages_its_record_then_commits_then_publishes() -> None:
    journal = Journal()
    attempt = Lake().attempt(journal)
    attempt.commit("x", dead=["y"])
    assert [call for call in journal.calls if not call.endswith(".write")] == [
        "records.seal",
        "dead_letters.seal",
        "records.stage_record",
        "log.commit",
        "records.publish",
        "dead_letters.publish",
        "records.begin",
        "dead_letters.begin",
    ]


def test_recovery_checks_before_it_publishes_and_sweeps_after_the_mark() -> None:
    lake = Lake()
    with pytest.raises(Killed):
        lake.attempt(Journal(fatal="records.publish")).commit("x", dead=["y"])
    journal = Journal(fatal="records.drop_record", late=True)
    with pytest.raises(Killed):
        lake.attempt(journal)
    assert journal.calls == [
        "log.load",
        "records.prepare",
        "dead_letters.prepare",
        "records.check",
        "dead_letters.check",
        "records.publish",
        "dead_letters.publish",
        "log.mark_published",
        "records.sweep",
        "dead_letters.sweep",
        "records.drop_record",
    ]


def test_where_nothing_waits_recovery_marks_and_publishes_nothing() -> None:
    journal = Journal(fatal="records.drop_record", late=True)
    with pytest.raises(Killed):
        Lake().attempt(journal)
    assert "log.mark_published" not in journal.calls
    assert "records.publish" not in journal.calls


# -- what is true afterwards ----------------------------------------------------------------------


def test_commits_are_numbered_and_each_names_its_own_files() -> None:
    lake = Lake()
    attempt = lake.attempt()
    for lines in (["1", "2"], [], ["3"]):
        attempt.commit(*lines, dead=["d"] if lines else ())
    rows = list(lake.log.commits("p"))
    assert [row.seq for row in rows] == [1, 2, 3]
    assert [[file.kind for file in row.files] for row in rows] == [
        [RECORDS, DEAD_LETTERS],
        [],
        [RECORDS, DEAD_LETTERS],
    ]
    assert [row.ledger.received for row in rows] == [3, 0, 2]
    assert all(row.ledger.balanced for row in rows)
    assert len({row.id for row in rows}) == 3
    assert lake.published() == ["1", "2", "3", "d", "d"]
    assert lake.log.schemas("p") == ("{}",)
    assert repr(attempt.committer) == "<Committer p next_seq=4>"


def test_the_record_of_a_commit_stands_beside_its_files() -> None:
    lake = Lake()
    attempt = lake.attempt()
    attempt.commit("x")
    attempt.commit("y")
    records = [name for name in lake.records.names if "/commits/" in name]
    assert [name.rpartition("/")[2] for name in records] == [
        "000000000001.json",
        "000000000002.json",
    ]
    assert b'"seq":2' in lake.records.names[records[1]]
    assert not [name for name in lake.letters.names if "/commits/" in name]


BEFORE = ["records.seal", "dead_letters.seal", "records.stage_record", "log.commit"]
AFTER = ["records.publish", "dead_letters.publish", "records.begin", "dead_letters.begin"]


@pytest.mark.parametrize("error", [Killed(), SinkUnavailable(), DurabilityLost(), StateError()])
@pytest.mark.parametrize("fatal", BEFORE)
def test_what_stops_before_the_commit_point_never_was(fatal: str, error: BaseException) -> None:
    lake = Lake()
    lake.attempt().commit("before")
    attempt = lake.attempt(Journal(fatal=fatal, error=error))
    with pytest.raises(type(error)):
        attempt.commit("x", dead=["y"])
    attempt.committer.close()
    again = lake.attempt()
    assert (lake.published(), again.received, again.committer.next_seq) == (["before"], 1, 2)
    assert not [name for name in lake.records.names if name.endswith("02.json")]
    again.commit("x", dead=["y"])
    assert lake.published() == ["before", "x", "y"]


@pytest.mark.parametrize("error", [Killed(), SinkUnavailable(), DurabilityLost()])
@pytest.mark.parametrize("fatal", ["log.commit", *AFTER])
def test_what_stops_after_the_commit_point_is_finished_by_the_next_attempt(
    fatal: str, error: BaseException
) -> None:
    lake = Lake()
    with pytest.raises(type(error)):
        lake.attempt(Journal(fatal=fatal, error=error, late=fatal == "log.commit")).commit(
            "x", dead=["y"]
        )
    again = lake.attempt()
    assert (lake.published(), again.received, again.committer.next_seq) == (["x", "y"], 2, 2)
    assert lake.log.load("p", {}).unpublished == ()
    again.commit("z")
    assert lake.published() == ["x", "z", "y"]


STEPS = ["records.prepare", "records.check", "dead_letters.publish", "log.mark_published"]
STEPS += ["records.sweep", "records.drop_record", *BEFORE, *AFTER]


@given(
    st.lists(
        st.tuples(st.sampled_from(STEPS), st.booleans(), st.lists(st.booleans(), max_size=4)),
        max_size=6,
    )
)
def test_killed_anywhere_any_number_of_times_nothing_is_lost_or_doubled(
    kills: list[tuple[str, bool, list[bool]]],
) -> None:
    """Lines are numbered by what the cursor says was received; a true stands for a dead letter."""
    lake = Lake()
    for fatal, late, records in [*kills, ("", False, [True, False])]:
        try:
            attempt = lake.attempt(Journal(fatal=fatal, late=late))
            for dead in records:
                line = str(attempt.received)
                attempt.commit(*([] if dead else [line]), dead=[line] if dead else [])
            attempt.committer.settle()
        except Killed:
            continue
    assert sorted(map(int, lake.published())) == list(range(lake.committed()))


def test_a_stale_owner_publishes_nothing() -> None:
    lake = Lake()
    attempt = lake.attempt()
    lake.log.claim("p", ["a"])
    with pytest.raises(Fenced):
        attempt.commit("x")
    assert (lake.published(), list(lake.log.commits("p"))) == ([], [])


def test_a_staged_file_that_was_changed_is_not_published() -> None:
    lake = Lake()
    with pytest.raises(Killed):
        lake.attempt(Journal(fatal="records.publish")).commit("x", dead=["y"])
    (staged,) = (name for name in lake.letters.names if "/staging/" in name)
    lake.letters.names[staged] = b"z\n"
    with pytest.raises(StateError, match="not the file that was committed"):
        lake.attempt()
    assert lake.published() == [], "not even the file before it"


def test_a_final_name_that_another_content_has_is_never_replaced() -> None:
    lake = Lake()
    attempt = lake.attempt(Journal(fatal="records.publish"))
    with pytest.raises(Killed):
        attempt.commit("x")
    ((file,),) = (row.files for row in lake.log.commits("p"))
    lake.records.names[file.final] = b"somebody else's\n"
    for _ in range(2):
        with pytest.raises(PublishConflict):
            lake.attempt()
    assert lake.published() == ["somebody else's"]
    del lake.records.names[file.final]
    lake.attempt()
    assert lake.published() == ["x"]


def test_a_clean_end_leaves_nothing_to_recover() -> None:
    lake = Lake()
    attempt = lake.attempt()
    attempt.commit("x")
    assert len(lake.log.load("p", {}).unpublished) == 1
    attempt.committer.settle()
    assert lake.log.load("p", {}).unpublished == ()


# -- with files, SQLite and the IO thread ---------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CommitLog]:
    with closing(SqliteCommitLog(tmp_path / "state.db")) as opened:
        yield opened


def opened(log: CommitLog, root: Path) -> tuple[Committer, Sink, Callable[[], PartitionEnd]]:
    """A committer over a directory, its sink of records, and what makes the end of a commit."""
    state = log.load("p", {})
    records, letters = (
        FilesSink(
            root / kind, "p", state.lineage, state.seq + 1, lambda *_: NdjsonEncoder(), kind=kind
        )
        for kind in (RECORDS, DEAD_LETTERS)
    )
    committer = Committer(log, (records, letters), state)
    committer.recover()
    claim = log.claim("p", ["a"])["a"]

    def end() -> PartitionEnd:
        progress = Progress(Cursor(received=claim.cursor.received + 1))
        return PartitionEnd(
            partition="a", epoch=claim.epoch, expected_seq=claim.seq, progress=progress
        )

    return committer, records, end


def lines(root: Path) -> list[str]:
    """What a plain listing shows."""
    paths = sorted(path for path in (root / RECORDS).rglob("*") if path.is_file())
    return [
        line
        for path in paths
        if ".worker" not in path.parts
        for line in path.read_text().splitlines()
    ]


LINE = Chunk("", "f" * 16, 1, b"x\n")


@pytest.mark.parametrize(
    ("call", "code", "category"),
    [
        ("fsync", errno.EIO, DurabilityLost),
        ("fsync", errno.ENOSPC, SinkUnavailable),
        ("write", errno.ENOSPC, SinkUnavailable),
        ("write", errno.EIO, DurabilityLost),
        ("open", errno.EROFS, SinkUnavailable),
    ],
)
def test_what_a_disk_refuses_before_the_commit_point_is_redone(
    tmp_path: Path,
    log: CommitLog,
    call: str,
    code: int,
    category: type[WorkerError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    committer, records, end = opened(log, tmp_path)

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(category):
            records.write(LINE)
            committer.commit((end(),), Ledger(received=1, sent=1))
    committer.close()
    assert (lines(tmp_path), list(log.commits("p"))) == ([], [])
    committer, records, end = opened(log, tmp_path)
    records.write(LINE)
    committer.commit((end(),), Ledger(received=1, sent=1))
    assert lines(tmp_path) == ["x"]


def test_a_disk_that_refuses_to_publish_leaves_a_commit_that_is_published_later(
    tmp_path: Path, log: CommitLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    committer, records, end = opened(log, tmp_path)
    records.write(LINE)

    def refuse(*args: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr("worker.runtime.fs._rename_noreplace", refuse)
        with pytest.raises(SinkUnavailable):
            committer.commit((end(),), Ledger(received=1, sent=1))
    assert (lines(tmp_path), len(list(log.commits("p")))) == ([], 1)
    opened(log, tmp_path)
    assert lines(tmp_path) == ["x"]


async def test_a_commit_that_is_cancelled_is_whole_when_the_cancellation_is_raised(
    tmp_path: Path, log: CommitLog
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    class Slow(SqliteCommitLog):
        def commit(self, commit: Any) -> None:
            inside.set()
            go_on.wait()
            super().commit(commit)

    with (
        ThreadPoolExecutor(1) as executor,
        closing(Slow(tmp_path / "state.db")) as slow,
    ):
        io = IoThread(executor)
        committer, records, end = await io(opened, slow, tmp_path)
        await io(records.write, LINE)
        job = asyncio.create_task(io(committer.commit, (end(),), Ledger(received=1, sent=1)))
        await asyncio.to_thread(inside.wait)
        job.cancel()
        await asyncio.sleep(0)
        assert (job.done(), lines(tmp_path)) == (False, [])
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert (lines(tmp_path), committer.next_seq) == (["x"], 2)
        await io(committer.close)
    assert [row.seq for row in log.commits("p")] == [1]
