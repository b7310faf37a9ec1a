"""What the SQLite commit log forgets: commits that are old and that nobody needs any more."""

from __future__ import annotations

import sqlite3
from typing import Final

from worker.core.model import DEAD_LETTERS, Prunable
from worker.state.database import Database
from worker.state.tables import OF_CHAIN

_WAITS: Final = """
    commits.seq > ? AND EXISTS (
        SELECT 1 FROM files WHERE files.pipeline = commits.pipeline
            AND files.shard = commits.shard AND files.seq = commits.seq AND files.kind = ?
            AND NOT EXISTS (SELECT 1 FROM gone WHERE gone.pipeline = files.pipeline
                AND gone.kind = files.kind AND gone.final = files.final))
"""
"""Dead letters of the commit were neither replayed nor purged."""


def prunable(
    file: Database, pipeline: str, before: str, most: int, shard: int, *, replayed: int
) -> Prunable:
    """See CommitLog.prunable; up to `replayed` dead letters were replayed."""
    at = (pipeline, shard)
    chain = file.rows(f"SELECT seq, published, pruned FROM chains WHERE {OF_CHAIN}", *at)
    if not chain:
        return Prunable()
    ((seq, published, pruned),) = chain
    # those that were kept for their dead letters, until these were replayed or purged
    late = file.rows(
        f"SELECT seq FROM commits WHERE {OF_CHAIN} AND seq <= ? AND NOT ({_WAITS})"
        " ORDER BY seq LIMIT ?",
        *(*at, pruned, replayed, DEAD_LETTERS, most),
    )
    looked = file.rows(
        f"SELECT seq, at < ?, {_WAITS} FROM commits WHERE {OF_CHAIN} AND seq > ? AND seq <= ?"
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
    final = f"SELECT kind, final FROM files WHERE {OF_CHAIN} AND seq = ?"  # what was gone with it
    for seq in commits.seqs:
        db.execute(
            f"DELETE FROM gone WHERE pipeline = ? AND (kind, final) IN ({final})",
            (pipeline, *at, seq),
        )
        for table in ("files", "commits"):
            db.execute(f"DELETE FROM {table} WHERE {OF_CHAIN} AND seq = ?", (*at, seq))
    db.execute(
        f"UPDATE chains SET pruned = ? WHERE {OF_CHAIN} AND pruned < ?",
        (commits.upto, *at, commits.upto),
    )
