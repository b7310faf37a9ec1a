"""The planner of one partition: which page to ask for next, and what an answer means. Pure.

Rule 1: all decisions about pages, passes, marks and duplicates are made here, in order, on the *head* page.
Rule 2: pages fetched ahead are guesses. They wait in a buffer until the head reaches exactly their position;
        when it goes elsewhere, all of them are thrown away and planned again.
Rule 3: nothing here has happened until the `Accepted` it returned is committed; a planner is rebuilt from the commit log.
Rule 4: with windows (paging/windows.py) the pages of one window are walked as those of a pass are elsewhere: stop rules, totals, the loop guard
        and the check of the order hold within it. The mark moves when a window is over, to its end, in whatever order records came.

    next(now)  -> Fetch | Wait | Done | None       None: busy, something is in flight
    accept(fetch, reply, now) -> [Accepted, ...]   raises PermanentError: the head page was refused, nothing moved
    drop(fetch)                                    a fetch that failed; the head will be asked for again
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final

import msgspec
from paging.frozen.bound import bound_text, floor
from paging.frozen.cursor import Cursor
from paging.frozen.duplicates import classify, later, without
from paging.frozen.windows import Window

from worker.core.errors import (
    BoundaryFull,
    CursorStuck,
    PaginationLoop,
    PermanentError,
    TotalMismatch,
    WindowRefused,
)
from worker.core.instants import MICROS
from worker.core.model import (
    MISSING,
    BoundaryKey,
    Claim,
    Decoded,
    Facts,
    Json,
    Ledger,
    Progress,
)
from worker.paging.marks import Comparable
from worker.paging.spec import Accepted, Done, Fetch, PagingSpec, PassEnd, Reply, Wait
from worker.paging.style import End, Next

NOTHING_BEFORE: Final = {"pages": 0, "received": 0, "proven": True}
"""What came in a pass before the window in progress."""


class PartitionPlanner:
    """See the module. `claim` is where the commit log says the partition stands."""

    def __init__(self, spec: PagingSpec, claim: Claim) -> None:
        self.partition = claim.partition
        self._spec = spec
        self._style = spec.style
        self._windows = spec.windows
        self._cursor = claim.cursor
        self._opening: dict[str, Any] | None = None
        self._boundary: set[BoundaryKey] = set(claim.boundary)
        self._tokens: set[bytes] = set(claim.tokens)
        self._parse = (
            spec.incremental.format.parser()
            if spec.incremental is not None and spec.incremental.token is None
            else None
        )
        self._generation = 0
        self._flying: dict[bytes, Fetch] = {}
        self._buffer: dict[bytes, tuple[Fetch, Reply]] = {}
        self._stride = 0
        self._ahead_allowed = True
        self._fell_back = False
        self._clear_tokens = False
        self._due: float | None = None
        self._passes = 0

    def __repr__(self) -> str:
        return f"<PartitionPlanner {self.partition} pass={self._cursor.pass_no} flying={len(self._flying)} buffered={len(self._buffer)}>"

    @property
    def cursor(self) -> Cursor:
        return self._cursor

    @property
    def speculating(self) -> bool:
        """Pages fetched ahead wait for the head: the head must be admitted, or they would wait for ever."""
        return bool(self._buffer) or any(fetch.speculative for fetch in self._flying.values())

    # -- what to ask for ------------------------------------------------------------------------------------------

    def next(self, now: float) -> Fetch | Wait | Done | None:
        """The next thing to do; see the module."""
        if self._cursor.complete:
            return Done("read once and complete")
        if self._cursor.position is None and self._passes:
            if self._spec.once or self._spec.every_s is None:
                return Done("pass complete")
            if self._due is not None and now < self._due:
                return Wait(self._due)
        if self._cursor.position is None and self._opening is None:
            self._opening = self._begun()
            if self._opening is None:
                return self._idle(now)
        place = self._place()
        if (key := _key(place["at"])) not in self._flying and key not in self._buffer:
            if place["pages"] == 0:
                self._schedule(now)
            return self._launch(place["at"], place, speculative=False)
        return self._guess(place)

    def _schedule(self, now: float) -> None:
        if self._spec.every_s is not None:
            self._due = now + self._spec.every_s + self._spec.jitter()

    def _idle(self, now: float) -> Wait | Done:
        """No window is over yet: there is nothing to ask for."""
        self._schedule(now)
        return (
            Done("no window is over yet")
            if self._spec.once or self._due is None
            else Wait(self._due)
        )

    def _guess(self, place: dict[str, Any]) -> Fetch | None:
        if not (self._style.numbered and self._stride and self._ahead_allowed):
            return None
        received = self._cursor.received - _before(place)["received"]
        for pages in range(1, self._spec.depth):
            if (
                self._cursor.total is not None
                and received + pages * self._stride >= self._cursor.total
            ):
                return None
            position = self._style.ahead(place["at"], self._stride, pages)
            if position is None:
                return None
            if (key := _key(position)) not in self._flying and key not in self._buffer:
                return self._launch(position, place, speculative=True)
        return None

    def _launch(self, position: Json, place: dict[str, Any], *, speculative: bool) -> Fetch:
        first = place["pages"] == _before(place)["pages"] and not speculative
        known = self._cursor.validators if first else None
        unmarked = place.get("unmarked", False)
        address = self._style.address(position)
        if self._windows is not None:
            address = self._windows.address(
                *self._windows.asked(Window.from_json(place["window"]))
            ).plus(address)
        fetch = Fetch(
            position, address, place["since"], speculative, first, self._generation, unmarked, known
        )
        self._flying[_key(position)] = fetch
        return fetch

    def _place(self) -> dict[str, Any]:
        """Where the head of the pass in progress stands, as the cursor keeps it."""
        position = self._opening if self._cursor.position is None else self._cursor.position
        assert position is not None, "a pass is begun before anything of it is asked for"
        return dict(position)

    def _begun(self) -> dict[str, Any] | None:
        """Where a new pass stands; None while there is nothing to ask for.

        It is kept until its first page is accepted: what that page answers must be what was asked, however late it comes.
        """
        place = {
            "since": None,
            "at": self._style.first(),
            "pages": 0,
            "fresh": False,
            "unmarked": self._cursor.mark is None,
        }
        if self._windows is None:
            return {**place, "since": self._since()}
        window = self._first_window()
        return (
            None
            if window is None
            else {
                **place,
                "window": window.to_json(),
                "marked": self._cursor.mark,
                "before": NOTHING_BEFORE,
            }
        )

    def _first_window(self) -> Window | None:
        incremental, windows = self._spec.incremental, self._windows
        assert (
            incremental is not None
            and windows is not None
            and not isinstance(incremental.until, str)
        )
        begin = (
            self._floor(self._cursor)
            if self._cursor.mark is not None
            else windows.initial(incremental.initial)
        )
        assert isinstance(begin, int), "checked when the config was read"
        return windows.first(begin, round(self._spec.wall() * MICROS), incremental.until)

    def _since(self) -> Json:
        """The lower bound of a new pass as the source wants it; it stays the same for the whole pass."""
        incremental = self._spec.incremental
        if incremental is None:
            return None
        if self._cursor.mark is None:
            return incremental.initial
        if incremental.token is not None:
            return self._cursor.mark
        return bound_text(incremental, self._cursor.mark, self._spec.wall())

    # -- what an answer means -------------------------------------------------------------------------------------

    def drop(self, fetch: Fetch) -> None:
        """The fetch brought nothing. A failed guess stops guessing until the head has moved."""
        if self._flying.get(_key(fetch.position)) is fetch:
            del self._flying[_key(fetch.position)]
            if fetch.speculative:
                self._ahead_allowed = False

    def fall_back(self) -> bool:
        """The source refused the position of the pass. Start the pass again at the mark, if that loses nothing.

        Only ascending sources, and windows, have a mark that is true in the middle of a pass; once a pass, or it would go in circles.
        """
        if (
            not (self._moves_with_commits or self._windows is not None)
            or self._fell_back
            or self._cursor.position is None
        ):
            return False
        self._fell_back = True
        self._cursor = self._cursor.evolve(
            position=None, snapshot_mark=None, received=0, total=None
        )
        self._tokens.clear()
        self._clear_tokens = True
        self._discard_guesses()
        return True

    def accept(self, fetch: Fetch, reply: Reply, now: float) -> list[Accepted]:
        """Takes the answer, and every buffered one whose turn has come."""
        key = _key(fetch.position)
        if self._flying.get(key) is not fetch:
            return []  # thrown away while it was in flight
        del self._flying[key]
        if key != _key(self._place()["at"]):
            self._buffer[key] = (fetch, reply)
            return []
        accepted: list[Accepted] = []
        while True:
            try:
                taken = self._take(reply, now)
            except PermanentError:
                if accepted:
                    return accepted  # they must not be lost with a guess behind them; it is asked for again, as the head
                raise
            accepted.append(taken)
            if taken.pass_end is not None:
                self._discard_guesses()
                return accepted
            head = _key(self._place()["at"])
            if head in self._buffer:
                fetch, reply = self._buffer.pop(head)
                continue
            if (self._buffer or self._flying) and head not in self._flying:
                self._discard_guesses()
            return accepted

    def _discard_guesses(self) -> None:
        self._generation += 1
        self._buffer.clear()
        self._flying.clear()

    def _take(self, reply: Reply, now: float) -> Accepted:
        """Accepts the head page. Everything is checked before anything changes."""
        if reply.unchanged:
            return self._unchanged()
        if reply.split:
            return self._split(reply.split)
        decoded = reply.decoded or Decoded([], None, [], Facts(0))
        facts, place = decoded.facts, self._place()
        at, before = place["at"], _before(place)
        window = Window.from_json(place["window"]) if self._windows is not None else None
        total, drift = self._total(facts, reply)
        distinct, new_keys = self._distinct(facts)
        received = self._cursor.received + distinct
        here = received - before["received"]  # what a total is compared with
        following = self._style.after(at, facts, reply.headers)
        known = classify(
            decoded,
            self._spec.incremental,
            self._parse,
            self._boundary,
            self._cursor.snapshot_mark,
            where=self.partition,
            least=None if window is None else self._floor(self._cursor),
        )
        ended = self._ended(following, reply, facts, place, here, total)
        if known.beyond and self._moves_with_commits:
            ended = ended or "the end of what was asked for"
        turn = (
            self._windows.after(window)
            if ended and window is not None and self._windows is not None
            else None
        )
        walked, ended = (
            bool(ended),
            "" if turn else ended,
        )  # behind the pages of a window, the pass goes on with the next one
        full = not ended and place["pages"] + 1 >= self._spec.stop.max_pages
        if full:
            ended = f"max_pages {self._spec.stop.max_pages}"
        token = None if ended or turn else self._guarded(following, facts, at)
        fresh = place["fresh"] or known.fresh
        passed = place.get("passed", False) or (
            total is not None and here > total
        )  # then the total is wrong, and ends nothing any more
        if total is not None and here > total and not drift:
            drift = f"{here} records received, the source said {total}"
        drifted = bool(drift) or place.get("drifted", False)
        snapshot = (
            self._token_mark(facts, reply, ended=bool(ended))
            if self._keeps_token
            else known.highest
            if known.highest is not None
            else self._cursor.snapshot_mark
        )
        mark = self._cursor.mark
        if window is not None:
            mark = later(mark, window.end) if walked else mark
        elif self._moves_with_commits or ended:
            mark = snapshot if self._keeps_token else later(mark, snapshot)
        if full:
            self._check_cut(following, place, mark, known_only=not fresh and bool(received))
        cut = full or bool(
            known.beyond and self._moves_with_commits
        )  # the source has more, and nobody asked for it
        if walked and not (cut and window is None) and total is not None and here < total:
            what = "pass" if window is None else "window"
            raise TotalMismatch(
                f"the {what} ended with {here} of {total} records",
                where=self.partition,
                remedy="check pagination and stop rules",
            )
        proven = before["proven"] and total is not None and here == total
        cursor = self._cursor.evolve(
            received=received, total=total, snapshot_mark=snapshot, mark=mark
        )
        pass_end = None
        validators = reply.validators if place["pages"] == 0 else place.get("validators")
        if ended:
            completeness = (
                "unknown" if drifted or cut else "proven" if proven else self._spec.completeness
            )
            pass_end = PassEnd(cursor.pass_no, received, ended, completeness)
            cursor = self._closed(cursor.evolve(validators=None if cut else validators))
        elif turn is not None:
            gone = {"pages": place["pages"] + 1, "received": received, "proven": proven}
            place = {**place, "pages": gone["pages"], "fresh": fresh, "drifted": drifted}
            cursor = self._at_window(cursor, place, turn, gone)
        elif isinstance(following, Next):
            position = following.position
            if isinstance(position, dict) and "url" in position:
                position = {**position, "url": self._spec.strip(position["url"])}
            seen = {} if validators is None else {"validators": validators}
            place = {
                **place,
                **seen,
                "at": position,
                "pages": place["pages"] + 1,
                "fresh": fresh,
                "drifted": drifted,
                "passed": passed,
            }
            cursor = cursor.evolve(position=place)
        progress = self._remember(cursor, known.keys | new_keys, token, bool(ended or turn))
        if pass_end is not None:
            self._passed()
        rejects = [*decoded.rejects, *known.rejects]
        kept, indices = without(decoded, known.dropped)
        if facts.count:
            self._stride = facts.count
        self._ahead_allowed = True
        if turn is not None:
            self._turned()
        ledger = Ledger(
            received=facts.count,
            filtered=known.beyond,
            deduplicated=known.duplicates,
            dead_lettered=len(rejects),
        )
        where = self._shown(at, window)
        return Accepted(
            Decoded(kept, indices, rejects, facts, decoded.raw),
            where,
            self._cursor_pass(pass_end),
            progress,
            ledger,
            pass_end,
            drift,
        )

    def _check_cut(
        self,
        following: Next | End,
        place: dict[str, Any],
        mark: Comparable | None,
        *,
        known_only: bool,
    ) -> None:
        """Refuses to cut a pass at max_pages where the next one would not get further."""
        pages, raised = self._spec.stop.max_pages, "raise stop.max_pages"
        if self._windows is not None:
            if mark == place["marked"]:
                remedy = f"{raised}, or make the size of the window or incremental.overlap smaller"
                raise PermanentError(
                    f"more than stop.max_pages = {pages} pages before the mark moved",
                    where=self.partition,
                    remedy=remedy,
                )
        elif not self._moves_with_commits:
            raise PermanentError(
                f"more than stop.max_pages = {pages} pages in a pass", remedy=raised
            )
        elif isinstance(following, Next) and known_only:
            raise CursorStuck(
                where=self.partition,
                remedy="the bound of the pass does not move: check incremental.field and its format",
            )

    # -- windows --------------------------------------------------------------------------------------------------

    def _split(self, said: str) -> Accepted:
        """The source refused the window: its halves are asked for, from their first pages on. What the whole one brought is known by its keys."""
        place, windows = self._place(), self._windows
        assert windows is not None
        window = Window.from_json(place["window"])
        half = windows.halved(window)
        if half is None:
            start, end = windows.asked(window)
            raise WindowRefused(
                f"{said}, for a window from {start} to {end}, which cannot be made shorter",
                where=self.partition,
                remedy="lower split_on.smallest or step, or page inside the window with within; or the status means something else: say so with split_on.when",
            )
        where = self._shown(place["at"], window)
        cursor = self._at_window(
            self._cursor,
            place,
            half,
            {**_before(place), "pages": place["pages"], "received": self._cursor.received},
        )
        progress = self._remember(cursor, set(), None, True)
        self._turned()
        return Accepted(Decoded([], None, [], Facts(0)), where, cursor.pass_no, progress, Ledger())

    def _at_window(
        self, cursor: Cursor, place: dict[str, Any], window: Window, before: dict[str, Any]
    ) -> Cursor:
        """The cursor at the first page of a window; `before` is what the pass brought until here."""
        place = {
            **place,
            "at": self._style.first(),
            "window": window.to_json(),
            "before": before,
            "passed": False,
        }
        return cursor.evolve(position=place, total=None, snapshot_mark=None)

    def _turned(self) -> None:
        """Pages that were fetched ahead are those of another window, and say nothing of how long pages are here."""
        self._discard_guesses()
        self._stride = 0

    def _shown(self, at: Json, window: Window | None) -> Json:
        """A position for people: that of the style, and which window it is in."""
        return (
            at
            if window is None or self._windows is None
            else {"at": at, "window": list(self._windows.asked(window))}
        )

    def _unchanged(self) -> Accepted:
        """An empty, complete pass: the source has nothing that the last complete one did not see."""
        at, end = (
            self._place()["at"],
            PassEnd(self._cursor.pass_no, 0, "not modified", self._spec.completeness),
        )
        progress = self._remember(self._closed(self._cursor), set(), None, True)
        self._passed()
        return Accepted(Decoded([], None, [], Facts(0)), at, end.number, progress, Ledger(), end)

    def _cursor_pass(self, pass_end: PassEnd | None) -> int:
        return pass_end.number if pass_end else self._cursor.pass_no

    @property
    def _moves_with_commits(self) -> bool:
        incremental = self._spec.incremental
        return (
            self._parse is not None
            and incremental is not None
            and incremental.order == "ascending"
            and self._windows is None
        )

    @property
    def _keeps_token(self) -> bool:
        return self._spec.incremental is not None and self._spec.incremental.token is not None

    def _token_mark(self, facts: Facts, reply: Reply, *, ended: bool) -> str | None:
        """The last token that the responses of the pass named. Without one, the next pass would read everything again."""
        incremental = self._spec.incremental
        assert incremental is not None and incremental.token is not None
        said = incremental.token(facts, reply.headers)
        found = (
            self._cursor.snapshot_mark
            if said is MISSING or said in (None, "", False)
            else str(said)
        )
        if ended and found is None:
            raise PermanentError(
                "the pass ended without a token for the next one",
                where=self.partition,
                remedy="check incremental.from: it names what the last page carries",
            )
        return None if found is None else str(found)

    def _total(self, facts: Facts, reply: Reply) -> tuple[int | None, str]:
        said = self._spec.total(facts, reply.headers)
        known = self._cursor.total
        if said is None or known is None or said == known:
            return (known if said is None else said), ""
        return said, f"the total changed within the pass from {known} to {said}"

    def _distinct(self, facts: Facts) -> tuple[int, set[BoundaryKey]]:
        """How many records of the page are new to the pass, where a total is compared and no mark remembers keys anyway."""
        if not self._spec.counts_distinct or self._spec.incremental is not None:
            return facts.count, set()
        keys: set[BoundaryKey] = {(self._cursor.pass_no, key) for key in facts.keys}
        keys -= self._boundary
        return len(keys), keys

    def _ended(
        self,
        following: Next | End,
        reply: Reply,
        facts: Facts,
        place: dict[str, Any],
        received: int,
        total: int | None,
    ) -> str:
        """Why the pages end here, or empty. Rules combine with or; a style's own end always counts."""
        stop = self._spec.stop
        if isinstance(following, End):
            return following.reason
        if reply.stop:
            return reply.stop
        more_to_come = total is not None and received < total
        if self._style.numbered and received == total and not place.get("passed", False):
            return "total reached"
        if self._style.numbered and stop.empty_page and facts.count == 0 and not more_to_come:
            return "empty page"
        if stop.short_page is not None and facts.count < stop.short_page and not more_to_come:
            return "short page"
        return "stop.when" if stop.when(facts) else ""

    def _guarded(self, following: Next | End, facts: Facts, at: Json) -> bytes:
        """The hash that the loop guard remembers of this page; raises PaginationLoop when it is known.

        An empty page does not move an offset: where the total says that more is to come it is asked for once more, whatever else its body says.
        """
        token = following.token if isinstance(following, Next) else None
        stuck = self._style.numbered and isinstance(following, Next) and following.position == at
        remembered = _digest(token) if token is not None else _digest(at) if stuck else facts.digest
        if remembered in self._tokens:
            what = (
                f"the token {_told(token)!r}"
                if token is not None
                else "an empty page at the same place"
                if stuck
                else "the body of this page"
            )
            raise PaginationLoop(
                f"{what} came before in this pass",
                where=self.partition,
                remedy="the source repeats itself: check pagination; scroll ids need repeat: allow",
            )
        return remembered

    def _passed(self) -> None:
        self._passes += 1
        self._fell_back = False

    def _closed(self, cursor: Cursor) -> Cursor:
        """The cursor behind a finished pass."""
        again = self._spec.incremental is not None or self._spec.every_s is not None
        if not again:
            return cursor.evolve(position=None, complete=True)
        return cursor.evolve(
            pass_no=cursor.pass_no + 1, position=None, snapshot_mark=None, received=0, total=None
        )

    def _remember(
        self, cursor: Cursor, keys: set[BoundaryKey], token: bytes | None, walked: bool
    ) -> Progress:
        """Updates the memory for duplicates and loops, and returns the same change as a difference. `walked`: the loop guard begins anew."""
        least, boundary = self._floor(cursor), self._boundary
        if least is not None:
            keys = {key for key in keys if key[0] >= least}  # type: ignore[operator]  # one value type a source
            if boundary:
                boundary = {key for key in boundary if key[0] >= least}  # type: ignore[operator]
        size = len(boundary) + len(keys - boundary)
        if (
            size > self._spec.boundary_cap
        ):  # nothing is kept: its records would be duplicates when the page comes again
            raise BoundaryFull(
                f"{size} boundary keys, at most {self._spec.boundary_cap} are kept",
                remedy="shorten incremental.overlap, or the size of the windows, or raise source.boundary_cap",
            )
        boundary |= keys
        self._boundary = boundary
        cleared, self._clear_tokens = self._clear_tokens or walked, False
        if walked:
            self._tokens.clear()
        added = () if token is None or walked else (token,)
        self._tokens.update(added)
        self._cursor, self._opening = cursor, None
        return Progress(cursor, tuple(sorted(keys)), least, added, cleared)

    def _floor(self, cursor: Cursor) -> Comparable | None:
        """Below this value no record can come again as a duplicate, so its key may be forgotten."""
        incremental = self._spec.incremental
        if incremental is None:
            return cursor.pass_no if self._spec.counts_distinct else None
        lowest = cursor.mark
        if self._windows is not None:
            return (
                None
                if not isinstance(lowest, int)
                else self._windows.floor(lowest - round(incremental.overlap_s * MICROS))
            )
        if (
            incremental.order != "ascending"
            and cursor.position is not None
            and not self._style.numbered
            and cursor.snapshot_mark is not None
        ):
            lowest = (
                cursor.snapshot_mark
                if cursor.mark is None
                else min(cursor.mark, cursor.snapshot_mark)
            )
        return (
            None
            if lowest is None or incremental.token is not None
            else floor(incremental, lowest, self._spec.wall())
        )


def _before(place: dict[str, Any]) -> dict[str, Any]:
    """What the pass brought before the window in progress."""
    found: dict[str, Any] = place.get("before", NOTHING_BEFORE)
    return found


def _told(token: Json) -> str:
    """A token for people: of a URL without its query, which may say back credentials."""
    text = str(token)
    if text.startswith(("http://", "https://")):
        text = text.partition("?")[0]
    return text[:80]


def _key(position: Json) -> bytes:
    return msgspec.json.encode(position)


def _digest(value: Json) -> bytes:
    return blake2b(msgspec.json.encode(value), digest_size=16).digest()
