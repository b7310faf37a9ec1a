"""Medians, spreads and ratios of what was measured, as tables that Markdown understands."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Protocol

from benchmarks.measure import Series
from benchmarks.polling import LOOP, Watched
from benchmarks.rows import PageRow, Row, StartRow, wall_s


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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown with aligned columns."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def percent(share: float) -> str:
    """A spread as text."""
    return "unknown" if share == float("inf") else f"{share:.1%}"


def against(found: Sequence[Measured], label: str) -> list[tuple[Measured, Measured]]:
    """Each series beside the one of `label` in the same row, where both have runs."""
    by = {(each.row.name, each.label): each for each in found}
    pairs = [(each, by[each.row.name, label]) for each in found if each.label != label]
    return [(one, other) for one, other in pairs if one.seconds() and other.seconds()]


def _times(one: Measured, other: Measured) -> str:
    found = ratios(one, other)
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def page_table(found: Sequence[Series], base: str) -> str:
    """CPU time of each record and page beside the careful script of the same rounds."""
    head = ["row", "codec", "pages", "us a record", "us a page", "spread", "script, us a record"]
    head += ["times the script", "start, s", "peak MiB"]
    return table(
        head,
        (
            [
                _name(one, base),
                row.codec,
                f"{row.pages:,} of {row.size:,}",
                f"{statistics.median(one.seconds()) / row.moved_pages / row.size * 1e6:.2f}",
                f"{statistics.median(one.seconds()) / row.moved_pages * 1e6:,.0f}",
                percent(spread(one.seconds())),
                f"{statistics.median(other.seconds()) / row.moved_pages / row.size * 1e6:.2f}",
                _times(other, one),
                f"{statistics.median(row.figure(each) for each in one.idle):.2f}",
                f"{max(each.peak_mib for each in one.runs):.0f}",
            ]
            for one, other in against(found, base)
            if isinstance(one, Series) and isinstance(row := one.row, PageRow)
        ),
    )


def _name(one: Measured, base: str) -> str:
    return one.row.name if one.label in ("worker", base) else f"{one.row.name}: {one.label}"


def start_table(found: Sequence[Series], base: str) -> str:
    """Starts beside the start of the careful script."""
    return table(
        ["row", "ms of CPU", "ms", "spread", "script, ms of CPU", "times the script"],
        (
            [
                _name(one, base),
                f"{statistics.median(one.seconds()) * 1e3:.0f}",
                f"{statistics.median(map(wall_s, one.runs)) * 1e3:.0f}",
                percent(spread(one.seconds())),
                f"{statistics.median(other.seconds()) * 1e3:.0f}",
                _times(other, one),
            ]
            for one, other in against(found, base)
            if isinstance(one, Series) and isinstance(one.row, StartRow)
        ),
    )


def poll_table(found: Sequence[Watched]) -> str:
    """What daemons use beside a bare loop over the same sources."""
    head = ["row", "codec", "CPU, s a minute", "spread", "loop, CPU", "loops", "MiB", "threads"]
    head += ["descriptors", "loop, MiB"]
    return table(
        head,
        (
            [
                one.row.name,
                one.row.codec,
                f"{statistics.median(one.seconds()) * 60 / one.row.every_s:.2f}",
                percent(spread(one.seconds())),
                f"{statistics.median(other.seconds()) * 60 / one.row.every_s:.2f}",
                _times(one, other),
                f"{one.windows[-1].rss_mib:.0f}",
                str(one.windows[-1].threads),
                str(one.windows[-1].descriptors),
                f"{other.windows[-1].rss_mib:.0f}",
            ]
            for one, other in against(found, LOOP)
            if isinstance(one, Watched) and isinstance(other, Watched)
        ),
    )


def failures(found: Iterable[Measured]) -> list[str]:
    """What could not be measured, and why."""
    return [f"{each.row.name}, {each.label}: {each.failure}" for each in found if each.failure]
