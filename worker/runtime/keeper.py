"""What is old is forgotten: a checkpoint first, then the commit records, then the rows of the log.

Dead letters that are too old are removed before (see `expiry.py`).

Each step is durable before the next one begins, so a kill between any two of them leaves a log that
goes on and an output that it can be rebuilt from. What is done twice does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from worker.core.checkpoint import encoded
from worker.core.digest import record_head
from worker.core.instants import rfc3339_at
from worker.core.model import ChainRow, ChainState
from worker.core.ports import Clock, CommitLog, CommitRecords
from worker.runtime.expiry import Expired, Expiry

EVERY_S: Final = 600.0
"""A pipeline that runs looks so often for what is old, and only when it commits."""
MOST: Final = 1_000
"""So many commits are looked at each time, which takes some 50 ms."""
LEAST_BYTES: Final = 1 << 20
"""Fewer bytes of records make no checkpoint necessary: they are read in an instant."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done.

    Attributes:
        expired: number of files of dead letters that were removed.
        pruned: number of commits that were forgotten.
        checkpoint: number of the commit that a checkpoint was written of; 0: none was.
        more: other commits or files are old.
    """

    expired: int = 0
    pruned: int = 0
    checkpoint: int = 0
    more: bool = False


class Keeper:
    """Checkpoint and retention of one chain. Used in the IO thread of its pipeline.

    Args:
        keep_s: commits that are older than so many seconds are forgotten.
        expiry: removes dead letters that are too old; None where they are kept.
    """

    def __init__(
        self,
        log: CommitLog,
        records: CommitRecords,
        chain: ChainState,
        clock: Clock,
        *,
        keep_s: float,
        expiry: Expiry | None = None,
    ) -> None:
        self._expiry = expiry
        self._log, self._records, self._clock, self._keep_s = log, records, clock, keep_s
        self._pipeline, self._shard = chain.pipeline, chain.shard
        self._next_at = clock.monotonic()

    def patience_s(self) -> float | None:
        """Seconds until dead letters are looked at again, which happens without commits too; None
        where they are kept.
        """
        return None if self._expiry is None else max(self._next_at - self._clock.monotonic(), 0.0)

    def now_and_then(self) -> Kept:
        """After each commit, and after `patience_s`: nearly always nothing. Raises
        WorkerError for what could not be done; it is tried again later.
        """
        now = self._clock.monotonic()
        if now < self._next_at:
            return Kept()
        self._next_at = now + EVERY_S
        kept = self.work()
        if kept.more:
            self._next_at = now
        return kept

    def work(self, *, checkpoint: bool = False) -> Kept:
        """Writes a checkpoint if one is due, and forgets a bounded number of old commits.

        Args:
            checkpoint: it is written in any case.
        """
        expired = Expired() if self._expiry is None else self._expiry.work()
        before = rfc3339_at(self._clock.time() - self._keep_s)
        commits = self._log.prunable(self._pipeline, before, MOST, shard=self._shard)
        newest = max(self._records.checkpoints(), default=0)
        written = 0
        if checkpoint or commits.upto > newest or self._is_due(newest):
            written = self._write_checkpoint()
        if commits.seqs:
            self._records.delete(commits.seqs)
        if commits.seqs or commits.more:
            self._log.prune(self._pipeline, commits, shard=self._shard)
        return Kept(expired.files, len(commits.seqs), written, commits.more or expired.more)

    def _is_due(self, newest: int) -> bool:
        """The records after the newest checkpoint are larger than it; or a state could not be
        rebuilt from them, because some are in an output that the chain has left, or because older
        versions made them.
        """
        later = [seq for seq in self._records.seqs() if seq > newest]
        if later and len(later) < max(later) - newest:
            return True
        if not newest:
            first = self._records.proven(1)
            head = None if first is None else record_head(first)
            if head is None or not head.digest:
                return True
        least = max(self._records.checkpoints().get(newest, 0), LEAST_BYTES)
        return self._records.size_after(newest) > least

    def _write_checkpoint(self) -> int:
        found = self._log.checkpoint(self._pipeline, shard=self._shard)
        self._records.write_checkpoint(found.seq, encoded(found))
        return found.seq


def prune(keeper: Keeper) -> Kept:
    """Forgets all that is old, and says how much that was."""
    kept = keeper.work(checkpoint=True)
    expired, pruned, written = kept.expired, kept.pruned, kept.checkpoint
    while kept.more:
        kept = keeper.work()
        expired, pruned = expired + kept.expired, pruned + kept.pruned
    return Kept(expired, pruned, written)


def old_commits(log: CommitLog, chain: ChainRow, clock: Clock, keep_s: float) -> int:
    """How many commits `prune` would forget."""
    before = rfc3339_at(clock.time() - keep_s)
    return len(log.prunable(chain.pipeline, before, chain.seq + 1, shard=chain.shard).seqs)
