"""Kills a worker at chosen calls while its server changes, and compares what was published with
what the server has.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import forked
import kit
import victim

from worker.testing.replica import Replica, Shape

KILLED = -9
KINDS = ("receive", "write", "fsync", "rename", "before_commit", "after_commit", "mkdir", "unlink")
CURSOR = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
SHAPE = Shape(style="cursor", cap=5, since="since", filters=("tenant",))
WINDOWED = replace(SHAPE, until="until", window_limit=14)
LAG_S = 2
WITHIN = {
    "type": "window",
    "start_param": "since",
    "end_param": "until",
    "size": "8s",
    "lag": f"{LAG_S}s",
    "split_on": {"status": 400},
}


@dataclass(slots=True)
class World:
    """A server whose data and page cuts change, and a config that reads it into three routes with
    two open files.

    With windows, it is always `lag` behind the last record: at the second of that one, records come
    late.
    """

    replica: Replica
    directory: Path
    rng: random.Random
    windows: bool = False
    files_are_taken: bool = False
    source: Mapping[str, Any] = field(default_factory=dict)
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        incremental = {"initial": "2024-01-01T00:00:00Z"} if self.windows else {"param": "since"}
        self.config = kit.write_config(
            self.directory,
            self.replica.url,
            source={
                "params": {"tenant": "{partition.tenant}"},
                "partitions": {"tenant": list(kit.TENANTS)},
                "key": ["id"],
                "pagination": {**CURSOR, "within": WITHIN} if self.windows else CURSOR,
                "incremental": {"field": "updated_at", **incremental},
                **self.source,
            },
            sink={
                "partition_by": "region={region}",
                "max_open_files": 2,
                "files_are_taken": self.files_are_taken,
                "roll": {"records": 25, "age": "20ms"},
            },
            # a run after a kill may have one record to read, and that one bad
            dead_letters={"max_ratio": 1.0},
        )

    def change(self, more: int) -> None:
        """New records at the end, many of them at the second of the last one, and pages cut
        elsewhere.
        """
        records = self.replica.records
        last = (
            0
            if not records
            else int(records[-1]["updated_at"][17:19]) + 60 * int(records[-1]["updated_at"][14:16])
        )
        for number in range(len(records), len(records) + more):
            last += self.rng.random() < 0.2
            records.append(kit.item(number, second=last, bad=number % 11 == 5))
        self.replica.shape = replace(self.replica.shape, cap=self.rng.randrange(3, 9))

    def now(self, beyond_s: int) -> float:
        """Seconds since 1970; 0 is the real time."""
        last = datetime.fromisoformat(self.replica.records[-1]["updated_at"])
        return last.timestamp() + LAG_S + beyond_s if self.windows else 0.0

    async def run(
        self,
        kind: str = "",
        number: int = 0,
        mutation: str = "",
        result: str = "",
        *,
        beyond_s: int = 0,
        locked: bool = True,
        how: int = signal.SIGKILL,
    ) -> int:
        """Exit code of one run; -9 when it was killed."""
        now = self.now(beyond_s)
        return await self.start(kind, number, mutation, result, now, locked, how).wait()

    def start(
        self,
        kind: str = "",
        number: int = 0,
        mutation: str = "",
        result: str = "",
        now: float = 0.0,
        locked: bool = True,
        how: int = signal.SIGKILL,
    ) -> forked.Process:
        """One run, which gets a signal before the n-th call of a kind."""
        arguments = (kind, number, mutation, result, now, locked, how)
        return forked.Process(victim.run, str(self.config), *arguments)

    def move(self) -> None:
        """From now on the output is another one."""
        (self.directory / "moved").mkdir(exist_ok=True)
        text = self.config.read_text()
        self.config.write_text(
            text.replace(f"{self.directory}/lake", f"{self.directory}/moved/lake")
        )

    def take(self) -> None:
        """Moves away what a listing shows, as consumers do."""
        for path in (*kit.published(self.directory), *kit.published_letters(self.directory)):
            taken = self.directory / "taken" / path.relative_to(self.directory)
            taken.parent.mkdir(parents=True, exist_ok=True)
            path.rename(taken)

    def left(self) -> str:
        """What is left in staging, where nothing may be once a run has ended; empty: nothing."""
        staged = [*self.directory.rglob(".worker/*/*/staging/*/*")]
        return f"left in staging: {staged}" if staged else ""

    def wrong(self) -> str:
        """What is lost or double, by the server's own list, or torn; empty when exact."""
        try:
            return self._wrong()
        except (ValueError, EOFError) as error:  # of the readers, which a torn file ends with
            return f"a published file cannot be read: {error!r}"

    def _wrong(self) -> str:
        good = sorted(record["id"] for record in self.replica.records if record["value"] != "bad")
        bad = sorted(record["id"] for record in self.replica.records if record["value"] == "bad")
        found = []
        places = (self.directory, self.directory / "taken", self.directory / "moved")
        for name, expected, got in (
            ("records", good, sorted(each for top in places for each in kit.lake_ids(top))),
            ("dead letters", bad, sorted(each for top in places for each in kit.dead_ids(top))),
        ):
            if got != expected:
                lost = sorted(set(expected) - set(got))
                double = sorted({each for each in got if got.count(each) > 1})
                found.append(
                    f"{name}: lost {lost}, double {double}, unknown {sorted(set(got) - set(expected))}"
                )
        return "; ".join(found)

    async def ended(self, *, mutation: str = "", beyond_s: int = 0) -> str:
        """Two runs to the end, and what is wrong then; empty when exact."""
        for _ in range(2):
            if code := await self.run(mutation=mutation, beyond_s=beyond_s):
                return f"exit {code}"
        return self.wrong()


async def point(
    directory: Path, kind: str, number: int, *, seed: int, mutation: str = "", windows: bool = False
) -> str:
    """One kill, a kill in the recovery from it, and the end: what is wrong then."""
    rng = random.Random(seed)
    async with Replica([], WINDOWED if windows else SHAPE) as replica:
        world = World(replica, directory, rng, windows)
        world.change(70)
        await world.run(kind, number, mutation)
        world.change(rng.randrange(12))
        await world.run(rng.choice(KINDS), rng.randrange(1, 12), mutation)
        world.change(rng.randrange(12))
        for _ in range(2):
            code = await world.run(mutation=mutation, beyond_s=1)
            if code != 0:
                return f"exit {code}"
        return world.wrong() or world.left()


async def moved(directory: Path, kind: str, number: int, *, seed: int) -> str:
    """A kill in the first run, one in the run that changes the output, and the end."""
    rng = random.Random(seed)
    async with Replica([], SHAPE) as replica:
        world = World(replica, directory, rng)
        world.change(70)
        await world.run(rng.choice(KINDS), rng.randrange(30, 90))
        world.move()
        world.change(rng.randrange(12))
        await world.run(kind, number)
        world.change(rng.randrange(1, 12))
        found = await world.ended()
        assert found or kit.published(directory / "moved")
        return found


async def counts(directory: Path, *, windows: bool = False) -> dict[str, int]:
    """How often an undisturbed run makes each call."""
    async with Replica([], WINDOWED if windows else SHAPE) as replica:
        world = World(replica, directory, random.Random(0), windows)
        world.change(70)
        code = await world.run("COUNT", 0, result=str(directory / "counts"), beyond_s=1)
        assert code == 0, code
        assert not world.wrong(), world.wrong()
    lines = (directory / "counts").read_text().splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines)}
