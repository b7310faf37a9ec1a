"""The chain over commits: each digest covers the commit, its files and cursors, and the digest before it. Pure.

A row changed by hand breaks the chain at its commit, which `worker verify` names.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import msgspec

from worker.core.model import Commit


def commit_document(commit: Commit) -> dict[str, Any]:
    """A commit as JSON: what is staged as `<seq>.json` and what the digest covers."""
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
    """The digest of a commit document behind the commit of digest `previous`."""
    covered = {name: value for name, value in document.items() if name != "ends"}
    covered["ends"] = [
        {name: end[name] for name in ("partition", "epoch", "expected_seq", "cursor")}
        for end in document["ends"]
    ]
    return hashlib.sha256(
        previous.encode() + msgspec.json.encode(covered, order="sorted")
    ).hexdigest()
