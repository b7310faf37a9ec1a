"""What every commit log promises, as tests (pytest and hypothesis are needed).

    class TestMyLog(CommitLogContract):
        @pytest.fixture
        def reopen(self, tmp_path: Path) -> Callable[[], CommitLog]:
            return lambda: MyLog(tmp_path / "log")

`reopen` opens the same log anew, as a process does that starts; several are open at once.
`restored` opens another log, which is empty.
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

from worker.core import memory_sum
from worker.core.checkpoint import Checkpoint
from worker.core.cursor import Cursor
from worker.core.digest import digest_of, sealed
from worker.core.errors import ConfigError, Fenced, StateError
from worker.core.found import Found
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    REPLAYED,
    BoundaryKey,
    Claim,
    Commit,
    CommitRow,
    Due,
    EndRow,
    Ledger,
    PartitionEnd,
    PartitionRow,
    Progress,
    Root,
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


def value(name: str, *, digest: bytes = b"1", pass_no: int = 0) -> Found:
    """A value of the list `id`."""
    return Found("id", name, ("of " + name,), digest, pass_no)


def values_of(log: CommitLog) -> list[str]:
    """The values of the list `id`, in order."""
    return [each.value for each in log.children("p", "id", most=99)]


class Owner:
    """Whoever has claimed a chain, with what it believes of it.

    Attributes:
        claims: its partitions, as the claim gave them.
        seqs: the commit that moved each partition last.
    """

    def __init__(
        self,
        log: CommitLog,
        *partitions: str,
        pipeline: str = "p",
        shard: int = 0,
        name: str = "",
        held: int | None = None,
    ) -> None:
        self._log, self._name = log, name or token_hex(8)
        claimed = log.claim(pipeline, partitions, owner=self._name, held=held, shard=shard)
        self.chain, self.claims = claimed.chain, dict(claimed.partitions)
        self.seq, self._digest = self.chain.seq, self.chain.digest
        self.seqs = {name: claim.seq for name, claim in self.claims.items()}

    def __getitem__(self, partition: str) -> Claim:
        return self.claims[partition]

    def draft(
        self,
        steps: Mapping[str, Progress],
        *,
        files: tuple[StagedFile, ...] = (),
        schema: str = "{}",
    ) -> Commit:
        """The next commit, which is not made yet."""
        ends = [PartitionEnd(name, self.seqs[name], step) for name, step in steps.items()]
        row = CommitRow(
            pipeline=self.chain.pipeline,
            shard=self.chain.shard,
            lineage=self.chain.lineage,
            seq=self.seq + 1,
            epoch=self.chain.epoch,
            id=token_hex(16),
            at="2024-01-01T00:00:00.000Z",
            ledger=Ledger(received=3, sent=3),
            files=files,
            ends=self._log.ends(self.chain.pipeline, ends),
            previous=self._digest,
        )
        return Commit(sealed(row), tuple(steps.values()), schema)

    def commit(
        self,
        steps: Mapping[str, Progress],
        *,
        files: tuple[StagedFile, ...] = (),
        schema: str = "{}",
    ) -> CommitRow:
        """Makes a commit."""
        made = self.draft(steps, files=files, schema=schema)
        self._log.commit(made)
        self.seq, self._digest = made.row.seq, made.row.digest
        self.seqs.update(dict.fromkeys(steps, self.seq))
        return made.row

    def published(self, seq: int) -> None:
        """Says that a commit is published."""
        self._log.mark_published(self.chain.lineage, seq)


class CommitLogContract:
    """Inherit from it in a test module."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        raise NotImplementedError("the fixture that opens the log")

    @pytest.fixture
    def restored(self) -> Reopen:
        raise NotImplementedError("the fixture that opens another log, which is empty")

    # -- commits ---------------------------------------------------------------------------------

    def test_a_pipeline_that_never_ran_has_nothing(self, reopen: Reopen) -> None:
        log = reopen()
        assert (list(log.chains()), list(log.partitions("p"))) == ([], [])
        assert (list(log.commits("p")), list(log.schemas("p"))) == ([], [])

    def test_what_was_committed_is_there_after_a_restart(self, reopen: Reopen) -> None:
        log = reopen()
        assert log.load("p", MEANING).seq == 0
        owner = Owner(log, "a", "b")
        made = owner.commit({"a": at(5)}, files=(staged(1), staged(2)))
        state = reopen().load("p", MEANING)
        assert (state.seq, state.lineage, state.digest) == (1, made.lineage, made.digest)
        assert state.unpublished == (made,) and state.last == made
        reopen().mark_published(made.lineage, 1)
        assert reopen().load("p", MEANING).unpublished == ()
        claims = Owner(reopen(), "a", "b")
        assert (claims["a"].cursor, claims["a"].seq) == (Cursor(received=5), 1)
        assert (claims["b"].cursor, claims["b"].seq) == (Cursor(), 0)

    def test_only_commits_up_to_the_marked_one_are_published(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1)})
        owner.published(1)
        owner.commit({"a": at(2)})
        state = log.load("p", MEANING)
        assert [each.seq for each in state.unpublished] == [2]
        assert state.last == state.unpublished[0]
        assert [each.published for each in log.commits("p")] == [True, False]
        owner.published(2)
        owner.published(1)
        state = log.load("p", MEANING)
        assert (state.unpublished, state.last and state.last.seq) == ((), 2)

    def test_each_pipeline_has_a_lineage_of_its_own_for_ever(self, reopen: Reopen) -> None:
        log = reopen()
        first, second = log.load("p", MEANING).lineage, log.load("q", MEANING).lineage
        assert first != second
        assert reopen().load("p", MEANING).lineage == first

    def test_pipelines_share_no_partition_and_no_number(self, reopen: Reopen) -> None:
        log = reopen()
        for pipeline in ("p", "q"):
            log.load(pipeline, MEANING)
            Owner(log, "a", pipeline=pipeline).commit({"a": at(1)})
        assert [(row.pipeline, row.seq) for row in log.chains()] == [("p", 1), ("q", 1)]
        assert [row.pipeline for row in log.chains("q")] == ["q"]

    def test_boundary_keys_change_by_difference(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        keys = [(value, bytes([value]) * 16) for value in range(5)]
        owner.commit({"a": at(1, boundary_added=tuple(keys[:4]))})
        step = at(2, boundary_added=(keys[3], keys[4]), boundary_floor=3)
        owner.commit({"a": step})
        assert Owner(reopen(), "a")["a"].boundary == frozenset(keys[3:])

    def test_boundary_values_may_be_text(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1, boundary_added=(("10", KEY), ("9", KEY), ("é", KEY)))})
        owner.commit({"a": at(2, boundary_floor="9")})
        assert Owner(reopen(), "a")["a"].boundary == {("9", KEY), ("é", KEY)}

    def test_tokens_of_a_pass_are_forgotten_with_it(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1, tokens_added=(TOKEN, b"2" * 16))})
        step = at(2, tokens_cleared=True, tokens_added=(b"3" * 16,))
        owner.commit({"a": step})
        assert Owner(reopen(), "a")["a"].tokens == {b"3" * 16}

    def test_each_commit_carries_the_sum_over_all_that_is_remembered(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", {})
        owner = Owner(log, "a", "b")
        keys = [(number, bytes([number]) * 16) for number in range(6)]
        for step in (
            at(1, boundary_added=tuple(keys[:3]), tokens_added=(b"1" * 16, b"2" * 16)),
            at(2, boundary_added=tuple(keys[2:]), tokens_added=(b"2" * 16, b"3" * 16)),
            at(3, boundary_floor=3, boundary_added=(keys[0], keys[4])),
            at(4, tokens_cleared=True, tokens_added=(b"3" * 16,)),
            at(5),
        ):
            made = owner.commit({"a": step})
            found = log.snapshot("p")
            (a, b) = found.partitions
            assert made.ends[0].memory == a.memory == found.memories["a"]
            assert (b.memory, found.memories["b"]) == ("", f"{0:032x}")
        assert len({end.memory for row in log.commits("p") for end in row.ends}) == 4

    def test_a_snapshot_says_everything_but_the_commits(self, reopen: Reopen) -> None:
        log = reopen()
        assert log.snapshot("p").own_chains == ()
        log.load("q", {})
        Owner(log, "a", pipeline="q")
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1)}, files=(staged(1),), schema='"int"')
        found = log.snapshot("p")
        assert [chain.pipeline for chain in found.chains] == ["p", "q"]
        assert [chain.epoch for chain in found.own_chains] == [found.epoch] == [2]
        assert list(found.partitions) == list(log.partitions("p"))
        assert found.meaning == MEANING
        assert [(kept.fingerprint, kept.last_seq, kept.schema) for kept in found.schemas] == [
            ("f" * 16, 1, '"int"')
        ]

    def test_when_a_partition_is_served_next_is_kept_outside_of_the_commits(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        assert owner["a"].due == Due()
        failing = Due(2, None, 3, 1_700_000_000_000_000, "auth", "401: é")
        log.keep_due("p", {"a": Due(1, 5), "b": failing})
        owner.commit({"a": at(1)})  # no claim is touched by it
        log.keep_due("p", {"a": Due(2, 7)})
        log.keep_due("p", {})
        claims = Owner(reopen(), "a", "b")
        assert (claims["a"].due, claims["b"].due) == (Due(2, 7), failing)
        assert [each.seq for each in reopen().commits("p")] == [1]

    @pytest.mark.parametrize("how", ["pipeline", "partition", "mark"])
    def test_who_puts_a_partition_back_wants_it_served_now(self, reopen: Reopen, how: str) -> None:
        log = reopen()
        for pipeline in ("p", "q"):
            log.load(pipeline, MEANING)
            Owner(log, "a", "b", pipeline=pipeline)
            log.keep_due(pipeline, {"a": Due(1, 5), "b": Due(1, 6)})
        if how == "mark":
            log.set_mark("p", "a", 17)
        else:
            log.reset("p", "a" if how == "partition" else None)
        log.load("p", MEANING)
        claims = Owner(reopen(), "a", "b")
        assert claims["a"].due == Due()
        assert claims["b"].due == (Due() if how == "pipeline" else Due(1, 6))
        assert Owner(reopen(), "a", pipeline="q")["a"].due == Due(1, 5)

    def test_a_cursor_that_is_too_large_is_refused_and_nothing_changes(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        large = Progress(Cursor(validators="x" * 70_000))
        with pytest.raises(StateError, match="too large"):
            owner.commit({"a": at(1), "b": large}, files=(staged(1),))
        again = reopen()
        assert (again.load("p", MEANING).seq, list(again.commits("p"))) == (0, [])
        assert Owner(again, "a")["a"].cursor == Cursor()

    # -- ownership -------------------------------------------------------------------------------

    def test_a_claim_fences_the_owner_before_and_nothing_of_its_commit_is_kept(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        old, new = Owner(log, "a", "b"), Owner(reopen(), "b")
        assert new.chain.epoch > old.chain.epoch
        step = at(1, boundary_added=((7, KEY),), tokens_added=(TOKEN,))
        with pytest.raises(Fenced):
            old.commit({"a": step, "b": at(2)}, files=(staged(1),))
        again = reopen()
        assert (again.load("p", MEANING).seq, list(again.commits("p"))) == (0, [])
        claim = Owner(again, "a")["a"]
        assert (claim.cursor, claim.boundary, claim.tokens) == (Cursor(), frozenset(), frozenset())

    def test_a_claim_gives_the_chain_as_it_stands_from_now_on(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        old = Owner(log, "a", name="one")
        made = old.commit({"a": at(1)}, files=(staged(1),))  # after somebody else has loaded
        new = Owner(reopen(), "a", name="two")
        assert (new.chain.seq, new.chain.digest) == (1, made.digest)
        assert (new.chain.unpublished, new.chain.last) == ((made,), made)
        assert (new["a"].seq, new["a"].cursor) == (1, Cursor(received=1))
        assert (new.chain.owner, new.chain.owners) == ("two", ("one",))
        new.commit({"a": at(2)})

    def test_a_displaced_owner_takes_nothing_back(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        one = Owner(log, "a", name="one")
        again = Owner(log, "a", name="one", held=one.chain.epoch)
        two = Owner(reopen(), "a", name="two")
        with pytest.raises(Fenced):
            Owner(log, "a", name="one", held=again.chain.epoch)
        two.commit({"a": at(1)})

    def test_owners_are_remembered_in_the_order_of_their_last_claims(self, reopen: Reopen) -> None:
        log = reopen()
        for pipeline in ("p", "q"):
            log.load(pipeline, MEANING)
        epoch = Owner(log, name="one").chain.epoch
        Owner(log, name="one", held=epoch)
        Owner(log, name="two")
        Owner(log, name="elsewhere", pipeline="q")
        assert Owner(reopen(), name="three").chain.owners == ("one", "two")

    def test_an_epoch_is_never_given_twice(self, reopen: Reopen) -> None:
        log = reopen()
        seen = []
        for how in ("", "claim", "reset", "partition", "mark", "pipeline"):
            if how == "reset":
                reopen().reset("p")
            elif how == "partition":
                reopen().reset("p", "a")
            elif how == "mark":
                reopen().set_mark("p", "a", 7)
            pipeline = "q" if how == "pipeline" else "p"
            log.load(pipeline, MEANING)
            seen.append(Owner(reopen(), "a", pipeline=pipeline).chain.epoch)
        assert seen == sorted(set(seen))

    def test_an_owner_from_before_a_reset_commits_nothing(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        old = Owner(log, "a")
        reopen().reset("p")
        log.load("p", MEANING)
        new = Owner(reopen(), "a")
        with pytest.raises(Fenced):
            old.commit({"a": at(7)}, files=(staged(1),))
        assert new.commit({"a": at(1)}).seq == 1

    def test_shards_commit_beside_each_other(self, reopen: Reopen) -> None:
        log = reopen()
        shards = []
        for shard, name in enumerate(("x", "y")):
            log.load("p", MEANING, shard=shard)
            shards.append(Owner(reopen(), name, shard=shard))
        one, two = shards
        assert one.chain.lineage != two.chain.lineage
        first = one.commit({"x": at(1)}, files=(staged(1),))
        two.commit({"y": at(2)}, files=(staged(2),))
        two.published(1)
        assert log.load("p", MEANING).unpublished == (first,)
        assert log.load("p", MEANING, shard=1).unpublished == ()
        assert log.load("p", MEANING, shard=1).accepted_lineages == (one.chain.lineage,)
        rows = [(row.shard, row.lineage, row.seq) for row in log.chains("p")]
        assert rows == [(0, one.chain.lineage, 1), (1, two.chain.lineage, 1)]
        assert [row.ends[0].partition for row in log.commits("p", shard=1)] == ["y"]
        counts = [log.commit_count("p", shard=shard) for shard in range(3)]
        assert counts == [1, 1, 0]
        assert [(row.partition, row.shard) for row in log.partitions("p")] == [("x", 0), ("y", 1)]

    def test_a_partition_that_moved_to_another_shard_fences_the_one_before(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        for shard in (0, 1):
            log.load("p", MEANING, shard=shard)
        one = Owner(log, "x", "y")
        one.commit({"x": at(1), "y": at(1)})
        two = Owner(reopen(), "y", shard=1)
        assert two["y"].cursor == Cursor(received=1)
        with pytest.raises(Fenced):
            one.commit({"x": at(2), "y": at(2)})
        two.commit({"y": at(3)})
        one.commit({"x": at(4)})

    def test_a_commit_at_another_seq_of_the_partition_is_fenced(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1)})
        owner.seqs["a"] = 0
        with pytest.raises(Fenced):
            owner.commit({"a": at(2)})

    @pytest.mark.parametrize("wrong", ["seq", "previous", "lineage", "epoch", "gap"])
    def test_a_commit_that_does_not_follow_the_last_one_is_fenced(
        self, reopen: Reopen, wrong: str
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        made = owner.commit({"a": at(1)})
        draft = owner.draft({"a": at(2)})
        changed = {
            "seq": {"seq": 1},
            "gap": {"seq": 3},
            "previous": {"previous": "0" * 64},
            "lineage": {"lineage": "f" * 16},
            "epoch": {"epoch": made.epoch - 1 or 99},
        }
        row = sealed(replace(draft.row, **changed[wrong]))  # type: ignore[arg-type]
        with pytest.raises(Fenced):
            log.commit(replace(draft, row=row))
        assert [row.digest for row in log.commits("p")] == [made.digest]
        log.commit(draft)

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
        Owner(log, "a").commit({"a": at(1)})
        with pytest.raises(ConfigError, match=r"source\.url changed") as caught:
            reopen().load("p", {**MEANING, "url": "other"})
        assert "state reset" in caught.value.remedy
        reopen().load("p", MEANING)

    def test_before_anything_is_committed_a_config_may_mean_anything(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        Owner(log, "a")
        right = {**MEANING, "url": "right"}
        reopen().load("p", right)
        log = reopen()
        log.load("p", MEANING)
        Owner(log, "a").commit({"a": at(1)})
        with pytest.raises(ConfigError, match=r"source\.url changed"):
            reopen().load("p", right)

    def test_entries_that_older_states_lack_count_as_unchanged_once(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        Owner(log, "a").commit({"a": at(1)})
        newer = {**MEANING, "method": "1", "headers": "2"}
        reopen().load("p", newer)
        with pytest.raises(ConfigError, match=r"source\.headers changed"):
            reopen().load("p", {**newer, "headers": "3"})

    def test_a_key_may_change_while_no_boundary_key_was_made_with_it(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", REPLAYED)
        keyed = at(1, boundary_added=((7, KEY),))
        owner.commit({REPLAYED: keyed, "a": at(1)})
        log.load("p", {**MEANING, "key": "1"})
        log.load("p", {**MEANING, "key": "2"})
        log.load("p", MEANING)
        owner.commit({"a": keyed})
        log.load("p", {**MEANING, "key": "3"})  # the state lacked it: nobody knows what it was
        with pytest.raises(ConfigError, match=r"source\.key changed"):
            reopen().load("p", {**MEANING, "key": "4"})

    def test_what_is_advised_counts_without_being_accepted(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", KEYS)
        Owner(log, "a").commit({"a": at(1)})
        log.load("p", {**KEYS, "incremental.order": "2", "incremental": "2"})
        with pytest.raises(ConfigError, match=r"source\.incremental\.param changed"):
            log.load("p", {**KEYS, "incremental.param": "2", "incremental": "3"})

    def test_the_meaning_and_the_number_of_keys_can_be_looked_at(self, reopen: Reopen) -> None:
        log = reopen()
        assert (log.meaning("p"), log.remembered("p")) == ({}, {})
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        keyed = at(1, boundary_added=((7, KEY), (8, KEY)))
        owner.commit({"a": keyed, "b": at(1)})
        assert (log.meaning("p"), log.remembered("p")) == (MEANING, {"a": 2})

    @pytest.mark.parametrize("forget_keys", [False, True])
    def test_an_adopted_partition_stands_where_it_was_put_and_its_owner_is_fenced(
        self, reopen: Reopen, forget_keys: bool
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        moved = at(1, boundary_added=((7, KEY),), tokens_added=(KEY,))
        owner.commit({"a": moved, "b": moved})
        other = {**MEANING, "url": "other"}
        reopen().adopt("p", {"a": Cursor(mark=7)}, forget_keys=forget_keys, fingerprint=other)
        with pytest.raises(Fenced):
            owner.commit({"a": at(2)})
        log.load("p", other)
        again = Owner(log, "a", "b")
        assert (again["a"].cursor, again["a"].seq) == (Cursor(mark=7), 0)
        assert again["a"].boundary == (frozenset() if forget_keys else frozenset({(7, KEY)}))
        assert again["a"].tokens == frozenset()
        assert (again["b"].cursor.received, again["b"].tokens) == (1, frozenset({KEY}))

    def test_a_meaning_that_is_not_adopted_yet_stays_refused(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        owner.commit({"a": at(1), "b": at(1)})
        log.adopt("p", {"a": Cursor()}, forget_keys=False, fingerprint=None)
        with pytest.raises(ConfigError, match=r"source\.url changed"):
            log.load("p", {**MEANING, "url": "other"})

    def test_nothing_is_adopted_where_one_partition_is_unknown(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        Owner(log, "a").commit({"a": at(1)})
        with pytest.raises(ConfigError, match="no partition 'b'"):
            log.adopt(
                "p", {"a": Cursor(), "b": Cursor()}, forget_keys=True, fingerprint={"url": "x"}
            )
        assert log.meaning("p") == MEANING
        assert Owner(log, "a")["a"].cursor.received == 1

    # -- what the log tells of itself ------------------------------------------------------------

    def test_commits_are_read_in_order_from_any_number_on(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        for seq in range(1, 131):
            owner.commit({"a": at(seq)})
        reader = reopen()
        assert [row.seq for row in reader.commits("p")] == list(range(1, 131))
        assert [row.seq for row in reader.commits("p", 129)] == [129, 130]
        assert list(reader.commits("p", 131)) == []
        assert next(reader.commits("p", 70)).seq == 70

    def test_commits_are_read_with_all_that_was_written(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        made = owner.commit({"a": at(7)}, files=(staged(1), staged(2, DEAD_LETTERS)))
        (row,) = reopen().commits("p")
        assert (row.pipeline, row.lineage, row.id, row.at) == ("p", made.lineage, made.id, made.at)
        assert (row.ledger, row.files) == (made.ledger, made.files)
        cursor = Cursor(received=7).to_json()
        nothing = memory_sum.as_text(0)
        assert row.ends == (EndRow(partition="a", expected_seq=0, cursor=cursor, memory=nothing),)
        assert (row, row.published) == (made, False)

    def test_commits_with_dead_letters_can_be_told_from_others(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        files = {1: (), 2: (staged(2, DEAD_LETTERS),), 3: (staged(3), staged(4, DEAD_LETTERS))}
        for seq, named in files.items():
            owner.commit({"a": at(seq)}, files=named)
        assert [row.seq for row in log.commits("p", kind=DEAD_LETTERS)] == [2, 3]
        assert [row.seq for row in log.commits("p", 3, kind=DEAD_LETTERS)] == [3]
        assert [row.seq for row in log.commits("p", kind=RECORDS)] == [3]

    def test_the_digests_are_a_chain_that_ends_at_the_pipeline(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        for seq in (1, 2, 3):
            owner.commit({"a": at(seq)}, files=(staged(seq),))
        digest = ""
        for row in reopen().commits("p"):
            assert row.previous == digest
            digest = digest_of(row)
            assert digest == row.digest
        (head,) = reopen().chains()
        assert (head.pipeline, head.seq, head.digest) == ("p", 3, digest)
        assert head.lineage == log.load("p", MEANING).lineage

    def test_partitions_are_listed_by_name_as_they_stand(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "b", "a")
        owner.commit({"b": at(4)})
        moved = Cursor(received=4).to_json()
        assert list(reopen().partitions("p")) == [
            PartitionRow("a", 0, 0, Cursor().to_json()),
            PartitionRow("b", 0, 1, moved, memory_sum.as_text(0)),
        ]

    def test_the_schema_that_was_used_last_is_at_the_end(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        for seq, name in enumerate(("one", "two", "one"), 1):
            file = staged(seq, fingerprint=f"{name:>16}")
            owner.commit({"a": at(seq)}, files=(file,), schema=name)
        owner.commit({"a": at(4)}, files=(staged(4, DEAD_LETTERS),), schema="none")
        assert tuple(reopen().schemas("p")) == ("two", "one")
        assert reopen().load("p", MEANING).schemas == ("two", "one")

    # -- operators -------------------------------------------------------------------------------

    def test_a_reset_pipeline_begins_a_lineage_that_accepts_the_older_ones(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        first = log.load("p", MEANING).lineage
        owner = Owner(log, "a")
        step = at(1, boundary_added=((7, KEY),), tokens_added=(TOKEN,))
        owner.commit({"a": step}, files=(staged(1),))
        reopen().reset("p", found_lineages=["0123456789abcdef"])
        second = reopen().load("p", {"url": "another"})
        assert second.lineage not in (first, "0123456789abcdef")
        assert set(second.accepted_lineages) == {first, "0123456789abcdef"}
        assert (second.seq, second.unpublished, second.schemas) == (0, (), ())
        log = reopen()
        assert (list(log.commits("p")), list(log.partitions("p"))) == ([], [])
        claim = Owner(log, "a")["a"]
        assert (claim.cursor, claim.boundary, claim.tokens) == (Cursor(), frozenset(), frozenset())
        reopen().reset("p")
        assert set(reopen().load("p", MEANING).accepted_lineages) == {
            first,
            second.lineage,
            "0123456789abcdef",
        }

    def test_where_files_go_is_kept_and_where_they_went(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", {})
        assert (log.roots("p"), log.places("p")) == ({}, {})
        lake, letters, moved, other = (
            Root(path=path, id=root_id)
            for path, root_id in (("/a", "x"), ("/d", "d"), ("/b", "x"), ("/c", "y"))
        )
        for kind, root in ((RECORDS, lake), (DEAD_LETTERS, letters), (RECORDS, moved)):
            log.keep_root("p", kind, root)
        assert log.roots("p") == {RECORDS: moved, DEAD_LETTERS: letters}
        log.keep_root("p", RECORDS, other)
        assert log.load("p", {}).roots == {RECORDS: other, DEAD_LETTERS: letters}
        log.keep_root("p", RECORDS, lake)
        log.keep_root("never ran", RECORDS, other)
        assert reopen().roots("p") == {RECORDS: lake, DEAD_LETTERS: letters}
        assert reopen().places("p") == {"x": "/a", "y": "/c", "d": "/d"}
        assert reopen().load("never ran", {}).roots == {RECORDS: other}
        log.reset("p")
        assert (log.roots("p"), log.places("p")) == ({}, {})

    def test_a_state_has_an_id_that_stays(self, reopen: Reopen) -> None:
        log = reopen()
        found = log.state_id()
        assert found and reopen().state_id() == found == log.load("p", {}).state_id

    def test_lineages_whose_files_may_stay_are_known(self, reopen: Reopen) -> None:
        log = reopen()
        assert list(log.lineages("p")) == []
        first = log.load("p", {}).lineage
        log.reset("p", found_lineages=["0123456789abcdef"])
        second = log.load("p", {}).lineage
        assert sorted(log.lineages("p")) == sorted([first, second, "0123456789abcdef"])

    def test_a_pipeline_that_never_ran_can_be_reset(self, reopen: Reopen) -> None:
        reopen().reset("p", found_lineages=["0123456789abcdef"])
        assert reopen().load("p", MEANING).accepted_lineages == ("0123456789abcdef",)

    @pytest.mark.parametrize("mark", [None, 17, "2024"])
    def test_a_partition_is_put_back_and_its_owner_fenced(
        self, reopen: Reopen, mark: int | str | None
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        step = at(1, boundary_added=((7, KEY),), tokens_added=(TOKEN,))
        owner.commit({"a": step, "b": step})
        if mark is None:
            reopen().reset("p", "a")
        else:
            reopen().set_mark("p", "a", mark)
        with pytest.raises(Fenced):
            owner.commit({"a": at(2)})
        (row, other) = reopen().partitions("p")
        assert (row.partition, row.seq, row.cursor) == ("a", 0, Cursor(mark=mark).to_json())
        assert (other.partition, other.seq) == ("b", 1)
        again = Owner(reopen(), "a", "b")
        assert (again["a"].cursor, again["a"].seq) == (Cursor(mark=mark), 0)
        assert (again["a"].boundary, again["a"].tokens) == (frozenset(), frozenset())
        assert again["b"].boundary == {(7, KEY)}
        assert [each.seq for each in reopen().commits("p")] == [1]

    def test_the_owner_of_a_partition_that_never_moved_is_fenced_too(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        reopen().set_mark("p", "a", 17)
        with pytest.raises(Fenced):
            owner.commit({"a": at(1)})
        assert Owner(reopen(), "a")["a"].cursor == Cursor(mark=17)

    def test_an_unknown_partition_cannot_be_put_back(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        with pytest.raises(ConfigError, match="no partition 'zz'"):
            log.reset("p", "zz")
        with pytest.raises(ConfigError, match="no partition 'zz'"):
            log.set_mark("p", "zz", 1)
        assert list(log.partitions("p")) == []

    # -- retention -------------------------------------------------------------------------------

    def test_old_commits_are_forgotten_in_order_but_never_the_last_or_an_unpublished_one(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        for number in range(1, 6):
            owner.commit({"a": at(number)}, files=(staged(number),))
        owner.published(3)
        assert log.prunable("p", "2024-01-01T00:00:00.000Z", 10).seqs == ()
        found = log.prunable("p", "2030", 1)
        assert (found.upto, found.seqs, found.more) == (1, (1,), True)
        found = log.prunable("p", "2024-01-01T00:00:00.001Z", 2)
        assert (found.upto, found.seqs, found.more) == (2, (1, 2), True)
        log.prune("p", found)
        found = log.prunable("p", "2030", 2)
        assert (found.upto, found.seqs, found.more) == (3, (3,), False)
        log.prune("p", found)
        owner.published(5)
        log.prune("p", log.prunable("p", "2030", 10))
        log.prune("p", log.prunable("p", "2030", 10))
        log.shrink()
        assert [row.seq for row in reopen().commits("p")] == [5]
        assert reopen().chains("p")[0].pruned == 4
        assert owner.commit({"a": at(6)}).seq == 6
        assert reopen().load("p", MEANING).seq == 6

    def test_commits_whose_dead_letters_wait_are_kept(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", REPLAYED)
        for number in range(1, 5):
            owner.commit({"a": at(number)}, files=(staged(number, DEAD_LETTERS),))
        owner.commit({"a": at(5)})
        owner.published(5)
        found = log.prunable("p", "2030", 10)
        assert (found.upto, found.seqs) == (4, ())
        log.prune("p", found)
        owner.commit({REPLAYED: replace(at(6), cursor=Cursor(mark=2))})
        owner.published(6)
        log.keep_gone("p", [staged(4, DEAD_LETTERS)], "purged")
        assert reopen().gone("p") == {(DEAD_LETTERS, staged(4).final): "purged"}
        found = log.prunable("p", "2030", 10)
        assert sorted(found.seqs) == [1, 2, 4, 5]
        log.prune("p", found)
        assert [row.seq for row in reopen().commits("p")] == [3, 6]
        assert reopen().gone("p") == {}

    def test_what_is_known_to_be_gone_is_told_with_the_unpublished_commit(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        Owner(log, "a").commit({"a": at(1)}, files=(staged(1, DEAD_LETTERS),))
        log.keep_gone("p", [staged(1, DEAD_LETTERS)], "lost")
        assert log.load("p", MEANING).gone == {(DEAD_LETTERS, staged(1).final)}

    # -- lists of values that are found ----------------------------------------------------------

    def test_values_are_found_with_the_commit_that_brings_them(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        log.keep_lists("p", ["id"])
        owner.commit({"a": at(1, found=(value("x"), value("y")))})
        fenced = owner.draft({"a": at(2, found=(value("z"),))})
        Owner(log, "a")
        with pytest.raises(Fenced):
            log.commit(fenced)
        assert values_of(reopen()) == ["x", "y"]
        assert log.lists("p") == {"id": 0}

    def test_a_list_that_is_looked_for_later_says_since_when(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1)})
        log.keep_lists("p", ["id"])
        owner.commit({"a": at(2)})
        log.keep_lists("p", ["id", "other"])
        assert log.lists("p") == {"id": 1, "other": 2}

    def test_a_value_moves_behind_all_others_when_its_record_changes(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        owner.commit({"a": at(1, found=(value("x"), value("y")))})
        (first, second) = log.children("p", "id", most=9)
        owner.commit({"a": at(2, found=(value("x", digest=b"2"), value("y")))})
        (changed,) = log.children("p", "id", after=second.changed, most=9, by_change=True)
        assert (changed.value, changed.digest, changed.number) == ("x", b"2", first.number)
        assert log.children("p", "id", after=second.number, most=9) == []
        assert [each.value for each in log.children("p", "id", most=1)] == ["x"]
        (only,) = log.children("p", "id", most=9, value="y")
        assert only == second

    def test_a_value_that_a_whole_pass_lacks_has_vanished_until_it_comes_back(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        log.keep_lists("p", ["id"])
        for pass_no, names in enumerate(("xyz", "xy", "xyz"), 1):
            found = tuple(value(name, pass_no=pass_no) for name in names)
            owner.commit({"a": at(pass_no, found=found, list_over=pass_no)})
            there = [each.value for each in log.children("p", "id", most=9) if each.there]
            assert sorted(there) == list(names)
            assert log.standings("p", "id")["a"].size == len(names)
        assert values_of(log) == ["x", "y", "z"], "what comes back is new"

    def test_a_list_of_less_than_half_does_not_replace_the_one_before(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        log.keep_lists("p", ["id"])
        found = tuple(value(name, pass_no=1) for name in "vwxyz")
        owner.commit({"a": at(1, found=found, list_over=1)})
        owner.commit({"a": at(2, found=(value("v", pass_no=2),), list_over=2)})
        owner.commit({"a": at(3, list_over=3)})
        stands = reopen().standings("p", "id")["a"]
        assert (stands.size, stands.ended_size, stands.doubtful) == (5, 0, True)
        children = log.children("p", "id", most=9)
        assert all(each.there and not each.in_last for each in children)
        more = tuple(value(name, pass_no=4) for name in "vwx")
        owner.commit({"a": at(4, found=more, list_over=4)})
        assert not log.standings("p", "id")["a"].doubtful
        there = sorted(each.value for each in log.children("p", "id", most=9) if each.there)
        assert there == ["v", "w", "x"]

    def test_a_value_that_several_partitions_bring_is_there_while_one_of_them_does(
        self, reopen: Reopen
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a", "b")
        log.keep_lists("p", ["id"])
        for name in "ab":
            found = (value("x", pass_no=1), value("y", pass_no=1))
            owner.commit({name: at(1, found=found, list_over=1)})
        owner.commit({"a": at(2, found=(value("y", pass_no=2),), list_over=2)})
        there = {each.value: each.there for each in log.children("p", "id", most=9)}
        assert there == {"x": True, "y": True}
        owner.commit({"b": at(2, found=(value("y", pass_no=2),), list_over=2)})
        there = {each.value: each.there for each in log.children("p", "id", most=9)}
        assert there == {"x": False, "y": True}

    def test_the_sum_over_what_is_remembered_covers_what_was_found(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        for number, found in enumerate(((value("x"),), (value("x", digest=b"2"), value("y"))), 1):
            row = owner.commit({"a": at(number, found=found)})
            seen = log.snapshot("p")
            assert seen.memories["a"] == row.ends[0].memory != ""
        assert owner.commit({"a": at(3)}).ends[0].memory == row.ends[0].memory

    def test_values_of_a_file_belong_to_no_partition(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        Owner(log, "a").commit({"a": at(1)})
        log.keep_found("p", [value("x", pass_no=1)])
        log.keep_found("p", [], list_over=1)
        assert values_of(reopen()) == ["x"]
        assert set(log.snapshot("p").memories) == {"a"}

    def test_a_reset_forgets_what_was_found(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        log.load("q", MEANING)
        for name in "pq":
            owner = Owner(log, "a", pipeline=name)
            log.keep_lists(name, ["id"])
            owner.commit({"a": at(1, found=(value("x"),), list_over=1)})
        log.reset("p")
        assert (values_of(log), log.lists("p"), log.standings("p", "id")) == ([], {}, {})
        assert [each.value for each in log.children("q", "id", most=9)] == ["x"]

    def test_what_is_found_is_restored_with_its_chain(
        self, reopen: Reopen, restored: Callable[[], CommitLog]
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log, "a")
        log.keep_lists("p", ["id"])
        found = (value("x", pass_no=1), value("y", pass_no=1))
        owner.commit({"a": at(1, found=found, list_over=1)})
        kept = log.checkpoint("p")
        other = restored()
        other.restore(kept.state, [(kept, list(log.commits("p")))])
        assert values_of(other) == ["x", "y"]
        assert other.standings("p", "id") == log.standings("p", "id")
        assert other.lists("p") == {"id": 0}
        assert other.checkpoint("p").partitions == kept.partitions

    def test_partitions_that_are_taken_later_belong_to_the_chain(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log)
        taken = log.take("p", ["x", "y"], epoch=owner.chain.epoch)
        assert {name: claim.seq for name, claim in taken.items()} == {"x": 0, "y": 0}
        owner.seqs["x"] = 0
        owner.commit({"x": at(1)})
        log.keep_due("p", {"x": Due(1, 5)})
        assert log.standing("p", ["x", "y", "z"]) == {
            "x": (Cursor(received=1), Due(1, 5)),
            "y": (Cursor(), Due()),
        }
        again = log.take("p", ["x"], epoch=owner.chain.epoch)["x"]
        assert (again.seq, again.cursor, again.due) == (1, Cursor(received=1), Due(1, 5))

    def test_a_displaced_owner_takes_no_partition(self, reopen: Reopen) -> None:
        log = reopen()
        log.load("p", MEANING)
        owner = Owner(log)
        Owner(log)
        with pytest.raises(Fenced):
            log.take("p", ["x"], epoch=owner.chain.epoch)
        assert log.standing("p", ["x"]) == {}

    # -- a chain that is restored ----------------------------------------------------------------

    def test_a_chain_that_is_restored_is_the_one_that_was_there(
        self, reopen: Reopen, restored: Callable[[], CommitLog]
    ) -> None:
        log = reopen()
        log.load("p", MEANING)
        log.load("q", MEANING)
        owner = Owner(log, "a", "b")
        keys = ((1, KEY), (1, b"l" * 16), (2, KEY))
        owner.commit({"a": at(1, boundary_added=keys)}, files=(staged(1),), schema="one")
        owner.commit(
            {"b": at(2, tokens_added=(TOKEN, b"u" * 16))},
            files=(staged(2, fingerprint="e" * 16),),
            schema="two",
        )
        owner.published(1)
        log.keep_root("p", RECORDS, Root("/lake", "id"))
        kept = log.checkpoint("p")
        other = restored()
        other.restore(kept.state, [(kept, list(log.commits("p")))])
        again = other.checkpoint("p")
        assert again.epoch > kept.epoch + 1_000_000
        for name in Checkpoint.__struct_fields__:
            if name not in ("epoch", "schemas"):
                assert getattr(again, name) == getattr(kept, name), name
        assert list(other.schemas("p")) == ["one", "two"]
        assert list(other.commits("p")) == list(log.commits("p"))
        assert other.partitions("p") == log.partitions("p")
        state = other.load("p", MEANING)
        assert [row.seq for row in state.unpublished] == [2]
        claims = Owner(other, "a", "b")
        assert claims["a"].boundary == set(keys)
        assert claims["b"].tokens == {TOKEN, b"u" * 16}
        assert claims.chain.epoch > again.epoch
        assert claims.commit({"a": at(3, boundary_floor=2)}).seq == 3
        with pytest.raises(StateError):
            other.checkpoint("never")

    def test_a_partition_that_two_chains_had_is_restored_as_the_later_one_left_it(
        self, reopen: Reopen, restored: Callable[[], CommitLog]
    ) -> None:
        log = reopen()
        for shard in (0, 1):
            log.load("p", MEANING, shard=shard)
        Owner(log, "a").commit({"a": at(1, boundary_added=((1, KEY),), tokens_added=(TOKEN,))})
        before = log.checkpoint("p")
        Owner(log, "a", shard=1).commit({"a": at(2, boundary_floor=2, tokens_cleared=True)})
        after = log.checkpoint("p", shard=1)
        other = restored()
        rows = [list(log.commits("p", shard=shard)) for shard in (0, 1)]
        other.restore(after.state, [(after, rows[1]), (before, rows[0])])
        assert other.partitions("p") == log.partitions("p")
        claim = Owner(other, "a", shard=1)["a"]
        assert claim.cursor.received == 2 and not claim.boundary and not claim.tokens


class _Owners(RuleBasedStateMachine):
    """Two owners of one chain claim and commit in any order; each example has its own pipeline."""

    log: ClassVar[CommitLog]
    names: ClassVar[Iterator[int]]

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = f"p{next(self.names)}"
        self.log.load(self.pipeline, MEANING)
        self.owners: dict[str, Owner] = {}
        self.owning = ""
        self.boundary: dict[str, set[BoundaryKey]] = {"a": set(), "b": set()}
        self.cursor: Mapping[str, int] = {"a": 0, "b": 0}
        self.seq = self.steps = 0

    @rule(who=st.sampled_from(["one", "two"]), held=st.booleans())
    def claim(self, who: str, held: bool) -> None:
        before = self.owners.get(who)
        epoch = before.chain.epoch if held and before else None
        try:
            owner = Owner(self.log, "a", "b", pipeline=self.pipeline, name=who, held=epoch)
        except Fenced:
            assert epoch is not None and self.owning != who
            return
        assert epoch is None or self.owning == who
        self.owners[who], self.owning = owner, who
        for name, claim in owner.claims.items():
            assert claim.cursor.received == self.cursor[name]
            assert claim.boundary == self.boundary[name]

    @precondition(lambda self: self.owners)
    @rule(
        data=st.data(),
        names=st.sets(st.sampled_from(["a", "b"]), min_size=1),
        values=st.sets(st.integers(0, 9), max_size=4),
        floor=st.none() | st.integers(0, 9),
    )
    def commit(
        self, data: st.DataObject, names: set[str], values: set[int], floor: int | None
    ) -> None:
        who = data.draw(st.sampled_from(sorted(self.owners)))
        self.steps += 1
        keys = tuple((value, bytes([value]) * 16) for value in sorted(values))
        step = at(self.steps, boundary_added=keys, boundary_floor=floor)
        try:
            made = self.owners[who].commit(dict.fromkeys(sorted(names), step))
        except Fenced:
            assert who != self.owning
            return
        assert who == self.owning
        self.seq += 1
        self.cursor = {**self.cursor, **dict.fromkeys(names, self.steps)}
        for end in made.ends:
            kept = {
                key for key in self.boundary[end.partition] if floor is None or int(key[0]) >= floor
            }
            self.boundary[end.partition] = kept | set(keys)
            expected = memory_sum.of_boundary(self.boundary[end.partition])
            assert end.memory == memory_sum.as_text(expected)

    def teardown(self) -> None:
        assert self.log.load(self.pipeline, MEANING).seq == self.seq
