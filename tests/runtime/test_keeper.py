"""Checkpoint, records, rows: what is forgotten, and what is there after a kill at any step."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from worker.core.checkpoint import Checkpoint, KeptPartition, encoded
from worker.core.cursor import Cursor
from worker.core.digest import commit_record, sealed
from worker.core.errors import SinkUnavailable
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    REPLAYED,
    Commit,
    Progress,
    StagedFile,
)
from worker.core.ports import CommitLog, CommitRecords
from worker.runtime.keeper import EVERY_S, MOST, Keeper, Kept, old_commits, prune
from worker.runtime.rebuild import Found, Place, chains_of
from worker.runtime.verify import Beside, verify
from worker.sinks.commit_records import FileCommitRecords
from worker.state import retention
from worker.state.database import Database
from worker.state.sqlite import SqliteCommitLog
from worker.testing.clock import FakeClock
from worker.testing.commit_log_contract import MEANING, Owner, staged
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import MemoryCommitRecords, MemoryRoot, MemoryStore

BEGIN_S = 1_704_067_200.0
"""The beginning of 2024."""
KEY = b"k" * 16


OF_THE_LOG = {"row_changed", "chain_broken", "commits_missing", "head", "memory", "cursor"}
"""Findings about the log itself; the files of these commits were never made."""


def codes(instance: Instance, log: CommitLog) -> set[str]:
    """What `verify` finds."""
    beside = Beside(
        roots=[MemoryRoot(instance.lake), MemoryRoot(instance.dead, DEAD_LETTERS)],
        records=lambda chain: MemoryCommitRecords(instance.lake, chain),
        fingerprint_of=lambda text: "f" * 16,
    )
    return {each.code for each in verify(log, "p", beside).findings}


class Killed(BaseException):
    """The process ends here."""


class Instance:
    """A chain whose commits were made a millisecond after each other, from 2024 on, and a second
    ago; `letters` of them have dead letters.
    """

    def __init__(
        self, commits: int, letters: tuple[int, ...] = (), *, directory: Path | None = None
    ) -> None:
        self.log: CommitLog = MemoryCommitLog()
        if directory is not None:
            self.log = SqliteCommitLog(directory / "state" / "state.db")
        self.clock = FakeClock()
        self.lake, self.dead = MemoryStore(), MemoryStore("memory://dead")
        self.log.load("p", MEANING)
        self.owner = Owner(self.log, "a", REPLAYED)
        self.chain = self.owner.chain
        self.lake.areas.add((self.chain.lineage, "p"))
        self.records: CommitRecords = MemoryCommitRecords(self.lake, self.chain)
        if directory is not None:
            (directory / "commits").mkdir()
            self.records = FileCommitRecords(directory / "commits", self.chain.owner, ())
        for number in range(1, commits + 1):
            self.commit(number, dead=number in letters)
        self.clock.advance(BEGIN_S + commits / 1e3 + 1.0 - self.clock.time())

    def commit(self, number: int, *, dead: bool = False, name: str = "a", mark: Any = None) -> None:
        step = Progress(Cursor(received=number, mark=mark), ((number, KEY),), number - 2)
        files = (self._file(number, DEAD_LETTERS),) if dead else (self._file(number, RECORDS),)
        draft = self.owner.draft({name: step}, files=files)
        at = f"2024-01-01T00:00:{number // 1000:02}.{number % 1000:03}Z"
        row = sealed(replace(draft.row, at=at, digest=""))
        made = Commit(row, draft.progress, draft.schema)
        self.records.stage(
            number,
            commit_record(made, owner=self.chain.owner, schema="{}", meaning=MEANING),
        )
        self.log.commit(made)
        self.records.prove(number)
        self.owner.seq, self.owner._digest = row.seq, row.digest
        self.owner.seqs[name] = row.seq
        self.owner.published(number)

    def _file(self, number: int, kind: str) -> StagedFile:
        final = f"p-{self.chain.lineage}-{number:012}-0001.{kind}"
        store = self.dead if kind == DEAD_LETTERS else self.lake
        store.names[final] = b"x\n" * 3
        return structs.replace(staged(number, kind), final=final, size_bytes=6, root=store.url)

    def keeper(self, keep_s: float = 0.0, records: Any = None, log: Any = None) -> Keeper:
        return Keeper(
            log or self.log,
            records or self.records,
            self.chain,
            self.clock,
            keep_s=keep_s,
        )

    def kept(self) -> tuple[list[int], list[int]]:
        """The commits of the log, and those of the records."""
        return [row.seq for row in self.log.commits("p")], list(self.records.seqs())

    def rebuilt(self) -> MemoryCommitLog:
        (found,) = self.found()
        log = MemoryCommitLog()
        log.restore(found.chain.state, [(found.chain, found.rows())])
        return log

    def found(self) -> list[Found]:
        roots = {RECORDS: MemoryRoot(self.lake), DEAD_LETTERS: MemoryRoot(self.dead, DEAD_LETTERS)}
        return chains_of(Place("p", {self.chain.lineage: self.records}, roots))


@pytest.mark.fault(57, by="commits that are older than they are kept")
def test_all_but_the_last_commit_is_forgotten_behind_a_checkpoint() -> None:
    instance = Instance(5)
    assert prune(instance.keeper()) == 4
    assert instance.kept() == ([5], [5])
    assert list(instance.records.checkpoints()) == [5]
    assert instance.log.chains("p")[0].pruned == 4
    instance.commit(6)
    assert instance.log.load("p", MEANING).seq == 6


def test_what_is_younger_stays() -> None:
    instance = Instance(5)
    keep_s = 1.0 + 0.001 - 1e-4  # commit 4 was made so long ago
    assert old_commits(instance.log, instance.log.chains("p")[0], instance.clock, keep_s) == 3
    assert prune(instance.keeper(keep_s)) == 3
    assert instance.kept() == ([4, 5], [4, 5])


def test_commits_with_dead_letters_wait_until_these_were_replayed_or_purged() -> None:
    instance = Instance(8, letters=(2, 4, 6))
    assert prune(instance.keeper()) == 4
    assert instance.kept() == ([2, 4, 6, 8], [2, 4, 6, 8])
    instance.commit(9, name=REPLAYED, mark=2)
    (purged,) = next(instance.log.commits("p", 4)).files
    instance.log.keep_gone("p", [purged], "purged")
    assert prune(instance.keeper()) == 3
    assert instance.kept() == ([6, 9], [6, 9])
    assert instance.log.gone("p") == {}


def test_a_pipeline_that_runs_looks_now_and_then_and_does_a_bounded_part() -> None:
    instance = Instance(MOST + 20)
    keeper = instance.keeper()
    first = keeper.now_and_then()
    assert (first.pruned, first.more, first.checkpoint) == (MOST, True, MOST + 20)
    assert keeper.now_and_then().pruned == 19
    instance.commit(MOST + 21)
    assert keeper.now_and_then() == Kept()
    instance.clock.advance(EVERY_S)
    assert keeper.now_and_then().pruned == 1


def test_a_checkpoint_is_written_when_the_records_are_larger_than_it() -> None:
    instance = Instance(3)
    keeper = instance.keeper(1e12)
    assert keeper.work() == Kept()
    data = b"x" * (1 << 20)
    instance.lake.names[f".worker/{instance.chain.lineage}/p/commits/{2:012}.json"] = data
    assert keeper.work().checkpoint == 3
    assert keeper.work() == Kept()


def test_a_state_whose_records_say_too_little_gets_a_checkpoint_at_once() -> None:
    instance = Instance(3)
    old = b'{"v":1,"id":"x","seq":1}'
    instance.lake.names[f".worker/{instance.chain.lineage}/p/commits/{1:012}.json"] = old
    assert instance.keeper(1e12).work().checkpoint == 3
    assert len(list(instance.rebuilt().commits("p"))) == 2


def dying(port: Any, name: str, *, late: bool) -> Any:
    """A port that ends the process before a call, or right after it."""

    class Dying:
        def __getattr__(self, attribute: str) -> Any:
            value: Callable[..., Any] = getattr(port, attribute)
            if attribute != name:
                return value

            def call(*args: Any, **options: Any) -> Any:
                if late:
                    value(*args, **options)
                raise Killed

            return call

    return Dying()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ["write_checkpoint", "delete", "prune"])
@pytest.mark.parametrize("again", [0, 1])
def test_after_a_kill_at_any_step_it_goes_on_and_can_be_rebuilt(
    name: str, late: bool, again: int
) -> None:
    instance = Instance(9, letters=(3,))
    records = instance.records if name == "prune" else dying(instance.records, name, late=late)
    log = dying(instance.log, name, late=late) if name == "prune" else instance.log
    for _ in range(1 + again):
        with suppress(Killed):
            prune(instance.keeper(records=records, log=log))
    truth, found = instance.log.checkpoint("p"), instance.rebuilt().checkpoint("p")
    assert (moved(found), found.digest, found.seq) == (moved(truth), truth.digest, truth.seq)
    assert not OF_THE_LOG & codes(instance, instance.rebuilt())
    prune(instance.keeper())
    assert instance.kept() == ([3, 9], [3, 9])
    instance.commit(10)
    assert moved(instance.rebuilt().checkpoint("p")) == moved(instance.log.checkpoint("p"))


def moved(chain: Checkpoint) -> list[KeptPartition]:
    """The partitions that a commit has moved."""
    return [part for part in chain.partitions if part.seq]


@pytest.mark.parametrize("number", range(1, 24))
def test_after_a_kill_at_any_call_of_the_system_it_goes_on_and_can_be_rebuilt(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = Instance(6, letters=(3,), directory=tmp_path)
    instance.records.write_checkpoint(1, b"damaged")
    instance.records.write_checkpoint(2, b"damaged")
    truth, calls = moved(instance.log.checkpoint("p")), count(1)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            if next(calls) == number:
                raise Killed
            return call(*args, **options)

        return counted

    with monkeypatch.context() as patch:
        for owner, name in ((os, "write"), (os, "fsync"), (os, "mkdir")):
            patch.setattr(owner, name, dying(getattr(owner, name)))
        for name in ("unlink", "replace"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(Database, "shrink", dying(Database.shrink))
        patch.setattr(retention, "forget", dying(retention.forget))
        with suppress(Killed):
            prune(instance.keeper())
    rebuilt = instance.rebuilt()
    assert moved(rebuilt.checkpoint("p")) == truth
    assert prune(instance.keeper()) in (0, 4)
    assert instance.kept() == ([3, 6], [3, 6])
    instance.commit(7)
    assert moved(instance.rebuilt().checkpoint("p")) == moved(instance.log.checkpoint("p"))
    instance.log.close()


def test_a_record_that_is_half_deleted_is_not_missed() -> None:
    instance = Instance(9)
    instance.records.write_checkpoint(9, encoded(instance.log.checkpoint("p")))
    instance.records.delete([1, 3, 4])
    (found,) = instance.found()
    assert found.chain.pruned == 4
    assert [row.seq for row in found.rows()] == [2, 5, 6, 7, 8, 9]
    assert not (OF_THE_LOG | {"file_unknown"}) & codes(instance, instance.rebuilt())


def test_what_cannot_be_deleted_leaves_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    instance = Instance(5)

    def full(seqs: Any) -> None:
        raise SinkUnavailable("full")

    monkeypatch.setattr(instance.records, "delete", full)
    with pytest.raises(SinkUnavailable):
        instance.keeper().work()
    assert [row.seq for row in instance.log.commits("p")] == [1, 2, 3, 4, 5]


def test_a_chain_that_never_committed_has_nothing_to_forget() -> None:
    instance = Instance(0)
    assert instance.log.prunable("p", "2030", 10).seqs == ()
    assert instance.log.prunable("never", "2030", 10).seqs == ()
