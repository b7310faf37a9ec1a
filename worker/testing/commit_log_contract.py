"""What every commit log promises, as tests (pytest and hypothesis are needed).

    class TestMyLog(CommitLogContract):
        @pytest.fixture
        def reopen(self, tmp_path: Path) -> Callable[[], CommitLog]:
            return lambda: MyLog(tmp_path / "log")

`reopen` opens the same log anew, as a process does that starts; several are open at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from secrets import token_hex
from typing import ClassVar, TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)

from worker.core.cursor import Cursor
from worker.core.digest import chained
from worker.core.errors import ConfigError, Fenced, StateError
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    REPLAYED,
    Claim,
    Commit,
    Due,
    EndRow,
    Ledger,
    PartitionEnd,
    PartitionRow,
    Progress,
    StagedFile,
)
from worker.core.ports import CommitLog

Reopen: TypeAlias = Callable[[], CommitLog]

MEANING = {"url": "a", "params": "b"}
KEYS = {
    "url": "1",
    "incremental": "1",
    "incremental.order": "1",
    "incremental.param": "1",
    "mark": "instant",
}
"""A fingerprint with keys."""
KEY = b"k" * 16
TOKEN = b"t" * 16


def at(number: int, **changes: object) -> Progress:
    """A step of a partition, told from others by a number."""
    return replace(Progress(Cursor(received=number)), **changes)  # type: ignore[arg-type]


def staged(number: int, kind: str = RECORDS, fingerprint: str = "f" * 16) -> StagedFile:
    """A file that a commit names."""
    return StagedFile(
        kind=kind,
        root="/lake",
        staging=f".worker/l/p/staging/f{number}",
        final=f"r=ü/f{number}",
        size_bytes=10,
        sha256="ab" * 32,
        rows=3,
        fingerprint=fingerprint,
    )


def end(claim: Claim, progress: Progress, *, seq: int | None = None) -> PartitionEnd:
    """A step of a claimed partition; `seq` is the commit that moved it last, where it is newer."""
    return PartitionEnd(
        partition=claim.partition,
        epoch=claim.epoch,
        expected_seq=claim.seq if seq is None else seq,
        progress=progress,
    )


def commit(
    log: CommitLog,
    seq: int,
    *ends: PartitionEnd,
    files: tuple[StagedFile, ...] = (),
    pipeline: str = "p",
    schema: str = "{}",
) -> Commit:
    """Makes a commit."""
    made = Commit(
        pipeline=pipeline,
        lineage=log.load(pipeline, log.meaning(pipeline) or MEANING).lineage,
        seq=seq,
        id=token_hex(16),
        at="2024-01-01T00:00:00.000Z",
        files=files,
        ends=ends,
        ledger=Ledger(received=3, sent=3),
        schema=schema,
    )
    log.commit(made)
    return made


class CommitLogContract:
    """Inherit from it in a test module."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        raise NotImplementedError("the fixture that opens the log")

    # -- commits ---------------------------------------------------------------------------------

    def test_a_pipeline_that_never_ran_has_nothing(self, reopen: Reopen) -> None:
        log = reopen()
        assert (list(log.pipelines()), list(log.partitions("p"))) == ([], [])
        assert (list(log.commits("p")), list(log.schemas("p"))) == ([], [])

    def test_what_was_committed_is_there_after_a_restart(self, reopen: Reopen) -> None:
        log = reopen()
        assert log.load("p", MEANING).seq == 0
        claims = log.claim("p", ["a", "b"])
        made = commit(log, 1, end(claims["a"], at(5)), files=(staged(1), staged(2)))
        state = reopen().load("p", MEANING)
        assert (state.seq, state.lineage) == (1, made.lineage)
        assert [(each.seq, each.files) for each in state.unpublished] == [(1, made.files)]
        reopen().mark_published("p", 1)
        assert reopen().load("p", MEANING).unpublished == ()
        claims = reopen().claim("p", ["a", "b"])
        assert (claims["a"].cursor, claims["a"].seq) == (Cursor(received=5), 1)
        assert (claims["b"].cursor, claims["b"].seq) == (Cursor(), 0)

    def test_only_commits_up_to_the_marked_one_are_published(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        commit(log, 1, end(claim, at(1)))
        log.mark_published("p", 1)
        commit(log, 2, end(claim, at(2), seq=1))
        assert [each.seq for each in log.load("p", MEANING).unpublished] == [2]
        assert [each.published for each in log.commits("p")] == [True, False]

    def test_each_pipeline_has_a_lineage_of_its_own_for_ever(self, reopen: Reopen) -> None:
        log = reopen()
        first, second = log.load("p", MEANING).lineage, log.load("q", MEANING).lineage
        assert first != second
        assert reopen().load("p", MEANING).lineage == first

    def test_pipelines_share_no_partition_and_no_number(self, reopen: Reopen) -> None:
        log = reopen()
        for pipeline in ("p", "q"):
            log.load(pipeline, MEANING)
            claim = log.claim(pipeline, ["a"])["a"]
            commit(log, 1, end(claim, at(1)), pipeline=pipeline)
        assert [(row.name, row.seq) for row in log.pipelines()] == [("p", 1), ("q", 1)]

    def test_boundary_keys_change_by_difference(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        keys = [(value, bytes([value]) * 16) for value in range(5)]
        commit(log, 1, end(claim, at(1, boundary_added=tuple(keys[:4]))))
        step = at(2, boundary_added=(keys[3], keys[4]), boundary_floor=3)
        commit(log, 2, end(claim, step, seq=1))
        assert reopen().claim("p", ["a"])["a"].boundary == frozenset(keys[3:])

    def test_boundary_values_may_be_text(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        commit(log, 1, end(claim, at(1, boundary_added=(("10", KEY), ("9", KEY), ("é", KEY)))))
        commit(log, 2, end(claim, at(2, boundary_floor="9"), seq=1))
        assert reopen().claim("p", ["a"])["a"].boundary == {("9", KEY), ("é", KEY)}

    def test_tokens_of_a_pass_are_forgotten_with_it(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        commit(log, 1, end(claim, at(1, tokens_added=(TOKEN, b"2" * 16))))
        step = at(2, tokens_cleared=True, tokens_added=(b"3" * 16,))
        commit(log, 2, end(claim, step, seq=1))
        assert reopen().claim("p", ["a"])["a"].tokens == {b"3" * 16}

    def test_when_a_partition_is_served_next_is_kept_outside_of_the_commits(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        assert claims["a"].due == Due()
        failing = Due(2, None, 3, 1_700_000_000_000_000, "auth", "401: é")
        log.keep_due("p", {"a": Due(1, 5), "b": failing})
        commit(log, 1, end(claims["a"], at(1)))  # no claim is touched by it
        log.keep_due("p", {"a": Due(2, 7)})
        log.keep_due("p", {})
        claims = reopen().claim("p", ["a", "b"])
        assert (claims["a"].due, claims["b"].due) == (Due(2, 7), failing)
        assert [each.seq for each in reopen().commits("p")] == [1]

    @pytest.mark.parametrize("how", ["pipeline", "partition", "mark"])
    def test_who_puts_a_partition_back_wants_it_served_now(self, reopen: Reopen, how: str) -> None:
        log = reopen()
        for pipeline in ("p", "q"):
            log.load(pipeline, MEANING)
            log.claim(pipeline, ["a", "b"])
            log.keep_due(pipeline, {"a": Due(1, 5), "b": Due(1, 6)})
        if how == "mark":
            log.set_mark("p", "a", 17)
        else:
            log.reset("p", "a" if how == "partition" else None)
        log.load("p", MEANING)
        claims = reopen().claim("p", ["a", "b"])
        assert claims["a"].due == Due()
        assert claims["b"].due == (Due() if how == "pipeline" else Due(1, 6))
        assert reopen().claim("q", ["a"])["a"].due == Due(1, 5)

    def test_a_cursor_that_is_too_large_is_refused_and_nothing_changes(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        large = Progress(Cursor(validators="x" * 70_000))
        with pytest.raises(StateError, match="too large"):
            commit(log, 1, end(claims["a"], at(1)), end(claims["b"], large), files=(staged(1),))
        again = reopen()
        assert (again.load("p", MEANING).seq, list(again.commits("p"))) == (0, [])
        assert again.claim("p", ["a"])["a"].cursor == Cursor()

    # -- ownership -------------------------------------------------------------------------------

    def test_a_claim_fences_the_owner_before_and_nothing_of_its_commit_is_kept(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        old = log.claim("p", ["a", "b"])
        new = reopen().claim("p", ["b"])
        assert new["b"].epoch > old["b"].epoch
        step = at(1, boundary_added=((7, KEY),), tokens_added=(TOKEN,))
        with pytest.raises(Fenced) as caught:
            commit(log, 1, end(old["a"], step), end(old["b"], at(2)), files=(staged(1),))
        assert caught.value.partitions == ("b",)
        again = reopen()
        assert (again.load("p", MEANING).seq, list(again.commits("p"))) == (0, [])
        claim = again.claim("p", ["a"])["a"]
        assert (claim.cursor, claim.boundary, claim.tokens) == (Cursor(), frozenset(), frozenset())

    def test_a_commit_at_another_seq_of_the_partition_is_fenced(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        commit(log, 1, end(claim, at(1)))
        with pytest.raises(Fenced):
            commit(log, 2, end(claim, at(2)))  # it still expects the seq of before

    def test_the_number_of_a_commit_is_given_once(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        commit(log, 1, end(claims["a"], at(1)))
        with pytest.raises((Fenced, StateError)):
            commit(log, 1, end(claims["b"], at(2)))
        assert [row.ends[0].partition for row in log.commits("p")] == ["a"]
        assert reopen().claim("p", ["b"])["b"].cursor == Cursor()

    def test_a_commit_is_kept_exactly_if_nobody_claimed_since(self, reopen: Reopen) -> None:
        class Owners(_Owners):
            log = reopen()
            names: ClassVar[Iterator[int]] = count()

        run_state_machine_as_test(
            Owners, settings=settings(max_examples=30, stateful_step_count=20, deadline=None)
        )

    # -- what a cursor means ---------------------------------------------------------------------

    def test_a_config_that_means_something_else_is_refused_with_the_keys(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        commit(log, 1, end(log.claim("p", ["a"])["a"], at(1)))
        with pytest.raises(ConfigError, match=r"source\.url changed") as caught:
            reopen().load("p", {**MEANING, "url": "other"})
        assert "state reset" in caught.value.remedy
        reopen().load("p", MEANING)

    def test_before_anything_is_committed_a_config_may_mean_anything(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        log.claim("p", ["a"])
        right = {**MEANING, "url": "right"}
        reopen().load("p", right)
        log = reopen()
        log.load("p", MEANING)
        commit(log, 1, end(log.claim("p", ["a"])["a"], at(1)))
        with pytest.raises(ConfigError, match=r"source\.url changed"):
            reopen().load("p", right)

    def test_entries_that_older_states_lack_count_as_unchanged_once(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        commit(log, 1, end(log.claim("p", ["a"])["a"], at(1)))
        newer = {**MEANING, "method": "1", "headers": "2"}
        reopen().load("p", newer)
        with pytest.raises(ConfigError, match=r"source\.headers changed"):
            reopen().load("p", {**newer, "headers": "3"})

    def test_a_key_may_change_while_no_boundary_key_was_made_with_it(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", REPLAYED])
        keyed = at(1, boundary_added=((7, KEY),))
        commit(log, 1, end(claims[REPLAYED], keyed), end(claims["a"], at(1)))
        log.load("p", {**MEANING, "key": "1"})
        log.load("p", {**MEANING, "key": "2"})
        log.load("p", MEANING)
        commit(log, 2, end(claims["a"], keyed, seq=1))
        log.load("p", {**MEANING, "key": "3"})  # the state lacked it: nobody knows what it was
        with pytest.raises(ConfigError, match=r"source\.key changed"):
            reopen().load("p", {**MEANING, "key": "4"})

    def test_what_is_advised_counts_without_being_accepted(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", KEYS)
        commit(log, 1, end(log.claim("p", ["a"])["a"], at(1)))
        log.load("p", {**KEYS, "incremental.order": "2", "incremental": "2"})
        with pytest.raises(ConfigError, match=r"source\.incremental\.param changed"):
            log.load("p", {**KEYS, "incremental.param": "2", "incremental": "3"})

    def test_the_meaning_and_the_number_of_keys_can_be_looked_at(self, reopen: Reopen) -> None:
        log = reopen()
        assert (log.meaning("p"), log.remembered("p")) == ({}, {})
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        keyed = at(1, boundary_added=((7, KEY), (8, KEY)))
        commit(log, 1, end(claims["a"], keyed), end(claims["b"], at(1)))
        assert (log.meaning("p"), log.remembered("p")) == (MEANING, {"a": 2})

    @pytest.mark.parametrize("forget_keys", [False, True])
    def test_an_adopted_partition_stands_where_it_was_put_and_its_owner_is_fenced(
        self, reopen: Reopen, forget_keys: bool
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        moved = at(1, boundary_added=((7, KEY),), tokens_added=(KEY,))
        commit(log, 1, end(claims["a"], moved), end(claims["b"], moved))
        other = {**MEANING, "url": "other"}
        reopen().adopt("p", {"a": Cursor(mark=7)}, forget_keys=forget_keys, fingerprint=other)
        with pytest.raises(Fenced):
            commit(log, 2, end(claims["a"], at(2), seq=1))
        log.load("p", other)
        again = log.claim("p", ["a", "b"])
        assert (again["a"].cursor, again["a"].seq) == (Cursor(mark=7), 0)
        assert again["a"].boundary == (frozenset() if forget_keys else frozenset({(7, KEY)}))
        assert again["a"].tokens == frozenset()
        assert (again["b"].cursor.received, again["b"].tokens) == (1, frozenset({KEY}))

    def test_a_meaning_that_is_not_adopted_yet_stays_refused(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        commit(log, 1, end(claims["a"], at(1)), end(claims["b"], at(1)))
        log.adopt("p", {"a": Cursor()}, forget_keys=False, fingerprint=None)
        with pytest.raises(ConfigError, match=r"source\.url changed"):
            log.load("p", {**MEANING, "url": "other"})

    def test_nothing_is_adopted_where_one_partition_is_unknown(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        commit(log, 1, end(log.claim("p", ["a"])["a"], at(1)))
        with pytest.raises(ConfigError, match="no partition 'b'"):
            log.adopt(
                "p", {"a": Cursor(), "b": Cursor()}, forget_keys=True, fingerprint={"url": "x"}
            )
        assert log.meaning("p") == MEANING
        assert log.claim("p", ["a"])["a"].cursor.received == 1

    # -- what the log tells of itself ------------------------------------------------------------

    def test_commits_are_read_in_order_from_any_number_on(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        for seq in range(1, 131):
            commit(log, seq, end(claim, at(seq), seq=seq - 1))
        reader = reopen()
        assert [row.seq for row in reader.commits("p")] == list(range(1, 131))
        assert [row.seq for row in reader.commits("p", 129)] == [129, 130]
        assert list(reader.commits("p", 131)) == []
        assert next(reader.commits("p", 70)).seq == 70

    def test_commits_are_read_with_all_that_was_written(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        made = commit(log, 1, end(claim, at(7)), files=(staged(1), staged(2, DEAD_LETTERS)))
        (row,) = reopen().commits("p")
        assert (row.pipeline, row.lineage, row.id, row.at) == ("p", made.lineage, made.id, made.at)
        assert (row.ledger, row.files) == (made.ledger, made.files)
        cursor = Cursor(received=7).to_json()
        assert row.ends == (
            EndRow(partition="a", epoch=claim.epoch, expected_seq=0, cursor=cursor),
        )

    def test_commits_with_dead_letters_can_be_told_from_others(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        files = {1: (), 2: (staged(2, DEAD_LETTERS),), 3: (staged(3), staged(4, DEAD_LETTERS))}
        for seq, named in files.items():
            commit(log, seq, end(claim, at(seq), seq=seq - 1), files=named)
        assert [row.seq for row in log.commits("p", kind=DEAD_LETTERS)] == [2, 3]
        assert [row.seq for row in log.commits("p", 3, kind=DEAD_LETTERS)] == [3]
        assert [row.seq for row in log.commits("p", kind=RECORDS)] == [3]

    def test_the_digests_are_a_chain_that_ends_at_the_pipeline(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        for seq in (1, 2, 3):
            commit(log, seq, end(claim, at(seq), seq=seq - 1), files=(staged(seq),))
        digest = ""
        for row in reopen().commits("p"):
            digest = chained(digest, row)
            assert digest == row.digest
        (head,) = reopen().pipelines()
        assert (head.name, head.seq, head.digest) == ("p", 3, digest)
        assert head.lineage == log.load("p", MEANING).lineage

    def test_partitions_are_listed_by_name_as_they_stand(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["b", "a"])
        commit(log, 1, end(claims["b"], at(4)))
        moved = Cursor(received=4).to_json()
        assert list(reopen().partitions("p")) == [
            PartitionRow(partition="a", epoch=1, seq=0, cursor=Cursor().to_json()),
            PartitionRow(partition="b", epoch=1, seq=1, cursor=moved),
        ]

    def test_the_schema_that_was_used_last_is_at_the_end(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        for seq, name in enumerate(("one", "two", "one"), 1):
            file = staged(seq, fingerprint=f"{name:>16}")
            commit(log, seq, end(claim, at(seq), seq=seq - 1), files=(file,), schema=name)
        commit(log, 4, end(claim, at(4), seq=3), files=(staged(4, DEAD_LETTERS),), schema="none")
        assert tuple(reopen().schemas("p")) == ("two", "one")
        assert reopen().load("p", MEANING).schemas == ("two", "one")

    # -- operators -------------------------------------------------------------------------------

    def test_a_reset_pipeline_begins_a_lineage_that_accepts_the_older_ones(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        first = log.load("p", MEANING).lineage
        claim = log.claim("p", ["a"])["a"]
        step = at(1, boundary_added=((7, KEY),), tokens_added=(TOKEN,))
        commit(log, 1, end(claim, step), files=(staged(1),))
        reopen().reset("p", found_lineages=["0123456789abcdef"])
        second = reopen().load("p", {"url": "another"})
        assert second.lineage not in (first, "0123456789abcdef")
        assert set(second.accepted_lineages) == {first, "0123456789abcdef"}
        assert (second.seq, second.unpublished, second.schemas) == (0, (), ())
        log = reopen()
        assert (list(log.commits("p")), list(log.partitions("p"))) == ([], [])
        claim = log.claim("p", ["a"])["a"]
        assert (claim.cursor, claim.boundary, claim.tokens) == (Cursor(), frozenset(), frozenset())
        reopen().reset("p")
        assert set(reopen().load("p", MEANING).accepted_lineages) == {
            first,
            second.lineage,
            "0123456789abcdef",
        }

    def test_a_pipeline_that_never_ran_can_be_reset(self, reopen: Reopen) -> None:
        reopen().reset("p", found_lineages=["0123456789abcdef"])
        assert reopen().load("p", MEANING).accepted_lineages == ("0123456789abcdef",)

    @pytest.mark.parametrize("mark", [None, 17, "2024"])
    def test_a_partition_is_put_back_and_its_owner_fenced(
        self, reopen: Reopen, mark: int | str | None
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        claims = log.claim("p", ["a", "b"])
        step = at(1, boundary_added=((7, KEY),), tokens_added=(TOKEN,))
        commit(log, 1, end(claims["a"], step), end(claims["b"], step))
        if mark is None:
            reopen().reset("p", "a")
        else:
            reopen().set_mark("p", "a", mark)
        with pytest.raises(Fenced):
            commit(log, 2, end(claims["a"], at(2), seq=1))
        (row, other) = reopen().partitions("p")
        assert (row.partition, row.seq, row.cursor) == ("a", 0, Cursor(mark=mark).to_json())
        assert (other.partition, other.seq, other.epoch) == ("b", 1, claims["b"].epoch)
        again = reopen().claim("p", ["a", "b"])
        assert (again["a"].cursor, again["a"].seq) == (Cursor(mark=mark), 0)
        assert (again["a"].boundary, again["a"].tokens) == (frozenset(), frozenset())
        assert again["b"].boundary == {(7, KEY)}
        assert [each.seq for each in reopen().commits("p")] == [1]

    def test_the_owner_of_a_partition_that_never_moved_is_fenced_too(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        claim = log.claim("p", ["a"])["a"]
        reopen().set_mark("p", "a", 17)
        with pytest.raises(Fenced):
            commit(log, 1, end(claim, at(1)))
        assert reopen().claim("p", ["a"])["a"].cursor == Cursor(mark=17)

    def test_an_unknown_partition_cannot_be_put_back(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        with pytest.raises(ConfigError, match="no partition 'zz'"):
            log.reset("p", "zz")
        with pytest.raises(ConfigError, match="no partition 'zz'"):
            log.set_mark("p", "zz", 1)
        assert list(log.partitions("p")) == []


class _Owners(RuleBasedStateMachine):
    """Two owners claim and commit in any order; each example has a pipeline of its own."""

    log: ClassVar[CommitLog]
    names: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = f"p{next(self.names)}"
        self.log.load(self.pipeline, MEANING)
        self.claims: dict[str, dict[str, Claim]] = {}
        self.expected: dict[str, dict[str, int]] = {}
        self.owner: dict[str, str] = {}
        self.cursor: Mapping[str, int] = {"a": 0, "b": 0}
        self.seq = self.steps = 0

    @rule(
        who=st.sampled_from(["one", "two"]), names=st.sets(st.sampled_from(["a", "b"]), min_size=1)
    )
    def claim(self, who: str, names: set[str]) -> None:
        claims = self.log.claim(self.pipeline, sorted(names))
        self.claims.setdefault(who, {}).update(claims)
        for name, claim in claims.items():
            assert claim.cursor.received == self.cursor[name]
            self.owner[name] = who
            self.expected.setdefault(who, {})[name] = claim.seq

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.claims)))
        claims, expected = self.claims[who], self.expected[who]
        names = sorted(data.draw(st.sets(st.sampled_from(sorted(claims)), min_size=1)))
        self.steps += 1
        ends = [end(claims[name], at(self.steps), seq=expected[name]) for name in names]
        fenced = tuple(name for name in names if self.owner[name] != who)
        try:
            commit(self.log, self.seq + 1, *ends, pipeline=self.pipeline)
        except Fenced as error:
            assert error.partitions == fenced
            return
        assert not fenced
        self.seq += 1
        self.cursor = {**self.cursor, **dict.fromkeys(names, self.steps)}
        expected.update(dict.fromkeys(names, self.seq))

    def teardown(self) -> None:
        assert self.log.load(self.pipeline, MEANING).seq == self.seq
