"""Passes that follow when the record that names a partition has changed."""

from __future__ import annotations

from typing import Any

import pytest
from paging.test_planner import INCREMENTAL, Server, claim, ids, resumed, run, spec, token_style

from worker.core.cursor import Cursor
from worker.core.model import Claim
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import Done, Fetch, Wait

RECORDS = [{"id": number} for number in range(5)]


def planner(at: Claim, digest: bytes, **changes: Any) -> PartitionPlanner:
    return PartitionPlanner(spec(token_style(), **changes), at, None, digest)


def test_a_pass_is_remembered_with_the_record_that_it_was_for() -> None:
    taken = run(planner(claim(), b"1"), Server(RECORDS, 2))
    assert [each.progress.cursor.asked_for for each in taken] == [b"", b"", b"1"]
    after = resumed(claim(), taken)
    assert after.cursor.complete
    assert isinstance(planner(after, b"1").next(0.0), Done)
    again = run(planner(after, b"2"), Server(RECORDS, 2))
    assert ids(again) == ids(taken)
    assert (again[-1].group, again[-1].progress.cursor.asked_for) == (2, b"2")


@pytest.mark.parametrize("at", [1, 2])
def test_a_pass_that_was_cut_was_for_the_record_as_it_was_when_it_began(at: int) -> None:
    server = Server(RECORDS, 2)
    taken = run(planner(claim(), b"1"), server)[:at]
    rest = run(planner(resumed(claim(), taken), b"2", once=False), server)
    ends = [each.progress.cursor.asked_for for each in rest if each.pass_end is not None]
    assert ends == [b"1", b"2"], "the pass goes on, and another one follows"


def test_a_change_that_comes_while_a_pass_is_read_makes_another_one_follow() -> None:
    server, one = Server(RECORDS, 2), planner(claim(), b"1", once=False)
    fetch = one.next(0.0)
    assert isinstance(fetch, Fetch)
    one.ask_for(b"2")
    taken = [*one.accept(fetch, server.answer(fetch), 0.0), *run(one, server)]
    assert [each.pass_end.number for each in taken if each.pass_end is not None] == [1, 2]
    assert not one.asks_again
    one.ask_for(b"2")
    assert isinstance(one.next(0.0), Done)


def test_with_once_no_second_pass_follows_in_the_same_run() -> None:
    one = planner(claim(), b"1")
    run(one, Server(RECORDS, 2))
    one.ask_for(b"2")
    assert isinstance(one.next(0.0), Done)


def test_a_change_waits_for_the_schedule() -> None:
    one = planner(claim(), b"1", once=False, schedule=Schedule(60.0))
    run(one, Server(RECORDS, 2))
    one.ask_for(b"2")
    assert one.next(1.0) == Wait(60.0)
    assert isinstance(one.next(60.0), Fetch)


def test_a_pass_that_begins_again_is_still_for_the_same_record() -> None:
    server = Server([{"id": number, "u": number} for number in range(5)], 2)
    taken = run(planner(claim(), b"1", incremental=INCREMENTAL), server)[:1]
    again = planner(resumed(claim(), taken), b"2", incremental=INCREMENTAL)
    assert again.fall_back()
    rest = run(again, server)
    assert rest[-1].progress.cursor.asked_for == b"1"


def test_a_partition_that_nobody_names_asks_for_nothing() -> None:
    taken = run(PartitionPlanner(spec(token_style()), claim()), Server(RECORDS, 2))
    assert taken[-1].progress.cursor.asked_for == b""
    assert "asked_for" not in taken[-1].progress.cursor.to_json()


@pytest.mark.parametrize(("listed", "over"), [(True, 1), (False, 0)])
def test_the_end_of_a_whole_pass_ends_the_list_that_others_read(listed: bool, over: int) -> None:
    taken = run(PartitionPlanner(spec(token_style(), listed=listed), claim()), Server(RECORDS, 2))
    assert [each.progress.list_over for each in taken] == [0, 0, over]


def test_a_cursor_of_before_has_asked_for_nothing() -> None:
    assert Cursor.from_json(Cursor().to_json()).asked_for == b""
