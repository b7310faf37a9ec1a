"""A commit log with many commits in it, made from one that has a few.

100,000 real commits would take half an hour, so the rows of the first are repeated after the
last. Only names of columns are known here: `seq` counts on, `id` is unique, and `final` and
`staging` carry the number. Since format 4 of the state the output must prove the last commit.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.process import RunFailed

TABLES: Final = ("commits", "files")
POSITIONS: Final = ("pipelines", "chains", "partitions")
"""Tables whose `seq`, and `published`, is the number of the last commit, where they have one."""
NEW_VALUES: Final = {
    "seq": "n",
    "id": "lower(hex(randomblob(16)))",
    "final": "replace(final, '-000000000001-', printf('-%012d-', n))",
    "staging": "replace(staging, '-000000000001-', printf('-%012d-', n))",
}


def grow(state: Path, output: Path, commits: int) -> None:
    """Makes the log of its one pipeline hold so many commits.

    Raises:
        RunFailed: The state is of a format that this does not know.
    """
    path = f"{(state / 'state.db').as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(path, uri=True)) as db, db:
            for table in TABLES:
                _repeat(db, table, commits)
            for table in POSITIONS:
                for column in {"seq", "published"} & set(_columns(db, table)):
                    db.execute(f"UPDATE {table} SET {column} = ?", (commits,))
            _prove(db, output, commits)
    except sqlite3.Error as error:
        raise RunFailed(f"the log cannot be grown, its format is unknown here: {error}") from error


def _prove(db: sqlite3.Connection, output: Path, seq: int) -> None:
    """The record of the last commit beside the output."""
    ((commit_id, digest),) = db.execute("SELECT id, digest FROM commits WHERE seq = ?", (seq,))
    record = {"v": 2, "id": commit_id, "digest": digest, "owner": ""}
    for directory in (output / ".worker").glob("*/*/commits"):
        (directory / f"{seq:012}.json").write_text(json.dumps(record))


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    """None where there is no such table."""
    return [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]


def _repeat(db: sqlite3.Connection, table: str, commits: int) -> None:
    values = ", ".join(NEW_VALUES.get(name, name) for name in _columns(db, table))
    db.execute(
        f"WITH RECURSIVE numbers(n) AS (SELECT MAX(seq) + 1 FROM {table} "
        f"UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
        f"INSERT INTO {table} SELECT {values} FROM {table}, numbers WHERE seq = 1",
        (commits,),
    )
