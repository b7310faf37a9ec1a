"""The lower bound of a pass: what the source is asked for, and what it may send because of that.
Pure.

A bound is what its *text* says: the format of requests may be coarser than that of records (whole
days, seconds), and then records between the text and the mark come again in every pass. It is also
held against records, whose format may be the coarser one: both are rounded down.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from worker.core.cursor import Json
from worker.core.instants import MICROS, whole_steps
from worker.paging.marks import Comparable
from worker.paging.spec import IncrementalSpec


def bound_text(
    incremental: IncrementalSpec,
    mark: Comparable,
    now_s: float,
    floor: Comparable | None = None,
) -> str:
    """The bound of a pass that starts at `mark`, as the source wants it.

    Args:
        now_s: seconds since 1970.
        floor: no bound is below this value, because no key below it is remembered.
    """
    bound = _below(incremental, mark, now_s)
    if floor is not None and bound < floor:  # type: ignore[operator]
        bound = floor
    if incremental.step_us and isinstance(bound, int):
        bound = whole_steps(bound, incremental.step_us, ZoneInfo(incremental.format.zone))
    return incremental.format.text(bound)


def least(incremental: IncrementalSpec, since: Json) -> Comparable | None:
    """The least value of a record that was asked for with the bound `since`; None when its text
    says nothing that can be compared.
    """
    form = incremental.format
    if form.record == "string" or since is None:
        return None
    of_records = form.of_records
    for reader in (form, of_records):
        if (said := reader.bound(since)) is not None:
            coarser = of_records.bound(of_records.text(said))
            return said if coarser is None else min(said, coarser)
    return None


def reach(incremental: IncrementalSpec, mark: Comparable, now_s: float) -> Comparable | None:
    """The least value that a pass from `mark` on asks for; None when its text says nothing that can
    be compared.
    """
    asked = bound_text(incremental, mark, now_s)
    if isinstance(mark, str):  # it is in the order of its format, which need not be the source's
        return incremental.format.bound(asked)
    return least(incremental, asked)


def _below(incremental: IncrementalSpec, mark: Comparable, now_s: float) -> Comparable:
    if isinstance(mark, str) or not incremental.format.is_instant:
        return mark
    bound = mark - round(incremental.overlap_s * MICROS)
    if incremental.newest_bound_s is not None:
        bound = min(bound, round((now_s - incremental.newest_bound_s) * MICROS))
    return bound
