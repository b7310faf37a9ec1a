"""The seam between two pages of an offset style: each page is asked for from one record earlier,
and must begin with the last record of the page before. Pure.

Records that are deleted or inserted in front of an offset shift what stands behind it. Where the
seam holds, nothing moved.
"""

from __future__ import annotations

import msgspec

from worker.core.identities import digest16
from worker.core.model import Facts
from worker.paging.spec import PagingSpec
from worker.paging.standing import Standing


class Seam(msgspec.Struct, frozen=True):
    """The seam in front of a page.

    Attributes:
        records: records of the page that the page before had as well.
        holds: whether they are the right ones.
        last: identity of the last record of the page, for the next seam.
        absent: the page is empty, which may be a hiccup: it is asked for once more.
    """

    records: int = 0
    holds: bool = True
    last: bytes = b""
    absent: bool = False


_NONE = Seam()


def seam_of(facts: Facts, standing: Standing, spec: PagingSpec) -> Seam:
    """The seam between a page and the one before it."""
    if not spec.seam:
        return _NONE
    last = _identity(facts, -1) if facts.count else b""
    if not standing.state.seam:
        return Seam(last=last)
    if facts.count == 0 and not standing.state.asked_again:
        return Seam(last=standing.state.seam, absent=True)
    holds = facts.count > 0 and _identity(facts, 0) == standing.state.seam
    return Seam(records=int(holds), holds=holds, last=last or standing.state.seam)


def _identity(facts: Facts, place: int) -> bytes:
    """A record and its incremental value: one that got a new value has moved."""
    value = digest16(repr(facts.values[place]).encode()) if facts.values else b""
    return facts.keys[place] + value
