"""Every commit log under its contract; another one joins by a line in `LOGS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from worker.core.ports import CommitLog
from worker.state.sqlite import SqliteCommitLog
from worker.testing.commit_log_contract import CommitLogContract
from worker.testing.memory_log import MemoryCommitLog, Tables

LOGS: dict[str, Callable[[Path, Tables], CommitLog]] = {
    "sqlite": lambda directory, tables: SqliteCommitLog(directory / "state.db"),
    "memory": lambda directory, tables: MemoryCommitLog(tables),
}


class TestCommitLogs(CommitLogContract):
    @pytest.fixture(params=LOGS)
    def reopen(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Iterator[Callable[[], CommitLog]]:
        opened: list[CommitLog] = []
        tables = Tables()

        def again() -> CommitLog:
            opened.append(LOGS[request.param](tmp_path, tables))
            return opened[-1]

        yield again
        for log in opened:
            log.close()

    @pytest.fixture
    def restored(
        self, reopen: Callable[[], CommitLog], tmp_path: Path
    ) -> Iterator[Callable[[], CommitLog]]:
        kind = "memory" if isinstance(reopen(), MemoryCommitLog) else "sqlite"
        log = LOGS[kind](tmp_path / "other", Tables())
        yield lambda: log
        log.close()
