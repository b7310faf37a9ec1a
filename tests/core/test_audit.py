"""What an audit of a chain says, with the numbers it says it of: the smallest difference that is a
finding, and beside it what is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from worker.core.audit import ChainAudit, of_record, of_state, place_of
from worker.core.digest import proof_of, sealed
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    ChainRow,
    CommitRow,
    EndRow,
    Ledger,
    PartitionRow,
    SchemaRow,
    Snapshot,
    StagedFile,
)

LINEAGE, SCHEMA, OTHER_SCHEMA = "a" * 16, "f" * 16, "e" * 16
CHAIN = ChainRow("p", 0, LINEAGE, seq=3, digest="", epoch=5, published=3)
ENDS = {1: (("a", 0),), 2: (("a", 1), ("b", 0)), 3: (("b", 2),)}
"""Of three commits: the partitions that each moves, and the commit that each followed."""


def file(kind: str, rows: int, schema: str = SCHEMA) -> StagedFile:
    return StagedFile(
        kind=kind,
        root="/lake",
        staging="s",
        final="f",
        size_bytes=1,
        sha256="0" * 64,
        rows=rows,
        fingerprint=schema,
    )


def commit(seq: int, previous: str, /, **changes: Any) -> CommitRow:
    row = CommitRow(
        pipeline="p",
        shard=0,
        lineage=LINEAGE,
        seq=seq,
        epoch=5,
        id=f"id-{seq}",
        at="2024-01-01T00:00:00.000Z",
        ledger=Ledger(received=3, sent=2, dead_lettered=1),
        files=(file(RECORDS, 2), file(DEAD_LETTERS, 1)),
        ends=ends(*ENDS[seq]),
        previous=previous,
        published=True,
    )
    return sealed(replace(row, **changes))


def ends(*moved: tuple[str, int]) -> tuple[EndRow, ...]:
    return tuple(
        EndRow(partition=name, expected_seq=expected, cursor=f"{name} after {expected}", memory="m")
        for name, expected in moved
    )


def history(**changes: dict[str, Any]) -> list[CommitRow]:
    """Three commits; `second={"epoch": 4}` changes one of them."""
    rows: list[CommitRow] = []
    for seq, name in enumerate(("first", "second", "third"), 1):
        previous = rows[-1].digest if rows else ""
        rows.append(commit(seq, previous, **changes.get(name, {})))
    return rows


def audited(rows: Sequence[CommitRow], chain: ChainRow = CHAIN) -> tuple[list[str], ChainAudit]:
    audit = ChainAudit(replace(chain, digest=rows[-1].digest))
    found = [str(each) for row in rows for each in audit.check(row)]
    return found + [str(each) for each in audit.head()], audit


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        (
            {"second": {"previous": "00"}},
            ["pipeline p, commit 2: it does not follow the commit before it"],
        ),
        (
            {"second": {"lineage": "b" * 16}},
            [f"pipeline p, commit 2: it is of lineage {'b' * 16}, its chain of {LINEAGE}"],
        ),
        (
            {"third": {"epoch": 6}},
            ["pipeline p, commit 3: its epoch 6 is above 5, that of the present owner"],
        ),
        (
            {"third": {"epoch": 4}},
            ["pipeline p, commit 3: its epoch 4 is below 5, that of a commit before it"],
        ),
        ({"first": {"epoch": 4}}, []),
        (
            {"third": {"ledger": Ledger(received=4, sent=2, dead_lettered=1)}},
            [
                "pipeline p, commit 3: the ledger does not balance: "
                + str(Ledger(received=4, sent=2, dead_lettered=1))
            ],
        ),
        (
            {"third": {"files": (file(RECORDS, 1), file(RECORDS, 2), file(DEAD_LETTERS, 1))}},
            ["pipeline p, commit 3: the ledger says 2 records, its files 3"],
        ),
        (
            {"third": {"files": (file(RECORDS, 2),)}},
            ["pipeline p, commit 3: the ledger says 1 dead_letters, its files 0"],
        ),
        (
            {"third": {"ends": ends(("b", 2), ("b", 2))}},
            ["pipeline p, commit 3: it moves partition b twice"],
        ),
        (
            {"third": {"ends": ends(("b", 1))}},
            ["pipeline p, commit 3: it follows commit 1 of partition b, which commit 2 moved last"],
        ),
        ({"third": {"ends": ends(("b", 0), ("c", 7))}}, []),
    ],
)
def test_a_commit_that_contradicts_the_others_is_named(
    changes: dict[str, Any], said: list[str]
) -> None:
    found, _ = audited(history(**changes))
    assert found == said


def test_a_row_that_was_changed_after_it_was_sealed_is_named() -> None:
    rows = history()
    rows[1] = replace(rows[1], id="other")
    assert audited(rows)[0] == [
        "pipeline p, commit 2: its row, files or cursors were changed after it was written"
    ]


def test_commits_that_are_missing_are_named_unless_they_were_forgotten() -> None:
    rows = history()
    missing = "pipeline p, commit 3: commits 1 to 2 are missing before it"
    assert audited(rows[2:])[0] == [missing]
    for pruned, said in ((1, [missing]), (2, []), (3, [])):
        assert audited(rows[2:], replace(CHAIN, pruned=pruned))[0] == said


@pytest.mark.parametrize("pruned", [1, 2])
def test_what_a_commit_followed_may_be_forgotten(pruned: int) -> None:
    rows = history(third={"ends": ends(("a", 2))})  # the end of commit 2 was at 1
    followed = "pipeline p, commit 3: it follows commit 2 of partition a, which commit 1 moved last"
    rows[1] = sealed(replace(rows[1], ends=ends(("b", 0))))
    rows[2] = sealed(replace(rows[2], previous=rows[1].digest))
    said = audited(rows, replace(CHAIN, pruned=pruned))[0]
    assert said == ([] if pruned >= 2 else [followed])


def test_a_head_that_is_not_the_last_commit_is_named() -> None:
    rows = history()
    audit = ChainAudit(replace(CHAIN, digest=rows[1].digest, published=4))
    assert [str(each) for row in rows for each in audit.check(row)] == []
    assert [str(each) for each in audit.head()] == [
        "pipeline p: the last commit is not the one that was last written",
        "pipeline p: commit 4 is marked published, the last one is 3",
    ]
    behind = ChainAudit(CHAIN, seq=3, digest=None)
    assert list(behind.head()) == []
    assert len(list(ChainAudit(CHAIN, seq=2, digest=None).head())) == 1


@pytest.mark.parametrize(
    ("epoch", "published", "record", "staged", "said"),
    [
        (5, True, "own", None, None),
        (5, False, "own", None, None),
        (5, True, None, None, "it is missing"),
        (5, True, None, "own", "it was not renamed after the commit"),
        (5, False, None, "own", None),
        (5, False, None, "other", "it was not renamed after the commit"),
        (5, False, None, None, "it is missing"),
        (0, True, None, None, None),
    ],
)
def test_a_commit_has_its_record_or_is_not_published_yet(
    epoch: int, published: bool, record: str | None, staged: str | None, said: str | None
) -> None:
    row = commit(1, "", epoch=epoch, published=published)
    texts = {"own": proof_of(row), "other": proof_of(commit(1, "", id="other")), None: None}
    found = list(of_record(row, texts[record], texts[staged]))
    where = "pipeline p, commit 1: its record beside the output"
    assert list(map(str, found)) == ([] if said is None else [f"{where}: {said}"])


def test_a_record_of_another_commit_is_named() -> None:
    (found,) = of_record(commit(1, ""), proof_of(commit(1, "", id="other")), None)
    assert found.code == "record_changed" and "its record beside the output differs in" in str(
        found
    )


PARTITIONS = {
    "a": PartitionRow("a", 0, 2, "a after 1", "m"),
    "b": PartitionRow("b", 0, 3, "b after 2", "m"),
}
SNAPSHOT = Snapshot(
    "p",
    epoch=5,
    chains=(CHAIN, ChainRow("q", 0, "b" * 16, 1, "", epoch=4, published=1)),
    schemas=(SchemaRow(SCHEMA, 3, "text"),),
    memories={"a": "m", "b": "m"},
)


def of_partitions(**changes: PartitionRow | None) -> list[str]:
    rows = [row for row in {**PARTITIONS, **changes}.values() if row is not None]
    return said_of(replace(SNAPSHOT, partitions=tuple(rows)))


def said_of(snapshot: Snapshot, *, fingerprint: str = SCHEMA) -> list[str]:
    _, audit = audited(history())
    return [str(each) for each in of_state(snapshot, [audit], lambda _: fingerprint)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (PARTITIONS["b"], []),
        (None, ["commits moved it, and it has no row"]),
        (replace(PARTITIONS["b"], shard=1), ["it belongs to shard 1, which has no chain"]),
        (replace(PARTITIONS["b"], seq=2), ["its cursor is not the one of commit 3"]),
        (replace(PARTITIONS["b"], cursor=""), ["its cursor is not the one of commit 3"]),
        (
            replace(PARTITIONS["b"], memory="x"),
            [
                "the sum over what it remembers is not the one of commit 3",
                "its boundary keys or tokens are not those that commit 3 left",
            ],
        ),
        (
            replace(PARTITIONS["b"], seq=0),
            ["a commit moved it, and its row names none"],
        ),
        (replace(PARTITIONS["b"], seq=0, memory=""), []),
    ],
)
def test_a_partition_stands_where_its_last_commit_left_it(
    row: PartitionRow | None, said: list[str]
) -> None:
    missing = ["boundary keys or tokens are kept for it, and it has no row"] if row is None else []
    found = of_partitions(b=row)
    assert found == [f"pipeline p, partition b: {each}" for each in said + missing]


def test_a_partition_that_no_commit_moved_is_named() -> None:
    extra = PartitionRow("c", 0, 2, "")
    assert of_partitions(c=extra) == [
        "pipeline p, partition c: its row names commit 2, and no commit moved it"
    ]


def test_an_epoch_is_given_once_and_is_not_above_the_last_one() -> None:
    whole = replace(SNAPSHOT, partitions=tuple(PARTITIONS.values()))
    assert said_of(replace(whole, epoch=4)) == [
        "pipeline p: its epoch 5 is above 4, the last one that was given"
    ]
    twice = (CHAIN, replace(SNAPSHOT.chains[1], epoch=5))
    assert said_of(replace(whole, chains=twice)) == [
        "pipeline p: its epoch 5 was given to pipeline q, too"
    ]


@pytest.mark.parametrize(
    ("schemas", "said"),
    [
        ((SchemaRow(SCHEMA, 3, "text"),), []),
        (
            (SchemaRow(SCHEMA, 2, "text"),),
            [f"schema {SCHEMA} is kept as that of commit 2, the last one with it is 3"],
        ),
        ((), [f"files have schema {SCHEMA}, which is not kept"]),
        (
            (SchemaRow(OTHER_SCHEMA, 3, "text"), SchemaRow(SCHEMA, 3, "text")),
            [
                f"what is kept as schema {OTHER_SCHEMA} is {SCHEMA}",
                f"no commit has files of schema {OTHER_SCHEMA}, which is kept",
            ],
        ),
    ],
)
def test_a_schema_is_kept_as_long_as_files_have_it(
    schemas: tuple[SchemaRow, ...], said: list[str]
) -> None:
    found = said_of(replace(SNAPSHOT, partitions=tuple(PARTITIONS.values()), schemas=schemas))
    assert found == [f"pipeline p: {each}" for each in said]


def test_a_snapshot_knows_its_own_chains_from_those_of_others() -> None:
    assert SNAPSHOT.own_chains == (CHAIN,)
    assert replace(SNAPSHOT, pipeline="q").own_chains == SNAPSHOT.chains[1:]


def test_a_commit_is_named_with_its_shard_where_there_are_several() -> None:
    assert place_of(commit(1, "")) == "pipeline p, commit 1"
    assert place_of(replace(commit(1, ""), shard=1)) == "pipeline p, shard 1, commit 1"
