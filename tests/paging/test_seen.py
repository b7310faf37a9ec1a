"""The records of a page held against those of its pass, against a slow model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import KeyNotUnique
from worker.core.identities import digest16
from worker.core.model import Facts
from worker.paging.duplicates import Known
from worker.paging.memory import PassMemory
from worker.paging.seen import Seen, compared, uncompared
from worker.paging.spec import IncrementalSpec, PagingSpec
from worker.sources.pagination import none

STYLE = none.build(none.Config(type="none"))
BY_VALUE = PagingSpec(STYLE, incremental=IncrementalSpec("u"))
KEYED = PagingSpec(STYLE, key=("id",))
KEYED_BY_VALUE = PagingSpec(STYLE, key=("id",), incremental=IncrementalSpec("u"))
KEYLESS = PagingSpec(STYLE)

Row = tuple[int, int]
"""What identifies a record, and what else is told of it: its value, or its contents."""


def facts_of(rows: Sequence[Row], *, keyed: bool) -> Facts:
    contents = [digest16(repr(row).encode()) for row in rows]
    keys = [digest16(repr(row[0]).encode()) for row in rows] if keyed else contents
    return Facts(len(rows), keys=keys, contents=contents)


def held(
    rows: Sequence[Row],
    memory: PassMemory,
    spec: PagingSpec,
    *,
    begin: int = 0,
    counts: bool = True,
) -> Seen:
    known = Known(values=[row[1] for row in rows] if spec.by_value else ())
    facts = facts_of(rows, keyed=bool(spec.key))
    return compared(facts, known, memory, spec, begin=begin, counts=counts, where="p")


@given(st.lists(st.lists(st.integers(0, 6), max_size=3), max_size=5))
def test_an_item_of_several_records_counts_unless_all_of_them_came_before(
    items: list[list[int]],
) -> None:
    rows = [(number, 0) for item in items for number in item]
    ends = [sum(map(len, items[: at + 1])) for at in range(len(items))]
    facts = facts_of(rows, keyed=True)
    facts.item_ends = ends
    seen, came, expected = held(rows, PassMemory(), KEYED), set[int](), 0
    for item in items:
        new = [number for at, number in enumerate(item) if number not in {*came, *item[:at]}]
        expected += bool(new) or not item
        came |= set(item)
    assert seen.listed(facts) == expected
    assert held(rows, PassMemory(), KEYLESS).listed(facts) == len(items), "all of them count"
    facts.item_ends = None
    assert seen.listed(facts) == seen.distinct == len(came)


ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=5)
SPECS = {
    "by value": BY_VALUE,
    "key": KEYED,
    "key by value": KEYED_BY_VALUE,
    "no key": KEYLESS,
}


@pytest.mark.parametrize("name", SPECS)
@given(pages=st.lists(ROWS, max_size=5), seam=st.booleans())
def test_a_pass_is_the_set_of_its_records(name: str, pages: list[list[Row]], seam: bool) -> None:
    spec, memory = SPECS[name], PassMemory()
    keyed, by_value = bool(spec.key), spec.by_value
    rows_so_far: list[Row] = []
    for rows in pages:
        begin = int(seam and bool(rows))
        keys = [row[0] for row in rows[begin:]]
        if keyed and not by_value and len(set(rows[begin:])) > len(set(keys)):
            with pytest.raises(KeyNotUnique):
                held(rows, memory, spec, begin=begin)
            return
        seen = held(rows, memory, spec, begin=begin)
        repeated, changed, distinct, new = set(), 0, 0, False
        before = list(rows_so_far)
        for place, row in enumerate(rows[begin:], begin):
            same = row in before
            same_key = any(row[0] == other[0] for other in before)
            if same:
                repeated.add(place)
            changed += keyed and same_key and not same
            if keyed:
                distinct += not same_key
            elif by_value:
                distinct += not same
            else:
                distinct += 1  # nobody can tell two equal records from one that came twice
            new |= (not same_key) if keyed and not by_value else not same
            before.append(row)
        assert (seen.repeated, seen.changed) == (repeated, changed)
        assert (seen.distinct, seen.new) == (distinct, new)
        assert not set(seen.entries) & memory.hashes
        memory.add(seen.entries)
        rows_so_far = before
        assert len(memory) == len(set(rows_so_far))


@given(ROWS, st.randoms(use_true_random=False))
def test_the_digest_of_a_page_has_no_order(rows: list[Row], random: Any) -> None:
    other = list(rows)
    random.shuffle(other)
    memory = PassMemory()
    one = held(rows, memory, KEYLESS)
    assert one.digest == held(other, memory, KEYLESS).digest
    assert len(one.digest) == 16
    assert one.digest != held([*rows, (9, 9)], memory, KEYLESS).digest


@given(st.lists(ROWS.filter(bool), min_size=1, max_size=6))
def test_beyond_what_is_remembered_a_page_is_one_digest(pages: list[list[Row]]) -> None:
    memory, came = PassMemory(), set()
    for rows in pages:
        seen = held(rows, memory, KEYLESS, counts=False)
        whole = tuple(sorted(rows))
        assert seen.new == (whole not in came)
        assert (seen.distinct, seen.repeated, seen.changed) == (len(rows), frozenset(), 0)
        assert seen.entries == (seen.digest,)
        memory.add(seen.entries)
        came.add(whole)


def test_an_empty_page_beyond_what_is_remembered_is_not_new_and_leaves_nothing() -> None:
    seen = held([], PassMemory(), KEYLESS, counts=False)
    assert (seen.new, seen.entries, seen.distinct) == (False, (), 0)


def test_an_ambiguous_key_is_named() -> None:
    with pytest.raises(KeyNotUnique, match="record 2 and another one") as caught:
        held([(1, 1), (2, 1), (1, 2)], PassMemory(), KEYED)
    assert "id" in str(caught.value)
    # the same record twice is one, and versions have values
    assert held([(1, 1), (1, 1)], PassMemory(), KEYED).repeated == {1}
    assert held([(1, 1), (1, 2)], PassMemory(), KEYED_BY_VALUE).changed == 1


def test_a_page_that_is_not_compared_is_counted() -> None:
    assert uncompared(Facts(3)) == Seen(distinct=3, new=True)
    assert uncompared(Facts(0)) == Seen(distinct=0, new=False)
