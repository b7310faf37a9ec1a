"""Medians, spreads and ratios of the benchmark."""

from __future__ import annotations

import pytest
from benchmarks.against import verdict
from benchmarks.measure import Series
from benchmarks.process import Usage, imports_s
from benchmarks.report import failures, pairs, ratios, spread, table, tables
from benchmarks.rows import ROWS, OnceRow, PageRow
from hypothesis import given
from hypothesis import strategies as st

TIMES = st.lists(st.floats(0.001, 1e3), min_size=2, max_size=9)


def series(label: str, *cpu_s: float, idle: tuple[float, ...] = (), name: str = "bare") -> Series:
    row = ROWS[name]
    assert isinstance(row, OnceRow)
    runs, without = ([Usage(each, each * 2, 50.0) for each in some] for some in (cpu_s, idle))
    return Series(row, label, runs, without)


@given(TIMES, st.floats(0.1, 10))
def test_a_spread_does_not_depend_on_the_unit(values: list[float], factor: float) -> None:
    assert spread([value * factor for value in values]) == pytest.approx(spread(values))


@given(st.lists(st.just(2.0), min_size=2, max_size=9), st.floats(0.001, 1e3))
def test_one_disturbed_round_of_seven_is_no_spread(values: list[float], disturbed: float) -> None:
    del values[2:]
    assert spread([*values * 3, disturbed]) == pytest.approx(0)


def test_of_one_round_the_spread_is_unknown() -> None:
    assert spread([1.0]) == float("inf")


def test_what_a_run_costs_without_pages_is_taken_off_by_its_median() -> None:
    assert series("worker", 3.0, 4.0, idle=(1.0, 9.0, 1.5)).seconds() == [1.5, 2.5]


def test_ratios_are_of_the_same_round() -> None:
    assert ratios(series("here", 2.0, 8.0), series("there", 1.0, 4.0)) == [2.0, 2.0]


def test_only_rows_that_both_sides_have_runs_of_are_compared() -> None:
    here, there = series("here", 1.0), series("there", 2.0)
    alone, failed = series("here", 1.0, name="union"), series("there", name="union")
    failed.failure = "exit 78"
    found = [here, there, alone, failed]
    assert pairs(found, "there") == [(here, there)]
    assert failures(found) == ["union, there: exit 78"]


def test_a_table_has_a_line_for_each_row_beside_the_script() -> None:
    worker = series("worker", 2.4, 2.4, idle=(0.4, 0.4))
    (text,) = tables([worker, series("script", 4.1, 6.1, idle=(0.1, 0.1))])
    title, _, head, bars, line = text.splitlines()
    row = worker.row
    assert isinstance(row, PageRow)
    assert title == "CPU time without the start"
    assert head.startswith("| row")
    assert set(bars) == {"|", "-", " "}
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["bare", "zstandard", f"{row.pages} of 1,000"]
    assert cells[3] == f"{2 / row.pages * 1e3:.2f}"
    assert "2.50 (2.00 to 3.00)" in cells


def test_columns_of_a_table_are_aligned() -> None:
    assert table("a|bb", [["1", "2"], ["333", "4"]]).splitlines() == [
        "| a   | bb |",
        "| --- | -- |",
        "| 1   | 2  |",
        "| 333 | 4  |",
    ]


def test_the_time_of_all_imports_is_the_sum_of_what_each_took_itself() -> None:
    text = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       150 |        200 |   a\n"
        "import time:        50 |         50 | b\n"
        "a warning\n"
    )
    assert imports_s(text) == pytest.approx(200e-6)


@pytest.mark.parametrize(
    ("here", "decides"),
    [
        ([1.0, 1.01, 1.0, 0.99, 1.0], "rounds"),
        ([1.0, 1.01], "instructions"),
        ([1.0, 1.2, 0.9, 1.1, 1.3], "instructions"),
        ([], "instructions"),
    ],
)
def test_rounds_decide_when_they_are_many_and_agree(here: list[float], decides: str) -> None:
    there = [1.0] * len(here)
    *_, decided = verdict(series("here", *here), series("there", *there), lambda: "instructions")
    assert decided == decides
