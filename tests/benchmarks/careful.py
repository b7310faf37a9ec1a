"""What a careful engineer writes by hand: aiohttp, orjson and fastavro's Writer.

It follows cursors and rolls its files (written, fsynced, renamed), but it validates nothing,
retries nothing, and knows after a crash neither where it was nor which records are in files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import fastavro.write
import orjson


class Files:
    """Avro files in a directory; a new one is begun after `roll` records."""

    def __init__(self, directory: Path, schema: Any, codec: str, roll: int) -> None:
        self._directory, self._schema, self._codec, self._roll = directory, schema, codec, roll
        self._number = self._rows = 0
        directory.mkdir()
        self._open()

    def _open(self) -> None:
        self._number += 1
        self._rows = 0
        self._path = self._directory / f"{self._number:06}.tmp"
        self._file: BinaryIO = self._path.open("wb")
        self._writer = fastavro.write.Writer(
            self._file, self._schema, codec=self._codec, sync_interval=256 * 1024
        )

    def write(self, records: list[dict[str, Any]]) -> None:
        """Writes the records of a page."""
        for record in records:
            self._writer.write(record)
        self._rows += len(records)
        if self._rows >= self._roll:
            self.close()
            self._open()

    def close(self) -> None:
        """Gives the open file its final name, or takes it away when it holds nothing."""
        self._writer.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        if self._rows:
            self._path.rename(self._path.with_suffix(".avro"))
        else:
            self._path.unlink()


async def pages(
    session: aiohttp.ClientSession, url: str, first: str
) -> AsyncIterator[list[dict[str, Any]]]:
    """The records of each page, from the cursor `first` on."""
    cursor = first
    while cursor is not None:
        async with session.get(url, params={"limit": "1000", "cursor": cursor}) as answer:
            answer.raise_for_status()
            page = orjson.loads(await answer.read())
        yield page["data"]["items"]
        cursor = page["meta"]["next"]


def convert(records: list[dict[str, Any]], times: list[str]) -> None:
    """Makes datetimes of times that are text."""
    for record in records:
        for field in times:
            if record[field] is not None:
                record[field] = datetime.fromisoformat(record[field])


async def main(options: argparse.Namespace) -> None:
    """Reads each partition to its end, one after the other."""
    schema = fastavro.parse_schema(json.loads(options.schema.read_text()))
    files = Files(options.target, schema, options.codec, options.roll)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        for first in range(options.partitions):
            async for records in pages(session, options.url, str(first)):
                convert(records, options.times)
                files.write(records)
    files.close()


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("schema", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--codec", required=True)
    parser.add_argument("--times", nargs="*", default=[], help="fields that hold times as text")
    parser.add_argument("--partitions", type=int, default=1, help="first cursors: 0 to this")
    parser.add_argument("--roll", type=int, default=100_000, help="records of a file")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(arguments()))
