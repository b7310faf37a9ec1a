"""A small HTTP/1.1 server for a few who ask: GET and HEAD, one request per connection.

It runs in a thread of its own, so that it answers while the event loop of the pipelines is held,
and nobody who connects costs the pipelines anything:

Rule 1: at most `MOST_CONNECTIONS` are open. One more takes the place of the one that has waited
        longest without sending its request, or of the oldest.
Rule 2: a request has to be there within `HEAD_S` seconds, and its answer taken within `SEND_S`.
Rule 3: the descriptors of all connections are kept back from the start. Pipelines that have used
        up all others do not keep anybody from asking why, and connections never take those of
        pipelines. A descriptor that is kept back is open on the null device.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

MOST_CONNECTIONS: Final = 16
HEAD_S: Final = 5.0
SEND_S: Final = 30.0
HEAD_BYTES: Final = 16 * 1024
LINGER_S: Final = 2.0
END: Final = b"\r\n\r\n"
METHODS: Final = ("GET", "HEAD")
REFUSED_S: Final = 0.2
"""The pause after a connection could not be accepted, although a descriptor was kept back."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its body, if any, is not read.

    Attributes:
        path: without a query.
        headers: by name in lower case; of several with one name, the last.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    body: bytes | str
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"
    allow: str = ""


Respond = Callable[[Asked], Awaitable[Answer]]
"""Makes the answer to a request, in the thread of the server."""


@contextmanager
def serving(listening: Sequence[socket.socket], respond: Respond) -> Iterator[None]:
    """Answers what comes in at listening sockets while the context is open, and closes them."""
    loop = asyncio.new_event_loop()
    server = HttpServer(listening, respond)

    def run() -> None:
        with closing(loop), closing(server):
            loop.run_until_complete(server.serve())

    thread = threading.Thread(target=run, name="admin", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join()


class HttpServer:
    """A server on the event loop of its thread."""

    def __init__(self, listening: Sequence[socket.socket], respond: Respond) -> None:
        self._listening, self._respond = listening, respond
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._kept_back = [os.dup(self._null) for _ in range(MOST_CONNECTIONS)]
        self._open: dict[asyncio.Task[None], socket.socket] = {}
        self._silent: dict[asyncio.Task[None], None] = {}  # those without a request, in order
        self._knocked, self._stopped = asyncio.Event(), asyncio.Event()

    def close(self) -> None:
        """Gives back all descriptors. After `serve`."""
        for listening in self._listening:
            listening.close()
        for descriptor in (self._null, *self._kept_back):
            os.close(descriptor)

    def stop(self) -> None:
        """Ends `serve`."""
        self._stopped.set()
        self._knocked.set()

    async def serve(self) -> None:
        """Until `stop`."""
        for each in self._listening:
            each.setblocking(False)
        while not self._stopped.is_set():
            for each in self._listening:
                await self._admit(each)
            await self._knock()
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    async def _knock(self) -> None:
        """Waits for the next connection, or for `stop`."""
        loop = asyncio.get_running_loop()
        for each in self._listening:
            loop.add_reader(each, self._knocked.set)
        await self._knocked.wait()
        self._knocked.clear()
        for each in self._listening:
            loop.remove_reader(each)

    async def _admit(self, listening: socket.socket) -> None:
        """Accepts one connection, if one is there."""
        if len(self._open) >= MOST_CONNECTIONS:
            longest = next(iter(self._silent or self._open))
            longest.cancel()
            await asyncio.wait([longest])
        if self._kept_back:
            os.close(self._kept_back.pop())  # its number is free for the connection
        try:
            connection, _ = listening.accept()
        except OSError as error:  # the caller is gone, or somebody else was given the descriptor
            self._keep_back()
            if not isinstance(error, BlockingIOError):
                await asyncio.sleep(REFUSED_S)
            return
        connection.setblocking(False)
        task = asyncio.create_task(self._converse(connection), name="admin.connection")
        self._open[task], self._silent[task] = connection, None
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._silent.pop(task, None)
        # from a connection to the null device in one call: nobody else is given the number between
        number = self._open.pop(task).detach()
        os.dup2(self._null, number, inheritable=False)
        self._kept_back.append(number)
        self._keep_back()

    def _keep_back(self) -> None:
        """Those that somebody else was given are kept back again once there are any."""
        with suppress(OSError):
            while len(self._kept_back) + len(self._open) < MOST_CONNECTIONS:
                self._kept_back.append(os.dup(self._null))

    async def _converse(self, connection: socket.socket) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        with suppress(OSError):  # a TimeoutError is one
            async with asyncio.timeout(HEAD_S):
                head = await _head(loop, connection)
            self._silent.pop(task, None)
            async with asyncio.timeout(SEND_S):
                await loop.sock_sendall(connection, await self._answer(head))
            self._silent[task] = None
            async with asyncio.timeout(LINGER_S):
                await _end_of(loop, connection)

    async def _answer(self, head: bytes) -> bytes:
        asked = parsed(head)
        if asked is None:
            return rendered(Answer("this is no request\n", HTTPStatus.BAD_REQUEST))
        if asked.method not in METHODS:
            allowed = ", ".join(METHODS)
            text, status = f"only {allowed} are answered\n", HTTPStatus.METHOD_NOT_ALLOWED
            return rendered(Answer(text, status, allow=allowed))
        return rendered(await self._respond(asked), with_body=asked.method != "HEAD")


async def _head(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes:
    """What comes up to the empty line; shorter where the caller ends or writes too much."""
    head = b""
    while END not in head and len(head) < HEAD_BYTES:
        piece = await loop.sock_recv(connection, HEAD_BYTES - len(head))
        if not piece:
            break
        head += piece
    return head


async def _end_of(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    """Waits for the caller to close. Closing before would reset what it has not read yet."""
    connection.shutdown(socket.SHUT_WR)
    while await loop.sock_recv(connection, HEAD_BYTES):
        continue


def parsed(head: bytes) -> Asked | None:
    """A request from its head; None where it is none (RFC 9112, 3)."""
    lines, end, _ = head.partition(END)
    first, *fields = lines.decode("latin-1").split("\r\n")
    match first.split(" "):
        case [method, target, "HTTP/1.1" | "HTTP/1.0"] if end and target.startswith("/"):
            named = (line.partition(":") for line in fields)
            headers = {name.lower(): value.strip() for name, _, value in named}
            return Asked(method, target.partition("?")[0], headers)
    return None


def rendered(answer: Answer, *, with_body: bool = True) -> bytes:
    """An answer as it is sent."""
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if answer.allow:
        lines.append(f"Allow: {answer.allow}")
    return "\r\n".join(lines).encode("latin-1") + END + (body if with_body else b"")
