"""What a pass has shown of the records that the source has: `unknown`, `assumed` or `proven`. Pure.

A total that was reached proves a pass by tokens. Numbered pages shift when a record is deleted or
inserted, and a deletion that an insertion balances leaves the total as it was; so it proves them
only where records keep their place, or where the seams between pages are checked. Tokens that stand
for a number are no better.
"""

from __future__ import annotations

from typing import NamedTuple

from worker.core.cursor import PassState
from worker.core.delivery import COMPLETENESS
from worker.paging.endings import PassOver
from worker.paging.spec import PagingSpec
from worker.paging.totals import Count


class Shown(NamedTuple):
    """What a pass has shown.

    Attributes:
        level: its completeness.
        because: what kept it from more, in words.
    """

    level: str
    because: str


def achieved(
    spec: PagingSpec, state: PassState, counted: Count, ending: PassOver, *, doubted: bool
) -> Shown:
    """What a pass that is over has shown.

    Args:
        state: before the last page.
        doubted: the last page showed that records moved, or cannot be told apart.
    """
    if state.skipped:
        return Shown("unknown", "pages were left out (do: skip)")
    if state.drifted or doubted:
        return Shown("unknown", "records moved while it was read, or could not be told apart")
    if doubt := _doubt(spec, counted):
        return Shown("unknown", doubt)
    if ending.cut and not (ending.limited and spec.in_order):
        return Shown("unknown", f"it was cut ({ending.reason})")
    # what was read up to the value that was reached is as complete as the style makes it
    if not ending.cut and state.before.proven and (level := _by_total(spec, state, counted)):
        return Shown(level, "a total that was reached proves no more where records can move")
    return _by_style(spec, state, counted)


def _by_style(spec: PagingSpec, state: PassState, counted: Count) -> Shown:
    """What the pass shows without a total."""
    if is_counting(state) and not _keeps_places(spec):
        return Shown("unknown", "its tokens stand for numbers, so that records can move past them")
    if counted.remains:
        return Shown(spec.completeness, "its total counts what remains, which proves nothing")
    return Shown(spec.completeness, "no total was reached")


def _keeps_places(spec: PagingSpec) -> bool:
    """Whether records that move while pages are read are not missed."""
    return spec.stable or spec.seam


def _doubt(spec: PagingSpec, counted: Count) -> str:
    """How the total says that records moved, or may have; empty where it does not."""
    if counted.drifted:
        return "its total contradicts itself or the records"
    if counted.doubtful:
        return "its total moved and was not reached"
    # without a key nobody can tell what was added from what came twice
    unsure = counted.grew and not (spec.key or spec.by_value)
    return "its total grew, and without a key an addition looks like a repeat" if unsure else ""


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
