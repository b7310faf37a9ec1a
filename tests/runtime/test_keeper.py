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

from worker.core.checkpoint import EXPIRED, Checkpoint, KeptPartition, encoded
from worker.core.cursor import Cursor
from worker.core.dead_letter import Rejection, dead_letter_line
from worker.core.digest import commit_record, sealed
from worker.core.errors import SinkUnavailable
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    REPLAYED,
    Commit,
    Progress,
    Reject,
    StagedFile,
)
from worker.core.names import commit_of
from worker.core.ports import CommitLog, CommitRecords
from worker.runtime import expiry
from worker.runtime.expiry import Expired, Expiry
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


def at(number: int) -> str:
    """When commit `number` was made."""
    return f"2024-01-01T00:00:{number // 1000:02}.{number % 1000:03}Z"


def letter(number: int) -> bytes:
    """The dead letter of commit `number`."""
    return dead_letter_line(
        Reject(0, "validate", "invalid", (), b"{}"),
        Rejection(
            pipeline="p",
            partition="a",
            seq=number,
            position=None,
            at=at(number),
            fingerprint="f" * 16,
        ),
    )


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
        row = sealed(replace(draft.row, at=at(number), digest=""))
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
        if kind == DEAD_LETTERS:
            store.areas.add((self.chain.lineage, "p"))
            store.names[final] = letter(number)
        return structs.replace(
            staged(number, kind), final=final, size_bytes=len(store.names[final]), root=store.url
        )

    def letters(self) -> list[int]:
        """The commits whose dead letters are there."""
        found = (commit_of(name, "p", self.chain.lineage) for name in sorted(self.dead.names))
        return [number for number in found if number is not None]

    def expiry(self, keep_s: float, *, log: Any = None, dead: Any = None) -> Expiry:
        root = dead or MemoryRoot(self.dead, DEAD_LETTERS)
        return Expiry(log or self.log, lambda: root, "p", self.clock, keep_s=keep_s)

    def keeper(
        self,
        keep_s: float = 0.0,
        records: Any = None,
        log: Any = None,
        expiry: Expiry | None = None,
    ) -> Keeper:
        return Keeper(
            log or self.log,
            records or self.records,
            self.chain,
            self.clock,
            keep_s=keep_s,
            expiry=expiry,
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
    assert prune(instance.keeper()).pruned == 4
    assert instance.kept() == ([5], [5])
    assert list(instance.records.checkpoints()) == [5]
    assert instance.log.chains("p")[0].pruned == 4
    instance.commit(6)
    assert instance.log.load("p", MEANING).seq == 6


def test_what_is_younger_stays() -> None:
    instance = Instance(5)
    keep_s = 1.0 + 0.001 - 1e-4  # commit 4 was made so long ago
    assert old_commits(instance.log, instance.log.chains("p")[0], instance.clock, keep_s) == 3
    assert prune(instance.keeper(keep_s)).pruned == 3
    assert instance.kept() == ([4, 5], [4, 5])


def test_commits_with_dead_letters_wait_until_these_were_replayed_or_purged() -> None:
    instance = Instance(8, letters=(2, 4, 6))
    assert prune(instance.keeper()).pruned == 4
    assert instance.kept() == ([2, 4, 6, 8], [2, 4, 6, 8])
    instance.commit(9, name=REPLAYED, mark=2)
    (purged,) = next(instance.log.commits("p", 4)).files
    instance.log.keep_gone("p", [purged], "purged")
    assert prune(instance.keeper()).pruned == 3
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
    assert prune(instance.keeper()).pruned in (0, 4)
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


# -- dead letters that are too old -----------------------------------------------------------------

OF_FIVE = 1.0 + 0.002 - 1e-4
"""Of commits up to 8, those up to 5 were made longer ago than so many seconds."""


def test_dead_letters_that_are_too_old_are_removed_and_no_others() -> None:
    instance = Instance(8, letters=(2, 5, 6))
    assert instance.expiry(OF_FIVE).work() == Expired(2)
    assert instance.letters() == [6]
    assert set(instance.log.gone("p").values()) == {EXPIRED}
    assert not (OF_THE_LOG | {"file_missing", "file_unknown"}) & codes(instance, instance.log)
    assert instance.expiry(OF_FIVE).work() == Expired(0)


def test_rows_are_forgotten_behind_the_letters_that_waited() -> None:
    instance = Instance(8, letters=(2, 5, 6))
    kept = prune(instance.keeper(expiry=instance.expiry(OF_FIVE)))
    assert (kept.expired, kept.pruned) == (2, 6)
    assert instance.kept() == ([6, 8], [6, 8])
    assert instance.log.gone("p") == {}


def test_letters_whose_commits_were_forgotten_are_found_by_their_names() -> None:
    instance = Instance(8, letters=(2, 6))
    instance.commit(9, name=REPLAYED, mark=6)
    prune(instance.keeper())
    assert (instance.kept()[0], instance.letters()) == ([9], [2, 6])
    strange = f"p-{instance.chain.lineage}-{5:012}-0001.dead_letters"
    instance.dead.names[strange] = b"no letter\n"
    instance.dead.names[f"p-{instance.chain.lineage}-{90:012}-0001.dead_letters"] = letter(2)
    assert instance.expiry(OF_FIVE).work() == Expired(1)
    assert instance.letters() == [5, 6, 90]


def test_letters_of_a_lineage_that_was_reset_are_removed_too() -> None:
    instance = Instance(8, letters=(2, 6))
    instance.log.reset("p")
    assert instance.expiry(OF_FIVE).work() == Expired(1)
    assert instance.letters() == [6]


def test_letters_that_are_not_published_yet_wait() -> None:
    instance = Instance(3, letters=(2,))
    instance.owner.published = lambda number: None  # type: ignore[method-assign]
    instance.commit(4, dead=True)
    instance.clock.advance(1e6)
    assert instance.expiry(1.0).work() == Expired(1)
    assert instance.letters() == [4]


def test_a_bounded_number_is_removed_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "MOST_FILES", 2)
    instance = Instance(8, letters=(1, 2, 3, 4, 5))
    instance.commit(9, name=REPLAYED, mark=3)
    prune(instance.keeper())
    left = []
    while instance.expiry(0.0).work().more:
        left.append(len(instance.letters()))
    assert (left, instance.letters()) == ([3, 1], [])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", ["keep_gone", "delete", "remove", "write_checkpoint", "prune"])
