"""Which share of rejects is too large, and when there is enough to say so."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.model import FieldError, Reject
from worker.resilience.quality import MID_PASS, PASS_OVER, QualityWatch, TooManyRejects

BAD = Reject(0, "decode", "invalid", (FieldError("$.id", "text", "a whole number"),), b"{}")


@dataclass(frozen=True)
class Page:
    """Records of a page of a partition, and how many of them were rejected."""

    records: int
    rejects: int
    partition: str = "a"
    pass_over: bool = False


def refusal(watch: QualityWatch, pages: Sequence[Page]) -> int | None:
    """The place of the first page that the watch refuses; None when it refuses none."""
    for place, page in enumerate(pages):
        watch.add(page.records, [BAD] * page.rejects)
        try:
            watch.end_page(page.partition, pass_over=page.pass_over)
        except TooManyRejects:
            return place
    return None


@st.composite
def a_page(draw: st.DrawFn) -> Page:
    records = draw(st.integers(0, 60))
    rejects = draw(st.sampled_from([0, records // 2, records]) | st.integers(0, records))
    return Page(records, rejects, draw(st.sampled_from("ab")), draw(st.booleans()))


PAGES = st.lists(a_page(), max_size=30)
RATIOS = st.sampled_from([0.01, 0.2, 0.5, 0.99])


def expected(pages: Sequence[Page], max_ratio: float, window: int) -> int | None:
    """The same, said in another way: from all pages up to each one."""
    for place in range(len(pages)):
        so_far = [page for page in pages[: place + 1] if page.records]
        records = rejects = 0
        for page in reversed(so_far):
            if records < window:
                records, rejects = records + page.records, rejects + page.rejects
        ended = {
            name: next(
                (page.pass_over for page in reversed(pages[: place + 1]) if page.partition == name),
                False,
            )
            for name in "ab"
        }
        least = PASS_OVER if all(ended.values()) else MID_PASS
        if records >= least and rejects > max_ratio * records:
            return place
    return None


@given(PAGES, RATIOS, st.integers(100, 300))
def test_it_refuses_the_first_page_at_which_the_share_of_enough_records_is_too_large(
    pages: list[Page], max_ratio: float, window: int
) -> None:
    watch = QualityWatch(max_ratio, window, ["a", "b"])
    assert refusal(watch, pages) == expected(pages, max_ratio, window)


@given(PAGES)
def test_with_a_ratio_of_one_nothing_is_refused(pages: list[Page]) -> None:
    watch = QualityWatch(1.0, 1_000, ["a", "b"])
    assert refusal(watch, pages) is None
    watch.end_run()
    watch.refuse_none_left()


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.data())
def test_in_which_order_partitions_end_makes_no_difference_while_they_are_few(
    bad: list[int], data: st.DataObject
) -> None:
    pages = [
        Page(12, rejects, partition=str(name), pass_over=True) for name, rejects in enumerate(bad)
    ]
    names = [page.partition for page in pages]
    shuffled = data.draw(st.permutations(pages))
    refused = [refusal(QualityWatch(0.5, 1_000, names), each) for each in (pages, shuffled)]
    too_many = sum(bad) > 0.5 * 12 * len(bad)
    assert refused == [len(bad) - 1 if too_many else None] * 2


@given(st.integers(0, 9_999), st.integers(1, 5))
def test_how_a_page_is_cut_into_parts_makes_no_difference(rejects: int, parts: int) -> None:
    """The rejects of a decoder come with the last part, whose share alone would say nothing."""
    watch = QualityWatch(0.5, 1_000, ["a"])
    for _ in range(parts - 1):
        watch.add((10_000 - rejects) // parts, [])
    watch.add(10_000 - (10_000 - rejects) // parts * (parts - 1), [BAD] * rejects)
    with suppress(TooManyRejects):
        watch.end_page("a", pass_over=False)
        assert rejects <= 5_000
        return
    assert rejects > 5_000


# -- examples --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pages, refused_at",
    [
        ([Page(10, 6, pass_over=True)], 0),
        ([Page(10, 5, pass_over=True)], None),
        ([Page(9, 9, pass_over=True)], None),
        ([Page(99, 99)], None),
        ([Page(100, 51)], 0),
        ([Page(60, 60), Page(60, 0)], None),
        ([Page(60, 0), Page(60, 60), Page(0, 0)], None),
        ([Page(0, 0, pass_over=True)] * 50, None),
    ],
    ids=[
        "ten at the end",
        "half of ten",
        "nine",
        "not enough in the middle",
        "a hundred in the middle",
        "a healthy page behind a bad one",
        "a bad page behind a healthy one",
        "idle polls",
    ],
)
def test_examples(pages: list[Page], refused_at: int | None) -> None:
    assert refusal(QualityWatch(0.5, 1_000, ["a"]), pages) == refused_at


def test_of_small_polls_the_one_that_makes_ten_is_refused() -> None:
    polls = [Page(3, 3, pass_over=True)] * 10
    assert refusal(QualityWatch(0.5, 1_000, ["a"]), polls) == 3


def test_a_partition_that_is_still_to_be_read_may_bring_what_is_right() -> None:
    pages = [Page(12, 12, "a", pass_over=True), Page(24, 0, "b", pass_over=True)]
    assert refusal(QualityWatch(0.5, 1_000, ["a", "b"]), pages) is None
    assert refusal(QualityWatch(0.5, 1_000, ["a"]), pages) == 0


def test_at_the_end_of_a_run_partitions_that_brought_nothing_are_not_waited_for() -> None:
    watch = QualityWatch(0.5, 1_000, ["a", "b"])
    assert refusal(watch, [Page(12, 12, pass_over=True)]) is None
    with pytest.raises(TooManyRejects):
        watch.end_run()


def test_a_run_that_was_stopped_in_the_middle_of_a_pass_says_nothing_of_few_records() -> None:
    watch = QualityWatch(0.5, 1_000, ["a"])
    assert refusal(watch, [Page(12, 12)]) is None
    watch.end_run()
    watch.refuse_none_left()


@pytest.mark.parametrize(
    "pages, refused",
    [
        ([], False),
        ([Page(0, 0, pass_over=True)], False),
        ([Page(1, 1, pass_over=True)], True),
        ([Page(4, 4), Page(5, 5, pass_over=True)], True),
        ([Page(4, 4), Page(5, 4, pass_over=True)], False),
    ],
)
def test_a_run_that_brought_nothing_but_rejects_is_refused_however_few_they_are(
    pages: list[Page], refused: bool
) -> None:
    watch = QualityWatch(0.9, 1_000, ["a"])
    assert refusal(watch, pages) is None
    watch.end_run()
    if not refused:
        watch.refuse_none_left()
        return
    with pytest.raises(TooManyRejects, match="every record was rejected"):
        watch.refuse_none_left()


def test_the_error_says_what_was_wrong_and_names_the_ways_out() -> None:
    watch = QualityWatch(0.25, 1_000, ["a"])
    watch.add(20, [BAD] * 6)
    with pytest.raises(TooManyRejects) as raised:
        watch.end_page("a", pass_over=True)
    error = str(raised.value)
    assert "6 of the last 20" in error and "dead_letters.max_ratio = 0.25" in error
    assert "invalid, $.id: found text, allowed a whole number" in error
    assert "`worker read" in error and "max_ratio (1: off)" in error
