"""The digests of commits, each of which covers the digest before it. Pure.

A digest covers the commit, its files, its cursors and the digest of the previous commit. A row of
the commit log that was changed by hand therefore contradicts the digest of its commit, and
`worker verify` names that commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import msgspec

from worker.core.model import Commit


def commit_document(commit: Commit) -> dict[str, Any]:
    """A commit as JSON values. It is staged as `<seq>.json`, and the digest covers it."""
    return {
        "v": 1,
        "pipeline": commit.pipeline,
        "lineage": commit.lineage,
        "seq": commit.seq,
        "id": commit.id,
        "at": commit.at,
        "ledger": asdict(commit.ledger),
        "files": [asdict(file) for file in commit.files],
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


def chained(previous: str, document: dict[str, Any]) -> str:
    """The digest of a commit that follows the commit with the digest `previous`.

    Args:
        previous: 64 hexadecimal digits; the empty string for the first commit of a lineage.
        document: of `commit_document`. Its boundary keys are left out, because the commit log
            forgets them and `worker verify` could not compare them later.

    Returns:
        SHA-256 as 64 hexadecimal digits.
    """
    covered = {name: value for name, value in document.items() if name != "ends"}
    covered["ends"] = [
        {name: end[name] for name in ("partition", "epoch", "expected_seq", "cursor")}
        for end in document["ends"]
    ]
    return hashlib.sha256(
        previous.encode() + msgspec.json.encode(covered, order="sorted")
    ).hexdigest()
