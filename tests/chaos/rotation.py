"""Kills a worker at chosen calls while its token endpoint rotates refresh tokens.

The endpoint forgives an answer that was lost, and nothing else: a refresh token may be used again
until anything that came with its successor was used. From then on it is stolen.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sweep
from aiohttp import web

from worker.testing.replica import Fault, Replica, Seen

USES = 3
"""An access token is good for so many requests, so that a run needs many."""
KINDS = ("receive", "fsync", "replace", "write", "mkdir", "unlink", "before_commit", "after_commit")


@dataclass(slots=True)
class Endpoint:
    """The tokens of one client.

    Attributes:
        good: the refresh tokens that may be used, the oldest first.
        uses: how often each access token may still be used.
        stolen: the refresh tokens that were used after their successors.
    """

    good: list[int] = field(default_factory=lambda: [0])
    uses: dict[int, int] = field(default_factory=dict)
    stolen: list[int] = field(default_factory=list)
    last: int = 0

    async def token(self, request: web.Request) -> web.Response:
        used = int(str((await request.post())["refresh_token"]).removeprefix("r"))
        if used not in self.good:
            self.stolen.append(used)
            return web.json_response({"error": "invalid_grant"}, status=400)
        self.end_before(used)
        self.last += 1
        self.good.append(self.last)
        self.uses[self.last] = USES
        return web.json_response(
            {"access_token": f"a{self.last}", "refresh_token": f"r{self.last}", "expires_in": 3600}
        )

    def end_before(self, number: int) -> None:
        """A token was used, so the ones before it end."""
        self.good = [each for each in self.good if each >= number]

    def data(self, number: int, seen: Seen) -> Fault | None:
        """The API refuses an access token that is used up."""
        name = int(seen.headers.get("Authorization", "Bearer a-1").removeprefix("Bearer a"))
        left = self.uses.get(name, 0)
        if left <= 0:
            return Fault("status", status=401)
        self.uses[name] = left - 1
        self.end_before(name)
        return None


@asynccontextmanager
async def world(directory: Path, seed: int) -> AsyncIterator[tuple[sweep.World, Endpoint]]:
    """A server of tokens and data, and a worker that reads it."""
    endpoint = Endpoint()
    app = web.Application()
    app.router.add_post("/token", endpoint.token)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    auth = {
        "type": "oauth2_refresh_token",
        "token_url": f"http://127.0.0.1:{runner.addresses[0][1]}/token",
        "refresh_token": "r0",
    }
    try:
        async with Replica([], sweep.SHAPE, endpoint.data) as replica:
            made = sweep.World(replica, directory, random.Random(seed), source={"auth": auth})
            made.change(40)
            yield made, endpoint
    finally:
        await runner.cleanup()


async def point(directory: Path, kind: str, number: int, *, seed: int, mutation: str = "") -> str:
    """One kill, a kill in the run after it, and the end: what is wrong then; empty when exact."""
    async with world(directory, seed) as (made, endpoint):
        await made.run(kind, number, mutation)
        made.change(made.rng.randrange(12))
        await made.run(made.rng.choice(KINDS), made.rng.randrange(1, 12), mutation)
        made.change(made.rng.randrange(1, 12))
        found = await made.ended(mutation=mutation)
        if endpoint.stolen:
            return f"refresh tokens were used after their successors: {endpoint.stolen}; {found}"
        return found


async def counts(directory: Path) -> dict[str, int]:
    """How often an undisturbed run makes each call."""
    async with world(directory, 0) as (made, endpoint):
        code = await made.run("COUNT", 0, result=str(directory / "counts"))
        assert code == 0 and not made.wrong() and not endpoint.stolen
        assert endpoint.last >= 5, "the run needs many tokens"
    lines = (directory / "counts").read_text().splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines)}
