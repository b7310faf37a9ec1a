"""The commit protocol: seal, stage the record, one transaction, prove it, publish, mark.

    1 every staged file is finished and durable, and so is the record of the commit
    2 one durable transaction moves the chain and the cursors, and names the files  <== commit point
    3 the record is renamed: it proves the commit to whoever looks at the output
    4 files get their final names, never replacing one, durably
    5 the commit is marked published

Recovery repeats 3, 4 and 5 for commits that are not marked, and sweeps what no commit names.
Everything before the commit point can be thrown away, everything after it can be repeated, also
by another owner at the same time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from worker.core.digest import commit_record, proof_of, sealed
from worker.core.errors import Fenced, StateOlder, Unproven
from worker.core.instants import rfc3339_millis
from worker.core.matching import is_leftover, is_of, refuse_other_age
from worker.core.model import (
    RECORDS,
    ChainState,
    Commit,
    CommitRow,
    Ledger,
    PartitionEnd,
    Root,
    StagedFile,
    of_kind,
)
from worker.core.ports import CommitLog, Outputs, Sink


class Committer:
    """The commits of one chain in one attempt, in order. Used in the IO pool.

    Args:
        chain: as the log gave it with the claim of this attempt.
        schema: what the files of records hold, as JSON text.
        meaning: what the cursors of the pipeline rest on; the first record of an attempt says it.
    """

    def __init__(
        self,
        log: CommitLog,
        outputs: Outputs,
        chain: ChainState,
        schema: str = "",
        meaning: Mapping[str, str] | None = None,
    ) -> None:
        self._log, self._outputs, self._chain, self._schema = log, outputs, chain, schema
        self._meaning = meaning or {}
        self._schemas = set(chain.schemas)
        self._digest = chain.digest
        self.next_seq = chain.seq + 1

    def __repr__(self) -> str:
        return f"<Committer {self._chain.pipeline} next_seq={self.next_seq}>"

    # -- the start of an attempt ------------------------------------------------------------------

    def recover(self) -> tuple[str, ...]:
        """Finishes what was committed and deletes what was not.

        First, once per attempt. Returns the nonces of owners that this state never had and that
        left something in staging. Raises ConfigError, StateError and Unproven for an output that is
        not the one of this state, Fenced, PublishConflict, SinkUnavailable, DurabilityLost.
        """
        roots = {
            sink.kind: sink.prepare(self._chain.accepted_lineages) for sink in self._outputs.sinks
        }
        self._compare()
        for commit in self._chain.unpublished:
            self._finish(commit)
        self._move_to(roots)
        self._outputs.commits.sweep()
        swept = [sink.sweep(self._chain.owners) for sink in self._outputs.sinks]
        return tuple(sorted({owner for each in swept for owner in each.foreign}))

    def _move_to(self, roots: Mapping[str, Root]) -> None:
        """From now on the chain goes on in these roots, which prove its last commit."""
        if (last := self._chain.last) is not None:
            record = self._outputs.commits.proven(last.seq)
            self._outputs.commits.bring(last.seq, proof_of(last) if record is None else record)
        for kind, root in roots.items():
            if self._chain.roots.get(kind) != root:
                self._log.keep_root(self._chain.pipeline, kind, root)

    def _compare(self) -> None:
        """Refuses an output, or a state, that is older than the other."""
        commits, seq = self._outputs.commits, self._chain.seq
        newest = commits.newest()
        if is_leftover(seq, newest, commits.proven(newest) if newest > seq else None):
            commits.drop(newest)
            newest = seq
        try:
            refuse_other_age(self._chain.pipeline, self._chain.last, newest, self._record)
        except StateOlder:
            self._refuse_displaced()
            raise

    def _refuse_displaced(self) -> None:
        """Raises Fenced where another owner has begun since this one did, and may have committed
        what the output has and this owner has not read.
        """
        for chain in self._log.chains(self._chain.pipeline):
            if chain.shard == self._chain.shard and chain.epoch != self._chain.epoch:
                raise Fenced.of(self._chain.pipeline) from None

    def _record(self, seq: int) -> bytes | None:
        record = self._outputs.commits.proven(seq)
        if record is None and self._chain.unpublished:  # a kill came before it was renamed
            return self._outputs.commits.staged(seq)
        return record

    def _finish(self, commit: CommitRow) -> None:
        for sink, files in self._by_sink(commit):
            for file in files:
                self._proven(commit, partial(sink.check, commit.seq, file))
        if is_of(self._outputs.commits.staged(commit.seq), commit):
            self._outputs.commits.prove(commit.seq)
        self._publish(commit)

    # -- a commit ---------------------------------------------------------------------------------

    def commit(self, ends: Sequence[PartitionEnd], ledger: Ledger) -> CommitRow:
        """One commit of everything staged; the sinks are ready for the next one afterwards.

        Raises Fenced, SinkUnavailable, DurabilityLost, StateError, and PublishConflict. The
        attempt is over then: whether the commit was made is for the next one to read in the log.
        """
        chain = self._chain
        row = sealed(
            CommitRow(
                pipeline=chain.pipeline,
                shard=chain.shard,
                lineage=chain.lineage,
                seq=self.next_seq,
                epoch=chain.epoch,
                id=secrets.token_hex(16),
                at=rfc3339_millis(datetime.now(UTC)),
                ledger=ledger,
                files=tuple(file for sink in self._outputs.sinks for file in sink.seal()),
                ends=self._log.ends(chain.pipeline, ends),
                previous=self._digest,
            )
        )
        commit = Commit(row, tuple(end.progress for end in ends), self._schema)
        self._stage_record(commit)
        self._log.commit(commit)
        self.next_seq, self._digest = row.seq + 1, row.digest
        self._outputs.commits.prove(row.seq)
        self._publish(row)
        for sink in self._outputs.sinks:
            sink.begin(self.next_seq)
        return row

    def _stage_record(self, commit: Commit) -> None:
        """The record says the meaning with the first commit, and the schema with the first one that
        has records.
        """
        said = {self._schema} if of_kind(commit.row.files, RECORDS) else set()
        record = commit_record(
            commit,
            owner=self._chain.owner,
            schema="".join(said - self._schemas),
            meaning=self._meaning,
        )
        self._outputs.commits.stage(commit.row.seq, record)
        self._meaning = {}
        self._schemas |= said

    # -- round the commit point -------------------------------------------------------------------

    def _publish(self, commit: CommitRow) -> None:
        for sink, files in self._by_sink(commit):
            self._proven(commit, partial(sink.publish, commit.seq, files))
        self._log.mark_published(commit.lineage, commit.seq)
        for sink in self._outputs.sinks:
            sink.settle(commit.seq)

    def _proven(self, commit: CommitRow, look: Callable[[], None]) -> None:
        """A file that is nowhere was published if its commit is marked: another owner did both."""
        try:
            look()
        except Unproven:
            if not self._is_marked(commit):
                raise

    def _is_marked(self, commit: CommitRow) -> bool:
        chains = self._log.chains(commit.pipeline)
        published = {chain.lineage: chain.published for chain in chains}
        return published.get(commit.lineage, 0) >= commit.seq

    def _by_sink(self, commit: CommitRow) -> Iterator[tuple[Sink, tuple[StagedFile, ...]]]:
        gone = self._chain.gone
        files = [file for file in commit.files if (file.kind, file.final) not in gone]
        for sink in self._outputs.sinks:
            yield sink, of_kind(files, sink.kind)

    def close(self) -> None:
        """At the end of an attempt: lets go of open files; the next attempt sweeps them."""
        for sink in self._outputs.sinks:
            sink.close()
