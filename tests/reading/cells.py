"""The cells of the matrix: pagination style x what goes wrong x total x key x order, and the servers
that they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any, Final

from reading.listing import Entry, Listing, Slice, Style
from reading.reader import NOW_S, Page, Reader

from worker.core.model import Request

SIZE: Final = 2
COUNT: Final = 7
FIRST_U: Final = NOW_S - 300
STEP_U: Final = 10

_PAGE: Final = {"type": "page", "param": "page"}
_PAGES: Final = {**_PAGE, "size_param": "per_page", "size": SIZE}
_OFFSET: Final = {"type": "offset", "param": "offset"}
_OFFSETS: Final = {**_OFFSET, "limit_param": "limit", "limit": SIZE}
_TOKEN: Final = {"type": "cursor", "from": {"body": "next"}, "to": {"param": "token"}}
_HEADER: Final = {**_TOKEN, "from": {"header": "X-Next"}}
_LAST: Final = {**_TOKEN, "from": {"last_record": "n"}}
_URL: Final = {"type": "next_url", "path": "next"}
_LINK: Final = {"type": "link_header"}
_WINDOW: Final = {
    "type": "window",
    "start_param": "from",
    "end_param": "to",
    "size": "60s",
    "lag": "0s",
}
_WITHIN: Final = {"within": _WINDOW}
_ENDS: Final = {"stop": {"repeated_page": True}}


def _style(
    name: str, family: str, pagination: dict[str, Any], carrier: str = "", **source: Any
) -> Style:
    return Style(name, {"pagination": pagination, **source}, family, carrier)


STYLES: Final = (
    _style("one page", "one", {"type": "none"}),
    _style("page", "numbered", _PAGE),
    _style("page, size", "numbered", _PAGES),
    _style("page, size, repeated page ends", "numbered", _PAGES, **_ENDS),
    _style("page, stable", "numbered", _PAGE, stable=True),
    _style("offset", "numbered", _OFFSET),
    _style("offset, limit", "numbered", _OFFSETS),
    _style("offset, limit above the cap", "numbered", {**_OFFSETS, "limit": SIZE + 1}),
    _style("offset, limit, repeated page ends", "numbered", _OFFSETS, **_ENDS),
    _style("offset, stable", "numbered", _OFFSET, stable=True),
    _style("offset, seam", "numbered", {**_OFFSETS, "seam": 1}),
    _style("token for a number", "place", _TOKEN, "body"),
    _style("token for a number, header", "place", _HEADER, "header"),
    _style("link for a number", "place", _URL, "link"),
    _style("Link header for a number", "place", _LINK, "link_header"),
    _style("token for a value", "value", _TOKEN, "body"),
    _style("token from the last record", "value", _LAST),
    _style("link for a value", "value", _URL, "link"),
    _style("Link header for a value", "value", _LINK, "link_header"),
    _style("scroll id", "scroll", {**_TOKEN, "repeat": "allow"}, "body"),
    _style("window", "one", _WINDOW),
    _style("page in a window", "numbered", {**_PAGE, **_WITHIN}),
    _style("offset in a window", "numbered", {**_OFFSET, **_WITHIN}),
    _style("token for a number in a window", "place", {**_TOKEN, **_WITHIN}, "body"),
    _style("token for a value in a window", "value", {**_TOKEN, **_WITHIN}, "body"),
)

FAULTS: Final = {
    "nothing": "Nothing is odd.",
    "ignored": "The server ignores the position: every page is the first one.",
    "repeated": "The list holds a page twice, one behind the other.",
    "clamped": "Behind the end, the server sends the last page again.",
    "insert": "A row comes in at the front while pages are read.",
    "insert of a page": "As many rows as a page has come in at the front while pages are read.",
    "delete": "A row that was read is deleted while pages are read.",
    "delete and insert": "A row that was read is deleted, and one comes in at the end.",
    "empty page": "A page in the middle is empty: once, or because it holds nothing for us.",
}
SHIFTS: Final = ("insert", "insert of a page", "delete", "delete and insert")
TOTALS: Final = {
    "absent": "The source says no total.",
    "right": "It counts the rows that are there.",
    "shrinking": "Rows at the end are deleted while pages are read.",
    "growing": "Rows come in at the end while pages are read.",
    "remaining": "It counts the rows from the page on.",
    "too high": "It says three more than there are.",
    "too low": "It says 0, whatever there is.",
    "-1": "It says -1: nobody counted.",
}
KEYS: Final = {
    "present": "Every row has a key of its own.",
    "partly": "Every other row has a key, the others have null.",
    "wrong": "No row has the field.",
    "null": "The field is null in every row.",
    "shared": "All rows have the same key.",
    "none": "The config names no key.",
}
_KEY_FIELDS: Final = {
    "present": ["id"],
    "partly": ["partly"],
    "wrong": ["reference"],
    "null": ["nothing"],
    "shared": ["kind"],
}
ORDERS: Final = {
    "snapshot": "The source is not incremental.",
    "ascending": "Rows come in the order of the field.",
    "descending": "Rows come newest first, which the config says.",
    "any": "Rows come in no order, which the config says.",
    "undeclared": "Rows come newest first, and the config does not say so.",
}


@dataclass(frozen=True)
class Cell:
    """One cell. `envelope`: no body equals another, since each says how long it took."""

    style: Style
    fault: str
    total: str
    key: str
    order: str
    envelope: bool = False

    def __str__(self) -> str:
        took = " / changing envelope" if self.envelope else ""
        return f"{self.style.name} / {self.fault} / {self.total} / {self.key} / {self.order}{took}"

    @property
    def incremental(self) -> bool:
        return self.order != "snapshot"

    def source(self) -> dict[str, Any]:
        """The config below `source`."""
        pagination = dict(self.style.pagination)
        if self.total != "absent":
            pagination["total"] = {"body": "total"}
        source = {**self.style.source, "records": "data", "pagination": pagination}
        if self.key != "none":
            source["key"] = _KEY_FIELDS[self.key]
        if self.incremental:
            order = "ascending" if self.order == "undeclared" else self.order
            source["incremental"] = {
                "field": "u",
                "initial": FIRST_U - 10 if self.style.windowed else 0,
                "format": {"record": "epoch_s"},
                "order": order,
            }
            if not self.style.windowed:
                source["incremental"]["param"] = "since"
        return source


def impossible(cell: Cell) -> str:
    """Why there is no such server or config; empty where there is one."""
    style, fault = cell.style, cell.fault
    if style.windowed and not cell.incremental:
        return "A window is a range of the incremental field."
    if style.family == "one" and fault not in ("nothing", "empty page"):
        return "Everything comes at once: there is no position."
    if style.name == "one page" and fault == "empty page":
        return "An empty only page is an empty source."
    if style.family == "scroll" and fault in ("clamped", *SHIFTS):
        return "The server keeps a copy of the list while it is scrolled."
    if style.stable and fault in SHIFTS:
        return "The config declares that rows keep their places."
    if style.repeated_page_ends and fault == "repeated":
        return "The config says that a repeated page is the end."
    if style.name == "token from the last record" and fault in (
        "repeated",
        "empty page",
        "clamped",
    ):
        return "The position is a value of the last row: it needs one, and one that is unique."
    return ""


class Server:
    """The server of a cell. `calm` makes an end of whatever is odd.

    Attributes:
        always: `n` of the rows that are there throughout, each as often as the list has it.
        ever: of all that were ever there.
    """

    def __init__(self, cell: Cell) -> None:
        self.cell, self.calm = cell, False
        self._listing = Listing(cell.style, _entries(cell), SIZE)
        self.always = Counter(each.row["n"] for each in self._listing.entries if not each.hole)
        self.ever = Counter(self.always)
        self._emptied = False

    def __call__(self, request: Request) -> Page:
        page = self._listing.slice(request)
        fault = "nothing" if self.calm else self.cell.fault
        if fault == "ignored":
            page = replace_slice(page, 0, min(SIZE, len(page.found)))
        elif fault == "clamped" and page.begin >= len(page.found) > 0:
            page = self._last(page)
        token = self._token(page, fault)
        if fault == "empty page" and self._empties(page):
            page = replace_slice(page, page.begin, page.begin)
        response = self._listing.write(page, token, self._extra(page))
        if not self.calm:
            self._change()
        return response

    def _token(self, page: Slice, fault: str) -> str | None:
        token = self._listing.token(page)
        if fault == "clamped" and token is None and self.cell.style.carrier and page.found:
            last = self._last(page)
            before = page.found[last.begin - 1].place if last.begin else -(2**61)
            return str(last.begin if self.cell.style.family == "place" else before)
        if self.cell.style.family == "scroll" and page.begin >= len(page.found):
            return None
        return token

    def _last(self, page: Slice) -> Slice:
        begin = (len(page.found) - 1) // SIZE * SIZE
        return replace_slice(page, begin, len(page.found))

    def _empties(self, page: Slice) -> bool:
        """Numbered pages are empty once; where there are tokens, the list has holes instead."""
        if self.cell.style.family != "numbered" or self._emptied or page.begin < SIZE - 1:
            return False
        self._emptied = bool(page.rows)
        return self._emptied

    def _extra(self, page: Slice) -> dict[str, Any]:
        extra: dict[str, Any] = {}
        if self.cell.envelope:
            extra["took"] = self._listing.requests
        if self.cell.total != "absent":
            count = page.count
            before = sum(not each.hole for each in page.found[: page.begin])
            totals = {
                "remaining": count - before,
                "too high": count + 3 * (not self.calm),
                "too low": 0,
                "-1": -1,
            }
            extra["total"] = totals.get(self.cell.total, count)
        return extra

    # -- what happens between two requests ---------------------------------------------------------

    def _change(self) -> None:
        """Behind the first answers."""
        number, fault, total = self._listing.requests, self.cell.fault, self.cell.total
        if number == 1:
            if fault in ("delete", "delete and insert"):
                self._delete(0)
            if fault in ("insert", "insert of a page"):
                for _ in range(SIZE if fault == "insert of a page" else 1):
                    self._insert(0)
            if fault == "delete and insert":
                self._insert(len(self._listing.entries))
        if number <= 2 and total == "shrinking" and len(self._listing.entries) > 5:
            self._delete(len(self._listing.entries) - 1)
        if number <= 2 and total == "growing":
            self._insert(len(self._listing.entries))

    def _delete(self, index: int) -> None:
        gone = self._listing.entries.pop(index)
        del self.always[gone.row["n"]]

    def _insert(self, index: int) -> None:
        entries = self._listing.entries
        beside = entries[min(index, len(entries) - 1)]
        descends = self.cell.order in ("descending", "undeclared")
        later = (index > 0) != descends
        n = 100 + len(self.ever)
        row = _row(n, beside.row["u"] + (1 if later else -1))
        entries.insert(index, Entry(beside.place + (1 if index else -1), row))
        self.ever[n] += 1


def replace_slice(page: Slice, begin: int, end: int) -> Slice:
    return replace(page, begin=begin, end=end)


def _row(n: int, u: int) -> dict[str, Any]:
    return {"n": n, "id": n, "u": u, "kind": "k", "nothing": None, "partly": n if n % 2 else None}


def _entries(cell: Cell) -> list[Entry]:
    """The rows of the second page have one value of the field, so that they may stand twice."""
    rows = [_row(n, FIRST_U + STEP_U * n) for n in range(1, COUNT + 1)]
    if cell.order in ("descending", "undeclared"):
        rows.reverse()
    elif cell.order == "any":
        rows = rows[4:] + rows[:4]
    rows[3]["u"] = rows[2]["u"]
    if cell.fault == "repeated":
        rows[4:4] = rows[2:4]
    holes = cell.fault == "empty page" and cell.style.family in ("place", "value", "scroll")
    entries = [Entry(10 * number, row) for number, row in enumerate(rows)]
    if holes:
        entries[2:2] = [Entry(11 + number, rows[2], hole=True) for number in range(SIZE)]
    return entries


def cells(style: Style) -> Iterator[Cell]:
    """All cells of a style, those that cannot exist too.

    The envelope changes where the total and the key are the two usual ones of each.
    """
    for fault, total, key, order in product(FAULTS, TOTALS, KEYS, ORDERS):
        cell = Cell(style, fault, total, key, order)
        yield cell
        if total in ("absent", "right") and key in ("present", "none"):
            yield replace(cell, envelope=True)


@dataclass(frozen=True)
class Outcome:
    """What a reader made of a cell.

    Attributes:
        error: the code of the error that ended it; empty for none.
        lost: rows that were there throughout and are not in the files.
        again: rows that are in the files more often than in the list.
        invented: records in the files that never were in the list.
        completeness: of the first pass; empty where it did not end.
        said: the text of the error.
    """

    error: str
    lost: tuple[int, ...]
    again: tuple[int, ...]
    invented: tuple[int, ...]
    completeness: str
    said: str = ""

    @property
    def exact(self) -> bool:
        return not (self.error or self.lost or self.again or self.invented)

    @property
    def kind(self) -> str:
        """In a word or two; the completeness only where it has something to admit."""
        if self.error:
            return f"`{self.error}`"
        what = [word for word, rows in (("lost", self.lost), ("again", self.again)) if rows]
        return f"{' and '.join(what)}, {self.completeness}" if what else "exact"

    def __str__(self) -> str:
        details = f" lost {self.lost} again {self.again}" if self.lost or self.again else ""
        return f"{self.kind}{details}"


@cache
def outcome(cell: Cell) -> Outcome:
    """Reads a pass; an incremental source then once more, when nothing is odd any longer."""
    server = Server(cell)
    reader = Reader(cell.source(), server)
    error = reader.read()
    completeness = reader.ends[0].completeness if reader.ends else ""
    if error is None and cell.incremental:
        server.calm = True
        error = reader.read()
    got = Counter(reader.committed)
    code = "" if error is None else error.code
    return Outcome(
        error=code,
        lost=() if error else tuple(sorted(set(server.always) - set(got))),
        again=tuple(sorted(n for n in got if got[n] > server.ever[n])),
        invented=tuple(sorted(set(got) - set(server.ever))),
        completeness=completeness,
        said="" if error is None else str(error),
    )
