"""Rounds: every row by every contender in turn, so that what disturbs the machine disturbs all."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.process import RunFailed, Usage, imports_s, instructions, module, run
from benchmarks.rows import OnceRow, PageRow, Row, StartRow


@dataclass(slots=True)
class Series:
    """The runs of a row by one contender.

    Attributes:
        runs: one of each round.
        idle: the same runs without pages; there are none for a row that moves no records.
        failure: why there are no more runs.
    """

    row: OnceRow
    label: str
    runs: list[Usage] = field(default_factory=list)
    idle: list[Usage] = field(default_factory=list)
    failure: str = ""

    def seconds(self) -> list[float]:
        """The figure of each run, less the median of the runs without pages."""
        figure = self.row.figure
        start = statistics.median(map(figure, self.idle)) if self.idle else 0.0
        return [figure(each) - start for each in self.runs]


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs happen: a directory, and the URL of the server."""

    top: Path
    server: str

    @contextmanager
    def fresh(self) -> Iterator[Path]:
        """An empty working directory for one run."""
        with tempfile.TemporaryDirectory(dir=self.top) as name:
            yield Path(name)


@contextmanager
def serving(rows: Sequence[Row]) -> Iterator[Place]:
    """Starts a server that has the pages of these rows."""
    wanted: dict[str, int] = {}
    for row in rows:
        if isinstance(row, PageRow):
            for kind in {row.kind, row.script_kind or row.kind}:
                name = f"{kind}-{row.size}"
                wanted[name] = max(wanted.get(name, 0), row.pages)
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        top = Path(name)
        port = top / "port"
        pages = [f"{name}:{pages}" for name, pages in wanted.items()]
        server = module("benchmarks.serve", str(port), *pages)
        try:
            while not port.exists() or not port.read_text():
                if server.poll() is not None:
                    raise SystemExit("the server of the benchmark did not start")
                time.sleep(0.05)
            yield Place(top, f"http://127.0.0.1:{port.read_text()}")
        finally:
            server.terminate()
            server.wait()


def rounds(
    rows: Sequence[OnceRow], contenders: Sequence[Contender], count: int, place: Place
) -> list[Series]:
    """Measures the rows so many times; a contender that fails in a row is left out of it then."""
    for contender in contenders:  # compiles what is imported
        measure(StartRow(name="warm", says="a first start"), contender, place)
    found = {(row.name, each.label): Series(row, each.label) for row in rows for each in contenders}
    for number in range(count):
        print(f"round {number + 1} of {count}", file=sys.stderr, flush=True)
        for row in rows:
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                series = found[row.name, contender.label]
                if not series.failure:
                    add(series, row, contender, place)
    return list(found.values())


def add(series: Series, row: OnceRow, contender: Contender, place: Place) -> None:
    """Adds a round to a series."""
    try:
        if isinstance(row, PageRow):
            series.idle.append(measure(row, contender, place, pages=row.idle_pages))
            series.runs.append(measure(row, contender, place, pages=row.pages))
        else:
            series.runs.append(measure(row, contender, place))
    except RunFailed as error:
        series.failure = str(error)


def measure(row: OnceRow, contender: Contender, place: Place, pages: int = 0) -> Usage:
    """One run. Raises RunFailed, also when other records are in the files than the row asks for."""
    with place.fresh() as directory:
        if isinstance(row, StartRow):
            usage, text = run(contender.start(row, place.server, directory), directory)
            return replace(usage, wall_s=imports_s(text)) if row.imports else usage
        usage, _ = run(contender.pages(row, pages, place.server, directory), directory)
        check(row, pages * row.size, contender.count(directory), contender.label)
        return usage


def check(row: PageRow, sent: int, written: int, label: str) -> None:
    """Checks that the files hold as many records as the row keeps; the script keeps all.

    Raises:
        RunFailed: They hold fewer or more.
    """
    if row.kept is None:
        expected = sent * 0.95 <= written <= sent
    else:
        expected = written in (sent, round(sent * row.kept))
    if not expected:
        raise RunFailed(f"{label} wrote {written:,} of {sent:,} records")


def counted(row: Row, contender: Contender, place: Place) -> int | None:
    """User instructions of a row: of a start, or of pages, less those of the run without pages.

    None where there is no valgrind, and for rows that are about time.

    Raises:
        RunFailed: The run failed.
    """
    if isinstance(row, PageRow):
        many = _instructions(row, contender, place, row.counted_pages)
        idle = _instructions(row, contender, place, row.idle_pages)
        return None if many is None or idle is None else many - idle
    if isinstance(row, StartRow) and not row.imports:
        with place.fresh() as directory:
            return instructions(contender.start(row, place.server, directory), directory)
    return None


def _instructions(row: PageRow, contender: Contender, place: Place, pages: int) -> int | None:
    with place.fresh() as directory:
        return instructions(contender.pages(row, pages, place.server, directory), directory)
