"""Every row of the table of faults is shown by a test, or says why none can show it yet."""

from __future__ import annotations

import re

import pytest
from faults.marks import Shown, shown
from faults.rows import ROWS, Row
from faults.table import Observer, report

TESTS = shown()


def test_the_rows_are_those_that_were_promised() -> None:
    assert [row.number for row in ROWS] == list(range(1, 62))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_row_is_shown_by_a_test_or_says_why_not(row: Row) -> None:
    assert any(row.number in test.rows for test in TESTS) is not bool(row.later)


def test_every_mark_names_rows_that_there_are() -> None:
    known = {row.number for row in ROWS}
    assert [test.node for test in TESTS if not test.rows or set(test.rows) - known] == []


def ended(name: str, outcome: str, why: object = None) -> pytest.TestReport:
    """What pytest reports of a test."""
    return pytest.TestReport(name, ("t.py", 1, name), {}, outcome, why, "call")  # type: ignore[arg-type]


TWO = [ended("t.py::test_both[1]", "passed"), ended("t.py::test_both[2]", "failed", "2 is not 1")]
SKIPPED = ended("t.py::test_nothing", "skipped", ("t.py", 1, "Skipped: no strace"))


@pytest.mark.parametrize(
    ("node", "reports", "kept", "says"),
    [
        ("t.py::test_both[1]", TWO, True, "it is kept 1 of 1 rows as expected"),
        ("t.py::test_both", TWO, False, "DIFFERS: not so that it is kept: 2 is not 1"),
        ("t.py::test_both", TWO[:1] * 2, True, "it is kept (2 times)"),
        ("t.py::test_nothing", [SKIPPED], True, "not injected: no strace"),
        ("t.py::test_absent", TWO, False, "DIFFERS: the test did not run"),
    ],
)
def test_the_table_says_what_was_observed(
    node: str,
    reports: list[pytest.TestReport],
    kept: bool,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    test = Shown((7,), node, "a way", "it is kept")
    observer = Observer()
    for each in reports:
        observer.pytest_runtest_logreport(each)
    assert report([Row(7, "a fault", "a promise")], [test], observer) is kept
    assert says in " ".join(re.sub("[-=]{9,}", "", capsys.readouterr().out).split())


def test_a_row_that_nothing_shows_is_named_and_not_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report([Row(7, "a fault", "a promise", later="no source streams")], [], Observer())
    assert "0 of 1 rows as expected" in (out := capsys.readouterr().out)
    assert "no source streams" in out and "not counted: [7]" in out
