"""The chain over commits: its bytes are those of every state that exists."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import msgspec

from worker.core.cursor import Cursor, PassState
from worker.core.digest import chained, commit_record, commit_row
from worker.core.model import Commit, Ledger, PartitionEnd, Progress, StagedFile

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
MOVED = Progress(
    Cursor(
        pass_no=3,
        position=PassState(since="x", at={"page": 2}),
        mark=17,
        snapshot_mark=18,
        received=5,
        total=9,
        validators={"etag": "w"},
    ),
    boundary_added=((17, b"k" * 16), ("t", b"z" * 16)),
    boundary_floor=3,
    tokens_added=(b"t" * 16,),
)
COMMIT = Commit(
    pipeline="p",
    lineage="l" * 16,
    seq=7,
    id="id-7",
    at="2024-01-01T00:00:00.000Z",
    files=FILES,
    ends=(
        PartitionEnd(partition="a", epoch=2, expected_seq=6, progress=MOVED),
        PartitionEnd(
            partition="b", epoch=1, expected_seq=0, progress=Progress(Cursor(complete=True))
        ),
    ),
    ledger=Ledger(received=4, sent=3, dead_lettered=1),
    schema="{}",
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


def test_the_record_of_a_commit_has_the_bytes_that_it_always_had() -> None:
    record = msgspec.json.decode(commit_record(COMMIT))
    for part, cursor in zip(record["ends"], CURSORS, strict=True):
        part["cursor"] = cursor
    assert (
        sha256(msgspec.json.encode(record)).hexdigest()
        == "31f99b843ac692fd57961446a743f5565e1a6c704c2cc9f057b802a3cdc93419"
    )


def test_the_digest_of_a_commit_is_the_one_that_stored_states_have() -> None:
    row = commit_row(COMMIT, "")
    assert row.digest == chained("", row)
    ends = zip(row.ends, CURSORS, strict=True)
    stored = replace(row, ends=tuple(replace(part, cursor=cursor) for part, cursor in ends))
    assert chained("", stored) == "fdfc9ef1e900b7f91c01693c4ddff7a3ab604ef33a42f67fec87e22be5c25669"
    assert (
        chained("ff" * 32, stored)
        == "5fefe13adf27cefb09087a9566386fff42c108c65019e870bb500c2643a9b132"
    )


def test_a_digest_covers_the_whole_row_but_whether_it_is_published() -> None:
    row = commit_row(COMMIT, "")
    assert chained("", row) == chained("", replace(row, published=True)) == row.digest
    changed = [
        replace(row, pipeline="q"),
        replace(row, lineage="m" * 16),
        replace(row, seq=8),
        replace(row, id="other"),
        replace(row, at="2024-01-01T00:00:00.001Z"),
        replace(row, ledger=Ledger(received=4, sent=4)),
        replace(row, files=row.files[:1]),
        replace(row, files=(replace(row.files[0], rows=4), row.files[1])),
        replace(row, ends=row.ends[:1]),
        replace(row, ends=(replace(row.ends[0], epoch=3), row.ends[1])),
        replace(row, ends=(row.ends[0], replace(row.ends[1], cursor=row.ends[0].cursor))),
    ]
    digests = {chained("", each) for each in changed} | {chained("x", row), row.digest}
    assert len(digests) == len(changed) + 2
