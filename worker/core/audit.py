"""Whether the commits of a chain follow from each other, and the present state from them. Pure.

A digest covers each row and the digest before it, a sum covers what each partition remembers, and
epochs come from one sequence. So whatever was changed by hand contradicts something that was not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from worker.core.digest import differences, digest_of
from worker.core.errors import WorkerError
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    ChainRow,
    CommitRow,
    EndRow,
    PartitionRow,
    Snapshot,
    of_kind,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference.

    Attributes:
        code: stable name of the kind of difference.
        where: the file, or the pipeline with its commit or partition.
        what: what is wrong, in words.
    """

    code: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class ChainAudit:
    """The commits of one chain, which are checked one after the other, in order.

    Attributes:
        chain: as it stood when the audit began; later commits are not looked at.
        seq: of the last commit that was checked, or of the one before the first.
        digest: of that commit; None where it is not known, because the audit begins behind it.
        from_start: the audit knows all commits that the log has.
        epoch: of the last commit.
        ends: the last commit of each partition, and what it said.
        schemas: fingerprint of each schema of files of records -> the last commit with it.
        kept_schemas: those of commits that must have kept their schema; format 1 did not.
    """

    chain: ChainRow
    seq: int = 0
    digest: str | None = ""
    from_start: bool = True
    epoch: int = 0
    ends: dict[str, tuple[int, EndRow]] = field(default_factory=dict)
    schemas: dict[str, int] = field(default_factory=dict)
    kept_schemas: set[str] = field(default_factory=set)

    def check(self, row: CommitRow) -> Iterator[Finding]:
        """What is wrong with the next commit."""
        where = place_of(row)
        if self.seq + 1 < row.seq <= self.chain.pruned + 1:
            pass  # those before it were forgotten: their digest is not known any more
        elif row.seq != self.seq + 1:
            what = f"commits {self.seq + 1} to {row.seq - 1} are missing before it"
            yield Finding("commits_missing", where, what)
        elif self.digest not in (None, row.previous):
            yield Finding("chain_broken", where, "it does not follow the commit before it")
        if digest_of(row) != row.digest:
            what = "its row, files or cursors were changed after it was written"
            yield Finding("row_changed", where, what)
        yield from self._of_owner(row, where)
        yield from _of_ledger(row, where)
        yield from self._of_ends(row, where)
        self.seq, self.digest, self.epoch = row.seq, row.digest, max(self.epoch, row.epoch)
        self.ends.update((end.partition, (row.seq, end)) for end in row.ends)
        found = {file.fingerprint: row.seq for file in of_kind(row.files, RECORDS)}
        self.schemas |= found
        if row.epoch:
            self.kept_schemas |= set(found)

    def _of_owner(self, row: CommitRow, where: str) -> Iterator[Finding]:
        chain = self.chain
        if row.lineage != chain.lineage:
            what = f"it is of lineage {row.lineage}, its chain of {chain.lineage}"
            yield Finding("lineage", where, what)
        if row.epoch > chain.epoch:
            what = f"its epoch {row.epoch} is above {chain.epoch}, that of the present owner"
            yield Finding("epoch", where, what)
        elif row.epoch < self.epoch:
            what = f"its epoch {row.epoch} is below {self.epoch}, that of a commit before it"
            yield Finding("epoch", where, what)

    def _of_ends(self, row: CommitRow, where: str) -> Iterator[Finding]:
        for name, times in Counter(end.partition for end in row.ends).items():
            if times > 1:
                yield Finding("partition_twice", where, f"it moves partition {name} twice")
        for end in row.ends:
            known = self.ends.get(end.partition)
            # 0: an operator put it back, or it is new
            forgotten = known is not None and known[0] < end.expected_seq <= self.chain.pruned
            if known is not None and end.expected_seq not in (0, known[0]) and not forgotten:
                what = (
                    f"it follows commit {end.expected_seq} of partition {end.partition},"
                    f" which commit {known[0]} moved last"
                )
                yield Finding("expected_seq", where, what)

    def head(self) -> Iterator[Finding]:
        """What is wrong with the row of the chain, after its last commit was checked."""
        chain, where = self.chain, f"pipeline {self.chain.pipeline}"
        nothing_since = self.digest is None and self.seq >= chain.seq
        if (self.seq, self.digest) != (chain.seq, chain.digest) and not nothing_since:
            what = "the last commit is not the one that was last written"
            yield Finding("head", where, what)
        if chain.published > chain.seq:
            what = f"commit {chain.published} is marked published, the last one is {chain.seq}"
            yield Finding("published", where, what)


def _of_ledger(row: CommitRow, where: str) -> Iterator[Finding]:
    ledger = row.ledger
    if not ledger.balanced:
        yield Finding("ledger", where, f"the ledger does not balance: {ledger}")
    for kind, counted in ((RECORDS, ledger.sent), (DEAD_LETTERS, ledger.dead_lettered)):
        rows = sum(file.rows for file in of_kind(row.files, kind))
        if rows != counted:
            what = f"the ledger says {counted} {kind}, its files {rows}"
            yield Finding("ledger", where, what)


def of_record(row: CommitRow, record: bytes | None, staged: bytes | None) -> Iterator[Finding]:
    """What is wrong with the record of a commit, which must stand beside the output.

    Args:
        record: what is proven there under the number of the commit.
        staged: what is staged there under its number.
    """
    where = place_of(row)
    if record is None:
        if not row.epoch or (not row.published and not differences(staged, row)):
            return  # formats before 4 did not need them; or a kill came before it was renamed
        what = "it was not renamed after the commit" if staged else "it is missing"
        yield Finding("record_missing", where, f"its record beside the output: {what}")
    elif names := differences(record, row):
        what = f"its record beside the output differs in {', '.join(names)}"
        yield Finding("record_changed", where, what)


