"""The rows of a commit, and of its schemas, in the tables of the SQLite commit log."""

from __future__ import annotations

import sqlite3
from operator import attrgetter
from typing import Final

import msgspec

from worker.core.model import CommitRow, SchemaRow, StagedFile
from worker.state.database import Database

FILE_FIELDS: Final = StagedFile.__struct_fields__
FILE_COLUMNS: Final = ", ".join(FILE_FIELDS)
_file_values: Final = attrgetter(*FILE_FIELDS)


def insert_commit(db: sqlite3.Connection, row: CommitRow) -> None:
    """Inserts a commit and its files."""
    at = (row.pipeline, row.shard, row.seq)
    ledger, ends = (msgspec.json.encode(each).decode() for each in (row.ledger, row.ends))
    db.execute(
        "INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*at, row.lineage, row.epoch, row.id, row.at, ledger, ends, row.previous, row.digest),
    )
    db.executemany(
        f"INSERT INTO files (pipeline, shard, seq, number, {FILE_COLUMNS})"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((*at, number, *_file_values(file)) for number, file in enumerate(row.files, 1)),
    )


def schema_rows(file: Database, pipeline: str) -> tuple[SchemaRow, ...]:
    """The schemas of committed files of records, the one that was used last at the end."""
    rows = file.rows(
        "SELECT fingerprint, last_seq, schema FROM schemas WHERE pipeline = ? ORDER BY last_seq",
        pipeline,
    )
    return tuple(SchemaRow(*row) for row in rows)
