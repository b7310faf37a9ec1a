"""Who of the found partitions is to be served, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paging.test_planner import token_style

from worker.core.cursor import Cursor, PassState
from worker.core.errors import Fenced, ListIncomplete, PartitionsVanished
from worker.core.found import Found
from worker.core.model import Due, Progress
from worker.paging.schedule import Schedule
from worker.paging.spec import PagingSpec
from worker.runtime.roster import Roster, RosterSpec, combinations
from worker.testing.clock import FakeClock
from worker.testing.commit_log_contract import MEANING, Owner, at
from worker.testing.memory_log import MemoryCommitLog

SPEC = RosterSpec(
    pipeline="items",
    parent="repos",
    list="id",
    name="repo",
    carry=("owner",),
    others=({},),
    names=("repo",),
    by_change=False,
    may_vanish=False,
    rereads=True,
)
PAGING = PagingSpec(style=token_style(), schedule=Schedule(600.0))


class House:
    """A parent whose commits find values, and a pipeline that reads them."""

    def __init__(self, spec: RosterSpec = SPEC, paging: PagingSpec = PAGING) -> None:
        self.log, self.clock = MemoryCommitLog(), FakeClock()
        for name in ("repos", "items"):
            self.log.load(name, MEANING)
        self.parent = Owner(self.log, "default", pipeline="repos")
        self.log.keep_lists("repos", ["id"])
        self.spec, self.paging, self.passes = spec, paging, 0
        self.begin()

    def begin(self) -> None:
        """Another attempt."""
        self.owner = Owner(self.log, pipeline="items")
        self.roster = Roster(
            self.spec, self.log, self.paging, self.clock, epoch=self.owner.chain.epoch
        )

    def find(self, *values: str, digest: bytes = b"1") -> None:
        """The parent commits a whole pass with these values."""
        self.passes += 1
        found = tuple(Found("id", each, ("o",), digest, self.passes) for each in values)
        step = at(self.passes, found=found, list_over=self.passes)
        self.parent.commit({"default": step})
        self.roster.heard()

    def served(self, most: int = 100) -> list[str]:
        """Who comes into service now."""
        arrived: list[str] = []
        while self.roster.has_left:
            arrivals = self.roster.arrivals(self.roster.candidates(most))
            arrived += (each.claim.partition for each in arrivals)
        return arrived

    def moved(self, partition: str, cursor: Cursor) -> None:
        """A commit of the pipeline."""
        self.owner.seqs.setdefault(partition, self._seq(partition))
        self.owner.commit({partition: Progress(cursor)})

    def _seq(self, partition: str) -> int:
        return next(r.seq for r in self.log.partitions("items") if r.partition == partition)


@pytest.mark.parametrize("most", [1, 2, 100])
def test_all_values_come_once_in_the_order_in_which_they_were_found(most: int) -> None:
    house = House()
    house.find("b", "a", "c")
    assert house.served(most) == ["repo=b", "repo=a", "repo=c"]
    house.find("b", "a", "c", "d")
    assert house.served(most) == ["repo=d"]
    assert house.roster.count == 4


def test_an_arrival_has_the_values_that_placeholders_name() -> None:
    listed = combinations({"zone": ("eu", "us")})
    spec = replace(SPEC, others=listed, names=("zone", "repo"))
    house = House(spec)
    house.find("a=b")
    arrivals = house.roster.arrivals(house.roster.candidates(9))
    assert [each.claim.partition for each in arrivals] == [
        "zone=eu,repo=a%3Db",
        "zone=us,repo=a%3Db",
    ]
    assert arrivals[1].values == {"zone": "us", "repo": "a=b", "owner": "o"}


@pytest.mark.parametrize("most", [1, 2, 3])
def test_combinations_for_which_there_was_no_room_come_next(most: int) -> None:
    spec = replace(SPEC, others=combinations({"z": "123"}), names=("repo", "z"))
    house = House(spec)
    house.find("a", "b")
    assert sorted(house.served(most)) == [f"repo={each},z={z}" for each in "ab" for z in "123"]


def test_one_that_rests_comes_when_it_is_due() -> None:
    house = House()
    house.find("a", "b")
    house.served()
    house.roster.rest({"repo": "a", "owner": "o"}, house.clock.monotonic() + 60.0)
    assert (house.served(), house.roster.wait_s) == ([], 60.0)
    house.clock.advance(60.0)
    assert house.served() == ["repo=a"]


def test_a_restart_goes_by_the_schedule_that_was_kept() -> None:
    house = House()
    house.find("a", "b", "c")
    house.served()
    wall = int(house.clock.time() * 1e6)
    for name in ("repo=a", "repo=b"):
        house.moved(name, Cursor(pass_no=2))
    house.log.keep_due("items", {"repo=a": Due(1, wall + 90_000_000), "repo=b": Due(1, wall)})
    house.begin()
    assert house.served() == ["repo=b", "repo=c"]
    house.clock.advance(90.0)
    assert house.served() == ["repo=a"]


def test_one_that_failed_before_a_restart_waits_for_its_time() -> None:
    house = House()
    house.find("a")
    house.served()
    until = int((house.clock.time() + 120.0) * 1e6)
    house.log.keep_due("items", {"repo=a": Due(failures=3, not_before_us=until, code="x")})
    house.begin()
    assert house.served() == []
    house.clock.advance(120.0)
    assert house.served() == ["repo=a"]


def test_one_that_has_vanished_ends_its_pass_and_begins_no_other() -> None:
    house = House()
    house.find("a", "b", "c", "d")
    house.served()
    house.moved("repo=a", Cursor(position=PassState(at={"token": "x"})))
    house.moved("repo=b", Cursor(pass_no=2))
    house.find("c", "d")
    house.begin()
    assert house.served() == ["repo=a", "repo=c", "repo=d"]


def test_one_that_was_read_once_is_not_asked_again() -> None:
    house = House(paging=replace(PAGING, schedule=None))
    house.find("a", "b")
    house.served()
    house.moved("repo=a", Cursor(complete=True))
    house.begin()
    assert house.served() == ["repo=b"]


def test_one_whose_record_has_not_changed_is_not_asked_again() -> None:
    house = House(replace(SPEC, by_change=True), replace(PAGING, schedule=None))
    house.find("a", "b")
    house.served()
    house.moved("repo=a", Cursor(complete=True, asked_for=b"1"))
    house.moved("repo=b", Cursor(pass_no=2, mark=7, asked_for=b"1"))
    house.begin()
    assert house.served() == []
    house.find("a", "b", digest=b"2")
    assert sorted(house.served()) == ["repo=a", "repo=b"]


def test_a_list_of_less_than_half_is_an_alarm_until_it_is_right() -> None:
    house = House()
    house.find(*"abcde")
    house.roster.refuse_unfit()
    for _ in range(2):
        house.find("a")
        with pytest.raises(PartitionsVanished, match=r"1 values of repo are left .* where 5 were"):
            house.roster.refuse_unfit()
    house.find(*"abc")
    house.roster.refuse_unfit()


def test_a_list_that_may_be_short_counts_as_it_is() -> None:
    house = House(replace(SPEC, may_vanish=True))
    house.find(*"abcde")
    house.find("a")
    house.roster.refuse_unfit()
    house.begin()
    assert house.served() == ["repo=a"]


@pytest.mark.parametrize("rereads", [True, False])
def test_records_from_before_are_missed_only_where_no_pass_brings_them_again(
    rereads: bool,
) -> None:
    house = House(replace(SPEC, list="other", rereads=rereads))
    house.find("a")
    house.log.keep_lists("repos", ["other"])
    if rereads:
        house.roster.refuse_unfit()
    else:
        with pytest.raises(ListIncomplete, match="whose first 1 commits"):
            house.roster.refuse_unfit()


def test_a_displaced_owner_serves_nobody() -> None:
    house = House()
    house.find("a")
    Owner(house.log, pipeline="items")
    with pytest.raises(Fenced):
        house.served()
