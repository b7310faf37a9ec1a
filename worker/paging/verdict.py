"""A page held against its pass, and what accepting it changes. Pure values."""

from __future__ import annotations

from collections.abc import Mapping, Set

import msgspec

from worker.core.cursor import Cursor, Json
from worker.core.model import BoundaryKey, Decoded, Facts, Ledger
from worker.paging.duplicates import Known
from worker.paging.endings import Ending
from worker.paging.marks import Comparable
from worker.paging.seam import Seam
from worker.paging.seen import Seen
from worker.paging.spec import PassEnd
from worker.paging.style import End, Next
from worker.paging.totals import Count


class PageBrought(msgspec.Struct, frozen=True):
    """A page of records, held against its pass.

    Attributes:
        facts: what the page says.
        records: number of records, without one that the seam repeats.
        following: where the style sees the next page.
        aside: none of its records is new to the pass.
        repeated: its records are those of the page before, which ends the pass.
        doubted: it shows that records moved, or cannot be told apart.
        drift: how the source contradicts itself; empty when it does not.
        skipped: it was left out, and nothing is known of its records.
    """

    facts: Facts
    records: int
    following: Next | End
    seam: Seam
    known: Known
    seen: Seen
    counted: Count
    aside: bool
    repeated: bool
    doubted: bool
    drift: str
    skipped: bool = False


class Memory(msgspec.Struct, frozen=True):
    """What is remembered of records that may come again.

    Attributes:
        added: identities to remember.
        floor: keys below this value are forgotten; None forgets none.
    """

    added: Set[BoundaryKey] = frozenset()
    floor: Comparable | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What an accepted page changes.

    Attributes:
        cursor: where the partition resumes after the page.
        ending: whether the pass goes on.
        decoded: the records that go on, and the rejects.
        ledger: counts of the page.
        position: of the page, for people.
        pass_no: the pass that the page belongs to.
        stride: records by which the position moved.
        memory: what is remembered of its records.
        hashes: what is remembered of the page in its pass.
        forgets_pass: what was remembered of the pass is forgotten first.
        pass_end: how the pass ended, if it did.
        drift: how the source contradicts itself; empty when it does not.
        noted: kind of oddity -> number of records.
    """

    cursor: Cursor
    ending: Ending
    decoded: Decoded
    ledger: Ledger
    position: Json
    pass_no: int
    stride: int = 0
    memory: Memory = Memory()
    hashes: tuple[bytes, ...] = ()
    forgets_pass: bool = False
    pass_end: PassEnd | None = None
    drift: str = ""
    noted: Mapping[str, int] = {}
