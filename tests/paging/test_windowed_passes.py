"""The planner over time windows, against a server in memory: what it receives must be what the
server has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paging.test_planner import (
    Record,
    claim,
    decoded,
    ids,
    offset_style,
    page_style,
    place,
    resumed,
    token_at,
    token_style,
)

from worker.core.cursor import Cursor
from worker.core.errors import (
    OrderViolation,
    OutsideWindow,
    PaginationLoop,
    PermanentError,
    TotalMismatch,
    WindowRefused,
)
from worker.paging.marks import MarkFormat
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import (
    Accepted,
    Done,
    Fetch,
    IncrementalSpec,
    PagingSpec,
    Reply,
    StopSpec,
    Wait,
)
from worker.paging.style import Address
from worker.paging.windows import Windows
from worker.sources.pagination import none

BEGIN = 1_704_067_200_000_000
FORM = MarkFormat("epoch_us")
STYLES: dict[str, Callable[[], Any]] = {
    "window": lambda: none.build(none.Config(type="none")),
    "token": token_style,
    "offset": offset_style,
    "page": page_style,
}


@dataclass
class Server:
    """Records of [from, to) or [from, to], in an order of its own, at most `cap` a page, or a
    refusal where there are more than `limit`.

    Several pages of a window are cut from all its records; a plain window is one page of them.
    """

    records: list[Record]
    style: str = "window"
    cap: int = 3
    inclusive: bool = False
    order: str = "ascending"
    limit: int = 10_000
    total: bool = False
    asked: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, fetch: Fetch) -> Reply:
        start, end = (int((fetch.address.params or {})[name]) for name in ("from", "to"))
        self.asked.append((start, end))
        found = [record for record in self.records if start <= record["u"] < end + self.inclusive]
        if len(found) > self.limit:
            return Reply(None, split="status 400: too many")
        found.sort(
            key=lambda record: (
                record["u"] * 7_919 % 13
                if self.order == "any"
                else -record["u"]
                if self.order == "descending"
                else record["u"],
                record["id"],
            )
        )
        position = fetch.position or {}
        begin = position.get(
            "offset",
            (position.get("page", 1) - 1) * self.cap if "page" in position else place(position),
        )
        part = found if self.style == "window" else found[begin : begin + self.cap]
        body = {
            "next": token_at(begin + self.cap) if begin + self.cap < len(found) else None,
            "total": len(found) if self.total else None,
        }
        return Reply(decoded(part, {**body, "of": start}))


@dataclass
class Wall:
    now: int = BEGIN

    def __call__(self) -> float:
        return self.now / 1e6


def plan(style: str, wall: Wall, **changes: Any) -> PagingSpec:
    """Windows of ten microseconds, lag three."""
    names = ("size", "lag", "step", "inclusive", "smallest")
    windows = Windows(
        **{
            "size": 10,
            "lag": 3,
            "smallest": 1,
            **{name: changes.pop(name) for name in names if name in changes},
        },
        form=FORM,
        address=lambda start, end: Address(params={"from": start, "to": end}),
    )
    incremental = IncrementalSpec(
        "u",
        FORM,
        initial=str(BEGIN),
        order=changes.pop("order", "any"),
        overlap_s=changes.pop("overlap_s", 0.0),
    )
    if "until" in changes:
        incremental = replace(incremental, until=changes.pop("until"))
    made = PagingSpec(
        style=STYLES[style](),
        once=True,
        incremental=incremental,
        windows=windows,
        wall=wall,
        total=lambda facts, headers: facts.body.get("total"),
    )
    return replace(made, **changes)


def run(planner: PartitionPlanner, server: Server, pages: int = 10_000) -> list[Accepted]:
    """At most `pages` answers, in order or fetched ahead."""
    taken: list[Accepted] = []
    flying: list[Fetch] = []
    for _ in range(pages):
        todo = planner.next(0.0)
        if isinstance(todo, Fetch):
            flying.append(todo)
        if isinstance(todo, Done | Wait):
            break
        if flying and (todo is None or len(flying) > 1 or not planner.speculating):
            fetch = flying.pop()
            taken += planner.accept(fetch, server.answer(fetch), 0.0)
    return taken


def records(values: list[int], first: int = 0) -> list[Record]:
    return [{"id": first + number, "u": BEGIN + value} for number, value in enumerate(values)]


VALUES = st.lists(st.integers(0, 60), max_size=30)


@pytest.mark.parametrize("style", STYLES)
@given(
    values=VALUES,
    late=st.lists(st.integers(0, 8), max_size=6),
    more=VALUES,
    cuts=st.lists(st.integers(0, 12), max_size=3),
    caps=st.lists(st.integers(1, 7), min_size=5, max_size=5),
    server=st.builds(
        Server,
        st.just([]),
        inclusive=st.booleans(),
        order=st.sampled_from(["ascending", "descending", "any"]),
        limit=st.sampled_from([40, 40, 12]),
        total=st.booleans(),
    ),
    size=st.integers(1, 40),
    step=st.sampled_from([0, 1]),
    lag=st.integers(0, 9),
    ascending=st.booleans(),
    overlap=st.sampled_from([0.0, 7e-6]),
    depth=st.integers(1, 3),
)
def test_killed_anywhere_every_record_is_received_once(
    style: str,
    values: list[int],
    late: list[int],
    more: list[int],
    cuts: list[int],
    caps: list[int],
    server: Server,
    size: int,
    step: int,
    lag: int,
    ascending: bool,
    overlap: float,
    depth: int,
) -> None:
    """Pages are cut elsewhere after each crash, but where they are numbered; records come in up to
    `lag` late, and some have the very value of a boundary.
    """
    server.style, server.records, server.asked = style, records(values), []
    crowd = max((values.count(value) for value in values), default=0)
    server.limit = max(server.limit, crowd * (1 + server.inclusive) + len(late) + len(more))
    wall = Wall(BEGIN + 60 + lag)
    spec = plan(
        style,
        wall,
        size=size,
        step=step,
        lag=lag,
        inclusive=server.inclusive,
        order="ascending" if ascending and server.order == "ascending" else "any",
        overlap_s=overlap,
        depth=depth,
    )
    at, seen = claim(), []
    for number, cut in enumerate([*cuts, 10_000]):
        server.cap = caps[0 if style == "page" else number]
        taken = run(PartitionPlanner(spec, at), server, cut)
        at, seen = resumed(at, taken), seen + taken
    server.cap = caps[-1]
    server.records += records([60 + min(each, lag) for each in late], 1_000) + records(
        [61 + lag + value for value in more], 2_000
    )
    wall.now += 120
    for _ in range(2):
        taken = run(PartitionPlanner(spec, at), server)
        at, seen = resumed(at, taken), seen + taken
    assert sorted(ids(seen)) == sorted(
        record["id"] for record in server.records if record["u"] < wall.now - lag
    )
    assert at.cursor.position is None and at.cursor.mark == wall.now - lag
    for accepted in seen:
        ledger = accepted.ledger
        assert (
            ledger.received
            == len(accepted.decoded.records)
            + ledger.deduplicated
            + ledger.filtered
            + ledger.dead_lettered
        )


def test_windows_follow_each_other_and_end_at_the_lag() -> None:
    wall, server = Wall(BEGIN + 38), Server(records([0, 9, 10, 11, 34]))
    taken = run(PartitionPlanner(plan("window", wall), claim()), server)
    assert server.asked == [(BEGIN + at, BEGIN + min(at + 10, 35)) for at in (0, 10, 20, 30)]
    assert [ids([each]) for each in taken] == [[0, 1], [2, 3], [], [4]]
    assert [each.progress.cursor.mark for each in taken] == [BEGIN + at for at in (10, 20, 30, 35)]
    assert taken[-1].pass_end is not None and taken[-1].pass_end.reason == "single page"


def test_equal_bodies_of_two_windows_are_no_loop() -> None:
    """Empty ones, and pages behind the last record of each."""
    for style in STYLES:
        taken = run(PartitionPlanner(plan(style, Wall(BEGIN + 53)), claim()), Server([], style))
        assert len(taken) == 5, style


def test_a_page_that_repeats_within_a_window_is_a_loop_all_the_same() -> None:
    planner = PartitionPlanner(plan("page", Wall(BEGIN + 13)), claim())
    page = decoded(records([1, 2]), {"of": BEGIN})
    with pytest.raises(PaginationLoop):
        for _ in range(2):
            todo = planner.next(0.0)
            assert isinstance(todo, Fetch)
            planner.accept(todo, Reply(page), 0.0)


def test_the_end_of_a_window_stays_what_was_asked_for_however_late_its_answer_comes() -> None:
    """The clock goes on while the request is on its way: what it did not ask for is not read."""
    wall, server = Wall(BEGIN + 8), Server(records([1, 6]))
    planner = PartitionPlanner(plan("window", wall), claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    wall.now += 100
    taken = planner.accept(todo, server.answer(todo), 0.0)
    assert server.asked == [(BEGIN, BEGIN + 5)] and taken[0].progress.cursor.mark == BEGIN + 5
    again = run(PartitionPlanner(plan("window", wall), resumed(claim(), taken)), server)
    assert ids(taken + again) == [0, 1]


def test_without_a_window_that_is_over_nothing_is_asked_for() -> None:
    wall = Wall(BEGIN + 3)
    assert PartitionPlanner(plan("window", wall), claim()).next(0.0) == Done(
        "no window is over yet"
    )
    scheduled = PartitionPlanner(plan("window", wall, once=False, schedule=Schedule(60.0)), claim())
    assert scheduled.next(5.0) == Wait(65.0)
    wall.now += 1
    assert isinstance(scheduled.next(65.0), Fetch)


def test_a_daemon_goes_on_from_pass_to_pass() -> None:
    wall, server = Wall(BEGIN + 13), Server(records(list(range(40))))
    planner = PartitionPlanner(plan("window", wall, once=False, schedule=Schedule(60.0)), claim())
    taken = run(planner, server)
    for now in (60.0, 120.0):
        wall.now += 10
        while isinstance(todo := planner.next(now), Fetch):
            taken += planner.accept(todo, server.answer(todo), now)
        assert todo == Wait(now + 60)
    assert ids(taken) == list(range(30)) and planner.cursor.pass_no == 4
    assert [start - BEGIN for start, _ in server.asked] == [0, 10, 20]


def test_a_window_with_more_than_the_source_allows_is_halved_until_it_fits() -> None:
    server = Server(records([0, 0, 1, 2, 5, 7, 8, 9, 15]), limit=3)
    taken = run(PartitionPlanner(plan("window", Wall(BEGIN + 23)), claim()), server)
    assert ids(taken) == list(range(9))
    assert [(start - BEGIN, end - BEGIN) for start, end in server.asked] == [
        (0, 10),
        (0, 5),
        (0, 2),
        (2, 5),
        (5, 10),
        (5, 7),
        (7, 10),
        (10, 13),
        (13, 17),
        (17, 20),
    ]


def test_the_size_that_a_source_takes_is_remembered_for_the_pass_and_for_the_next_one() -> None:
    """A source that allows windows of three records, of which there is one in each microsecond."""
    server = Server(records(list(range(200))), limit=3)
    wall = Wall(BEGIN + 103)
    planner = PartitionPlanner(plan("window", wall), claim())
    taken = run(planner, server)
    assert ids(taken) == list(range(100))
    asked = [end - start for start, end in server.asked]
    refused = [size for size in asked if size > 3]
    assert len(refused) <= len(asked) / 2
    assert 10 not in asked[1:]  # the whole size was refused once
    kept = resumed(claim(), taken)
    assert 0 < kept.cursor.window_size <= 5
    wall.now += 100
    server.asked.clear()
    assert ids(run(PartitionPlanner(plan("window", wall), kept), server)) == list(range(100, 200))
    assert server.asked[0][1] - server.asked[0][0] <= 5


@pytest.mark.parametrize("style", ["offset", "page", "token"])
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_a_refusal_behind_some_pages_of_a_window_doubles_none_of_them(
    style: str, order: str
) -> None:
    """An API that pages to a depth only: pages that were read come again in the halves."""

    class Deep(Server):
        def answer(self, fetch: Fetch) -> Reply:
            position = fetch.position or {}
            if (
                max(
                    position.get("offset", 0),
                    (position.get("page", 1) - 1) * self.cap,
                    place(position),
                )
                >= 6
            ):
                return Reply(None, split="status 400: too deep")
            return super().answer(fetch)

    server = Deep(records(list(range(30))), style, order=order, total=True)
    spec, at, seen = (
        plan(
            style, Wall(BEGIN + 33), size=30, order="ascending" if order == "ascending" else "any"
        ),
        claim(),
        [],
    )
    for cut in (1, 2, 3, 1000):
        taken = run(PartitionPlanner(spec, at), server, cut)
        at, seen = resumed(at, taken), seen + taken
    assert sorted(ids(seen)) == list(range(30))
    level = "proven" if style == "token" else "assumed"
    assert seen[-1].pass_end is not None and seen[-1].pass_end.completeness == level, (
        "halves are compared with totals of their own"
    )


def test_of_a_window_nothing_is_guessed_before_its_first_page_but_later_windows_are_asked_for() -> (
    None
):
    """Its pages may be of another length than those of the window before."""
    server = Server(records([*range(10), *range(10, 20)]), "offset", cap=4)
    planner = PartitionPlanner(plan("offset", Wall(BEGIN + 33), depth=3), claim())
    while planner.cursor.mark is None:
        todo = planner.next(0.0)
        assert isinstance(todo, Fetch)
        planner.accept(todo, server.answer(todo), 0.0)
    head, later = planner.next(0.0), planner.next(0.0)
    assert isinstance(head, Fetch) and isinstance(later, Fetch)
    assert not head.speculative and later.speculative and later.first
    assert [fetch.window and fetch.window.start - BEGIN for fetch in (head, later)] == [10, 20]
    assert planner.next(0.0) is None


@given(
    style=st.sampled_from(sorted(STYLES)),
    values=st.lists(st.integers(0, 90), max_size=60),
    cap=st.integers(1, 5),
    limit=st.sampled_from([40, 12]),
    depth=st.integers(2, 5),
    total=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_windows_that_are_fetched_ahead_change_nothing_whatever_order_answers_come_in(
    style: str, values: list[int], cap: int, limit: int, depth: int, total: bool, order: Any
) -> None:
    """Some windows are refused as too long, some guesses fail."""
    server = Server(records(values), style, cap, limit=max(limit, len(values) and 30), total=total)
    wall = Wall(BEGIN + 93)
    planner = PartitionPlanner(plan(style, wall, depth=depth, size=20), claim())
    flying: list[Fetch] = []
    taken: list[Accepted] = []
    while not isinstance(todo := planner.next(0.0), Done) or flying:
        if isinstance(todo, Fetch):
            assert todo.window is not None and todo.window.end <= BEGIN + 90
            flying.append(todo)
        if flying and (not isinstance(todo, Fetch) or order.random() < 0.5):
            fetch = flying.pop(order.randrange(len(flying)))
            if fetch.speculative and order.random() < 0.2:
                planner.drop(fetch)
                continue
            taken += planner.accept(fetch, server.answer(fetch), 0.0)
    assert sorted(ids(taken)) == [
        record["id"] for record in server.records if record["u"] < BEGIN + 90
    ]
    assert planner.cursor.mark == BEGIN + 90
    assert not planner.speculating


def test_windows_that_are_fetched_ahead_are_each_asked_for_once() -> None:
    server = Server(records(range(0, 100, 3)))
    planner = PartitionPlanner(plan("window", Wall(BEGIN + 103), depth=4), claim())
    flying: list[Fetch] = []
    while not isinstance(todo := planner.next(0.0), Done):
        if isinstance(todo, Fetch):
            flying.append(todo)
            assert len(flying) <= 4
        else:
            last = flying.pop()  # the head comes last
            planner.accept(last, server.answer(last), 0.0)
    assert sorted(server.asked) == [(BEGIN + at, BEGIN + at + 10) for at in range(0, 100, 10)]


def test_a_window_that_cannot_be_made_shorter_is_a_clear_error_and_what_came_before_stays() -> None:
    server = Server(records([1, 12, 12, 12]), limit=2)
    planner = PartitionPlanner(plan("window", Wall(BEGIN + 33), smallest=2), claim())
    taken: list[Accepted] = []
    with pytest.raises(
        WindowRefused,
        match=rf"status 400: too many, for a window from {BEGIN + 12} to {BEGIN + 14}",
    ):
        while isinstance(todo := planner.next(0.0), Fetch):
            taken += planner.accept(todo, server.answer(todo), 0.0)
    assert ids(taken) == [0] and planner.cursor.mark == BEGIN + 12


def test_records_at_an_inclusive_end_come_twice_and_are_taken_once() -> None:
    server = Server(records([10, 10, 20, 30]), inclusive=True)
    taken = run(PartitionPlanner(plan("window", Wall(BEGIN + 33), inclusive=True), claim()), server)
    assert ids(taken) == [0, 1, 2, 3]
    assert sum(each.ledger.deduplicated for each in taken) == 3
    server.asked.clear()
    stepped = run(
        PartitionPlanner(plan("window", Wall(BEGIN + 33), inclusive=True, step=1), claim()), server
    )
    assert ids(stepped) == [0, 1, 2] and not any(each.ledger.deduplicated for each in stepped), (
        "30 belongs to the next pass"
    )
    assert server.asked[:2] == [(BEGIN, BEGIN + 9), (BEGIN + 10, BEGIN + 19)]


def test_a_source_that_ignores_the_end_sends_much_twice_and_nothing_is_doubled() -> None:
    class Endless(Server):
        def answer(self, fetch: Fetch) -> Reply:
            params = {**(fetch.address.params or {}), "to": str(BEGIN + 1000)}
            return super().answer(replace(fetch, address=Address(params=params)))

    taken = run(
        PartitionPlanner(plan("window", Wall(BEGIN + 53)), claim()),
        Endless(records([1, 15, 15, 30, 49, 90])),
    )
    assert ids(taken) == [0, 1, 2, 3, 4, 5]


def test_a_source_that_ignores_the_window_is_stopped_before_anything_is_doubled() -> None:
    class Deaf(Server):
        def answer(self, fetch: Fetch) -> Reply:
            return super().answer(
                replace(
                    fetch,
                    address=Address(params={"from": str(BEGIN - 100), "to": str(BEGIN + 1000)}),
                )
            )

    server, planner, taken = (
        Deaf(records([-5, 1, 15, 30])),
        PartitionPlanner(plan("window", Wall(BEGIN + 53)), claim()),
        [],
    )
    with pytest.raises(
        OutsideWindow, match="record 0 has u = 1704067199999995, older than the window"
    ):
        taken += (
            planner.accept(todo, server.answer(todo), 0.0)
            if isinstance(todo := planner.next(0.0), Fetch)
            else []
        )
        run(planner, server)
    assert ids(taken) == [0, 1, 2, 3] and planner.cursor.mark == BEGIN + 10


def test_a_record_that_came_late_is_read_with_an_overlap() -> None:
    wall, server = Wall(BEGIN + 33), Server(records([1, 25]))
    spec = plan("window", wall, overlap_s=20e-6)
    taken = run(PartitionPlanner(spec, claim()), server)
    server.records += records([12], 7)
    wall.now += 10
    again = run(PartitionPlanner(spec, resumed(claim(), taken)), server)
    assert (ids(taken), ids(again)) == ([0, 1], [7])


def test_an_ascending_source_is_checked_within_each_window() -> None:
    spec = plan("window", Wall(BEGIN + 33), order="ascending")
    with pytest.raises(OrderViolation, match="below its predecessor"):
        run(PartitionPlanner(spec, claim()), Server(records([11, 12]), order="descending"))
    assert (
        len(
            ids(
                run(
                    PartitionPlanner(plan("window", Wall(BEGIN + 33)), claim()),
                    Server(records([11, 12]), order="descending"),
                )
            )
        )
        == 2
    )


@pytest.mark.parametrize("style", ["offset", "token"])
def test_a_total_is_that_of_a_window(style: str) -> None:
    server = Server(records([1, 2, 3, 4, 15, 16, 35]), style, total=True)
    taken = run(PartitionPlanner(plan(style, Wall(BEGIN + 43), depth=3), claim()), server)
    assert ids(taken) == list(range(7))
    assert taken[-1].pass_end is not None and (
        taken[-1].pass_end.received,
        taken[-1].pass_end.completeness,
    ) == (7, "proven" if style in ("token", "window") else "assumed")


def test_a_window_that_ends_before_its_total_is_loud() -> None:
    class Short(Server):
        def answer(self, fetch: Fetch) -> Reply:
            reply = super().answer(fetch)
            assert reply.decoded is not None
            wrong = dict(reply.decoded.facts.body) | (
                {"total": 9} if self.asked[-1][0] == BEGIN + 10 else {}
            )
            return Reply(decoded(reply.decoded.records, wrong))

    with pytest.raises(TotalMismatch, match="the window ended with 1 of 9 records"):
        run(
            PartitionPlanner(plan("token", Wall(BEGIN + 43)), claim()),
            Short(records([1, 2, 15, 35]), "token", total=True),
        )


def test_one_window_without_its_total_and_the_pass_is_not_proven() -> None:
    class Shy(Server):
        def answer(self, fetch: Fetch) -> Reply:
            self.total = int((fetch.address.params or {})["from"]) != BEGIN + 10
            return super().answer(fetch)

    spec = plan("token", Wall(BEGIN + 43), completeness="assumed")
    taken = run(PartitionPlanner(spec, claim()), Shy(records([1, 2, 15, 35]), "token"))
    assert taken[-1].pass_end is not None and taken[-1].pass_end.completeness == "assumed"


def test_the_last_page_of_a_window_ends_it_when_it_comes_again_and_the_total_is_reached() -> None:
    """A total is not believed until it has counted several pages, so one more is asked for."""

    class Repeating(Server):
        def answer(self, fetch: Fetch) -> Reply:
            first = replace(fetch, position={"offset": 0})  # every window here has one page
            return super().answer(first)

    server = Repeating(records([1, 2, 3, 14, 15, 26]), "offset", total=True)
    taken = run(PartitionPlanner(plan("offset", Wall(BEGIN + 33)), claim()), server)
    assert ids(taken) == list(range(6))


@pytest.mark.parametrize("style", ["window", "offset"])
def test_a_pass_that_max_pages_cut_goes_on_at_the_mark(style: str) -> None:
    wall, server, at, seen, ends = (
        Wall(BEGIN + 63),
        Server(records(list(range(60))), style, cap=4),
        claim(),
        [],
        [],
    )
    while at.cursor.mark != BEGIN + 60:
        taken = run(PartitionPlanner(plan(style, wall, stop=StopSpec(max_pages=5)), at), server)
        at, seen = resumed(at, taken), seen + ids(taken)
        ends.append(taken[-1].pass_end)
    assert seen == list(range(60)) and len(ends) > 1
    assert all(end is not None and end.completeness == "unknown" for end in ends)
    assert all(end is not None and end.reason == "max_pages 5" for end in ends[:-1])


@pytest.mark.parametrize(("style", "overlap"), [("offset", 0.0), ("window", 30e-6)])
def test_a_pass_that_would_never_get_behind_its_mark_is_loud(style: str, overlap: float) -> None:
    """A window of more pages than max_pages; an overlap of more windows."""
    wall, server = Wall(BEGIN + 43), Server(records(list(range(40))), style)
    at = claim() if style == "offset" else replace(claim(), cursor=Cursor(mark=BEGIN + 40))
    wall.now += 0 if style == "offset" else 20
    with pytest.raises(
        PermanentError, match=r"more than stop\.max_pages = 2 pages before the mark moved"
    ):
        run(
            PartitionPlanner(plan(style, wall, stop=StopSpec(max_pages=2), overlap_s=overlap), at),
            server,
        )


@pytest.mark.parametrize("style", STYLES)
def test_a_range_is_read_from_its_begin_to_its_end_and_no_further(style: str) -> None:
    server = Server(records(list(range(40))), style)
    spec = plan(style, Wall(BEGIN + 100), until=BEGIN + 27)
    assert spec.incremental is not None
    spec = replace(spec, incremental=replace(spec.incremental, initial=str(BEGIN + 12)))
    taken = run(PartitionPlanner(spec, claim()), server)
    assert ids(taken) == list(range(12, 27))
    assert server.asked[-1][1] == BEGIN + 27
    assert taken[-1].pass_end is not None and taken[-1].progress.cursor.mark == BEGIN + 27
    assert run(PartitionPlanner(spec, resumed(claim(), taken)), server) == [], (
        "the same range again has nothing left"
    )


def test_a_status_that_ends_pages_never_applies_to_the_first_page_of_a_window() -> None:
    planner, server, first = (
        PartitionPlanner(plan("page", Wall(BEGIN + 33)), claim()),
        Server(records([1, 2, 3, 14]), "page"),
        [],
    )
    while isinstance(todo := planner.next(0.0), Fetch):
        first.append((todo.first, todo.position["page"]))
        planner.accept(todo, server.answer(todo), 0.0)
    assert (
        first == [(page == 1, page) for _, page in first]
        and len([each for each in first if each[0]]) == 3
    )


def test_a_window_that_begins_again_is_as_long_as_the_source_accepted() -> None:
    def length(todo: Any) -> int:
        assert isinstance(todo, Fetch)
        params = todo.address.params or {}
        return int(params["to"]) - int(params["from"])

    server = Server(records([1, 2, 3, 4, 5, 6]), "token", cap=2)
    planner = PartitionPlanner(plan("token", Wall(BEGIN + 23)), claim())
    todo = planner.next(0.0)
    whole = length(todo)
    assert isinstance(todo, Fetch)
    planner.accept(todo, Reply(None, split="status 400: too many"), 0.0)
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch) and length(todo) < whole
    half = length(todo)
    planner.accept(todo, server.answer(todo), 0.0)
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch) and todo.position is not None
    planner.drop(todo)
    assert planner.fall_back()
    assert length(planner.next(0.0)) == half


def test_a_refused_position_begins_the_window_again() -> None:
    server = Server(records([1, 2, 11, 12, 13, 14, 15]), "token", cap=2)
    planner = PartitionPlanner(plan("token", Wall(BEGIN + 23)), claim())
    taken = run(planner, server, 2)
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch) and todo.position == {"token": token_at(2)}
    planner.drop(todo)
    assert planner.fall_back()
    todo = planner.next(0.0)
    assert (
        isinstance(todo, Fetch)
        and todo.position is None
        and (todo.address.params or {})["from"] == str(BEGIN + 10)
    )
    planner.drop(todo)
    assert ids(taken + run(planner, server)) == list(range(7))
