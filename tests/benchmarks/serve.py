"""Serves pages of records with as little work as possible.

`python -m benchmarks.serve PORT_FILE KIND-SIZE:PAGES ...` renders the pages, then listens and
writes its port to PORT_FILE.

`GET /KIND-SIZE/PAGES?cursor=N` is page N (from 0) of a source that has PAGES of them; `page=N` is
the same. Page 0 of a source with 0 pages is empty. `delay_ms=D` holds the answer back.
`who=W&n=N` counts the request as a poll, and `GET /polled-W/0` says how many N asked at least
twice.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from benchmarks.data import ITEMS, KINDS

REQUEST: Final = re.compile(rb"GET /([\w-]+)/(\d+)(?:\?(\S*))? ")
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nX-Next: %s\r\nContent-Length: %d\r\n\r\n%s%s"
CSV: Final = "csv"
"""The kind whose pages are no JSON: their header says which page comes next."""
EMPTY: Final = b'{"data":{"items":[]}'


class Answers:
    """What the server knows: the rendered pages of each kind and size, and who polled how often."""

    def __init__(self, pages: dict[str, list[bytes]]) -> None:
        self._pages = pages
        self._polls: Counter[tuple[str, str]] = Counter()

    def answer(self, head: bytes) -> tuple[bytes, float]:
        """The response to a request, and the seconds to hold it back."""
        match = REQUEST.match(head)
        assert match is not None, head
        name, count, query = match[1].decode(), int(match[2]), match[3] or b""
        asked = {key: values[0] for key, values in parse_qs(query.decode()).items()}
        kind, following = b"application/json", b"null"
        if name.startswith("polled-"):
            body, tail = b"%d" % self._polled(name.removeprefix("polled-")), b""
        elif name.startswith(f"{CSV}-"):
            number, kind, tail = int(asked.get("cursor", 0)), b"text/csv", b""
            body = self._pages[name][number] if count else b""
            following = b"%d" % (number + 1) if number + 1 < count else b"null"
        else:
            if "who" in asked:
                self._polls[asked["who"], asked["n"]] += 1
            body, tail = self._page(name, count, int(asked.get("cursor", asked.get("page", 0))))
        head = HEAD % (kind, following, len(body) + len(tail), body, tail)
        return head, int(asked.get("delay_ms", 0)) / 1000

    def _page(self, name: str, count: int, number: int) -> tuple[bytes, bytes]:
        """A page and what follows its records; which page comes next depends on the request."""
        following = b'"%d"' % (number + 1) if number + 1 < count else b"null"
        body = self._pages[name][number] if count else EMPTY
        return body, b',"meta":{"next":%s,"pages":%d}}' % (following, count)

    def _polled(self, who: str) -> int:
        return sum(times >= 2 for (asker, _), times in self._polls.items() if asker == who)


class Connection(asyncio.Protocol):
    """A connection that is asked for one page after the other."""

    def __init__(self, answers: Answers) -> None:
        self._answers, self._buffer = answers, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            response, delay_s = self._answers.answer(head)
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self._transport.write, response)
            else:
                self._transport.write(response)


def render(kind: str, size: int, count: int) -> list[bytes]:
    """`count` pages of `size` records, each without its end, which `Answers` adds."""
    records, items = KINDS[kind](), ITEMS.get(kind, list)
    if kind == CSV:
        return [_rows(list(islice(records, size))) for _ in range(count)]
    return [
        orjson.dumps({"data": {"items": items(list(islice(records, size)))}})[:-1]
        for _ in range(count)
    ]


def _rows(records: list[dict[str, Any]]) -> bytes:
    """A page of CSV with its header."""
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return written.getvalue().encode()


async def main(port_file: Path, wanted: list[str]) -> None:
    """Renders what is wanted, listens, and tells the port."""
    pages = {}
    for each in wanted:
        name, _, count = each.partition(":")
        kind, _, size = name.partition("-")
        pages[name] = render(kind, int(size), int(count))
    answers = Answers(pages)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
