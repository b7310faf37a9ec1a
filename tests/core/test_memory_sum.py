"""The sum over what a partition remembers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.core import memory_sum

KEYS = st.sets(st.tuples(st.integers() | st.text(max_size=5), st.binary(min_size=16, max_size=16)))
TOKENS = st.sets(st.binary(min_size=16, max_size=16))


@given(KEYS, KEYS)
def test_it_changes_by_difference(before: set[tuple[int | str, bytes]], more: set) -> None:  # type: ignore[type-arg]
    after = before | more
    added, removed = after - before, before - more
    whole = memory_sum.of_boundary(before) + memory_sum.of_boundary(added)
    assert memory_sum.as_text(whole) == memory_sum.as_text(memory_sum.of_boundary(after))
    less = memory_sum.of_boundary(before) - memory_sum.of_boundary(removed)
    assert memory_sum.as_text(less) == memory_sum.as_text(memory_sum.of_boundary(before & more))


@given(KEYS, KEYS, TOKENS, TOKENS)
def test_different_memories_have_different_sums(
    keys: set[tuple[int | str, bytes]],
    others: set,
    tokens: set[bytes],
    more: set[bytes],  # type: ignore[type-arg]
) -> None:
    one = memory_sum.of_boundary(keys) + memory_sum.of_tokens(tokens)
    two = memory_sum.of_boundary(others) + memory_sum.of_tokens(more)
    same = (keys, tokens) == (others, more)
    assert (memory_sum.as_text(one) == memory_sum.as_text(two)) == same


def test_a_number_is_another_value_than_its_text() -> None:
    key = b"k" * 16
    assert memory_sum.of_boundary([(7, key)]) != memory_sum.of_boundary([("7", key)])


@given(st.integers())
def test_a_text_reads_back(number: int) -> None:
    text = memory_sum.as_text(number)
    assert len(text) == 32
    assert memory_sum.as_text(memory_sum.from_text(text)) == text


def test_a_sum_is_what_states_on_disk_have() -> None:
    keys = [(7, b"k" * 16), ("7", b"l" * 16)]
    assert memory_sum.as_text(memory_sum.of_boundary(keys)) == "6dd253470793951f6ea30045d006c48d"
    assert (
        memory_sum.as_text(memory_sum.of_tokens([b"t" * 16])) == "28fccb0576386afb37d0911a3970d11b"
    )
    assert memory_sum.as_text(-1) == "f" * 32
