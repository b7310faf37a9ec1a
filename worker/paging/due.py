"""When a partition is due after a restart, from what was kept before it. Pure.

What is kept says that a pass was begun, and when the one after it is due. Whether that pass is over
is for the cursor to say, which moves with the commits: so it may be kept at any time, and no commit
waits for it. A pass that was over and left nothing to be committed is kept as the last one that the
cursor knows, and the cursor may have moved on since then.

Nothing that was kept is obeyed for longer than the schedule of now allows: the schedule may have
been shortened, or the clock set back.
"""

from __future__ import annotations

from typing import Final

from worker.core.cursor import Cursor
from worker.core.model import Due
from worker.paging.spec import PagingSpec

KEPT_FROM_S: Final = 60.0
"""A schedule that is quicker is not kept: what is due within a minute of a restart may as well come
at its start, and a transaction would cost as much as the poll."""


def worth_keeping(spec: PagingSpec) -> bool:
    """Whether it is kept when the passes are due."""
    schedule = spec.schedule
    if spec.once or schedule is None:
        return False
    return schedule.by_clock or schedule.every_s >= KEPT_FROM_S


def next_pass(
    kept: Due, cursor: Cursor, spec: PagingSpec, *, now: float, wall: float
) -> float | None:
    """The monotonic second from which on the pass after the last one may begin; None: at once.

    Passes that are overdue at a start are spread, or everything that waited while a machine was
    down would ask in the same second. So are those of a schedule that is not kept.

    Args:
        now: in monotonic seconds.
        wall: the same moment in seconds since 1970.
    """
    schedule = spec.schedule
    if spec.once or schedule is None:
        return None
    if not worth_keeping(spec):
        ran = cursor.pass_no > 1 and cursor.position is None
        return now + spec.spread() if ran else None
    if kept.next_us is None:
        return now + schedule.first(wall) - wall if schedule.cron else None
    return _after_kept(kept, kept.next_us / 1e6 - wall, cursor, spec, now=now, wall=wall)


def _after_kept(
    kept: Due, left_s: float, cursor: Cursor, spec: PagingSpec, *, now: float, wall: float
) -> float | None:
    """The same, where it was kept that so many seconds are left."""
    begun = cursor.pass_no if cursor.position is not None else cursor.pass_no - 1
    if kept.pass_no > begun:  # that pass was not over
        return None
    left_s = min(left_s, longest_s(spec, wall))
    if left_s <= 0 and cursor.position is None:
        return now + spec.spread()
    return now + max(left_s, 0.0)


def not_before(kept: Due, spec: PagingSpec, *, now: float, wall: float, cap_s: float) -> float:
    """The monotonic second before which a partition that fails is not asked.

    Args:
        cap_s: the longest wait of a partition that fails.
    """
    left_s = min(kept.not_before_us / 1e6 - wall, cap_s, longest_s(spec, wall))
    return now + max(left_s, 0.0)


def longest_s(spec: PagingSpec, wall: float) -> float:
    """How long a partition may have to wait for its next pass; endless without a schedule."""
    schedule = spec.schedule
    return float("inf") if schedule is None else schedule.after(wall) - wall + spec.jitter()
