"""The admin server tells, and only those who ask for it by a name that it has."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry.admin import Health, admin_server
from worker.telemetry.hosts import is_known
from worker.telemetry.metrics import Metrics

PATHS = ("/metrics", "/healthz/started", "/healthz/live", "/healthz/ready", "/status")


def serve(**more: Any) -> Any:
    return admin_server("127.0.0.1:0", Metrics(), dict, Health(lambda: True), **more)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:9464", "[::1]:9464", "10.1.2.3:80", "localhost", "LocalHost.:1"],
)
def test_an_address_and_localhost_are_known(host: str) -> None:
    assert is_known(host, ())


@pytest.mark.parametrize(
    "host",
    [
        *("", ":9464", "rebound.example", "rebound.example:9464", "localhost.rebound.example"),
        *("127.0.0.1.rebound.example", "[rebound.example]", "lake.example.rebound.example"),
    ],
)
def test_a_name_that_nobody_configured_is_not_known(host: str) -> None:
    assert not is_known(host, ["lake.example"])


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,20}\.){1,3}[a-z]{2,8}", fullmatch=True))
def test_a_name_is_known_where_it_is_configured_and_only_there(name: str) -> None:
    assert is_known(f"{name.upper()}.:9464", [name])
    assert not is_known(name, [f"not-{name}"])


async def test_a_page_whose_name_was_made_to_lead_here_reads_nothing() -> None:
    async with serve(hosts=["lake.example"]) as address, aiohttp.ClientSession() as session:
        for path in PATHS:
            url = f"http://{address}{path}"
            async with session.get(url, headers={"Host": "rebound.example"}) as answer:
                assert (answer.status, await answer.text()) == (
                    421,
                    (
                        "the host 'rebound.example' of this request is not known here; ask by"
                        " address, or add the name to admin.hosts\n"
                    ),
                )
            for host in ("lake.example:9464", address):
                async with session.get(url, headers={"Host": host}) as answer:
                    assert answer.status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_nothing_that_comes_over_tcp_changes_anything(method: str) -> None:
    async with serve() as address, aiohttp.ClientSession() as session:
        for path in (*PATHS, "/", "/pause", "/reload"):
            async with session.request(method, f"http://{address}{path}", data=b"x") as answer:
                assert answer.status in (404, 405)
                assert answer.headers.getall("Access-Control-Allow-Origin", []) == []
