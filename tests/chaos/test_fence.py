"""The guarded update."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.core.cursor import Cursor
from worker.core.errors import Fenced
from worker.core.model import Commit, Ledger, PartitionEnd, Progress
from worker.state.sqlite import SqliteCommitLog


def stale_commit(log: SqliteCommitLog) -> None:
    """Two owners claim; the first one commits."""
    state = log.load("items", {})
    first = log.claim("items", ["a", "b"])
    log.claim("items", ["b"])
    ends = tuple(
        PartitionEnd(name, claim.epoch, claim.seq, Progress(Cursor(received=1)))
        for name, claim in first.items()
    )
    log.commit(
        Commit(
            pipeline="items",
            lineage=state.lineage,
            seq=1,
            id="id",
            at="now",
            files=(),
            ends=ends,
            ledger=Ledger(),
        )
    )


def test_a_commit_with_one_stale_partition_changes_nothing(tmp_path: Path) -> None:
    log = SqliteCommitLog(tmp_path / "state.db")
    with pytest.raises(Fenced) as fenced:
        stale_commit(log)
    assert fenced.value.partitions == ("b",)
    assert list(log.commits("items")) == []
    assert all(row.seq == 0 for row in log.partitions("items"))
    log.close()


def test_the_mutant_without_the_guard_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import victim

    monkeypatch.setattr(SqliteCommitLog, "_advance", victim._unguarded(SqliteCommitLog._advance))
    log = SqliteCommitLog(tmp_path / "state.db")
    stale_commit(log)
    assert len(list(log.commits("items"))) == 1, (
        "without the guard the stale owner commits: the test above would fail"
    )
    log.close()
