"""A server of Avro bodies: page n is `?page=n`, and the header X-Next names the next one."""

from __future__ import annotations

import io
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import fastavro
import kit
from aiohttp import web

PAGES: dict[str, Any] = {
    "pagination": {"type": "cursor", "from": {"header": "X-Next"}, "to": {"param": "page"}},
    "records": None,
}


def row(number: int, **more: Any) -> dict[str, Any]:
    """A record of kit.SCHEMA as Avro values."""
    item = kit.item(number, second=number)
    return {**item, "updated_at": 1_704_067_200_000 + number * 1000, **more}


def container(schema: Any, records: Sequence[Any], codec: str = "deflate") -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, records, codec=codec, sync_interval=1_000)
    return file.getvalue()


def datum(schema: Any, record: Any) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, schema, record)
    return file.getvalue()


@asynccontextmanager
async def serving(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The base URL of an application on a free port."""
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def avro_server(bodies: list[bytes]) -> AsyncIterator[str]:
    """The URL; `bodies` may change while it runs."""

    async def page(request: web.Request) -> web.Response:
        number = int(request.query.get("page", "0"))
        headers = {"X-Next": str(number + 1)} if number + 1 < len(bodies) else {}
        return web.Response(
            body=bodies[number], headers=headers, content_type="application/octet-stream"
        )

    app = web.Application()
    app.router.add_get("/items", page)
    async with serving(app) as url:
        yield f"{url}/items"
