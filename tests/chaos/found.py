"""Kills a worker that finds its partitions in the records of another pipeline."""

from __future__ import annotations

import random
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import forked
import victim
from cases.server import Answer, Ask, CaseServer

KINDS = ("receive", "write", "fsync", "rename", "before_commit", "after_commit", "mkdir", "unlink")
REPO = '{"type": "record", "name": "R", "fields": [{"name": "id", "type": "string"}, {"name": "v", "type": "long"}]}'
ITEM = '{"type": "record", "name": "I", "fields": [{"name": "n", "type": "long"}]}'
OUT = """{"type": "record", "name": "O", "fields": [
  {"name": "n", "type": "long"}, {"name": "repo", "type": "string"}]}"""
CONFIG = """
version: 1
state: {{path: {0}/state}}
admin: {{listen: null}}
logging: {{level: error}}
pipelines:
  repos:
    source:
      url: {1}/repos
      key: [id, v]
      incremental: {{field: v, param: since, initial: 0, format: {{record: int}}}}
      pagination: {{type: cursor, from: {{last_record: v}}, to: {{param: after}}}}
    schema: repo.avsc
    sink: {{path: {0}/repos, roll: {{records: 5}}}}
  items:
    source:
      url: "{1}/of/{{partition.repo}}"
      partitions: {{repo: {{pipeline: repos, field: id, due: change}}}}
      key: [n]
      incremental: {{field: n, param: since, initial: 0, format: {{record: int}}}}
      concurrency: 3
    schema: item.avsc
    transforms: [{{set: {{repo: "partition.repo"}}}}]
    output_schema: out.avsc
    sink: {{path: {0}/items, roll: {{records: 7}}}}
"""


@dataclass
class World:
    """Repositories, each with a version, and as many items as its version says."""

    directory: Path
    repos: list[dict[str, Any]] = field(default_factory=list)

    def change(self, rng: random.Random) -> None:
        """New repositories, and new versions of some that there are."""
        version = len(self.repos)
        names = {each["id"] for each in self.repos}
        changed = rng.sample(sorted(names), min(3, len(names)))
        new = [f"r{len(names) + each}" for each in range(rng.randrange(2, 9))]
        for name in (*changed, *new):
            version += 1
            self.repos.append({"id": name, "v": version})

    def answer(self, ask: Ask) -> Answer:
        since = int(ask.query["since"])
        if ask.path == "/repos":
            after = int(ask.query.get("after", "-1"))
            rows = [each for each in self.repos if each["v"] >= since and each["v"] > after]
            return Answer(rows[:4])
        return Answer([{"n": n} for n in self.versions(ask.path[4:]) if n >= since])

    def versions(self, name: str) -> list[int]:
        return [each["v"] for each in self.repos if each["id"] == name]

    def write(self, url: str) -> Path:
        for name, text in (("repo.avsc", REPO), ("item.avsc", ITEM), ("out.avsc", OUT)):
            (self.directory / name).write_text(text)
        config = self.directory / "config.yaml"
        config.write_text(CONFIG.format(self.directory, url))
        return config

    def wrong(self) -> str:
        """What is lost or double; empty when exact."""
        found = []
        for name, expected in (
            ("repos", Counter((each["id"], each["v"]) for each in self.repos)),
            ("items", Counter((each["v"], each["id"]) for each in self.repos)),
        ):
            got = Counter(tuple(record.values()) for record in records(self.directory / name))
            if got != expected:
                found.append(f"{name}: lost {expected - got}, double {got - expected}")
        return "; ".join(found)


def records(lake: Path) -> list[dict[str, Any]]:
    import fastavro

    found: list[Any] = []
    for path in sorted(lake.glob("*.avro")):
        with path.open("rb") as file:
            found += fastavro.reader(file)
    return found


async def run(config: Path, kind: str = "", number: int = 0, result: str = "") -> int:
    """Exit code of one run, which is killed before the n-th call of a kind."""
    process = forked.Process(
        victim.run, str(config), kind, number, "", result, 0.0, True, signal.SIGKILL
    )
    return await process.wait()


async def point(directory: Path, kind: str, number: int, *, seed: int) -> str:
    """One kill, another one in the recovery from it, and the end: what is wrong then."""
    rng = random.Random(seed)
    world = World(directory)
    with CaseServer(world.answer, most=100_000) as server:
        config = world.write(f"http://127.0.0.1:{server.port}")
        world.change(rng)
        await run(config)
        world.change(rng)
        await run(config, kind, number)
        world.change(rng)
        await run(config, rng.choice(KINDS), rng.randrange(1, 12))
        world.change(rng)
        for _ in range(2):
            if code := await run(config):
                return f"exit {code}"
    return world.wrong()


async def counts(directory: Path) -> dict[str, int]:
    """How often an undisturbed run makes each call."""
    world = World(directory)
    with CaseServer(world.answer, most=100_000) as server:
        config = world.write(f"http://127.0.0.1:{server.port}")
        world.change(random.Random(0))
        assert await run(config, "COUNT", 0, str(directory / "counts")) == 0
    assert not world.wrong(), world.wrong()
    lines = (directory / "counts").read_text().splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines)}
