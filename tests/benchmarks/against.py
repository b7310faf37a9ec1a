"""`make bench-against REV=...`: the rows by the worker here and by that of another commit, in turn.

The other commit is cloned into a temporary directory and gets an environment of its own. The
median of the ratios of the rounds decides; where rounds are few or spread over 3 %, user
instructions by callgrind decide. Without rounds only instructions are counted: the way for a
machine that others use.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import polling, report
from benchmarks.contenders import Worker
from benchmarks.measure import Place, counted, rounds, serving
from benchmarks.process import RunFailed, clean_up_on_terminate
from benchmarks.rows import OnceRow, PollRow, Row, chosen

ROOT: Final = Path(__file__).parents[2]
ROUNDS: Final = 7
CERTAIN: Final = 0.03
"""Ratios that spread more than this do not decide."""
ENOUGH: Final = 5
"""Nor do those of fewer rounds: two may agree by chance."""
HERE: Final = "here"
THERE: Final = "there"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--rows", default="", help="names, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    clean_up_on_terminate()
    started = time.monotonic()
    rows = chosen(options.rows)
    with other_commit(options.revision) as python, serving(rows) as place:
        sides = [Worker(HERE, Path(sys.executable)), Worker(THERE, python)]
        found = measured(rows, sides, options.rounds, place)
        print(compare(found, sides, place))
    print(f"{time.monotonic() - started:.0f} s, {options.rounds} rounds, {options.revision}")
    if failed := report.failures(found):
        sys.exit("\n".join(failed))


@contextmanager
def other_commit(revision: str) -> Iterator[Path]:
    """The interpreter of an environment in which that commit is installed, by its own Makefile."""
    interpreter = Path(sys.executable).resolve()
    with tempfile.TemporaryDirectory(prefix="bench-against") as name:
        clone = Path(name) / "clone"
        for command in (
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(clone)],
            ["git", "-C", str(clone), "checkout", "--quiet", "--force", revision],
            [
                *("make", "--silent", "-C", str(clone), ".venv/.stamp"),
                # a Makefile that names its environment after the interpreter is told the name
                *(f"PYTHON={interpreter}", "VENV=.venv"),
            ],
        ):
            subprocess.run(command, check=True)
        yield clone / ".venv" / "bin" / "python"


def measured(
    rows: Sequence[Row], sides: Sequence[Worker], count: int, place: Place
) -> list[report.Measured]:
    """All rows by both sides; without rounds nothing is known of polls, which are not counted."""
    once = [row for row in rows if isinstance(row, OnceRow)]
    found: list[report.Measured] = [*rounds(once, sides, count, place)]
    for row in rows:
        if isinstance(row, PollRow) and count:
            found += polling.watch(row, sides, max(count, polling.WINDOWS), place)
    return found


def compare(found: Sequence[report.Measured], sides: Sequence[Worker], place: Place) -> str:
    """A table of the rows in which neither side failed."""
    series = {(each.row.name, each.label): each for each in found if not each.failure}
    lines = []
    for (name, label), one in series.items():
        if label == HERE and (other := series.get((name, THERE))):
            decided = verdict(one, other, partial(_instructions, one.row, sides, place))
            lines.append([name, one.row.codec, *decided])
    return report.table("row|codec|here, s|there, s|here / there|spread|decided by", lines)


def verdict(
    one: report.Measured, other: report.Measured, count: Callable[[], str]
) -> tuple[str, str, str, str, str]:
    """Seconds of both, ratio, spread, and what decides; `count` is called where rounds do not."""
    found = report.ratios(one, other)
    if not found:
        return "", "", "", "", count()
    spread = report.spread(found)
    return (
        f"{statistics.median(one.seconds()):.3f}",
        f"{statistics.median(other.seconds()):.3f}",
        f"{statistics.median(found):.3f}",
        report.percent(spread),
        "rounds" if spread <= CERTAIN and len(found) >= ENOUGH else count(),
    )


def _instructions(row: Row, sides: Sequence[Worker], place: Place) -> str:
    """What instructions say, in words; both sides are counted at once, undisturbed."""
    print(f"counting the instructions of {row.name}", file=sys.stderr, flush=True)
    try:
        with ThreadPoolExecutor() as pool:
            mine, theirs = pool.map(lambda side: counted(row, side, place), sides)
    except RunFailed as error:
        return f"nothing: {error}"
    if mine is None or theirs is None:
        return "nothing: no instructions are counted of this row, or valgrind is not there"
    return f"instructions: {mine / theirs:.3f} ({mine / 1e6:,.0f} M to {theirs / 1e6:,.0f} M)"


if __name__ == "__main__":
    main()
