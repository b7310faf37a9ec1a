"""What pages of a pipeline take in memory, as far as the last ones tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

FIRST_BODY_BYTES: Final = 256 * 1024
DECODED_FACTOR: Final = 4
"""A decoded page of no known weight takes so many times its body, the body included."""
LEAST_FACTOR: Final = 2
"""No page takes less, with its body: the text is in both."""


@dataclass(slots=True)
class Expected:
    """What a page will take: as much as the largest that came lately.

    Attributes:
        body_bytes: of a body.
        page_bytes: of the body and the decoded page together.
        known: a page has come, or a part of one; before that it is a guess.
    """

    body_bytes: int
    page_bytes: int
    known: bool = False

    @classmethod
    def unknown(cls, body_bytes: int) -> Self:
        """Where nothing but the size of a body is guessed."""
        return cls(body_bytes, body_bytes * DECODED_FACTOR)

    def came(self, body_bytes: int, page_bytes: int) -> None:
        """Another page has come."""
        if not self.known:
            self.known, self.body_bytes, self.page_bytes = True, body_bytes, page_bytes
        self.body_bytes = max(body_bytes, (self.body_bytes * 7 + body_bytes) // 8)
        self.page_bytes = max(page_bytes, (self.page_bytes * 7 + page_bytes) // 8)

    def comes(self, body_bytes: int) -> int:
        """So much of a body has come, and more may follow: others may be as large.

        Returns what its page takes at least, if it weighs like the ones before.
        """
        page_bytes = body_bytes * max(self._factor, LEAST_FACTOR)
        self.known = True
        self.body_bytes = max(self.body_bytes, body_bytes)
        self.page_bytes = max(self.page_bytes, page_bytes)
        return page_bytes

    @property
    def _factor(self) -> int:
        """How many times its body a page takes, rounded up."""
        return -(-self.page_bytes // self.body_bytes) if self.body_bytes else DECODED_FACTOR
