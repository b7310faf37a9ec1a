"""Where a partition stands when a page is judged. Pure values."""

from __future__ import annotations

import msgspec

from worker.core.cursor import Cursor, PassState
from worker.paging.memory import Boundary, PassMemory
from worker.paging.page_sizes import GROWTH
from worker.paging.spec import PagingSpec


class Standing(msgspec.Struct, frozen=True):
    """Where a partition stands when the head of its pass is judged. Nobody changes it meanwhile.

    Attributes:
        state: of the pass in progress, before the page.
        boundary: identities of records that may come again.
        memory: what is remembered of the pages and records of this pass.
    """

    cursor: Cursor
    state: PassState
    boundary: Boundary
    memory: PassMemory

    @property
    def first(self) -> bool:
        """Whether the page is the first one of its pass, or of its window."""
        return self.state.pages_here == 0

    def has_too_many(self, spec: PagingSpec) -> bool:
        """Whether more records came in the pass than are held against each other."""
        return spec.compares and len(self.memory) > spec.boundary_cap

    def is_full(self, records: int, spec: PagingSpec) -> bool:
        """Whether a page is as long as a page can be: as was asked for, or as the largest one of
        the pass so far where the source decides.
        """
        size = self._asked_before or spec.size or self.state.largest
        return records > 0 and records >= size

    @property
    def _asked_before(self) -> int:
        """How many records the page before was asked for with at least, while fewer are asked for
        than the config says; 0 else. Sizes grow by a quarter from page to page.
        """
        asked = self.state.asked
        return max(asked * GROWTH // (GROWTH + 1), 1) if asked else 0

    def may_be_full(self, records: int, spec: PagingSpec) -> bool:
        """The same where the source may never send as many records as it is asked for."""
        if self.cursor.full_seen:
            return self.is_full(records, spec)
        return records > 0 and records >= self.state.largest
