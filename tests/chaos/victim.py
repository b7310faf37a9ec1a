"""A worker process that dies at the n-th call of something, and mutants of it.

Patched from outside: the product has no fault switch.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

CALLS: Counter[str] = Counter()


def die_at(kind: str, number: int, how: int = signal.SIGKILL) -> None:
    """Kills the process before the `number`-th call of `kind` (`COUNT` never dies).

    Args:
        how: the signal that it gets instead.
    """
    from asyncio import selector_events

    from worker.runtime import fs

    def reached(name: str) -> None:
        CALLS[name] += 1
        if name == kind and CALLS[name] == number:
            os.kill(os.getpid(), how)

    def patch(owner: Any, attribute: str, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, attribute)

        def wrapped(*args: Any, **options: Any) -> Any:
            reached(name)
            return original(*args, **options)

        setattr(owner, attribute, wrapped)

    real_write = os.write

    def torn(fd: int, data: Any) -> int:
        """The n-th write is torn: half of it arrives."""
        CALLS["write"] += 1
        if kind == "write" and CALLS["write"] == number:
            if how == signal.SIGKILL:
                real_write(fd, bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), how)
        return real_write(fd, data)

    os.write = torn
    patch(selector_events._SelectorSocketTransport, "_read_ready", "receive")
    patch(os, "fsync", "fsync")
    patch(os, "mkdir", "mkdir")
    patch(os, "replace", "replace")
    patch(fs, "rename_noreplace", "rename")
    patch(Path, "unlink", "unlink")

    class Connection(sqlite3.Connection):
        _has_row = False

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            reached("statement")
            self._has_row |= sql.startswith("INSERT INTO commits")
            # a row: the transaction holds a commit, and is not one of a claim or of a mark
            names = ("commit", "row") if self._has_row else ("commit",)
            if sql == "COMMIT":
                for name in names:
                    reached(f"before_{name}")
            result = super().execute(sql, *args)
            if sql == "COMMIT":
                self._has_row = False
                for name in names:
                    reached(f"after_{name}")
            return result

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **options: connect(*args, factory=Connection, **options)  # type: ignore[assignment]


def mutate(name: str) -> None:
    """Breaks one promise of the commit protocol."""
    from worker.runtime import fs
    from worker.runtime.committer import Committer
    from worker.sinks.commit_records import FileCommitRecords
    from worker.sinks.files import FilesSink, _OpenFile
    from worker.state import sqlite
    from worker.state.sqlite import SqliteCommitLog

    def nothing(*args: Any, **options: Any) -> None: ...

    if name == "no_data_fsync":

        def seal(self: _OpenFile) -> str:
            self.flush()
            self.close()
            return self._sha256.hexdigest()

        _OpenFile.seal = seal  # type: ignore[method-assign]
    elif name == "no_directory_fsync":
        fs.fsync_dir = nothing
    elif name == "publish_first":
        commit = SqliteCommitLog.commit

        def publish_then_commit(self: Committer, record: Any) -> None:
            self._publish(record.row)
            self._real_stage(record)  # type: ignore[attr-defined]

        Committer._real_stage = Committer._stage_record  # type: ignore[attr-defined]
        Committer._stage_record = publish_then_commit  # type: ignore[method-assign]
        SqliteCommitLog.commit = commit  # type: ignore[method-assign]
    elif name == "synchronous_normal":
        connect = sqlite3.connect

        class Normal(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                return super().execute(
                    sql.replace("synchronous = FULL", "synchronous = NORMAL"), *args
                )

        sqlite3.connect = lambda *args, **options: connect(*args, factory=Normal, **options)  # type: ignore[assignment]
    elif name == "cursor_before_files":
        original = Committer.commit

        def cursor_first(self: Committer, ends: Any, ledger: Any) -> Any:
            db = self._log._file.connection  # type: ignore[attr-defined]
            for end in ends:
                db.execute(
                    "UPDATE partitions SET cursor = ? WHERE pipeline = 'items' AND partition = ?",
                    (end.progress.cursor.to_json(), end.partition),
                )
            return original(self, ends, ledger)

        Committer.commit = cursor_first  # type: ignore[method-assign]
    elif name == "reused_names":
        create = FilesSink._create

        def same_name(self: FilesSink, key: Any) -> Any:
            seq, self._seq = self._seq, 1
            try:
                return create(self, key)
            finally:
                self._seq = seq

        FilesSink._create = same_name  # type: ignore[method-assign]
    elif name == "unguarded_update":
        sqlite._move_chain = unguarded  # type: ignore[assignment]
    elif name == "sweep_before_claim":
        claim = SqliteCommitLog.claim

        def sweep_first(self: Any, pipeline: str, partitions: Any, **options: Any) -> Any:
            top = self._file.path.parents[1]
            for path in top.rglob(f".worker/*/{pipeline}/staging/*/*"):
                path.unlink()
            return claim(self, pipeline, partitions, **options)

        SqliteCommitLog.claim = sweep_first  # type: ignore[method-assign]
    elif name == "gone_is_published":
        FilesSink._refuse_unproven = nothing  # type: ignore[method-assign]
    elif name == "record_not_proven":
        FileCommitRecords.prove = nothing  # type: ignore[method-assign]
    elif name == "token_kept_later":
        from worker.http.auth.oauth2_refresh_token import RefreshTokens

        async def keep_with_the_next(self: RefreshTokens, token: str, origin: str) -> None:
            if self._unkept:
                await self._kept.write({"refresh_token": self._unkept, "of": origin})
            self._unkept = token if token != self._unkept else ""

        RefreshTokens._keep = keep_with_the_next  # type: ignore[method-assign]
    elif name:
        raise ValueError(name)


def unguarded(db: Any, row: Any) -> bool:
    """The update of a chain by whoever comes."""
    db.execute(
        "UPDATE chains SET seq = ?, digest = ? WHERE pipeline = ? AND shard = ?",
        (row.seq, row.digest, row.pipeline, row.shard),
    )
    return True


def epoch_given_twice(db: Any) -> int:
    """Every claim gets the same epoch."""
    return 1


def skip_locks() -> None:
    """Starts though another instance runs, as on another machine over a log that both share, and
    an output on a file system without locks.
    """
    from worker import app
    from worker.sinks import used_roots

    def no_locks(fd: int, holder: str) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    app.lock_state = lambda directory: nullcontext()  # type: ignore[assignment]
    used_roots.take_lock = no_locks


def run(
    config: str,
    kind: str,
    number: int,
    mutation: str,
    result: str,
    now: float = 0.0,
    locked: bool = True,
    how: int = signal.SIGKILL,
) -> None:
    """One `worker run --once`; its exit code is the process's.

    Counts of calls go to `result`. `now`: what time it is; 0: the real one. `how`: the signal that
    it gets at the call.
    """
    from worker.app import run as run_pipelines
    from worker.core.errors import WorkerError
    from worker.settings import load_settings

    mutate(mutation)
    if not locked:
        skip_locks()
    if now:
        from worker.runtime.clock import SystemClock

        SystemClock.time = lambda self: now  # type: ignore[method-assign]
    if kind:
        die_at(kind, number, how)
    try:
        code = run_pipelines(load_settings([Path(config)]), once=True).exit_code
    except WorkerError as error:
        code = int(error.exit)
        print(error, file=sys.stderr)
    if result:
        Path(result).write_text("\n".join(f"{name} {count}" for name, count in CALLS.items()))
    os._exit(code)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5])
