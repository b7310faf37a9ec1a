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

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from worker.core.cursor import Cursor, PassState, WindowState
from worker.core.errors import CursorStuck, PermanentError
from worker.core.instants import MICROS
from worker.core.model import MISSING, Decoded, Facts
from worker.paging.bound import bound_text, least, reach
from worker.paging.duplicates import Classifier, Known, Range, later
from worker.paging.endings import Ending, PassOver, walked
from worker.paging.marks import Comparable
from worker.paging.spec import IncrementalSpec, PagingSpec
from worker.paging.standing import Standing
from worker.paging.windows import Windows


class MarkRule(Protocol):
    """One kind of mark. `where` is the partition, for errors."""

    @property
    def ordered(self) -> bool:
        """Whether records come in order, so that the mark is true in the middle of a pass, and a
        pass may end where they leave the range that was asked for.
        """

    @property
    def may_fall_back(self) -> bool:
        """Whether a pass may begin again at the mark and lose nothing."""

    @property
    def may_redo(self) -> bool:
        """Whether a pass may be read again, because what it brought is known by its identities."""

    def begin(self, cursor: Cursor) -> PassState | None:
        """Where a new pass stands; None while there is nothing to ask for."""

    def classify(self, decoded: Decoded, standing: Standing) -> Known:
        """What the records of a page are. Raises OrderViolation, BelowBound, OutsideWindow."""

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        """How far this pass has come with the page.

        Raises PermanentError where it ends without a mark for the next one.
        """

    def mark(
        self,
        cursor: Cursor,
        state: PassState,
        snapshot: Comparable | None,
        ending: Ending,
        now_us: int,
    ) -> Comparable | None:
        """How far the source has durably come with the page.

        Args:
            now_us: microseconds since 1970; what is later has not happened yet.
        """

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        """Raises PermanentError where a pass that `stop.max_pages` ends would be followed by one
        that gets no further.

        Args:
            stuck: the source has a next page, and all records of the pass were known.
        """

    def floor(
        self, cursor: Cursor, state: PassState, *, over: bool, many: bool
    ) -> Comparable | None:
        """Keys below this value may be forgotten; None forgets nothing.

        They are those below the bound of the pass in progress, as it was sent, when it is over: a
        source may round its bound down a little. Many keys are forgotten as soon as no later
        request can bring them again.

        Args:
            cursor: where the page leaves the partition.
            state: of the pass that the page belongs to.
            over: the pass is over with the page.
            many: more keys are remembered than `PagingSpec.few`.
        """


class _MovesAtTheEnd:
    """What the marks have in common that move when a pass is over: it is read whole, or again."""

    ordered = may_fall_back = False

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        raise PermanentError(
            f"more than stop.max_pages = {max_pages} pages in a pass", remedy="raise stop.max_pages"
        )


class NoMark(_MovesAtTheEnd):
    """The source is read whole in each pass."""

    may_redo = False

    def __init__(self, spec: PagingSpec) -> None:
        self._spec = spec

    def begin(self, cursor: Cursor) -> PassState | None:
        return PassState(
            at=self._spec.style.first(),
            size=self._spec.size or 0,
            asked=cursor.page_size,
            unmarked=cursor.mark is None,
        )

    def classify(self, decoded: Decoded, standing: Standing) -> Known:
        return _all_new(decoded)

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        return cursor.snapshot_mark

    def mark(
        self,
        cursor: Cursor,
        state: PassState,
        snapshot: Comparable | None,
        ending: Ending,
        now_us: int,
    ) -> Comparable | None:
        return cursor.mark

    def floor(
        self, cursor: Cursor, state: PassState, *, over: bool, many: bool
    ) -> Comparable | None:
        # older versions kept the keys of a pass under its number
        return cursor.pass_no if over else None


