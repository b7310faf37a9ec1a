"""What a partition remembers, against plain sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.paging.memory import KEY_BYTES, Boundary, PassMemory

KEYS = st.frozensets(st.tuples(st.integers(0, 9), st.sampled_from([b"a", b"b"])), max_size=20)


@given(
    start=KEYS,
    changes=st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 9))), max_size=8),
)
def test_a_boundary_is_a_set_of_keys_from_its_floor_on(
    start: frozenset[tuple[int, bytes]],
    changes: list[tuple[frozenset[tuple[int, bytes]], int | None]],
) -> None:
    boundary, model, floor = Boundary(start), set(start), 0
    for added, least in changes:
        floor = floor if least is None else least
        added = frozenset(key for key in added if key[0] >= floor)  # as the judge leaves them
        boundary.forget(least)
        boundary.add(added)
        model = {key for key in model if least is None or key[0] >= least} | added
        assert boundary.keys == model and len(boundary) == len(model)
        assert all((key in boundary) for key in model)
        assert all(boundary.top is not None and key[0] <= boundary.top for key in model)


class Counted(int):
    """A value that counts how often it is compared with another one."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Counted.compared += 1
        return int(self) < int(other)

    def __ge__(self, other: int) -> bool:
        return not self < other


def test_a_page_costs_what_it_changes_however_many_keys_are_known() -> None:
    count = 10_000
    boundary = Boundary((Counted(value), b"a") for value in range(count))
    Counted.compared = 0
    for page in range(100):
        boundary.forget(Counted(page))
        boundary.add([(Counted(count + page), b"a")])
    assert len(boundary) == count + 1
    assert Counted.compared < 100 * 50
    boundary.forget(Counted(count))
    assert boundary.keys == {(count + page, b"a") for page in range(100)}
    assert Counted.compared < 4 * count


def test_the_top_of_a_boundary_is_exact_while_nothing_is_forgotten() -> None:
    boundary = Boundary()
    assert boundary.top is None
    for value, top in ((5, 5), (3, 5), (7, 7)):
        boundary.add([(value, b"a")])
        assert boundary.top == top
    assert Boundary([(4, b"a"), (6, b"b")]).top == 6


ENTRIES = st.binary(min_size=16, max_size=16) | st.builds(
    lambda key, rest: key * KEY_BYTES + rest * 8,
    st.sampled_from([b"a", b"b"]),
    st.sampled_from([b"x", b"y"]),
)


@given(
    start=st.frozensets(ENTRIES, max_size=4),
    changes=st.lists(st.one_of(st.none(), st.frozensets(ENTRIES, max_size=3)), max_size=8),
    probes=st.lists(ENTRIES, max_size=5),
)
def test_a_pass_remembers_hashes_and_the_keys_that_they_begin_with(
    start: frozenset[bytes], changes: list[frozenset[bytes] | None], probes: list[bytes]
) -> None:
    memory, model = PassMemory(start), set(start)
    for change in changes:
        if change is None:
            memory.clear()
            model.clear()
        else:
            memory.add(change)
            model |= change
        assert memory.hashes == model and len(memory) == len(model)
        for probe in [*probes, *model]:
            assert (probe in memory) == (probe in model)
            known = {each[:KEY_BYTES] for each in model}
            assert memory.knows_key(probe) == (probe[:KEY_BYTES] in known)


def test_a_key_is_known_whatever_stands_in_its_record() -> None:
    memory = PassMemory([b"k" * 8 + b"1" * 8])
    assert memory.knows_key(b"k" * 8 + b"2" * 8)
    assert b"k" * 8 + b"2" * 8 not in memory
    assert not memory.knows_key(b"k" * 7 + b"x" + b"1" * 8)
