"""The chain over commits: its bytes are those of every state that exists."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from msgspec import structs

from worker.core.cursor import Cursor
from worker.core.digest import commit_record, digest_of, record_head, sealed
from worker.core.model import Commit, CommitRow, EndRow, Ledger, Progress, StagedFile

FILES = (
    StagedFile(
        kind="records",
        root="/lake",
        staging=".worker/l/p/staging/f1",
        final="r=ü/f1",
        size_bytes=10,
        sha256="ab" * 32,
        rows=3,
        fingerprint="f" * 16,
    ),
    StagedFile(
        kind="dead_letters",
        root="/dead",
        staging=".worker/l/p/staging/f2",
        final="f2",
        size_bytes=20,
        sha256="cd" * 32,
        rows=1,
        fingerprint="e" * 16,
    ),
)
CURSORS = (
    (
        '{"v":1,"pass":3,"position":{"since":"x","at":{"page":2}},"mark":17,"snapshot_mark":18,'
        '"received":5,"total":9,"validators":{"etag":"w"},"complete":false}'
    ),
    (
        '{"v":1,"pass":1,"position":null,"mark":null,"snapshot_mark":null,'
        '"received":0,"total":null,"validators":null,"complete":true}'
    ),
)
"""Cursors as version 1 of them was stored. A digest covers the text that is stored."""

OLD = CommitRow(
    pipeline="p",
    shard=0,
    lineage="l" * 16,
    seq=7,
    epoch=0,
    id="id-7",
    at="2024-01-01T00:00:00.000Z",
    ledger=Ledger(received=4, sent=3, dead_lettered=1),
    files=FILES,
    ends=(
        EndRow(partition="a", epoch=2, expected_seq=6, cursor=CURSORS[0]),
        EndRow(partition="b", epoch=1, expected_seq=0, cursor=CURSORS[1]),
    ),
    previous="",
)
"""A commit of a state of a format before 4."""

ROW = sealed(
    replace(
        OLD,
        epoch=9,
        files=tuple(structs.replace(file, root_id="0123456789abcdef") for file in FILES),
        ends=tuple(
            EndRow(partition=end.partition, expected_seq=6, cursor=end.cursor, memory="0" * 32)
            for end in OLD.ends
        ),
        previous="ff" * 32,
    )
)
STEP = Progress(
    Cursor(mark=17),
    boundary_added=((17, b"k" * 16), ("t", b"z" * 16)),
    boundary_floor=3,
    tokens_added=(b"t" * 16,),
)
COMMIT = Commit(ROW, (STEP, Progress(Cursor(complete=True), tokens_cleared=True)), "{}")


@pytest.mark.parametrize(
    ("previous", "digest"),
    [
        ("", "fdfc9ef1e900b7f91c01693c4ddff7a3ab604ef33a42f67fec87e22be5c25669"),
        ("ff" * 32, "5fefe13adf27cefb09087a9566386fff42c108c65019e870bb500c2643a9b132"),
    ],
)
def test_the_digest_of_an_older_commit_is_the_one_that_stored_states_have(
    previous: str, digest: str
) -> None:
    assert digest_of(replace(OLD, previous=previous)) == digest


def test_the_digest_of_a_commit_is_the_one_that_stored_states_have() -> None:
    assert ROW.digest == "8e31899295a081f3f0c8ffaa0b55ecbb6db9e7c9b2b67f488428ad6467088bc0"


def test_a_digest_covers_the_whole_row_but_whether_it_is_published() -> None:
    row = ROW
    assert digest_of(row) == digest_of(replace(row, published=True)) == row.digest
    file, end = row.files[0], row.ends[0]
    changed = [
        replace(row, pipeline="q"),
        replace(row, shard=1),
        replace(row, lineage="m" * 16),
        replace(row, seq=8),
        replace(row, epoch=10),
        replace(row, id="other"),
        replace(row, at="2024-01-01T00:00:00.001Z"),
        replace(row, ledger=Ledger(received=4, sent=4)),
        replace(row, previous="ee" * 32),
        replace(row, files=row.files[:1]),
        replace(row, files=(structs.replace(file, rows=4), row.files[1])),
        replace(row, files=(structs.replace(file, root_id=""), row.files[1])),
        replace(row, ends=row.ends[:1]),
        replace(row, ends=(structs.replace(end, expected_seq=3), row.ends[1])),
        replace(row, ends=(structs.replace(end, memory="1" * 32), row.ends[1])),
        replace(row, ends=(end, structs.replace(row.ends[1], cursor=end.cursor))),
    ]
    digests = {digest_of(each) for each in changed} | {row.digest}
    assert len(digests) == len(changed) + 1


def test_a_record_has_all_that_a_state_is_rebuilt_from() -> None:
    record = msgspec.json.decode(
        commit_record(COMMIT, owner="me", schema="{}", meaning={"url": "1"})
    )
    assert (record["v"], record["owner"], record["digest"]) == (2, "me", ROW.digest)
    assert (record["schema"], record["meaning"]) == ("{}", {"url": "1"})
    first, second = record["ends"]
    assert first["boundary_added"] == [[17, "6b" * 16], ["t", "7a" * 16]]
    assert (first["boundary_floor"], first["tokens_added"]) == (3, ["74" * 16])
    assert (first["cursor"], first["memory"]) == (CURSORS[0], "0" * 32)
    assert (first["tokens_cleared"], second["tokens_cleared"]) == (False, True)
    row = msgspec.convert(
        {name: record[name] for name in CommitRow.__dataclass_fields__ if name in record},
        CommitRow,
    )
    assert digest_of(row) == record["digest"]


def test_what_was_said_already_is_not_said_again() -> None:
    record = msgspec.json.decode(commit_record(COMMIT, owner="me"))
    assert not {"schema", "meaning"} & set(record)


def test_the_head_of_a_record_tells_its_commit_and_its_owner() -> None:
    head = record_head(commit_record(COMMIT, owner="me"))
    assert head is not None and head.owner == "me"
    assert head.is_of(ROW)
    assert not head.is_of(replace(ROW, digest="0" * 64))
    assert not head.is_of(replace(ROW, id="other"))


def test_a_record_of_an_older_format_is_told_by_its_id() -> None:
    head = record_head(b'{"v": 1, "id": "id-7"}')
    assert head is not None and head.is_of(ROW)
    assert not head.is_of(replace(ROW, id="other"))


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b'{"v": 2}', b"\x00\x01", b"null"])
def test_what_is_no_record_has_no_head(torn: bytes) -> None:
    assert record_head(torn) is None