class _ByValue:
    """What the marks have in common that are values of records."""

    may_redo = True

    def __init__(self, spec: PagingSpec, incremental: IncrementalSpec, where: str) -> None:
        self._spec, self._incremental, self._where = spec, incremental, where
        self._classifier = Classifier(incremental)
        self._asked: Any = None
        self._asked_least: Comparable | None = None

    def begin(self, cursor: Cursor) -> PassState | None:
        incremental, mark = self._incremental, cursor.mark
        since = incremental.initial
        if mark is not None:
            since = bound_text(incremental, mark, self._spec.wall(), cursor.floor)
        return PassState(
            at=self._spec.style.first(),
            since=since,
            order=incremental.order,
            size=self._spec.size or 0,
            asked=cursor.page_size,
            unmarked=mark is None,
        )

    def classify(self, decoded: Decoded, standing: Standing) -> Known:
        asked = Range(
            least=self._least(standing.cursor, standing.state),
            windowed=self._spec.windows is not None,
            boundary=standing.boundary,
            highest=standing.cursor.snapshot_mark,
            reach=self._reaches(standing.cursor),
            many=standing.cursor.received + decoded.facts.count > self._spec.few,
            where=self._where,
        )
        return self._classifier.classify(decoded, asked)

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        return cursor.snapshot_mark if known.highest is None else known.highest

    def floor(
        self, cursor: Cursor, state: PassState, *, over: bool, many: bool
    ) -> Comparable | None:
        if many:
            return self._reach(cursor)
        return self._least(cursor, state) if over else None

    def _least(self, cursor: Cursor, state: PassState) -> Comparable | None:
        """The least value that the pass asked for. Its text stays the same for the whole pass."""
        if state.since != self._asked:
            self._asked, self._asked_least = state.since, least(self._incremental, state.since)
        return self._asked_least

    def _reach(self, cursor: Cursor) -> Comparable | None:
        """The least value that a pass from the mark on asks for."""
        mark = cursor.mark
        return None if mark is None else reach(self._incremental, mark, self._spec.wall())

    def _reaches(self, cursor: Cursor) -> Callable[[Comparable], Comparable | None] | None:
        """What a later request asks for when the pass has come to a value; None: anything."""
        return None

    def _capped(self, mark: Comparable | None, cursor: Cursor, now_us: int) -> Comparable | None:
        """The mark, but not later than now, and never earlier than it was."""
        if self._incremental.capped and isinstance(mark, int) and mark > now_us:
            return later(cursor.mark, now_us)
        return mark


class AscendingMark(_ByValue):
    """Records come in the order of the field, which is checked."""

    ordered = may_fall_back = True

    def mark(
        self,
        cursor: Cursor,
        state: PassState,
        snapshot: Comparable | None,
        ending: Ending,
        now_us: int,
    ) -> Comparable | None:
        return self._capped(later(cursor.mark, snapshot), cursor, now_us)

    def refuse_cut(
        self, state: PassState, mark: Comparable | None, *, max_pages: int, stuck: bool
    ) -> None:
        if stuck:
            capped = self._incremental.capped and "; or future: allow, if now is earlier than them"
            raise CursorStuck(
                where=self._where,
                remedy="the bound of the pass does not move: "
                f"check incremental.field and its format{capped or ''}",
            )

    def _reaches(self, cursor: Cursor) -> Callable[[Comparable], Comparable | None] | None:
        if self._spec.style.numbered or self._spec.holds_mark:
            return None
        now = round(self._spec.wall() * MICROS)

        def reaches(value: Comparable) -> Comparable | None:
            mark = self._capped(value, cursor, now)
            return None if mark is None else reach(self._incremental, mark, self._spec.wall())

        return reaches


class MarkAtTheEnd(_MovesAtTheEnd, _ByValue):
    """Records come in descending order or in none."""

    def mark(
        self,
        cursor: Cursor,
        state: PassState,
        snapshot: Comparable | None,
        ending: Ending,
        now_us: int,
    ) -> Comparable | None:
        if not isinstance(ending, PassOver):
            return cursor.mark
        # what came in behind the reader, since the pass began, is asked for again
        began_us = state.began_us or now_us
        return self._capped(later(cursor.mark, snapshot), cursor, min(began_us, now_us))

    def floor(
        self, cursor: Cursor, state: PassState, *, over: bool, many: bool
    ) -> Comparable | None:
        return super().floor(cursor, state, over=over, many=many and over)


