"""`make bench-against REV=...`: the rows by the worker here and by the worker of another commit, interleaved.

The other commit is cloned into a temporary directory and gets an environment of its own. What decides is the
median of the ratios of the rounds; where they spread over 3 %, user instructions by callgrind decide.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks import polling, report
from benchmarks.contenders import Worker
from benchmarks.measure import Place, counted, rounds, serving
from benchmarks.process import RunFailed
from benchmarks.rows import OnceRow, PollRow, Row, chosen

ROOT: Final = Path(__file__).parents[2]
ROUNDS: Final = 7
CERTAIN: Final = 0.03
"""Ratios that spread more than this do not decide."""
HERE: Final = "here"
THERE: Final = "there"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--rows", default="", help="names, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    started = time.monotonic()
    rows = chosen(options.rows)
    with other_commit(options.revision) as python, serving(rows) as place:
        here, there = Worker(HERE, Path(sys.executable)), Worker(THERE, python)
        found = compare(rows, here, there, options.rounds, place)
    print(f"{time.monotonic() - started:.0f} s, {options.rounds} rounds, {options.revision}")
    if failed := report.failures(found):
        sys.exit("\n".join(failed))


@contextmanager
def other_commit(revision: str) -> Iterator[Path]:
    """The interpreter of an environment in which that commit is installed, by its own Makefile."""
    with tempfile.TemporaryDirectory(prefix="bench-against") as name:
        clone = Path(name) / "clone"
        for command in (
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(clone)],
            ["git", "-C", str(clone), "checkout", "--quiet", revision],
            [
                "make",
                "--silent",
                "-C",
                str(clone),
                ".venv/.stamp",
                f"PYTHON={Path(sys.executable).resolve()}",
            ],
        ):
            subprocess.run(command, check=True)
        yield clone / ".venv" / "bin" / "python"


def compare(
    rows: Sequence[Row], here: Worker, there: Worker, count: int, place: Place
) -> list[report.Measured]:
    """Measures all rows and prints a table of them."""
    moving = [row for row in rows if isinstance(row, OnceRow)]
    found: list[report.Measured] = [*rounds(moving, [here, there], count, place)]
    for row in rows:
        if isinstance(row, PollRow):
            found += polling.watch(row, [here, there], max(count, polling.WINDOWS), place)
    pairs = [pair for pair in report.pairs(found, THERE) if pair[0].label == HERE]
    lines = [_line(*pair, here, there, place) for pair in pairs]
    head = "row|codec|here, s|there, s|here / there|spread|decided by"
    print(report.table(head, lines))
    return found


def _line(
    one: report.Measured, other: report.Measured, here: Worker, there: Worker, place: Place
) -> list[str]:
    found = report.ratios(one, other)
    spread = report.spread(found)
    decided = "rounds" if spread <= CERTAIN else _instructions(one.row, here, there, place)
    return [
        one.row.name,
        one.row.codec,
        f"{statistics.median(one.seconds()):.3f}",
        f"{statistics.median(other.seconds()):.3f}",
        f"{statistics.median(found):.3f}",
        report.percent(spread),
        decided,
    ]


def _instructions(row: Row, here: Worker, there: Worker, place: Place) -> str:
    """What the fallback says, in words; both sides are counted at once, as neither disturbs the other."""
    try:
        with ThreadPoolExecutor() as pool:
            mine, theirs = pool.map(lambda side: counted(row, side, place), (here, there))
    except RunFailed as error:
        return f"nothing: {error}"
    if mine is None or theirs is None:
        return "nothing: no instructions are counted of this row, or valgrind is not there"
    return f"instructions: {mine / theirs:.3f} ({mine / 1e6:,.0f} M to {theirs / 1e6:,.0f} M)"


if __name__ == "__main__":
    main()
