"""The lower bound of a pass: what the source is asked for, and what it may send again because of
that. Pure.

A bound is what its *text* says: the format of requests may be coarser than that of records (whole
days, seconds), and then records between the text and the mark come again in every pass.
"""

from __future__ import annotations

from worker.core.instants import MICROS
from worker.paging.marks import Comparable
from worker.paging.spec import IncrementalSpec


def bound_text(incremental: IncrementalSpec, mark: Comparable, now_s: float) -> str:
    """The bound of a pass that starts at `mark`, as the source wants it; `now_s` is seconds since
    1970.
    """
    return incremental.format.text(_below(incremental, mark, now_s))


def floor(incremental: IncrementalSpec, mark: Comparable, now_s: float) -> Comparable | None:
    """The least value that a pass from `mark` on asks for; None when its text says nothing that can
    be compared.
    """
    return incremental.format.bound(bound_text(incremental, mark, now_s))


def _below(incremental: IncrementalSpec, mark: Comparable, now_s: float) -> Comparable:
    if isinstance(mark, str) or not incremental.format.is_instant:
        return mark
    bound = mark - round(incremental.overlap_s * MICROS)
    if incremental.newest_bound_s is not None:
        bound = min(bound, round((now_s - incremental.newest_bound_s) * MICROS))
    return bound
