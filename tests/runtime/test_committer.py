"""The commit protocol: its order, and what is true after it stopped at any of its steps."""

from __future__ import annotations

import asyncio
import copy
import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor
from worker.core.errors import (
    DurabilityLost,
    Fenced,
    OutputOlder,
    PublishConflict,
    SinkUnavailable,
    StateError,
    StateOlder,
    Unproven,
    WorkerError,
)
from worker.core.model import DEAD_LETTERS, RECORDS, Chunk, Claim, Ledger, PartitionEnd, Progress
from worker.core.ports import CommitLog, Outputs, Sink
from worker.formats.ndjson import NdjsonEncoder
from worker.runtime.committer import Committer
from worker.runtime.io_pool import InOrder
from worker.sinks.commit_records import FileCommitRecords
from worker.sinks.files import FilesSink, area_of
from worker.state.sqlite import SqliteCommitLog
from worker.testing.memory_log import MemoryCommitLog, Tables
from worker.testing.memory_sink import MemoryCommitRecords, MemorySink, MemoryStore


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

    def attempt(
        self, journal: Journal | None = None, meanwhile: Callable[[], object] = bool
    ) -> Attempt:
        """`meanwhile` happens between the claim and recovery."""
        return Attempt(self, journal or Journal(), meanwhile)

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
        return self.log.claim("p", ["a"], owner="who looks").partitions["a"].cursor.received


def copy_of(log: MemoryCommitLog) -> MemoryCommitLog:
    """A copy of a state, as a backup or a second machine has one."""
    tables = Tables()
    tables.epoch, tables.pipelines = log.tables.epoch, copy.deepcopy(log.tables.pipelines)
    return MemoryCommitLog(tables)


class Attempt:
    """What an attempt does, up to where it is killed."""

    def __init__(self, lake: Lake, journal: Journal, meanwhile: Callable[[], object]) -> None:
        log = journal.watched("log", lake.log)
        log.load("p", {})
        claimed = log.claim("p", ["a"], owner=token_hex(8))
        meanwhile()
        self.sinks = tuple(
            journal.watched(kind, MemorySink(store, claimed.chain, kind=kind))
            for kind, store in ((RECORDS, lake.records), (DEAD_LETTERS, lake.letters))
        )
        commits = journal.watched("commits", MemoryCommitRecords(lake.records, claimed.chain))
        outputs = Outputs(*self.sinks, commits)
        self.committer = Committer(log, outputs, claimed.chain, schema="{}", meaning={"url": "1"})
        self.foreign = self.committer.recover()
        self.lineage, self.owner = claimed.chain.lineage, claimed.chain.owner
        self.claim: Claim = claimed.partitions["a"]
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
        "log.ends",
        "commits.stage",
        "log.commit",
        "commits.prove",
        "records.publish",
        "dead_letters.publish",
        "log.mark_published",
        "records.settle",
        "dead_letters.settle",
        "records.begin",
        "dead_letters.begin",
    ]


def test_recovery_claims_then_looks_then_publishes_and_sweeps_after_the_mark() -> None:
    lake = Lake()
    with pytest.raises(Killed):
        lake.attempt(Journal(fatal="records.publish")).commit("x", dead=["y"])
    journal = Journal(fatal="dead_letters.sweep", late=True)
    with pytest.raises(Killed):
        lake.attempt(journal)
    assert journal.calls == [
        "log.load",
        "log.claim",
        "records.prepare",
        "dead_letters.prepare",
        "commits.newest",
        "commits.proven",
        "records.check",
        "dead_letters.check",
        "commits.staged",
        "records.publish",
        "dead_letters.publish",
        "log.mark_published",
        "records.settle",
        "dead_letters.settle",
        "commits.proven",
        "commits.bring",
        "commits.sweep",
        "records.sweep",
        "dead_letters.sweep",
    ]


def test_where_nothing_waits_recovery_marks_and_publishes_nothing() -> None:
    journal = Journal(fatal="dead_letters.sweep", late=True)
    with pytest.raises(Killed):
        Lake().attempt(journal)
    assert "log.mark_published" not in journal.calls
    assert "records.publish" not in journal.calls


