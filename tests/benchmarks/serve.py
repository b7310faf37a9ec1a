"""Serves rendered pages with as little work as possible: `serve.py PORT_FILE NAME=PAGES ...`; `/NAME?cursor=N` is page N."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import ClassVar

ASKED = re.compile(rb"GET /(\w+)(?:\?\S*?cursor=(\d+))?")


class Server(asyncio.Protocol):
    pages: ClassVar[dict[bytes, list[bytes]]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            match = ASKED.match(head)
            assert match is not None
            body = self.pages[match[1]][int(match[2] or 0)]
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(body)
            )
            self._transport.write(body)


async def main(port_file: Path, names: list[str]) -> None:
    for each in names:
        name, _, path = each.partition("=")
        Server.pages[name.encode()] = Path(path).read_bytes().splitlines()
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
