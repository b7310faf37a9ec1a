"""Every difference between a log and its output is a finding that names its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from worker.core.cursor import Cursor
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    REPLAYED,
    ChainRow,
    ChainState,
    Chunk,
    CommitRow,
    Ledger,
    PartitionEnd,
    Progress,
)
from worker.core.ports import Evidence, Outputs
from worker.runtime.committer import Committer
from worker.runtime.verify import Beside, Report, verify
from worker.testing.memory_log import MemoryCommitLog
from worker.testing.memory_sink import (
    MemoryCommitRecords,
    MemoryRoot,
    MemorySink,
    MemoryStore,
)


class Instance:
    """A pipeline of two partitions after three commits; `b` was moved by the second one only."""

    def __init__(self) -> None:
        self.log, self.lake, self.dead = MemoryCommitLog(), MemoryStore("lake"), MemoryStore("dead")
        self.roots: tuple[Any, Any] = (
            MemoryRoot(self.lake, RECORDS),
            MemoryRoot(self.dead, DEAD_LETTERS),
        )
        self.log.load("p", {})
        chain = self.log.claim("p", ["a", "b"], owner="me").chain
        self.lineage = chain.lineage
        self.sinks = (
            MemorySink(self.lake, chain, kind=RECORDS),
            MemorySink(self.dead, chain, kind=DEAD_LETTERS),
        )
        outputs = Outputs(*self.sinks, MemoryCommitRecords(self.lake, chain))
        self.committer = Committer(self.log, outputs, chain)
        self.committer.recover()
        self.seqs = {"a": 0, "b": 0}
        for partitions in (["a"], ["a", "b"], ["a"]):
            self.commit(*partitions)

    def commit(self, *partitions: str) -> None:
        """Two records and a dead letter."""
        for sink, lines in zip(self.sinks, (["x", "y"], ["z"]), strict=True):
            data = "".join(f"{line}\n" for line in lines).encode()
            sink.write(Chunk("", "f" * 16, len(lines), data))
        seq = self.committer.next_seq
        ends = [
            PartitionEnd(
                partition=name,
                expected_seq=self.seqs[name],
                progress=Progress(Cursor(received=seq)),
            )
            for name in partitions
        ]
        self.committer.commit(ends, Ledger(received=3, sent=2, dead_lettered=1))
        self.seqs.update(dict.fromkeys(partitions, seq))

    def verify(self, since: int | str | None = None, **beside: Any) -> Report:
        found = Beside(self.roots, self.records, fingerprint_of=lambda text: "f" * 16, **beside)
        return verify(self.log, "p", found, since=since)

    def records(self, chain: ChainRow) -> MemoryCommitRecords:
        return MemoryCommitRecords(self.lake, ChainState("p", chain.shard, chain.lineage))

    def findings(self) -> list[str]:
        return list(map(str, self.verify().findings))

    def change(self, seq: int, **changes: Any) -> None:
        """Changes a row of the log by hand."""
        commits = self.log.tables.pipelines["p"].chains[0].commits
        commits[seq - 1] = replace(commits[seq - 1], **changes)

    def row(self, seq: int) -> CommitRow:
        return self.log.tables.pipelines["p"].chains[0].commits[seq - 1]


@pytest.fixture
def instance() -> Instance:
    return Instance()


def test_what_is_as_it_was_committed_is_counted_and_has_no_findings(instance: Instance) -> None:
    assert instance.verify() == Report("p", commits=3, files=6, rows=9)
    assert verify(instance.log, "never", Beside((), instance.records, str)) == Report("never")


@pytest.mark.parametrize("seq", [1, 2, 3])
@pytest.mark.parametrize(
    "changes",
    [
        {"id": "other"},
        {"at": "2030-01-01T00:00:00.000Z"},
        {"lineage": "other"},
        {"digest": "00" * 32},
    ],
)
def test_a_row_that_was_changed_breaks_the_chain_at_its_commit(
    instance: Instance, seq: int, changes: dict[str, Any]
) -> None:
    instance.change(seq, **changes)
    first, *others = instance.verify().findings
    assert str(first).startswith(
        f"pipeline p, commit {seq}: its row, files or cursors were changed"
    )
    codes = {finding.code for finding in others}
    assert "record_changed" in codes, "the record beside the output says what it was"
    assert ("digest" in changes) == bool(codes & {"chain_broken", "head"})


def test_a_commit_that_was_taken_out_breaks_the_chain(instance: Instance) -> None:
    del instance.log.tables.pipelines["p"].chains[0].commits[1]
    findings = instance.findings()
    assert findings[0] == "pipeline p, commit 3: commits 2 to 2 are missing before it"
    assert sum("no commit names this file" in each for each in findings) == 2


def test_the_last_commit_cannot_be_taken_out_either(instance: Instance) -> None:
    del instance.log.tables.pipelines["p"].chains[0].commits[2]
    assert "pipeline p: the last commit is not the one that was last written" in instance.findings()


def test_a_ledger_that_does_not_balance_or_agree_with_its_files_is_named(
    instance: Instance,
) -> None:
    instance.change(2, ledger=Ledger(received=9, sent=3, dead_lettered=1))
    findings = [each for each in instance.findings() if "the ledger" in each]
    assert findings[0].startswith("pipeline p, commit 2: the ledger does not balance: Ledger(")
    assert findings[1:] == ["pipeline p, commit 2: the ledger says 3 records, its files 2"]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"x\n", "it has 1 rows, 2 were committed; it has 2 bytes, 4 were committed"),
        (b"xyz\nw\n", "it has 6 bytes, 4 were committed"),
        (b"x\nw\n", "its content was changed"),
    ],
)
def test_a_file_that_was_changed_is_named_with_what_differs(
    instance: Instance, content: bytes, finding: str
) -> None:
    (file,) = (file for file in instance.row(2).files if file.kind == RECORDS)
    instance.lake.names[file.final] = content
    assert instance.findings() == [f"lake/{file.final} (commit 2): {finding}"]


def test_a_file_that_cannot_be_read_hides_nothing_of_the_others(instance: Instance) -> None:
    class Unreadable(MemoryRoot):
        def examine(self, file: Any) -> Evidence:
            if file in instance.row(1).files:
                return Evidence(problem="cannot be read: Permission denied")
            return super().examine(file)

    instance.roots = (Unreadable(instance.lake, RECORDS), instance.roots[1])
    report = instance.verify()
    (finding,) = report.findings
    assert str(finding).endswith("(commit 1): cannot be read: Permission denied")
    assert (report.files, report.rows) == (6, 7)


def test_a_damaged_file_of_another_size_says_both(instance: Instance) -> None:
    class Damaged(MemoryRoot):
        def examine(self, file: Any) -> Evidence:
            return Evidence(size_bytes=3, sha256="00", problem="it is damaged: no magic")

    instance.roots = (instance.roots[0], Damaged(instance.dead, DEAD_LETTERS))
    assert [each.partition("): ")[2] for each in instance.findings()] == [
        "it is damaged: no magic; it has 3 bytes, 2 were committed"
    ] * 3


def test_files_that_consumers_took_away_are_counted_and_fine(instance: Instance) -> None:
    for file in instance.row(1).files:
        (instance.lake if file.kind == RECORDS else instance.dead).names.pop(file.final)
    report = instance.verify(files_are_taken=True)
    assert (report.files, report.moved, report.findings) == (4, 2, [])
    assert [each.code for each in instance.verify().findings] == ["file_missing"] * 2


def test_dead_letters_that_were_replayed_or_given_up_may_be_gone(instance: Instance) -> None:
    letters = [file for seq in (1, 2) for file in instance.row(seq).files if file.kind != RECORDS]
    for file in letters:
        instance.roots[1].delete(file)
    assert len(instance.findings()) == 2
    instance.log.keep_gone("p", [letters[1]], "purged")
    instance.log.claim("p", [REPLAYED], owner="me")
    parts = instance.log.tables.pipelines["p"].partitions
    parts[REPLAYED].cursor = Cursor(mark=1).to_json()
    report = instance.verify()
    assert (report.moved, report.findings) == (2, [])


def test_a_file_that_waits_in_staging_is_named_where_its_commit_is_marked(
    instance: Instance,
) -> None:
    (file,) = (file for file in instance.row(3).files if file.kind == RECORDS)
    instance.lake.names[file.staging] = instance.lake.names.pop(file.final)
    assert [each.code for each in instance.verify().findings] == ["file_staged"]
    instance.log.tables.pipelines["p"].chains[0].published = 2
    assert [each.code for each in instance.verify().findings] == ["not_published"]
    report = instance.verify(is_running=lambda: True)
    assert (report.files, report.moved, report.findings) == (5, 0, [])


def test_a_file_that_no_commit_names_is_named(instance: Instance) -> None:
    instance.lake.names[f"a=1/p-{instance.lineage}-000000000009-0001.x"] = b""
    instance.lake.names["p-0000000000000000-000000000009-0001.x"] = b"of another lineage"
    instance.lake.names["README"] = b"of somebody"
    assert instance.findings() == [
        f"lake/a=1/p-{instance.lineage}-000000000009-0001.x: no commit names this file"
    ]


def test_a_cursor_that_was_moved_by_hand_is_named(instance: Instance) -> None:
    parts = instance.log.tables.pipelines["p"].partitions
    parts["b"].cursor = Cursor(received=99).to_json()
    assert instance.findings() == ["pipeline p, partition b: its cursor is not the one of commit 2"]
    parts["b"].cursor, parts["b"].seq = Cursor(received=2).to_json(), 1
    assert len(instance.findings()) == 1


def test_a_partition_that_an_operator_put_back_is_fine(instance: Instance) -> None:
    instance.log.set_mark("p", "b", 17)
    instance.log.claim("p", ["c"], owner="another")
    assert instance.findings() == []


@pytest.mark.parametrize("changes", [{"seq": 2}, {"seq": 9}, {"digest": ""}])
def test_a_pipeline_whose_row_was_changed_is_named(
    instance: Instance, changes: dict[str, Any]
) -> None:
    for name, value in changes.items():
        setattr(instance.log.tables.pipelines["p"].chains[0], name, value)
    assert "pipeline p: the last commit is not the one that was last written" in instance.findings()


def test_a_pipeline_whose_row_is_missing_is_named(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instance.log, "chains", lambda pipeline=None: [])
    assert "pipeline p: it has partitions, but its chain is missing" in instance.findings()


def test_an_instance_that_commits_meanwhile_is_no_finding(instance: Instance) -> None:
    class Growing(MemoryRoot):
        """With each file that is looked at comes a commit."""

        def examine(self, file: Any) -> Evidence:
            instance.commit("a", "b")
            return super().examine(file)

    class Live(MemoryCommitLog):
        def commits(
            self, pipeline: str, from_seq: int = 1, *, kind: str = "", shard: int = 0
        ) -> Iterator[CommitRow]:
            while rows := list(super().commits(pipeline, from_seq, kind=kind, shard=shard))[:1]:
                yield from rows
                from_seq = rows[0].seq + 1

    instance.log = instance.committer._log = Live(instance.log.tables)
    instance.roots = (Growing(instance.lake, RECORDS), instance.roots[1])
    report = instance.verify()
    assert (report.commits, report.findings) == (3, [])
    assert instance.committer.next_seq == 7
