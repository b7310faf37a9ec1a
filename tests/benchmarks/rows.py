"""The rows of `make bench`: what users do, as values.

A row says what is read and how; `configs.py` makes a config of it, `contenders.py` a command.
What a row costs is net of the same run over a source without pages, which the report shows as its
start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.process import Usage

Figure = Callable[[Usage], float]
"""Seconds of a run that a row is about."""


def cpu_s(usage: Usage) -> float:
    """User and system time of the process."""
    return usage.cpu_s


def wall_s(usage: Usage) -> float:
    """Time from start to end."""
    return usage.wall_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRow:
    """A pass over a source of many pages, from the first to the last.

    Attributes:
        kind: what the records are, one of `data.KINDS`.
        script_kind: what the careful script reads where it cannot read `kind`.
        idle_pages: pages of the run that is taken off; a log that shall hold commits needs one.
        counted_pages: pages of a run under valgrind.
        source, pipeline, sink: what is added to these parts of the config.
        partitions: each page is the only one of a partition of its own.
        commits_before: commits that the log holds before the run.
        kept: share of the records that is written; None where the filter decides.
    """

    name: str
    says: str
    pages: int
    size: int = 1_000
    kind: str = "flights"
    script_kind: str | None = None
    codec: str = "zstandard"
    figure: Figure = cpu_s
    idle_pages: int = 0
    counted_pages: int = 20
    roll_records: int = 100_000
    delay_ms: int = 0
    partitions: bool = False
    commits_before: int = 0
    kept: float | None = 1.0
    source: Mapping[str, Any] = field(default_factory=dict)
    pipeline: Mapping[str, Any] = field(default_factory=dict)
    sink: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What its table is called."""
        return "CPU time without the start" if self.figure is cpu_s else "Time on the clock"

    @property
    def moved_pages(self) -> int:
        """The pages that the figure is about."""
        return self.pages - self.idle_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRow:
    """A start of the program that moves no records.

    Attributes:
        imports: the time on the clock is that of imports, by the interpreter's own account.
        help: the command is `--help` and not a run.
    """

    name: str
    says: str
    imports: bool = False
    help: bool = False
    figure: Figure = cpu_s
    codec: str = "none"
    title: str = "Starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRow:
    """Many pipelines that are polled every few seconds and find nothing new."""

    name: str
    says: str
    pipelines: int
    every_s: int = 10
    codec: str = "zstandard"
    title: str = "Polls"


OnceRow = PageRow | StartRow
"""Rows whose runs end by themselves."""
Row = OnceRow | PollRow

_TRANSFORMS: Final = [
    {"filter": "distance > 100 and carrier not in ['XX']"},
    {"rename": {"dest": "destination"}},
    {"set": {"delayed": "dep_delay > 60"}},
    {"mask": {"fields": ["tailnum"], "method": "hash", "key": "bench"}},
]
_INCREMENTAL: Final = {
    "key": ["id"],
    "incremental": {"field": "time_hour", "param": "since", "initial": "2025-01-01T00:00:00Z"},
}

PAGES: Final = (
    PageRow(name="bare", says="flights as they come", pages=400),
    PageRow(name="deflate", says="the same with deflate", pages=400, codec="deflate"),
    PageRow(
        name="transforms",
        says="filter, rename, set, mask, 105 routes",
        pages=300,
        kept=None,
        pipeline={"transforms": _TRANSFORMS, "output_schema": "delays.avsc"},
        sink={"partition_by": "destination={destination}", "max_open_files": 128},
    ),
    PageRow(
        name="bad",
        says="1 % of the records break the schema",
        pages=300,
        kind="bad",
        script_kind="flights",
        kept=0.99,
    ),
    PageRow(name="union", says="a field that is one of two records", pages=300, kind="union"),
    PageRow(name="pages-10", says="pages of 10", pages=2_000, size=10, counted_pages=200),
    PageRow(name="pages-100", says="pages of 100", pages=1_500, size=100, counted_pages=100),
    PageRow(name="pages-5000", says="pages of 5,000 (1.5 MB)", pages=60, size=5_000),
    PageRow(name="tickets", says="3 KB a record, nested", pages=600, size=100, kind="tickets"),
    PageRow(
        name="tickets-1000",
        says="the same in pages of 3 MB",
        pages=60,
        size=1_000,
        kind="tickets",
        counted_pages=10,
    ),
    PageRow(
        name="each",
        says="flights in items of 20, whose carrier each of them keeps",
        pages=400,
        kind="carriers",
        script_kind="flights",
        source={
            "records": {"path": "data.items", "each": "flights", "keep": {"carrier": "carrier"}}
        },
    ),
    PageRow(name="readings", says="small integers, short texts", pages=600, kind="readings"),
    PageRow(
        name="csv",
        says="flights as CSV; the script reads them as JSON",
        pages=300,
        kind="csv",
        script_kind="flights",
        source={
            "records": None,
            "pagination": {
                "type": "cursor",
                "from": {"header": "X-Next"},
                "to": {"param": "cursor"},
            },
        },
        pipeline={"decode": {"type": "csv", "csv": {"header": "each"}}},
    ),
    PageRow(
        name="incremental",
        says="an incremental field and a key",
        pages=300,
        kind="ascending",
        source=_INCREMENTAL,
    ),
    PageRow(
        name="partitions",
        says="200 partitions of 20 records",
        pages=200,
        size=20,
        partitions=True,
        counted_pages=200,
    ),
    PageRow(
        name="slow",
        says="a server that takes 100 ms a page, by cursor",
        pages=40,
        delay_ms=100,
        figure=wall_s,
    ),
    PageRow(
        name="slow-numbered",
        says="the same by page number",
        pages=40,
        delay_ms=100,
        figure=wall_s,
        source={
            "pagination": {
                "type": "page",
                "param": "page",
                "start": 0,
                "total_pages": {"body": "meta.pages"},
            }
        },
    ),
    PageRow(
        name="commits",
        says="a commit a page of 100",
        pages=200,
        size=100,
        idle_pages=1,
        roll_records=100,
        source={"schedule": {"every": "1h"}},
    ),
    PageRow(
        name="commits-100k",
        says="the same with 100,000 commits in the log",
        pages=200,
        size=100,
        idle_pages=1,
        roll_records=100,
        commits_before=100_000,
        source={"schedule": {"every": "1h"}},
    ),
)
STARTS: Final = (
    StartRow(name="help", says="worker --help", help=True),
    StartRow(name="idle", says="a run that finds an empty page"),
    StartRow(name="imports", says="the imports of that run", imports=True, figure=wall_s),
)
POLLS: Final = (
    PollRow(name="polls-100", says="100 pipelines polled every 10 s", pipelines=100),
    PollRow(name="polls-500", says="500 pipelines polled every 10 s", pipelines=500),
)
ROWS: Final[dict[str, Row]] = {row.name: row for row in (*PAGES, *STARTS, *POLLS)}


def chosen(names: str) -> list[Row]:
    """The rows that are named, with commas between them; all rows when none is named.

    Raises:
        SystemExit: There is no row of such a name.
    """
    wanted = [name for name in names.split(",") if name]
    if unknown := [name for name in wanted if name not in ROWS]:
        raise SystemExit(f"no row is called {', '.join(unknown)}; there are {', '.join(ROWS)}")
    return [row for name, row in ROWS.items() if not wanted or name in wanted]