class WindowedMark(_ByValue):
    """Time windows are read one after the other, each to its end."""

    ordered = False
    may_fall_back = True

    def __init__(
        self, spec: PagingSpec, incremental: IncrementalSpec, windows: Windows, where: str
    ) -> None:
        super().__init__(spec, incremental, where)
        self._windows = windows

    def begin(self, cursor: Cursor) -> PassState | None:
        incremental, windows = self._incremental, self._windows
        begin = self._from(cursor)
        until = incremental.until
        assert isinstance(begin, int), "checked when the config was read"
        assert not isinstance(until, str), "checked when the config was read"
        now_us = round(self._spec.wall() * MICROS)
        window = windows.first(begin, now_us, until, size=cursor.window_size)
        if window is None:
            return None
        return PassState(
            at=self._spec.style.first(),
            order=incremental.order,
            size=self._spec.size or 0,
            asked=cursor.page_size,
            unmarked=cursor.mark is None,
            window=WindowState(window, cursor.mark),
        )

    def mark(
        self,
        cursor: Cursor,
        state: PassState,
        snapshot: Comparable | None,
        ending: Ending,
        now_us: int,
    ) -> Comparable | None:
        """The end of the window that is over, but nothing that has not happened when the source
        answered: it may still come.
        """
        assert state.window is not None, "a pass in windows is always in one"
        if not walked(ending):
            return cursor.mark
        window = state.window.window
        return later(cursor.mark, max(window.start, min(window.end, self._windows.last(now_us))))

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

    def floor(
        self, cursor: Cursor, state: PassState, *, over: bool, many: bool
    ) -> Comparable | None:
        return self._reach(cursor)

    def _least(self, cursor: Cursor, state: PassState) -> Comparable | None:
        return self._reach(cursor)

    def _reach(self, cursor: Cursor) -> Comparable | None:
        if not isinstance(cursor.mark, int):
            return None
        return self._windows.floor(cursor.mark - round(self._incremental.overlap_s * MICROS))

    def _from(self, cursor: Cursor) -> Comparable | None:
        """Where the pass begins."""
        if cursor.mark is None:
            return self._windows.initial(self._incremental.initial)
        return self._reach(cursor)


class TokenMark(_MovesAtTheEnd):
    """The responses name the token that the next pass begins at."""

    may_redo = False

    def __init__(self, spec: PagingSpec, incremental: IncrementalSpec, where: str) -> None:
        self._spec, self._incremental, self._where = spec, incremental, where

    def begin(self, cursor: Cursor) -> PassState | None:
        since = self._incremental.initial if cursor.mark is None else cursor.mark
        return PassState(
            at=self._spec.style.first(),
            since=since,
            size=self._spec.size or 0,
            asked=cursor.page_size,
            unmarked=cursor.mark is None,
        )

    def classify(self, decoded: Decoded, standing: Standing) -> Known:
        return _all_new(decoded)

    def snapshot(
        self, cursor: Cursor, known: Known, facts: Facts, headers: Mapping[str, str], ending: Ending
    ) -> Comparable | None:
        """The last token that the responses of the pass named."""
        assert self._incremental.token is not None, "this is what makes it a mark of this kind"
        named = _token_mark(self._incremental.token(facts, headers))
        found = cursor.snapshot_mark if named is None else named
        if found is None and isinstance(ending, PassOver):
            raise PermanentError(
                "the pass ended without a token for the next one",
                where=self._where,
                remedy="check incremental.from: it names what the last page carries",
            )
        return found

    def mark(
        self,
        cursor: Cursor,
        state: PassState,
        snapshot: Comparable | None,
        ending: Ending,
        now_us: int,
    ) -> Comparable | None:
        return snapshot if isinstance(ending, PassOver) else cursor.mark

    def floor(
        self, cursor: Cursor, state: PassState, *, over: bool, many: bool
    ) -> Comparable | None:
        return None


def _token_mark(token: Any) -> Comparable | None:
    """A token as a mark: text and whole numbers as they are, so that they are sent back as they
    came, anything else as its JSON text. None for an end token; 0 is a token.
    """
    if token is MISSING or token is None or token is False or token == "":
        return None
    if isinstance(token, str) or (isinstance(token, int) and token is not True):
        return token
    return msgspec.json.encode(token).decode()


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
    return Known(fresh=decoded.facts.count > 0)
