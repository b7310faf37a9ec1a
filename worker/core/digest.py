"""The chain over commits: each digest covers its commit and the digest of the commit before. Pure.

A row that was changed by hand breaks the chain at its commit, which `worker verify` names. The
record of a commit, which stands beside the output, has the same digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import msgspec

from worker.core.model import Commit, CommitRow, EndRow, Progress

VERSION: Final = 2
"""Of the commit record and of what a digest covers. Commits of version 1 have no epoch."""
_COVERED: Final = tuple(
    each.name for each in fields(CommitRow) if each.name not in ("previous", "published", "digest")
)
_NOT_IN_1: Final = ("shard", "epoch")


def sealed(row: CommitRow) -> CommitRow:
    """The row with its digest."""
    return replace(row, digest=digest_of(row))


def digest_of(row: CommitRow) -> str:
    """The digest that a row must have after the commit whose digest is `row.previous`."""
    covered: dict[str, Any] = {name: getattr(row, name) for name in _COVERED}
    covered["v"] = VERSION if row.epoch else 1
    if not row.epoch:
        for name in _NOT_IN_1:
            del covered[name]
    text = msgspec.json.encode(covered, order="sorted")
    return hashlib.sha256(row.previous.encode() + text).hexdigest()


def commit_record(
    commit: Commit, *, owner: str, schema: str = "", meaning: Mapping[str, str] | None = None
) -> bytes:
    """The JSON that is staged beside the files of a commit, from which a state can be rebuilt.

    Args:
        owner: nonce of the owner that makes the commit.
        schema: what the files of records hold; empty where an earlier record said it.
        meaning: what the cursors of the pipeline rest on; None where an earlier record said it.
    """
    row = commit.row
    document = {name: getattr(row, name) for name in _COVERED}
    document |= {"v": VERSION, "owner": owner, "previous": row.previous, "digest": row.digest}
    document["ends"] = [
        {
            **msgspec.to_builtins(end),
            "boundary_floor": step.boundary_floor,
            "boundary_added": [[value, key.hex()] for value, key in step.boundary_added],
            "tokens_cleared": step.tokens_cleared,
            "tokens_added": [token.hex() for token in step.tokens_added],
            **_lists_in(step),
        }
        for end, step in zip(row.ends, commit.progress, strict=True)
    ]
    if schema:
        document["schema"] = schema
    if meaning:
        document["meaning"] = dict(meaning)
    return msgspec.json.encode(document)


def _lists_in(step: Progress) -> dict[str, Any]:
    """What a step has brought for the lists of other pipelines; nothing for most."""
    lists: dict[str, Any] = {}
    if step.found:
        lists["found"] = step.found
    if step.list_over:
        lists["list_over"] = step.list_over
    return lists


def differences(record: bytes | None, row: CommitRow) -> list[str]:
    """What a commit record says otherwise than the row of the commit, by name.

    Records of version 1 say less. What no digest covers, what partitions forget and remember, is
    not compared.
    """
    try:
        document = msgspec.json.decode(record or b"", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ["everything: it is no commit record"]
    if _is_stub(document):
        return [name for name in ("id", "digest") if document[name] != getattr(row, name)]
    if document.get("v") != VERSION:
        names = ["id", "seq", "lineage"]
        return [name for name in names if document.get(name) != getattr(row, name)]
    known = msgspec.json.decode(msgspec.json.encode(row))
    names = [*_COVERED, "previous", "digest"]
    found = {name: document.get(name) for name in names} | {"ends": _ends_in(document)}
    return [name for name in names if found[name] != known[name]]


def is_stub(record: bytes | None) -> bool:
    """Whether a record only proves its commit, as `proof_of` makes it."""
    try:
        return _is_stub(msgspec.json.decode(record or b"", type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _is_stub(document: Mapping[str, Any]) -> bool:
    return document.keys() == {"v", "id", "digest", "owner"}


def _ends_in(document: Mapping[str, Any]) -> Any:
    """The ends of a record without what each partition forgets and remembers."""
    ends = document.get("ends")
    if not isinstance(ends, list) or not all(isinstance(end, dict) for end in ends):
        return ends
    names = EndRow.__struct_fields__
    return [{name: end[name] for name in names if name in end} for end in ends]


def record_notes(record: bytes) -> RecordNotes:
    """What a commit record says of the pipeline. Raises msgspec.DecodeError for what is none."""
    return msgspec.json.decode(record, type=RecordNotes)


class RecordNotes(msgspec.Struct, frozen=True):
    """What a commit record says of its pipeline where an earlier one has not said it yet.

    Attributes:
        schema: what the files of records hold; empty where nothing is said.
        meaning: what the cursors rest on; None where nothing is said.
    """

    schema: str = ""
    meaning: dict[str, str] | None = None


def proof_of(row: CommitRow) -> bytes:
    """A record that proves a commit and says nothing else of it: the output was put in place of the
    one that had its record.
    """
    return msgspec.json.encode({"v": VERSION, "id": row.id, "digest": row.digest, "owner": ""})


class RecordHead(msgspec.Struct, frozen=True):
    """What tells one commit record from another. Records of version 1 have no digest, no owner.

    Attributes:
        id: of the commit.
        digest: of the commit.
        owner: nonce of the owner that staged the record.
    """

    id: str
    digest: str = ""
    owner: str = ""

    def is_of(self, row: CommitRow) -> bool:
        """Whether it is the record of this commit."""
        return (self.digest or row.digest, self.id) == (row.digest, row.id)


def record_head(record: bytes) -> RecordHead | None:
    """The head of a commit record; None for what is none, as after a torn write."""
    try:
        return msgspec.json.decode(record, type=RecordHead)
    except msgspec.DecodeError:
        return None
