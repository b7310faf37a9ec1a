"""The rules between time windows and the other keys of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.config.model import Issues
from worker.config.problems import Path_
from worker.config.scalars import duration_text
from worker.core.instants import MICROS
from worker.paging.marks import MarkFormat
from worker.paging.windows import Windows, resolution
from worker.sources.incremental import Incremental
from worker.sources.pagination.window_keys import SplitOn, WindowKeys
from worker.sources.rules import ResponseRule

_TIMES: Final = "rfc3339, epoch_s, epoch_ms, epoch_us and strptime patterns"
_STEP_NAMES: Final = ("size", "step")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The keys of a source that a window must get on with.

    Attributes:
        marked: where the placeholder of the mark stands.
        stop_codes: statuses that end the pages whatever the body says.
    """

    incremental: Incremental | None
    marked: Sequence[Path_]
    conditional: bool
    rules: Sequence[ResponseRule]
    stop_codes: frozenset[int]


def check_windows(keys: WindowKeys, at: Path_, around: Surroundings, issues: Issues) -> None:
    """Adds what is wrong with windows whose keys stand at a path of the source."""
    if around.conditional:
        issues.add(
            ("conditional",),
            "conditional has no meaning with windows: each is asked for once; take it out",
            "pagination",
        )
    if keys.split_on is not None:
        _check_split(keys.split_on, (*at, "split_on", "status"), around, issues)
    if around.incremental is None:
        why = (
            "a window is a range of the incremental field, and there is no incremental: add "
            "incremental with field and initial"
        )
        issues.add((*at, "type"), why, "incremental")
    else:
        _check_carriers(around.incremental, around.marked, issues)
        _check_range(around.incremental, keys, at, issues)


def _check_split(split: SplitOn, at: Path_, around: Surroundings, issues: Issues) -> None:
    """The status that halves a window has no other meaning."""
    for rule in around.rules:
        if rule.short and rule.when is None and split.status in rule.statuses:
            key = str(rule.written_as[0])
            issues.add(
                at,
                (
                    f"status {split.status} has two meanings: split_on halves the window, {key} "
                    f"says {rule.do}; take one of them out"
                ),
                key,
            )
    if split.when is None and split.status in around.stop_codes:
        issues.add(
            at,
            (
                f"status {split.status} has two meanings: split_on halves the window, stop.status "
                "ends its pages; tell them apart with split_on.when"
            ),
            "stop",
        )


def _check_carriers(incremental: Incremental, marked: Sequence[Path_], issues: Issues) -> None:
    """The window carries the mark, so nothing else may."""
    carriers = list(marked)
    if incremental.to is not None and incremental.from_ is None:
        carriers.append(incremental.target_path)
    for path in carriers:
        issues.add(
            path,
            "the mark is carried twice: here, and by the window, which begins at it; take it out",
            "pagination",
        )


def _check_range(incremental: Incremental, keys: WindowKeys, at: Path_, issues: Issues) -> None:
    """A window is a range of times, and begins somewhere."""
    if incremental.from_ is not None:
        issues.add(
            ("incremental", "from"),
            (
                "a window is a range of times in the records: it needs field, a token of the "
                "response has no range"
            ),
            "pagination",
        )
        return
    record = incremental.format.record
    if not incremental.timed:
        why = f"a window is a range of times, which {record} is not; allowed are {_TIMES}"
        issues.add(("incremental", "format", "record"), why, "pagination")
        return
    form = incremental.format.marks
    if (shortest := resolution(form)) is None:
        issues.add(
            ("incremental", "format", "param" if form.param else "record"),
            (
                f"{form.param or record!r} in {form.zone} is not read back as it is written, so "
                f"no window begins where the one before ended; use year to day, or {_TIMES}"
            ),
        )
        return
    _check_lengths(keys, at, form, shortest / MICROS, issues)
    _check_bounds(incremental, form, issues)


def _check_lengths(
    keys: WindowKeys, at: Path_, form: MarkFormat, shortest_s: float, issues: Issues
) -> None:
    """A parameter can say where each window ends."""
    for name in _STEP_NAMES:
        length_s = getattr(keys, name)
        if length_s is not None and length_s < shortest_s:
            issues.add(
                (*at, name),
                f"{name} is {duration_text(length_s)}, but {form.param or form.record!r} "
                "cannot say less than"
                f" {duration_text(shortest_s)}; at least that is allowed, or a finer "
                "incremental.format.param",
                "format",
            )


def _check_bounds(incremental: Incremental, form: MarkFormat, issues: Issues) -> None:
    """The first window begins at a time, and the last one ends by `lag`."""
    if incremental.newest_bound is not None:
        issues.add(
            ("incremental", "newest_bound"),
            (
                "newest_bound has no meaning with windows: lag says how far behind now they end; "
                "take it out"
            ),
            "pagination",
        )
    if incremental.initial is None:
        issues.add(
            ("incremental", "initial"),
            "initial is missing: where the first window begins",
            "pagination",
        )
    elif not _begins(form, incremental.initial):
        shown = repr(incremental.initial)[:60]
        issues.add(
            ("incremental", "initial"),
            (
                f"initial {shown} is no time: write it as requests ({form.param or form.record}) "
                f"or records ({form.record}) have it, or as RFC 3339 does"
            ),
            "format",
            "pagination",
        )


def _begins(form: MarkFormat, initial: str | int) -> bool:
    """Whether a window can begin there."""
    windows = Windows(MICROS, form)
    begin = windows.initial(initial)
    try:
        return (
            begin is not None and windows.floor(begin) <= begin and bool(MarkFormat().text(begin))
        )
    except (ValueError, OverflowError):
        return False  # beyond the years 1 to 9999: seconds where milliseconds are meant
