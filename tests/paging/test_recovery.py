"""What ended a pass with an error does not outlive its cause."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paging.test_planner import INCREMENTAL, Server, claim, ids, offset_style, resumed, run, spec

from worker.core.errors import PaginationLoop
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Accepted, Fetch


def test_two_pages_of_records_that_came_in_front_are_a_loop_only_until_the_next_run() -> None:
    newest_first = [{"id": number, "u": number} for number in range(9, 0, -1)]
    server = Server(newest_first, 3)
    plan = spec(offset_style(), key=("id",), incremental=replace(INCREMENTAL, order="descending"))
    planner, taken = PartitionPlanner(plan, claim()), list[Accepted]()
    with pytest.raises(PaginationLoop):
        while isinstance(todo := planner.next(0.0), Fetch):
            taken += planner.accept(todo, server.answer(todo), 0.0)
            if len(taken) == 2:
                new = [{"id": number, "u": number} for number in range(15, 9, -1)]
                server.records[:0] = new
    later = run(PartitionPlanner(plan, resumed(claim(), taken)), server)
    assert sorted(ids(taken + later)) == list(range(1, 16))


def test_a_snapshot_that_missed_what_is_required_is_read_again_by_the_next_run() -> None:
    server = Server([{"id": number} for number in range(6)], 2)
    plan = spec(offset_style(), key=("id",), required="assumed")
    taken = run(PartitionPlanner(plan, claim()), server)
    end = taken[-1].pass_end
    assert end is not None and end.missed == "assumed"
    after = resumed(claim(), taken)
    assert not after.cursor.complete
    again = run(PartitionPlanner(plan, after), server)
    assert again[-1].pass_end is not None and again[-1].pass_end.missed == "assumed"
