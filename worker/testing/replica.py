"""A hostile replica of partner APIs, with real HTTP on a free port.

Its data may change while it runs, and its faults come from a script.

    async with Replica(records, Shape(style="cursor", cap=500, total="body")) as replica:
        ...ask replica.url...
        replica.records.append({"id": 7})      # the next page sees it
        assert replica.requests[0].query == {"limit": "1000"}

What a page looks like is the `Shape`. What goes wrong is the `Script`, a function of the number of
a request and the request. The records that the server holds are the oracle of a test, never what
the product says about itself.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import urlencode

from aiohttp import web

Record = dict[str, Any]
Style = Literal["none", "cursor", "page", "offset", "link_header", "next_url"]

PATH: Final = "/items"
TOTAL_HEADER: Final = "X-Total"
DATE_CHARS: Final = len("2024-01-01")


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer that is no page.

    Args:
        kind: `status`: answer with `status`, `headers` and `body`;
            `truncated_gzip`: the page, its gzip stream cut, the length honest;
            `truncated_length`: the page, the connection closed before the announced length;
            `stall`: the head and half of the page, then nothing for `seconds`;
            `reset`: the connection is closed without an answer;
            `html`: status 200 and a page for people;
            `error_object`: status 200 and `{"error": ...}`.
    """

    kind: Literal[
        "status", "truncated_gzip", "truncated_length", "stall", "reset", "html", "error_object"
    ]
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": "fault"}'
    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came: `number` counts from 1."""

    number: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


Script = Callable[[int, Seen], Fault | None]


@dataclass(frozen=True, slots=True)
class Shape:
    """How the API pages.

    Args:
        style: how a page names the next one. Cursors are opaque tokens in `meta.next`.
        cap: most records of a page, whatever `limit` asks for; also the default of `limit`.
        total: where the number of matching records stands.
        start: number of the first page, or of the first record (`offset`).
        since: query parameter with an inclusive lower bound of `updated_at`; records are then
            sorted by (updated_at, id).
        until: query parameter with an upper bound, which is exclusive unless `until_inclusive`. A
            bound that is a date is compared with dates.
        window_limit: more matching records than this are refused with 400.
        descending: newest first.
        filters: query parameters that select records whose field of that name has that value.
        pad_bytes: white space that is added to each body, so that a test can choose its size.
        tokens: tokens of a `cursor` that are given out by turns instead of real ones, page after
            page: `("A",)` repeats, `("A", "B")` is the cycle A, B, A, B.
        fail_pages: number of the page (from 1, by position) -> status it always answers with.
        compress: gzip the bodies.
    """

    style: Style = "none"
    cap: int = 500
    total: Literal["body", "header"] | None = None
    start: int | None = None
    since: str | None = None
    until: str | None = None
    until_inclusive: bool = False
    window_limit: int | None = None
    descending: bool = False
    filters: Sequence[str] = ()
    pad_bytes: int = 0
    tokens: Sequence[str] = ()
    fail_pages: Mapping[int, int] = field(default_factory=dict)
    compress: bool = False

    @property
    def first(self) -> int:
        """The number of the first page, or the first offset."""
        return self.start if self.start is not None else int(self.style == "page")


class Replica:
    """The server, an async context manager.

    Attributes:
        records: what it serves; may be changed while it runs.
        script: what goes wrong; may be changed while it runs.
        requests: every request that came, in order.
        origin: its URL without a path.
    """

    def __init__(
        self, records: list[Record], shape: Shape | None = None, script: Script | None = None
    ) -> None:
        self.records = records
        self.shape = shape or Shape()
        self.script = script
        self.requests: list[Seen] = []
        self.origin = ""
        self._tokens_given = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The URL of the first page."""
        return self.origin + PATH

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_route("*", PATH, self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(
            len(self.requests) + 1,
            request.method,
            request.path,
            dict(request.query),
            dict(request.headers),
            await request.read(),
        )
        self.requests.append(seen)
        fault = self.script(seen.number, seen) if self.script else None
        if fault is not None and fault.kind in _WITHOUT_PAGE:
            return _answer(fault, request)
        try:
            page = self._page(seen)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400)
        status = self.shape.fail_pages.get(page.number)
        if status is not None:
            return web.json_response({"error": f"page {page.number} always fails"}, status=status)
        if fault is not None:
            return await _broken(fault, request, page)
        body = gzip.compress(page.body, mtime=0) if self.shape.compress else page.body
        encoding = {"Content-Encoding": "gzip"} if self.shape.compress else {}
        return web.Response(
            body=body, content_type="application/json", headers={**page.headers, **encoding}
        )

    def _page(self, seen: Seen) -> _Page:
        """The page that a request names. Raises ValueError for one that is refused with 400."""
        shape, rows = self.shape, self._matching(seen.query)
        if shape.window_limit is not None and len(rows) > shape.window_limit:
            raise ValueError(f"{len(rows)} records, at most {shape.window_limit} a query")
        size = min(int(seen.query.get("limit", shape.cap)), shape.cap)
        if size < 1:
            raise ValueError(f"limit {size}")
        begin = 0 if shape.style == "none" else self._begin(seen.query, size)
        items = rows if shape.style == "none" else rows[begin : begin + size]
        end = begin + len(items)
        following = self._next(seen, end, size) if end < len(rows) or shape.tokens else None
        return self._rendered(begin // size + 1, items, following, len(rows))

    def _rendered(
        self, number: int, items: list[Record], following: str | None, total: int
    ) -> _Page:
        """A page as it is sent; `following` is the token or URL of the next one."""
        shape, headers = self.shape, dict[str, str]()
        meta: dict[str, Any] = {"next": following if shape.style == "cursor" else None}
        document: dict[str, Any] = {"items": items, "meta": meta}
        if shape.total == "body":
            meta["total"] = total
        elif shape.total == "header":
            headers[TOTAL_HEADER] = str(total)
        if shape.style == "link_header" and following:
            headers["Link"] = f'<{following}>; rel="next"'
        elif shape.style == "next_url":
            document["links"] = {"next": following}
        return _Page(number, json.dumps(document).encode() + b" " * shape.pad_bytes, headers)

    def _matching(self, query: Mapping[str, str]) -> list[Record]:
        """The records that a query selects, in the order of the server."""
        shape, rows = self.shape, list(self.records)
        wanted = {name: query[name] for name in shape.filters if name in query}
        for name, value in wanted.items():
            rows = [row for row in rows if str(row.get(name)) == value]
        if shape.since is None:
            return rows
        rows.sort(key=lambda row: (row["updated_at"], row["id"]), reverse=shape.descending)
        since, until = query.get(shape.since), query.get(shape.until or "")
        return [row for row in rows if self._within(row["updated_at"], since, until)]

    def _within(self, value: Any, since: str | None, until: str | None) -> bool:
        """Whether a value is within the bounds of a query; None for no bound."""
        if since is not None and _order(value, since) < 0:
            return False
        return until is None or _order(value, until) < int(self.shape.until_inclusive)

    def _begin(self, query: Mapping[str, str], size: int) -> int:
        """Index of the first record of the page. Raises ValueError."""
        shape = self.shape
        if shape.style == "page":
            begin = (int(query.get("page", shape.first)) - shape.first) * size
        elif shape.style == "offset":
            begin = int(query.get("offset", shape.first)) - shape.first
        else:
            token = query.get("cursor", "")
            begin = 0 if not token or token in shape.tokens else _offset(token)
        if begin < 0:
            raise ValueError("a position before the first")
        return begin

    def _next(self, seen: Seen, end: int, size: int) -> str | None:
        shape = self.shape
        if shape.style not in ("cursor", "link_header", "next_url"):
            return None
        if shape.tokens:
            token = shape.tokens[self._tokens_given % len(shape.tokens)]
            self._tokens_given += 1
        else:
            token = _token(end)
        if shape.style == "cursor":
            return token
        query = {**seen.query, "limit": str(size), "cursor": token}
        return f"{self.origin}{PATH}?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class _Page:
    number: int
    body: bytes
    headers: Mapping[str, str]


_WITHOUT_PAGE: Final = ("status", "reset", "html", "error_object")


def _answer(fault: Fault, request: web.Request) -> web.Response:
    if fault.kind == "html":
        return web.Response(
            text="<html><body>Down for maintenance</body></html>", content_type="text/html"
        )
    if fault.kind == "error_object":
        return web.json_response({"error": {"code": "internal", "message": "something went wrong"}})
    if fault.kind == "reset":
        _abort(request)
        return web.Response()  # it goes nowhere
    return web.Response(
        status=fault.status, headers=fault.headers, body=fault.body, content_type="application/json"
    )


async def _broken(fault: Fault, request: web.Request, page: _Page) -> web.StreamResponse:
    """A page that breaks on its way."""
    if fault.kind == "truncated_gzip":
        packed = gzip.compress(page.body, mtime=0)
        headers = {**page.headers, "Content-Encoding": "gzip"}
        return web.Response(
            body=packed[: len(packed) // 2], content_type="application/json", headers=headers
        )
    response = web.StreamResponse(
        headers={
            **page.headers,
            "Content-Type": "application/json",
            "Content-Length": str(len(page.body)),
        }
    )
    await response.prepare(request)
    await response.write(page.body[: len(page.body) // 2])
    if fault.kind == "stall":
        await asyncio.sleep(fault.seconds)
    if request.transport is not None:
        request.transport.close()  # after the bytes: a client sees half a body, then the end
    return response


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _order(value: Any, bound: str) -> int:
    """-1, 0 or 1 for a value below, at or above the bound."""
    one: float = value
    two: float
    if isinstance(value, int):
        two = int(bound)
    else:
        is_date = len(bound) == DATE_CHARS
        one, two = _seconds(str(value)[: DATE_CHARS if is_date else None]), _seconds(bound)
    return int(one > two) - int(one < two)


def _seconds(text: str) -> float:
    """A date, or a time as RFC 3339 has it, in seconds since 1970. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"from:{offset}".encode()).decode()


def _offset(token: str) -> int:
    text = base64.urlsafe_b64decode(token).decode()
    if not text.startswith("from:"):
        raise ValueError(f"no cursor of this server: {token!r}")
    return int(text.removeprefix("from:"))
