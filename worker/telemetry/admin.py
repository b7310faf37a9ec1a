"""The admin server: /metrics, /healthz/{started,live,ready} and /status over HTTP.

It only tells: nothing that comes over TCP changes anything. It answers in a thread of its own, so
that /healthz/live says what hangs while the event loop of the pipelines is held. What is asked of
pipelines is read on their loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import orjson

from worker.core.errors import ConfigError
from worker.telemetry.hosts import refusal
from worker.telemetry.http_server import Answer, Asked, serving
from worker.telemetry.metrics import Metrics

PATIENCE_S: Final = 5.0
"""How long the loop of the pipelines may keep somebody waiting who asks for numbers."""
PROBE_S: Final = 0.5
"""The same for a probe, which often gives up after a second."""
BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class Health:
    """What probes are answered.

    Attributes:
        ready: whether /healthz/ready answers 200, and not 503; called on the loop of the pipelines.
        alive: whether /healthz/live does; called in the thread of the server.
        hangs: a line for each thing that hangs; called in the thread of the server.
    """

    ready: Callable[[], bool]
    alive: Callable[[], bool] = lambda: True
    hangs: Callable[[], Sequence[str]] = tuple


@asynccontextmanager
async def admin_server(
    listen: str,
    metrics: Metrics,
    status: Callable[[], dict[str, Any]],
    health: Health,
    *,
    hosts: Sequence[str] = (),
) -> AsyncIterator[str]:
    """Serves while the context is open, and yields its address, `host:port`.

    Raises ConfigError when the address cannot be listened on.

    Args:
        listen: `host:port`.
        status: the document of /status; called on this loop.
        hosts: names that requests may ask for beside addresses, `localhost` and that of `listen`.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        listening = await _listening(host, int(port))
    except OSError as error:
        raise ConfigError(
            f"{listen} cannot be used: {error.strerror}",
            where="admin.listen",
            remedy="free the port, choose another one, or set admin.listen: null",
        ) from error
    address, number, *_ = listening[0].getsockname()
    pages = Pages(asyncio.get_running_loop(), metrics, status, health)

    async def respond(asked: Asked) -> Answer:
        if unknown := refusal(asked.headers.get("host"), (host, *hosts)):
            return Answer(unknown, HTTPStatus.MISDIRECTED_REQUEST)
        return await pages.answer(asked.path)

    with serving(listening, respond):
        yield f"{address}:{number}"


async def _listening(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of a host. Raises OSError where one cannot be listened on."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    listening = list[socket.socket]()
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            listening.append(socket.create_server(address, family=family, backlog=BACKLOG))
    except OSError:
        for each in listening:
            each.close()
        raise
    return listening


class Pages:
    """What is answered at which path, in the thread of the server.

    Args:
        loop: that of the pipelines.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
        status: Callable[[], dict[str, Any]],
        health: Health,
    ) -> None:
        self._loop, self._metrics, self._status, self._health = loop, metrics, status, health
        self._pages: Mapping[str, Callable[[], Awaitable[Answer]]] = {
            "/metrics": self._exposition,
            "/status": self._document,
            "/healthz/started": self._started,
            "/healthz/live": self._live,
            "/healthz/ready": self._ready,
        }

    async def answer(self, path: str) -> Answer:
        """The page of a path; 404 names those that there are."""
        if (page := self._pages.get(path)) is None:
            return Answer(f"there are {', '.join(self._pages)}\n", HTTPStatus.NOT_FOUND)
        return await page()

    async def _exposition(self) -> Answer:
        return await self._on_loop(PATIENCE_S, self._metrics_page)

    def _metrics_page(self) -> Answer:
        content_type = "text/plain; version=0.0.4; charset=utf-8"
        return Answer(self._metrics.exposition(), content_type=content_type)

    async def _document(self) -> Answer:
        return await self._on_loop(PATIENCE_S, self._status_page)

    def _status_page(self) -> Answer:
        document = orjson.dumps(self._status(), default=str, option=orjson.OPT_INDENT_2)
        return Answer(document, content_type="application/json")

    async def _started(self) -> Answer:
        return Answer("ok\n")

    async def _live(self) -> Answer:
        alive = self._health.alive()
        status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
        return Answer(self._with_hangs("ok" if alive else "not alive"), status)

    async def _ready(self) -> Answer:
        return await self._on_loop(PROBE_S, self._readiness)

    def _readiness(self) -> Answer:
        if self._health.ready():
            return Answer("ready\n")
        return Answer("not ready\n", HTTPStatus.SERVICE_UNAVAILABLE)

    async def _on_loop(self, patience_s: float, page: Callable[[], Answer]) -> Answer:
        """A page that is made on the loop of the pipelines, or what keeps it from that."""

        async def made() -> Answer:
            return page()

        job = asyncio.run_coroutine_threadsafe(made(), self._loop)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(job), patience_s)
        except TimeoutError:
            text = self._with_hangs(f"the pipelines did not answer within {patience_s:g} s")
            return Answer(text, HTTPStatus.SERVICE_UNAVAILABLE)

    def _with_hangs(self, text: str) -> str:
        return "".join(f"{line}\n" for line in (text, *self._health.hangs()))
