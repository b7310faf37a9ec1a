"""How far a source has durably come, by the way it is read: the five kinds of mark. Pure.

    NoMark          the source is not incremental
    AscendingMark   records come in order: the mark moves with each commit, also in mid-pass
    MarkAtTheEnd    records come in descending or any order: the mark moves when the pass is over
    TokenMark       the mark is a token of the responses; it moves when the pass is over
    WindowedMark    the mark is the end of the last time window that is over

A kind is chosen once, by `mark_rule`. Whatever depends on the kind of mark is asked of it, and of
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Protocol

from worker.core.cursor import Cursor, PassState, WindowState
from worker.core.errors import CursorStuck, PermanentError
from worker.core.instants import MICROS
from worker.core.model import MISSING, BoundaryKey, Decoded, Facts
from worker.paging.bound import bound_text, floor
from worker.paging.duplicates import Known, classify, distinct_keys, later
from worker.paging.endings import Ending, PassOver, walked
from worker.paging.marks import Comparable
from worker.paging.spec import IncrementalSpec, PagingSpec
from worker.paging.windows import Windows


class MarkRule(Protocol):
    """One kind of mark. `where` is the partition, for errors."""

    @property
    def mid_pass(self) -> bool:
        """Whether the mark is true in the middle of a pass: it moves with each commit, and a pass
        may end early.
        """

    @property
    def may_fall_back(self) -> bool:
        """Whether a pass may begin again at the mark and lose nothing."""

    def begin(self, cursor: Cursor) -> PassState | None:
        """Where a new pass stands; None while there is nothing to ask for."""

    def classify(self, decoded: Decoded, cursor: Cursor, boundary: Set[BoundaryKey]) -> Known:
        """What the records of a page are. Raises OrderViolation, OutsideWindow."""

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        """How far this pass has come with the page.

        Raises PermanentError where it ends without a mark for the next one.
        """

    def mark(
        self, cursor: Cursor, state: PassState, snapshot: Comparable | None, ending: Ending
    ) -> Comparable | None:
        """How far the source has durably come with the page."""

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        """Raises PermanentError where a pass that `stop.max_pages` ends would be followed by one
        that gets no further.

        Args:
            stuck: the source has a next page, and all records of the pass were known.
        """

    def floor(self, cursor: Cursor) -> Comparable | None:
        """Below this value no record can come again as a duplicate, so its key may be forgotten;
        None forgets nothing.
        """


class _MovesAtTheEnd:
    """What the marks have in common that move when a pass is over: it is read whole, or again."""

    mid_pass = may_fall_back = False

    def mark(
        self, cursor: Cursor, state: PassState, snapshot: Comparable | None, ending: Ending
    ) -> Comparable | None:
        return later(cursor.mark, snapshot) if isinstance(ending, PassOver) else cursor.mark

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        raise PermanentError(
            f"more than stop.max_pages = {max_pages} pages in a pass", remedy="raise stop.max_pages"
        )


class NoMark(_MovesAtTheEnd):
    """The source is read whole in each pass."""

    def __init__(self, spec: PagingSpec) -> None:
        self._spec = spec

    def begin(self, cursor: Cursor) -> PassState | None:
        return PassState(at=self._spec.style.first(), unmarked=cursor.mark is None)

    def classify(self, decoded: Decoded, cursor: Cursor, boundary: Set[BoundaryKey]) -> Known:
        if self._spec.counts_distinct:
            return distinct_keys(decoded, cursor.pass_no, boundary)
        return _all_new(decoded)

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        return cursor.snapshot_mark

    def floor(self, cursor: Cursor) -> Comparable | None:
        return cursor.pass_no if self._spec.counts_distinct else None


class _ByValue:
    """What the marks have in common that are values of records."""

    def __init__(self, spec: PagingSpec, incremental: IncrementalSpec, where: str) -> None:
        self._spec, self._incremental, self._where = spec, incremental, where
        self._parse = incremental.format.parser()

    def begin(self, cursor: Cursor) -> PassState | None:
        incremental, mark = self._incremental, cursor.mark
        since = incremental.initial
        if mark is not None:
            since = bound_text(incremental, mark, self._spec.wall())
        return PassState(at=self._spec.style.first(), since=since, unmarked=mark is None)

    def classify(self, decoded: Decoded, cursor: Cursor, boundary: Set[BoundaryKey]) -> Known:
        return classify(
            decoded,
            self._incremental,
            self._parse,
            boundary,
            cursor.snapshot_mark,
            where=self._where,
        )

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        return cursor.snapshot_mark if known.highest is None else known.highest

    def _asked_from(self, mark: Comparable | None) -> Comparable | None:
        """The least value that a pass from `mark` on asks for."""
        return None if mark is None else floor(self._incremental, mark, self._spec.wall())


class AscendingMark(_ByValue):
    """Records come in the order of the field, which is checked."""

    mid_pass = may_fall_back = True

    def mark(
        self, cursor: Cursor, state: PassState, snapshot: Comparable | None, ending: Ending
    ) -> Comparable | None:
        return later(cursor.mark, snapshot)

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        if stuck:
            raise CursorStuck(
                where=self._where,
                remedy="the bound of the pass does not move: "
                "check incremental.field and its format",
            )

    def floor(self, cursor: Cursor) -> Comparable | None:
        return self._asked_from(cursor.mark)


class MarkAtTheEnd(_MovesAtTheEnd, _ByValue):
    """Records come in descending order or in none."""

    def floor(self, cursor: Cursor) -> Comparable | None:
        """In the middle of a pass that may shift, what this pass has brought is kept too."""
        lowest, here = cursor.mark, cursor.snapshot_mark
        if cursor.position is not None and not self._spec.style.numbered and here is not None:
            lowest = here if lowest is None else min(lowest, here)
        return self._asked_from(lowest)


class WindowedMark(_ByValue):
    """Time windows are read one after the other, each to its end."""

    mid_pass = False
    may_fall_back = True

    def __init__(
        self, spec: PagingSpec, incremental: IncrementalSpec, windows: Windows, where: str
    ) -> None:
        super().__init__(spec, incremental, where)
        self._windows = windows

    def begin(self, cursor: Cursor) -> PassState | None:
        incremental, windows = self._incremental, self._windows
        begin = self.floor(cursor)
        if cursor.mark is None:
            begin = windows.initial(incremental.initial)
        until = incremental.until
        assert isinstance(begin, int), "checked when the config was read"
        assert not isinstance(until, str), "checked when the config was read"
        window = windows.first(begin, round(self._spec.wall() * MICROS), until)
        if window is None:
            return None
        return PassState(
            at=self._spec.style.first(),
            unmarked=cursor.mark is None,
            window=WindowState(window, marked=cursor.mark),
        )

    def classify(self, decoded: Decoded, cursor: Cursor, boundary: Set[BoundaryKey]) -> Known:
        return classify(
            decoded,
            self._incremental,
            self._parse,
            boundary,
            cursor.snapshot_mark,
            where=self._where,
            least=self.floor(cursor),
        )

    def mark(
        self, cursor: Cursor, state: PassState, snapshot: Comparable | None, ending: Ending
    ) -> Comparable | None:
        assert state.window is not None, "a pass in windows is always in one"
        return later(cursor.mark, state.window.window.end) if walked(ending) else cursor.mark

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        assert state.window is not None, "a pass in windows is always in one"
        if mark == state.window.marked:
            raise PermanentError(
                f"more than stop.max_pages = {max_pages} pages before the mark moved",
                where=self._where,
                remedy="raise stop.max_pages, or make the size of the window "
                "or incremental.overlap smaller",
            )

    def floor(self, cursor: Cursor) -> Comparable | None:
        if not isinstance(cursor.mark, int):
            return None
        return self._windows.floor(cursor.mark - round(self._incremental.overlap_s * MICROS))


class TokenMark(_MovesAtTheEnd):
    """The responses name the token that the next pass begins at."""

    def __init__(self, spec: PagingSpec, incremental: IncrementalSpec, where: str) -> None:
        self._spec, self._incremental, self._where = spec, incremental, where

    def begin(self, cursor: Cursor) -> PassState | None:
        since = self._incremental.initial if cursor.mark is None else cursor.mark
        return PassState(at=self._spec.style.first(), since=since, unmarked=cursor.mark is None)

    def classify(self, decoded: Decoded, cursor: Cursor, boundary: Set[BoundaryKey]) -> Known:
        return _all_new(decoded)

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        """The last token that the responses of the pass named."""
        assert self._incremental.token is not None, "this is what makes it a mark of this kind"
        named = self._incremental.token(facts, headers)
        found = cursor.snapshot_mark if named is MISSING or named in (None, "", False) else named
        if found is None and isinstance(ending, PassOver):
            raise PermanentError(
                "the pass ended without a token for the next one",
                where=self._where,
                remedy="check incremental.from: it names what the last page carries",
            )
        return None if found is None else str(found)

    def mark(
        self, cursor: Cursor, state: PassState, snapshot: Comparable | None, ending: Ending
    ) -> Comparable | None:
        return snapshot if isinstance(ending, PassOver) else cursor.mark

    def floor(self, cursor: Cursor) -> Comparable | None:
        return None


def mark_rule(spec: PagingSpec, where: str) -> MarkRule:
    """The kind of mark of a source."""
    incremental = spec.incremental
    if incremental is None:
        return NoMark(spec)
    if incremental.token is not None:
        return TokenMark(spec, incremental, where)
    if spec.windows is not None:
        return WindowedMark(spec, incremental, spec.windows, where)
    if incremental.order == "ascending":
        return AscendingMark(spec, incremental, where)
    return MarkAtTheEnd(spec, incremental, where)


def _all_new(decoded: Decoded) -> Known:
    return Known(distinct=decoded.facts.count, fresh=decoded.facts.count > 0)