def test_a_root_is_kept_when_it_is_first_seen_and_when_it_moved_and_only_then() -> None:
    lake = Lake()

    def kept() -> int:
        journal = Journal(fatal="commits.sweep")
        with pytest.raises(Killed):
            lake.attempt(journal)
        return journal.calls.count("log.keep_root")

    assert (kept(), kept()) == (2, 0)
    lake.records.url = "memory://moved"
    assert (kept(), kept()) == (1, 0)
    assert lake.log.roots("p")[RECORDS].path == "memory://moved"


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


BEFORE = ["records.seal", "dead_letters.seal", "log.ends", "commits.stage", "log.commit"]
AFTER = ["commits.prove", "records.publish", "dead_letters.publish", "log.mark_published"]
AFTER += ["records.settle", "records.begin", "dead_letters.begin"]


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


STEPS = ["records.prepare", "records.check", "commits.proven", "log.claim"]
STEPS += ["commits.sweep", "records.sweep", *BEFORE, *AFTER]


@pytest.mark.fault(2, 3, by="random histories of kills at any step")
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
        except Killed:
            continue
    assert sorted(map(int, lake.published())) == list(range(lake.committed()))


@pytest.mark.fault(15, by="a newer owner claims between two commits")
def test_a_stale_owner_publishes_nothing() -> None:
    lake = Lake()
    attempt = lake.attempt()
    lake.log.claim("p", ["a"], owner="another")
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


def test_a_commit_is_marked_before_the_next_one_is_begun() -> None:
    lake = Lake()
    attempt = lake.attempt()
    attempt.commit("x")
    assert lake.log.load("p", {}).unpublished == ()


# -- the output and the state know each other -----------------------------------------------------


@pytest.mark.fault(47, by="an older copy of the state")
def test_a_state_that_is_older_than_its_output_is_refused() -> None:
    lake = Lake()
    lake.attempt().commit("x")
    older = copy.deepcopy(lake.log.tables.pipelines)
    lake.attempt().commit("y")
    lake.log.tables.pipelines = older
    with pytest.raises(StateOlder, match="commit 2 of pipeline p, the state ends at 1") as caught:
        lake.attempt()
    assert "worker state rebuild" in caught.value.remedy
    assert lake.published() == ["x", "y"]


def test_an_owner_that_was_displaced_before_it_looked_at_the_output_is_over() -> None:
    lake = Lake()
    lake.attempt().commit("x")
    with pytest.raises(Fenced):
        lake.attempt(meanwhile=lambda: lake.attempt().commit("y"))
    assert lake.published() == ["x", "y"]


def test_an_output_that_is_older_than_its_state_is_refused() -> None:
    lake = Lake()
    attempt = lake.attempt()
    attempt.commit("x")
    older = dict(lake.records.names)
    attempt.commit("y")
    lake.records.names.clear()
    lake.records.names.update(older)
    with pytest.raises(OutputOlder, match="has no record of commit 2"):
        lake.attempt()
    newest = f".worker/{attempt.lineage}/p/commits/000000000002.json"
    lake.records.names[newest] = b'{"id": "another"}'
    with pytest.raises(OutputOlder, match="has another record of commit 2"):
        lake.attempt()


def test_a_copy_of_a_state_that_runs_beside_it_commits_nothing() -> None:
    lake = Lake()
    lake.attempt().commit("x")
    copied = Lake()
    copied.log = copy_of(lake.log)
    copied.records, copied.letters = lake.records, lake.letters
    original, other = lake.attempt(), copied.attempt()
    original.commit("y")
    with pytest.raises(Fenced):
        other.commit("z")
    assert lake.published() == ["x", "y"]
    with pytest.raises(StateOlder):
        copied.attempt()


def test_what_a_copy_has_staged_is_named_and_left_alone() -> None:
    lake = Lake()
    lake.attempt().commit("x")
    copied = Lake()
    copied.log = copy_of(lake.log)
    copied.records, copied.letters = lake.records, lake.letters
    other = copied.attempt(Journal(fatal="commits.stage"))
    with pytest.raises(Killed):
        other.commit("z")
    assert lake.attempt().foreign == (other.owner,)


