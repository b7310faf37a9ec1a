"""A model of a server: a list that is read page by page, in one of the ways that APIs have.

What a page number, an offset, a token or a link means is computed anew at each request, over the
rows that are there then: that is how pages shift. A position of kind `place` counts rows; one of
kind `value` names the row behind which the page begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from reading.reader import URL, Page

from worker.core.model import Request

Row = dict[str, Any]
RANGE = ("since", "from", "to")


@dataclass(frozen=True)
class Style:
    """A way to page, as the config says it and as the server does it.

    Attributes:
        source: the keys of the config, below `source`.
        family: `one` (everything at once), `numbered`, `place` (tokens and links that stand for a
            number), `value` (those that stand for a value), `scroll` (the server keeps the place).
        carrier: where the server writes the next position: `body`, `link` (a URL in the body),
            `header`, `link_header`; empty where it writes none.
    """

    name: str
    source: dict[str, Any] = field(hash=False)
    family: str
    carrier: str = ""

    @property
    def shifts(self) -> bool:
        """Whether a position counts rows, so that a change of the list shifts it."""
        return self.family in ("numbered", "place")

    @property
    def windowed(self) -> bool:
        return self.pagination["type"] == "window" or "within" in self.pagination

    @property
    def pagination(self) -> dict[str, Any]:
        keys: dict[str, Any] = self.source["pagination"]
        return keys

    @property
    def seam(self) -> bool:
        return "seam" in self.pagination

    @property
    def stable(self) -> bool:
        return "stable" in self.source

    @property
    def repeated_page_ends(self) -> bool:
        return "stop" in self.source


@dataclass(frozen=True)
class Entry:
    """A row of the list; `place` sorts the list and never changes. A hole is a row that nobody may
    see: it takes a place and is not sent.
    """

    place: int
    row: Row
    hole: bool = False


@dataclass(frozen=True)
class Asked:
    """What a request asks for: the rows with `since` <= u < `until`, from a position on."""

    since: int
    until: int
    token: str | None
    number: int | None
    range: str  # the parameters of the range, as a link repeats them

    @classmethod
    def of(cls, request: Request) -> Asked:
        query = {key: each[-1] for key, each in parse_qs(urlsplit(request.url).query).items()}
        query |= dict(request.params)
        number = query.get("page") or query.get("offset")
        return cls(
            since=int(query.get("since") or query.get("from") or 0),
            until=int(query.get("to") or 2**62),
            token=query.get("token"),
            number=None if number is None else int(number),
            range="".join(f"{name}={query[name]}&" for name in RANGE if name in query),
        )


@dataclass
class Slice:
    """A page before it is written: the rows that are asked for, and which of them it has."""

    asked: Asked
    found: list[Entry]
    begin: int
    end: int

    @property
    def rows(self) -> list[Row]:
        return [each.row for each in self.found[self.begin : self.end] if not each.hole]

    @property
    def count(self) -> int:
        """How many rows there are in all."""
        return sum(not each.hole for each in self.found)


class Listing:
    """The server.

    Attributes:
        entries: the list, in the order in which it is served.
        size: rows a page at most.
        requests: how many there were.
    """

    def __init__(self, style: Style, entries: list[Entry], size: int) -> None:
        self.style, self.entries, self.size = style, entries, size
        self.requests = 0
        self._scrolled = 0
        self._places: dict[int, int] = {}

    def slice(self, request: Request) -> Slice:
        """The page that a request asks for."""
        self.requests += 1
        self._places |= {each.row["n"]: each.place for each in self.entries}
        asked = Asked.of(request)
        found = [each for each in self.entries if asked.since <= each.row["u"] < asked.until]
        if self.style.family == "one":
            return Slice(asked, found, 0, len(found))
        begin = self._begin(asked, found)
        return Slice(asked, found, begin, max(begin, min(begin + self.size, len(found))))

    def _begin(self, asked: Asked, found: list[Entry]) -> int:
        match self.style.family:
            case "numbered":
                pages = "page" in str(self.style.pagination.get("param"))
                number = asked.number
                assert number is not None
                return (number - 1) * self.size if pages else number
            case "place":
                return int(asked.token or 0)
            case "scroll":
                begin = 0 if asked.token is None else self._scrolled
                self._scrolled = begin + self.size
                return begin
        if asked.token is None:
            return 0
        last = int(asked.token)
        if self.style.carrier == "":  # the worker takes it from the last record
            last = self._places[last]
        return sum(each.place <= last for each in found)

    def token(self, page: Slice) -> str | None:
        """The position behind a page; None at the end."""
        if self.style.family == "scroll":
            return "scroll"
        if self.style.carrier == "" or page.end >= len(page.found):
            return None
        place = page.end if self.style.family == "place" else page.found[page.end - 1].place
        return str(place)

    def write(self, page: Slice, token: str | None, extra: dict[str, Any]) -> Page:
        """The response of a page."""
        body: dict[str, Any] = {"data": page.rows, **extra}
        headers: dict[str, str] = {}
        link = None if token is None else self._link(page.asked, token)
        match self.style.carrier:
            case "body":
                body["next"] = token
            case "link":
                body["next"] = link
            case "header" if token is not None:
                headers["X-Next"] = token
            case "link_header" if link is not None:
                headers["Link"] = f'<{link}>; rel="next"'
        return Page(body, headers)

    def _link(self, asked: Asked, token: str) -> str:
        """It says what the first request left to the server, too."""
        return f"{URL}?limit={self.size}&{asked.range}token={token}"
