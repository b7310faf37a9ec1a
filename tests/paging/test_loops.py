"""Loop guards and seams on their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from worker.core.cursor import Before, Cursor, PassState, Window, WindowState
from worker.core.errors import PaginationLoop
from worker.core.model import Facts
from worker.paging.loops import guard, refuse_known, repeats_page
from worker.paging.memory import Boundary, PassMemory
from worker.paging.seam import Seam, seam_of
from worker.paging.seen import Seen
from worker.paging.spec import PagingSpec, StopSpec
from worker.paging.standing import Standing
from worker.paging.style import Next
from worker.sources.pagination import cursor, offset

OFFSETS = PagingSpec(offset.build(offset.Config(type="offset", param="o")))
KEYED = replace(OFFSETS, key=("id",))
TOKENS = PagingSpec(
    cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}}
        )
    )
)
SCROLL = PagingSpec(
    cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}, "repeat": "allow"}
        )
    )
)
PAGE = (b"record",)
OLD, NEW = Seen(distinct=0, new=False, page=PAGE), Seen(distinct=1, new=True, page=PAGE)
SECOND = PassState(at=None, pages=1)


@pytest.mark.parametrize("token", ["a", 0, 1, {"id": [1, 2]}, [None], 1.5])
def test_a_token_that_comes_again_is_a_loop(token: Any) -> None:
    first = guard(Next(None, token=token), set(), "p")
    assert first is not None and len(first) == 16
    assert guard(Next(None, token="another"), {first}, "p") not in (None, first)
    with pytest.raises(PaginationLoop, match="came before in this pass"):
        guard(Next(None, token=token), {first}, "p")


def test_a_position_without_a_token_is_not_remembered() -> None:
    assert guard(Next({"offset": 1}), set(), "p") is None


def test_the_token_in_the_error_is_short_and_without_a_query() -> None:
    for token in ("https://h.example/x?key=s3cret", "http://h.example/x?key=s3cret"):
        known = guard(Next(None, token=token), set(), "p")
        assert known is not None
        with pytest.raises(PaginationLoop) as caught:
            guard(Next(None, token=token), {known}, "p")
        assert "h.example/x" in str(caught.value) and "s3cret" not in str(caught.value)
    long = "t" * 500
    known = guard(Next(None, token=long), set(), "p")
    assert known is not None
    with pytest.raises(PaginationLoop) as caught:
        guard(Next(None, token=long), {known}, "p")
    assert "t" * 80 in str(caught.value) and "t" * 81 not in str(caught.value)


KNOWN: list[tuple[str, Seen, int, PassState, PagingSpec, str]] = [
    ("new records", NEW, 2, SECOND, KEYED, "taken"),
    ("an empty page", OLD, 0, SECOND, KEYED, "taken"),
    ("the first page", OLD, 2, PassState(at=None), KEYED, "taken"),
    ("the second page", OLD, 2, SECOND, KEYED, "aside"),
    ("two in a row", OLD, 2, SECOND.evolve(aside=True), KEYED, "loop"),
    ("no key", OLD, 2, SECOND, OFFSETS, "loop"),
    ("repeat: allow", OLD, 2, SECOND, replace(OFFSETS, repeats=True), "taken"),
    ("tokens", OLD, 2, SECOND, TOKENS, "taken"),
    ("scroll ids", OLD, 2, SECOND, replace(SCROLL, key=("id",)), "loop"),
    ("began again", OLD, 2, SECOND.evolve(known_pages=2), OFFSETS, "taken"),
    ("behind what began again", OLD, 2, SECOND.evolve(known_pages=1), OFFSETS, "loop"),
]


@pytest.mark.parametrize("case", KNOWN, ids=[case[0] for case in KNOWN])
def test_a_page_of_known_records_is_taken_set_aside_or_a_loop(case: Any) -> None:
    _, seen, records, state, spec, outcome = case
    if outcome == "loop":
        with pytest.raises(PaginationLoop, match="all 2 records of the page came before"):
            refuse_known(seen, records, state, spec, "p")
    else:
        assert refuse_known(seen, records, state, spec, "p") == (outcome == "aside")


def test_the_first_page_of_a_window_may_be_known() -> None:
    window = WindowState(Window(0, 1, 2), None, Before(pages=3))
    state = PassState(at=None, pages=3, window=window)
    assert not refuse_known(OLD, 2, state, OFFSETS, "p")
    with pytest.raises(PaginationLoop):
        refuse_known(OLD, 2, state.evolve(pages=4), OFFSETS, "p")


ENDING = replace(OFFSETS, stop=StopSpec(repeated_page=True))
SAME = SECOND.evolve(digest=NEW.digest)


@pytest.mark.parametrize(
    ("records", "state", "spec", "full", "repeats"),
    [
        (2, SAME, OFFSETS, False, False),  # not asked for
        (2, SAME, ENDING, False, True),
        (0, SAME, ENDING, False, False),
        (2, SECOND.evolve(digest=b"other"), ENDING, False, False),
        (2, SAME.evolve(pages=2), ENDING, True, True),  # the third page
        (2, SAME, replace(TOKENS, stop=StopSpec(repeated_page=True)), False, False),
    ],
)
def test_a_repeated_page_ends_where_that_is_said(
    records: int, state: PassState, spec: PagingSpec, full: bool, repeats: bool
) -> None:
    assert repeats_page(OLD, records, state, spec, full=full, where="p") == repeats


def test_a_repeated_page_behind_a_full_first_one_is_a_loop() -> None:
    with pytest.raises(PaginationLoop, match="the second page has the same 2 records"):
        repeats_page(OLD, 2, SAME, ENDING, full=True, where="p")
    window = WindowState(Window(0, 1, 2), None, Before(pages=3))
    second = SAME.evolve(pages=4, window=window)
    with pytest.raises(PaginationLoop):
        repeats_page(OLD, 2, second, ENDING, full=True, where="p")
    assert repeats_page(OLD, 2, second.evolve(pages=5), ENDING, full=True, where="p")


# -- seams -----------------------------------------------------------------------------------------

SEAMED = replace(OFFSETS, seam=True)
A, B, C = b"a", b"b", b"c"


def seam(keys: list[bytes], state: PassState, spec: PagingSpec = SEAMED, values: Any = ()) -> Seam:
    standing = Standing(Cursor(), state, Boundary(), PassMemory())
    return seam_of(Facts(len(keys), keys=keys, values=list(values)), standing, spec)


def test_the_first_page_has_no_seam_before_it() -> None:
    assert seam([A, B], PassState(at=None)) == Seam(last=B)
    assert seam([], PassState(at=None)) == Seam()


def test_a_page_begins_with_the_last_record_of_the_one_before() -> None:
    state = SECOND.evolve(seam=B)
    assert seam([B, C], state) == Seam(records=1, holds=True, last=C)
    assert seam([B], state) == Seam(records=1, holds=True, last=B)  # the end
    assert seam([A, B], state) == Seam(records=0, holds=False, last=B)


def test_an_empty_page_behind_a_seam_is_asked_for_once_more() -> None:
    state = SECOND.evolve(seam=B)
    assert seam([], state) == Seam(last=B, absent=True)
    # and then the record of the seam is gone
    assert seam([], state.evolve(asked_again=True)) == Seam(holds=False, last=B)


def test_a_record_with_another_value_is_not_the_one_before() -> None:
    """It has moved: what stood behind it is now in front."""
    last = seam([A, B], PassState(at=None), values=[1, 2]).last
    state = SECOND.evolve(seam=last)
    assert seam([B, C], state, values=[2, 3]).holds
    assert not seam([B, C], state, values=[9, 3]).holds
    assert not seam([A, C], state, values=[2, 3]).holds


def test_behind_an_empty_first_page_there_is_no_seam() -> None:
    assert seam([A], SECOND) == Seam(last=A)


def test_without_seams_nothing_is_compared() -> None:
    assert seam([A], SECOND.evolve(seam=B), OFFSETS) == Seam()


@pytest.mark.parametrize(
    ("records", "size", "largest", "full"),
    [
        (5, 5, 0, True),
        (4, 5, 4, False),
        (6, 5, 0, True),
        (4, None, 4, True),
        (3, None, 4, False),
        (0, None, 0, False),
        (0, 5, 0, False),
        (1, None, 0, True),
    ],
)
def test_a_page_is_full_when_it_is_as_long_as_a_page_can_be(
    records: int, size: int | None, largest: int, full: bool
) -> None:
    state = PassState(at=None, largest=largest)
    standing = Standing(Cursor(), state, Boundary(), PassMemory())
    assert standing.is_full(records, replace(OFFSETS, size=size)) == full


@pytest.mark.parametrize(
    ("records", "size", "largest", "full_seen", "full"),
    [
        (4, 5, 4, True, False),
        (4, 5, 4, False, True),  # no page has ever had as many as are asked for
        (3, 5, 4, False, False),
        (5, 5, 5, True, True),
        (0, 5, 0, False, False),
        (1, 5, 1, False, True),
        (4, None, 4, False, True),
        (3, None, 4, True, False),
    ],
)
def test_a_source_may_never_send_as_many_records_as_it_is_asked_for(
    records: int, size: int | None, largest: int, full_seen: bool, full: bool
) -> None:
    state = PassState(at=None, largest=largest)
    standing = Standing(Cursor(full_seen=full_seen), state, Boundary(), PassMemory())
    assert standing.may_be_full(records, replace(OFFSETS, size=size)) == full
