"""Pages that the source cannot answer for are left out, and the others are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paging.test_page_sizes import plan
from paging.test_planner import INCREMENTAL, Record, claim, decoded, ids, resumed

from worker.core.errors import CursorStuck, PagesSkipped
from worker.paging.planner import PartitionPlanner
from worker.paging.refused_pages import MAX_SKIPPED
from worker.paging.spec import Accepted, Done, Fetch, Reply, StopSpec, Wait


class Broken:
    """Serves pages of `size` records, but for those that begin at a broken record or hold one.

    Attributes:
        total: what it says that it has.
    """

    def __init__(self, records: int, size: int, broken: set[int]) -> None:
        self.records: list[Record] = [{"id": number, "u": number} for number in range(records)]
        self.size, self.broken = size, broken
        self.total: int | None = None
        self.asked = 0

    def answer(self, fetch: Fetch) -> Reply:
        self.asked += 1
        params = fetch.address.params or {}
        begin = int(params["p"]) * self.size if "p" in params else int(params["o"])
        if self.broken & {*range(begin, begin + self.size)}:
            return Reply(None, skipped="status 500: 'broken'")
        since = 0 if fetch.since is None else int(fetch.since)
        found = [record for record in self.records if record["u"] >= since]
        return Reply(decoded(found[begin : begin + self.size], {"total": self.total}))


def run(planner: PartitionPlanner, server: Broken, pages: int = 10_000) -> list[Accepted]:
    taken: list[Accepted] = []
    while len(taken) < pages and not isinstance(todo := planner.next(0.0), Done | Wait):
        assert isinstance(todo, Fetch)
        taken += planner.accept(todo, server.answer(todo), 0.0)
    return taken


def whole_pages(server: Broken, count: int) -> list[int]:
    pages = [range(at, min(at + server.size, count)) for at in range(0, count, server.size)]
    return [number for page in pages if not server.broken & {*page} for number in page]


@pytest.mark.parametrize("style", ["page", "offset", "seam"])
@given(
    count=st.integers(1, 60),
    size=st.integers(2, 7),
    broken=st.sets(st.integers(0, 59), max_size=5),
    total=st.booleans(),
    cut=st.integers(1, 20),
)
def test_the_other_pages_are_read_and_the_pass_is_unknown(
    style: str, count: int, size: int, broken: set[int], total: bool, cut: int
) -> None:
    server = Broken(count, size, {number for number in broken if number < count})
    server.total = count if total else None
    if style == "seam":  # pages overlap, so that what a broken record spoils is less regular
        server.broken = set()
    settings, at = plan(style, size, key=("id",), completeness="assumed"), claim()
    expected = whole_pages(server, count)
    try:
        first = run(PartitionPlanner(settings, at), server, cut)
        rest = run(PartitionPlanner(settings, resumed(at, first)), server)
    except PagesSkipped:
        assert not expected
        return
    taken = first + rest
    assert ids(taken) == expected
    end = taken[-1].pass_end
    assert end is not None and (end.completeness == "unknown") == bool(server.broken)
    left_out = [each.drift for each in taken if "is left out" in each.drift]
    assert bool(left_out) == bool(server.broken)
    assert all("status 500: 'broken'" in each for each in left_out)
    assert ("left out" in end.reason) == bool(server.broken)


@pytest.mark.parametrize("style", ["page", "offset"])
def test_so_many_refused_pages_in_a_row_are_an_error_for_ever(style: str) -> None:
    server = Broken(100, 2, {*range(2, 60)})
    planner = PartitionPlanner(plan(style, 2), claim())
    taken: list[Accepted] = []
    at = claim()
    for _ in range(2):  # a restart does not begin to count anew
        with pytest.raises(PagesSkipped, match=f"{MAX_SKIPPED} pages in a row"):
            while isinstance(todo := planner.next(0.0), Fetch):
                taken += planner.accept(todo, server.answer(todo), 0.0)
        planner = PartitionPlanner(plan(style, 2), resumed(at, taken))
    assert server.asked == 1 + MAX_SKIPPED + 2
    server.broken = set()
    assert ids(run(planner, server)) == list(range(2 + 2 * MAX_SKIPPED, 100))


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_pass_of_which_nothing_but_refused_pages_came_is_no_success(style: str) -> None:
    server = Broken(4, 2, {0, 2})
    with pytest.raises(PagesSkipped, match="the pass brought no record, and 2 of its pages"):
        run(PartitionPlanner(plan(style, 2), claim()), server)


def test_the_mark_of_an_ascending_source_goes_on_behind_a_page_that_is_left_out() -> None:
    server = Broken(6, 2, {3})
    settings: Any = plan("page", 2, incremental=INCREMENTAL)
    taken = run(PartitionPlanner(settings, claim()), server)
    assert ids(taken) == [0, 1, 4, 5]
    assert taken[-1].progress.cursor.mark == 5


def test_required_completeness_holds_the_mark_where_a_page_was_left_out() -> None:
    server = Broken(6, 2, {3})
    settings: Any = plan("page", 2, incremental=INCREMENTAL, required="assumed")
    taken = run(PartitionPlanner(settings, claim()), server)
    assert taken[-1].progress.cursor.mark is None
    end = taken[-1].pass_end
    assert end is not None and end.missed == "assumed"


def test_a_page_that_is_left_out_is_one_of_max_pages() -> None:
    server = Broken(20, 2, {2, 4})
    settings: Any = plan("page", 2, incremental=INCREMENTAL, stop=StopSpec(max_pages=3))
    taken = run(PartitionPlanner(settings, claim()), server)
    assert server.asked == 3 and ids(taken) == [0, 1]
    assert taken[-1].pass_end is not None


def test_a_pass_of_known_records_and_a_page_that_is_left_out_is_stuck() -> None:
    server = Broken(4, 2, set())
    for record in server.records:
        record["u"] = 5
    settings: Any = plan("page", 2, incremental=INCREMENTAL, stop=StopSpec(max_pages=2))
    first = claim()
    taken = run(PartitionPlanner(settings, first), server)
    server.broken = {2}
    with pytest.raises(CursorStuck):
        run(PartitionPlanner(settings, resumed(first, taken)), server)
