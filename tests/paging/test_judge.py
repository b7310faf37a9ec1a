"""A judgement raises and assigns nothing: an error leaves the partition as it was."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paging.test_planner import (
    INCREMENTAL,
    claim,
    decoded,
    fetched,
    ids,
    offset_style,
    spec,
    token_style,
)

from worker.core.errors import PermanentError
from worker.core.model import FieldError, Reject
from worker.paging.planner import PartitionPlanner
from worker.paging.schedule import Schedule
from worker.paging.spec import PagingSpec, Reply, StopSpec

TOTAL = {"next": None, "total": 9}

REFUSED: dict[str, tuple[PagingSpec, list[Reply], Reply]] = {
    "OrderViolation": (
        spec(token_style(), incremental=INCREMENTAL),
        [Reply(decoded([{"id": 1, "u": 5}], {"next": "A"}))],
        Reply(decoded([{"id": 2, "u": 6}, {"id": 3, "u": 4}], {"next": "B"})),
    ),
    "PaginationLoop": (
        spec(token_style()),
        [Reply(decoded([{"id": 1}], {"next": "A"}))],
        Reply(decoded([{"id": 2}], {"next": "A"})),
    ),
    "TotalMismatch": (
        spec(token_style(), key=("id",)),
        [Reply(decoded([{"id": 1}], {"next": "A"}))],
        Reply(decoded([{"id": 2}], TOTAL)),
    ),
    "BoundaryFull": (
        spec(token_style(), incremental=INCREMENTAL, boundary_cap=2),
        [Reply(decoded([{"id": 1, "u": 5}], {"next": "A"}))],
        Reply(decoded([{"id": 2, "u": 5}, {"id": 3, "u": 5}], {"next": "B"})),
    ),
    "CursorStuck": (
        spec(token_style(), incremental=INCREMENTAL, stop=StopSpec(max_pages=1)),
        [Reply(decoded([{"id": 1, "u": 5}], {"next": "A"}))],
        Reply(decoded([{"id": 1, "u": 5}], {"next": "A"})),
    ),
    "PermanentError": (
        spec(offset_style(), stop=StopSpec(max_pages=2)),
        [Reply(decoded([{"id": 1}]))],
        Reply(decoded([{"id": 2}])),
    ),
}


def standing(planner: PartitionPlanner) -> Any:
    """Everything that an accepted page may change, copied."""
    hidden = {"_spec", "_judge"}
    state = {name: value for name, value in vars(planner).items() if name not in hidden}
    ahead = vars(state.pop("_ahead"))
    for name in ("_boundary", "_memory"):
        state[name] = vars(state[name])
    ahead = {name: value for name, value in ahead.items() if name not in ("_style", "_flying")}
    return deepcopy((state, ahead))


def refused(planner: PartitionPlanner, reply: Reply) -> type[Exception]:
    with pytest.raises(PermanentError) as caught:
        planner.accept(fetched(planner, 100.0), reply, 100.0)
    return caught.type


@pytest.mark.parametrize("name", REFUSED)
def test_an_error_leaves_state_cursor_and_boundary_untouched(name: str) -> None:
    plan, before, bad = REFUSED[name]
    planner = PartitionPlanner(replace(plan, once=False, schedule=Schedule(1.0)), claim())
    for reply in before:
        planner.accept(fetched(planner), reply, 0.0)
    fetch = fetched(planner, 100.0)
    was, page = standing(planner), deepcopy(bad.decoded)
    with pytest.raises(PermanentError) as caught:
        planner.accept(fetch, bad, 100.0)
    assert caught.type.__name__ == name
    assert standing(planner) == was
    assert bad.decoded is not None and page is not None
    assert (bad.decoded.records, bad.decoded.rejects) == (page.records, page.rejects)


records = st.lists(
    st.fixed_dictionaries({"id": st.integers(0, 6), "u": st.integers(0, 6)}), max_size=5
)


@given(
    pages=st.lists(
        st.tuples(records, st.sampled_from(["A", "B", "C", None]), st.sampled_from([None, 3, 20])),
        min_size=1,
        max_size=12,
    ),
    order=st.sampled_from(["ascending", "any"]),
    most=st.sampled_from([2, 100]),
    cap=st.sampled_from([4, 1_000]),
)
def test_a_refused_page_changes_nothing_wherever_it_comes(
    pages: list[Any], order: str, most: int, cap: int
) -> None:
    """And the same page is refused again, for the same reason."""
    plan = spec(
        token_style(),
        incremental=replace(INCREMENTAL, order=order),
        stop=StopSpec(max_pages=most),
        boundary_cap=cap,
        once=False,
        schedule=Schedule(1.0),
    )
    planner, now = PartitionPlanner(plan, claim()), 0.0
    for found, token, total in pages:
        now += 10.0
        fetch = fetched(planner, now)
        was = standing(planner)
        reply = Reply(decoded(found, {"next": token, "total": total}))
        try:
            planner.accept(fetch, reply, now)
        except PermanentError as error:
            assert standing(planner) == was
            assert refused(planner, reply) is type(error)
            return


def test_a_reject_that_comes_again_is_one_dead_letter_and_the_page_is_not_changed() -> None:
    planner = PartitionPlanner(spec(token_style(), incremental=INCREMENTAL), claim())
    page = decoded([{"id": 1, "u": 5}, {"id": 2, "u": 5}], {"next": "A"})
    page.rejects = [Reject(1, "validate", "invalid", (FieldError("$", "x", "y"),), b"{}")]
    page.records, page.indices = page.records[:1], [0]
    again = deepcopy(page)
    again.facts.body = {"next": "B"}

    def taken(found: Any) -> Any:
        [accepted] = planner.accept(fetched(planner), Reply(found), 0.0)
        return accepted

    first, second = taken(page), taken(again)
    assert (ids([first]), len(first.decoded.rejects)) == ([1], 1)
    assert (ids([second]), len(second.decoded.rejects)) == ([], 0)
    assert second.ledger.deduplicated == 2
    assert len(again.rejects) == 1
