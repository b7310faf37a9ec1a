"""The guarded update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import victim

from worker.core.cursor import Cursor
from worker.core.errors import Fenced
from worker.core.model import Progress
from worker.state import sqlite
from worker.state.sqlite import SqliteCommitLog
from worker.testing.commit_log_contract import Owner


def stale_commit(log: SqliteCommitLog) -> None:
    """Two owners claim; the first one commits."""
    log.load("items", {})
    first = Owner(log, "a", "b", pipeline="items")
    Owner(log, "c", pipeline="items")
    moved = Progress(Cursor(received=1))
    first.commit({"a": moved, "b": moved})


@pytest.mark.fault(15, by="a stale owner commits")
def test_a_commit_of_a_stale_owner_changes_nothing(tmp_path: Path) -> None:
    log = SqliteCommitLog(tmp_path / "state.db")
    with pytest.raises(Fenced):
        stale_commit(log)
    assert list(log.commits("items")) == []
    assert all(row.seq == 0 for row in log.partitions("items"))
    log.close()


@pytest.mark.fault(15, by="the guard is left out, or an epoch is given twice")
@pytest.mark.parametrize(
    ("broken", "mutant"),
    [("_move_chain", victim.unguarded), ("_next_epoch", victim.epoch_given_twice)],
)
def test_a_mutant_without_the_guard_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, mutant: Any
) -> None:
    monkeypatch.setattr(sqlite, broken, mutant)
    log = SqliteCommitLog(tmp_path / "state.db")
    stale_commit(log)
    assert len(list(log.commits("items"))) == 1, (
        "without the guard the stale owner commits: the test above would fail"
    )
    log.close()
