"""The chain over commits: each digest covers its commit and the digest of the commit before. Pure.

A row that was changed by hand breaks the chain at its commit, which `worker verify` names.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Final

import msgspec

from worker.core.model import Commit, CommitRow, EndRow

VERSION: Final = 1
"""Of the commit record and of what a digest covers."""
_COVERED: Final = tuple(
    each.name for each in fields(CommitRow) if each.name not in ("published", "digest")
)


def commit_record(commit: Commit) -> bytes:
    """The JSON that is staged beside the files of a commit."""
    return msgspec.json.encode(
        {
            "v": VERSION,
            "pipeline": commit.pipeline,
            "lineage": commit.lineage,
            "seq": commit.seq,
            "id": commit.id,
            "at": commit.at,
            "ledger": commit.ledger,
            "files": commit.files,
            "ends": [
                {
                    "partition": end.partition,
                    "epoch": end.epoch,
                    "expected_seq": end.expected_seq,
                    "cursor": end.progress.cursor.to_json(),
                    "boundary_floor": end.progress.boundary_floor,
                    "boundary_added": [
                        [value, key.hex()] for value, key in end.progress.boundary_added
                    ],
                }
                for end in commit.ends
            ],
        }
    )


def commit_row(commit: Commit, previous: str) -> CommitRow:
    """What a log keeps of a commit that follows the one whose digest is `previous`.

    Raises StateError for a cursor that is too large to keep.
    """
    ends = tuple(
        EndRow(
            partition=end.partition,
            epoch=end.epoch,
            expected_seq=end.expected_seq,
            cursor=end.progress.cursor.to_json(),
        )
        for end in commit.ends
    )
    row = CommitRow(
        pipeline=commit.pipeline,
        lineage=commit.lineage,
        seq=commit.seq,
        id=commit.id,
        at=commit.at,
        ledger=commit.ledger,
        files=commit.files,
        ends=ends,
        published=False,
        digest="",
    )
    return replace(row, digest=chained(previous, row))


def chained(previous: str, row: CommitRow) -> str:
    """The digest that a row must have after the commit whose digest is `previous`."""
    covered = {"v": VERSION} | {name: getattr(row, name) for name in _COVERED}
    text = msgspec.json.encode(covered, order="sorted")
    return hashlib.sha256(previous.encode() + text).hexdigest()
