"""The server of the admin port: whoever connects costs nobody else anything."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.telemetry import http_server
from worker.telemetry.admin import Health, admin_server
from worker.telemetry.http_server import (
    HEAD_BYTES,
    MOST_CONNECTIONS,
    Answer,
    Asked,
    parsed,
    rendered,
    serving,
)
from worker.telemetry.metrics import Metrics

ASK = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(asked: Asked) -> Answer:
    return Answer(f"{asked.method} {asked.path} {asked.headers['host']}\n")


@pytest.fixture
def port() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    with serving([listening], echo):
        yield listening.getsockname()[1]


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def received(connection: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


def asked(port: int, request: bytes = ASK) -> bytes:
    with connected(port) as connection:
        connection.sendall(request)
        return received(connection)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_request_is_answered_and_the_connection_ends(port: int) -> None:
    head, _, body = asked(port).partition(b"\r\n\r\n")
    assert body == b"GET /a x\n"
    assert head.splitlines()[0] == b"HTTP/1.1 200 OK"
    assert {b"Content-Length: 9", b"Connection: close"} <= set(head.splitlines())


def test_head_is_answered_without_the_body(port: int) -> None:
    assert asked(port, ASK.replace(b"GET", b"HEAD")).endswith(b"close\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (ASK.replace(b"GET", b"POST"), 405),
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * HEAD_BYTES, 400),
    ],
    ids=["another method", "no request", "of a proxy", "another version", "too long"],
)
def test_anything_else_is_refused(port: int, request_: bytes, status: int) -> None:
    assert asked(port, request_).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.fault(55, by="many connections that say nothing, and one that asks")
def test_many_that_connect_and_say_nothing_take_no_descriptors_and_keep_nobody_out(
    port: int,
) -> None:
    with ExitStack() as stack:
        before = descriptors()
        for _ in range(300):
            stack.enter_context(connected(port)).sendall(b"GET / HT")
        for _ in range(20):
            assert asked(port).endswith(b"GET /a x\n")
        ours = 300
        assert descriptors() - before - ours <= 1, "the server was given what it has kept back"
    assert descriptors() == before


def test_the_one_that_has_waited_longest_gives_way(port: int) -> None:
    with ExitStack() as stack:
        first, *others = [stack.enter_context(connected(port)) for _ in range(MOST_CONNECTIONS)]
        assert asked(port).endswith(b"GET /a x\n")
        assert received(first) == b""
        others[-1].sendall(ASK)
        assert received(others[-1]).endswith(b"GET /a x\n")


def test_a_request_that_never_ends_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_S", 0.05)
    with connected(port) as connection:
        connection.sendall(ASK[:-2])
        assert received(connection) == b""


def test_it_answers_where_no_descriptor_is_left_for_anybody_else(port: int) -> None:
    with ExitStack() as stack:
        ours = [stack.enter_context(socket.socket()) for _ in range(MOST_CONNECTIONS + 5)]
        with kit.descriptors_left(0):
            for each in ours:
                each.settimeout(20)
                each.connect(("127.0.0.1", port))
                each.sendall(ASK)
                assert received(each).endswith(b"GET /a x\n")


@given(st.binary(max_size=200))
def test_no_bytes_are_a_bug(head: bytes) -> None:
    found = parsed(head)
    assert found is None or found.path.startswith("/")


@given(
    st.from_regex(r"[A-Z]{1,7}", fullmatch=True),
    st.from_regex(r"/[!-~]{0,20}", fullmatch=True),
    st.dictionaries(
        st.from_regex(r"[a-z-]{1,9}", fullmatch=True), st.from_regex(r"[!-~]{0,9}", fullmatch=True)
    ),
)
def test_a_request_is_read_as_it_was_written(
    method: str, target: str, headers: dict[str, str]
) -> None:
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name.title()}:  {value}" for name, value in headers.items()),
    ]
    found = parsed("\r\n".join(lines).encode() + b"\r\n\r\nbody")
    assert found == Asked(method, target.partition("?")[0], headers)


def test_an_answer_says_how_long_it_is() -> None:
    assert rendered(Answer("ü")).endswith(b"Content-Length: 2\r\nConnection: close\r\n\r\n\xc3\xbc")


# -- what is answered while the loop of the pipelines is held --------------------------------------


async def fetch(address: str, path: str) -> tuple[int, str]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


@pytest.mark.parametrize(
    ("alive", "status", "word"), [(True, 200, "ok"), (False, 503, "not alive")]
)
async def test_liveness_says_what_hangs(alive: bool, status: int, word: str) -> None:
    health = Health(lambda: True, lambda: alive, lambda: ["a step hangs"])
    async with admin_server("127.0.0.1:0", Metrics(), dict, health) as address:
        assert await fetch(address, "/healthz/live") == (status, f"{word}\na step hangs\n")


async def test_a_held_loop_makes_a_worker_unready_and_its_numbers_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PATIENCE_S", "PROBE_S"):
        monkeypatch.setattr(f"worker.telemetry.admin.{name}", 0.05)
    health = Health(lambda: True, lambda: True, lambda: ["a step hangs"])

    def ask(address: str) -> list[bytes]:
        port = int(address.rpartition(":")[2])
        return [
            asked(port, b"GET %s HTTP/1.1\r\n\r\n" % path)
            for path in (b"/healthz/ready", b"/metrics", b"/status")
        ]

    async with admin_server("127.0.0.1:0", Metrics(), dict, health) as address:
        assert all(
            each.startswith(b"HTTP/1.1 200 ") for each in await asyncio.to_thread(ask, address)
        )
        for each in ask(address):  # holds the loop
            assert each.startswith(b"HTTP/1.1 503 ")
            assert each.endswith(b"the pipelines did not answer within 0.05 s\na step hangs\n")


async def test_an_unknown_path_is_told_those_that_there_are() -> None:
    async with admin_server("127.0.0.1:0", Metrics(), dict, Health(lambda: True)) as address:
        status, text = await fetch(address, "/other")
    assert status == 404 and "/healthz/live" in text
