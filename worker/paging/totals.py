"""What a pass has received, held against what the source says it has. Pure.

A total that only grows while the pages are read is right when it is reached. Any other change means
that records moved from one page to another: the pass shows nothing any more. What shrinks by the
records that came counts what *remains*. So does, by chance, a total from which as many records were
deleted: it is no contradiction, but it proves nothing and ends nothing.
"""

from __future__ import annotations

import msgspec

from worker.core.cursor import Cursor, PassState


class Count(msgspec.Struct, frozen=True, gc=False):
    """Records so far, the page included.

    Attributes:
        received: distinct records of the pass.
        here: those of the window in progress, or of the pass without windows: what a total is
            compared with.
        stored: what the next page is compared with.
        total: how many there are here, as far as the source said.
        drift: how the total contradicts itself or the records; empty when it does not.
        drifted: whether it did so on this page or an earlier one of the pass.
        grew: whether it was larger on a page than before.
        remains: whether it counts what is still to come.
        passed: whether more came than the total in force said.
        shrunk: whether it is smaller than on the page before, and does not count what remains.
    """

    received: int
    here: int
    stored: int | None
    total: int | None
    drift: str = ""
    drifted: bool = False
    grew: bool = False
    remains: bool = False
    passed: bool = False
    shrunk: bool = False

    @property
    def matches(self) -> bool:
        """Whether as many records came as the source said."""
        return self.total is not None and self.here == self.total and not self.drifted

    @property
    def trusted(self) -> bool:
        """Whether the total may be missed: it stood still, was never passed, and counts all."""
        moved = self.drifted or self.grew or self.passed or self.remains
        return self.total is not None and not moved

    @property
    def ends(self) -> bool:
        """Whether the pass is at its end when the total is reached."""
        return not (self.drifted or self.passed or self.remains)

    @property
    def doubtful(self) -> bool:
        """Whether a total that moved was not reached in the end."""
        return (self.grew or self.remains) and not self.matches


def count(
    cursor: Cursor, state: PassState, distinct: int, reported: int | None, *, records: int
) -> Count:
    """Counts a page that reports a total, or None.

    Args:
        distinct: its records that are new to the pass.
        records: all of its records. They count where the pass began again: some of those that came
            before may be gone.
    """
    received = cursor.received + distinct
    here = received - state.before.received
    if state.known_pages:
        here, distinct = state.walked + records, records
    known = cursor.total
    if known is None or reported is None or (reported == known and not state.remains):
        stored = known if reported is None else reported
        return _checked(Count(received, here, stored, stored, grew=state.grew), state)
    may_remain = state.remains or state.pages_here == 1
    if may_remain and (all_ := _if_remaining(known, reported, here, distinct, state.first)):
        return _checked(Count(received, here, known, all_, remains=True), state)
    if reported > known and not state.remains:
        drift = f"the total grew within the pass from {known} to {reported}"
        return _checked(Count(received, here, reported, reported, drift=drift, grew=True), state)
    changed = Count(
        received,
        here,
        reported,
        reported,
        drift=f"the total changed within the pass from {known} to {reported}",
        drifted=True,
        grew=state.grew,
        shrunk=True,
    )
    return _checked(changed, state)


def _if_remaining(known: int, reported: int, here: int, distinct: int, first: int) -> int | None:
    """How many records there are if `reported` counts those that are still to come: this page
    included, or behind it. None when it counts neither.
    """
    behind = reported + here == known + first
    if reported + here - distinct == known and not (behind and reported < distinct):
        return known
    return known + first if behind else None


def _checked(found: Count, state: PassState) -> Count:
    """The same with what earlier pages have shown, and with more records than the total."""
    over = found.total is not None and found.here > found.total
    drift = found.drift
    if over and not drift and not state.passed:
        drift = f"{found.here} records received, the source said {found.total}"
    return msgspec.structs.replace(
        found,
        drift=drift,
        drifted=state.drifted or found.drifted or over,
        passed=state.passed or over,
    )
