"""The commit log in SQLite.

Ownership is a number, not a lock: `claim` gives a chain the next epoch of the log, and `commit`
moves the chain only where its epoch is still that one, and a cursor only where the chain has its
partition. A stale owner changes no row, and its whole transaction is rolled back.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import msgspec
from pydantic import Field

from worker.core.checkpoint import Checkpoint
from worker.core.cursor import Cursor
from worker.core.errors import ConfigError, Fenced, SinkUnavailable, StateError
from worker.core.found import FILE, Child, Found, Standing
from worker.core.meaning import change, refuse_changed, source_cursors
from worker.core.model import (
    RECORDS,
    REPLAYED,
    ChainRow,
    ChainState,
    Claim,
    Claimed,
    Commit,
    CommitRow,
    Due,
    EndRow,
    Ledger,
    PartitionEnd,
    PartitionRow,
    Progress,
    Prunable,
    Root,
    Snapshot,
    StagedFile,
    of_kind,
)
from worker.core.replays import replayed_to
from worker.runtime import fs
from worker.state import found, images, remembered, retention
from worker.state.commit_rows import FILE_COLUMNS, FILE_FIELDS, insert_commit, schema_rows
from worker.state.config import StateConfig
from worker.state.database import Database
from worker.state.lock import opening
from worker.state.tables import FORMATS, OF_CHAIN, OF_PARTITION

T = TypeVar("T")


class Config(StateConfig):
    """The commit log."""

    type: Literal["sqlite"] = Field("sqlite", description="kind of commit log")


def build(config: Config, *, read_only: bool) -> SqliteCommitLog:
    """The log in the directory of the config."""
    return SqliteCommitLog(config.path.absolute() / STATE_FILE, read_only=read_only)


def put_aside(config: StateConfig) -> Path | None:
    """Gives the log in the directory of the config another name, under which it can still be read.

    Returns that name; None where there is no log. The state must be locked. Raises StateError.
    """
    path = config.path.absolute() / STATE_FILE
    with opening(path):
        if not path.exists():
            return None
        names = (path.with_name(f"{STATE_FILE}.aside-{number}") for number in count(1))
        aside = next(name for name in names if not name.exists())
        # first what was not yet written to the file: left behind, it would count for the next one
        for suffix in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                path.with_name(f"{path.name}{suffix}").rename(f"{aside}{suffix}")
        fs.fsync_dir(path.parent)
    return aside


_OF_PIPELINE: Final = (
    *("chains", "owners", "roots", "partitions", "commits", "files"),
    *("schemas", "boundary", "tokens", "due", "gone", "lists", "found", "standings"),
)
"""The tables in which a pipeline has rows, besides that of pipelines."""
STATE_FILE: Final = "state.db"
BATCH: Final = 100
"""So many commits are read at once, of which a replay needs two and `verify` all."""

SHRUNK_PAGES: Final = 2_000
"""So many free pages at most are given back at once while a pipeline runs: 8 MB, some ms."""

KEPT_OWNERS: Final = 1_000
"""So many nonces of earlier owners are known; the directories of older ones are gone by then."""

_DUE_COLUMNS: Final = ", ".join(each.name for each in fields(Due))
_due_values: Final = attrgetter(*(each.name for each in fields(Due)))
_COMMIT_COLUMNS: Final = "seq, lineage, epoch, id, at, ledger, ends, previous, digest"
_CHAINS: Final = (
    "SELECT pipeline, shard, lineage, seq, digest, epoch, published, pruned FROM chains"
)


class SqliteCommitLog:
    """The CommitLog port over one file.

    Args:
        path: made when it is missing, unless `read_only`.
        read_only: nothing is created or changed. Raises StateError where there is no file.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = Database(path, FORMATS, read_only=read_only)

    def __str__(self) -> str:
        return f"{self._file.path} (state format {self._file.format})"

    def close(self) -> None:
        self._file.close()

    # -- for a run -------------------------------------------------------------------------------

    def load(self, pipeline: str, fingerprint: Mapping[str, str], *, shard: int = 0) -> ChainState:
        """See CommitLog."""
        with self._file.transaction() as db:
            row = db.execute(
                "SELECT fingerprint FROM pipelines WHERE name = ?", (pipeline,)
            ).fetchone()
            if row is None:
                row = ("",)
                _insert_pipeline(db, pipeline, accepted=[])
            self._keep_meaning(db, pipeline, row[0], fingerprint)
            db.execute(
                "INSERT OR IGNORE INTO chains VALUES (?, ?, ?, 0, '', 0, 0, 0)",
                (pipeline, shard, secrets.token_hex(8)),
            )
            return self._chain_state(pipeline, shard)

    def _chain_state(self, pipeline: str, shard: int) -> ChainState:
        """The chain as it stands in the transaction."""
        (row,) = self._file.rows(f"{_CHAINS} WHERE {OF_CHAIN}", pipeline, shard)
        chain = ChainRow(*row)
        kept = [
            self._commit_row(chain, each)
            for each in self._file.rows(
                f"SELECT {_COMMIT_COLUMNS} FROM commits WHERE {OF_CHAIN} AND seq >= ? ORDER BY seq",
                *(pipeline, shard, min(chain.published + 1, chain.seq)),
            )
        ]
        owners = self._file.rows(
            f"SELECT owner FROM owners WHERE {OF_CHAIN} ORDER BY number", pipeline, shard
        )
        ((accepted,),) = self._file.rows("SELECT accepted FROM pipelines WHERE name = ?", pipeline)
        others = self._file.rows(
            "SELECT lineage FROM chains WHERE pipeline = ? AND shard != ?", pipeline, shard
        )
        return ChainState(
            pipeline=pipeline,
            shard=shard,
            lineage=chain.lineage,
            seq=chain.seq,
            digest=chain.digest,
            epoch=chain.epoch,
            owners=tuple(owner for (owner,) in owners),
            unpublished=tuple(row for row in kept if not row.published),
            last=kept[-1] if kept else None,
            accepted_lineages=(*msgspec.json.decode(accepted), *(name for (name,) in others)),
            schemas=self.schemas(pipeline),
            roots=self.roots(pipeline),
            state_id=self.state_id(),
            gone=self._gone_of([row for row in kept if not row.published]),
        )

    def _gone_of(self, rows: Sequence[CommitRow]) -> frozenset[tuple[str, str]]:
        gone = self.gone(rows[0].pipeline) if rows else {}
        files = ((file.kind, file.final) for row in rows for file in row.files)
        return frozenset(each for each in files if each in gone)

    def _keep_meaning(
        self, db: sqlite3.Connection, pipeline: str, known: str, now: Mapping[str, str]
    ) -> None:
        stored = _fingerprint_text(now)
        if stored == known:
            return
        found = change(
            _fingerprint(known),
            now,
            cursors=source_cursors(self.partitions(pipeline)).values(),
            keyed=self._is_keyed(pipeline),
        )
        refuse_changed(pipeline, found)
        db.execute("UPDATE pipelines SET fingerprint = ? WHERE name = ?", (stored, pipeline))

    def _is_keyed(self, pipeline: str) -> bool:
        """Boundary keys were made with `source.key`. A replay makes its own."""
        return bool(
            self._file.rows(
                "SELECT 1 FROM boundary WHERE pipeline = ? AND partition != ? LIMIT 1",
                pipeline,
                REPLAYED,
            )
        )

    def claim(
        self,
        pipeline: str,
        partitions: Sequence[str],
        *,
        owner: str,
        held: int | None = None,
        shard: int = 0,
    ) -> Claimed:
        """See CommitLog."""
        with self._file.transaction() as db:
            before = self._chain_state(pipeline, shard)
            if held not in (None, before.epoch):
                raise Fenced.of(pipeline)
            epoch = _next_epoch(db)
            db.execute(f"UPDATE chains SET epoch = ? WHERE {OF_CHAIN}", (epoch, pipeline, shard))
            if before.owners[-1:] != (owner,):
                _keep_owner(db, pipeline, shard, owner)
            _take(db, pipeline, partitions, shard)
            earlier = tuple(each for each in before.owners if each != owner)
            chain = replace(before, epoch=epoch, owner=owner, owners=earlier)
            return Claimed(chain, {name: self._claimed(pipeline, name) for name in partitions})

    def take(
        self, pipeline: str, partitions: Sequence[str], *, epoch: int, shard: int = 0
    ) -> dict[str, Claim]:
        """See CommitLog."""
        with self._file.transaction() as db:
            owns = db.execute(
                f"SELECT 1 FROM chains WHERE {OF_CHAIN} AND epoch = ?", (pipeline, shard, epoch)
            ).fetchone()
            if owns is None:
                raise Fenced.of(pipeline)
            _take(db, pipeline, partitions, shard)
            return {name: self._claimed(pipeline, name) for name in partitions}

    def keep_lists(self, pipeline: str, lists: Sequence[str], *, shard: int = 0) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO lists"
                f" VALUES (?, ?, (SELECT seq FROM chains WHERE {OF_CHAIN}))",
                ((pipeline, name, pipeline, shard) for name in lists),
            )

    def keep_found(self, pipeline: str, values: Sequence[Found], *, list_over: int = 0) -> None:
        """See CommitLog."""
        step = Progress(Cursor(), found=tuple(values), list_over=list_over)
        with self._file.transaction() as db:
            found.change(self._file, db, (pipeline, FILE), step)

    def _claimed(self, pipeline: str, partition: str) -> Claim:
        at = (pipeline, partition)
        ((seq, cursor),) = self._file.rows(
            f"SELECT seq, cursor FROM partitions WHERE {OF_PARTITION}", *at
        )
        due = self._file.rows(
            f"SELECT {_DUE_COLUMNS} FROM due WHERE {OF_PARTITION}",
            *at,
        )
        return Claim(
            partition=partition,
            seq=seq,
            cursor=Cursor.from_json(cursor),
            boundary=frozenset(remembered.boundary(self._file, at)),
            tokens=frozenset(remembered.tokens(self._file, at)),
            due=Due(*due[0]) if due else Due(),
        )

    def ends(self, pipeline: str, ends: Sequence[PartitionEnd]) -> tuple[EndRow, ...]:
        """See CommitLog."""
        return tuple(
            EndRow(
                partition=end.partition,
                expected_seq=end.expected_seq,
                cursor=end.progress.cursor.to_json(),
                memory=remembered.sum_after(self._file, (pipeline, end.partition), end.progress),
            )
            for end in ends
        )

    def commit(self, commit: Commit) -> None:
        """See CommitLog. When COMMIT itself fails, its outcome is read back by the commit's id."""
        row = commit.row
        try:
            with self._file.transaction() as db:
                if not _move_chain(db, row):
                    raise Fenced.of(row.pipeline)
                moved = [
                    self._advance(db, row, end, progress)
                    for end, progress in zip(row.ends, commit.progress, strict=True)
                ]
                if not all(moved):
                    raise Fenced.of(row.pipeline)
                self._insert(db, commit)
        except (StateError, SinkUnavailable):
            if not self._is_committed(row.id):
                raise

    def _advance(
        self, db: sqlite3.Connection, row: CommitRow, end: EndRow, progress: Progress
    ) -> bool:
        """The guarded update; False when another chain has the partition, or it was moved."""
        at = (row.pipeline, end.partition)
        moved = db.execute(
            "UPDATE partitions SET seq = ?, cursor = ?, memory = ?"
            f" WHERE {OF_PARTITION} AND shard = ? AND seq = ?",
            (row.seq, end.cursor, end.memory, *at, row.shard, end.expected_seq),
        ).rowcount
        remembered.change(self._file, db, at, progress)
        return moved == 1

    def _insert(self, db: sqlite3.Connection, commit: Commit) -> None:
        row = commit.row
        insert_commit(db, row)
        fingerprints = {file.fingerprint for file in of_kind(row.files, RECORDS)}
        db.executemany(
            "INSERT OR REPLACE INTO schemas VALUES (?, ?, ?, ?)",
            ((row.pipeline, each, row.seq, commit.schema) for each in sorted(fingerprints)),
        )

    def _is_committed(self, commit_id: str) -> bool:
        """Reads an unknown outcome back, over a new connection.

        None may be given. Then the old one stays, and the next attempt reads how the log stands.
        """
        self._file.reopen()
        return bool(self._file.rows("SELECT 1 FROM commits WHERE id = ?", commit_id))

    def mark_published(self, lineage: str, seq: int) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.execute(
                "UPDATE chains SET published = ? WHERE lineage = ? AND published < ?",
                (seq, lineage, seq),
            )

    def keep_root(self, pipeline: str, kind: str, root: Root) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO roots VALUES (?, ?, ?, ?, (SELECT 1 +"
                " coalesce(max(number), 0) FROM roots WHERE pipeline = ? AND kind = ?))",
                (pipeline, kind, root.id, root.path, pipeline, kind),
            )

    def keep_due(self, pipeline: str, due: Mapping[str, Due]) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                ((pipeline, name, *_due_values(each)) for name, each in due.items()),
            )

    # -- for retention ---------------------------------------------------------------------------

    def gone(self, pipeline: str) -> dict[tuple[str, str], str]:
        """See CommitHistory."""
        rows = self._file.rows("SELECT kind, final, why FROM gone WHERE pipeline = ?", pipeline)
        return {(kind, final): why for kind, final, why in rows}

    def keep_gone(self, pipeline: str, files: Sequence[StagedFile], why: str) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO gone VALUES (?, ?, ?, ?)",
                ((pipeline, file.kind, file.final, why) for file in files),
            )

    def prunable(self, pipeline: str, before: str, most: int, *, shard: int = 0) -> Prunable:
        """See CommitLog."""
        replayed = replayed_to(self.partitions(pipeline))
        return retention.prunable(self._file, pipeline, before, most, shard, replayed=replayed)

    def prune(self, pipeline: str, commits: Prunable, *, shard: int = 0) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            retention.forget(db, pipeline, commits, shard)
        self._file.shrink(SHRUNK_PAGES)

    def shrink(self) -> None:
        """See CommitLog."""
        self._file.shrink()

    def backup(self, target: Path) -> None:
        """See CommitHistory."""
        self._file.backup(target)

    def checkpoint(self, pipeline: str, *, shard: int = 0) -> Checkpoint:
        """See CommitHistory."""
        with self._file.snapshot():
            found = [each for each in self.chains(pipeline) if each.shard == shard]
            if not found:
                raise StateError(
                    f"pipeline {pipeline} has no commits yet",
                    remedy="it has some after the first run",
                )
            chain = self._chain_state(pipeline, shard)
            return images.checkpoint_of(self, self._file, found[0], chain)

    def restore(self, state: str, chains: Sequence[tuple[Checkpoint, Iterable[CommitRow]]]) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            images.restore(self._file, db, state, chains)

    # -- for commands, verify and replays --------------------------------------------------------

    def chains(self, pipeline: str | None = None) -> list[ChainRow]:
        """See CommitHistory."""
        where, values = ("", ()) if pipeline is None else (" WHERE pipeline = ?", (pipeline,))
        rows = self._file.rows(f"{_CHAINS}{where} ORDER BY pipeline, shard", *values)
        return [ChainRow(*row) for row in rows]

    def partitions(self, pipeline: str) -> list[PartitionRow]:
        """See CommitHistory."""
        rows = self._file.rows(
            "SELECT partition, shard, seq, cursor, memory FROM partitions"
            " WHERE pipeline = ? ORDER BY partition",
            pipeline,
        )
        return [PartitionRow(*row) for row in rows]

    def standing(self, pipeline: str, partitions: Sequence[str]) -> dict[str, tuple[Cursor, Due]]:
        """See CommitHistory."""
        marks = ", ".join("?" * len(partitions))
        rows = self._file.rows(
            f"SELECT partition, cursor, {_DUE_COLUMNS} FROM partitions"
            f" LEFT JOIN due USING (pipeline, partition)"
            f" WHERE pipeline = ? AND partition IN ({marks})",
            *(pipeline, *partitions),
        )
        return {
            name: (Cursor.from_json(cursor), Due() if due[0] is None else Due(*due))
            for name, cursor, *due in rows
        }

    def lists(self, pipeline: str) -> dict[str, int]:
        """See CommitHistory."""
        return dict(self._file.rows("SELECT list, since FROM lists WHERE pipeline = ?", pipeline))

    def children(
        self,
        pipeline: str,
        name: str,
        *,
        after: int = 0,
        most: int,
        by_change: bool = False,
        value: str | None = None,
    ) -> list[Child]:
        """See CommitHistory."""
        return found.children(
            self._file, pipeline, name, after=after, most=most, by_change=by_change, value=value
        )

    def standings(self, pipeline: str, name: str) -> dict[str, Standing]:
        """See CommitHistory."""
        return found.standings_of(self._file, pipeline, name)

    def roots(self, pipeline: str) -> dict[str, Root]:
        """See CommitHistory."""
        rows = self._file.rows(
            "SELECT kind, path, id FROM roots WHERE pipeline = ? ORDER BY number", pipeline
        )
        return {kind: Root(path=path, id=root_id) for kind, path, root_id in rows}

    def places(self, pipeline: str) -> dict[str, str]:
        """See CommitHistory."""
        return dict(
            self._file.rows(
                "SELECT id, path FROM roots WHERE pipeline = ? ORDER BY number", pipeline
            )
        )

    def lineages(self, pipeline: str) -> list[str]:
        """See CommitHistory."""
        rows = self._file.rows("SELECT accepted FROM pipelines WHERE name = ?", pipeline)
        accepted = [name for (text,) in rows for name in msgspec.json.decode(text)]
        return [*(chain.lineage for chain in self.chains(pipeline)), *accepted]

    def state_id(self) -> str:
        """See CommitHistory."""
        ((found,),) = self._file.rows("SELECT id FROM state")
        return str(found)

    def meaning(self, pipeline: str) -> dict[str, str]:
        """See CommitHistory."""
        rows = self._file.rows("SELECT fingerprint FROM pipelines WHERE name = ?", pipeline)
        return _fingerprint(rows[0][0]) if rows else {}

    def snapshot(self, pipeline: str) -> Snapshot:
        """See CommitHistory."""
        return self._file.at_one_instant(partial(self._snapshot, pipeline))

    def _snapshot(self, pipeline: str) -> Snapshot:
        ((epoch,),) = self._file.rows("SELECT epoch FROM state")
        names = self._file.rows(
            "SELECT partition FROM partitions WHERE pipeline = ?1"
            " UNION SELECT partition FROM boundary WHERE pipeline = ?1"
            " UNION SELECT partition FROM tokens WHERE pipeline = ?1"
            " UNION SELECT DISTINCT origin FROM found WHERE pipeline = ?1 AND origin != ?2",
            *(pipeline, FILE),
        )
        return Snapshot(
            pipeline=pipeline,
            epoch=epoch,
            chains=tuple(self.chains()),
            partitions=tuple(self.partitions(pipeline)),
            schemas=schema_rows(self._file, pipeline),
            meaning=self.meaning(pipeline),
            memories={name: remembered.sum_now(self._file, (pipeline, name)) for (name,) in names},
        )

    def remembered(self, pipeline: str) -> dict[str, int]:
        """See CommitHistory."""
        return dict(
            self._file.rows(
                "SELECT partition, count(*) FROM boundary WHERE pipeline = ? GROUP BY partition",
                pipeline,
            )
        )

    def commit_count(self, pipeline: str, *, shard: int = 0) -> int:
        """See CommitHistory."""
        query = f"SELECT count(*) FROM commits WHERE {OF_CHAIN}"
        return int(self._file.rows(query, pipeline, shard)[0][0])

    def commits(
        self, pipeline: str, from_seq: int = 1, *, kind: str = "", shard: int = 0
    ) -> Iterator[CommitRow]:
        """See CommitHistory. Reads in batches, so that no long query holds back the checkpoints."""
        having = (
            " AND EXISTS (SELECT 1 FROM files WHERE files.pipeline = commits.pipeline"
            " AND files.shard = commits.shard AND files.seq = commits.seq AND files.kind = ?)"
        )
        query = (
            f"SELECT {_COMMIT_COLUMNS} FROM commits WHERE {OF_CHAIN} AND seq >= ?"
            f"{having if kind else ''} ORDER BY seq LIMIT ?"
        )
        chosen = (kind,) if kind else ()
        while rows := self._file.rows(query, pipeline, shard, from_seq, *chosen, BATCH):
            chain = next(each for each in self.chains(pipeline) if each.shard == shard)
            for row in rows:
                yield self._commit_row(chain, row)
            from_seq = rows[-1][0] + 1

    def _commit_row(self, chain: ChainRow, row: Sequence[Any]) -> CommitRow:
        seq, lineage, epoch, commit_id, at, ledger, ends, previous, digest = row
        try:
            return CommitRow(
                pipeline=chain.pipeline,
                shard=chain.shard,
                lineage=lineage,
                seq=seq,
                epoch=epoch,
                id=commit_id,
                at=at,
                ledger=_decoded(ledger, Ledger),
                files=self._files(chain, seq),
                ends=_decoded(ends, tuple[EndRow, ...]),
                previous=previous,
                published=seq <= chain.published,
                digest=digest,
            )
        except (ValueError, msgspec.DecodeError) as error:
            raise self._file.damaged(
                f"commit {seq} of pipeline {chain.pipeline}: {error}"
            ) from error

    def _files(self, chain: ChainRow, seq: int) -> tuple[StagedFile, ...]:
        rows = self._file.rows(
            f"SELECT {FILE_COLUMNS} FROM files WHERE {OF_CHAIN} AND seq = ? ORDER BY number",
            chain.pipeline,
            chain.shard,
            seq,
        )
        return tuple(StagedFile(**dict(zip(FILE_FIELDS, row, strict=True))) for row in rows)

    def schemas(self, pipeline: str) -> tuple[str, ...]:
        """See CommitHistory."""
        return tuple(each.schema for each in schema_rows(self._file, pipeline))

    def reset(
        self, pipeline: str, partition: str | None = None, *, found_lineages: Sequence[str] = ()
    ) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            if partition is not None:
                _put_back(db, pipeline, partition, Cursor())
                return
            row = db.execute(
                "SELECT accepted FROM pipelines WHERE name = ?", (pipeline,)
            ).fetchone()
            known = set() if row is None else {*msgspec.json.decode(row[0])}
            known |= {chain.lineage for chain in self.chains(pipeline)}
            for table in _OF_PIPELINE:
                db.execute(f"DELETE FROM {table} WHERE pipeline = ?", (pipeline,))
            db.execute("DELETE FROM pipelines WHERE name = ?", (pipeline,))
            _insert_pipeline(db, pipeline, accepted=sorted({*known, *found_lineages}))

    def set_mark(self, pipeline: str, partition: str, mark: int | str) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            _put_back(db, pipeline, partition, Cursor(mark=mark))

    def adopt(
        self,
        pipeline: str,
        cursors: Mapping[str, Cursor],
        *,
        forget_keys: bool,
        fingerprint: Mapping[str, str] | None,
    ) -> None:
        """See CommitLog."""
        with self._file.transaction() as db:
            for partition, cursor in cursors.items():
                _put_back(db, pipeline, partition, cursor, forget_keys=forget_keys)
            if fingerprint is not None:
                db.execute(
                    "UPDATE pipelines SET fingerprint = ? WHERE name = ?",
                    (_fingerprint_text(fingerprint), pipeline),
                )


