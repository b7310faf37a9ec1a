"""What partitions remember in the SQLite commit log: boundary keys, tokens, and the sum over them.

They change by difference, and so does the sum: however much is remembered, a commit reads and
writes only what it changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from worker.core import memory_sum
from worker.core.model import BoundaryKey, Progress
from worker.state import found
from worker.state.database import Database
from worker.state.tables import OF_PARTITION

BATCH: Final = 100
"""So many keys are looked for at once."""

At = tuple[str, str]
"""Pipeline and partition."""


def boundary(file: Database, at: At) -> list[BoundaryKey]:
    """All boundary keys of a partition."""
    return file.rows(f"SELECT value, key FROM boundary WHERE {OF_PARTITION}", *at)


def tokens(file: Database, at: At) -> Iterator[bytes]:
    """All tokens of a partition."""
    rows = file.rows(f"SELECT token FROM tokens WHERE {OF_PARTITION}", *at)
    return (token for (token,) in rows)


def change(file: Database, db: sqlite3.Connection, at: At, step: Progress) -> None:
    """Changes what a partition remembers, in the transaction of the caller."""
    if step.found or step.list_over:
        found.change(file, db, at, step)
    if step.boundary_floor is not None:
        db.execute(
            f"DELETE FROM boundary WHERE {OF_PARTITION} AND value < ?", (*at, step.boundary_floor)
        )
    db.executemany(
        "INSERT OR IGNORE INTO boundary VALUES (?, ?, ?, ?)",
        ((*at, value, key) for value, key in step.boundary_added),
    )
    if step.tokens_cleared:
        db.execute(f"DELETE FROM tokens WHERE {OF_PARTITION}", at)
    db.executemany(
        "INSERT OR IGNORE INTO tokens VALUES (?, ?, ?)",
        ((*at, token) for token in step.tokens_added),
    )


def sum_now(file: Database, at: At) -> str:
    """The sum over all that a partition remembers."""
    return memory_sum.as_text(
        memory_sum.of_boundary(boundary(file, at))
        + memory_sum.of_tokens(tokens(file, at))
        + memory_sum.of_found(found.all_of(file, at))
    )


def sum_after(file: Database, at: At, step: Progress) -> str:
    """The sum over what a partition will remember after `change`. Only what changes is read, unless
    no commit has said the sum yet.
    """
    ((known,),) = file.rows(f"SELECT memory FROM partitions WHERE {OF_PARTITION}", *at)
    known = known or sum_now(file, at)
    changed = _boundary_change(file, at, step) + _token_change(file, at, step)
    if step.found:
        changed += memory_sum.of_found(step.found)
        changed -= memory_sum.of_found(found.known(file, at, step.found))
    return memory_sum.as_text(memory_sum.from_text(known) + changed) if changed else known


def _boundary_change(file: Database, at: At, step: Progress) -> int:
    floor, added = step.boundary_floor, set(step.boundary_added)
    removed: Sequence[Any] = ()
    if floor is not None:
        removed = file.rows(
            f"SELECT value, key FROM boundary WHERE {OF_PARTITION} AND value < ?", *at, floor
        )
    known = _known(file, "boundary", ("value", "key"), at, added)
    # what is below the floor and comes again with the commit stays, as in `change`
    new = added - known.difference(removed)
    return memory_sum.of_boundary(new) - memory_sum.of_boundary(removed)


def _token_change(file: Database, at: At, step: Progress) -> int:
    added = set(step.tokens_added)
    if step.tokens_cleared:
        return memory_sum.of_tokens(added) - memory_sum.of_tokens(tokens(file, at))
    known = _known(file, "tokens", ("token",), at, ((token,) for token in added))
    return memory_sum.of_tokens(added.difference(token for (token,) in known))


def _known(
    file: Database, table: str, columns: Sequence[str], at: At, rows: Iterable[Any]
) -> set[Any]:
    """Those of the rows that the partition has in the table. The join is four times as quick as a
    query for each; with `IN` SQLite would read the whole partition.
    """
    left, found = iter(rows), set[Any]()
    row = f"({', '.join('?' * len(columns))})"
    names = ", ".join(f"added.{name}" for name in columns)
    equal = "".join(f" AND {table}.{name} = added.{name}" for name in columns)
    while batch := list(islice(left, BATCH)):
        found.update(
            file.rows(
                f"WITH added ({', '.join(columns)}) AS (VALUES {', '.join([row] * len(batch))})"
                f" SELECT {names} FROM added CROSS JOIN {table} WHERE {OF_PARTITION}{equal}",
                *(value for each in batch for value in each),
                *at,
            )
        )
    return found
