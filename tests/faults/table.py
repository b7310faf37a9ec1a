"""Injects the faults and prints what was expected and what was observed; exit 1 where they differ.

python -m faults.table [ROW...]
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

if __name__ == "__main__":  # the directories that pytest puts on the path of the tests
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "chaos")]

from faults.marks import Shown, shown
from faults.rows import ROWS, Row

NARROW = 140
SHARES = (0.04, 0.2, 0.2, 0.24, 0.32)  # of the width: row, fault, expected, injected, observed


@dataclass
class Outcome:
    """What became of a test, with all its parameters."""

    passed: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether it failed, or could not be found."""
        return bool(self.failures) or not (self.passed or self.skips)

    def observed(self, claim: str) -> str:
        """What was observed, given what the test claims."""
        if self.failures:
            return f"DIFFERS: not so that {claim}: {self.failures[0]}"
        if self.passed:
            return claim + (f" ({self.passed} times)" if self.passed > 1 else "")
        return f"not injected: {self.skips[0]}" if self.skips else "DIFFERS: the test did not run"


class Observer:
    """A plugin of pytest that keeps the outcome of every test."""

    def __init__(self) -> None:
        self._of: defaultdict[str, Outcome] = defaultdict(Outcome)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # a test may be named with its parameters, or without them for all of them
        for outcome in {
            name: self._of[name] for name in (report.nodeid, report.nodeid.partition("[")[0])
        }.values():
            if report.failed:
                outcome.failures.append(_reason(report))
            elif report.skipped:
                outcome.skips.append(_reason(report))
            elif report.when == "call":
                outcome.passed += 1

    def of(self, test: Shown) -> Outcome:
        return self._of[test.node]


def _reason(report: pytest.TestReport) -> str:
    """In one line: why a test was skipped, or how it failed."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return (crash.message if crash else str(report.longrepr)).strip().splitlines()[0]


def run(tests: Collection[Shown], jobs: str) -> Observer:
    """Runs them, the longest first."""
    observer = Observer()
    nodes = [test.node for test in sorted(tests, key=lambda test: 44 not in test.rows)]
    options = ["-q", "-n", jobs, "--dist", "worksteal", "--rootdir", str(Path.cwd())]
    pytest.main([*options, *nodes], plugins=[observer])
    return observer


def lines(cells: Sequence[str], width: int) -> Iterator[str]:
    """One entry of the table: each cell wrapped in a column of its own."""
    widths = [max(int(width * share), 3) for share in SHARES]
    wrapped = [
        textwrap.wrap(cell, each - 1) or [""] for cell, each in zip(cells, widths, strict=True)
    ]
    for number in range(max(map(len, wrapped))):
        parts = [part[number] if number < len(part) else "" for part in wrapped]
        yield "".join(part.ljust(each) for part, each in zip(parts, widths, strict=True)).rstrip()


def entries(row: Row, tests: Sequence[Shown], observer: Observer) -> list[Sequence[str]]:
    """The cells of a row: one entry for each test, of which the first names the row."""
    found = [(test.by, observer.of(test).observed(test.claim)) for test in tests]
    first, *more = found or [("", f"not injected: {row.later}")]
    return [
        (str(row.number), row.fault, row.expected, *first),
        *(("", "", "", *each) for each in more),
    ]


def report(rows: Sequence[Row], tests: Sequence[Shown], observer: Observer) -> bool:
    """Prints the table and its sum; whether nothing differs."""
    width = max(shutil.get_terminal_size((NARROW, 24)).columns, NARROW)
    print(*lines(("row", "fault", "expected", "injected", "observed"), width), sep="\n")
    differing, absent = [], []
    for row in rows:
        own = [test for test in tests if row.number in test.rows]
        print("-" * width)
        for cells in entries(row, own, observer):
            print(*lines(cells, width), sep="\n")
        if any(observer.of(test).differs for test in own):
            differing.append(row.number)
        elif not any(observer.of(test).passed for test in own):
            absent.append(row.number)
    kept = len(rows) - len(differing) - len(absent)
    print("=" * width)
    print(
        f"{kept} of {len(rows)} rows as expected; "
        f"differing: {differing or 'none'}; not injected here, and not counted: {absent or 'none'}"
    )
    return not differing


def main(arguments: Sequence[str]) -> int:
    wanted = {int(each) for each in arguments}
    rows = [row for row in ROWS if not wanted or row.number in wanted]
    numbers = {row.number for row in rows}
    tests = [test for test in shown() if numbers & set(test.rows)]
    observer = run(tests, os.environ.get("JOBS", "auto"))
    return 0 if report(rows, tests, observer) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
