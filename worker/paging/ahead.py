"""Pages in flight, and pages fetched ahead that wait until the head of the pass reaches exactly
their position. Pure.
"""

from __future__ import annotations

import msgspec

from worker.core.cursor import Json
from worker.paging.spec import Fetch, Reply
from worker.paging.style import Pagination


class FetchAhead:
    """What a partition has asked for. Guesses suppose that pages are as long as the last one that
    was accepted.

    Attributes:
        generation: how often everything in flight was thrown away.
    """

    def __init__(self, style: Pagination, depth: int) -> None:
        self._style, self._depth = style, depth
        self._flying: dict[bytes, Fetch] = {}
        self._waiting: dict[bytes, Reply] = {}
        self._stride = 0
        self._allowed = True
        self.generation = 0

    def __repr__(self) -> str:
        return f"<FetchAhead flying={len(self._flying)} waiting={len(self._waiting)}>"

    @property
    def speculating(self) -> bool:
        """Whether pages that were fetched ahead depend on the head being admitted."""
        return bool(self._waiting) or any(fetch.speculative for fetch in self._flying.values())

    def asked(self, position: Json) -> bool:
        """Whether the page at `position` is in flight or here already."""
        key = _key(position)
        return key in self._flying or key in self._waiting

    def launched(self, fetch: Fetch) -> None:
        """The fetch is in flight."""
        self._flying[_key(fetch.position)] = fetch

    def landed(self, fetch: Fetch) -> bool:
        """Takes the fetch out of flight; False when it was thrown away meanwhile."""
        key = _key(fetch.position)
        if self._flying.get(key) is not fetch:
            return False
        del self._flying[key]
        return True

    def failed(self, fetch: Fetch) -> None:
        """The fetch brought nothing.

        A guess that failed stops guessing until the head has moved.
        """
        if self.landed(fetch) and fetch.speculative:
            self._allowed = False

    def keep(self, fetch: Fetch, reply: Reply) -> None:
        """The reply waits for the head."""
        self._waiting[_key(fetch.position)] = reply

    def take(self, position: Json) -> Reply | None:
        """The reply that waited for the head at `position`.

        Without one, whatever was fetched elsewhere is thrown away.
        """
        key = _key(position)
        if (reply := self._waiting.pop(key, None)) is not None:
            return reply
        if (self._waiting or self._flying) and key not in self._flying:
            self.discard()
        return None

    def moved(self, received: int) -> None:
        """A page of `received` records was accepted."""
        if received:
            self._stride = received
        self._allowed = True

    def discard(self) -> None:
        """Throws away everything in flight and waiting."""
        self.generation += 1
        self._waiting.clear()
        self._flying.clear()

    def start_over(self) -> None:
        """Pages from here on may be of another length than those before."""
        self.discard()
        self._stride = 0

    def guess(self, at: Json, received: int, total: int | None) -> Json | None:
        """The next position worth guessing behind the head `at`; None for none.

        Args:
            received: records before the head, which a total is compared with.
        """
        if not (self._style.numbered and self._stride and self._allowed):
            return None
        for pages in range(1, self._depth):
            if total is not None and received + pages * self._stride >= total:
                return None
            position = self._style.ahead(at, self._stride, pages)
            if position is None or not self.asked(position):
                return position
        return None


def _key(position: Json) -> bytes:
    return msgspec.json.encode(position)
