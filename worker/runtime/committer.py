"""The commit protocol: seal, stage the record, one transaction, publish. Runs in the pipeline's one IO thread.

    1 every staged file is finished, fsynced and closed, and so is the staging directory; `<seq>.json` is staged the same way
    2 one durable transaction names the files and moves the cursors            <== the commit point
    3 files get their final names, never replacing one
    4 final directories are fsynced; the commit is marked published

Recovery repeats 3 and 4 for commits that are not marked, and sweeps what no commit names. Everything before the commit
point can be thrown away, everything behind it can be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from worker.core.digest import commit_document
from worker.core.errors import StateError
from worker.core.model import Commit, Ledger, PartitionEnd, PipelineState, StagedFile
from worker.core.ports import CommitLog, Sink
from worker.runtime import fs


class Committer:
    """Commits of one pipeline in one attempt. The first sink's area also holds the commit records; `schema` is that of the records."""

    def __init__(
        self, log: CommitLog, sinks: Sequence[Sink], state: PipelineState, schema: str = ""
    ) -> None:
        self._log, self._sinks, self._state, self._schema = log, sinks, state, schema
        self._records = sinks[0].root / sinks[0].area / "commits"
        self.next_seq = state.seq + 1

    def recover(self) -> None:
        """Finishes what was committed and deletes what was not."""
        for sink in self._sinks:
            sink.prepare(self._state.accepted_lineages)
        with fs.translated(self._records):
            fs.make_dirs(self._sinks[0].root, f"{self._sinks[0].area}/commits", 0o700)
        for commit in self._state.unpublished:
            for file in commit.files:
                self._check(file)
            self._publish(commit)
        if self._state.unpublished:
            self._log.mark_published(self._state.pipeline, self._state.seq)
        for sink in self._sinks:
            sink.sweep()
        with fs.translated(self._records):
            self._record(self.next_seq).unlink(missing_ok=True)

    def _check(self, file: StagedFile) -> None:
        """What is still staged must be what was committed."""
        staged = Path(file.root) / file.staging
        with fs.translated(staged):
            if staged.exists() and (
                staged.stat().st_size != file.size_bytes or fs.sha256_of(staged) != file.sha256
            ):
                raise StateError(
                    f"{staged} is not the file that was committed",
                    remedy="restore it, or reset the pipeline",
                )

    def commit(self, ends: Sequence[PartitionEnd], ledger: Ledger) -> Commit:
        """One commit of everything staged; the sinks are ready for the next one afterwards. Raises Fenced, SinkUnavailable, DurabilityLost, StateError."""
        state = self._state
        files = tuple(file for sink in self._sinks for file in sink.seal())
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        commit = Commit(
            state.pipeline,
            state.lineage,
            self.next_seq,
            secrets.token_hex(16),
            at,
            files,
            tuple(ends),
            ledger,
            self._schema,
        )
        self._stage_record(commit)
        self._log.commit(commit)
        self.next_seq += 1
        self._publish(commit)
        for sink in self._sinks:
            sink.begin(self.next_seq)
        return commit

    def _stage_record(self, commit: Commit) -> None:
        path = self._record(commit.seq)
        with fs.translated(path):
            fs.write_durably(path, msgspec.json.encode(commit_document(commit)))
            fs.fsync_dir(self._records)

    def _record(self, seq: int) -> Path:
        return self._records / f"{seq:012}.json"

    def _publish(self, commit: Commit) -> None:
        for sink in self._sinks:
            sink.publish([file for file in commit.files if file.kind == sink.kind])

    def close(self) -> None:
        """At the end of an attempt: lets go of open files; the next attempt sweeps them."""
        for sink in self._sinks:
            sink.close()

    def settle(self) -> None:
        """After the last commit of a clean run: marks it published and leaves staging empty."""
        self._log.mark_published(self._state.pipeline, self.next_seq - 1)
