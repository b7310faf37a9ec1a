"""Chains as a whole: taken from the tables of the SQLite commit log, and put into empty ones."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from worker.core.checkpoint import (
    Checkpoint,
    KeptPartition,
    KeptSchema,
    gone_files,
    joined_keys,
)
from worker.core.errors import StateError
from worker.core.model import CommitRow
from worker.core.ports import CommitHistory
from worker.core.rebuild import EPOCH_LEAP
from worker.state.commit_rows import insert_commit
from worker.state.database import Database

_OF_CHAIN: Final = "pipeline = ? AND shard = ?"
_OF_PARTITION: Final = "pipeline = ? AND partition = ?"


def checkpoint_of(log: CommitHistory, file: Database, pipeline: str, shard: int) -> Checkpoint:
    """See CommitHistory.checkpoint. The caller has a transaction, so that all of it is of one
    moment.
    """
    found = [each for each in log.chains(pipeline) if each.shard == shard]
    if not found:
        raise StateError(
            f"pipeline {pipeline} has no commits yet", remedy="it has some after the first run"
        )
    (chain,), at = found, (pipeline, shard)
    ((accepted,),) = file.rows("SELECT accepted FROM pipelines WHERE name = ?", pipeline)
    ((state, epoch),) = file.rows("SELECT id, epoch FROM state")
    others = (each.lineage for each in log.chains(pipeline) if each.shard != shard)
    owners = file.rows(f"SELECT owner FROM owners WHERE {_OF_CHAIN} ORDER BY number", *at)
    schemas = file.rows(
        "SELECT fingerprint, last_seq, schema FROM schemas WHERE pipeline = ? ORDER BY last_seq",
        pipeline,
    )
    return Checkpoint(
        pipeline=pipeline,
        shard=shard,
        lineage=chain.lineage,
        seq=chain.seq,
        digest=chain.digest,
        epoch=epoch,
        published=chain.published,
        pruned=chain.pruned,
        state=state,
        meaning=dict(log.meaning(pipeline)),
        accepted=(*msgspec.json.decode(accepted), *others),
        owners=tuple(owner for (owner,) in owners),
        roots=dict(log.roots(pipeline)),
        schemas=tuple(KeptSchema(*row) for row in schemas),
        gone=gone_files(log.gone(pipeline)),
        partitions=tuple(
            KeptPartition(
                partition=row.partition,
                seq=row.seq,
                cursor=row.cursor,
                memory=row.memory,
                boundary=joined_keys(
                    file.each(
                        f"SELECT value, key FROM boundary WHERE {_OF_PARTITION}"
                        " ORDER BY value, key",
                        *(pipeline, row.partition),
                    )
                ),
                tokens=b"".join(
                    token
                    for (token,) in file.each(
                        f"SELECT token FROM tokens WHERE {_OF_PARTITION} ORDER BY token",
                        *(pipeline, row.partition),
                    )
                ),
            )
            for row in log.partitions(pipeline)
            if row.shard == shard
        ),
    )


def restore(
    db: sqlite3.Connection, state: str, chains: Sequence[tuple[Checkpoint, Iterable[CommitRow]]]
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
        "INSERT OR REPLACE INTO gone VALUES (?, ?, ?, ?)",
        ((name, each.kind, each.final, each.why) for each in chain.gone),
    )


def _restore_partition(db: sqlite3.Connection, chain: Checkpoint, part: KeptPartition) -> None:
    """A partition that another chain had before is that of the later one."""
    at = (chain.pipeline, part.partition)
    for table in ("partitions", "boundary", "tokens"):
        db.execute(f"DELETE FROM {table} WHERE {_OF_PARTITION}", at)
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
