"""What a careful engineer writes by hand: aiohttp + orjson + fastavro Writer. It validates nothing and commits nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path

import aiohttp
import fastavro.write
import orjson


async def main(url: str, schema: Path, target: Path) -> None:
    parsed = fastavro.parse_schema(json.loads(schema.read_text()))
    with target.open("wb") as file:
        writer = fastavro.write.Writer(file, parsed, codec="zstandard", sync_interval=256 * 1024)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            cursor = "0"
            while cursor is not None:
                async with session.get(url, params={"limit": "1000", "cursor": cursor}) as answer:
                    answer.raise_for_status()
                    page = orjson.loads(await answer.read())
                for record in page["data"]["items"]:
                    record["time_hour"] = datetime.fromisoformat(record["time_hour"])
                    writer.write(record)
                cursor = page["meta"]["next"]
        writer.flush()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
