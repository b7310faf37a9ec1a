"""What a commit of a step would change."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.cursor import Cursor, PassState
from worker.core.model import MANY_KEYS, BoundaryKey, Progress, ProgressSum
from worker.core.news import ends_what_is_durable, has_moved

WITHIN = PassState(at={"offset": 3}, pages=1)
OVER = Cursor(pass_no=4, mark=7, validators={"etag": "1"})


def moved(durable: Cursor, cursor: Cursor, **changes: Any) -> bool:
    return has_moved(durable, ProgressSum(Progress(cursor, **changes)))


def test_between_passes_the_number_of_the_next_one_is_no_news() -> None:
    assert not moved(OVER, OVER)
    assert not moved(OVER, OVER.evolve(pass_no=9_000), tokens_cleared=True, boundary_floor=7)


@pytest.mark.parametrize(
    "changes",
    [
        {"mark": 8},
        {"validators": None},
        {"complete": True},
        {"position": WITHIN},
        {"floor": 3},
        {"page_size": 3},
        {"redone": 1},
    ],
)
def test_what_a_partition_goes_by_is_news(changes: dict[str, Any]) -> None:
    assert moved(OVER, OVER.evolve(**changes))


def test_what_is_to_be_remembered_is_news() -> None:
    assert moved(OVER, OVER, boundary_added=((7, b"k" * 16),))
    assert moved(OVER, OVER, tokens_added=(b"t" * 16,))


def test_within_a_pass_its_number_counts() -> None:
    within = OVER.evolve(position=WITHIN)
    assert not moved(within, within)
    assert moved(within, within.evolve(pass_no=5))
    assert moved(within, OVER.evolve(pass_no=5))


def test_the_end_of_a_pass_that_is_durable_in_part_is_told_from_a_whole_one() -> None:
    def ends(durable: Cursor, cursor: Cursor) -> bool:
        return ends_what_is_durable(durable, ProgressSum(Progress(cursor)))

    within = OVER.evolve(position=WITHIN)
    assert ends(within, OVER.evolve(pass_no=5))
    assert ends(OVER, OVER.evolve(complete=True))
    assert not ends(OVER, OVER.evolve(pass_no=5))
    assert not ends(OVER, within) and not ends(within, within)


# -- the sum of steps ------------------------------------------------------------------------------

VALUES = st.integers(0, 4)
KEYS = st.tuples(VALUES, st.sampled_from([b"a", b"b"]))


def as_judged(step: Progress) -> Progress:
    """The step without keys that it forgets itself."""
    floor = step.boundary_floor
    kept = tuple(key for key in step.boundary_added if floor is None or key[0] >= floor)  # type: ignore[operator]
    return replace(step, boundary_added=kept)


STEPS = st.lists(
    st.builds(
        Progress,
        st.builds(Cursor, received=VALUES),
        boundary_added=st.lists(KEYS, max_size=3).map(tuple),
        boundary_floor=st.none() | VALUES,
        tokens_added=st.lists(st.sampled_from([b"s", b"t"]), max_size=2).map(tuple),
        tokens_cleared=st.booleans(),
    ).map(as_judged),
    min_size=1,
    max_size=12,
)


def applied(
    boundary: frozenset[BoundaryKey], tokens: frozenset[bytes], step: Progress
) -> tuple[frozenset[BoundaryKey], frozenset[bytes]]:
    """What a commit log holds after a commit of the step."""
    floor = step.boundary_floor
    kept = {key for key in boundary if floor is None or key[0] >= floor}  # type: ignore[operator]
    tokens = frozenset() if step.tokens_cleared else tokens
    return frozenset(kept | {*step.boundary_added}), tokens | {*step.tokens_added}


@given(st.frozensets(KEYS), st.frozensets(st.sampled_from([b"s", b"t", b"u"])), STEPS)
def test_steps_as_one_difference_do_what_they_do_one_after_another(
    boundary: frozenset[BoundaryKey], tokens: frozenset[bytes], steps: list[Progress]
) -> None:
    rising = [0, *(step.boundary_floor for step in steps if step.boundary_floor is not None)]
    if rising != sorted(rising):  # no source forgets less than before
        return
    whole = ProgressSum(steps[0])
    for step in steps[1:]:
        whole.add(step)
    total = whole.total()
    assert total == reduce(Progress.then, steps)
    assert total.cursor == steps[-1].cursor == whole.cursor
    assert whole.remembers == bool(total.boundary_added or total.tokens_added)
    floor = total.boundary_floor or 0
    found, after = applied(boundary, tokens, total)
    for step in steps:
        boundary, tokens = applied(boundary, tokens, step)
    assert found == {key for key in boundary if key[0] >= floor}
    assert after == tokens


def test_keys_that_are_forgotten_again_do_not_pile_up_and_are_not_searched_with_each_step() -> None:
    """With a mark that moves with each page, as it does."""
    steps = [
        Progress(OVER, boundary_added=tuple((10 * page + n, b"a") for n in range(10)),
                 boundary_floor=10 * page)
        for page in range(5_000)
    ]  # fmt: skip
    searches = 0

    class Counted(ProgressSum):
        def _worth_keeping(self) -> list[BoundaryKey]:
            nonlocal searches
            searches += 1
            return super()._worth_keeping()

    whole = Counted(steps[0])
    for step in steps[1:]:
        whole.add(step)
        assert len(whole._keys) <= MANY_KEYS + 20
    assert searches <= 10 * len(steps) / MANY_KEYS
    assert whole.remembers and len(whole.total().boundary_added) == 10
