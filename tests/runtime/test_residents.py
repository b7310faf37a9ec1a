"""Partitions stay until everything of them is committed."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from worker.runtime.residents import Residents

steps = st.lists(st.tuples(st.sampled_from(["sent", "staged", "committed"]), st.booleans()))


def test_one_is_settled_when_its_last_page_is_committed() -> None:
    residents, settled = Residents(), list[str]()
    residents.settled = settled.append
    assert residents.is_settled("a")
    residents.sent("a")
    residents.sent("a")
    residents.staged("a", waits=True)
    residents.committed(["a"])
    assert settled == [], "another page is on its way"
    residents.staged("a", waits=True)
    assert settled == [], "it waits for a commit"
    residents.committed(["a", "b"])
    assert settled == ["a", "b"]


def test_a_page_that_leaves_nothing_to_be_committed_settles_it_at_once() -> None:
    residents, settled = Residents(), list[str]()
    residents.settled = settled.append
    residents.sent("a")
    residents.staged("a", waits=False)
    assert settled == ["a"]


@given(steps)
def test_it_is_settled_exactly_while_nothing_is_under_way(taken: list[tuple[str, bool]]) -> None:
    residents, pages, waits = Residents(), Counter[str](), False
    for step, flag in taken:
        if step == "sent":
            residents.sent("a")
            pages["a"] += 1
        elif step == "staged" and pages["a"]:
            residents.staged("a", waits=flag)
            pages["a"] -= 1
            waits = flag
        elif step == "committed":
            residents.committed(["a"])
            waits = False
        assert residents.is_settled("a") == (not pages["a"] and not waits)
