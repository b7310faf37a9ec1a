"""Chains as a whole: taken from the tables of the SQLite commit log, and put into empty ones."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from worker.core.checkpoint import (
    Checkpoint,
    KeptPartition,
    gone_files,
    joined_keys,
)
from worker.core.model import ChainRow, ChainState, CommitRow
from worker.core.ports import CommitHistory
from worker.core.rebuild import EPOCH_LEAP
from worker.state import found
from worker.state.commit_rows import insert_commit, schema_rows
from worker.state.database import Database
from worker.state.tables import OF_PARTITION


def checkpoint_of(
    log: CommitHistory, file: Database, row: ChainRow, chain: ChainState
) -> Checkpoint:
    """See CommitHistory.checkpoint. The caller has a transaction, so that all of it is of one
    moment.
    """
    pipeline = row.pipeline
    ((epoch,),) = file.rows("SELECT epoch FROM state")
    return Checkpoint(
        pipeline=pipeline,
        shard=row.shard,
        lineage=chain.lineage,
        seq=chain.seq,
        digest=chain.digest,
        epoch=epoch,
        published=row.published,
        pruned=row.pruned,
        state=chain.state_id,
        meaning=dict(log.meaning(pipeline)),
        accepted=chain.accepted_lineages,
        owners=chain.owners,
        roots=dict(chain.roots),
        schemas=schema_rows(file, pipeline),
        gone=gone_files(log.gone(pipeline)),
        lists=dict(log.lists(pipeline)),
        partitions=tuple(
            KeptPartition(
                partition=part.partition,
                seq=part.seq,
                cursor=part.cursor,
                memory=part.memory,
                boundary=joined_keys(
                    file.each(
                        f"SELECT value, key FROM boundary WHERE {OF_PARTITION} ORDER BY value, key",
                        *(pipeline, part.partition),
                    )
                ),
                tokens=b"".join(
                    token
                    for (token,) in file.each(
                        f"SELECT token FROM tokens WHERE {OF_PARTITION} ORDER BY token",
                        *(pipeline, part.partition),
                    )
                ),
                found=tuple(found.each_of(file, (pipeline, part.partition))),
                standings=tuple(found.standings(file, (pipeline, part.partition)).values()),
            )
            for part in log.partitions(pipeline)
            if part.shard == row.shard
        ),
    )


def restore(
    file: Database,
    db: sqlite3.Connection,
    state: str,
    chains: Sequence[tuple[Checkpoint, Iterable[CommitRow]]],
) -> None:
    """See CommitLog.restore."""
    epoch = EPOCH_LEAP + max((chain.epoch for chain, _ in chains), default=0)
    db.execute("UPDATE state SET id = ?, epoch = ?", (state or secrets.token_hex(8), epoch))
    for chain, rows in sorted(chains, key=lambda each: each[0].epoch):
        _restore_pipeline(db, chain)
        db.execute(
            "INSERT INTO chains VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(chain.pipeline, chain.shard, chain.lineage),
                *(chain.seq, chain.digest, epoch, chain.published, chain.pruned),
            ),
        )
        db.executemany(
            "INSERT INTO owners (pipeline, shard, owner) VALUES (?, ?, ?)",
            ((chain.pipeline, chain.shard, owner) for owner in chain.owners),
        )
        for part in chain.partitions:
            _restore_partition(db, chain, part)
            at = (chain.pipeline, part.partition)
            found.restore(file, db, at, part.found, part.standings)
        for row in rows:
            insert_commit(db, row)


def _restore_pipeline(db: sqlite3.Connection, chain: Checkpoint) -> None:
    """What the chains of a pipeline have in common; the chain with the highest epoch says it."""
    name = chain.pipeline
    db.execute(
        "INSERT OR REPLACE INTO pipelines VALUES (?, ?, ?)",
        (
            name,
            msgspec.json.encode(chain.meaning).decode(),
            msgspec.json.encode(chain.accepted).decode(),
        ),
    )
    db.executemany(
        "INSERT OR REPLACE INTO schemas VALUES (?, ?, ?, ?)",
        ((name, each.fingerprint, each.last_seq, each.schema) for each in chain.schemas),
    )
    db.executemany(
        "INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?, 1)",
        ((name, kind, root.id, root.path) for kind, root in chain.roots.items()),
    )
    db.executemany(
        "INSERT OR REPLACE INTO lists VALUES (?, ?, ?)",
        ((name, each, since) for each, since in chain.lists.items()),
    )
    db.executemany(
        "INSERT OR REPLACE INTO gone VALUES (?, ?, ?, ?)",
        ((name, each.kind, each.final, each.why) for each in chain.gone),
    )


def _restore_partition(db: sqlite3.Connection, chain: Checkpoint, part: KeptPartition) -> None:
    """A partition that another chain had before is that of the later one."""
    at = (chain.pipeline, part.partition)
    for table in ("partitions", "boundary", "tokens"):
        db.execute(f"DELETE FROM {table} WHERE {OF_PARTITION}", at)
    for table in ("found", "standings"):
        db.execute(f"DELETE FROM {table} WHERE pipeline = ? AND origin = ?", at)
    db.execute(
        "INSERT INTO partitions VALUES (?, ?, ?, ?, ?, ?)",
        (*at, chain.shard, part.seq, part.cursor, part.memory),
    )
    db.executemany(
        "INSERT INTO boundary VALUES (?, ?, ?, ?)",
        ((*at, value, key) for value, key in part.boundary_keys()),
    )
    db.executemany(
        "INSERT INTO tokens VALUES (?, ?, ?)", ((*at, token) for token in part.token_list())
    )
