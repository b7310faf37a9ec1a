"""What the SQLite commit log forgets: commits that are old and that nobody needs any more."""

from __future__ import annotations

import sqlite3
from typing import Final

from worker.core.cursor import Cursor
from worker.core.model import DEAD_LETTERS, REPLAYED, Prunable
from worker.state.database import Database

_OF_CHAIN: Final = "pipeline = ? AND shard = ?"
_WAITS: Final = """
    commits.seq > ? AND EXISTS (
        SELECT 1 FROM files WHERE files.pipeline = commits.pipeline
            AND files.shard = commits.shard AND files.seq = commits.seq AND files.kind = ?
            AND NOT EXISTS (SELECT 1 FROM gone WHERE gone.pipeline = files.pipeline
                AND gone.kind = files.kind AND gone.final = files.final))
"""
"""Dead letters of the commit were neither replayed nor purged."""


def prunable(file: Database, pipeline: str, before: str, most: int, shard: int) -> Prunable:
    """See CommitLog.prunable."""
    at = (pipeline, shard)
    chain = file.rows(f"SELECT seq, published, pruned FROM chains WHERE {_OF_CHAIN}", *at)
    if not chain:
        return Prunable()
    ((seq, published, pruned),) = chain
    replayed = _replayed_to(file, pipeline)
    # those that were kept for their dead letters, until these were replayed or purged
    late = file.rows(
        f"SELECT seq FROM commits WHERE {_OF_CHAIN} AND seq <= ? AND NOT ({_WAITS})"
        " ORDER BY seq LIMIT ?",
        *(*at, pruned, replayed, DEAD_LETTERS, most),
    )
    looked = file.rows(
        f"SELECT seq, at < ?, {_WAITS} FROM commits WHERE {_OF_CHAIN} AND seq > ? AND seq <= ?"
        " ORDER BY seq LIMIT ?",
        *(before, replayed, DEAD_LETTERS, *at, pruned, min(seq - 1, published), most + 1),
    )
    old = []
    for number, is_old, waits in looked:
        if not is_old:
            break
        old.append((number, waits))
    seqs = (*(number for (number,) in late), *(number for number, waits in old[:most] if not waits))
    return Prunable(
        upto=old[:most][-1][0] if old else pruned,
        seqs=seqs,
        more=len(old) > most or len(late) == most,
    )


def forget(db: sqlite3.Connection, pipeline: str, commits: Prunable, shard: int) -> None:
    """Deletes the rows of commits, in the transaction of the caller."""
    at = (pipeline, shard)
    final = f"SELECT kind, final FROM files WHERE {_OF_CHAIN} AND seq = ?"  # what was gone with it
    for seq in commits.seqs:
        db.execute(
            f"DELETE FROM gone WHERE pipeline = ? AND (kind, final) IN ({final})",
            (pipeline, *at, seq),
        )
        for table in ("files", "commits"):
            db.execute(f"DELETE FROM {table} WHERE {_OF_CHAIN} AND seq = ?", (*at, seq))
    db.execute(
        f"UPDATE chains SET pruned = ? WHERE {_OF_CHAIN} AND pruned < ?",
        (commits.upto, *at, commits.upto),
    )


def _replayed_to(file: Database, pipeline: str) -> int:
    """Number of the last commit whose dead letters were replayed."""
    rows = file.rows(
        "SELECT cursor FROM partitions WHERE pipeline = ? AND partition = ?", pipeline, REPLAYED
    )
    mark = Cursor.from_json(rows[0][0]).mark if rows else None
    return mark if isinstance(mark, int) else 0
