"""Names that do not resolve, connections that close at the wrong moment, certificates of last year."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest
import tls_kit
from aiohttp import web

from worker.app import run_async
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}
NAME = "api.partner.test"


class Resolver:
    """What the system says of one name, answer by answer; the last one stays."""

    def __init__(self, patch: pytest.MonkeyPatch, *answers: str | OSError) -> None:
        self.asked = 0
        self._answers, self._real = answers, socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if host != NAME:
            return self._real(host, port, *rest, **more)
        answer = self._answers[min(self.asked, len(self._answers) - 1)]
        self.asked += 1
        if isinstance(answer, OSError):
            raise answer
        return self._real(answer, port, *rest, **more)


AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NONE = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.fault(25, by="the resolver fails twice, then gives the address")
@pytest.mark.parametrize("error", [AGAIN, NONE], ids=["temporary", "unknown"])
async def test_a_name_that_does_not_resolve_for_a_moment_costs_nothing(
    tmp_path: Path, error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(monkeypatch, error, error, "127.0.0.1")
    async with Replica([kit.item(each, second=each) for each in range(30)], CURSOR) as replica:
        url = replica.url.replace("127.0.0.1", NAME)
        config = kit.write_config(tmp_path, url, source=SOURCE)
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert resolver.asked >= 3
    assert kit.lake_ids(tmp_path) == list(range(30))


@pytest.mark.fault(25, by="a name that never resolves")
async def test_a_name_that_never_resolves_ends_after_a_few_attempts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(monkeypatch, NONE)
    config = kit.write_config(tmp_path, f"http://{NAME}:8080/items", source=SOURCE)
    result = await run_async(load_settings([config]), once=True)
    assert (result.exit_code, kit.lake_ids(tmp_path)) == (69, [])
    assert NAME in result.pipelines[0].error
    assert resolver.asked <= 4


CURSOR = Shape(style="cursor", cap=10)


@asynccontextmanager
async def closing() -> AsyncIterator[tuple[str, list[int]]]:
    """Serves three pages; keeps each connection, and closes it as the next request arrives.

    Gives its URL, and how many requests came on each connection.
    """
    connections: list[int] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(0)
        while head := await reader.readuntil(b"\r\n\r\n"):
            connections[number] += 1
            if connections[number] == 2:
                break
            page = int(head.partition(b"cursor=")[2][:1] or b"0")
            more = f'"{page + 1}"' if page < 2 else "null"
            body = f'{{"items": [{{"id": {page}}}], "next": {more}}}'.encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/items", connections


@pytest.mark.fault(27, by="a kept connection is closed when the next request has arrived")
async def test_a_kept_connection_that_closes_costs_a_get_nothing(tmp_path: Path) -> None:
    async with closing() as (url, connections):
        source = {
            "pagination": {"type": "cursor", "from": {"body": "next"}, "to": {"param": "cursor"}}
        }
        config = kit.write_config(tmp_path, url, source=source)
        schema = '{"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]}'
        (tmp_path / "item.avsc").write_text(schema)
        assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert kit.lake_ids(tmp_path) == [0, 1, 2]
    assert 2 in connections, "no kept connection was used again"


@tls_kit.needs_openssl
@pytest.mark.fault(26, by="a certificate whose time is over")
async def test_an_expired_certificate_is_named_and_not_asked_for_again_and_again(
    tmp_path: Path,
) -> None:
    ours = tls_kit.Authority(tmp_path)
    asked = 0

    async def page(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"items": []})

    application = web.Application()
    application.router.add_get("/items", page)
    runner = web.AppRunner(application)
    await runner.setup()
    expired = ours.certificate("old", "IP:127.0.0.1", expired=True)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls_kit.server_context(expired))
    await site.start()
    try:
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/items"
        config = kit.write_config(
            tmp_path,
            url,
            source={"tls": {"ca_file": str(ours.cert)}, "pagination": {"type": "none"}},
        )
        result = await run_async(load_settings([config]), once=True)
    finally:
        await runner.cleanup()
    assert result.exit_code != 0 and asked == 0
    assert "certificate has expired" in result.pipelines[0].error
