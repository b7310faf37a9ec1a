"""Identities that are computed where they are needed are those that would be computed at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.identities import Identities, digest16, may_repeat

PLAIN = st.lists(
    st.one_of(
        st.integers(-3, 3),
        st.booleans(),
        st.sampled_from([0.0, -0.0, 1.0, 2.5]),
        st.text(max_size=2),
        st.none(),
        st.just([1]),
        st.just({"a": 1}),
        st.tuples(st.integers(0, 2), st.text(max_size=1)),
    ),
    max_size=8,
)


def of(plain: list[Any], *, known: bool = True) -> tuple[Identities, list[bytes]]:
    eager = [digest16(repr(value).encode()) for value in plain]
    distinct = len({repr(value) for value in plain}) if known else None
    return Identities(len(plain), lambda place: eager[place], distinct), eager


@given(PLAIN, st.integers(-10, 10))
def test_they_are_a_sequence_like_a_list(plain: list[Any], place: int) -> None:
    lazy, eager = of(plain)
    assert list(lazy) == eager and len(lazy) == len(eager)
    assert all((each in lazy) for each in eager)
    if -len(eager) <= place < len(eager):
        assert lazy[place] == eager[place]
    else:
        with pytest.raises(IndexError):
            lazy[place]


@given(PLAIN, st.slices(8))
def test_a_part_of_them_is_a_list(plain: list[Any], part: slice) -> None:
    lazy, eager = of(plain)
    assert lazy[part] == eager[part]


def test_none_is_computed_before_it_is_asked_for() -> None:
    asked: Counter[int] = Counter()

    def identity(place: int) -> bytes:
        asked[place] += 1
        return bytes([place])

    lazy = Identities(3, identity, 3)
    assert not may_repeat(lazy) and len(lazy) == 3 and not asked
    assert lazy[-1] == b"\2" and asked == {2: 1}


@given(PLAIN, st.booleans())
def test_two_that_are_equal_always_may_repeat(plain: list[Any], known: bool) -> None:
    lazy, eager = of(plain, known=known)
    if len(set(eager)) < len(eager):
        assert may_repeat(lazy)
    assert may_repeat(eager) == (len(set(eager)) < len(eager))


def test_an_identity_has_16_bytes() -> None:
    """The commit log keeps them."""
    assert digest16(b"") == bytes.fromhex("cae66941d9efbd404e4d88758ea67670")


def test_so_many_different_ones_cannot_repeat_and_an_unknown_number_may() -> None:
    assert not of(["a", "b", 3])[0].may_repeat()
    assert of(["a", "b", "a"])[0].may_repeat()
    assert of(["a", "b"], known=False)[0].may_repeat()
    assert not of([])[0].may_repeat()
