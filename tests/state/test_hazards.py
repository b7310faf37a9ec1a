"""What two owners of one state could do to each other, each on every log and with files.

Each of these lost, doubled or wedged something while a lock alone kept owners apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from secrets import token_hex

import pytest

from worker.core.cursor import Cursor
from worker.core.errors import ConfigError, Fenced
from worker.core.model import (
    DEAD_LETTERS,
    Chunk,
    CommitRow,
    Ledger,
    PartitionEnd,
    Progress,
)
from worker.core.ports import CommitLog, Outputs
from worker.formats.ndjson import NdjsonEncoder
from worker.runtime.committer import Committer
from worker.sinks.commit_records import FileCommitRecords
from worker.sinks.files import FilesSink, area_of
from worker.state.sqlite import SqliteCommitLog
from worker.testing.memory_log import MemoryCommitLog, Tables

LOGS: dict[str, Callable[[Path, Tables], CommitLog]] = {
    "sqlite": lambda directory, tables: SqliteCommitLog(directory / "state.db"),
    "memory": lambda directory, tables: MemoryCommitLog(tables),
}


class Owner:
    """One process that owns, or has owned, partitions of a pipeline: it opens like an attempt."""

    def __init__(
        self,
        log: CommitLog,
        root: Path,
        *partitions: str,
        shard: int = 0,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        self.log, self.root, self.shard, self._partitions = log, root, shard, partitions
        self.name, self._held = token_hex(8), None
        log.load("p", {}, shard=shard)
        between()
        self.begin()

    def begin(self, held: int | None = None) -> None:
        """An attempt, from the claim on."""
        claimed = self.log.claim(
            "p", self._partitions, owner=self.name, held=held, shard=self.shard
        )
        self.chain, self.claims = claimed.chain, claimed.partitions
        self.sink = FilesSink(self.root, self.chain, lambda *_: NdjsonEncoder())
        letters = FilesSink(
            self.root / "letters", self.chain, lambda *_: NdjsonEncoder(), kind=DEAD_LETTERS
        )
        records = FileCommitRecords(
            self.root / area_of(self.chain) / "commits", self.chain.owner, self.chain.owners
        )
        self.committer = Committer(self.log, Outputs(self.sink, letters, records), self.chain)
        self.committer.recover()
        self.seqs = {name: claim.seq for name, claim in self.claims.items()}

    def write(self, *lines: str) -> None:
        self.sink.write(Chunk("", "f" * 16, len(lines), "".join(f"{x}\n" for x in lines).encode()))

    def commit(self, *partitions: str, rows: int) -> CommitRow:
        ends = [
            PartitionEnd(name, self.seqs[name], Progress(Cursor(received=self.committer.next_seq)))
            for name in partitions
        ]
        row = self.committer.commit(ends, Ledger(received=rows, sent=rows))
        self.seqs.update(dict.fromkeys(partitions, row.seq))
        return row


@pytest.fixture(params=LOGS)
def logs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], CommitLog]]:
    """Opens the log once more, as another process does."""
    tables = Tables()
    with ExitStack() as stack:

        def again() -> CommitLog:
            return stack.enter_context(closing(LOGS[request.param](tmp_path, tables)))

        yield again


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def lines(root: Path) -> list[str]:
    """What a plain listing shows."""
    return sorted(line for path in root.glob("*.ndjson") for line in path.read_text().splitlines())


def test_1_owners_of_different_partitions_commit_beside_each_other(
    logs: Callable[[], CommitLog], root: Path
) -> None:
    one, two = Owner(logs(), root, "x", shard=0), Owner(logs(), root, "y", shard=1)
    for each, partition in ((one, "x"), (two, "y"), (two, "y"), (one, "x")):
        each.write(partition)
        each.commit(partition, rows=1)
    assert lines(root) == ["x", "x", "y", "y"]
    assert {row.partition: (row.shard, row.seq) for row in logs().partitions("p")} == {
        "x": (0, 2),
        "y": (1, 2),
    }


def test_1_in_one_chain_the_owner_of_another_partition_displaces_the_one_before(
    logs: Callable[[], CommitLog], root: Path
) -> None:
    one = Owner(logs(), root, "x")
    two = Owner(logs(), root, "y")
    one.write("lost")
    with pytest.raises(Fenced):
        one.commit("x", rows=1)
    two.write("y")
    two.commit("y", rows=1)
    assert lines(root) == ["y"]


def test_2_a_commit_of_another_owner_is_not_marked_published(
    logs: Callable[[], CommitLog], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Owner(logs(), root, "x", shard=0), Owner(logs(), root, "y", shard=1)
    one.write("x")
    with monkeypatch.context() as killed:
        killed.setattr(one.sink, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            one.commit("x", rows=1)
    two.write("y")
    two.commit("y", rows=1)
    assert [row.seq for row in logs().load("p", {}, shard=0).unpublished] == [1]
    Owner(logs(), root, "x", shard=0)
    assert lines(root) == ["x", "y"]


def test_3_an_owner_from_before_a_reset_has_an_epoch_that_nobody_has_again(
    logs: Callable[[], CommitLog], root: Path
) -> None:
    old = Owner(logs(), root, "x")
    old.write("old")
    logs().reset("p")
    new = Owner(logs(), root, "x")
    assert new.chain.epoch > old.chain.epoch
    with pytest.raises(Fenced):
        old.commit("x", rows=1)
    new.write("new")
    assert new.commit("x", rows=1).seq == 1
    assert lines(root) == ["new"]


def test_4_a_commit_between_load_and_claim_is_followed(
    logs: Callable[[], CommitLog], root: Path
) -> None:
    old = Owner(logs(), root, "x")
    old.write("a")

    def commit() -> None:
        old.commit("x", rows=1)

    new = Owner(logs(), root, "x", between=commit)
    assert (new.chain.seq, new.claims["x"].seq) == (1, 1)
    new.write("b")
    assert new.commit("x", rows=1).seq == 2
    assert lines(root) == ["a", "b"]


def test_5_two_owners_stage_at_the_same_time(logs: Callable[[], CommitLog], root: Path) -> None:
    old = Owner(logs(), root, "x")
    old.write("a")
    new = Owner(logs(), root, "x")
    new.write("b")
    with pytest.raises(Fenced):
        old.commit("x", rows=1)
    new.commit("x", rows=1)
    assert lines(root) == ["b"]


def test_6_what_the_owner_before_has_sealed_is_committed_and_published_or_neither(
    logs: Callable[[], CommitLog], root: Path
) -> None:
    """The new owner opens between the seal and the COMMIT of the old one."""
    for committed in (False, True):
        old = Owner(logs(), root, "x")
        point = old.log.commit

        def late(commit: object, committed: bool = committed, point: object = point) -> None:
            if committed:
                point(commit)  # type: ignore[operator]
            Owner(logs(), root, "x")
            if not committed:
                point(commit)  # type: ignore[operator]

        old.log.commit = late  # type: ignore[method-assign]
        old.write("a")
        if committed:
            old.commit("x", rows=1)
        else:
            with pytest.raises(Fenced):
                old.commit("x", rows=1)
        assert lines(root) == ["a"] * committed
        with pytest.raises(Fenced):
            old.commit("x", rows=0)


@pytest.mark.fault(15, by="two owners over one log")
def test_7_a_displaced_owner_takes_nothing_back(logs: Callable[[], CommitLog], root: Path) -> None:
    old = Owner(logs(), root, "x")
    new = Owner(logs(), root, "x")
    with pytest.raises(Fenced):
        old.begin(held=old.chain.epoch)
    new.write("b")
    new.commit("x", rows=1)
    new.begin(held=new.chain.epoch)  # another attempt of the one that owns it
    new.write("c")
    new.commit("x", rows=1)
    assert lines(root) == ["b", "c"]


def test_8_the_shards_of_a_pipeline_share_a_root_and_another_state_does_not(
    logs: Callable[[], CommitLog], root: Path, tmp_path: Path
) -> None:
    shards = [Owner(logs(), root, f"x{shard}", shard=shard) for shard in range(4)]
    assert len({owner.chain.lineage for owner in shards}) == 4
    for shard, owner in enumerate(shards):
        owner.write(str(shard))
        owner.commit(f"x{shard}", rows=1)
    with pytest.raises(ConfigError, match="knows nothing of"):
        Owner(MemoryCommitLog(), root, "x0")
    Owner(logs(), root, "x2", shard=2)
    assert lines(root) == ["0", "1", "2", "3"]
