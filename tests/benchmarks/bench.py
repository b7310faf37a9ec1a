"""`make bench`: the rows of `rows.py`, each beside a careful script or a bare loop."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import polling, report
from benchmarks.contenders import WORKER, Contender, Script, Worker, peers
from benchmarks.measure import rounds, serving
from benchmarks.process import clean_up_on_terminate
from benchmarks.rows import OnceRow, PollRow, Row, chosen


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="names, with commas; default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="PYTHON",
        help="also run dlt and Airbyte's CDK, with this interpreter",
    )
    options = parser.parse_args()
    clean_up_on_terminate()
    started = time.monotonic()
    others = peers(options.peers) if options.peers else []
    found = bench(chosen(options.rows), options.rounds, others)
    print("\n\n".join(report.tables(found)))
    print(f"{time.monotonic() - started:.0f} s, {options.rounds} rounds")
    if failed := report.failures(found):
        sys.exit("\n".join(failed))


def bench(rows: Sequence[Row], count: int, others: Sequence[Contender]) -> list[report.Measured]:
    """Measures the rows beside the script and the others, polls beside the bare loop."""
    worker = Worker(WORKER, Path(sys.executable))
    with serving(rows) as place:
        moving = [row for row in rows if isinstance(row, OnceRow)]
        found: list[report.Measured] = [*rounds(moving, [worker, Script(), *others], count, place)]
        for row in rows:
            if isinstance(row, PollRow):
                found += polling.watch(row, [worker], max(count, polling.WINDOWS), place)
    return found


if __name__ == "__main__":
    main()
