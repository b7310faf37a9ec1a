"""Published files and commit records against the commit log: evidence, not belief.

The log must be a chain, the present state must follow from its last commits (`worker.core.audit`),
every commit must have its record beside the output and every file must be what was committed, and
nothing else may stand in the output. An instance may run meanwhile: what it commits after the
beginning is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from worker.core.audit import ChainAudit, Finding, of_record, of_state, place_of
from worker.core.digest import is_stub, record_notes
from worker.core.errors import StateError
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    ChainRow,
    CommitRow,
    Snapshot,
    StagedFile,
    of_kind,
)
from worker.core.names import commit_of
from worker.core.ports import CommitHistory, CommitRecords, Evidence, FileState, OutputRoot
from worker.core.replays import replayed_to


@dataclass(slots=True)
class Report:
    """What was looked at and what was wrong.

    Attributes:
        moved: files that may be gone and are: consumers took them, or the dead letters in them were
            replayed or given up.
        findings: what is not as it was committed.
    """

    pipeline: str
    commits: int = 0
    files: int = 0
    rows: int = 0
    moved: int = 0
    findings: list[Finding] = field(default_factory=list)


Since = int | str
"""The first commit to look at, or a time (RFC 3339 in UTC): the first one that is not older."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a commit log is compared with.

    Attributes:
        roots: where the files are, one for each kind.
        records: the commit records of a chain.
        files_are_taken: consumers take files away as soon as they are published.
        meaning: what the cursors rest on by the config of now.
        fingerprint_of: of the text of a schema. Raises WorkerError for what is none.
        is_running: an instance runs now, which may be about to publish its last commit.
        progress: is told after each commit what was looked at, and how many commits there are.
    """

    roots: Sequence[OutputRoot]
    records: Callable[[ChainRow], CommitRecords]
    fingerprint_of: Callable[[str], str]
    files_are_taken: bool = False
    meaning: Mapping[str, str] = field(default_factory=dict)
    is_running: Callable[[], bool] = lambda: False
    progress: Callable[[Report, int], None] = lambda report, commits: None


def verify(
    log: CommitHistory, pipeline: str, beside: Beside, *, since: Since | None = None
) -> Report:
    """Looks at a pipeline. Raises StateError, SinkUnavailable of the log.

    Args:
        since: only commits from there on, and what can be said without the ones before.
    """
    report = Report(pipeline)
    # before the snapshot: what is proven by now is in it
    newest = {chain.lineage: beside.records(chain).newest() for chain in log.chains(pipeline)}
    snapshot = log.snapshot(pipeline)
    trails = [_Trail(log, beside, report, snapshot, chain, since) for chain in snapshot.own_chains]
    for trail in trails:
        trail.walk()
        report.findings += trail.beyond(newest.get(trail.chain.lineage, 0))
    if not trails and snapshot.partitions:
        what = "it has partitions, but its chain is missing"
        report.findings.append(Finding("head", f"pipeline {pipeline}", what))
    audits = [trail.audit for trail in trails]
    report.findings += of_state(snapshot, audits, beside.fingerprint_of)
    for trail in trails:
        report.findings += trail.meaning_changed()
        report.findings += trail.strangers()
        report.findings += trail.unpublished()
    return report


def _first_since(log: CommitHistory, chain: ChainRow, since: Since) -> int:
    """Number of the first commit to look at."""
    if isinstance(since, int):
        return max(1, since)
    low, high = 1, chain.seq + 1
    while low < high:
        middle = (low + high) // 2
        found = next(iter(log.commits(chain.pipeline, middle, shard=chain.shard)), None)
        if found is None or found.at >= since:
            high = middle
        else:
            low = found.seq + 1
    return low


class _Trail:
    """The commits of one chain and what stands beside them."""

    def __init__(
        self,
        log: CommitHistory,
        beside: Beside,
        report: Report,
        snapshot: Snapshot,
        chain: ChainRow,
        since: Since | None,
    ) -> None:
        self.chain = chain
        self._log, self._beside, self._report, self._snapshot = log, beside, report, snapshot
        self._roots = {root.kind: root for root in beside.roots}
        self._records = beside.records(chain)
        self._first = 1 if since is None else _first_since(log, chain, since)
        whole = self._first == 1 and not chain.pruned
        self.audit = ChainAudit(
            chain, self._first - 1, digest="" if whole else None, from_start=whole
        )
        self._known = set[str]()
        self._seen = self._first - 1
        self._meaning: dict[str, str] | None = None
        self._replayed, self._gone = _replayed_to(snapshot), log.gone(chain.pipeline)
        self._recorded_from = _recorded_from(log, chain, self._records)

    def _commits(self, from_seq: int) -> Iterator[CommitRow]:
        return self._log.commits(self.chain.pipeline, from_seq, shard=self.chain.shard)

    def walk(self) -> None:
        for commit in self._commits(self._first):
            self._note(commit)
            if commit.seq <= self.chain.seq:  # later ones are of an instance that runs
                self._check(commit)
        self._report.findings += self.audit.head()

    def _note(self, commit: CommitRow) -> None:
        self._known.update(self._roots[file.kind].place(file) for file in commit.files)
        self._seen = commit.seq

    def _check(self, commit: CommitRow) -> None:
        report = self._report
        report.commits += 1
        report.findings += self.audit.check(commit)
        record = self._records.proven(commit.seq)
        staged = None if record is not None else self._records.staged(commit.seq)
        if record is not None or commit.seq >= self._recorded_from:
            report.findings += of_record(commit, record, staged)
        self._keep_meaning(record)
        for file in commit.files:
            report.findings += self._look(commit, file)
        self._beside.progress(report, self.chain.seq)

    def _keep_meaning(self, record: bytes | None) -> None:
        try:
            said = record_notes(record or b"").meaning
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        self._meaning = said or self._meaning

    def _look(self, commit: CommitRow, file: StagedFile) -> Iterator[Finding]:
        """Counts a file and says what is wrong with it."""
        root = self._roots[file.kind]
        where = f"{root.place(file)} (commit {commit.seq})"
        standing = root.standing(file)
        if standing is FileState.PUBLISHED:
            evidence = root.examine(file)
            self._report.files += 1
            self._report.rows += evidence.rows or 0
            if problems := list(_of_file(file, evidence)):
                yield Finding("file_changed", where, "; ".join(problems))
        elif standing is FileState.STAGED:
            if commit.published:
                yield Finding("file_staged", where, "it waits in staging, and is marked published")
        elif self._may_be_gone(commit, file):
            self._report.moved += 1
        else:
            yield Finding("file_missing", where, "it is gone")

    def _may_be_gone(self, commit: CommitRow, file: StagedFile) -> bool:
        if (file.kind, file.final) in self._gone:
            return True
        replayed = file.kind == DEAD_LETTERS and commit.seq <= self._replayed
        return commit.published and (replayed or self._beside.files_are_taken)

    def beyond(self, newest: int) -> Iterator[Finding]:
        """A record of a commit that the log does not have."""
        if newest > self.chain.seq:
            what = (
                f"commit {newest} has a record beside the output, the log ends at"
                f" {self.chain.seq}: the state is older than its output"
            )
            yield Finding("record_beyond", f"pipeline {self.chain.pipeline}", what)

    def meaning_changed(self) -> Iterator[Finding]:
        """What the cursors rest on is neither what a commit said last nor what the config says,
        which `state adopt` takes over without a commit.
        """
        kept = dict(self._snapshot.meaning)
        if self._meaning not in (None, kept) and kept != dict(self._beside.meaning):
            names = sorted(
                name
                for name in {*kept, *self._meaning}
                if kept.get(name) != self._meaning.get(name)
            )
            what = f"what its cursors rest on was changed after it was written: {', '.join(names)}"
            yield Finding("meaning", f"pipeline {self.chain.pipeline}", what)

    def strangers(self) -> Iterator[Finding]:
        """Files that no commit names."""
        found = [
            place
            for root in self._roots.values()
            for place in root.listing(self.chain.pipeline, self.chain.lineage)
            if place not in self._known and not self._is_earlier(place)
        ]
        if found:  # an instance that runs has made them meanwhile
            for commit in self._commits(self._seen + 1):
                self._note(commit)
        for place in found:
            if place not in self._known:
                yield Finding("file_unknown", place, "no commit names this file")

    def _is_earlier(self, place: str) -> bool:
        """Whether a name is that of a commit that is not looked at, or was forgotten."""
        number = commit_of(place, self.chain.pipeline, self.chain.lineage)
        return number is not None and number < max(self._first, self.chain.pruned + 1)

    def unpublished(self) -> Iterator[Finding]:
        """Commits that nobody is about to publish."""
        now = {chain.lineage: chain for chain in self._log.chains(self.chain.pipeline)}
        chain = now.get(self.chain.lineage, self.chain)
        if chain.published >= self.chain.seq or self._beside.is_running():
            return
        for commit in self._commits(max(self._first, chain.published + 1)):
            what = "it is not published yet; the next run does it"
            yield Finding("not_published", place_of(commit), what)


def _recorded_from(log: CommitHistory, chain: ChainRow, records: CommitRecords) -> int:
    """The first commit whose record must be at the present root: the one that the chain brought
    there, where it was at another one before or an operator accepted another one.
    """
    seqs = records.seqs()
    first = min(seqs, default=0)
    roots, places = log.roots(chain.pipeline), log.places(chain.pipeline)
    if len(places) > len({root.id for root in roots.values()}):
        away = _last_elsewhere(log, chain, roots[RECORDS].id) if RECORDS in roots else 0
        return min((seq for seq in seqs if seq > away), default=away + 1)
    return first if is_stub(records.proven(first)) else 0


def _last_elsewhere(log: CommitHistory, chain: ChainRow, root_id: str) -> int:
    """The last commit whose records went to another root than this one."""
    commits = log.commits(chain.pipeline, kind=RECORDS, shard=chain.shard)
    return max(
        (
            commit.seq
            for commit in commits
            if any(file.root_id != root_id for file in of_kind(commit.files, RECORDS))
        ),
        default=0,
    )


def _replayed_to(snapshot: Snapshot) -> int:
    """See `replayed_to`; a cursor that was changed by hand is for the audit to say."""
    try:
        return replayed_to(snapshot.partitions)
    except StateError:
        return 0


def _of_file(file: StagedFile, found: Evidence) -> Iterator[str]:
    if found.problem:
        yield found.problem
    elif found.rows != file.rows:
        yield f"it has {found.rows} rows, {file.rows} were committed"
    if found.size_bytes not in (None, file.size_bytes):
        yield f"it has {found.size_bytes} bytes, {file.size_bytes} were committed"
    elif not found.problem and found.rows == file.rows and found.sha256 != file.sha256:
        yield "its content was changed"
