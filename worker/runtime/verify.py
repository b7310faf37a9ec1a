"""Published files against the commit log: evidence, not belief.

The log must be a chain, the ledger of each commit must agree with its files, the cursors must be
those of the last commits, every file must be what was committed, and nothing else may stand in the
output. An instance may run meanwhile: what it commits after the beginning is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from worker.core.digest import digest_of
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    ChainRow,
    CommitRow,
    PartitionRow,
    StagedFile,
    of_kind,
)
from worker.core.names import commit_of
from worker.core.ports import CommitHistory, Evidence, FileState, OutputRoot


@dataclass(slots=True)
class Report:
    """What was looked at and what was wrong.

    Attributes:
        moved: files that are gone from the output. Consumers may take them away.
        findings: what is not as it was committed, each with its place.
    """

    pipeline: str
    commits: int = 0
    files: int = 0
    rows: int = 0
    moved: int = 0
    findings: list[str] = field(default_factory=list)


def verify(log: CommitHistory, pipeline: str, roots: Sequence[OutputRoot]) -> Report:
    """Looks at everything of a pipeline. Raises StateError, SinkUnavailable of the log.

    Args:
        roots: where the files are, one for each kind.
    """
    report = Report(pipeline)
    head = next(iter(log.chains(pipeline)), None)
    partitions = log.partitions(pipeline)
    pruned = 0 if head is None else head.pruned
    trail = _Trail(report, {root.kind: root for root in roots}, pruned)
    for commit in log.commits(pipeline):
        trail.note(commit)
        if head is None or commit.seq <= head.seq:  # later ones are of an instance that runs
            trail.check(commit)
    report.findings += _of_head(pipeline, head, partitions, trail)
    if head is not None:
        report.findings += trail.strangers(head)
    return report


@dataclass(slots=True)
class _Trail:
    """The commits that were looked at, and what the present state must be after the last of them.

    Attributes:
        ends: seq and cursor of the last commit of each partition.
        known: the places of all files that commits name.
        pruned: commits up to this one may have been forgotten.
    """

    report: Report
    roots: Mapping[str, OutputRoot]
    pruned: int = 0
    seq: int = 0
    digest: str = ""
    ends: dict[str, tuple[int, str]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def note(self, commit: CommitRow) -> None:
        self.known.update(self.roots[file.kind].place(file) for file in commit.files)

    def check(self, commit: CommitRow) -> None:
        self.report.commits += 1
        self.report.findings += _of_commit(commit, self._previous(commit))
        for file in commit.files:
            _look(self.report, self.roots[file.kind], commit, file)
        self.seq, self.digest = commit.seq, commit.digest
        self.ends.update((end.partition, (commit.seq, end.cursor)) for end in commit.ends)

    def _previous(self, commit: CommitRow) -> str:
        """The digest that the row must follow; where those before it were forgotten, it says so."""
        forgotten = self.seq + 1 < commit.seq <= self.pruned + 1
        return commit.previous if forgotten else self.digest

    def strangers(self, head: ChainRow) -> Iterator[str]:
        for root in self.roots.values():
            for place in root.listing(head.pipeline, head.lineage):
                seq = commit_of(place, head.pipeline, head.lineage)
                if place not in self.known and not (seq and seq <= head.pruned):
                    yield f"{place}: no commit names this file"


def _of_commit(commit: CommitRow, previous: str) -> Iterator[str]:
    """What is wrong with a row of the log."""
    where = f"pipeline {commit.pipeline}, commit {commit.seq}"
    if commit.previous != previous or digest_of(commit) != commit.digest:
        yield f"{where}: its row, files or cursors were changed after it was written"
    ledger = commit.ledger
    if not ledger.balanced:
        yield f"{where}: the ledger does not balance: {ledger}"
    for kind, counted in ((RECORDS, ledger.sent), (DEAD_LETTERS, ledger.dead_lettered)):
        rows = sum(file.rows for file in of_kind(commit.files, kind))
        if rows != counted:
            yield f"{where}: the ledger says {counted} {kind}, its files {rows}"


def _of_head(
    pipeline: str, head: ChainRow | None, partitions: Sequence[PartitionRow], trail: _Trail
) -> Iterator[str]:
    """What is wrong with the present state, which the last commits must have left."""
    where = f"pipeline {pipeline}"
    if head is None:
        if trail.seq:
            yield f"{where}: it has commits, but its row is missing"
        return
    if (head.seq, head.digest) != (trail.seq, trail.digest):
        yield f"{where}: the last commit is not the one that was last written"
    for row in partitions:
        # seq 0: an operator put it there; beyond the head: of an instance that runs
        if row.partition not in trail.ends or not 0 < row.seq <= head.seq:
            continue
        if trail.ends[row.partition][0] < row.seq <= head.pruned:
            continue  # the commit that moved it last was forgotten
        if (row.seq, row.cursor) != (end := trail.ends[row.partition]):
            yield (
                f"{where}: the cursor of partition {row.partition} is not the one of"
                f" commit {end[0]}"
            )


def _look(report: Report, root: OutputRoot, commit: CommitRow, file: StagedFile) -> None:
    """Counts a file and says what is wrong with it."""
    standing = root.standing(file)
    if standing is not FileState.PUBLISHED:
        report.moved += standing is FileState.GONE
        return
    evidence = root.examine(file)
    report.files += 1
    report.rows += evidence.rows or 0
    if problems := list(_of_file(file, evidence)):
        report.findings.append(f"{root.place(file)} (commit {commit.seq}): {'; '.join(problems)}")


def _of_file(file: StagedFile, found: Evidence) -> Iterator[str]:
    if found.problem:
        yield found.problem
    elif found.rows != file.rows:
        yield f"it has {found.rows} rows, {file.rows} were committed"
    if found.size_bytes not in (None, file.size_bytes):
        yield f"it has {found.size_bytes} bytes, {file.size_bytes} were committed"
    elif not found.problem and found.rows == file.rows and found.sha256 != file.sha256:
        yield "its content was changed"
