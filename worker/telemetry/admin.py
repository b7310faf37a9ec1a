"""The admin server: /metrics, /healthz/{started,live,ready} and /status over HTTP.

It only tells: nothing that comes over TCP changes anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from aiohttp import web

from worker.core.errors import ConfigError
from worker.telemetry.hosts import refuse_unknown
from worker.telemetry.metrics import Metrics

LAG_PERIOD_S: Final = 0.05
LAG_WINDOW_S: Final = 1.0


@asynccontextmanager
async def admin_server(
    listen: str,
    metrics: Metrics,
    status: Callable[[], dict[str, Any]],
    ready: Callable[[], bool],
    *,
    hosts: Sequence[str] = (),
) -> AsyncIterator[str]:
    """Serves while the context is open, and yields its address, `host:port`.

    Raises ConfigError when the address cannot be listened on.

    Args:
        listen: `host:port`.
        status: the document of /status.
        ready: whether /healthz/ready answers 200, and not 503.
        hosts: names that requests may ask for beside addresses, `localhost` and that of `listen`.
    """

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(
            body=metrics.exposition(),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def is_ready(_: web.Request) -> web.Response:
        if ready():
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not ready\n")

    async def show_status(_: web.Request) -> web.Response:
        return web.Response(
            body=orjson.dumps(status(), default=str, option=orjson.OPT_INDENT_2),
            content_type="application/json",
        )

    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    app = web.Application(middlewares=[refuse_unknown((host, *hosts))])
    app.router.add_get("/metrics", exposition)
    app.router.add_get("/healthz/started", alive)
    app.router.add_get("/healthz/live", alive)
    app.router.add_get("/healthz/ready", is_ready)
    app.router.add_get("/status", show_status)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, int(port))
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"{listen} cannot be used: {error.strerror}",
                where="admin.listen",
                remedy="free the port, choose another one, or set admin.listen: null",
            ) from error
        address = runner.addresses[0]
        watch = asyncio.create_task(_watch_lag(metrics), name="admin.loop_lag")
        try:
            yield f"{address[0]}:{address[1]}"
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
    finally:
        await runner.cleanup()


async def _watch_lag(metrics: Metrics) -> None:
    """Measures for how long the event loop was held: by how much a short sleep took longer."""
    loop = asyncio.get_running_loop()
    while True:
        longest_s = 0.0
        until = loop.time() + LAG_WINDOW_S
        while loop.time() < until:
            before = loop.time()
            await asyncio.sleep(LAG_PERIOD_S)
            longest_s = max(longest_s, loop.time() - before - LAG_PERIOD_S)
        metrics.loop_lag(longest_s)