def _insert_pipeline(db: sqlite3.Connection, pipeline: str, *, accepted: Sequence[str]) -> None:
    db.execute(
        "INSERT INTO pipelines VALUES (?, '', ?)",
        (pipeline, msgspec.json.encode(accepted).decode()),
    )


def _next_epoch(db: sqlite3.Connection) -> int:
    """One that was never given before."""
    ((epoch,),) = db.execute("UPDATE state SET epoch = epoch + 1 RETURNING epoch").fetchall()
    return int(epoch)


def _keep_owner(db: sqlite3.Connection, pipeline: str, shard: int, owner: str) -> None:
    at = (pipeline, shard)
    db.execute(f"DELETE FROM owners WHERE {OF_CHAIN} AND owner = ?", (*at, owner))
    db.execute("INSERT INTO owners (pipeline, shard, owner) VALUES (?, ?, ?)", (*at, owner))
    db.execute(
        f"DELETE FROM owners WHERE {OF_CHAIN} AND number <= (SELECT number FROM owners"
        f" WHERE {OF_CHAIN} ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (*at, *at, KEPT_OWNERS),
    )


def _take(db: sqlite3.Connection, pipeline: str, partitions: Sequence[str], shard: int) -> None:
    """Moves partitions to a chain. One that is new begins with an empty cursor."""
    empty = Cursor().to_json()
    db.executemany(
        "INSERT INTO partitions VALUES (?, ?, ?, 0, ?, '')"
        " ON CONFLICT DO UPDATE SET shard = excluded.shard",
        ((pipeline, name, shard, empty) for name in partitions),
    )


