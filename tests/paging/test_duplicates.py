"""The quick way through a page in order says what the careful way says."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BelowBound, KeyNotUnique, OrderViolation, OutsideWindow
from worker.core.model import MISSING, Decoded, Facts, FieldError, Reject
from worker.paging.duplicates import Classifier, Known, Range, later
from worker.paging.marks import MarkFormat
from worker.paging.memory import Boundary
from worker.paging.spec import IncrementalSpec

NUMBERS = IncrementalSpec(field="u", format=MarkFormat("int"))


def key(identity: Any) -> bytes:
    return blake2b(repr(identity).encode(), digest_size=16).digest()


def page(
    rows: list[tuple[Any, Any]], rejected: frozenset[int] = frozenset(), *, same: bool = True
) -> Decoded:
    """Rows of (identity, value). Contents differ unless they are the `same`."""
    keys = [key(identity) for identity, _ in rows]
    contents = keys if same else [key(place) for place in range(len(rows))]
    facts = Facts(len(rows), values=[value for _, value in rows], keys=keys, contents=contents)
    indices = [place for place in range(len(rows)) if place not in rejected]
    rejects = [
        Reject(place, "validate", "invalid", (FieldError("$", "x", "y"),), b"{}")
        for place in sorted(rejected)
    ]
    return Decoded([rows[place] for place in indices], indices, rejects, facts, lambda at: b"raw")


def asked(**changes: Any) -> Range:
    plain = Range(
        least=None,
        windowed=False,
        boundary=Boundary(),
        highest=None,
        reach=lambda value: value,
        many=False,
        where="p",
    )
    return Range(**{**{name: getattr(plain, name) for name in plain.__struct_fields__}, **changes})


def carefully(incremental: IncrementalSpec, decoded: Decoded, range_: Range) -> Known:
    """What is known of a page when each record is looked at."""
    classifier = Classifier(incremental)
    return classifier._one_by_one(None, decoded, range_)


ROWS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=10)
BOUNDARY = st.frozensets(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=10)


@given(
    rows=ROWS,
    ordered=st.booleans(),
    boundary=BOUNDARY,
    least=st.none() | st.integers(0, 9),
    highest=st.none() | st.integers(0, 9),
    until=st.none() | st.integers(0, 10),
    many=st.booleans(),
    reach=st.sampled_from([lambda value: value, lambda value: value - 2, lambda value: None, None]),
    rejected=st.frozensets(st.integers(0, 9), max_size=3),
    below=st.sampled_from(["fail", "drop", "keep"]),
)
def test_the_quick_way_and_the_careful_way_agree(
    rows: list[tuple[int, int]],
    ordered: bool,
    boundary: frozenset[tuple[int, int]],
    least: int | None,
    highest: int | None,
    until: int | None,
    many: bool,
    reach: Any,
    rejected: frozenset[int],
    below: str,
) -> None:
    if ordered:
        rows = sorted(rows, key=lambda row: row[1])
    incremental = replace(NUMBERS, until=until, below=below)
    decoded = page(rows, frozenset(place for place in rejected if place < len(rows)))
    known = Boundary((value, key(identity)) for value, identity in boundary)
    range_ = asked(least=least, highest=highest, boundary=known, many=many, reach=reach)

    def outcome(found: Known) -> Any:
        kept = found.kept(decoded)
        return (
            found.fresh,
            found.dropped,
            found.repeated,
            found.duplicates,
            (found.beyond, found.below, found.late, found.highest),
            list(found.values),
            (kept.records, [reject.index for reject in kept.rejects]),
        )

    try:
        slow = carefully(incremental, decoded, range_)
    except (OrderViolation, BelowBound) as error:
        with pytest.raises(type(error), match=str(error).split(":")[0][:20]):
            Classifier(incremental).classify(decoded, range_)
        return
    quick = Classifier(incremental).classify(decoded, range_)
    assert outcome(quick) == outcome(slow)
    # what is known already may be remembered again; what is new and may come again, must be
    reached = None if reach is None or slow.highest is None else reach(slow.highest)
    needed = {each for each in slow.keys if reached is None or each[0] >= reached}
    assert needed - known.keys <= quick.keys <= slow.keys | known.keys | needed


@given(ROWS, BOUNDARY)
def test_each_record_is_taken_once(
    rows: list[tuple[int, int]], boundary: frozenset[tuple[int, int]]
) -> None:
    """Against a plain model: a set of what is known."""
    known = {(value, key(identity)) for value, identity in boundary}
    seen, taken = set(known), []
    for identity, value in rows:
        if (value, key(identity)) not in seen:
            taken.append((identity, value))
        seen.add((value, key(identity)))
    found = Classifier(replace(NUMBERS, order="any")).classify(
        page(rows), asked(boundary=Boundary(known), reach=None)
    )
    assert found.kept(page(rows)).records == taken
    assert found.duplicates == len(rows) - len(taken)
    assert found.keys | known == seen
    assert found.fresh == bool(taken)
    assert found.highest == max((value for _, value in rows), default=None)


@pytest.mark.parametrize("windowed", [False, True])
def test_a_record_below_the_bound_is_refused_left_out_or_taken(windowed: bool) -> None:
    rows = [(1, 4), (2, 5), (3, 6)]
    range_ = asked(least=5, windowed=windowed)
    with pytest.raises(OutsideWindow if windowed else BelowBound, match="record 0 has u = 4"):
        Classifier(NUMBERS).classify(page(rows), range_)
    dropped = Classifier(replace(NUMBERS, below="drop")).classify(page(rows), range_)
    assert (dropped.below, dropped.late, dropped.dropped) == (1, 0, {0})
    assert dropped.keys == {(5, key(2)), (6, key(3))}
    kept = Classifier(replace(NUMBERS, below="keep")).classify(page(rows), range_)
    assert (kept.below, kept.late, kept.dropped) == (0, 1, set())
    unsent = Classifier(replace(NUMBERS, sent="")).classify(page(rows), range_)
    assert (unsent.below, unsent.dropped) == (1, {0})


@pytest.mark.parametrize("below", ["fail", "drop", "keep"])
def test_what_is_remembered_may_be_below_the_bound(below: str) -> None:
    """A source may round its bound down."""
    boundary = Boundary([(4, key(1))])
    found = Classifier(replace(NUMBERS, below=below)).classify(
        page([(1, 4), (2, 5)]), asked(least=5, boundary=boundary)
    )
    assert (found.duplicates, found.below, found.late) == (1, 0, 0)


def test_a_record_at_the_bound_is_not_below_it() -> None:
    found = Classifier(NUMBERS).classify(page([(1, 5)]), asked(least=5))
    assert found.fresh and not found.below


def test_a_late_record_does_not_move_the_greatest_value_and_breaks_no_order() -> None:
    keeps = replace(NUMBERS, below="keep")
    found = Classifier(keeps).classify(page([(1, 6), (2, 2), (3, 7)]), asked(least=5))
    assert (found.late, found.highest) == (1, 7)
    with pytest.raises(OrderViolation):
        Classifier(keeps).classify(page([(1, 7), (2, 6)]), asked(least=5))


@pytest.mark.parametrize(
    ("values", "least", "below"),
    [
        ([1, 2], 5, True),
        ([1, 5], 5, False),
        ([5, 1], 5, False),
        ([1, None], 5, False),  # what cannot be read may be anything
        ([], 5, False),
        ([1, 2], None, False),
        ([6, 7], 5, False),
    ],
)
def test_a_page_lies_below_when_each_of_its_records_does(
    values: list[Any], least: int | None, below: bool
) -> None:
    drops = replace(NUMBERS, order="descending", below="drop")
    rows = list(enumerate(values))
    assert Classifier(drops).classify(page(rows), asked(least=least)).all_below == below


def test_equal_values_are_in_order_and_the_page_before_counts() -> None:
    rows = [(1, 5), (2, 5), (3, 6)]
    assert Classifier(NUMBERS).classify(page(rows), asked(highest=5)).fresh
    with pytest.raises(OrderViolation, match="record 0"):
        Classifier(NUMBERS).classify(page(rows), asked(highest=6))


def test_the_end_of_a_range_is_not_part_of_it() -> None:
    until = replace(NUMBERS, until=6)
    found = Classifier(until).classify(page([(1, 5), (2, 6), (3, 9)]), asked())
    assert (found.beyond, found.dropped, found.highest) == (2, {1, 2}, 5)
    # the dead letter of one that is beyond it stays
    rejected = Classifier(until).classify(page([(1, 5), (2, 6)], frozenset({1})), asked())
    assert (rejected.beyond, rejected.dropped) == (0, set())


def test_one_key_with_two_contents_and_one_value_cannot_be_told_apart() -> None:
    rows = [(1, 5), (1, 5)]
    with pytest.raises(KeyNotUnique, match="records 0 and 1"):
        Classifier(NUMBERS).classify(page(rows, same=False), asked())
    assert Classifier(NUMBERS).classify(page(rows), asked()).duplicates == 1
    versions = [(1, 5), (1, 6)]
    assert Classifier(NUMBERS).classify(page(versions, same=False), asked()).duplicates == 0


def test_what_has_no_usable_value_is_a_reject_unless_it_is_one_already() -> None:
    rows = [(1, 5), (2, None), (3, "x"), (4, 6)]
    found = Classifier(NUMBERS).classify(page(rows, frozenset({2})), asked())
    assert [reject.index for reject in found.rejects] == [1]
    assert list(found.values) == [5, None, None, 6]
    assert found.dropped == {1} and found.keys == {(5, key(1)), (6, key(4))}


class _Nested(msgspec.Struct):
    at: str


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (MISSING, "absent"),
        (None, "null"),
        ("yesterday", "text of 9 characters"),
        (2**70, "whole number"),
        (float("inf"), "number"),
        ([1], "array"),
        ({}, "object"),
        (_Nested("x"), "object"),
    ],
)
def test_an_unusable_value_is_named_as_json_has_it_with_the_keys_that_say_its_format(
    value: Any, found: str
) -> None:
    [reject] = Classifier(NUMBERS).classify(page([(1, value)]), asked()).rejects
    [error] = reject.errors
    assert (error.path, error.found) == ("$.u", found)
    assert "of format int" in error.allowed
    assert "source.incremental.format.record" in error.allowed and "decode.times" in error.allowed


def test_digits_below_a_microsecond_tell_two_records_apart() -> None:
    style = IncrementalSpec("u", MarkFormat())
    rows = [(1, "2024-05-06T00:00:00.123456001Z"), (1, "2024-05-06T00:00:00.123456002Z")]
    found = Classifier(style).classify(page(rows), asked())
    assert len(found.keys) == 2 and found.duplicates == 0


def test_of_many_keys_those_are_kept_that_a_later_request_reaches() -> None:
    rows = [(number, number) for number in range(10)]
    for many, kept in ((False, 10), (True, 3)):
        for incremental in (NUMBERS, replace(NUMBERS, order="any")):
            range_ = asked(many=many, reach=lambda value: value - 2)
            found = Classifier(incremental).classify(page(rows), range_)
            assert len(found.keys) == kept, incremental.order
            assert found.fresh and found.highest == 9


def test_the_later_of_two_values() -> None:
    assert later(None, None) is None
    assert later(1, None) == later(None, 1) == 1
    assert later(1, 2) == later(2, 1) == 2
