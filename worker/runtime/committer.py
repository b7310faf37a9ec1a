"""The commit protocol: seal, stage the record, one transaction, publish.

    1 every staged file is finished and durable, and so is the record of the commit beside them
    2 one durable transaction names the files and moves the cursors            <== the commit point
    3 files get their final names, never replacing one, durably
    4 the commit is marked published

Recovery repeats 3 and 4 for commits that are not marked, and sweeps what no commit names.
Everything before the commit point can be thrown away, everything after it can be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from worker.core.digest import commit_record
from worker.core.model import (
    RECORDS,
    Commit,
    CommitRow,
    Ledger,
    PartitionEnd,
    PipelineState,
    StagedFile,
    of_kind,
)
from worker.core.ports import CommitLog, Sink


class Committer:
    """The commits of one pipeline in one attempt, in order. Used in the pipeline's IO thread.

    Args:
        sinks: one for each kind of files. The records of commits are kept by that of `RECORDS`.
        state: as the log gave it at the start of the attempt.
        schema: what the files of records hold, as JSON text.
    """

    def __init__(
        self, log: CommitLog, sinks: Sequence[Sink], state: PipelineState, schema: str = ""
    ) -> None:
        self._log, self._sinks, self._state, self._schema = log, sinks, state, schema
        (self._records,) = (sink for sink in sinks if sink.kind == RECORDS)
        self.next_seq = state.seq + 1

    def __repr__(self) -> str:
        return f"<Committer {self._state.pipeline} next_seq={self.next_seq}>"

    def recover(self) -> None:
        """Finishes what was committed and deletes what was not.

        First, once per attempt. Raises ConfigError and StateError of the sinks for an output that
        is not the one of this state, PublishConflict, SinkUnavailable, DurabilityLost.
        """
        for sink in self._sinks:
            sink.prepare(self._state.accepted_lineages)
        for commit in self._state.unpublished:
            for sink, files in self._by_sink(commit):
                for file in files:
                    sink.check(file)
            self._publish(commit)
        if self._state.unpublished:
            self._log.mark_published(self._state.pipeline, self._state.seq)
        for sink in self._sinks:
            sink.sweep()
        self._records.drop_record(self.next_seq)

    def commit(self, ends: Sequence[PartitionEnd], ledger: Ledger) -> Commit:
        """One commit of everything staged; the sinks are ready for the next one afterwards.

        Raises Fenced, SinkUnavailable, DurabilityLost, StateError, and PublishConflict. The
        attempt is over then: whether the commit was made is for the next one to read in the log.
        """
        commit = Commit(
            pipeline=self._state.pipeline,
            lineage=self._state.lineage,
            seq=self.next_seq,
            id=secrets.token_hex(16),
            at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            files=tuple(file for sink in self._sinks for file in sink.seal()),
            ends=tuple(ends),
            ledger=ledger,
            schema=self._schema,
        )
        self._stage_record(commit)
        self._log.commit(commit)
        self.next_seq += 1
        self._publish(commit)
        for sink in self._sinks:
            sink.begin(self.next_seq)
        return commit

    def _stage_record(self, commit: Commit) -> None:
        self._records.stage_record(commit.seq, commit_record(commit))

    def _publish(self, commit: Commit | CommitRow) -> None:
        for sink, files in self._by_sink(commit):
            sink.publish(files)

    def _by_sink(self, commit: Commit | CommitRow) -> Iterator[tuple[Sink, tuple[StagedFile, ...]]]:
        for sink in self._sinks:
            yield sink, of_kind(commit.files, sink.kind)

    def settle(self) -> None:
        """After the last commit of a clean run: marks it published."""
        self._log.mark_published(self._state.pipeline, self.next_seq - 1)

    def close(self) -> None:
        """At the end of an attempt: lets go of open files; the next attempt sweeps them."""
        for sink in self._sinks:
            sink.close()
