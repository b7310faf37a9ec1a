"""The tables of the SQLite commit log, format by format.

Every statement here has been run on states that exist: what leads to a format never changes again.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE pipelines (
    name TEXT PRIMARY KEY, lineage TEXT NOT NULL, seq INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    digest TEXT NOT NULL, accepted TEXT NOT NULL) STRICT;
CREATE TABLE partitions (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    cursor TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
CREATE TABLE commits (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, lineage TEXT NOT NULL, id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL, ledger TEXT NOT NULL, ends TEXT NOT NULL, published INTEGER NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE files (
    pipeline TEXT NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,
    root TEXT NOT NULL, staging TEXT NOT NULL, final TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL, rows INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    PRIMARY KEY (pipeline, seq, number)) STRICT, WITHOUT ROWID;
CREATE TABLE boundary (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, value ANY NOT NULL, key BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, value, key)) STRICT, WITHOUT ROWID;
CREATE TABLE tokens (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, token BLOB NOT NULL,
    PRIMARY KEY (pipeline, partition, token)) STRICT, WITHOUT ROWID;
"""

_SCHEMAS: Final = """
CREATE TABLE schemas (
    pipeline TEXT NOT NULL, fingerprint TEXT NOT NULL, last_seq INTEGER NOT NULL,
    schema TEXT NOT NULL,
    PRIMARY KEY (pipeline, fingerprint)) STRICT, WITHOUT ROWID;
"""
"""Format 2: the schema of committed files of records, as the last of them had it."""

_DUE: Final = """
CREATE TABLE due (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, pass_no INTEGER NOT NULL, next_us INTEGER,
    failures INTEGER NOT NULL, not_before_us INTEGER NOT NULL, code TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
"""
"""Format 3: when each partition is served next. One row for each, changed in place."""

_CHAINS: Final = """
CREATE TABLE state (id TEXT NOT NULL, epoch INTEGER NOT NULL) STRICT;
INSERT INTO state SELECT lower(hex(randomblob(8))), coalesce(max(epoch), 0) FROM partitions;
DROP TABLE meta;

CREATE TABLE chains (
    pipeline TEXT NOT NULL, shard INTEGER NOT NULL, lineage TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL, digest TEXT NOT NULL, epoch INTEGER NOT NULL, published INTEGER NOT NULL,
    pruned INTEGER NOT NULL,
    PRIMARY KEY (pipeline, shard)) STRICT, WITHOUT ROWID;
INSERT INTO chains
    SELECT name, 0, lineage, seq, digest, (SELECT epoch FROM state),
        coalesce(
            (SELECT min(commits.seq) - 1 FROM commits
                WHERE commits.pipeline = pipelines.name AND commits.published = 0),
            pipelines.seq), 0
    FROM pipelines;
CREATE TABLE new_pipelines (
    name TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, accepted TEXT NOT NULL) STRICT;
INSERT INTO new_pipelines SELECT name, fingerprint, accepted FROM pipelines;
DROP TABLE pipelines;
ALTER TABLE new_pipelines RENAME TO pipelines;

CREATE TABLE owners (
    number INTEGER PRIMARY KEY AUTOINCREMENT, pipeline TEXT NOT NULL, shard INTEGER NOT NULL,
    owner TEXT NOT NULL) STRICT;
CREATE INDEX owners_of_chain ON owners (pipeline, shard, number);
CREATE TABLE roots (
    pipeline TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, path TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (pipeline, kind, id)) STRICT, WITHOUT ROWID;

CREATE TABLE new_partitions (
    pipeline TEXT NOT NULL, partition TEXT NOT NULL, shard INTEGER NOT NULL, seq INTEGER NOT NULL,
    cursor TEXT NOT NULL, memory TEXT NOT NULL,
    PRIMARY KEY (pipeline, partition)) STRICT, WITHOUT ROWID;
INSERT INTO new_partitions SELECT pipeline, partition, 0, seq, cursor, '' FROM partitions;
DROP TABLE partitions;
ALTER TABLE new_partitions RENAME TO partitions;

CREATE TABLE new_commits (
    pipeline TEXT NOT NULL, shard INTEGER NOT NULL, seq INTEGER NOT NULL, lineage TEXT NOT NULL,
    epoch INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, ledger TEXT NOT NULL,
    ends TEXT NOT NULL, previous TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (pipeline, shard, seq)) STRICT, WITHOUT ROWID;
INSERT INTO new_commits
    SELECT pipeline, 0, seq, lineage, 0, id, at, ledger, ends,
        lag(digest, 1, '') OVER (PARTITION BY pipeline ORDER BY seq), digest
    FROM commits;
DROP TABLE commits;
ALTER TABLE new_commits RENAME TO commits;

CREATE TABLE new_files (
    pipeline TEXT NOT NULL, shard INTEGER NOT NULL, seq INTEGER NOT NULL, number INTEGER NOT NULL,
    kind TEXT NOT NULL, root TEXT NOT NULL, staging TEXT NOT NULL, final TEXT NOT NULL,
    size_bytes INTEGER NOT NULL, sha256 TEXT NOT NULL, rows INTEGER NOT NULL,
    fingerprint TEXT NOT NULL, root_id TEXT NOT NULL,
    PRIMARY KEY (pipeline, shard, seq, number)) STRICT, WITHOUT ROWID;
INSERT INTO new_files
    SELECT pipeline, 0, seq, number, kind, root, staging, final, size_bytes, sha256, rows,
        fingerprint, ''
    FROM files;
DROP TABLE files;
ALTER TABLE new_files RENAME TO files;
CREATE TABLE gone (
    pipeline TEXT NOT NULL, kind TEXT NOT NULL, final TEXT NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY (pipeline, kind, final)) STRICT, WITHOUT ROWID;
"""
"""Format 4: chains with epochs from one sequence, their owners, the roots they write to, and the
files that are known to be gone.

`state.id` is random and goes with every copy of the state. Of the roots of a pipeline and kind the
one with the highest number is the present one.
"""

_FOUND: Final = """
CREATE TABLE lists (
    pipeline TEXT NOT NULL, list TEXT NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (pipeline, list)) STRICT, WITHOUT ROWID;
CREATE TABLE found (
    pipeline TEXT NOT NULL, list TEXT NOT NULL, origin TEXT NOT NULL, value TEXT NOT NULL,
    carried TEXT NOT NULL, digest BLOB NOT NULL, pass_no INTEGER NOT NULL, number INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (pipeline, list, value, origin)) STRICT, WITHOUT ROWID;
CREATE INDEX found_by_number ON found (pipeline, list, number);
CREATE INDEX found_by_change ON found (pipeline, list, changed);
CREATE INDEX found_by_origin ON found (pipeline, origin, list, pass_no);
CREATE TABLE standings (
    pipeline TEXT NOT NULL, list TEXT NOT NULL, origin TEXT NOT NULL, pass_no INTEGER NOT NULL,
    size INTEGER NOT NULL, ended INTEGER NOT NULL, ended_size INTEGER NOT NULL,
    PRIMARY KEY (pipeline, origin, list)) STRICT, WITHOUT ROWID;
"""
"""Format 5: values that other pipelines have found in the records of one.

`lists.since` is the commit after which a list is complete, as far as commits make it. `origin` is
the partition that brought a value.
"""

OF_CHAIN: Final = "pipeline = ? AND shard = ?"
OF_PARTITION: Final = "pipeline = ? AND partition = ?"
"""How a statement names the rows of one chain, and of one partition."""

FORMATS: Final = (_FIRST, _SCHEMAS, _DUE, _CHAINS, _FOUND)
"""What leads to each format of the state, from 1 on."""
