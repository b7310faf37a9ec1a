"""`make bench`: the rows of `rows.py`, each beside a careful script or a bare loop of the same rounds."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import polling, report
from benchmarks.contenders import Contender, Script, Worker, peers
from benchmarks.measure import rounds, serving
from benchmarks.rows import PageRow, PollRow, Row, StartRow, chosen, cpu_s, wall_s


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
    started = time.monotonic()
    found = bench(
        chosen(options.rows), options.rounds, peers(options.peers) if options.peers else []
    )
    print(f"{time.monotonic() - started:.0f} s, {options.rounds} rounds")
    if failed := report.failures(found):
        sys.exit("\n".join(failed))


def bench(rows: Sequence[Row], count: int, others: Sequence[Contender]) -> list[report.Measured]:
    """Measures the rows and prints a table of each kind."""
    worker, script = Worker("worker", Path(sys.executable)), Script()
    with serving(rows) as place:
        moving = [row for row in rows if isinstance(row, PageRow | StartRow)]
        found = rounds(moving, [worker, script, *others], count, place)
        pages = [each for each in found if isinstance(each.row, PageRow)]
        for figure, title in (
            (cpu_s, "CPU time, without the start"),
            (wall_s, "Time on the clock"),
        ):
            if some := [each for each in pages if each.row.figure is figure]:
                print(f"{title}\n\n{report.page_table(some, script.label)}\n", flush=True)
        if starts := [each for each in found if isinstance(each.row, StartRow)]:
            print(f"Starts\n\n{report.start_table(starts, script.label)}\n", flush=True)
        windows = max(count, polling.WINDOWS)
        watched = [
            each
            for row in rows
            if isinstance(row, PollRow)
            for each in polling.watch(row, [worker], windows, place)
        ]
        if watched:
            print(f"Polls\n\n{report.poll_table(watched)}\n", flush=True)
    return [*found, *watched]


if __name__ == "__main__":
    main()