def _move_chain(db: sqlite3.Connection, row: CommitRow) -> bool:
    """The guarded update; False when the chain has another owner or another last commit."""
    moved = db.execute(
        f"UPDATE chains SET seq = ?, digest = ? WHERE {OF_CHAIN}"
        " AND lineage = ? AND seq = ? AND digest = ? AND epoch = ?",
        (
            *(row.seq, row.digest, row.pipeline, row.shard),
            *(row.lineage, row.seq - 1, row.previous, row.epoch),
        ),
    ).rowcount
    return moved == 1


def _put_back(
    db: sqlite3.Connection,
    pipeline: str,
    partition: str,
    cursor: Cursor,
    *,
    forget_keys: bool = True,
) -> None:
    """A cursor that no commit made: seq 0, and no token of a pass. A new epoch of the chain that
    owns the partition fences its owner.
    """
    changed = db.execute(
        "UPDATE partitions SET cursor = ?, seq = 0, memory = ''"
        f" WHERE {OF_PARTITION} RETURNING shard",
        (cursor.to_json(), pipeline, partition),
    ).fetchall()
    if not changed:
        raise ConfigError(
            f"pipeline {pipeline!r} has no partition {partition!r}",
            remedy="`worker state show` lists them; it is there after the first run",
        )
    ((shard,),) = changed
    db.execute(f"UPDATE chains SET epoch = ? WHERE {OF_CHAIN}", (_next_epoch(db), pipeline, shard))
    for table in ("boundary", "tokens", "due") if forget_keys else ("tokens", "due"):
        db.execute(f"DELETE FROM {table} WHERE {OF_PARTITION}", (pipeline, partition))


def _fingerprint(stored: str) -> dict[str, str]:
    return msgspec.json.decode(stored, type=dict[str, str]) if stored else {}


def _fingerprint_text(fingerprint: Mapping[str, str]) -> str:
    return msgspec.json.encode(dict(fingerprint)).decode()


def _decoded(text: str, kind: type[T]) -> T:
    """A stored value that is all that its text says. Raises ValueError, msgspec.DecodeError."""
    value = msgspec.json.decode(text, type=kind)
    if msgspec.json.decode(msgspec.json.encode(value)) != msgspec.json.decode(text):
        raise ValueError(f"{text[:100]} has keys that nobody wrote, or lacks some")
    return value
