"""The bundled source of the quickstart: real flights behind an API that misbehaves.

`GET /v1/flights?origin=EWR&limit=1000&cursor=...` answers
`{"data": {"items": [...]}, "meta": {"next": token | null, "total": n}}`.
The faults are fixed: which page fails, how, and only at its first request, so that every run sees
the same ones. `python -m worker.demo.server` serves it alone.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import threading
from collections.abc import Mapping
from importlib.resources import files
from types import TracebackType
from typing import Any, Final, Self

from aiohttp import web

HOST: Final = "127.0.0.1"
PORT: Final = 8377
PAGE_CAP: Final = 1000
LATENCY_S: Final = 0.004
START_TIMEOUT_S: Final = 30.0

FAULTS: Final[Mapping[tuple[str, int], str]] = {
    ("EWR", 3): "rate_limited_1",
    ("EWR", 6): "unavailable",
    ("JFK", 2): "truncated",
    ("JFK", 5): "rate_limited_0",
    ("LGA", 1): "unavailable",
    ("LGA", 4): "truncated",
}
"""What the first request for a page gets instead of it, by (origin, number of the page).

They are spread out, because five failures among ten calls would open the breaker for 30 seconds.
"""

BROKEN: Final[Mapping[int, Mapping[str, Any]]] = {
    1_500: {"distance": "far"},  # text in a number
    4_200: {"carrier": None},  # null in a required field
    9_001: {"flight": 2**40},  # no int of 32 bits
    13_333: {"time_hour": "last Tuesday"},  # no time
    21_000: {"dep_delay": True},  # a boolean is no number
}
"""The fields that break the schema, by the id of their record; the same in every answer."""


def load_flights() -> dict[str, list[dict[str, Any]]]:
    """The records of each origin in order of `id`; five of them break the schema."""
    packed = files("worker.demo").joinpath("flights.ndjson.gz").read_bytes()
    found: dict[str, list[dict[str, Any]]] = {}
    for line in gzip.decompress(packed).splitlines():
        record = json.loads(line)
        found.setdefault(record["origin"], []).append(record | BROKEN.get(record["id"], {}))
    return found


class FlightsApi:
    """The API.

    Attributes:
        requests: how many came, including those that got a fault.
    """

    def __init__(self) -> None:
        self.requests = 0
        self._flights = load_flights()
        self._failed: set[tuple[str, int]] = set()

    def application(self) -> web.Application:
        """What an aiohttp server runs."""
        app = web.Application()
        app.router.add_get("/v1/flights", self.flights)
        return app

    async def flights(self, request: web.Request) -> web.Response:
        """Answers one request."""
        self.requests += 1
        await asyncio.sleep(LATENCY_S)
        origin = request.query.get("origin", "")
        rows = self._flights.get(origin)
        if rows is None:
            return web.json_response({"error": f"unknown origin {origin!r}"}, status=400)
        try:
            start = _offset(request.query.get("cursor"))
            limit = min(int(request.query.get("limit", PAGE_CAP)), PAGE_CAP)
        except ValueError:
            return web.json_response({"error": "cursor or limit is no such thing"}, status=400)
        if start < 0 or limit < 1:
            return web.json_response({"error": "cursor or limit is out of range"}, status=400)
        end = start + limit
        token = _token(end) if end < len(rows) else None
        meta = {"next": token, "total": len(rows)}
        document = json.dumps({"data": {"items": rows[start:end]}, "meta": meta})
        body = gzip.compress(document.encode(), compresslevel=1)
        page = (origin, start // limit)
        if page in FAULTS and page not in self._failed:
            self._failed.add(page)
            return _fault(FAULTS[page], body)
        return _page(body)


def _page(body: bytes) -> web.Response:
    return web.Response(
        body=body, content_type="application/json", headers={"Content-Encoding": "gzip"}
    )


def _fault(name: str, body: bytes) -> web.Response:
    if name == "unavailable":
        return web.json_response({"error": "try again"}, status=503)
    if name == "truncated":  # the length is honest, the gzip stream inside has no end
        return _page(body[: len(body) // 2])
    return web.json_response(
        {"error": "slow down"}, status=429, headers={"Retry-After": name.rpartition("_")[2]}
    )


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"o:{offset}".encode()).decode().rstrip("=")


def _offset(token: str | None) -> int:
    if not token:
        return 0
    return int(
        base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().removeprefix("o:")
    )


class DemoServer:
    """The API in a thread of its own, so that the worker keeps the main thread and its signals.

    Entering raises OSError when the port is taken.
    """

    def __init__(self, host: str = HOST, port: int = PORT) -> None:
        self.port = port
        self._host = host
        self._api = FlightsApi()
        self._ready = threading.Event()
        self._error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="demo-server", daemon=True)

    @property
    def requests(self) -> int:
        """How many requests came, including those that got a fault."""
        return self._api.requests

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise OSError(f"the demo server did not start within {START_TIMEOUT_S:g} s")
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self._api.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self.port).start()
            self.port = runner.addresses[0][1]
            self._ready.set()
            await self._stop.wait()
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    web.run_app(FlightsApi().application(), host=HOST, port=PORT)
