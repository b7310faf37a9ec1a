"""What a pass has shown of the records that the source has: `unknown`, `assumed` or `proven`. Pure.

A total that was reached proves a pass by tokens. Numbered pages shift when a record is deleted or
inserted, and a deletion that an insertion balances leaves the total as it was; so it proves them
only where records keep their place, or where the seams between pages are checked.
"""

from __future__ import annotations

from worker.core.cursor import PassState
from worker.core.delivery import COMPLETENESS
from worker.paging.endings import PassOver
from worker.paging.spec import PagingSpec
from worker.paging.totals import Count


def achieved(
    spec: PagingSpec, state: PassState, counted: Count, ending: PassOver, *, doubted: bool
) -> str:
    """The completeness of a pass that is over.

    Args:
        state: before the last page.
        doubted: the last page showed that records moved, or cannot be told apart.
    """
    if state.drifted or doubted or counted.drifted or (counted.grew and not counted.matches):
        return "unknown"
    if ending.cut:
        # what was read up to the value that was reached is as complete as the style makes it
        return spec.completeness if ending.limited and spec.in_order else "unknown"
    if counted.matches and state.before.proven:
        certain = not spec.style.numbered or spec.stable or spec.seam
        return "proven" if certain else "assumed"
    return spec.completeness


def falls_short(level: str, required: str) -> bool:
    """Whether a completeness is less than what is required."""
    return COMPLETENESS.index(level) < COMPLETENESS.index(required)
