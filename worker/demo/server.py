"""The bundled partner API: cursor pages of real flights, with latency and the faults that real APIs have.

Each page fails once in its own way before it is served: 429 with Retry-After, 503, a gzip body cut short.
A few records break the schema. `python -m worker.demo.server` runs it alone.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

HOST: Final = "127.0.0.1"
PORT: Final = 8377
LATENCY_S: Final = 0.003
PAGE_CAP: Final = 1000
# id -> what is wrong with the record
BROKEN: Final[dict[int, dict[str, Any]]] = {
    501: {"distance": "far"},
    5_003: {"flight": 2**40},
    9_999: {"time_hour": "yesterday"},
    15_000: {"carrier": None},
    23_456: {"year": 2013.5},
}


def load_flights() -> list[dict[str, Any]]:
    """The sample, with the broken records broken."""
    with gzip.open(Path(__file__).with_name("flights.ndjson.gz")) as file:
        flights = [json.loads(line) for line in file]
    return [{**flight, **BROKEN.get(flight["id"], {})} for flight in flights]


class FlightServer:
    """Serves `/v1/flights?origin=&limit=&cursor=`; `requests` counts what was asked, by status."""

    def __init__(self, flights: list[dict[str, Any]]) -> None:
        self.requests: Counter[int] = Counter()
        self._flights = flights
        self._seen: Counter[str] = Counter()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/flights", self._page)
        return app

    async def _page(self, request: web.Request) -> web.Response:
        await asyncio.sleep(LATENCY_S)
        origin, start = request.query.get("origin"), int(request.query.get("cursor", "0"))
        response = self._fault(f"{origin}/{start}", start) or self._served(origin, start, int(request.query.get("limit", "100")))
        self.requests[response.status] += 1
        return response

    def _fault(self, page: str, start: int) -> web.Response | None:
        """The first answer for some pages."""
        self._seen[page] += 1
        if self._seen[page] > 1:
            return None
        match start // PAGE_CAP % 4:
            case 1:
                return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "0"})
            case 2:
                return web.Response(status=503, text="<html>maintenance</html>")
            case 3:
                cut = gzip.compress(json.dumps({"data": {"items": []}, "meta": {"next": None}}).encode() * 50)[:-20]
                return web.Response(body=cut, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
        return None

    def _served(self, origin: str | None, start: int, limit: int) -> web.Response:
        found = [flight for flight in self._flights if flight["origin"] == origin]
        end = start + min(limit, PAGE_CAP)
        document = {"data": {"items": found[start:end]}, "meta": {"next": str(end) if end < len(found) else None, "total": len(found)}}
        body = gzip.compress(json.dumps(document).encode(), 1)
        return web.Response(body=body, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})


@contextmanager
def serving(port: int = PORT) -> Iterator[FlightServer]:
    """The server in a thread of its own. Raises OSError when the port is taken."""
    server = FlightServer(load_flights())
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(server.app(), access_log=None)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()

    try:
        loop.run_until_complete(start())
        thread = threading.Thread(target=loop.run_forever, name="demo.server", daemon=True)
        thread.start()
        try:
            yield server
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
    finally:
        loop.run_until_complete(runner.cleanup())
        loop.close()


def main() -> None:
    web.run_app(FlightServer(load_flights()).app(), host=HOST, port=PORT)


if __name__ == "__main__":
    main()
