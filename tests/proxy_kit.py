"""A proxy on loopback: it forwards by absolute URLs and tunnels by CONNECT."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """What the proxy knows and does.

    Attributes:
        user: `name:password` that it wants; empty: it wants none.
        refuses: the status that it answers CONNECT and requests with, 0: none.
        names: host:port that requests name -> port on loopback that is meant; others are the port
            that they name.
        heads: of every request that came, as text.
        connections: how many were opened.
    """

    user: str = ""
    refuses: int = 0
    names: dict[str, int] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not reader.at_eof():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                if not await self._answered(head, reader, writer):
                    break
        writer.close()

    async def _answered(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection may have another request."""
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        wanted = base64.b64encode(self.user.encode()).decode()
        if self.user and f"Proxy-Authorization: Basic {wanted}\r\n" not in head:
            # like some proxies it says back what it was sent
            body = head.encode("latin-1")
            writer.write(
                b"HTTP/1.1 407 Needed\r\nProxy-Authenticate: Basic\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
        elif self.refuses:
            body = head.encode("latin-1")
            writer.write(
                b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (self.refuses, len(body), body)
            )
        elif method == "CONNECT":
            await self._tunnel(target, reader, writer)
            return False
        else:
            await self._forward(method, target, head, writer)
        return True

    def _port(self, place: str) -> int:
        return self.names.get(place) or int(place.rpartition(":")[2])

    async def _tunnel(
        self, place: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port(place))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(_copied(reader, back), _copied(there, writer))

    async def _forward(
        self, method: str, target: str, head: str, writer: asyncio.StreamWriter
    ) -> None:
        place, slash, path = target.removeprefix("http://").partition("/")
        there, back = await asyncio.open_connection("127.0.0.1", self._port(place))
        lines = [
            line
            for line in head.split("\r\n")[1:]
            if line and not line.lower().startswith(("proxy-", "connection:"))
        ]
        sent = "\r\n".join([f"{method} {slash}{path} HTTP/1.1", *lines, "Connection: close"])
        back.write(f"{sent}\r\n\r\n".encode("latin-1"))
        writer.write(await there.read())
        back.close()


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def proxied(proxy: Proxy, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """The proxy, while it listens; with `tls` it is spoken to by HTTPS."""
    talks: list[asyncio.Task[None]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.append(task)
        with suppress(asyncio.CancelledError):
            await proxy.talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    proxy.scheme = "https" if tls else "http"
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
