"""Nothing is lost, and nothing comes twice, but what the pass itself admits."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading.cells import STYLES
from reading.listing import Style
from reading.live import Change, History, Plan, Process

RUNS = int(os.environ.get("RUNS", "500"))
NAMES = (
    "one page",
    "page",
    "offset",
    "offset, limit",
    "offset, seam",
    "token for a number",
    "link for a number",
    "token for a value",
    "token from the last record",
    "Link header for a value",
    "window",
    "page in a window",
    "offset in a window",
    "token for a number in a window",
    "token for a value in a window",
)
BY_NAME = {style.name: style for style in STYLES}


def plans(style: Style) -> st.SearchStrategy[Plan]:
    orders = ["ascending", "descending", "any"] + ([] if style.windowed else ["snapshot"])
    least = 2 if style.seam else 1  # a seam is a record of its own
    return st.builds(
        Plan,
        style=st.just(style),
        order=st.sampled_from(orders),
        total=st.booleans(),
        key=st.booleans(),
        count=st.integers(0, 9),
        size=st.integers(least, 3),
    )


CHANGES = st.one_of(
    st.builds(
        Change,
        kind=st.sampled_from(["insert", "delete", "update", "wait"]),
        where=st.integers(0, 100),
        seconds=st.sampled_from([0, 0, 1, 30]),
    ),
    st.builds(
        Change, kind=st.just("jump"), seconds=st.sampled_from([-86_400, -40, -1, 1, 40, 86_400])
    ),
)
PROCESSES = st.builds(
    Process, pages=st.sampled_from([1, 2, 3, 100]), commits_every=st.integers(1, 3)
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=-(-RUNS // len(NAMES)))
@given(
    data=st.data(),
    changes=st.lists(st.lists(CHANGES, max_size=2), max_size=12),
    processes=st.lists(PROCESSES, min_size=1, max_size=4),
)
def test_what_is_lost_or_comes_again_is_what_the_pass_admits(
    name: str, data: st.DataObject, changes: list[list[Change]], processes: list[Process]
) -> None:
    history = History(data.draw(plans(BY_NAME[name])), changes)
    for process in processes:
        history.run(process)
    history.finish()
