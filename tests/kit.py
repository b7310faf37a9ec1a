"""What tests share: a config for a replica, and an oracle that reads files with fastavro and knows
nothing of the commit log.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fastavro
import forked
from multidict import CIMultiDict
from ruamel.yaml import YAML

from worker.components import AUTH
from worker.http.auth import Auth, AuthDeps
from worker.http.client import Response
from worker.runtime.clock import SystemClock

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "tenant", "type": "string"},
        {"name": "region", "type": "string"},
        {"name": "updated_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "value", "type": "int"},
    ],
}
TENANTS = ("a", "b", "c")
worker = forked.command


class AnyRoom:
    """The memory of a request for which there is always enough (the `Room` port)."""

    async def receive(self, body_bytes: int) -> int:
        return sys.maxsize

    async def decode(self, body_bytes: int, page_bytes: int) -> None: ...


def item(number: int, *, second: int, bad: bool = False) -> dict[str, Any]:
    """A record: tenant and region go round; `bad` ones break the schema."""
    stamp = f"2024-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    return {
        "id": number,
        "tenant": TENANTS[number % 3],
        "region": f"r{number % 7 % 3}",
        "updated_at": stamp,
        "value": "bad" if bad else number % 1000,
    }


def write_config(
    directory: Path,
    url: str,
    *,
    source: dict[str, Any] | None = None,
    sink: dict[str, Any] | None = None,
    **pipeline: Any,
) -> Path:
    """A config with one pipeline `items`; all paths are absolute, so that runs need no working
    directory.
    """
    (directory / "item.avsc").write_text(json.dumps(SCHEMA))
    config = {
        "version": 1,
        "state": {"path": str(directory / "state")},
        "admin": {"listen": None},
        "logging": {"level": "error", "format": "json"},
        "pipelines": {
            "items": {
                "source": {
                    "url": url,
                    "records": "items",
                    "retry": {"base": "5ms", "cap": "20ms", "max_attempts": 4},
                    **(source or {}),
                },
                "schema": "item.avsc",
                "sink": {"path": str(directory / "lake"), **(sink or {})},
                **pipeline,
            }
        },
    }
    path = directory / "worker.yaml"
    with path.open("w") as file:
        YAML(typ="safe").dump(config, file)
    return path


def auth_of(kind: str, **keys: Any) -> Auth:
    """Credentials as a config has them, without partitions and endpoints."""
    module = AUTH.load(kind)
    config = module.Config.model_validate({"type": kind, **keys})
    found: Auth = module.build(config, AuthDeps({}, SystemClock(), _no_endpoint))
    return found


def answered(status: int, **more: Any) -> Response:
    """An answer of a server."""
    return Response(status, CIMultiDict(more.pop("headers", {})), b"", "http://h/", **more)


def _no_endpoint(url: str) -> Any:
    raise AssertionError(url)


def install(
    directory: Path, name: str, modules: Mapping[str, str], entry_points: Mapping[str, str]
) -> Path:
    """A distribution in a directory, as an installer leaves it; put the directory on sys.path.

    Args:
        modules: the source of each module.
        entry_points: `group: name` -> module.
    """
    directory.mkdir(exist_ok=True)
    for module, source in modules.items():
        (directory / f"{module}.py").write_text(source)
    info = directory / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    sections: dict[str, list[str]] = {}
    for key, value in entry_points.items():
        group, _, entry = key.partition(": ")
        sections.setdefault(group, []).append(f"{entry} = {value}\n")
    (info / "entry_points.txt").write_text(
        "".join(f"[{group}]\n{''.join(lines)}" for group, lines in sections.items())
    )
    return directory


@contextmanager
def descriptors_left(number: int) -> Iterator[None]:
    """This process may open so many more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    for each in taken[len(taken) - number :]:
        os.close(each)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in taken[: len(taken) - number]:
            os.close(each)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def until(condition: Callable[[], Any], *, within_s: float = 120.0) -> None:
    """Waits for what another process makes true; `within_s` is how long a test takes that fails."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def until_logged(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    """Reads the log of a process (its stderr is a pipe) up to the next line that has these words."""
    assert process.stderr is not None
    async with asyncio.timeout(120):
        while words not in (line := await process.stderr.readline()):
            assert line, "the process has ended"
    return line


def published(directory: Path) -> list[Path]:
    """A plain listing of the output, dot directories aside."""
    lake = directory / "lake"
    return sorted(
        path
        for path in lake.rglob("*.avro")
        if not any(part.startswith(".") for part in path.relative_to(lake).parts)
    )


def lake_ids(directory: Path) -> list[int]:
    """Ids in published files, sorted, duplicates kept."""
    ids = []
    for path in published(directory):
        with path.open("rb") as file:
            ids += [record["id"] for record in fastavro.reader(file)]  # type: ignore[index,call-overload]
    return sorted(ids)


def published_letters(directory: Path) -> list[Path]:
    """A plain listing of the dead letters, dot directories aside."""
    letters = directory / "state" / "dead_letters" / "items"
    return [
        path
        for path in letters.rglob("*.ndjson")
        if not any(part.startswith(".") for part in path.relative_to(letters).parts)
    ]


def dead_ids(directory: Path) -> list[int]:
    """Ids in dead letters, sorted, duplicates kept."""
    return sorted(
        json.loads(json.loads(line)["raw"])["id"]
        for path in published_letters(directory)
        for line in path.read_text().splitlines()
    )
