"""What a pass has received, held against what the source says it has. Pure."""

from __future__ import annotations

import msgspec

from worker.core.cursor import Cursor, PassState


class Count(msgspec.Struct, frozen=True, gc=False):
    """Records so far, the page included.

    Attributes:
        received: distinct records of the pass.
        here: those of the window in progress, or of the pass without windows: what a total is
            compared with.
        total: how many there are here, as far as the source said.
        drift: how the total contradicts itself or the records; empty when it does not.
        drifted: whether it did so on this page or an earlier one of the pass.
        passed: whether more came than the total in force said.
    """

    received: int
    here: int
    total: int | None
    drift: str
    drifted: bool
    passed: bool

    @property
    def matches(self) -> bool:
        """Whether as many records came as the source said."""
        return self.total is not None and self.here == self.total


def count(cursor: Cursor, state: PassState, distinct: int, reported: int | None) -> Count:
    """Counts a page of `distinct` new records that reports a total, or None."""
    received = cursor.received + distinct
    here = received - state.before.received
    total = cursor.total if reported is None else reported
    over = total is not None and here > total
    drift = ""
    if cursor.total is not None and cursor.total != total:
        drift = f"the total changed within the pass from {cursor.total} to {total}"
    elif over:
        drift = f"{here} records received, the source said {total}"
    return Count(
        received=received,
        here=here,
        total=total,
        drift=drift,
        drifted=state.drifted or bool(drift),
        passed=state.passed or over,
    )