def test_after_a_kill_at_any_step_of_the_removal_nothing_is_missed_and_nothing_stays(
    name: str, late: bool
) -> None:
    instance = Instance(9, letters=(2, 3, 5, 7))
    instance.commit(10, name=REPLAYED, mark=3)
    prune(instance.keeper(1.0 + 0.005 - 1e-4))  # forgets what was replayed, of which letters stand
    log, records, dead = (
        dying(port, name, late=late) if hasattr(port, name) else port
        for port in (instance.log, instance.records, MemoryRoot(instance.dead, DEAD_LETTERS))
    )
    keep_s = 1.0 + 0.003 - 1e-4
    with suppress(Killed):
        prune(
            instance.keeper(
                keep_s, records=records, log=log, expiry=instance.expiry(keep_s, log=log, dead=dead)
            )
        )
    wrong = OF_THE_LOG | {"file_missing", "file_unknown"}
    assert not wrong & codes(instance, instance.log)
    assert not wrong & codes(instance, instance.rebuilt())
    prune(instance.keeper(keep_s, expiry=instance.expiry(keep_s)))
    assert instance.letters() == [7]
    assert instance.kept()[0] == [6, 7, 8, 9, 10]
    assert not wrong & codes(instance, instance.log)


def test_where_the_letters_are_away_nothing_is_forgotten() -> None:
    instance = Instance(5, letters=(2,))

    class Away(MemoryRoot):
        def delete(self, file: StagedFile) -> None:
            raise SinkUnavailable("not mounted")

    dead = Away(instance.dead, DEAD_LETTERS)
    with pytest.raises(SinkUnavailable):
        instance.keeper(expiry=instance.expiry(0.0, dead=dead)).work()
    assert instance.kept()[0] == [1, 2, 3, 4, 5]


def test_a_pipeline_without_news_looks_for_old_letters_too() -> None:
    instance = Instance(4, letters=(2,))
    assert instance.keeper().patience_s() is None
    keeper = instance.keeper(1e12, expiry=instance.expiry(1e6))
    assert keeper.patience_s() == 0.0
    assert keeper.now_and_then().expired == 0
    assert keeper.patience_s() == EVERY_S
    instance.clock.advance(2e6)
    assert (keeper.patience_s(), keeper.now_and_then().expired) == (0.0, 1)