def of_state(
    snapshot: Snapshot, audits: Sequence[ChainAudit], fingerprint_of: Callable[[str], str]
) -> Iterator[Finding]:
    """What is wrong with the present state, which the last commits must have left.

    Args:
        audits: of all chains of the pipeline.
        fingerprint_of: of the text of a schema. Raises WorkerError for what is none.
    """
    yield from _of_epochs(snapshot, [audit.chain for audit in audits])
    yield from _of_partitions(snapshot, audits)
    yield from _of_memory(snapshot)
    if all(audit.from_start for audit in audits):
        yield from _of_schemas(snapshot, audits, fingerprint_of)


def _of_epochs(snapshot: Snapshot, chains: Sequence[ChainRow]) -> Iterator[Finding]:
    for chain in chains:
        where = f"pipeline {chain.pipeline}"
        if chain.epoch > snapshot.epoch:
            what = f"its epoch {chain.epoch} is above {snapshot.epoch}, the last one that was given"
            yield Finding("epoch", where, what)
        for other in snapshot.chains:
            same = other.epoch == chain.epoch and chain.epoch
            if same and (other.pipeline, other.shard) != (chain.pipeline, chain.shard):
                what = f"its epoch {chain.epoch} was given to pipeline {other.pipeline}, too"
                yield Finding("epoch", where, what)


def _of_partitions(snapshot: Snapshot, audits: Sequence[ChainAudit]) -> Iterator[Finding]:
    by_shard = {audit.chain.shard: audit for audit in audits}
    rows = {row.partition: row for row in snapshot.partitions}
    moved = dict.fromkeys(name for audit in audits for name in audit.ends)
    for name in moved:
        if name not in rows:
            where = f"pipeline {snapshot.pipeline}, partition {name}"
            yield Finding("partition_missing", where, "commits moved it, and it has no row")
    for row in rows.values():
        yield from _of_partition(snapshot.pipeline, row, by_shard)


def _of_partition(
    pipeline: str, row: PartitionRow, audits: dict[int, ChainAudit]
) -> Iterator[Finding]:
    where = f"pipeline {pipeline}, partition {row.partition}"
    if row.shard not in audits:
        what = f"it belongs to shard {row.shard}, which has no chain"
        yield Finding("partition_moved", where, what)
    if not row.seq:  # new, or put back by an operator, who forgets what it remembers
        if row.memory:
            yield Finding("partition_changed", where, "a commit moved it, and its row names none")
        return
    # a partition that moves to another shard keeps the number of the commit in the one before
    ends = [audit.ends[row.partition] for audit in audits.values() if row.partition in audit.ends]
    if not ends:
        if all(audit.from_start for audit in audits.values()):
            what = f"its row names commit {row.seq}, and no commit moved it"
            yield Finding("partition_extra", where, what)
        return
    forgotten = max(audit.chain.pruned for audit in audits.values())
    if max(seq for seq, _ in ends) < row.seq <= forgotten:
        return  # the commit that moved it last was forgotten
    if not any((seq, end.cursor) == (row.seq, row.cursor) for seq, end in ends):
        yield Finding("cursor", where, f"its cursor is not the one of commit {ends[-1][0]}")
    elif not any(end.memory == row.memory for _, end in ends):
        what = f"the sum over what it remembers is not the one of commit {row.seq}"
        yield Finding("memory", where, what)


def _of_memory(snapshot: Snapshot) -> Iterator[Finding]:
    rows = {row.partition: row for row in snapshot.partitions}
    for name, found in snapshot.memories.items():
        where = f"pipeline {snapshot.pipeline}, partition {name}"
        row = rows.get(name)
        if row is None:
            what = "boundary keys or tokens are kept for it, and it has no row"
            yield Finding("memory", where, what)
        elif row.memory not in ("", found):  # empty: no commit has said it yet
            what = f"its boundary keys or tokens are not those that commit {row.seq} left"
            yield Finding("memory", where, what)


def _of_schemas(
    snapshot: Snapshot, audits: Sequence[ChainAudit], fingerprint_of: Callable[[str], str]
) -> Iterator[Finding]:
    where = f"pipeline {snapshot.pipeline}"
    last = {name: seq for audit in audits for name, seq in audit.schemas.items()}
    for kept in snapshot.schemas:
        try:
            found = fingerprint_of(kept.schema)
        except WorkerError as error:
            found = f"no schema ({error.message})"
        if found != kept.fingerprint:
            what = f"what is kept as schema {kept.fingerprint} is {found}"
            yield Finding("schema", where, what)
        if kept.fingerprint not in last:
            what = f"no commit has files of schema {kept.fingerprint}, which is kept"
            yield Finding("schema", where, what)
        elif len(audits) == 1 and kept.last_seq != last[kept.fingerprint]:
            what = (
                f"schema {kept.fingerprint} is kept as that of commit {kept.last_seq},"
                f" the last one with it is {last[kept.fingerprint]}"
            )
            yield Finding("schema", where, what)
    needed = set[str]().union(*(audit.kept_schemas for audit in audits))
    for name in sorted(needed - {kept.fingerprint for kept in snapshot.schemas}):
        yield Finding("schema", where, f"files have schema {name}, which is not kept")


def place_of(row: CommitRow) -> str:
    """How a finding names a commit."""
    shard = f", shard {row.shard}" if row.shard else ""
    return f"pipeline {row.pipeline}{shard}, commit {row.seq}"
