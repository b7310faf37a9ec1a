"""Where a page leaves its pass: each rule beside its healthy twin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from worker.core.cursor import PassState, Window, WindowState
from worker.core.errors import TokenMissing
from worker.core.model import Facts
from worker.paging.emptiness import refuse_null
from worker.paging.endings import (
    BeginsAgain,
    Ending,
    GoesOn,
    PageSeen,
    PassOver,
    WindowOver,
    ending_of,
    walked,
)
from worker.paging.marks import MarkFormat
from worker.paging.proof import achieved, falls_short
from worker.paging.spec import IncrementalSpec, PagingSpec, StopSpec
from worker.paging.style import EMPTY_PAGE, End, Next
from worker.paging.totals import Count
from worker.paging.windows import Windows
from worker.sources.pagination import cursor, none, offset

NEXT = Next({"offset": 2})
PLAIN = Count(received=2, here=2, stored=None, total=None)
STATE = PassState(at={"offset": 0})


def seen(**changes: Any) -> PageSeen:
    plain = PageSeen(
        facts=Facts(2), records=2, following=NEXT, numbered=True, stop="", counted=PLAIN
    )
    return msgspec.structs.replace(plain, **changes)


def counted(here: int, total: int | None, **changes: Any) -> Count:
    return Count(received=here, here=here, stored=total, total=total, **changes)


def ending(
    page: PageSeen,
    stop: StopSpec | None = None,
    state: PassState = STATE,
    windows: Windows | None = None,
    now_us: int = 0,
) -> Ending:
    return ending_of(page, state, stop or StopSpec(), windows, now_us)


EMPTY = seen(facts=Facts(0), records=0)
RULES: list[tuple[str, PageSeen, StopSpec, str]] = [
    ("the style", seen(following=End("no next token")), StopSpec(), "no next token"),
    ("a status", seen(stop="status 400"), StopSpec(), "status 400"),
    ("the total", seen(counted=counted(2, 2)), StopSpec(), "total reached"),
    ("more to come", seen(counted=counted(2, 3)), StopSpec(), ""),
    ("a total of tokens", seen(counted=counted(2, 2), numbered=False), StopSpec(), ""),
    ("a total that drifted", seen(counted=counted(2, 2, drifted=True)), StopSpec(), ""),
    ("a total that was passed", seen(counted=counted(2, 2, passed=True)), StopSpec(), ""),
    ("a total that remains", seen(counted=counted(2, 2, remains=True)), StopSpec(), ""),
    ("a total of a page", seen(counted=counted(2, 2), exact=True), StopSpec(), ""),
    ("a total that grew", seen(counted=counted(2, 2, grew=True)), StopSpec(), "total reached"),
    ("a repeated page", seen(repeated=True), StopSpec(), "repeated page"),
    ("an empty page", EMPTY, StopSpec(), EMPTY_PAGE),
    ("an empty page that is none", EMPTY, StopSpec(empty_page=False), ""),
    (
        "an empty page of tokens",
        msgspec.structs.replace(EMPTY, numbered=False),
        StopSpec(),
        "",
    ),
    ("a page of the seam alone", seen(records=0), StopSpec(), EMPTY_PAGE),
    ("a short page", seen(), StopSpec(short_page=3), "short page"),
    ("a page that is long enough", seen(), StopSpec(short_page=2), ""),
    ("a short page of many", seen(counted=counted(2, 9)), StopSpec(short_page=3), ""),
    (
        "a short page of a total that moved",
        seen(counted=counted(2, 9, drifted=True)),
        StopSpec(short_page=3),
        "short page",
    ),
    ("stop.when", seen(), StopSpec(when=lambda facts: facts.count == 2), "stop.when"),
    ("not stop.when", seen(), StopSpec(when=lambda facts: facts.count == 3), ""),
    ("beyond", seen(beyond_range=True), StopSpec(), "the end of what was asked for"),
    (
        "below",
        seen(below_range=True),
        StopSpec(),
        "all further records are older than the mark",
    ),
]


@pytest.mark.parametrize(
    ("page", "stop", "reason"), [case[1:] for case in RULES], ids=[case[0] for case in RULES]
)
def test_a_rule_ends_the_pages_or_they_go_on(page: PageSeen, stop: StopSpec, reason: str) -> None:
    found = ending(page, stop)
    if reason:
        assert found == PassOver(reason, cut=page.beyond_range)
    else:
        assert found == GoesOn(NEXT)


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({"behind_full": True}, True),
        ({"behind_full": False}, False),
        ({"behind_full": True, "counted": counted(2, 2)}, False),  # all that the total says
        ({"behind_full": True, "counted": counted(2, 3)}, True),
        ({"behind_full": False, "counted": counted(2, 3)}, True),  # more is to come
        ({"behind_full": False, "counted": counted(2, 3, drifted=True)}, False),
        ({"behind_full": True, "counted": counted(2, 2, grew=True)}, True),
        ({"gap": True}, True),
    ],
)
def test_an_empty_page_that_may_be_a_hiccup_is_asked_for_once_more(
    changes: dict[str, Any], again: bool
) -> None:
    page = msgspec.structs.replace(EMPTY, **{"exact": True, **changes})
    found = ending(page)
    assert found == (GoesOn(Next(STATE.at), again=True) if again else PassOver(EMPTY_PAGE))
    assert ending(page, state=STATE.evolve(asked_again=True)) == PassOver(EMPTY_PAGE)


def test_max_pages_ends_the_pass_at_its_last_page_and_not_before() -> None:
    stop = StopSpec(max_pages=3)
    assert ending(seen(), stop, STATE.evolve(pages=1)) == GoesOn(NEXT)
    cut = ending(seen(), stop, STATE.evolve(pages=2))
    assert cut == PassOver("max_pages 3", cut=True, limited=True)
    # an end of its own comes first
    over = ending(seen(following=End("no next token")), stop, STATE.evolve(pages=2))
    assert over == PassOver("no next token")


WINDOWS = Windows(size=10, form=MarkFormat("epoch_us"), lag=5, smallest=1)
LAST = seen(following=End("no next token"))


def in_window(start: int, end: int, until: int, **changes: Any) -> PassState:
    window = WindowState(Window(start, end, until), None)
    return PassState(at=None, window=window, **changes)


def test_behind_a_window_the_next_one_follows_and_behind_the_last_one_nothing() -> None:
    found = ending(LAST, state=in_window(0, 10, 15), windows=WINDOWS, now_us=100)
    assert found == WindowOver(Window(10, 15, 15))
    assert walked(found)
    over = ending(LAST, state=in_window(10, 15, 15), windows=WINDOWS, now_us=100)
    assert over == PassOver("no next token")


@pytest.mark.parametrize(("now_us", "cut"), [(15, False), (14, True), (0, True), (16, False)])
def test_a_window_that_is_not_over_by_the_clock_of_the_source_ends_the_pass(
    now_us: int, cut: bool
) -> None:
    found = ending(LAST, state=in_window(0, 10, 30), windows=WINDOWS, now_us=now_us)
    if cut:
        assert found == PassOver("the window is not over by the clock of the source")
        assert walked(found)  # what it brought was all that there was
    else:
        assert isinstance(found, WindowOver)


def test_a_page_inside_a_window_goes_on_whatever_the_clock_says() -> None:
    assert ending(seen(), state=in_window(0, 10, 30), windows=WINDOWS, now_us=0) == GoesOn(NEXT)


def test_max_pages_between_two_windows_cuts_the_pass_there() -> None:
    stop = StopSpec(max_pages=1)
    between = ending(LAST, stop, in_window(0, 10, 30), WINDOWS, 100)
    assert between == PassOver("max_pages 1", cut=True, limited=True, before_window=True)
    assert walked(between)
    inside = ending(seen(), stop, in_window(0, 10, 30), WINDOWS, 100)
    assert isinstance(inside, PassOver) and inside.limited and not walked(inside)


def test_what_goes_on_or_begins_again_was_not_walked_to_its_end() -> None:
    assert not walked(GoesOn(NEXT)) and not walked(BeginsAgain("moved"))


# -- null in place of records ----------------------------------------------------------------------

TOKENS = cursor.build(
    cursor.Config.model_validate({"type": "cursor", "from": {"body": "next"}, "to": {"param": "c"}})
)
SPEC = PagingSpec(TOKENS)
SILENT = End("no next token", explicit=False)
NULL = Facts(0, null=True)
NULL_AND_ERRORS = Facts(0, null=True, errors=True)


@pytest.mark.parametrize(
    ("facts", "following", "empty_missing", "refused"),
    [
        (Facts(0), SILENT, False, False),
        (Facts(0, errors=True), SILENT, False, False),
        (NULL, SILENT, False, True),
        (NULL, SILENT, True, False),
        (NULL, End("the last page"), False, False),
        (NULL, Next({"token": 2}), False, False),
        (NULL_AND_ERRORS, SILENT, True, True),
        (NULL_AND_ERRORS, End("the last page"), True, True),
        (NULL_AND_ERRORS, Next({"token": 2}), True, True),
    ],
)
def test_null_is_an_empty_page_only_where_the_page_says_so(
    facts: Facts, following: Next | End, empty_missing: bool, refused: bool
) -> None:
    spec = replace(SPEC, empty_missing=empty_missing)
    if not refused:
        refuse_null(facts, following, spec, "p")
        return
    with pytest.raises(TokenMissing) as caught:
        refuse_null(facts, following, spec, "p")
    assert ("errors beside it" in str(caught.value)) == facts.errors
    assert facts.errors or "next is absent" in str(caught.value)
    assert "on_body" in caught.value.remedy


# -- what a pass has shown -------------------------------------------------------------------------

OFFSETS = offset.build(offset.Config(type="offset", param="o"))
OVER = PassOver("end")
MATCHED = counted(2, 2)
ASCENDING = IncrementalSpec("u")
PROOFS: list[tuple[str, PagingSpec, PassState, Count, PassOver, bool, str]] = [
    ("a total of tokens", SPEC, STATE, MATCHED, OVER, False, "proven"),
    ("no total", SPEC, STATE, PLAIN, OVER, False, "unknown"),
    ("a promise", replace(SPEC, completeness="assumed"), STATE, PLAIN, OVER, False, "assumed"),
    ("numbered", PagingSpec(OFFSETS), STATE, MATCHED, OVER, False, "assumed"),
    (
        "numbered, a promise",
        PagingSpec(OFFSETS, completeness="assumed"),
        STATE,
        PLAIN,
        OVER,
        False,
        "assumed",
    ),
    ("numbered, stable", PagingSpec(OFFSETS, stable=True), STATE, MATCHED, OVER, False, "proven"),
    ("numbered, seam", PagingSpec(OFFSETS, seam=True), STATE, MATCHED, OVER, False, "proven"),
    ("counting tokens", SPEC, STATE.evolve(counting=True), MATCHED, OVER, False, "assumed"),
    (
        "counting tokens, stable",
        replace(SPEC, stable=True),
        STATE.evolve(counting=True),
        MATCHED,
        OVER,
        False,
        "proven",
    ),
    (
        "counting tokens, a promise",
        replace(SPEC, completeness="assumed"),
        STATE.evolve(counting=True),
        PLAIN,
        OVER,
        False,
        "unknown",
    ),
    (
        "counting tokens, stable, a promise",
        replace(SPEC, completeness="assumed", stable=True),
        STATE.evolve(counting=True),
        PLAIN,
        OVER,
        False,
        "assumed",
    ),
    ("drifted before", SPEC, STATE.evolve(drifted=True), MATCHED, OVER, False, "unknown"),
    ("drifted now", SPEC, STATE, counted(2, 2, drifted=True), OVER, False, "unknown"),
    (
        "drifted now, a promise",
        replace(SPEC, completeness="assumed"),
        STATE,
        counted(2, 2, drifted=True),
        OVER,
        False,
        "unknown",
    ),
    ("doubted", SPEC, STATE, MATCHED, OVER, True, "unknown"),
    ("grew and reached", SPEC, STATE, counted(2, 2, grew=True), OVER, False, "unknown"),
    (
        "grew and reached, with a key",
        replace(SPEC, key=("id",)),
        STATE,
        counted(2, 2, grew=True),
        OVER,
        False,
        "proven",
    ),
    (
        "grew and reached, by value",
        replace(SPEC, incremental=ASCENDING),
        STATE,
        counted(2, 2, grew=True),
        OVER,
        False,
        "proven",
    ),
    (
        "grew and reached, numbered",
        PagingSpec(OFFSETS, key=("id",), completeness="unknown"),
        STATE,
        counted(2, 2, grew=True),
        OVER,
        False,
        "unknown",
    ),
    (
        "grew and missed",
        replace(SPEC, key=("id",), completeness="assumed"),
        STATE,
        counted(2, 3, grew=True),
        OVER,
        False,
        "unknown",
    ),
    (
        "remains and reached",
        replace(SPEC, completeness="assumed"),
        STATE,
        counted(2, 2, remains=True),
        OVER,
        False,
        "assumed",
    ),
    (
        "any order",
        replace(SPEC, incremental=replace(ASCENDING, order="any")),
        STATE,
        MATCHED,
        OVER,
        False,
        "assumed",
    ),
    (
        "any order, capped",
        replace(SPEC, incremental=replace(ASCENDING, order="any", capped=True)),
        STATE,
        MATCHED,
        OVER,
        False,
        "proven",
    ),
    (
        "any order in windows",
        replace(SPEC, incremental=replace(ASCENDING, order="any"), windows=WINDOWS),
        STATE,
        MATCHED,
        OVER,
        False,
        "proven",
    ),
    (
        "a token kept across passes",
        replace(SPEC, incremental=replace(ASCENDING, order="any", token=lambda *_: None)),
        STATE,
        MATCHED,
        OVER,
        False,
        "proven",
    ),
    (
        "cut by max_pages",
        replace(SPEC, incremental=ASCENDING, completeness="assumed"),
        STATE,
        MATCHED,
        PassOver("max_pages", cut=True, limited=True),
        False,
        "assumed",
    ),
    (
        "cut by max_pages, counting",
        replace(SPEC, incremental=ASCENDING, completeness="assumed"),
        STATE.evolve(counting=True),
        MATCHED,
        PassOver("max_pages", cut=True, limited=True),
        False,
        "unknown",
    ),
    (
        "cut by max_pages, counting, stable",
        replace(SPEC, incremental=ASCENDING, completeness="assumed", stable=True),
        STATE.evolve(counting=True),
        MATCHED,
        PassOver("max_pages", cut=True, limited=True),
        False,
        "assumed",
    ),
    (
        "cut by max_pages without an order",
        replace(SPEC, completeness="assumed"),
        STATE,
        MATCHED,
        PassOver("max_pages", cut=True, limited=True),
        False,
        "unknown",
    ),
    (
        "cut at the end of a range",
        replace(SPEC, incremental=ASCENDING, completeness="assumed"),
        STATE,
        MATCHED,
        PassOver("beyond", cut=True),
        False,
        "unknown",
    ),
]


@pytest.mark.parametrize("case", PROOFS, ids=[case[0] for case in PROOFS])
def test_a_pass_shows_no_more_than_it_can(case: Any) -> None:
    _, spec, state, found, over, doubted, level = case
    assert achieved(spec, state, found, over, doubted=doubted).level == level


def test_one_window_without_its_total_proves_nothing() -> None:
    state = in_window(0, 10, 10)
    assert state.window is not None
    spec = replace(SPEC, incremental=ASCENDING, windows=WINDOWS)
    assert achieved(spec, state, MATCHED, OVER, doubted=False).level == "proven"
    before = state.window.before.evolve(proven=False)
    unproven = state.evolve(window=state.window.evolve(before=before))
    assert achieved(spec, unproven, MATCHED, OVER, doubted=False).level == "unknown"


def test_one_window_whose_tokens_count_makes_the_pass_count() -> None:
    state = in_window(0, 10, 10)
    assert state.window is not None
    spec = replace(SPEC, incremental=ASCENDING, windows=WINDOWS)
    before = state.window.before.evolve(counting=True)
    counting = state.evolve(window=state.window.evolve(before=before))
    assert achieved(spec, counting, MATCHED, OVER, doubted=False).level == "assumed"
    stable = replace(spec, stable=True)
    assert achieved(stable, counting, MATCHED, OVER, doubted=False).level == "proven"


def test_less_than_what_is_required_falls_short() -> None:
    levels = ("unknown", "assumed", "proven")
    for place, level in enumerate(levels):
        for least, required in enumerate(levels):
            assert falls_short(level, required) == (place < least)


def test_a_source_of_one_page_has_a_style_that_ends() -> None:
    style = none.build(none.Config(type="none"))
    assert isinstance(style.after(None, Facts(3), {}), End)
