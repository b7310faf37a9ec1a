"""Two workers under random faults, over one source that grows and answers badly.

One lives as long as the soak does, and its memory, descriptors, threads and tasks are looked at.
The other is killed, told to end, suspended and started again all the time. Both outputs may fill
up. What lands in the end is held against the list of the source.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import forked
import sweep

from worker.testing.replica import Fault, Replica, Seen

WHAT = ("rss_kib", "descriptors", "threads", "tasks")
LIVING = {"schedule": {"every": "500ms"}, "timeout": {"read": "2s"}}
FAULTS = (
    Fault("status", status=503),
    Fault("status", status=429, headers={"Retry-After": "1"}),
    Fault("truncated_gzip"),
    Fault("truncated_length"),
    Fault("reset"),
    Fault("html"),
    Fault("stall", seconds=3),
)


@dataclass(frozen=True)
class Found:
    """How a soak ended.

    Attributes:
        wrong: what is lost or double, in each of the two outputs; empty when exact.
        samples: of the worker that lives, once a second.
        ended: how often the other one ended with each exit code.
        faults: how often each was injected.
    """

    wrong: list[str]
    samples: list[dict[str, int]]
    ended: Counter[int]
    faults: Counter[str]

    def quarter(self, what: str, number: int) -> float:
        """The median of a quarter of the time, from 0."""
        size = len(self.samples) // 4
        return statistics.median(
            each[what] for each in self.samples[size * number : size * (number + 1)]
        )

    def slopes(self) -> str:
        """What each resource was in the four quarters, for people."""
        rows = [
            f"{what}: {' -> '.join(f'{self.quarter(what, each):.0f}' for each in range(4))}"
            for what in WHAT
        ]
        return "; ".join(rows)


def live(config: str, samples: str, seconds: float) -> None:
    """A daemon for so many seconds, which writes down what it uses."""
    from worker.app import run_async
    from worker.settings import load_settings

    def now() -> dict[str, int]:
        lines = Path("/proc/self/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        return {
            "rss_kib": int(status["VmRSS"].split()[0]),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "threads": int(status["Threads"]),
            "tasks": len(asyncio.all_tasks()),
        }

    async def sample(file: Path) -> None:
        with file.open("w", buffering=1) as out:
            while True:
                await asyncio.sleep(1)
                out.write(json.dumps(now()) + "\n")

    async def main() -> int:
        sampling = asyncio.create_task(sample(Path(samples)))
        result = await run_async(load_settings([Path(config)]), once=False, for_s=seconds)
        sampling.cancel()
        return result.exit_code

    os._exit(asyncio.run(main()))


@contextmanager
def disk(path: Path) -> Iterator[bool]:
    """A file system of its own for an output; whether there is one: only root mounts."""
    if os.geteuid() != 0:
        yield False
        return
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(path)], check=True)
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


class Soak:
    """The source, the two workers, and who makes trouble.

    Args:
        seconds: how long there is trouble.
    """

    def __init__(self, directory: Path, *, seconds: float, seed: int) -> None:
        self._directory, self._seconds = directory, seconds
        self._rng = random.Random(seed)
        self._trouble = True
        self.ended, self.faults = Counter[int](), Counter[str]()

    async def run(self) -> Found:
        async with AsyncExitStack() as stack:
            replica = await stack.enter_async_context(Replica([], sweep.SHAPE, self._script))
            worlds = []
            for name in ("living", "killed"):
                directory = self._directory / name
                full = stack.enter_context(disk(directory / "lake"))
                worlds.append(sweep.World(replica, directory, self._rng, source=LIVING))
                if full:
                    await stack.enter_async_context(_beside(self._fill(directory / "lake")))
            living, killed = worlds
            living.change(70)
            samples = self._directory / "samples"
            process = forked.Process(live, str(living.config), str(samples), self._seconds)
            async with _beside(self._grow(living)):
                await self._kill(killed, time.monotonic() + self._seconds)
                code = await process.wait()
            self._trouble = False
            wrong = [] if code == 0 else [f"the worker that lives ended with {code}"]
            for world in worlds:
                self._empty(world.directory / "lake")
                code = await world.run()
                wrong += [f"exit {code}"] if code else [each for each in [world.wrong()] if each]
        rows = [json.loads(line) for line in samples.read_text().splitlines()]
        return Found(wrong, rows, self.ended, self.faults)

    def _script(self, number: int, seen: Seen) -> Fault | None:
        if not self._trouble or self._rng.random() > 0.05:
            return None
        fault = self._rng.choice(FAULTS)
        self.faults[f"{fault.kind} {fault.status if fault.kind == 'status' else ''}".strip()] += 1
        return fault

    async def _grow(self, world: sweep.World) -> None:
        while True:
            world.change(self._rng.randrange(4))
            await asyncio.sleep(0.2)

    async def _fill(self, lake: Path) -> None:
        """No space on an output for a second, now and then."""
        while True:
            await asyncio.sleep(self._rng.uniform(5, 25))
            if not self._trouble:
                return
            self.faults["no space"] += 1
            with contextlib.suppress(OSError), (lake / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * 65_536)
            await asyncio.sleep(1)
            self._empty(lake)

    def _empty(self, lake: Path) -> None:
        (lake / "filler").unlink(missing_ok=True)

    async def _kill(self, world: sweep.World, until: float) -> None:
        """One process after the other, each of which gets signals after a while."""
        while (left := until - time.monotonic()) > 0:
            name = self._directory / "killed.samples"
            process = forked.Process(live, str(world.config), str(name), left + 60)
            for _ in range(self._rng.randrange(3)):
                await asyncio.sleep(self._rng.uniform(0.5, 2))
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(self._rng.uniform(0, 1))
                process.send_signal(signal.SIGCONT)
                self.faults["SIGSTOP"] += 1
            await asyncio.sleep(min(self._rng.uniform(0.2, 6), left))
            number = self._rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            self.faults[number.name] += 1
            process.send_signal(number)
            self.ended[await process.wait()] += 1


@asynccontextmanager
async def _beside(work: object) -> AsyncIterator[None]:
    """Something that goes on as long as the block does."""
    task = asyncio.ensure_future(work)  # type: ignore[arg-type]
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
