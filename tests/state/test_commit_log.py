"""What every commit log promises; one implementation today, another one joins by a line in `LOGS`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from worker.core.errors import ConfigError, Fenced, SinkUnavailable, StateError
from worker.core.model import Claim, Commit, Cursor, Ledger, PartitionEnd, Progress, StagedFile
from worker.state.sqlite import SqliteCommitLog

LOGS: dict[str, Callable[[Path], Any]] = {
    "sqlite": lambda directory: SqliteCommitLog(directory / "state.db")
}
MEANING = {"url": "a", "params": "b"}


@pytest.fixture(params=list(LOGS))
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Opens the log anew, as a process does that starts."""
    opened: list[Any] = []

    def again() -> Any:
        opened.append(LOGS[request.param](tmp_path))
        return opened[-1]

    yield again
    for log in opened:
        log.close()


def file(number: int) -> StagedFile:
    return StagedFile(
        "records",
        "/lake",
        f".worker/l/p/staging/f{number}",
        f"r/f{number}",
        10,
        "ab" * 32,
        3,
        "f" * 16,
    )


def commit(
    log: Any,
    claims: dict[str, Claim],
    seq: int,
    *progress: tuple[str, Progress],
    files: tuple[StagedFile, ...] = (),
    seqs: dict[str, int] | None = None,
) -> Commit:
    ends = tuple(
        PartitionEnd(name, claims[name].epoch, (seqs or {}).get(name, claims[name].seq), step)
        for name, step in progress
    )
    lineage = log.load("p", MEANING).lineage
    made = Commit(
        "p",
        lineage,
        seq,
        f"id-{seq}",
        "2024-01-01T00:00:00Z",
        files,
        ends,
        Ledger(received=3, sent=3),
    )
    log.commit(made)
    return made


def at(number: int, **changes: Any) -> Progress:
    return Progress(Cursor(received=number), **changes)


def test_what_was_committed_is_there_after_a_restart(reopen: Callable[[], Any]) -> None:
    log = reopen()
    assert log.load("p", MEANING).seq == 0
    claims = log.claim("p", ["a", "b"])
    made = commit(log, claims, 1, ("a", at(5)), files=(file(1), file(2)))
    state = reopen().load("p", MEANING)
    assert (state.seq, [each.seq for each in state.unpublished], state.unpublished[0].files) == (
        1,
        [1],
        made.files,
    )
    log = reopen()
    log.mark_published("p", 1)
    assert reopen().load("p", MEANING).unpublished == ()
    claims = reopen().claim("p", ["a", "b"])
    assert (claims["a"].cursor.received, claims["a"].seq, claims["b"].cursor) == (5, 1, Cursor())


def test_a_claim_fences_the_owner_before_and_nothing_of_its_commit_is_kept(
    reopen: Callable[[], Any],
) -> None:
    log = reopen()
    log.load("p", MEANING)
    old = log.claim("p", ["a", "b"])
    new = reopen().claim("p", ["b"])
    assert new["b"].epoch > old["b"].epoch
    steps = (
        ("a", at(1, boundary_added=((7, b"k" * 16),), tokens_added=(b"t" * 16,))),
        ("b", at(2)),
    )
    with pytest.raises(Fenced) as caught:
        commit(log, old, 1, *steps, files=(file(1),))
    assert caught.value.partitions == ("b",)
    again = reopen()
    assert again.load("p", MEANING).seq == 0
    claims = again.claim("p", ["a", "b"])
    assert (claims["a"].cursor, claims["a"].boundary, claims["a"].tokens) == (
        Cursor(),
        frozenset(),
        frozenset(),
    )


def test_a_commit_at_the_wrong_seq_is_fenced(reopen: Callable[[], Any]) -> None:
    log = reopen()
    log.load("p", MEANING)
    claims = log.claim("p", ["a"])
    commit(log, claims, 1, ("a", at(1)))
    with pytest.raises(Fenced):
        commit(log, claims, 2, ("a", at(2)))  # it still expects the seq of before


def test_boundary_keys_change_by_difference(reopen: Callable[[], Any]) -> None:
    log = reopen()
    log.load("p", MEANING)
    claims = log.claim("p", ["a"])
    keys = [(value, bytes([value]) * 16) for value in range(5)]
    commit(log, claims, 1, ("a", at(1, boundary_added=tuple(keys[:4]))))
    commit(log, claims, 2, ("a", at(2, boundary_added=(keys[4],), boundary_floor=3)), seqs={"a": 1})
    assert reopen().claim("p", ["a"])["a"].boundary == frozenset(keys[3:])


def test_tokens_of_a_pass_are_forgotten_with_it(reopen: Callable[[], Any]) -> None:
    log = reopen()
    log.load("p", MEANING)
    claims = log.claim("p", ["a"])
    commit(log, claims, 1, ("a", at(1, tokens_added=(b"1" * 16, b"2" * 16))))
    commit(
        log, claims, 2, ("a", at(2, tokens_cleared=True, tokens_added=(b"3" * 16,))), seqs={"a": 1}
    )
    assert reopen().claim("p", ["a"])["a"].tokens == {b"3" * 16}


