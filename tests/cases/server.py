"""The server that the cases share: a case says what it has and where it misbehaves, not how HTTP
works.

A case has a `server.py` with a function `answer(ask) -> Answer`. Most of them are a `Listing`: rows
served by page, offset, token or link, behind a lower bound.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

MOST_REQUESTS = 120
"""Of a case: a reader that goes round in circles comes to an end."""


@dataclass(frozen=True)
class Ask:
    """A request.

    Attributes:
        query: the last value of each parameter, decoded.
        raw_query: the query as it was sent.
        body: the decoded JSON body, or the text that is no JSON; None without one.
        number: of the request in its run, from 1.
        run: of the worker, from 1.
        origin: where the server listens.
    """

    method: str
    path: str
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]
    body: Any
    number: int
    run: int
    origin: str


@dataclass
class Answer:
    """A response; `body` is sent as JSON unless it is bytes.

    Attributes:
        closes: the connection is closed behind it, and the answer does not say so.
    """

    body: Any = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    closes: bool = False

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answers = Callable[[Ask], Answer]
Row = dict[str, Any]


def stamp(second: int) -> str:
    """A moment of one day, RFC 3339."""
    return f"2024-05-06T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def rows(count: int, *, first: int = 1) -> list[Row]:
    """Records with a number and the second in which they were changed, in ascending order."""
    return [{"id": number, "updated_at": stamp(number)} for number in range(first, first + count)]


@dataclass
class Listing:
    """Serves rows page by page.

    Attributes:
        rows: a list, or a function of the request that gives one.
        by: `page`, `offset`, `token`, `link` or `one` (everything at once).
        size: records a page at most.
        bound: (parameter, field): rows below the parameter's value are left out.
        records: the key of the array; empty: the array is the body.
        total: a function of the rows there are and of the request; None: the source says none.
        page: a function (request, position) -> position, for servers that take another one.
        change: a function (request, body) -> body or Answer, for what is odd about the body.
    """

    rows: list[Row] | Callable[[Ask], list[Row]]
    by: str = "token"
    size: int = 2
    bound: tuple[str, str] | None = None
    records: str = "data"
    total: Callable[[list[Row], Ask], Any] | None = None
    page: Callable[[Ask, int], int] = lambda ask, at: at
    change: Callable[[Ask, Any], Any] = lambda ask, body: body

    def __call__(self, ask: Ask) -> Answer:
        found = self.rows(ask) if callable(self.rows) else self.rows
        if self.bound is not None:
            name, field_ = self.bound
            found = [row for row in found if row[field_] >= ask.query.get(name, "")]
        at = self.page(ask, self._position(ask))
        size = len(found) + 1 if self.by == "one" else self.size
        part, more = found[at : at + size], at + size < len(found)
        headers = {}
        if self.by == "link" and more:
            headers["Link"] = f'<{ask.origin}{ask.path}?at={at + size}>; rel="next"'
        if not self.records:
            changed = self.change(ask, part)
        else:
            body: dict[str, Any] = {self.records: part}
            if self.by == "token":
                body["next"] = str(at + size) if more else None
            if self.total is not None:
                body["total"] = self.total(found, ask)
            changed = self.change(ask, body)
        return changed if isinstance(changed, Answer) else Answer(changed, headers=headers)

    def _position(self, ask: Ask) -> int:
        query = ask.query
        if self.by == "page":
            return (int(query.get("page", 1)) - 1) * self.size
        return int(query.get({"offset": "offset", "token": "token"}.get(self.by, "at"), 0))


def _read(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data.decode()


class CaseServer:
    """A server on loopback with the answers of a case; `run` is set before each run of the worker.

    Attributes:
        asked: every request of the case, in order.
    """

    def __init__(self, answer: Answers, *, most: int = MOST_REQUESTS) -> None:
        self._most = most
        self.answer, self.run = answer, 1
        self.asked: list[Ask] = []
        self._of_run = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    def begin_run(self, run: int) -> None:
        """The worker is started for this time."""
        self.run, self._of_run = run, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def respond(self, handler: BaseHTTPRequestHandler) -> Answer:
        """The answer to a request; one at a time, so that a case may count."""
        url = urlsplit(handler.path)
        data = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self._lock:
            self._of_run += 1
            ask = Ask(
                method=handler.command,
                path=url.path,
                query={key: each[-1] for key, each in parse_qs(url.query, True).items()},
                raw_query=url.query,
                headers=dict(handler.headers.items()),
                body=_read(data),
                number=self._of_run,
                run=self.run,
                origin=f"http://127.0.0.1:{self.port}",
            )
            self.asked.append(ask)
            if len(self.asked) > self._most:
                return Answer({"error": "too many requests"}, 410)
            return self.answer(ask)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """The worker's log is what counts."""

            def do_GET(self) -> None:
                answer = server.respond(self)
                self.send_response(answer.status)
                for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Length", str(len(answer.data)))
                self.end_headers()
                if answer.status != 204:
                    self.wfile.write(answer.data)
                self.close_connection |= answer.closes

            do_POST = do_GET

            def send_response(self, code: int, message: str | None = None) -> None:
                """A case may send a Date of its own."""
                self.send_response_only(code, message)

        return Handler
