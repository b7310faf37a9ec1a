"""Pages that are too large for the source: smaller ones bring the same records, each once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paging.test_planner import Record, claim, decoded, ids, resumed, spec
from paging.test_windowed_passes import BEGIN, Wall
from paging.test_windowed_passes import plan as window_plan

from worker.core.errors import PageRefused
from worker.core.model import Claim
from worker.paging.page_sizes import PageSizes
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import Accepted, Done, Fetch, PagingSpec, Reply, StopSpec, Wait
from worker.sources.pagination import offset, page

REFUSED = "status 500: 'too large'"


def plan(style: str, size: int, **changes: Any) -> PagingSpec:
    config: Any
    if style == "page":
        config = page.Config(type="page", param="p", start=0, size_param="n", size=size)
        built: Any = page.build(config)
    else:
        seam = 1 if style == "seam" and size > 1 else 0
        config = offset.Config(type="offset", param="o", limit_param="n", limit=size, seam=seam)
        built = offset.build(config)
    least = {"seam": config.seams, "size": size, "sizes": config.sizes}
    return replace(spec(built), **least, total=spec(built).total, **changes)


class Picky:
    """Refuses pages of more than `most` records, and more than one where it is `heavy`.

    Attributes:
        cap: it sends no more records a page.
        sizes: of the pages that were asked for.
    """

    def __init__(
        self, records: int, *, most: int = 1000, heavy: set[int] | None = None, cap: int = 1000
    ) -> None:
        self.records: list[Record] = [{"id": number} for number in range(records)]
        self.most, self.heavy, self.cap = most, heavy or set(), cap
        self.sizes: list[int] = []

    def answer(self, fetch: Fetch) -> Reply:
        asked = int((fetch.address.params or {})["n"])
        self.sizes.append(asked)
        if "p" in (fetch.address.params or {}):
            begin = int((fetch.address.params or {})["p"]) * min(asked, self.cap)
        else:
            begin = int((fetch.address.params or {})["o"])
        touched = self.heavy & {*range(begin, begin + asked)}
        if asked > self.most or (touched and asked > 1):
            return Reply(None, too_large=REFUSED)
        part = self.records[begin : begin + min(asked, self.cap)]
        return Reply(decoded(part, {"total": None}))


def run(planner: PartitionPlanner, server: Picky, pages: int = 10_000) -> list[Accepted]:
    taken: list[Accepted] = []
    while len(taken) < pages and not isinstance(todo := planner.next(0.0), Done | Wait):
        assert isinstance(todo, Fetch)
        taken += planner.accept(todo, server.answer(todo), 0.0)
    return taken


@pytest.mark.parametrize("style", ["page", "offset"])
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 24),
    most=st.integers(1, 24),
    heavy=st.sets(st.integers(0, 60), max_size=6),
    cuts=st.lists(st.integers(1, 12), max_size=3),
)
def test_every_record_comes_once_whichever_pages_are_refused_and_wherever_it_is_killed(
    style: str, count: int, size: int, most: int, heavy: set[int], cuts: list[int]
) -> None:
    server = Picky(count, most=most, heavy={each for each in heavy if each < count})
    settings, at = plan(style, size), claim()
    seen: list[int] = []
    for pages in (*cuts, 10_000):
        taken = run(PartitionPlanner(settings, at), server, pages)
        seen += ids(taken)
        at = resumed(at, taken)
    assert seen == list(range(count))
    assert max(server.sizes) <= size


@pytest.mark.parametrize("style", ["page", "offset"])
@given(
    count=st.integers(0, 60),
    size=st.integers(1, 16),
    heavy=st.sets(st.integers(0, 60), max_size=4),
    depth=st.integers(2, 5),
    order=st.randoms(use_true_random=False),
)
def test_pages_that_are_fetched_ahead_change_nothing(
    style: str, count: int, size: int, heavy: set[int], depth: int, order: Any
) -> None:
    server = Picky(count, heavy={each for each in heavy if each < count})
    planner = PartitionPlanner(plan(style, size, depth=depth), claim())
    flying: list[Fetch] = []
    taken: list[Accepted] = []
    while not isinstance(todo := planner.next(0.0), Done) or flying:
        if isinstance(todo, Fetch):
            flying.append(todo)
        if flying and (not isinstance(todo, Fetch) or order.random() < 0.5):
            fetch = flying.pop(order.randrange(len(flying)))
            taken += planner.accept(fetch, server.answer(fetch), 0.0)
    assert ids(taken) == list(range(count))


@given(
    count=st.integers(0, 60), size=st.integers(2, 24), most=st.integers(2, 24), short=st.booleans()
)
def test_seams_and_short_pages_hold_with_smaller_pages(
    count: int, size: int, most: int, short: bool
) -> None:
    stop = StopSpec(short_page=size if short else None)
    settings = plan("offset" if short else "seam", size, key=("id",), stop=stop)
    taken = run(PartitionPlanner(settings, claim()), Picky(count, most=most))
    assert ids(taken) == list(range(count))


@pytest.mark.parametrize("key", [(), ("id",)])
@given(count=st.integers(0, 60), size=st.integers(2, 24), cap=st.integers(1, 24), heavy=st.data())
def test_a_source_that_caps_its_pages_loses_nothing_when_they_become_smaller(
    key: tuple[str, ...], count: int, size: int, cap: int, heavy: Any
) -> None:
    """Where a page number means another record with another size, the pass begins again, if its
    records are known; else it is refused.
    """
    touched = heavy.draw(st.sets(st.integers(0, 60), max_size=4))
    planner = PartitionPlanner(plan("page", size, key=key), claim())
    taken: list[Accepted] = []
    server = Picky(count, heavy=touched, cap=cap)
    try:
        while not isinstance(todo := planner.next(0.0), Done | Wait):
            assert isinstance(todo, Fetch)
            taken += planner.accept(todo, server.answer(todo), 0.0)
    except PageRefused as error:
        assert ids(taken) == list(range(len(ids(taken))))
        assert "cannot be made smaller" in error.message or not key or cap < size
    else:
        assert ids(taken) == list(range(count))


@pytest.mark.parametrize("style", ["page", "offset"])
def test_a_page_of_one_record_that_is_refused_is_a_clear_error(style: str) -> None:
    class Never(Picky):
        def answer(self, fetch: Fetch) -> Reply:
            super().answer(fetch)
            return Reply(None, too_large=REFUSED)

    server = Never(3)
    with pytest.raises(PageRefused, match="a page of 1 records, which cannot be made smaller"):
        run(PartitionPlanner(plan(style, 8), claim()), server)
    assert server.sizes == [8, 4, 2, 1]


def test_a_page_with_a_seam_keeps_a_record_beside_the_seam() -> None:
    server = Picky(9, most=1)
    with pytest.raises(PageRefused):
        run(PartitionPlanner(plan("seam", 8, key=("id",)), claim()), server)
    assert server.sizes == [8, 4, 2]


def test_pages_grow_by_a_quarter_until_they_are_as_long_as_the_config_says() -> None:
    server = Picky(100, heavy={0})
    run(PartitionPlanner(plan("offset", 8), claim()), server)
    assert server.sizes[:12] == [8, 4, 2, 1, 2, 3, 4, 5, 7, 8, 8, 8]


def test_numbered_pages_stay_small_for_the_pass_and_the_next_one_begins_with_twice_the_size() -> (
    None
):
    server = Picky(20, heavy={0})
    settings = plan("page", 8, schedule=Schedule(0.0))
    planner = PartitionPlanner(settings, claim())
    run(planner, server)
    assert server.sizes == [8, 4, 2, *[1] * 22]  # the empty page is asked for once more
    assert planner.cursor.page_size == 2
    server.heavy, server.sizes = set(), []
    for sizes in ([2] * 12, [4] * 7, [8] * 4):
        planner = PartitionPlanner(settings, Claim("p", 0, planner.cursor))
        run(planner, server)
        assert server.sizes == sizes
        server.sizes = []


@given(st.integers(1, 10_000), st.integers(0, 50))
def test_a_smaller_page_begins_at_the_record_of_the_refused_one(size: int, pages: int) -> None:
    sizes = PageSizes(size, address=lambda _: pytest.fail("not asked"), first_page=1)
    smaller = sizes.halved(size, first=False)
    if smaller is None:
        assert size == 1
        return
    assert 1 <= smaller <= size / 2
    at = sizes.moved({"page": 1 + pages}, size, smaller)
    assert sizes.before(at, smaller) == pages * size


def test_a_config_with_a_smaller_size_is_not_asked_for_more_than_it_says() -> None:
    server = Picky(40, most=8)
    at = resumed(claim(), run(PartitionPlanner(plan("offset", 32), claim()), server, 3))
    assert at.cursor.position is not None and at.cursor.position.asked > 4
    server.sizes = []
    run(PartitionPlanner(plan("offset", 4), at), server)
    assert set(server.sizes) == {4}


class Windowed(Picky):
    """The same of the time window that is asked for."""

    def answer(self, fetch: Fetch) -> Reply:
        window, everything = fetch.window, self.records
        assert window is not None
        inside = [each for each in everything if window.start <= each["u"] < window.end]
        heavy = self.heavy
        self.records = inside
        self.heavy = {at for at, each in enumerate(inside) if each["id"] in heavy}
        try:
            return super().answer(fetch)
        finally:
            self.records, self.heavy = everything, heavy


@pytest.mark.parametrize("style", ["page", "offset"])
@given(
    values=st.lists(st.integers(0, 39), max_size=40).map(sorted),
    size=st.integers(1, 12),
    most=st.integers(1, 12),
    heavy=st.sets(st.integers(0, 39), max_size=4),
    depth=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 9), max_size=3),
)
def test_pages_inside_time_windows_become_smaller_and_lose_nothing(
    style: str,
    values: list[int],
    size: int,
    most: int,
    heavy: set[int],
    depth: int,
    cuts: list[int],
) -> None:
    server = Windowed(len(values), most=most, heavy={each for each in heavy if each < len(values)})
    for record, value in zip(server.records, values, strict=True):
        record["u"] = BEGIN + value
    windows = window_plan("offset", Wall(BEGIN + 43), size=10)
    settings = replace(
        windows, style=(own := plan(style, size)).style, size=size, sizes=own.sizes, depth=depth
    )
    at, seen = claim(), []
    for pages in (*cuts, 10_000):
        taken = run(PartitionPlanner(settings, at), server, pages)
        seen += ids(taken)
        at = resumed(at, taken)
    assert sorted(seen) == list(range(len(values)))
    assert at.cursor.mark == BEGIN + 40


def test_a_guess_that_was_asked_for_with_the_larger_size_is_no_page_of_the_smaller_one() -> None:
    """Page 4 of four records is in flight when page 2 becomes page 4 of two records."""
    server = Picky(40, heavy={9})
    planner = PartitionPlanner(plan("page", 4, depth=5), claim())
    taken = run(planner, server, 2)
    flying: list[Fetch] = []
    while isinstance(todo := planner.next(0.0), Fetch):
        flying.append(todo)
    assert {"page": 4} in [fetch.position for fetch in flying]
    for fetch in flying:
        taken += planner.accept(fetch, server.answer(fetch), 0.0)
    taken += run(planner, server)
    assert ids(taken) == list(range(40))