def test_the_record_that_an_older_format_left_without_a_commit_is_dropped() -> None:
    lake = Lake()
    attempt = lake.attempt()
    attempt.commit("x")
    left = f".worker/{attempt.lineage}/p/commits/000000000002.json"
    lake.records.names[left] = b'{"v":1,"id":"never"}'
    lake.attempt().commit("y")
    assert lake.published() == ["x", "y"]


@pytest.mark.fault(45, by="a staged file is deleted at each step")
@pytest.mark.parametrize("where", ["records", "letters"])
@pytest.mark.parametrize("fatal", ["records.publish", "dead_letters.publish"])
def test_a_staged_file_that_a_cleaner_took_is_never_taken_for_published(
    where: str, fatal: str
) -> None:
    lake = Lake()
    with pytest.raises(Killed):
        lake.attempt(Journal(fatal=fatal)).commit("x", dead=["y"])
    names = getattr(lake, where).names
    kind = {"records": RECORDS, "letters": DEAD_LETTERS}[where]
    if not (staged := [name for name in names if "/staging/" in name and name.endswith(kind)]):
        return  # published already
    del names[staged[0]]
    before = lake.published()
    for _ in range(2):
        with pytest.raises(Unproven):
            lake.attempt()
    assert lake.published() == before


def test_whoever_is_displaced_after_its_commit_may_find_it_finished_by_the_next_owner() -> None:
    lake = Lake()
    slow = lake.attempt()
    publish = slow.sinks[0].publish

    def displaced(*args: Any) -> None:
        lake.attempt().commit("y")
        for store in (lake.records, lake.letters):  # and consumers are quick
            for name in store.published:
                del store.names[name]
        publish(*args)

    slow.sinks[0]._target.publish = displaced
    slow.commit("x")
    assert [row.published for row in lake.log.commits("p")] == [True, True]
    with pytest.raises(Fenced):
        slow.commit("z")


def test_twenty_kills_between_the_record_and_the_commit_are_no_alarm() -> None:
    lake = Lake()
    for _ in range(20):
        with pytest.raises(Killed):
            lake.attempt(Journal(fatal="log.commit")).commit("x")
    lake.attempt().commit("x")
    assert lake.published() == ["x"]


# -- with files, SQLite and the IO thread ---------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Iterator[CommitLog]:
    with closing(SqliteCommitLog(tmp_path / "state.db")) as opened:
        yield opened


def opened(log: CommitLog, root: Path) -> tuple[Committer, Sink, Callable[[], PartitionEnd]]:
    """A committer over a directory, its sink of records, and what makes the end of a commit."""
    log.load("p", {})
    claimed = log.claim("p", ["a"], owner=token_hex(8))
    chain, claim = claimed.chain, claimed.partitions["a"]
    records, letters = (
        FilesSink(root / kind, chain, lambda *_: NdjsonEncoder(), kind=kind)
        for kind in (RECORDS, DEAD_LETTERS)
    )
    commits = FileCommitRecords(
        root / RECORDS / area_of(chain) / "commits", chain.owner, chain.owners
    )
    committer = Committer(log, Outputs(records, letters, commits), chain)
    committer.recover()

    def end() -> PartitionEnd:
        progress = Progress(Cursor(received=claim.cursor.received + 1))
        return PartitionEnd(partition="a", expected_seq=claim.seq, progress=progress)

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


@pytest.mark.fault(10, by="EIO, ENOSPC and EROFS from fsync, write and open")
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


@pytest.mark.fault(13, by="EROFS while files get their names")
def test_a_disk_that_refuses_to_publish_leaves_a_commit_that_is_published_later(
    tmp_path: Path, log: CommitLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    committer, records, end = opened(log, tmp_path)
    records.write(LINE)

    def refuse(*args: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr("worker.runtime.fs.publish", refuse)
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
        io = InOrder(executor)
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
