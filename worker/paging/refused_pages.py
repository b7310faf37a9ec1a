"""Pages that the source refuses: they are left out, or asked for with fewer records. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from worker.core.cursor import PassState, shown_position
from worker.core.errors import PageRefused, PagesSkipped
from worker.core.model import Facts
from worker.paging.duplicates import Known
from worker.paging.seam import Seam
from worker.paging.seen import uncompared
from worker.paging.spec import PagingSpec
from worker.paging.standing import Standing
from worker.paging.style import Next
from worker.paging.totals import count
from worker.paging.verdict import PageBrought

MAX_SKIPPED: Final = 10
"""So many pages in a row are left out; a source that refuses more is not read at all."""
_SKIP_REMEDY: Final = (
    "the answers may mean something else: look at what the source says, and use do: skip for "
    "single pages that it cannot answer"
)


def left_out(standing: Standing, spec: PagingSpec, reported: str, where: str) -> PageBrought:
    """A page that is left out as if it had been read, so that the pass goes on behind it.

    Raises:
        PagesSkipped: so many were left out that none may be there at all.
    """
    state, facts = standing.state, Facts(0)
    if state.skipped_in_row >= MAX_SKIPPED:
        raise PagesSkipped(
            f"{MAX_SKIPPED} pages in a row were left out, and the next one is refused too: "
            f"{reported}",
            where=where,
            remedy=_SKIP_REMEDY,
        )
    size = 0 if spec.sizes is None else spec.sizes.now(state.asked)
    behind = spec.style.ahead(state.at, min(size, state.largest or size), 1)
    assert behind is not None, "only pages that are counted are left out"
    return PageBrought(
        facts=facts,
        records=0,
        following=Next(behind),
        seam=Seam(),
        known=Known(),
        seen=uncompared(facts),
        counted=count(standing.cursor, state, 0, None, records=0),
        aside=False,
        repeated=False,
        doubted=True,
        drift=f"{shown_position(state.at)} is left out: {reported}",
        skipped=True,
    )


def refuse_empty_pass(skipped: int, received: int, where: str) -> None:
    """Raises PagesSkipped for a pass that is over and brought no record, as pages were left out."""
    if skipped and received == 0:
        raise PagesSkipped(
            f"the pass brought no record, and {skipped} of its pages were left out",
            where=where,
            remedy=_SKIP_REMEDY,
        )


class Smaller(msgspec.Struct, frozen=True):
    """How a page that was refused is asked for again.

    Attributes:
        size: records that it was asked for with.
        less: records that it is asked for with now.
        state: of the pass in front of it; None where nobody knows which page of the smaller size
            begins where it does.
    """

    size: int
    less: int
    state: PassState | None


def smaller(standing: Standing, spec: PagingSpec, reported: str, where: str) -> Smaller:
    """The page with fewer records.

    Raises:
        PageRefused: it has as few as a page can have.
    """
    state, sizes = standing.state, spec.sizes
    assert sizes is not None, "only pages that have a size are made smaller"
    size = sizes.now(state.asked)
    lost = not standing.first and sizes.before(state.at, size) not in (None, came(standing))
    # a source that caps its pages refused one of its own size
    refused = min(size, state.largest or size) if lost else size
    less = sizes.halved(refused, first=standing.first)
    if less is None:
        raise PageRefused(
            f"{reported}, for a page of {size} records, which cannot be made smaller",
            where=where,
            remedy="the source may fail at one of its records: leave the page out with do: skip, "
            "or find out what the status means",
        )
    if standing.first:
        return Smaller(size, less, state.evolve(asked=less))
    if lost:
        return Smaller(size, less, None)
    return Smaller(size, less, state.evolve(at=sizes.moved(state.at, size, less), asked=less))


def came(standing: Standing) -> int:
    """How many records the pass, or its window, has brought since it began."""
    cursor, state = standing.cursor, standing.state
    return state.walked if state.known_pages else cursor.received - state.before.received


def begun_smaller(begun: PassState, before: Standing, less: int) -> PassState:
    """A pass that begins again with pages of `less` records; `before` is where it stood."""
    if begun.known_pages:
        records = min(less, before.state.largest or less)
        begun = begun.evolve(known_pages=-(-came(before) // records))
    return begun.evolve(asked=less)
