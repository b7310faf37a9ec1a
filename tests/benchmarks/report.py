"""Medians, spreads and ratios of what was measured, as tables that Markdown understands."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from benchmarks.contenders import SCRIPT, WORKER
from benchmarks.measure import Series
from benchmarks.polling import LOOP, Watched
from benchmarks.rows import PageRow, PollRow, Row, StartRow, cpu_s, wall_s


class Measured(Protocol):
    """The runs of a row by one contender."""

    @property
    def row(self) -> Row: ...
    @property
    def label(self) -> str: ...
    @property
    def failure(self) -> str: ...

    def seconds(self) -> list[float]:
        """The figure of each round."""
        ...


def spread(values: Sequence[float]) -> float:
    """The middle half of the values (the distance of their quartiles) as a share of their median.

    Infinite for fewer than two values: nothing is known then.
    """
    if len(values) < 2:
        return float("inf")
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def ratios(one: Measured, other: Measured) -> list[float]:
    """`one` to `other`, round by round: what disturbs a round disturbs both."""
    return [mine / theirs for mine, theirs in zip(one.seconds(), other.seconds(), strict=False)]


def table(head: str, rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown with aligned columns; `head` has bars between them."""
    lines = [head.split("|"), *(list(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def percent(share: float) -> str:
    """A spread as text."""
    return "unknown" if share == float("inf") else f"{share:.1%}"


def pairs(found: Iterable[Measured], label: str) -> list[tuple[Measured, Measured]]:
    """Each series beside the one of `label` in the same row, where both have runs."""
    with_runs = [each for each in found if each.seconds()]
    yardsticks = {each.row.name: each for each in with_runs if each.label == label}
    return [
        (each, yardsticks[each.row.name])
        for each in with_runs
        if each.label != label and each.row.name in yardsticks
    ]


def failures(found: Iterable[Measured]) -> list[str]:
    """What could not be measured, and why."""
    return [f"{each.row.name}, {each.label}: {each.failure}" for each in found if each.failure]


def tables(found: Sequence[Measured]) -> Iterator[str]:
    """A table of each kind of row, with its title."""
    titles = {each.row.title: type(each.row) for each in found}
    for title, kind in titles.items():
        label, head, line = _TABLES[kind]
        some = pairs((each for each in found if each.row.title == title), label)
        yield f"{title}\n\n{table(head, (line(*pair) for pair in some))}"


def _page_line(one: Series, other: Series) -> list[str]:
    row = one.row
    assert isinstance(row, PageRow)
    pages = row.moved_pages
    return [
        _name(one),
        row.codec if one.label == WORKER else "its own",
        f"{row.pages:,} of {row.size:,}",
        f"{statistics.median(one.seconds()) / pages / row.size * 1e6:.2f}",
        f"{statistics.median(one.seconds()) / pages * 1e6:,.0f}",
        percent(spread(one.seconds())),
        f"{statistics.median(other.seconds()) / pages / row.size * 1e6:.2f}",
        _times(other, one),
        f"{statistics.median(row.figure(each) for each in one.idle):.2f}",
        f"{max(each.peak_mib for each in one.runs):.0f}",
    ]


def _start_line(one: Series, other: Series) -> list[str]:
    return [
        _name(one),
        "CPU" if one.row.figure is cpu_s else "clock",
        f"{statistics.median(one.seconds()) * 1e3:.0f}",
        percent(spread(one.seconds())),
        f"{statistics.median(other.seconds()) * 1e3:.0f}",
        _times(other, one),
        f"{statistics.median(map(wall_s, one.runs)) * 1e3:.0f}",
    ]


def _poll_line(one: Watched, other: Watched) -> list[str]:
    last, minute = one.windows[-1], 60 / one.row.every_s
    return [
        _name(one),
        one.row.codec,
        f"{statistics.median(one.seconds()) * minute:.2f}",
        percent(spread(one.seconds())),
        f"{statistics.median(other.seconds()) * minute:.2f}",
        _times(one, other),
        f"{last.rss_mib:.0f}",
        str(last.threads),
        str(last.descriptors),
        f"{other.windows[-1].rss_mib:.0f}",
    ]


def _name(one: Measured) -> str:
    return one.row.name if one.label == WORKER else f"{one.row.name}: {one.label}"


def _times(one: Measured, other: Measured) -> str:
    found = ratios(one, other)
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


_TABLES: Final[dict[type, tuple[str, str, Callable[..., list[str]]]]] = {
    PageRow: (
        SCRIPT,
        (
            "row|codec|pages|us a record|us a page|spread|script, us a record|times the script|"
            "start, s|peak MiB"
        ),
        _page_line,
    ),
    StartRow: (
        SCRIPT,
        "row|figure|ms|spread|script, ms|times the script|ms on the clock",
        _start_line,
    ),
    PollRow: (
        LOOP,
        "row|codec|CPU, s a minute|spread|loop, CPU|loops|MiB|threads|descriptors|loop, MiB",
        _poll_line,
    ),
}
"""For each kind of row: what it stands beside, the columns, and a line of them."""