def test_a_config_that_means_something_else_is_refused_with_the_keys(
    reopen: Callable[[], Any],
) -> None:
    log = reopen()
    log.load("p", MEANING)
    commit(log, log.claim("p", ["a"]), 1, ("a", at(1)))
    with pytest.raises(ConfigError, match=r"source\.url changed") as caught:
        reopen().load("p", {**MEANING, "url": "other"})
    assert "state reset" in caught.value.remedy


def test_before_anything_is_committed_a_config_may_mean_anything(reopen: Callable[[], Any]) -> None:
    log = reopen()
    log.load("p", MEANING)
    commit_of = {**MEANING, "url": "right"}
    log.claim("p", ["a"])
    reopen().load("p", commit_of)
    log = reopen()
    log.load("p", MEANING)
    commit(log, log.claim("p", ["a"]), 1, ("a", at(1)))
    with pytest.raises(ConfigError, match=r"source\.url changed"):
        reopen().load("p", commit_of)


def test_entries_that_older_states_lack_count_as_unchanged_once(reopen: Callable[[], Any]) -> None:
    log = reopen()
    log.load("p", MEANING)
    commit(log, log.claim("p", ["a"]), 1, ("a", at(1)))
    newer = {**MEANING, "method": "1", "headers": "2"}
    reopen().load("p", newer)
    with pytest.raises(ConfigError, match=r"source\.headers changed"):
        reopen().load("p", {**newer, "headers": "3"})


def test_a_key_may_change_while_no_boundary_key_was_made_with_it(reopen: Callable[[], Any]) -> None:
    log = reopen()
    log.load("p", {**MEANING, "key": "1"})
    claims = log.claim("p", ["a", "@dead_letters"])
    commit_as = Commit(
        "p",
        log.load("p", {**MEANING, "key": "2"}).lineage,
        1,
        "id",
        "2024-01-01T00:00:00Z",
        (),
        (),
        Ledger(),
    )
    steps = (("@dead_letters", at(1, boundary_added=((7, b"k" * 16),))), ("a", at(1)))
    log.commit(
        replace(
            commit_as,
            ends=tuple(PartitionEnd(name, claims[name].epoch, 0, step) for name, step in steps),
        )
    )
    log.load("p", {**MEANING, "key": "3"})
    ends = (PartitionEnd("a", claims["a"].epoch, 1, at(2, boundary_added=((7, b"k" * 16),))),)
    log.commit(replace(commit_as, seq=2, id="id2", ends=ends))
    with pytest.raises(ConfigError, match=r"source\.key changed"):
        reopen().load("p", {**MEANING, "key": "4"})


def test_a_state_of_a_newer_program_is_refused(reopen: Callable[[], Any], tmp_path: Path) -> None:
    reopen().close()
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StateError, match="format 99"):
        reopen()


class LogMachine(RuleBasedStateMachine):
    """Two owners claim and commit in any order: a commit is kept exactly if nobody claimed since."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.directory = tempfile.TemporaryDirectory()
        self.log = SqliteCommitLog(Path(self.directory.name) / "state.db")
        self.log.load("p", MEANING)
        self.claims: dict[str, dict[str, Claim]] = {}
        self.expected: dict[str, dict[str, int]] = {}
        self.owner: dict[str, str] = {}
        self.cursor = {"a": 0, "b": 0}
        self.seq = self.steps = 0

    @rule(
        who=st.sampled_from(["one", "two"]), names=st.sets(st.sampled_from(["a", "b"]), min_size=1)
    )
    def claim(self, who: str, names: set[str]) -> None:
        claims = self.log.claim("p", sorted(names))
        self.claims.setdefault(who, {}).update(claims)
        for name, claim in claims.items():
            assert claim.cursor.received == self.cursor[name]
            self.owner[name] = who
            self.expected.setdefault(who, {})[name] = claim.seq

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.claims)))
        names = data.draw(st.sets(st.sampled_from(sorted(self.claims[who])), min_size=1))
        self.steps += 1
        steps = [(name, at(self.steps)) for name in sorted(names)]
        fenced = [name for name in sorted(names) if self.owner[name] != who]
        try:
            commit(self.log, self.claims[who], self.seq + 1, *steps, seqs=self.expected[who])
        except Fenced as error:
            assert list(error.partitions) == fenced
            return
        assert not fenced
        self.seq += 1
        for name in names:
            self.cursor[name] = self.steps
            self.expected[who][name] = self.seq

    def teardown(self) -> None:
        assert self.log.load("p", MEANING).seq == self.seq
        self.log.close()
        self.directory.cleanup()


LogMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestLogMachine = LogMachine.TestCase


@pytest.mark.parametrize("mode", ["NORMAL", "EXCLUSIVE"])
def test_a_database_that_another_program_holds_is_waited_for_and_not_called_damaged(
    reopen: Callable[[], Any], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.state.sqlite.LOCKED_S", 0.01)
    log = reopen()
    claims = log.claim("p", ["a"])
    log.load("p", MEANING)
    if mode == "EXCLUSIVE":
        log.close()  # such a lock is given only where nobody else has the file open
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute(f"PRAGMA locking_mode = {mode}")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkUnavailable, match="locked by another program"):
        commit(reopen() if mode == "EXCLUSIVE" else log, claims, 1, ("a", at(1)))
    other.execute("ROLLBACK")
    other.close()
    commit(reopen() if mode == "EXCLUSIVE" else log, claims, 1, ("a", at(1)))
    assert reopen().claim("p", ["a"])["a"].cursor.received == 1
