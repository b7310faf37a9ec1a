"""A bare aiohttp loop that polls many sources every 10 s: `poll_loop.py URL SOURCES SECONDS`.

It keeps nothing: what a poll costs beyond it is what a pipeline adds.
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import orjson


async def poll(session: aiohttp.ClientSession, url: str, number: int, every_s: float) -> None:
    """Polls one source for ever."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        params = {"limit": "1000", "who": "loop", "n": str(number), "since": "2025-01-01T00:00:00Z"}
        async with session.get(url, params=params) as answer:
            answer.raise_for_status()
            orjson.loads(await answer.read())["data"]["items"]
        due += every_s
        await asyncio.sleep(due - loop.time())


async def main(url: str, sources: int, every_s: float) -> None:
    """One task a source."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for number in range(sources):
            tasks.create_task(poll(session, url, number, every_s), name=f"poll {number}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
