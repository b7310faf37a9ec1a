"""The planner against servers in memory: what it receives must be what they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor
from worker.core.errors import (
    BoundaryFull,
    CursorStuck,
    OrderViolation,
    PaginationLoop,
    PermanentError,
    TotalMismatch,
)
from worker.core.model import Claim, Decoded, Facts, Progress
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
from worker.sources.pagination import cursor, offset, page

Record = dict[str, Any]
INCREMENTAL = IncrementalSpec(field="u", format=MarkFormat("int"))


def decoded(records: list[Record], body: Mapping[str, Any] | None = None) -> Decoded:
    keys = [blake2b(str(record["id"]).encode(), digest_size=16).digest() for record in records]
    facts = Facts(
        len(records),
        dict(body or {}),
        {},
        [record.get("u") for record in records],
        keys,
        100 * len(records),
    )
    return Decoded(list(records), None, [], facts)


def token_at(start: int) -> str:
    """An opaque token: numbers are taken for page numbers or offsets."""
    return f"from-{start}-on"


def place(position: Mapping[str, Any]) -> int:
    return int(position["token"].split("-")[1]) if "token" in position else 0


class Server:
    """Serves a list by offset, page or token, at most `cap` records a page."""

    def __init__(self, records: list[Record], cap: int, *, total: bool = False) -> None:
        self.records, self.cap, self.total = records, cap, total
        self.said: int | None = None  # instead of the true total

    def answer(self, fetch: Fetch) -> Reply:
        since = fetch.since
        found = [record for record in self.records if since is None or record["u"] >= int(since)]
        position = fetch.position or {}
        if "offset" in position:
            start = position["offset"]
        elif "page" in position:
            start = (position["page"] - 1) * self.cap
        else:
            start = place(position)
        part = found[start : start + self.cap]
        more = start + self.cap < len(found)
        body = {
            "next": token_at(start + self.cap) if more else None,
            "total": (len(found) if self.said is None else self.said) if self.total else None,
        }
        return Reply(decoded(part, body))


def token_style() -> Any:
    return cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}}
        )
    )


def offset_style() -> Any:
    return offset.build(offset.Config(type="offset", param="o", limit_param="l", limit=1000))


def page_style() -> Any:
    return page.build(page.Config(type="page", param="p"))


STYLES = {"token": token_style, "offset": offset_style, "page": page_style}


def spec(style: Any, **changes: Any) -> PagingSpec:
    return replace(
        PagingSpec(style=style, once=True, total=lambda facts, headers: facts.body.get("total")),
        **changes,
    )


def run(planner: PartitionPlanner, server: Server, now: float = 0.0) -> list[Accepted]:
    taken: list[Accepted] = []
    while not isinstance(todo := planner.next(now), Done | Wait):
        assert isinstance(todo, Fetch)
        taken += planner.accept(todo, server.answer(todo), now)
    return taken


def ids(taken: list[Accepted]) -> list[int]:
    return [record["id"] for accepted in taken for record in accepted.decoded.records]


def resumed(claim: Claim, taken: list[Accepted]) -> Claim:
    """The claim that a commit of `taken` leaves, through the JSON of the cursor."""
    if not taken:
        return claim
    whole: Progress = taken[0].progress
    for accepted in taken[1:]:
        whole = whole.then(accepted.progress)
    boundary = set(claim.boundary)
    if whole.boundary_floor is not None:
        boundary = {key for key in boundary if key[0] >= whole.boundary_floor}  # type: ignore[operator]
    tokens = (set() if whole.tokens_cleared else set(claim.tokens)) | set(whole.tokens_added)
    cursor_after = Cursor.from_json(whole.cursor.to_json())
    return Claim(
        "p",
        claim.seq + 1,
        cursor_after,
        frozenset(boundary | set(whole.boundary_added)),
        frozenset(tokens),
    )


def claim() -> Claim:
    return Claim("p", 0, Cursor())


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@given(count=st.integers(0, 40), cap=st.integers(1, 12), total=st.booleans())
def test_every_record_is_received_once_whatever_the_server_caps_pages_at(
    style: Any, count: int, cap: int, total: bool
) -> None:
    records = [{"id": number} for number in range(count)]
    taken = run(PartitionPlanner(spec(style()), claim()), Server(records, cap, total=total))
    assert ids(taken) == list(range(count))
    assert taken[-1].progress.cursor.complete


@given(
    data=st.lists(st.integers(0, 8), max_size=30).map(sorted),
    cap=st.integers(1, 7),
    later=st.lists(st.integers(8, 12), max_size=8).map(sorted),
    cut=st.integers(0, 10),
    cap_after=st.integers(1, 7),
    overlap=st.booleans(),
)
def test_a_crash_at_any_page_loses_and_duplicates_nothing(
    data: list[int], cap: int, later: list[int], cut: int, cap_after: int, overlap: bool
) -> None:
    """Tokens are record numbers, so pages may be cut differently after the crash, and records come
    in at the end.
    """
    server = Server([{"id": number, "u": value} for number, value in enumerate(data)], cap)
    plan = spec(token_style(), incremental=INCREMENTAL)
    first = claim()
    planner = PartitionPlanner(plan, first)
    taken: list[Accepted] = []
    for _ in range(cut):
        todo = planner.next(0.0)
        if not isinstance(todo, Fetch):
            break
        taken += planner.accept(todo, server.answer(todo), 0.0)
    after = resumed(first, taken)
    server.records += [{"id": len(data) + number, "u": value} for number, value in enumerate(later)]
    server.cap = cap_after
    rest = run(PartitionPlanner(plan, after), server)
    final = resumed(after, rest)
    last = run(PartitionPlanner(plan, final), server)
    assert sorted(ids(taken) + ids(rest) + ids(last)) == list(range(len(server.records)))


HOUR = 3_600_000_000
COARSE = {
    "days": IncrementalSpec("u", MarkFormat("epoch_us", "%Y-%m-%d")),
    "days of Berlin": IncrementalSpec("u", MarkFormat("epoch_us", "%Y-%m-%d", "Europe/Berlin")),
    "seconds": IncrementalSpec("u", MarkFormat("epoch_us", "epoch_s")),
    "overlap": IncrementalSpec("u", MarkFormat("epoch_us", "%Y-%m-%d"), overlap_s=5 * 3600.0),
    "newest bound": IncrementalSpec("u", MarkFormat("epoch_us", "%Y-%m-%d"), newest_bound_s=3600.0),
}


@pytest.mark.parametrize("incremental", COARSE.values(), ids=COARSE)
@pytest.mark.parametrize("order", ["ascending", "any"])
@given(
    steps=st.lists(st.sampled_from([0, 1, 999_999, HOUR, 7 * HOUR]), min_size=1, max_size=25),
    cuts=st.lists(st.integers(0, 25), max_size=4),
)
def test_a_bound_coarser_than_the_mark_brings_no_duplicates(
    incremental: IncrementalSpec, order: str, steps: list[int], cuts: list[int]
) -> None:
    """The server reads the bound as it is written; records come in between the passes."""
    style = incremental.format

    class Honest(Server):
        def answer(self, fetch: Fetch) -> Reply:
            bound = None if fetch.since is None else style.bound(fetch.since)
            return super().answer(replace(fetch, since=bound))

    stamps = [sum(steps[: number + 1]) + 400_000 * HOUR for number in range(len(steps))]
    records = [{"id": number, "u": stamp} for number, stamp in enumerate(stamps)]
    plan = spec(
        token_style(),
        incremental=replace(incremental, order=order),
        wall=lambda: (stamps[0] + stamps[-1]) / 2e6,
    )
    at, seen = claim(), []
    for cut in [*sorted(cuts), len(records), len(records)]:
        taken = run(PartitionPlanner(plan, at), Honest(records[:cut], 4))
        at = resumed(at, taken)
        seen += ids(taken)
    assert seen == list(range(len(records)))


@pytest.mark.parametrize("order", ["any", "descending"])
@given(
    data=st.lists(st.integers(0, 9), max_size=25),
    more=st.lists(st.integers(0, 9), max_size=5),
    cap=st.integers(1, 6),
)
def test_unordered_sources_move_the_mark_only_when_a_pass_is_complete(
    order: str, data: list[int], more: list[int], cap: int
) -> None:
    plan = spec(token_style(), incremental=replace(INCREMENTAL, order=order))
    server = Server(
        [{"id": number, "u": value} for number, value in enumerate(sorted(data, reverse=True))], cap
    )
    planner = PartitionPlanner(plan, claim())
    taken = run(planner, server)
    assert all(accepted.progress.cursor.mark is None for accepted in taken[:-1])
    assert planner.cursor.mark == (max(data) if data else None)
    top = max(data, default=0)
    fresh = [{"id": 1000 + number, "u": value + top} for number, value in enumerate(more)]
    server.records = sorted(fresh + server.records, key=lambda record: -record["u"])
    again = run(PartitionPlanner(plan, resumed(claim(), taken)), server)
    assert sorted(ids(again)) == sorted(record["id"] for record in fresh)


def test_a_record_older_than_its_predecessor_stops_an_ascending_source() -> None:
    plan = spec(token_style(), incremental=INCREMENTAL)
    with pytest.raises(OrderViolation, match="below its predecessor"):
        run(PartitionPlanner(plan, claim()), Server([{"id": 1, "u": 5}, {"id": 2, "u": 4}], 10))


def test_a_cycle_of_tokens_is_a_pagination_loop() -> None:
    planner = PartitionPlanner(spec(token_style()), claim())
    tokens = ["A", "B", "A", "B"]
    with pytest.raises(PaginationLoop):
        for number, token in enumerate(tokens):
            todo = planner.next(0.0)
            assert isinstance(todo, Fetch)
            planner.accept(todo, Reply(decoded([{"id": number}], {"next": token})), 0.0)
    assert number == 2


def fetched(planner: PartitionPlanner, now: float = 0.0) -> Fetch:
    todo = planner.next(now)
    assert isinstance(todo, Fetch)
    return todo


def test_a_page_is_not_lost_with_a_bad_one_that_was_fetched_ahead() -> None:
    """The daemon goes on with this planner when the source has recovered."""
    planner = PartitionPlanner(spec(offset_style(), depth=3, incremental=INCREMENTAL), claim())
    first = [
        accepted
        for number in (8, 0)  # two pages of equal size: then pages are fetched ahead
        for accepted in planner.accept(
            fetched(planner), Reply(decoded([{"id": number, "u": 5}])), 0.0
        )
    ]
    head, ahead = fetched(planner), fetched(planner)
    assert (
        planner.accept(ahead, Reply(decoded([{"id": 2, "u": 1}])), 0.0) == []
    )  # older than its predecessor
    first += planner.accept(head, Reply(decoded([{"id": 1, "u": 6}])), 0.0)
    assert ids(first) == [8, 0, 1]
    again = fetched(planner)
    assert (again.position, again.speculative) == (ahead.position, False)
    with pytest.raises(OrderViolation):  # as the head it counts
        planner.accept(again, Reply(decoded([{"id": 2, "u": 1}])), 0.0)
    assert ids(planner.accept(fetched(planner), Reply(decoded([{"id": 2, "u": 7}])), 0.0)) == [2]


def test_a_page_that_the_boundary_has_no_room_for_comes_again_whole() -> None:
    plan = spec(
        token_style(), incremental=INCREMENTAL, boundary_cap=3, once=False, schedule=Schedule(60.0)
    )
    planner = PartitionPlanner(plan, claim())
    page = [{"id": number, "u": 5} for number in range(4)]
    with pytest.raises(BoundaryFull):
        planner.accept(fetched(planner), Reply(decoded(page)), 0.0)
    again = fetched(planner, 60.0)
    [taken] = planner.accept(again, Reply(decoded([*page, {"id": 4, "u": 6}])), 60.0)
    assert ids([taken]) == [0, 1, 2, 3, 4]
    assert taken.ledger.deduplicated == 0


def test_an_offset_that_stays_empty_below_the_total_is_asked_once_more_and_not_for_ever() -> None:
    """The bodies differ: they say how long the answer took."""
    planner = PartitionPlanner(spec(offset_style()), claim())
    with pytest.raises(TotalMismatch, match="ended with 1 of 5 records"):
        for took in range(10):
            todo = planner.next(0.0)
            assert isinstance(todo, Fetch)
            records = [{"id": 1}] if took == 0 else []
            planner.accept(todo, Reply(decoded(records, {"total": 5, "took": took})), 0.0)
    assert took == 2


def test_the_token_of_a_loop_is_told_without_its_query() -> None:
    planner = PartitionPlanner(spec(token_style()), claim())
    with pytest.raises(PaginationLoop) as caught:
        for _ in range(2):
            todo = planner.next(0.0)
            assert isinstance(todo, Fetch)
            planner.accept(
                todo,
                Reply(decoded([{"id": 1}], {"next": "https://api.example.com/x?sid=s3cret"})),
                0.0,
            )
    assert "https://api.example.com/x" in str(caught.value) and "s3cret" not in str(caught.value)


@pytest.mark.parametrize("style", [offset_style, page_style])
def test_a_numbered_source_that_repeats_a_body_is_a_pagination_loop(style: Any) -> None:
    planner = PartitionPlanner(spec(style()), claim())
    with pytest.raises(PaginationLoop):
        for _ in range(3):
            todo = planner.next(0.0)
            assert isinstance(todo, Fetch)
            planner.accept(todo, Reply(decoded([{"id": 1}])), 0.0)


@pytest.mark.parametrize("token", [None, "", False])
def test_end_tokens_end_the_pass(token: Any) -> None:
    planner = PartitionPlanner(spec(token_style()), claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    [taken] = planner.accept(todo, Reply(decoded([{"id": 1}], {"next": token})), 0.0)
    assert taken.pass_end is not None


def test_zero_is_a_token_and_an_empty_page_with_a_token_is_not_the_end() -> None:
    planner = PartitionPlanner(spec(token_style()), claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    [taken] = planner.accept(todo, Reply(decoded([], {"next": 0})), 0.0)
    assert taken.pass_end is None
    assert isinstance(planner.next(0.0), Fetch)


def test_fewer_records_than_the_total_is_loud() -> None:
    planner = PartitionPlanner(spec(token_style()), claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    with pytest.raises(TotalMismatch, match="1 of 3"):
        planner.accept(todo, Reply(decoded([{"id": 1}], {"next": None, "total": 3})), 0.0)


@pytest.mark.parametrize(("total", "said"), [(True, "proven"), (False, "assumed")])
def test_a_pass_says_what_it_proved_or_what_its_config_promises(total: bool, said: str) -> None:
    taken = run(
        PartitionPlanner(spec(token_style(), completeness="assumed"), claim()),
        Server([{"id": number} for number in range(5)], 2, total=total),
    )
    assert taken[-1].pass_end is not None and taken[-1].pass_end.completeness == said


def test_a_total_that_changes_is_drift_and_not_proven() -> None:
    planner = PartitionPlanner(spec(token_style()), claim())
    taken: list[Accepted] = []
    for number, (token, total) in enumerate([("A", 9), (None, 3)]):
        todo = planner.next(0.0)
        assert isinstance(todo, Fetch)
        taken += planner.accept(
            todo, Reply(decoded([{"id": number}], {"next": token, "total": total})), 0.0
        )
    assert "changed" in taken[-1].drift
    assert taken[-1].pass_end is not None and taken[-1].pass_end.completeness == "unknown"


@pytest.mark.parametrize("style", [offset_style, page_style])
@pytest.mark.parametrize("said", [0, 1, 15, 29])
def test_a_total_that_was_passed_does_not_end_a_numbered_source(style: Any, said: int) -> None:
    server = Server([{"id": number} for number in range(30)], 10, total=True)
    server.said = said
    planner = PartitionPlanner(spec(style(), depth=3), claim())
    taken = run(planner, server)
    assert ids(taken) == list(range(30))
    assert taken[-1].pass_end is not None and (
        taken[-1].pass_end.reason,
        taken[-1].pass_end.completeness,
    ) == ("empty page", "unknown")
    assert any("the source said" in accepted.drift for accepted in taken)


def test_a_total_that_grows_with_the_source_ends_the_pass() -> None:
    """A page behind the last one may be an error there."""
    server = Server([{"id": number} for number in range(5)], 3, total=True)
    planner = PartitionPlanner(spec(offset_style(), key=("id",)), claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    taken = planner.accept(todo, server.answer(todo), 0.0)
    server.records.append({"id": 5})
    taken += run(planner, server)
    assert ids(taken) == list(range(6)) and len(taken) == 2
    assert taken[-1].pass_end is not None and (
        taken[-1].pass_end.reason,
        taken[-1].pass_end.completeness,
    ) == ("total reached", "unknown")


def test_a_wrong_total_stays_wrong_after_a_crash() -> None:
    server = Server([{"id": number} for number in range(9)], 3, total=True)
    server.said, plan = 2, spec(offset_style())
    planner = PartitionPlanner(plan, claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    taken = planner.accept(todo, server.answer(todo), 0.0)
    server.said = 6  # what is received by then, and still too low
    rest = run(PartitionPlanner(plan, resumed(claim(), taken)), server)
    assert ids(taken + rest) == list(range(9))
    assert rest[-1].pass_end is not None and rest[-1].pass_end.completeness == "unknown"


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("total", [False, True])
def test_a_pass_without_news_is_not_stuck(style: Any, total: bool) -> None:
    plan = spec(style(), incremental=INCREMENTAL)
    server = Server([{"id": number, "u": number} for number in range(6)], 2, total=total)
    first = run(PartitionPlanner(plan, claim()), server)
    again = run(PartitionPlanner(plan, resumed(claim(), first)), server)
    assert ids(first) == list(range(6)) and ids(again) == []
    assert again[-1].pass_end is not None


@pytest.mark.parametrize("style", [token_style, offset_style])
def test_passes_cut_by_max_pages_get_to_the_end_and_prove_nothing(style: Any) -> None:
    plan = spec(style(), incremental=INCREMENTAL, stop=StopSpec(max_pages=2))
    server = Server([{"id": number, "u": number} for number in range(20)], 3, total=True)
    at, seen = claim(), []
    for _ in range(5):
        taken = run(PartitionPlanner(plan, at), server)
        at = resumed(at, taken)
        seen += ids(taken)
        end = taken[-1].pass_end
        whole = "proven" if style is token_style else "assumed"
        assert end is not None and end.completeness == (
            "unknown" if end.reason == "max_pages 2" else whole
        )
    assert seen == list(range(20))


@pytest.mark.parametrize("order", ["ascending", "any"])
def test_a_range_that_was_cut_at_its_end_is_not_compared_with_the_total(order: str) -> None:
    plan = spec(token_style(), incremental=replace(INCREMENTAL, initial="4", until=9, order=order))
    taken = run(
        PartitionPlanner(plan, claim()),
        Server([{"id": number, "u": number} for number in range(20)], 3, total=True),
    )
    assert ids(taken) == [4, 5, 6, 7, 8]
    assert taken[-1].pass_end is not None and taken[-1].pass_end.completeness == (
        "unknown" if order == "ascending" else "assumed"
    )


def test_a_pass_of_known_records_that_ends_before_its_next_page_is_stuck() -> None:
    plan = spec(token_style(), incremental=INCREMENTAL, stop=StopSpec(max_pages=1))
    server = Server([{"id": number, "u": 5} for number in range(4)], 2)
    first = claim()
    taken = run(PartitionPlanner(plan, first), server)
    with pytest.raises(CursorStuck):
        run(PartitionPlanner(plan, resumed(first, taken)), server)


def test_max_pages_fails_a_pass_that_cannot_go_on_at_a_mark() -> None:
    plan = spec(token_style(), stop=StopSpec(max_pages=2))
    with pytest.raises(PermanentError, match="max_pages"):
        run(PartitionPlanner(plan, claim()), Server([{"id": number} for number in range(9)], 2))


def test_a_status_stop_ends_the_pass() -> None:
    planner = PartitionPlanner(spec(page_style()), claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    planner.accept(todo, Reply(decoded([{"id": 1}])), 0.0)
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    [taken] = planner.accept(todo, Reply(None, stop="status 400"), 0.0)
    assert taken.pass_end is not None and taken.pass_end.reason == "status 400"
    assert not taken.noted


@given(
    count=st.integers(0, 60),
    caps=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    depth=st.integers(2, 5),
)
def test_speculation_changes_nothing_whatever_order_answers_come_in(
    count: int, caps: list[int], order: Any, depth: int
) -> None:
    """The server changes its page size; answers come in any order; some guesses fail."""
    records = [{"id": number} for number in range(count)]
    planner = PartitionPlanner(spec(offset_style(), depth=depth), claim())
    sizes: dict[int, int] = {}
    flying: list[Fetch] = []
    taken: list[Accepted] = []
    for _ in range(2_000):
        todo = planner.next(0.0)
        if isinstance(todo, Fetch):
            flying.append(todo)
        if isinstance(todo, Done):
            break
        if flying and (todo is None or order.random() < 0.5):
            fetch = flying.pop(order.randrange(len(flying)))
            if fetch.speculative and order.random() < 0.2:
                planner.drop(fetch)
                continue
            start = fetch.position["offset"]
            size = sizes.setdefault(start, order.choice(caps))
            taken += planner.accept(fetch, Reply(decoded(records[start : start + size])), 0.0)
    assert isinstance(todo, Done)
    assert ids(taken) == list(range(count))


def test_a_refused_position_falls_back_to_the_mark_once() -> None:
    plan = spec(token_style(), incremental=INCREMENTAL)
    server = Server([{"id": number, "u": number} for number in range(6)], 2)
    planner = PartitionPlanner(plan, claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    taken = planner.accept(todo, server.answer(todo), 0.0)
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    planner.drop(todo)
    assert planner.fall_back()
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch) and todo.since == "1" and todo.position is None
    planner.drop(todo)
    assert not planner.fall_back()
    assert sorted(ids(taken + run(planner, server))) == list(range(6))


def test_a_scheduled_source_waits_and_starts_the_next_pass() -> None:
    planner = PartitionPlanner(spec(token_style(), once=False, schedule=Schedule(60.0)), claim())
    server = Server([{"id": 1}], 2)
    run(planner, server, now=100.0)
    assert planner.next(101.0) == Wait(160.0)
    assert isinstance(planner.next(160.0), Fetch)
    assert planner.cursor.pass_no == 2


@pytest.mark.parametrize("due", [None, 5.0])
def test_nobody_waits_for_the_schedule_while_the_first_page_of_a_pass_is_in_flight(
    due: float | None,
) -> None:
    server = Server([{"id": number} for number in range(4)], cap=2)
    planner = PartitionPlanner(
        spec(offset_style(), once=False, schedule=Schedule(60.0)), Claim("p", 0, Cursor()), due
    )
    begins = 0.0
    if due is not None:
        assert planner.next(0.0) == Wait(due)
        begins = due
    for at in (begins, begins + 60.0):
        first = planner.next(at)
        assert isinstance(first, Fetch)
        assert planner.next(at) is None
        assert planner.due == at + 60.0
        planner.accept(first, server.answer(first), at)
        run(planner, server, at)
        assert planner.next(at) == Wait(at + 60.0)


def test_a_pass_that_goes_on_without_a_known_time_schedules_the_one_after_it() -> None:
    """A state of an older version."""
    server = Server([{"id": number} for number in range(4)], cap=2)
    kept = spec(offset_style(), once=False, schedule=Schedule(60.0))
    fresh = PartitionPlanner(kept, Claim("p", 0, Cursor()))
    first = fresh.next(0.0)
    assert isinstance(first, Fetch)
    claim = resumed(Claim("p", 0, Cursor()), fresh.accept(first, server.answer(first), 0.0))
    planner = PartitionPlanner(kept, claim)
    assert ids(run(planner, server, 10.0)) == [2, 3]
    assert planner.next(10.0) == Wait(70.0)


def test_a_source_that_was_read_once_is_read_again_where_it_has_a_schedule_since() -> None:
    server, first = Server([{"id": 1}], cap=2), Claim("p", 0, Cursor())
    once = run(PartitionPlanner(spec(offset_style()), first), server)
    kept = spec(offset_style(), once=False, schedule=Schedule(60.0))
    again = run(PartitionPlanner(kept, resumed(first, once)), server, 10.0)
    numbers = [each.pass_end.number for each in (*once, *again) if each.pass_end is not None]
    assert numbers == [1, 2] and ids(again) == [1]


# -- pages fetched ahead ----------------------------------------------------------------------------


def in_flight(planner: PartitionPlanner) -> list[Fetch]:
    """Everything that the planner asks for while nothing is answered."""
    flying: list[Fetch] = []
    while isinstance(todo := planner.next(0.0), Fetch):
        flying.append(todo)
    return flying


@pytest.mark.parametrize("style", [offset_style, page_style])
def test_pages_are_guessed_behind_two_of_equal_size_and_not_behind_a_short_one(style: Any) -> None:
    planner = PartitionPlanner(spec(style(), depth=4), claim())
    sizes, number, ahead = (5, 5, 5, 3, 3, 2, 2), 0, []
    flying: list[Fetch] = []
    for size in sizes:
        flying = flying or in_flight(planner)
        head, *guesses = flying
        assert not head.speculative and all(guess.speculative for guess in guesses)
        ahead.append(len(guesses))
        for guess in guesses:
            planner.drop(guess)
        page = [{"id": number + index} for index in range(size)]
        planner.accept(head, Reply(decoded(page)), 0.0)
        number, flying = number + size, []
    assert ahead == [0, 0, 3, 3, 0, 3, 0]


@given(
    count=st.integers(1, 60),
    cap=st.integers(1, 9),
    depth=st.integers(2, 6),
    known=st.sampled_from(["total", "pages"]),
    order=st.randoms(use_true_random=False),
)
def test_nothing_is_asked_for_behind_an_end_that_the_source_has_named(
    count: int, cap: int, depth: int, known: str, order: Any
) -> None:
    server = Server([{"id": number} for number in range(count)], cap, total=known == "total")
    pages = -(-count // cap)
    counted = page.Config.model_validate(
        {"type": "page", "param": "p", "total_pages": {"body": "pages"}}
    )
    style = page.build(counted) if known == "pages" else offset_style()
    planner = PartitionPlanner(spec(style, depth=depth), claim())
    flying: list[Fetch] = []
    taken: list[Accepted] = []
    while not isinstance(todo := planner.next(0.0), Done) or flying:
        if isinstance(todo, Fetch):
            flying.append(todo)
            behind = todo.position.get("page", 0) > pages or todo.position.get("offset", 0) >= count
            assert not (todo.speculative and behind)
        if flying and (not isinstance(todo, Fetch) or order.random() < 0.5):
            fetch = flying.pop(order.randrange(len(flying)))
            reply = server.answer(fetch)
            assert reply.decoded is not None
            reply.decoded.facts.body["pages"] = pages  # type: ignore[index]
            taken += planner.accept(fetch, reply, 0.0)
    assert ids(taken) == list(range(count))


def test_where_the_source_says_that_there_are_more_pages_they_are_fetched_ahead_at_once() -> None:
    server = Server([{"id": number} for number in range(40)], 10, total=True)
    planner = PartitionPlanner(spec(offset_style(), depth=8), claim())
    [first] = in_flight(planner)
    planner.accept(first, server.answer(first), 0.0)
    assert [fetch.position["offset"] for fetch in in_flight(planner)] == [10, 20, 30]


def test_nothing_is_guessed_of_a_pass_before_its_first_page() -> None:
    """Passes of an incremental source may be as long as one page."""
    records = [{"id": number, "u": number} for number in range(9)]
    plan = spec(
        offset_style(), depth=4, incremental=INCREMENTAL, once=False, schedule=Schedule(60.0)
    )
    planner = PartitionPlanner(plan, claim())
    server = Server(records, 3)
    run(planner, server)
    [head] = [fetch for fetch in [planner.next(60.0)] if isinstance(fetch, Fetch)]
    assert not head.speculative and planner.next(60.0) is None
