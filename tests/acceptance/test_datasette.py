"""A server that is not ours: Datasette over its JSON API, every row, by next_url."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import fastavro
import pytest

from worker.app import run_async
from worker.settings import load_settings

ROWS = 5_321
EXAMPLE = Path(__file__).parents[2] / "configs" / "datasette"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, amount REAL, note TEXT, placed TEXT NOT NULL)"
        )
        db.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (
                (
                    n,
                    f"c{n % 97}",
                    None if n % 11 == 0 else n / 4,
                    "ünï\u2028code" if n % 7 == 0 else None,
                    f"2024-01-{n % 28 + 1:02}T00:00:00Z",
                )
                for n in range(1, ROWS + 1)
            ),
        )
    db.close()
    return path


@pytest.fixture
def datasette(database: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "datasette",
            str(database),
            "--port",
            str(port),
            "--setting",
            "max_returned_rows",
            "500",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/-/versions.json", timeout=1).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None
                server_wait(server)
        yield url
    finally:
        server.terminate()
        server.wait()


def server_wait(server: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(0.05)


def test_every_row_of_a_datasette_table_lands_once(
    datasette: str, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "config")
    config = tmp_path / "config" / "datasette.yaml"
    config.write_text(config.read_text().replace("http://127.0.0.1:8001", datasette))
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        result = asyncio.run(run_async(load_settings([config]), once=True))
        assert result.exit_code == 0, result
    landed = {}
    for path in (tmp_path / "var" / "lake" / "orders").rglob("*.avro"):
        if ".worker" not in path.parts:
            with path.open("rb") as file:
                for row in fastavro.reader(file):
                    assert row["id"] not in landed  # type: ignore[index,call-overload]
                    landed[row["id"]] = row  # type: ignore[index,call-overload]
    with sqlite3.connect(database) as db:
        db.row_factory = sqlite3.Row
        expected = {row["id"]: dict(row) for row in db.execute("SELECT * FROM orders")}
    db.close()
    assert landed.keys() == expected.keys()
    for number, row in landed.items():
        assert {**row, "placed": row["placed"].strftime("%Y-%m-%dT%H:%M:%SZ")} == expected[number]
