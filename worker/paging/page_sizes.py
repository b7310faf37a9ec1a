"""Pages of fewer records than the config asks for, while the source refuses larger ones. Pure.

Rule 1: a page that is refused is asked for again with half its size, from the same record on.
Rule 2: where positions count records, any size fits behind any page, so that pages grow by a
        quarter with each that is accepted, as time windows do.
Rule 3: where positions count pages, a size moves every page behind the first. The smaller size
        divides the refused one, so that a page of it begins where the refused one did; pages stay
        so short until their pass, or time window, is over, and the next one begins with twice the
        size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from worker.core.cursor import Json
from worker.paging.style import Address

GROWTH: Final = 4
"""A page is longer than the accepted one before it by this part, after one was refused."""


@dataclass(frozen=True, slots=True)
class PageSizes:
    """How pages of another size are asked for.

    Attributes:
        most: records a page by the config.
        address: a number of records -> what the request says.
        first_page: the number of the first page, where positions count pages; else None.
        least: no page is asked for with fewer records.
    """

    most: int
    address: Callable[[int], Address]
    first_page: int | None = None
    least: int = 1

    def now(self, asked: int) -> int:
        """The records a page; `asked`: as a pass keeps it, 0 for what the config says."""
        return min(asked or self.most, self.most)

    def halved(self, size: int, *, first: bool) -> int | None:
        """The size after a refused one; None where there is none.

        Args:
            first: no page of the pass, or of its window, was accepted yet.
        """
        if size <= self.least:
            return None
        half = max(size // 2, self.least)
        if self.first_page is None or first:
            return half
        return next(each for each in range(half, 0, -1) if size % each == 0)

    def after_page(self, asked: int) -> int:
        """What is asked for behind a page that was accepted; 0: what the config says."""
        if not asked or self.first_page is not None:
            return asked
        return self._up_to(asked + -(-asked // GROWTH))

    def after_walk(self, asked: int) -> int:
        """What is asked for behind the pages of a pass, or of a window."""
        if self.first_page is None:
            return self.after_page(asked)
        return self._up_to(2 * asked)

    def before(self, position: Json, size: int) -> int | None:
        """How many records pages of this size have before a position; None where it counts them
        itself.
        """
        if self.first_page is None:
            return None
        pages: int = position["page"] - self.first_page
        return pages * size

    def moved(self, position: Json, size: int, smaller: int) -> Json:
        """The position with pages of a smaller size, which divides `size`, at the same record."""
        records = self.before(position, size)
        if records is None or self.first_page is None:
            return position
        return {"page": self.first_page + records // smaller}

    def _up_to(self, size: int) -> int:
        return size if size < self.most else 0
