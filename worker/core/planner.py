"""The planner of one partition: which page to ask for next, and what an answer means. Pure.

Rule 1: all decisions about pages, passes, marks and duplicates are made here, in order, on the *head* page.
Rule 2: pages fetched ahead are guesses. They wait in a buffer until the head reaches exactly their position;
        when it goes elsewhere, all of them are thrown away and planned again.
Rule 3: nothing here has happened until the `Accepted` it returned is committed; a planner is rebuilt from the commit log.

    next(now)  -> Fetch | Wait | Done | None       None: busy, something is in flight
    accept(fetch, reply, now) -> [Accepted, ...]   raises PermanentError: the head page was refused, nothing moved
    drop(fetch)                                    a fetch that failed; the head will be asked for again
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from worker.core.bound import bound_text, floor
from worker.core.errors import BoundaryFull, CursorStuck, PaginationLoop, PermanentError, TotalMismatch
from worker.core.known import later, sort_records, without
from worker.core.mark import Comparable
from worker.core.model import MISSING, BoundaryKey, Claim, Cursor, Decoded, Facts, Json, Ledger, Progress
from worker.core.plan import Accepted, Done, Fetch, PassEnd, PlanSpec, Reply, Wait
from worker.core.ports import End, Next


class PartitionPlanner:
    """See the module. `claim` is where the commit log says the partition stands."""

    def __init__(self, spec: PlanSpec, claim: Claim) -> None:
        self.partition = claim.partition
        self._spec = spec
        self._style = spec.style
        self._cursor = claim.cursor
        self._boundary: set[BoundaryKey] = set(claim.boundary)
        self._tokens: set[bytes] = set(claim.tokens)
        self._parse = spec.incremental.format.parser() if spec.incremental is not None and spec.incremental.token is None else None
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
        place = self._place()
        if (key := _key(place["at"])) not in self._flying and key not in self._buffer:
            if self._spec.every_s is not None and place["pages"] == 0:
                self._due = now + self._spec.every_s + self._spec.jitter()
            return self._launch(place["at"], place, speculative=False)
        return self._guess(place)

    def _guess(self, place: dict[str, Any]) -> Fetch | None:
        if not (self._style.numbered and self._stride and self._ahead_allowed):
            return None
        for pages in range(1, self._spec.depth):
            if self._cursor.total is not None and self._cursor.received + pages * self._stride >= self._cursor.total:
                return None
            position = self._style.ahead(place["at"], self._stride, pages)
            if position is None:
                return None
            if (key := _key(position)) not in self._flying and key not in self._buffer:
                return self._launch(position, place, speculative=True)
        return None

    def _launch(self, position: Json, place: dict[str, Any], *, speculative: bool) -> Fetch:
        first = place["pages"] == 0 and not speculative
        known = self._cursor.validators if first else None
        unmarked = place.get("unmarked", False)
        fetch = Fetch(position, self._style.address(position), place["since"], speculative, first, self._generation, unmarked, known)
        self._flying[_key(position)] = fetch
        return fetch

    def _place(self) -> dict[str, Any]:
        """Where the head of the pass in progress stands, as the cursor keeps it."""
        if self._cursor.position is not None:
            return dict(self._cursor.position)
        return {"since": self._since(), "at": self._style.first(), "pages": 0, "fresh": False, "unmarked": self._cursor.mark is None}

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

        Only ascending sources have a mark that is true in the middle of a pass; once a pass, or it would go in circles.
        """
        if not self._moves_with_commits or self._fell_back or self._cursor.position is None:
            return False
        self._fell_back = True
        self._cursor = self._cursor.evolve(position=None, snapshot_mark=None, received=0, total=None)
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
            head = _key(self._place()["at"])
            if taken.pass_end is not None:
                self._discard_guesses()
                return accepted
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
        decoded = reply.decoded or Decoded([], None, [], Facts(0))
        facts, place = decoded.facts, self._place()
        at = place["at"]
        total, drift = self._total(facts, reply)
        distinct, new_keys = self._distinct(facts)
        received = self._cursor.received + distinct
        following = self._style.after(place["at"], facts, reply.headers)
        known = sort_records(decoded, self._spec.incremental, self._parse, self._boundary, self._cursor.snapshot_mark, where=self.partition)
        ended = self._ended(following, reply, facts, place, received, total)
        if known.beyond and self._moves_with_commits:
            ended = ended or "the end of what was asked for"
        token = None if ended else self._guarded(following, facts, at)
        fresh = place["fresh"] or known.fresh
        passed = place.get("passed", False) or (total is not None and received > total)  # then the total is wrong, and ends nothing any more
        if total is not None and received > total and not drift:
            drift = f"{received} records received, the source said {total}"
        drifted = bool(drift) or place.get("drifted", False)
        full = ended.startswith("max_pages")
        if full and not self._moves_with_commits:
            raise PermanentError(f"more than stop.max_pages = {self._spec.stop.max_pages} pages in a pass", remedy="raise stop.max_pages")
        if full and isinstance(following, Next) and not fresh and received:
            raise CursorStuck(where=self.partition, remedy="the bound of the pass does not move: check incremental.field and its format")
        cut = full or bool(known.beyond and self._moves_with_commits)  # the source has more, and nobody asked for it
        if ended and not cut and total is not None and received < total:
            raise TotalMismatch(f"the pass ended with {received} of {total} records", where=self.partition, remedy="check pagination and stop rules")
        snapshot = (
            self._token_mark(facts, reply, ended=bool(ended))
            if self._keeps_token
            else known.highest
            if known.highest is not None
            else self._cursor.snapshot_mark
        )
        cursor = self._cursor.evolve(received=received, total=total, snapshot_mark=snapshot)
        if self._moves_with_commits or ended:
            cursor = cursor.evolve(mark=snapshot if self._keeps_token else later(cursor.mark, snapshot))
        pass_end = None
        validators = reply.validators if place["pages"] == 0 else place.get("validators")
        if ended:
            pass_end = PassEnd(cursor.pass_no, received, ended, _completeness(total, received, self._spec.completeness, drifted=drifted or cut))
            cursor = self._closed(cursor.evolve(validators=None if cut else validators))
        elif isinstance(following, Next):
            position = following.position
            if isinstance(position, dict) and "url" in position:
                position = {**position, "url": self._spec.strip(position["url"])}
            seen = {} if validators is None else {"validators": validators}
            place = {**place, **seen, "at": position, "pages": place["pages"] + 1, "fresh": fresh, "drifted": drifted, "passed": passed}
            cursor = cursor.evolve(position=place)
        progress = self._remember(cursor, known.keys | new_keys, token, bool(pass_end))
        rejects = [*decoded.rejects, *known.rejects]
        kept, indices = without(decoded, known.dropped)
        if facts.count:
            self._stride = facts.count
        self._ahead_allowed = True
        ledger = Ledger(received=facts.count, filtered=known.beyond, deduplicated=known.duplicates, dead_lettered=len(rejects))
        return Accepted(Decoded(kept, indices, rejects, facts, decoded.raw), at, self._cursor_pass(pass_end), progress, ledger, pass_end, drift)

    def _unchanged(self) -> Accepted:
        """An empty, complete pass: the source has nothing that the last complete one did not see."""
        at, end = self._place()["at"], PassEnd(self._cursor.pass_no, 0, "not modified", self._spec.completeness)
        progress = self._remember(self._closed(self._cursor), set(), None, True)
        return Accepted(Decoded([], None, [], Facts(0)), at, end.number, progress, Ledger(), end)

    def _cursor_pass(self, pass_end: PassEnd | None) -> int:
        return pass_end.number if pass_end else self._cursor.pass_no

    @property
    def _moves_with_commits(self) -> bool:
        return self._parse is not None and self._spec.incremental is not None and self._spec.incremental.order == "ascending"

    @property
    def _keeps_token(self) -> bool:
        return self._spec.incremental is not None and self._spec.incremental.token is not None

    def _token_mark(self, facts: Facts, reply: Reply, *, ended: bool) -> str | None:
        """The last token that the responses of the pass named. Without one, the next pass would read everything again."""
        incremental = self._spec.incremental
        assert incremental is not None and incremental.token is not None
        said = incremental.token(facts, reply.headers)
        found = self._cursor.snapshot_mark if said is MISSING or said in (None, "", False) else str(said)
        if ended and found is None:
            raise PermanentError(
                "the pass ended without a token for the next one", where=self.partition, remedy="check incremental.from: it names what the last page carries"
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

    def _ended(self, following: Next | End, reply: Reply, facts: Facts, place: dict[str, Any], received: int, total: int | None) -> str:
        """Why the pass ends here, or empty. Rules combine with or; a style's own end always counts."""
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
        if stop.when(facts):
            return "stop.when"
        if place["pages"] + 1 >= stop.max_pages:
            return f"max_pages {stop.max_pages}"
        return ""

    def _guarded(self, following: Next | End, facts: Facts, at: Json) -> bytes:
        """The hash that the loop guard remembers of this page; raises PaginationLoop when it is known.

        An empty page does not move an offset: where the total says that more is to come it is asked for once more, whatever else its body says.
        """
        token = following.token if isinstance(following, Next) else None
        stuck = self._style.numbered and isinstance(following, Next) and following.position == at
        remembered = _digest(token) if token is not None else _digest(at) if stuck else facts.digest
        if remembered in self._tokens:
            what = f"the token {_shown(token)!r}" if token is not None else "an empty page at the same place" if stuck else "the body of this page"
            raise PaginationLoop(
                f"{what} came before in this pass", where=self.partition, remedy="the source repeats itself: check pagination; scroll ids need repeat: allow"
            )
        return remembered

    def _closed(self, cursor: Cursor) -> Cursor:
        """The cursor behind a finished pass."""
        again = self._spec.incremental is not None or self._spec.every_s is not None
        if not again:
            return cursor.evolve(position=None, complete=True)
        return cursor.evolve(pass_no=cursor.pass_no + 1, position=None, snapshot_mark=None, received=0, total=None)

    def _remember(self, cursor: Cursor, keys: set[BoundaryKey], token: bytes | None, pass_ended: bool) -> Progress:
        """Updates the memory for duplicates and loops, and returns the same change as a difference."""
        least, boundary = self._floor(cursor), self._boundary
        if least is not None:
            keys = {key for key in keys if key[0] >= least}  # type: ignore[operator]  # one value type a source
            if boundary:
                boundary = {key for key in boundary if key[0] >= least}  # type: ignore[operator]
        if (
            size := len(boundary) + len(keys - boundary)
        ) > self._spec.boundary_cap:  # nothing is kept: its records would be duplicates when the page comes again
            raise BoundaryFull(
                f"{size} boundary keys, at most {self._spec.boundary_cap} are kept", remedy="shorten incremental.overlap or raise source.boundary_cap"
            )
        boundary |= keys
        self._boundary = boundary
        cleared, self._clear_tokens = self._clear_tokens or pass_ended, False
        if pass_ended:
            self._passes += 1
            self._fell_back = False
            self._tokens.clear()
        added = () if token is None or pass_ended else (token,)
        self._tokens.update(added)
        self._cursor = cursor
        return Progress(cursor, tuple(sorted(keys)), least, added, cleared)

    def _floor(self, cursor: Cursor) -> Comparable | None:
        """Below this value no record can come again as a duplicate, so its key may be forgotten."""
        incremental = self._spec.incremental
        if incremental is None:
            return cursor.pass_no if self._spec.counts_distinct else None
        lowest = cursor.mark
        if incremental.order != "ascending" and cursor.position is not None and not self._style.numbered and cursor.snapshot_mark is not None:
            lowest = cursor.snapshot_mark if cursor.mark is None else min(cursor.mark, cursor.snapshot_mark)
        return None if lowest is None or incremental.token is not None else floor(incremental, lowest, self._spec.wall())


def _completeness(total: int | None, received: int, without_total: str, *, drifted: bool) -> str:
    """What can be said of a pass; `without_total` is what its config promises where no total proves more."""
    if drifted:
        return "unknown"
    return "proven" if total is not None and total == received else without_total


def _shown(token: Json) -> str:
    """A token for people: of a URL without its query, which may say back credentials."""
    text = str(token)
    if text.startswith(("http://", "https://")):
        text = text.partition("?")[0]
    return text[:80]


def _key(position: Json) -> bytes:
    return msgspec.json.encode(position)


def _digest(value: Json) -> bytes:
    return blake2b(msgspec.json.encode(value), digest_size=16).digest()
