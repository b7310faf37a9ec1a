"""Nothing is lost, and nothing comes twice, but what the pass itself admits."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from reading.cells import STYLES
from reading.live import Change, History, Plan, Process

RUNS = int(os.environ.get("RUNS", "500"))
NAMES = (
    "none",
    "page",
    "offset",
    "offset, limit",
    "offset, seam",
    "token for a number",
    "link for a number",
    "token for a value",
    "Link header for a value",
    "window",
    "offset in a window",
    "token for a value in a window",
)
BY_NAME = {style.name: style for style in STYLES}


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    style = BY_NAME[draw(st.sampled_from(NAMES))]
    orders = ["ascending", "descending", "any"] + ([] if style.windowed else ["snapshot"])
    return Plan(
        style=style,
        order=draw(st.sampled_from(orders)),
        total=draw(st.booleans()),
        key=draw(st.booleans()),
        count=draw(st.integers(0, 9)),
        size=draw(st.integers(1, 3)),
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


@settings(max_examples=RUNS)
@given(
    plan=plans(),
    changes=st.lists(st.lists(CHANGES, max_size=2), max_size=12),
    processes=st.lists(PROCESSES, min_size=1, max_size=4),
)
def test_what_is_lost_or_comes_again_is_what_the_pass_admits(
    plan: Plan, changes: list[list[Change]], processes: list[Process]
) -> None:
    history = History(plan, changes)
    for process in processes:
        history.run(process)
    history.finish()
