"""Each alarm of reading, and its healthy twin, at the planner; each also with a kill between any
two pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from paging.test_planner import (
    INCREMENTAL,
    claim,
    decoded,
    ids,
    offset_style,
    page_style,
    resumed,
    token_style,
)

from worker.core.cursor import Cursor
from worker.core.errors import PermanentError
from worker.core.identities import digest16
from worker.core.instants import MICROS
from worker.core.model import Claim, Decoded
from worker.paging.marks import MarkFormat
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import (
    Accepted,
    Done,
    Fetch,
    IncrementalSpec,
    PagingSpec,
    PassEnd,
    Reply,
    StopSpec,
    Wait,
)
from worker.paging.windows import Windows
from worker.sources.pagination import cursor, link_header, none, offset

HOUR_S = 3600.0
Rows = Sequence[dict[str, Any]]
Server = Callable[[Fetch], Reply]


def spec(style: Any, **changes: Any) -> PagingSpec:
    """A source that is read on a schedule, and says no total."""
    return replace(PagingSpec(style=style, schedule=Schedule(HOUR_S)), **changes)


def with_total(plan: PagingSpec) -> PagingSpec:
    return replace(plan, total=lambda facts, headers: facts.body.get("total"))


def page(rows: Rows, keyless: int = 0, **body: Any) -> Decoded:
    """A page; contents are all that a row says, and its key is its `id`, where it has one."""
    found = decoded([{"id": None, **row} for row in rows], body)
    found.records = list(rows)
    contents = [digest16(repr(sorted(row.items())).encode()) for row in rows]
    found.facts.contents = contents
    found.facts.keys = [
        key if row.get("id") is not None else content
        for row, key, content in zip(rows, found.facts.keys, contents, strict=True)
    ]
    found.facts.keyless = sum(row.get("id") is None for row in rows)
    return found


@dataclass
class Outcome:
    """What came of some passes."""

    got: list[Any] = field(default_factory=list)
    taken: list[Accepted] = field(default_factory=list)
    error: PermanentError | None = None
    cursor: Cursor = field(default_factory=Cursor)
    asked: int = 0

    @property
    def ends(self) -> list[PassEnd]:
        return [each.pass_end for each in self.taken if each.pass_end is not None]

    @property
    def levels(self) -> list[str]:
        return [end.completeness for end in self.ends]

    @property
    def reasons(self) -> list[str]:
        return [end.reason for end in self.ends]

    @property
    def code(self) -> str:
        return "" if self.error is None else self.error.code

    @property
    def noted(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for each in self.taken:
            for kind, records in each.noted.items():
                found[kind] = found.get(kind, 0) + records
        return found


def read(
    plan: PagingSpec, server: Server, *, passes: int = 1, kill: bool = False, start: Any = None
) -> Outcome:
    """Some passes; with `kill` each page is read by a process of its own."""
    at: Claim = claim() if start is None else start
    outcome, now = Outcome(), 0.0
    planner = PartitionPlanner(plan, at)
    while len(outcome.ends) < passes:
        assert outcome.asked < 100, "the pass does not end"
        todo = planner.next(now)
        if isinstance(todo, Wait):
            now = todo.until
            continue
        if isinstance(todo, Done):
            break
        assert isinstance(todo, Fetch)
        outcome.asked += 1
        try:
            accepted = planner.accept(todo, server(todo), now)
        except PermanentError as error:
            outcome.error = error
            break
        outcome.taken += accepted
        at = resumed(at, accepted)
        if kill:
            planner = PartitionPlanner(plan, at)
    outcome.cursor = at.cursor
    outcome.got = [row for each in outcome.taken for row in each.decoded.records]
    return outcome


@pytest.fixture(params=[False, True], ids=["in one process", "killed behind each page"])
def kill(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def pages(*found: Decoded, headers: dict[str, str] | None = None) -> Server:
    """The pages one after the other, whatever is asked for; the last one again and again."""
    left = list(found)

    def answer(fetch: Fetch) -> Reply:
        each = left.pop(0) if len(left) > 1 else left[0]
        return Reply(each, headers or {})

    return answer


def rows(*numbers: int, u: int | None = None) -> list[dict[str, Any]]:
    return [{"id": number, "u": number if u is None else u} for number in numbers]


def numbered(found: Rows, cap: int, **changes: Any) -> Server:
    """A server that obeys offsets and pages."""

    def answer(fetch: Fetch) -> Reply:
        position = fetch.position
        begin = position["offset"] if "offset" in position else (position["page"] - 1) * cap
        if fetch.address.params and "o" in fetch.address.params:
            begin = int(fetch.address.params["o"])  # a seam asks one earlier
        return Reply(page(found[begin : begin + cap], **changes))

    return answer


# -- the bound -------------------------------------------------------------------------------------


def ignoring(found: Rows) -> Server:
    """A source that ignores the bound."""
    return lambda fetch: Reply(page(found, next=None))


@pytest.mark.parametrize("order", ["ascending", "any"])
def test_a_source_that_ignores_the_bound_is_refused_before_anything_comes_twice(
    order: str, kill: bool
) -> None:
    """Records are forgotten below the bound of a pass that is over."""
    plan = spec(token_style(), incremental=replace(INCREMENTAL, order=order), key=("id",))
    ten, more = rows(*range(10)), rows(*range(12))
    server = ignoring(ten)
    outcome = read(plan, server, kill=kill)
    state = Claim("p", 1, outcome.cursor, frozenset({(9, page(rows(9)).facts.keys[0])}))
    again = read(plan, ignoring(more), start=state, kill=kill)
    assert (len(outcome.got), again.got, again.code) == (10, [], "below_bound")
    assert "record 0 has u = 0" in str(again.error)


def test_the_bound_of_a_source_that_obeys_brings_what_is_new(kill: bool) -> None:
    found = rows(*range(10))

    def obeying(fetch: Fetch) -> Reply:
        least = -1 if fetch.since is None else int(fetch.since)
        return Reply(page([row for row in found if row["u"] >= least], next=None))

    plan = spec(token_style(), incremental=INCREMENTAL, key=("id",))
    first = read(plan, obeying, passes=2, kill=kill)
    found += rows(10, 11)
    assert first.got == rows(*range(10)) and first.code == ""
    assert first.levels == ["unknown", "unknown"]


@pytest.mark.parametrize(
    ("below", "got", "filtered"), [("drop", [10, 11], 9), ("keep", [*range(9), 10, 11], 0)]
)
def test_what_is_below_the_bound_is_left_out_or_taken_and_counted(
    below: str, got: list[int], filtered: int, kill: bool
) -> None:
    incremental = replace(INCREMENTAL, order="any", below=below)
    plan = spec(token_style(), incremental=incremental, key=("id",))
    start = Claim("p", 1, Cursor(pass_no=2, mark=9), frozenset({(9, page(rows(9)).facts.keys[0])}))
    outcome = read(plan, ignoring(rows(*range(12))), start=start, kill=kill)
    assert [row["id"] for row in outcome.got] == got
    assert outcome.noted["below_bound"] == 9
    assert sum(each.ledger.filtered for each in outcome.taken) == filtered
    assert outcome.cursor.mark == 11


def test_a_descending_source_without_a_bound_ends_behind_what_is_older_than_its_mark(
    kill: bool,
) -> None:
    found = rows(*reversed(range(12)))
    incremental = replace(INCREMENTAL, order="descending", sent="")
    plan = spec(offset_style(), incremental=incremental, key=("id",))
    start = Claim("p", 1, Cursor(pass_no=2, mark=9), frozenset({(9, page(rows(9)).facts.keys[0])}))
    outcome = read(plan, numbered(found, 2), start=start, kill=kill)
    assert [row["id"] for row in outcome.got] == [11, 10]
    assert outcome.asked == 3  # the second one has a record at the mark, the third one none
    assert outcome.reasons == ["all further records are older than the mark"]


def test_a_descending_source_goes_on_behind_a_page_that_lies_below_only_in_part(
    kill: bool,
) -> None:
    found = rows(11, 3) + rows(10, 2) + rows(4, 1) + rows(12, 0)
    incremental = replace(INCREMENTAL, order="descending", sent="")
    plan = spec(offset_style(), incremental=incremental, key=("id",))
    start = Claim("p", 1, Cursor(pass_no=2, mark=9))
    outcome = read(plan, numbered(found, 2), start=start, kill=kill)
    assert [row["id"] for row in outcome.got] == [11, 10]
    assert outcome.asked == 3


@pytest.mark.parametrize(("order", "sent"), [("any", ""), ("descending", "since")])
def test_a_page_that_lies_below_ends_nothing_where_newer_records_may_follow(
    order: str, sent: str, kill: bool
) -> None:
    found = [*rows(11, 10), *rows(2, 1), *([] if sent else rows(12))]
    incremental = replace(INCREMENTAL, order=order, sent=sent, below="drop")
    plan = spec(offset_style(), incremental=incremental, key=("id",))
    start = Claim("p", 1, Cursor(pass_no=2, mark=9))
    outcome = read(plan, numbered(found, 2), start=start, kill=kill)
    assert [row["id"] for row in outcome.got] == ([11, 10] if sent else [11, 10, 12])
    assert outcome.reasons == ["empty page"]


DAYS = IncrementalSpec("u", MarkFormat("epoch_s", zone="Europe/Berlin"), step_us=86_400 * MICROS)
MIDNIGHT = 1_714_946_400  # 2024-05-06 in Berlin


def test_a_source_that_rounds_to_days_of_a_zone_sends_the_day_again_and_nothing_twice(
    kill: bool,
) -> None:
    found = [{"id": n, "u": MIDNIGHT + n * HOUR_S} for n in (0, 1, 8, 30)]
    found = [{**row, "u": int(row["u"])} for row in found]

    def rounding(fetch: Fetch) -> Reply:
        since = 0 if fetch.since is None else int(fetch.since)
        assert since in (0, MIDNIGHT, MIDNIGHT + 86_400)
        return Reply(page([row for row in found if row["u"] >= since], next=None))

    plan = spec(token_style(), incremental=DAYS, key=("id",))
    outcome = read(plan, rounding, passes=3, kill=kill)
    assert [row["id"] for row in outcome.got] == [0, 1, 8, 30] and outcome.code == ""


# -- clocks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("capped", "mark"), [(True, 100), (False, 900)])
@pytest.mark.parametrize("order", ["ascending", "any"])
def test_a_record_of_the_future_moves_the_mark_to_now_and_no_further(
    order: str, capped: bool, mark: int, kill: bool
) -> None:
    incremental = IncrementalSpec("u", MarkFormat("epoch_us"), order=order, capped=capped)
    plan = spec(token_style(), incremental=incremental, key=("id",), wall=lambda: 5.0)

    def answer(fetch: Fetch) -> Reply:
        return Reply(page([{"id": 1, "u": 90}, {"id": 2, "u": 900}], next=None), now_us=100)

    outcome = read(plan, answer, kill=kill)
    assert outcome.cursor.mark == mark and len(outcome.got) == 2


def test_where_nobody_knows_when_the_source_answered_our_clock_counts(kill: bool) -> None:
    incremental = IncrementalSpec("u", MarkFormat("epoch_us"), capped=True)
    plan = spec(token_style(), incremental=incremental, key=("id",), wall=lambda: 100 / MICROS)
    outcome = read(plan, pages(page(rows(90, 900), next=None)), kill=kill)
    assert outcome.cursor.mark == 100


@pytest.mark.parametrize("order", ["ascending", "any"])
def test_a_clock_that_jumps_back_never_moves_the_mark_back_and_brings_nothing_twice(
    order: str, kill: bool
) -> None:
    incremental = IncrementalSpec("u", MarkFormat("epoch_us"), order=order, capped=True)
    plan = spec(token_style(), incremental=incremental, key=("id",))
    clock = iter([500, 100, 700, 50])
    found = [{"id": 1, "u": 90}, {"id": 2, "u": 600}]
    marks: list[Any] = []

    def answer(fetch: Fetch) -> Reply:
        least = 0 if fetch.since is None else int(fetch.since)
        marks.append(least)
        sent = [row for row in found if row["u"] >= least]
        return Reply(page(sent, next=None), now_us=next(clock))

    outcome = read(plan, answer, passes=4, kill=kill)
    assert [row["id"] for row in outcome.got] == [1, 2]
    assert marks == [0, 500, 500, 600] and outcome.cursor.mark == 600


# -- identity --------------------------------------------------------------------------------------


def test_ten_records_without_the_key_are_enough(kill: bool) -> None:
    plan = spec(page_style(), key=("id",))
    wrong = [{"name": number} for number in range(40)]
    outcome = read(plan, numbered(wrong, 4), kill=kill)
    assert outcome.code == "key_missing" and "none of 12 records" in str(outcome.error)
    assert len(outcome.got) == 8


@pytest.mark.parametrize(("size", "code"), [(9, ""), (10, "key_missing")])
def test_fewer_than_ten_records_without_the_key_may_be_followed_by_one_that_has_it(
    size: int, code: str, kill: bool
) -> None:
    first = [{"name": number} for number in range(size)]
    found = pages(page(first, next="a"), page(rows(1), next=None))
    outcome = read(spec(token_style(), key=("id",)), found, kill=kill)
    assert outcome.code == code
    assert outcome.got == ([] if code else [*first, *rows(1)])


def test_nine_records_without_the_key_are_refused_when_the_pass_ends(kill: bool) -> None:
    plan = spec(page_style(), key=("id",), stop=StopSpec(short_page=4))
    wrong = [{"name": number} for number in range(9)]
    outcome = read(plan, numbered(wrong, 4), kill=kill)
    assert outcome.code == "key_missing" and "none of 9 records" in str(outcome.error)


def test_a_key_that_is_missing_sometimes_is_counted(kill: bool) -> None:
    plan = spec(page_style(), key=("id",), stop=StopSpec(short_page=4))
    mixed = [{"name": 0}, *rows(1), *[{"name": number} for number in range(2, 12)]]
    outcome = read(plan, numbered(mixed, 4), kill=kill)
    assert outcome.code == "" and len(outcome.got) == 12
    assert outcome.noted == {"key_missing": 11}
    assert outcome.cursor.keyed


def test_an_empty_source_says_nothing_of_its_key(kill: bool) -> None:
    outcome = read(spec(page_style(), key=("id",)), numbered([], 4), passes=2, kill=kill)
    assert outcome.code == "" and not outcome.cursor.keyed


def test_one_key_with_two_contents_in_a_page_is_refused_and_over_pages_counted(
    kill: bool,
) -> None:
    plan = spec(token_style(), key=("id",))
    one = {"id": 1, "a": 1}
    other = {"id": 1, "a": 2}
    outcome = read(plan, pages(page([one, other], next=None)), kill=kill)
    assert (outcome.code, outcome.got) == ("key_not_unique", [])
    over = read(plan, pages(page([one], next="x"), page([other, one], next="y")), kill=kill)
    assert over.code == "key_not_unique"
    plan = replace(plan, completeness="assumed")
    apart = read(plan, pages(page([one], next="x"), page([other], next=None)), kill=kill)
    assert apart.got == [one, other]
    assert (apart.noted, apart.levels) == ({"key_repeated": 1}, ["unknown"])
    same = read(plan, pages(page([one], next="x"), page([one], next=None)), kill=kill)
    assert (same.got, same.noted, same.levels) == ([one], {}, ["assumed"])


# -- ends ------------------------------------------------------------------------------------------


def null(next_: Any = ..., *, errors: bool = False) -> Decoded:
    found = page([]) if next_ is ... else page([], next=next_)
    found.facts.null, found.facts.errors = True, errors
    if next_ is ...:
        found.facts.body = {}
    return found


@pytest.mark.parametrize(
    ("body", "empty", "code"),
    [
        (null(), False, "token_missing"),
        (null(errors=True), True, "token_missing"),
        (null("t", errors=True), False, "token_missing"),
        (null(), True, ""),
        (null(None), False, ""),
    ],
)
def test_null_in_place_of_records_is_the_end_only_where_that_is_said(
    body: Decoded, empty: bool, code: str, kill: bool
) -> None:
    plan = spec(token_style(), empty_missing=empty)
    outcome = read(plan, pages(page(rows(1), next="a"), body), kill=kill)
    assert (outcome.code, outcome.got) == (code, rows(1))


def test_an_empty_page_behind_a_full_one_is_asked_for_once_more(kill: bool) -> None:
    five = rows(*range(5))
    calls: list[int] = []

    def hiccup(fetch: Fetch) -> Reply:
        begin = fetch.position["offset"]
        calls.append(begin)
        empty = calls.count(2) == 1 and begin == 2
        return Reply(page([] if empty else five[begin : begin + 2]))

    outcome = read(spec(offset_style(), key=("id",), size=2), hiccup, kill=kill)
    assert [row["id"] for row in outcome.got] == [0, 1, 2, 3, 4]
    assert calls == [0, 2, 2, 4, 5]  # and not behind the short page


# -- loops of numbered styles ----------------------------------------------------------------------


def test_a_page_of_known_records_is_set_aside_once(kill: bool) -> None:
    """An insertion of a whole page at the front while the source was read."""
    shifted = pages(page(rows(1, 2)), page(rows(1, 2)), page(rows(3, 4)), page([]))
    outcome = read(spec(offset_style(), key=("id",)), shifted, kill=kill)
    assert outcome.got == rows(1, 2, 3, 4) and outcome.code == ""
    deduplicated = sum(each.ledger.deduplicated for each in outcome.taken)
    assert deduplicated == 2


def test_two_pages_of_known_records_in_a_row_are_a_loop(kill: bool) -> None:
    outcome = read(spec(offset_style(), key=("id",)), pages(page(rows(1, 2))), kill=kill)
    assert (outcome.code, outcome.got) == ("pagination_loop", rows(1, 2))
    # a new process begins the pass again, twice: the source may have recovered
    assert outcome.asked == (10 if kill else 3)


def test_without_a_key_the_first_page_of_known_records_is_a_loop(kill: bool) -> None:
    outcome = read(spec(offset_style()), pages(page(rows(1, 2))), kill=kill)
    assert (outcome.code, outcome.asked) == ("pagination_loop", 2)


def test_equal_pages_are_taken_where_they_are_meant(kill: bool) -> None:
    same = pages(page(rows(1, 2)), page(rows(1, 2)), page(rows(1, 2)), page([]))
    outcome = read(spec(offset_style(), repeats=True), same, kill=kill)
    assert outcome.got == rows(1, 2, 1, 2, 1, 2) and outcome.code == ""


ENDS_REPEATED = StopSpec(repeated_page=True)


def test_a_repeated_page_is_the_end_where_that_is_said(kill: bool) -> None:
    """A page past the end shows the last one again."""
    plan = spec(page_style(), stop=ENDS_REPEATED, size=3)
    shown = pages(page(rows(1, 2, 3)), page(rows(4, 5)), page(rows(5, 4)))
    outcome = read(plan, shown, kill=kill)
    assert outcome.got == rows(1, 2, 3, 4, 5)
    assert outcome.reasons == ["repeated page"]


def test_a_short_first_page_that_repeats_is_all_that_there_is(kill: bool) -> None:
    outcome = read(
        spec(page_style(), stop=ENDS_REPEATED, size=3), pages(page(rows(1, 2))), kill=kill
    )
    assert (outcome.got, outcome.reasons) == (rows(1, 2), ["repeated page"])


def test_a_repeated_page_is_not_counted(kill: bool) -> None:
    plan = with_total(spec(page_style(), stop=ENDS_REPEATED, size=3))
    first, last = page(rows(1, 2, 3), total=9), page(rows(4, 5), total=9)
    outcome = read(plan, pages(first, last), kill=kill)
    assert outcome.code == "total_mismatch" and "5 of 9" in str(outcome.error)


def test_a_second_page_that_repeats_a_full_first_one_is_a_loop(kill: bool) -> None:
    plan = spec(page_style(), stop=ENDS_REPEATED, size=2)
    outcome = read(plan, pages(page(rows(1, 2))), kill=kill)
    assert (outcome.code, outcome.got) == ("pagination_loop", rows(1, 2))


# -- seams -----------------------------------------------------------------------------------------


def seamed(**changes: Any) -> PagingSpec:
    style = offset.build(offset.Config(type="offset", param="o", seam=1))
    return spec(style, seam=True, key=("id",), **changes)


def moving(found: list[dict[str, Any]], cap: int, moves: dict[int, Callable[[], None]]) -> Server:
    """Something happens behind the answers of these numbers."""
    count = 0

    def answer(fetch: Fetch) -> Reply:
        nonlocal count
        params = fetch.address.params
        assert params is not None
        begin = int(params["o"])
        reply = Reply(page(found[begin : begin + cap], total=len(found)))
        count += 1
        moves.get(count, lambda: None)()
        return reply

    return answer


def test_seams_that_hold_prove_a_total(kill: bool) -> None:
    outcome = read(with_total(seamed()), moving(rows(*range(7)), 3, {}), kill=kill)
    assert outcome.got == rows(*range(7))
    assert outcome.levels == ["proven"]


def test_a_broken_seam_begins_the_pass_again_and_nothing_is_lost_or_doubled(kill: bool) -> None:
    """A deletion at the front, balanced by an insertion at the end: the total stands still."""
    found = rows(*range(7))

    def move() -> None:
        found.pop(0)
        found.append({"id": 9, "u": 9})

    outcome = read(with_total(seamed()), moving(found, 3, {2: move}), kill=kill)
    got = [row["id"] for row in outcome.got]
    assert sorted(got) == [0, 1, 2, 3, 4, 5, 6, 9]
    assert outcome.levels == ["proven"]  # by the seams of the second reading
    assert any("records moved" in each.drift for each in outcome.taken)


def test_records_without_a_key_are_known_by_their_values_when_a_seam_breaks(kill: bool) -> None:
    style = offset.build(offset.Config(type="offset", param="o", seam=1))
    plan = spec(style, seam=True, incremental=replace(INCREMENTAL, order="any"))
    found = rows(*range(7))
    outcome = read(plan, moving(found, 3, {2: lambda: found.pop(0) and None}), kill=kill)
    assert sorted(row["id"] for row in outcome.got) == [0, 1, 2, 3, 4, 5, 6]
    assert any("records moved" in each.drift for each in outcome.taken)


def test_seams_that_never_hold_are_given_up_and_the_pass_shows_nothing(kill: bool) -> None:
    count = 0

    def answer(fetch: Fetch) -> Reply:
        nonlocal count
        count += 1
        begin = int((fetch.address.params or {})["o"])
        if begin >= 6:
            return Reply(page(rows(100 + begin), total=None))
        return Reply(page(rows(*[10 * count + place for place in range(3)])))

    plan = seamed(stop=StopSpec(short_page=3), completeness="assumed")
    outcome = read(plan, answer, kill=kill)
    restarts = [each for each in outcome.taken if "records moved" in each.drift]
    assert len(restarts) == 2 and outcome.levels == ["unknown"]
    assert any("do not hold" in each.drift for each in outcome.taken)


def test_an_empty_page_behind_a_seam_is_asked_for_once_more(kill: bool) -> None:
    found = rows(*range(5))
    empty = [True, False]

    def answer(fetch: Fetch) -> Reply:
        begin = int((fetch.address.params or {})["o"])
        if begin == 2 and empty.pop(0):
            return Reply(page([]))
        return Reply(page(found[begin : begin + 3]))

    outcome = read(seamed(completeness="assumed"), answer, kill=kill)
    assert (outcome.got, outcome.code, outcome.levels) == (found, "", ["assumed"])


# -- totals ----------------------------------------------------------------------------------------


def totals(*said: Any, size: int = 2, **changes: Any) -> Outcome:
    """Pages of new records with these totals, and an empty one."""
    found = [
        page(rows(*range(place * size, place * size + size)), total=total)
        for place, total in enumerate(said)
    ]
    kill = changes.pop("kill")
    plan = with_total(spec(offset_style(), key=("id",), **changes))
    return read(plan, pages(*found, page([], total=said[-1])), kill=kill)


def test_a_total_that_grows_to_what_came_is_no_failure(kill: bool) -> None:
    outcome = totals(4, 6, 6, kill=kill)
    assert (outcome.code, len(outcome.got)) == ("", 6)
    assert not any("the pages ended" in each.drift for each in outcome.taken)
    assert any("grew" in each.drift for each in outcome.taken)


def test_a_total_that_grew_and_was_not_reached_is_no_failure(kill: bool) -> None:
    outcome = totals(4, 9, kill=kill)
    assert (outcome.code, len(outcome.got), outcome.levels) == ("", 4, ["unknown"])
    assert outcome.taken[-1].drift == "the pages ended with 4 of 9 records"


def test_a_total_that_shrank_is_no_failure_and_holds_no_end_open(kill: bool) -> None:
    outcome = totals(9, 8, 8, kill=kill)
    assert (outcome.code, len(outcome.got), outcome.levels) == ("", 6, ["unknown"])
    assert outcome.taken[-1].drift == "the pages ended with 6 of 8 records"


def test_a_total_that_stands_still_and_is_missed_is_a_failure(kill: bool) -> None:
    outcome = totals(9, 9, kill=kill)
    assert outcome.code == "total_mismatch"


def test_what_remains_is_no_drift(kill: bool) -> None:
    outcome = totals(6, 4, 2, kill=kill)
    assert (outcome.code, len(outcome.got)) == ("", 6)
    assert not any(each.drift for each in outcome.taken)


def test_an_ascending_pass_begins_again_once_when_its_total_shrinks(kill: bool) -> None:
    plan = with_total(spec(token_style(), incremental=INCREMENTAL, key=("id",)))
    found = pages(
        page(rows(1, 2), next="a", total=9),
        page(rows(3, 4), next="b", total=8),  # begins again
        page(rows(2, 3), next="c", total=8),
        page(rows(4, 5), next="d", total=7),  # and not another time
        page(rows(6), next=None, total=7),
    )
    asked: list[Any] = []

    def answer(fetch: Fetch) -> Reply:
        asked.append((fetch.position, fetch.since))
        return found(fetch)

    outcome = read(plan, answer, kill=kill)
    assert [row["id"] for row in outcome.got] == [1, 2, 3, 4, 5, 6]
    assert asked[2] == (None, "2")
    assert outcome.levels == ["unknown"]


@pytest.mark.parametrize(("style", "level"), [(token_style, "proven"), (offset_style, "unknown")])
def test_an_ascending_pass_that_began_again_shows_what_its_style_can(
    style: Any, level: str, kill: bool
) -> None:
    """Numbered pages may have lost records behind the mark that they began again at."""
    plan = with_total(spec(style(), incremental=INCREMENTAL, key=("id",), stable=True))
    found = pages(
        page(rows(1, 2), next="a", total=5),
        page(rows(4, 5), next="b", total=4),  # begins again
        page(rows(2, 4), next="c", total=4),
        page(rows(5, 6), next=None, total=4),
        page([], next=None, total=4),
    )
    outcome = read(plan, found, kill=kill)
    assert [row["id"] for row in outcome.got] == [1, 2, 4, 5, 6] and outcome.code == ""
    assert outcome.levels == [level]


def test_a_total_of_one_page_is_not_known_to_count_more(kill: bool) -> None:
    plan = with_total(spec(offset_style(), key=("id",), size=5))
    outcome = read(plan, pages(page(rows(1, 2), total=2)), kill=kill)
    assert outcome.reasons == ["total reached"] and not outcome.cursor.total_seen
    found = pages(page(rows(1, 1, 2), total=2), page([], total=2))  # one record comes twice
    outcome = read(plan, found, kill=kill)
    assert (len(outcome.got), outcome.cursor.total_seen) == (2, False)


def test_a_total_of_the_first_page_alone_does_not_end_it(kill: bool) -> None:
    """Some sources say how many records a page has."""
    plan = with_total(spec(offset_style(), key=("id",), size=2))
    found = rows(*range(5))

    def answer(fetch: Fetch) -> Reply:
        begin = fetch.position["offset"]
        part = found[begin : begin + 2]
        return Reply(page(part, total=len(part)))

    outcome = read(plan, answer, kill=kill)
    assert [row["id"] for row in outcome.got] == [0, 1, 2, 3, 4]
    assert outcome.levels == ["unknown"]


@pytest.mark.parametrize(
    ("count", "size", "asked"),
    [
        (4, 2, 2),  # reached on the second page
        (2, 5, 2),  # reached on the first one, which the source may have cut short
        (2, 2, 2),  # as many as a full page: it may be the total of the page
        (600, 300, 2),  # more than the small numbers, of which Python has one object each
        (0, 2, 1),
    ],
)
def test_a_total_ends_the_pass_where_it_cannot_be_that_of_a_page(
    count: int, size: int, asked: int, kill: bool
) -> None:
    plan = with_total(spec(offset_style(), key=("id",), size=size))
    outcome = read(plan, numbered(rows(*range(count)), size, total=count), kill=kill)
    assert (len(outcome.got), outcome.code, outcome.asked) == (count, "", asked)


def test_a_total_that_has_counted_several_pages_is_believed(kill: bool) -> None:
    plan = with_total(spec(offset_style(), key=("id",), size=2))
    found = rows(1, 2, 3, 4)
    count = 0

    def answer(fetch: Fetch) -> Reply:
        nonlocal count
        count += 1
        left = found if count <= 2 else found[:2]
        begin = fetch.position["offset"]
        return Reply(page(left[begin : begin + 2], total=len(left)))

    outcome = read(plan, answer, passes=2, kill=kill)
    assert (outcome.asked, outcome.cursor.total_seen) == (3, True)
    assert outcome.reasons == ["total reached", "total reached"]


# -- required completeness -------------------------------------------------------------------------


def required(level: str, style: Any, **changes: Any) -> PagingSpec:
    return with_total(spec(style, required=level, incremental=INCREMENTAL, key=("id",), **changes))


def test_a_mark_is_held_until_a_pass_has_shown_what_is_required(kill: bool) -> None:
    plan = required("proven", token_style())
    right = pages(page(rows(1, 2), next="a", total=3), page(rows(3), next=None, total=3))
    outcome = read(plan, right, kill=kill)
    assert [each.progress.cursor.mark for each in outcome.taken] == [None, 3]
    assert outcome.levels == ["proven"]


def test_a_pass_that_shows_less_is_read_twice_more_and_then_it_is_said_once(kill: bool) -> None:
    plan = required("proven", token_style())
    outcome = read(plan, pages(page(rows(1, 2), next=None)), kill=kill)
    assert outcome.asked == 3 and outcome.got == rows(1, 2)
    assert [each.drift != "" for each in outcome.taken] == [True, True, False]
    [end] = outcome.ends
    assert (end.missed, end.completeness) == ("proven", "unknown")
    assert outcome.cursor.mark is None and outcome.cursor.redone == 0


def test_the_second_reading_may_show_what_is_required(kill: bool) -> None:
    plan = required("proven", token_style())
    found = pages(page(rows(1, 2), next=None), page(rows(1, 2, 3), next=None, total=3))
    outcome = read(plan, found, kill=kill)
    assert outcome.got == rows(1, 2, 3)
    assert outcome.levels == ["proven"] and outcome.cursor.mark == 3


def test_a_snapshot_that_shows_less_is_missed_at_once(kill: bool) -> None:
    plan = with_total(spec(token_style(), required="proven", key=("id",)))
    outcome = read(plan, pages(page(rows(1, 2), next=None)), kill=kill)
    assert outcome.asked == 1 and outcome.ends[0].missed == "proven"


def test_a_pass_of_more_records_than_are_remembered_is_not_read_again(kill: bool) -> None:
    plan = required("proven", token_style(), boundary_cap=3)
    found = pages(*[page(rows(number), next=f"t{number}") for number in range(5)], page([]))
    outcome = read(plan, found, kill=kill)
    assert outcome.code == "boundary_full" or outcome.ends[0].missed == "proven"


def test_a_token_of_the_next_pass_is_not_kept_by_a_pass_that_shows_less(kill: bool) -> None:
    token = IncrementalSpec("", token=lambda facts, headers: facts.body.get("delta"))
    plan = with_total(spec(token_style(), required="proven", incremental=token))
    missed = read(plan, pages(page(rows(1), next=None, delta="d")), kill=kill)
    assert (missed.code, missed.got) == ("completeness_missed", [])
    shown = read(plan, pages(page(rows(1), next=None, delta="d", total=1)), kill=kill)
    assert (shown.code, shown.cursor.mark) == ("", "d")


def test_a_refused_token_falls_back_to_what_the_pass_has_reached() -> None:
    plan = required("assumed", token_style(), completeness="assumed")
    planner = PartitionPlanner(plan, claim())
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    planner.accept(todo, Reply(page(rows(1, 2), next="a")), 0.0)
    assert planner.cursor.mark is None
    todo = planner.next(0.0)
    assert isinstance(todo, Fetch)
    planner.drop(todo)
    assert planner.fall_back()
    again = planner.next(0.0)
    assert isinstance(again, Fetch) and (again.since, again.position) == ("2", None)
    [taken] = planner.accept(again, Reply(page(rows(2, 3), next=None)), 0.0)
    assert ids([taken]) == [3] and planner.cursor.mark == 3


# -- more than is remembered -----------------------------------------------------------------------


def test_beyond_the_cap_a_pass_goes_on_and_shows_nothing(kill: bool) -> None:
    plan = with_total(spec(offset_style(), key=("id",), boundary_cap=3, stable=True))
    found = rows(*range(8))
    outcome = read(plan, numbered(found, 2, total=8), kill=kill)
    assert outcome.got == found and outcome.levels == ["unknown"]
    for cap, level in ((5, "unknown"), (6, "proven"), (8, "proven")):  # six before the last page
        capped = replace(plan, boundary_cap=cap)
        assert read(capped, numbered(found, 2, total=8), kill=kill).levels == [level]


def test_tokens_are_no_records_that_could_be_too_many(kill: bool) -> None:
    plan = spec(token_style(), boundary_cap=1, completeness="assumed")
    found = [page(rows(number), next=f"t{number}") for number in range(4)]
    outcome = read(plan, pages(*found, page(rows(9), next=None)), kill=kill)
    assert outcome.levels == ["assumed"] and len(outcome.got) == 5


def test_beyond_the_cap_an_equal_page_is_still_a_loop(kill: bool) -> None:
    plan = spec(offset_style(), boundary_cap=1)
    found = pages(page(rows(1, 2)), page(rows(3, 4)), page(rows(5, 6)), page(rows(6, 5)))
    outcome = read(plan, found, kill=kill)
    assert (outcome.code, outcome.got) == ("pagination_loop", rows(1, 2, 3, 4, 5, 6))


# -- other ends ------------------------------------------------------------------------------------


def test_a_single_page_is_its_own_end(kill: bool) -> None:
    outcome = read(spec(none.build(none.Config(type="none"))), pages(page(rows(1))), kill=kill)
    assert outcome.got == rows(1) and outcome.asked == 1


def test_a_token_that_no_page_has_named_is_said_in_the_first_pass_alone(kill: bool) -> None:
    silent = page(rows(1, 2))
    silent.facts.body = {}
    outcome = read(spec(token_style()), pages(silent), passes=2, kill=kill)
    assert ["no page has named next" in each.drift for each in outcome.taken] == [True, False]
    named = read(spec(token_style()), pages(page(rows(1), next=None)), kill=kill)
    assert not any(each.drift for each in named.taken)
    once = read(spec(token_style()), pages(page(rows(3), next="a"), silent), kill=kill)
    assert not any(each.drift for each in once.taken)
    empty = page([])
    empty.facts.body = {}
    assert not any(each.drift for each in read(spec(token_style()), pages(empty)).taken)
    links = link_header.build(link_header.Config(type="link_header"))
    assert not any(each.drift for each in read(spec(links), pages(page(rows(1)))).taken)


def test_a_scroll_id_may_stay_while_its_records_change(kill: bool) -> None:
    config = cursor.Config.model_validate(
        {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}, "repeat": "allow"}
    )
    style = cursor.build(config)
    found = pages(page(rows(1), next="s"), page(rows(2), next="s"), page([], next=None))
    outcome = read(spec(style), found, kill=kill)
    assert outcome.got == rows(1, 2) and outcome.code == ""
    stuck = read(spec(style), pages(page(rows(1), next="s")), kill=kill)
    assert (stuck.code, stuck.asked) == ("pagination_loop", 2)


@pytest.mark.parametrize(("count", "code"), [(3, ""), (4, "boundary_full")])
def test_a_boundary_may_be_full_to_its_cap(count: int, code: str, kill: bool) -> None:
    plan = spec(token_style(), incremental=INCREMENTAL, key=("id",), boundary_cap=3)
    outcome = read(plan, pages(page(rows(*range(count), u=5), next=None)), kill=kill)
    assert (outcome.code, len(outcome.got)) == (code, 0 if code else count)


def test_a_boundary_that_is_full_names_the_future_where_the_mark_is_held_at_now() -> None:
    for capped in (True, False):
        incremental = IncrementalSpec("u", MarkFormat("epoch_us"), capped=capped)
        plan = spec(token_style(), incremental=incremental, key=("id",), boundary_cap=2)
        outcome = read(plan, pages(page(rows(5, 6, 7), next=None)))
        assert outcome.code == ("boundary_full" if capped else "")
        if outcome.error is not None:
            assert "future: allow" in outcome.error.remedy
    one = spec(token_style(), incremental=INCREMENTAL, key=("id",), boundary_cap=2)
    full = read(one, pages(page(rows(5, 6, 7, u=5), next=None)))
    assert full.error is not None and full.code == "boundary_full"
    assert "future" not in full.error.remedy


def test_a_pass_that_is_read_again_is_not_stuck_though_it_knows_its_records(kill: bool) -> None:
    """A pass that `max_pages` cuts shows nothing, so that it is read again: three times in all."""
    plan = required("assumed", token_style(), stop=StopSpec(max_pages=1))
    outcome = read(plan, pages(page(rows(5, 6), next="a")), kill=kill)
    assert (outcome.code, outcome.asked, outcome.got) == ("", 3, rows(5, 6))
    assert [end.missed for end in outcome.ends] == ["assumed"]


@pytest.mark.parametrize("capped", [True, False])
def test_a_bound_that_does_not_move_names_the_future_where_it_is_held_at_now(capped: bool) -> None:
    incremental = IncrementalSpec("u", MarkFormat("epoch_us"), capped=capped)
    stop = StopSpec(max_pages=1)
    plan = spec(token_style(), incremental=incremental, key=("id",), stop=stop)
    same = pages(page(rows(5, 6), next="a"))
    outcome = read(plan, same, passes=3)
    assert outcome.code == "cursor_stuck" and outcome.error is not None
    assert ("future: allow" in outcome.error.remedy) == capped


# -- windows and the clock of the source -----------------------------------------------------------

HOURS = Windows(size=3_600 * MICROS, form=MarkFormat("epoch_us"), smallest=MICROS)
BEGIN = 1_704_067_200 * MICROS


def test_a_window_is_cut_where_the_clock_of_the_source_stands(kill: bool) -> None:
    """Our clock is two hours ahead: what the source writes into the window later is read later."""
    hour = 3_600 * MICROS
    now = [BEGIN + hour + hour // 2, BEGIN + 3 * hour]
    found = [{"id": 1, "u": BEGIN + 1}, {"id": 2, "u": BEGIN + hour + 1}]
    late = {"id": 3, "u": BEGIN + hour + hour // 2 + 1}
    asked: list[int] = []

    def answer(fetch: Fetch) -> Reply:
        assert fetch.window is not None
        start, end = fetch.window.start, fetch.window.end
        asked.append((start - BEGIN) * 2 // hour)
        part = [row for row in found if start <= row["u"] < end]
        reply = Reply(page(part), now_us=now[0])
        if len(asked) == 2:
            found.append(late)
            now.pop(0)
        return reply

    incremental = IncrementalSpec("u", MarkFormat("epoch_us"), initial=BEGIN, order="any")
    plan = spec(
        none.build(none.Config(type="none")),
        incremental=incremental,
        windows=HOURS,
        key=("id",),
        wall=lambda: (BEGIN + 3 * hour) / MICROS,
    )
    outcome = read(plan, answer, passes=2, kill=kill)
    assert [row["id"] for row in outcome.got] == [1, 2, 3]
    assert outcome.reasons[0] == "the window is not over by the clock of the source"
    assert asked == [0, 2, 3, 5]
    assert outcome.cursor.mark == BEGIN + 3 * hour


# -- passes that cannot begin again ----------------------------------------------------------------


def test_without_a_key_a_broken_seam_is_said_and_the_pass_goes_on(kill: bool) -> None:
    """What it would bring again could not be told from what is new."""
    style = offset.build(offset.Config(type="offset", param="o", seam=1))
    found = rows(*range(7))
    outcome = read(
        with_total(spec(style, seam=True)), moving(found, 3, {1: lambda: found.pop(0)}), kill=kill
    )
    assert outcome.code == "" and outcome.levels == ["unknown"]
    assert any("do not hold" in each.drift or "changed" in each.drift for each in outcome.taken)
    assert max(each.progress.cursor.pass_no for each in outcome.taken) == 2


def test_in_any_order_a_total_that_shrinks_is_said_and_the_pass_goes_on(kill: bool) -> None:
    incremental = replace(INCREMENTAL, order="any")
    plan = with_total(spec(token_style(), incremental=incremental, key=("id",)))
    found = pages(
        page(rows(1, 2), next="a", total=9),
        page(rows(3, 4), next="b", total=8),
        page(rows(5), next=None, total=8),
    )
    outcome = read(plan, found, kill=kill)
    assert outcome.got == rows(1, 2, 3, 4, 5) and outcome.levels == ["unknown"]
    assert outcome.asked == 3


# -- states of older versions ----------------------------------------------------------------------


@pytest.mark.parametrize("last", [[], [{"name": 1}]])
def test_a_pass_that_an_older_version_began_says_nothing_of_its_key(
    last: list[dict[str, Any]], kill: bool
) -> None:
    """It did not look whether records had it."""
    stored = (
        '{"v":1,"pass":1,"position":{"since":null,"at":{"offset":20},"pages":2,"fresh":true},'
        '"mark":null,"snapshot_mark":null,"received":20,"total":null,"validators":null,'
        '"complete":false}'
    )
    start = Claim("p", 1, Cursor.from_json(stored))
    found = [*rows(*range(20)), *last]
    outcome = read(spec(offset_style(), key=("id",)), numbered(found, 10), start=start, kill=kill)
    assert (outcome.code, outcome.got) == ("", last)
