"""A server that lives: rows come in, change and go between and during passes, while clocks jump."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, Final

from reading.listing import Entry, Listing, Style
from reading.reader import NOW_S, Page, Reader

from worker.core.model import Request
from worker.paging.judge import MAX_RESTARTS

GAP: Final = 2**20


@dataclass(frozen=True)
class Plan:
    """A source, as the config says it and as the server is.

    Attributes:
        count: rows in the beginning.
        size: rows a page.
    """

    style: Style
    order: str
    total: bool
    key: bool
    count: int
    size: int

    def source(self) -> dict[str, Any]:
        """The config below `source`."""
        pagination = dict(self.style.pagination)
        for name in ("limit", "size"):
            if name in pagination and self.style.pagination["type"] != "window":
                pagination[name] = self.size
        if self.total:
            pagination["total"] = {"body": "total"}
        source = {**self.style.source, "records": "data", "pagination": pagination}
        if self.key:
            source["key"] = ["id"]
        if self.order == "snapshot":
            source["schedule"] = {"every": "1h"}
            return source
        source["incremental"] = {
            "field": "u",
            "initial": NOW_S - 200 if self.style.windowed else 0,
            "format": {"record": "epoch_s"},
            "order": self.order,
        }
        if not self.style.windowed:
            source["incremental"]["param"] = "since"
        return source


@dataclass(frozen=True)
class Change:
    """What happens behind an answer.

    Attributes:
        kind: `insert`, `delete`, `update`, `wait` or `jump`.
        where: which row, as a share of the list in percent.
        seconds: how far the time of the server moves before it, or the clock of the worker jumps.
    """

    kind: str
    where: int = 0
    seconds: int = 0


@dataclass
class Seen:
    """What happened to the list during a pass.

    Attributes:
        always: `n` of the rows that were there from its first request on.
        ever: of those that were there at any time of it.
        inserted, deleted: how many rows came and went; an update that moves a row is both.
        since: the bound that it was begun with.
        until: no later than any time at which it was asked, by both clocks.
        totals: those that were said, of the pages that were not lost with a process.
    """

    always: set[int]
    ever: set[int]
    since: int
    until: float
    inserted: int = 0
    deleted: int = 0
    totals: list[int] = field(default_factory=list)

    @property
    def moved(self) -> bool:
        return bool(self.inserted or self.deleted)

    @property
    def balanced(self) -> bool:
        """Whether a deletion may hide behind an insertion."""
        return bool(self.inserted and self.deleted) and not self.total_moved

    @property
    def total_moved(self) -> bool:
        return len(set(self.totals)) > 1

    def forget(self, pages: int) -> None:
        """The last pages were not committed."""
        del self.totals[len(self.totals) - pages :]


class Live:
    """The server, and the reader's clock.

    Attributes:
        pass_: of the pass in progress; None between passes.
        ever: versions of rows that were ever there.
    """

    def __init__(self, plan: Plan, changes: Sequence[Sequence[Change]]) -> None:
        self.plan, self._changes = plan, list(changes)
        self.now_s = NOW_S
        rows = [self._row(n, n, NOW_S - 100 + 5 * n) for n in range(1, plan.count + 1)]
        if plan.order == "descending":
            rows.reverse()
        if plan.order == "any":
            rows = rows[1::2] + rows[::2]
        entries = [Entry(GAP * number, row) for number, row in enumerate(rows)]
        self.listing = Listing(plan.style, entries, plan.size)
        self.ever = {row["n"] for row in rows}
        self._ids, self._versions = plan.count, plan.count
        self._first, self._last = 0, GAP * plan.count  # no place is given twice at the ends
        self.pass_: Seen | None = None
        self.reader: Reader | None = None

    @property
    def present(self) -> set[int]:
        return {entry.row["n"] for entry in self.listing.entries}

    def __call__(self, request: Request) -> Page:
        assert self.reader is not None, "the server is asked by its reader"
        page = self.listing.slice(request)
        if self.pass_ is None:
            self.pass_ = Seen(self.present, self.present, page.asked.since, self.now_s)
        extra = {"total": page.count} if self.plan.total else {}
        self.pass_.totals.append(page.count)
        response = self.listing.write(page, self.listing.token(page), extra)
        date = {"Date": formatdate(self.now_s, usegmt=True)}
        for change in self._changes.pop(0) if self._changes else ():
            self._apply(change)
        self.pass_.until = min(self.pass_.until, self.now_s, self.reader.clock.now_s)
        return Page(response.body, {**response.headers, **date})

    # -- what happens ------------------------------------------------------------------------------

    def _apply(self, change: Change) -> None:
        if change.kind == "jump":
            assert self.reader is not None, "the server is asked by its reader"
            self.reader.clock.now_s += change.seconds
            return
        # a version of a row is known by its second and its key: each has a second of its own
        self.now_s += max(change.seconds, change.kind == "update")
        entries = self.listing.entries
        if change.kind == "insert":
            self._ids += 1
            self._put(self._ids, change.where)
        elif change.kind in ("delete", "update") and entries:
            index = min(change.where * len(entries) // 100, len(entries) - 1)
            gone = entries[index]
            if change.kind == "delete" or self.plan.order in ("ascending", "descending"):
                self._take(index)
                if change.kind == "update":
                    self._put(gone.row["id"], change.where)
            else:
                self._replace(index)

    def _take(self, index: int) -> None:
        gone = self.listing.entries.pop(index)
        if self.pass_ is not None:
            self.pass_.deleted += 1
            self.pass_.always.discard(gone.row["n"])

    def _replace(self, index: int) -> None:
        """A row changes where it stands; of an incremental source it may enter what is asked for,
        or leave it.
        """
        entry = self.listing.entries[index]
        if self.pass_ is not None:
            self.pass_.always.discard(entry.row["n"])
            self.pass_.inserted += self.plan.order == "any"
            self.pass_.deleted += self.plan.order == "any"
        self.listing.entries[index] = replace(entry, row=self._new(entry.row["id"]))

    def _put(self, id_: int, where: int) -> None:
        """A row comes in: where the order wants it, or anywhere."""
        entries = self.listing.entries
        index = {"ascending": len(entries), "descending": 0}.get(
            self.plan.order, where * (len(entries) + 1) // 101
        )
        if index == len(entries):
            place = self._last = self._last + GAP
        elif index == 0:
            place = self._first = self._first - GAP
        else:
            place = (entries[index - 1].place + entries[index].place) // 2
        entries.insert(index, Entry(place, self._new(id_)))
        if self.pass_ is not None:
            self.pass_.inserted += 1

    def _new(self, id_: int) -> dict[str, Any]:
        self._versions += 1
        self.ever.add(self._versions)
        if self.pass_ is not None:
            self.pass_.ever.add(self._versions)
        return self._row(self._versions, id_, self.now_s)

    @staticmethod
    def _row(n: int, id_: int, u: int) -> dict[str, Any]:
        return {"n": n, "id": id_, "u": u}


@dataclass(frozen=True)
class Process:
    """A run of the worker: it is killed after so many pages, and commits after so many."""

    pages: int
    commits_every: int


class History:
    """What came of a plan: the passes with what happened during them, and what is in the files."""

    def __init__(self, plan: Plan, changes: Sequence[Sequence[Change]]) -> None:
        self.plan, self.live = plan, Live(plan, changes)
        self.reader = Reader(plan.source(), self.live)
        self.live.reader = self.reader
        self.passes: list[tuple[Seen, str]] = []
        self._pass_began = 0

    def run(self, process: Process) -> None:
        """One process; the pass that it ends is judged."""
        ended = len(self.reader.ends)
        error = self.reader.read(pages=process.pages, commits_every=process.commits_every)
        seen = self.live.pass_
        if error is not None:
            assert error.code in self._alarms(seen), f"{error.code}: {error}"
        if seen is not None:
            seen.forget(self.reader.uncommitted)
        if len(self.reader.ends) > ended and seen is not None:
            self._judge(seen, self.reader.ends[-1].completeness)
            self.live.pass_ = None

    def finish(self) -> None:
        """Nothing happens any more: what is there must be in the files, or a pass said why not."""
        self.live._changes.clear()
        self.reader.clock.now_s = self.live.now_s = max(self.live.now_s, NOW_S) + 1
        for _ in range(3):
            self.run(Process(pages=100, commits_every=1))
        if self.plan.order != "snapshot" and self.live.pass_ is None:
            lost = self.live.present - set(self.reader.committed)
            admitted = {
                n for seen, word in self.passes if self._admits(seen, word) for n in seen.ever
            }
            assert not lost - admitted, f"lost {sorted(lost - admitted)}: {self._told()}"
            again = [n for n, times in Counter(self.reader.committed).items() if times > 1]
            assert not again, f"again {again}: {self._told()}"

    def _judge(self, seen: Seen, completeness: str) -> None:
        """A pass is over: its files are what it says they are."""
        self.passes.append((seen, completeness))
        assert set(self.reader.committed) <= self.live.ever
        got = Counter(self.reader.committed[self._pass_began :])
        if self.plan.order == "snapshot":
            self._pass_began = len(self.reader.committed)
        again = {n for n, times in got.items() if times > 1}
        wrong = (self._asked_for(seen) - set(got)) | again
        assert not wrong or self._admits(seen, completeness), f"{sorted(wrong)}: {self._told()}"

    def _asked_for(self, seen: Seen) -> set[int]:
        """The rows that a pass has to bring: they were there all the time, and in its range."""
        until = seen.until if self.plan.style.windowed else math.inf
        rows = (entry.row for entry in self.live.listing.entries)
        return {row["n"] for row in rows if seen.since <= row["u"] < until} & seen.always

    def _admits(self, seen: Seen, completeness: str) -> bool:
        """Whether rows may be lost, or come again, in a pass that says so of itself."""
        style = self.plan.style
        if style.seam:  # without a key, what is read again comes again; it is not for ever
            keyless = self.plan.order == "snapshot" and not self.plan.key
            often = seen.inserted + seen.deleted > MAX_RESTARTS
            return (keyless or often) and completeness == "unknown"
        if not (style.shifts and seen.moved):
            return False
        return completeness == "unknown" or (completeness == "assumed" and seen.balanced)

    def _alarms(self, seen: Seen | None) -> set[str]:
        """The errors that are right: none, where nothing happened to the list."""
        if seen is None or not seen.moved:
            return set()
        # a total that moves is never held against the rows
        stands = len(set(seen.totals[-2:])) == 1
        missed = {"total_mismatch"} if stands else set()
        return {"pagination_loop", "order_violation"} | missed

    def _told(self) -> str:
        return f"{[(word, seen) for seen, word in self.passes]} {self.reader.committed}"
