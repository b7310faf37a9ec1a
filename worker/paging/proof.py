"""What a pass has shown of the records that the source has: `unknown`, `assumed` or `proven`. Pure.

A total that was reached proves a pass by tokens. Numbered pages shift when a record is deleted or
inserted, and a deletion that an insertion balances leaves the total as it was; so it proves them
only where records keep their place, or where the seams between pages are checked. Tokens that stand
for a number are no better.
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
    if state.drifted or doubted or _is_in_doubt(spec, counted):
        return "unknown"
    if ending.cut and not (ending.limited and spec.in_order):
        return "unknown"
    # what was read up to the value that was reached is as complete as the style makes it
    level = "" if ending.cut or not state.before.proven else _by_total(spec, state, counted)
    return level or _by_style(spec, state)


def _by_style(spec: PagingSpec, state: PassState) -> str:
    """What the pass shows without a total."""
    counts = is_counting(state) and not _keeps_places(spec)
    return "unknown" if counts else spec.completeness


def _keeps_places(spec: PagingSpec) -> bool:
    """Whether records that move while pages are read are not missed."""
    return spec.stable or spec.seam


def _is_in_doubt(spec: PagingSpec, counted: Count) -> bool:
    """Whether the total says that records moved, or may have."""
    if counted.drifted or counted.doubtful:
        return True
    # without a key nobody can tell what was added from what came twice
    return counted.grew and not (spec.key or spec.by_value)


def _by_total(spec: PagingSpec, state: PassState, counted: Count) -> str:
    """What a total shows that was reached; nothing where it was not, or proves nothing."""
    if not counted.matches or counted.remains:
        return ""
    if _keeps_places(spec) or not (spec.style.numbered or is_counting(state)):
        return "proven" if _asks_again(spec) else "assumed"
    return "" if counted.grew else "assumed"


def is_counting(state: PassState) -> bool:
    """Whether the tokens of the pass, or of any of its windows, stand for a number."""
    return state.counting or state.before.counting


def _asks_again(spec: PagingSpec) -> bool:
    """Whether the next pass asks for what came in behind the reader in this one.

    In any other order than that of the values it does where the mark is no later than the beginning
    of the pass; windows are read when they are over.
    """
    incremental = spec.incremental
    if incremental is None or incremental.token is not None or spec.windows is not None:
        return True
    return spec.in_order or incremental.capped


def falls_short(level: str, required: str) -> bool:
    """Whether a completeness is less than what is required."""
    return COMPLETENESS.index(level) < COMPLETENESS.index(required)
