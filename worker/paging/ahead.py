"""Pages in flight, and pages fetched ahead that wait until the head of the pass reaches exactly
their position. Pure.

Rule 1: further pages of a window, or of a pass without windows, are guessed where the source said
        that there are more, or behind two pages of equal size: a page that is shorter than the one
        before it may be the last.
Rule 2: the first pages of later windows are no guesses: they are asked for before the pass ends in
        any case. They stay when the head goes elsewhere within its window, or leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from worker.core.cursor import Json, Window
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
        self._waiting: dict[bytes, tuple[Fetch, Reply]] = {}
        self._stride = 0
        self._steady = False  # the last two pages were of equal size
        self._left: int | None = None  # pages behind the last one, as far as the source said
        self._allowed = True
        self.generation = 0

    def __repr__(self) -> str:
        return f"<FetchAhead flying={len(self._flying)} waiting={len(self._waiting)}>"

    @property
    def speculating(self) -> bool:
        """Whether pages that were fetched ahead depend on the head being admitted."""
        return bool(self._waiting) or any(fetch.speculative for fetch in self._flying.values())

    @property
    def waiting(self) -> Iterable[Reply]:
        """The pages that wait for the head."""
        return (reply for _, reply in self._waiting.values())

    def asked(self, position: Json, window: Window | None = None, size: int = 0) -> bool:
        """Whether the page at `position`, of so many records, is in flight or here already."""
        key = _key(position, window, size)
        return key in self._flying or key in self._waiting

    def launched(self, fetch: Fetch) -> None:
        """The fetch is in flight."""
        self._flying[_key(fetch.position, fetch.window, fetch.size)] = fetch

    def landed(self, fetch: Fetch) -> bool:
        """Takes the fetch out of flight; False when it was thrown away meanwhile."""
        key = _key(fetch.position, fetch.window, fetch.size)
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
        self._waiting[_key(fetch.position, fetch.window, fetch.size)] = (fetch, reply)

    def take(self, position: Json, window: Window | None = None, size: int = 0) -> Reply | None:
        """The reply that waited for the head at `position`, which asks for so many records.

        Without one, whatever was fetched elsewhere is thrown away, but for later windows.
        """
        key = _key(position, window, size)
        if (kept := self._waiting.pop(key, None)) is not None:
            return kept[1]
        if (self._waiting or self._flying) and key not in self._flying:
            self._discard_before(window)
        return None

    def moved(self, received: int, left: int | None = None) -> None:
        """A page of `received` records was accepted.

        Args:
            left: how many pages follow it, as far as the source said.
        """
        self._steady = received > 0 and received == self._stride
        self._stride, self._left = received, left
        self._allowed = True

    def discard(self) -> None:
        """Throws away everything in flight and waiting."""
        self.generation += 1
        self._waiting.clear()
        self._flying.clear()

    def discard_guesses(self) -> None:
        """Throws away everything but the head, and stops guessing until it has moved."""
        self._waiting.clear()
        self._flying = {key: each for key, each in self._flying.items() if not each.speculative}
        self._allowed = False

    def start_over(self, window: Window | None = None) -> None:
        """Pages from here on may be of another length than those before.

        Args:
            window: which follows; its first page, and those of later ones, stay.
        """
        self._discard_before(window, its_own=True)
        self._stride, self._steady, self._left = 0, False, None
        self._allowed = True

    def _discard_before(self, window: Window | None, *, its_own: bool = False) -> None:
        """Throws away what does not belong to windows behind this one, or to itself."""
        if window is None:
            self.discard()
            return

        def stays(fetch: Fetch) -> bool:
            its = fetch.window
            assert its is not None, "a pass in windows asks for pages of windows"
            same = its_own and (its.start, its.end) == (window.start, window.end)
            return same or its.start >= window.end

        self.generation += 1
        self._flying = {key: fetch for key, fetch in self._flying.items() if stays(fetch)}
        self._waiting = {key: kept for key, kept in self._waiting.items() if stays(kept[0])}

    def guess(
        self,
        at: Json,
        received: int,
        total: int | None,
        window: Window | None = None,
        size: int = 0,
    ) -> Json | None:
        """The next position worth guessing behind the head `at`; None for none.

        Args:
            received: records before the head, which a total is compared with.
            window: the one that the head is in.
            size: how many records pages are asked for there.
        """
        if not (self._style.numbered and self._stride and self._allowed):
            return None
        if not self._steady and total is None and self._left is None:
            return None
        for pages in range(1, self._most_ahead(received, total) + 1):
            position = self._style.ahead(at, self._stride, pages)
            if position is None or not self.asked(position, window, size):
                return position
        return None

    def _most_ahead(self, received: int, total: int | None) -> int:
        """How many pages behind the head there may be, as far as the source said."""
        most = self._depth - 1
        if total is not None:
            most = min(most, (total - received - 1) // self._stride)
        # `left` was said by the page before the head
        return most if self._left is None else min(most, self._left - 1)

    def later_window(
        self, window: Window, after: Callable[[Window], Window | None], size: int = 0
    ) -> Window | None:
        """The next window whose first page is worth asking for; None for none.

        Args:
            window: the one that the head is in.
            after: the window behind a window, None behind the last one.
            size: how many records pages are asked for there.
        """
        if not self._allowed or len(self._flying) + len(self._waiting) >= self._depth:
            return None
        first = self._style.first()
        for _ in range(1, self._depth):
            following = after(window)
            if following is None or not self.asked(first, following, size):
                return following
            window = following
        return None


def _key(position: Json, window: Window | None, size: int) -> bytes:
    """What tells two pages apart: a page of another size has other records at the same number."""
    at = position if window is None else [window.start, window.end, position]
    return msgspec.json.encode([size, at] if size else at)
