"""What a source says it has, held against what came."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker.core.cursor import Before, Cursor, PassState, Window, WindowState
from worker.paging.totals import Count, count


def walk(pages: list[tuple[int, int | None]], *, distinct: list[int] | None = None) -> list[Count]:
    """The counts of a pass: (records, total) of each page."""
    cursor, state, counts = Cursor(), PassState(at=None), []
    for place, (records, total) in enumerate(pages):
        new = records if distinct is None else distinct[place]
        found = count(cursor, state, new, total, records=records)
        counts.append(found)
        cursor = cursor.evolve(received=found.received, total=found.stored)
        state = state.evolve(
            at=place,
            pages=state.pages + 1,
            first=records if place == 0 else state.first,
            drifted=found.drifted,
            grew=found.grew,
            remains=found.remains,
            passed=found.passed,
        )
    return counts


# also more than the small numbers, of which Python has one object each
SIZES = st.lists(st.integers(1, 9) | st.integers(300, 900), min_size=1, max_size=8)


@given(SIZES, st.integers(0, 5))
def test_a_total_that_stands_still_is_a_plain_count(sizes: list[int], more: int) -> None:
    total, came = sum(sizes) + more, 0
    for size, found in zip(sizes, walk([(size, total) for size in sizes]), strict=True):
        came += size
        assert (found.received, found.here, found.total) == (came, came, total)
        assert found.matches == (came == total)
        assert found.trusted and found.ends and not found.drift and not found.doubtful


@given(SIZES, st.integers(1, 9))
def test_more_than_the_total_is_drift_and_said_once(sizes: list[int], short: int) -> None:
    total = max(sum(sizes) - short, 0)
    counts = walk([(size, total) for size in sizes])
    came = 0
    for size, found in zip(sizes, counts, strict=True):
        came += size
        over = came > total
        assert found.passed == found.drifted == over
        assert found.trusted != over and found.ends != over
        assert not (over and found.matches)
    assert sum(bool(found.drift) for found in counts) == 1


@given(SIZES)
def test_a_pass_without_a_total_matches_nothing(sizes: list[int]) -> None:
    for found in walk([(size, None) for size in sizes]):
        assert not (found.matches or found.trusted or found.drift or found.doubtful)
        assert found.ends  # there is no total that could be reached


@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.booleans())
def test_what_remains_is_no_drift(sizes: list[int], behind: bool) -> None:
    """The page itself may count as what is still to come, or not. Less behind the first page than
    it has itself looks like a total that was passed.
    """
    total, pages, came = sum(sizes), [], 0
    assume(not behind or sizes[0] <= total - sizes[0])
    for size in sizes:
        before, came = came, came + size
        pages.append((size, total - (came if behind else before)))
    counts = walk(pages)
    assert not any(found.drift for found in counts)
    assert all(found.remains for found in counts[1:])
    assert counts[-1].matches and counts[-1].here == total
    assert not counts[-1].ends and not counts[-1].trusted


def test_a_total_that_grows_and_is_reached_is_right_and_proves_no_more_than_that() -> None:
    counts = walk([(2, 4), (2, 5), (1, 5)])
    assert [bool(found.drift) for found in counts] == [False, True, False]
    last = counts[-1]
    assert last.grew and last.matches and last.ends and not last.trusted and not last.doubtful
    assert not last.drifted and not last.shrunk
    missed = walk([(2, 4), (2, 6), (1, 6)])[-1]
    assert missed.doubtful and not missed.matches and not missed.trusted


def test_a_total_that_shrinks_is_drift_for_the_whole_pass() -> None:
    counts = walk([(2, 9), (2, 8), (4, 8)])
    assert [found.shrunk for found in counts] == [False, True, False]
    assert "changed within the pass from 9 to 8" in counts[1].drift
    assert counts[-1].drifted and not counts[-1].matches
    assert not counts[-1].ends and not counts[-1].trusted


def test_a_total_that_shrank_below_what_came_is_said_to_have_changed() -> None:
    found = walk([(5, 9), (5, 8)])[-1]
    assert "changed within the pass" in found.drift and found.passed


def test_a_total_that_was_passed_ends_nothing_any_more() -> None:
    """It is reached again when it grows."""
    counts = walk([(3, 2), (2, 5)])
    assert counts[-1].here == counts[-1].total == 5
    assert not counts[-1].ends and not counts[-1].matches and counts[-1].drifted


def test_a_page_that_says_no_total_leaves_the_one_before() -> None:
    counts = walk([(2, 4), (2, None)])
    assert counts[-1].matches and counts[-1].stored == 4


def test_a_total_of_a_later_page_counts_from_there_on() -> None:
    counts = walk([(2, None), (2, 4)])
    assert counts[-1].matches and not counts[-1].drift


def test_records_that_came_twice_count_once() -> None:
    counts = walk([(3, 5), (3, 5)], distinct=[3, 2])
    assert counts[-1].matches and counts[-1].received == 5


def test_what_remains_stops_where_it_contradicts_itself() -> None:
    remains = [(3, 9), (3, 6), (3, 3)]
    assert walk(remains)[-1].remains
    wrong = walk([(3, 9), (3, 6), (3, 5)])[-1]
    assert wrong.drifted and wrong.shrunk and not wrong.matches
    stands = walk([(3, 9), (3, 6), (3, 6)])[-1]  # it stands still where three more came
    assert stands.drifted and not stands.matches
    grows = walk([(3, 9), (3, 6), (2, 8)])[-1]
    assert grows.drifted and grows.shrunk and not grows.grew
    whole = walk([(3, 9), (3, 6), (3, 9)])[-1]  # what was there in the beginning remains again
    assert whole.drifted and not whole.matches
    late = walk([(3, 9), (3, 9), (3, 3)])[-1]  # only the second page can show that it remains
    assert late.drifted and not late.remains


def test_all_records_deleted_behind_the_first_page_is_not_what_remains() -> None:
    """A total of 0 beside records counts nothing."""
    found = walk([(3, 6), (3, 0)])[-1]
    assert not found.matches or found.remains


def in_window(received: int, pages: int) -> PassState:
    window = WindowState(Window(0, 10, 20), None, Before(pages, received))
    return PassState(at=None, pages=pages, window=window)


def test_a_total_is_that_of_its_window() -> None:
    found = count(Cursor(received=7), in_window(7, 3), 2, 2, records=2)
    assert (found.received, found.here) == (9, 2) and found.matches


def test_a_pass_that_began_again_counts_what_it_walks() -> None:
    """Some of what came before it began again may be gone."""
    cursor = Cursor(received=6, total=None)
    state = PassState(at=None, known_pages=2, walked=0)
    found = count(cursor, state, 0, 3, records=3)
    assert (found.received, found.here) == (6, 3) and found.matches
    on = count(cursor.evolve(total=6), state.evolve(pages=1, walked=3), 1, 6, records=3)
    assert (on.received, on.here) == (7, 6) and on.matches


@given(
    pages=st.lists(
        st.tuples(st.integers(0, 4), st.none() | st.integers(0, 12)), min_size=1, max_size=8
    )
)
def test_whatever_is_said_nothing_matches_that_was_contradicted(
    pages: list[tuple[int, Any]],
) -> None:
    counts = walk(pages)
    drifted = passed = False
    for found in counts:
        drifted, passed = drifted or found.drifted, passed or found.passed
        assert found.drifted == drifted and found.passed == passed  # for the rest of the pass
        assert not (found.matches and found.drifted)
        assert not (found.trusted and (found.drifted or found.grew or found.remains))
        if found.matches:
            assert found.here == found.total
    said = [total for _, total in pages if total is not None]
    if len(set(said)) == 1 and counts[-1].here <= said[0]:
        assert not any(found.drift for found in counts)


@pytest.mark.parametrize("total", [0, 3])
def test_a_total_of_the_first_page_alone(total: int) -> None:
    [found] = walk([(total, total)])
    assert found.matches and found.trusted and found.ends
