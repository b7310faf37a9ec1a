"""Rows that poll: daemons that run side by side, looked at in windows as long as the poll interval.

Each pipeline is polled once in each window, so windows are the rounds of these rows.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks import configs
from benchmarks.contenders import HERE, Worker
from benchmarks.measure import Place
from benchmarks.process import ENVIRONMENT, RunFailed
from benchmarks.rows import PollRow

WINDOWS: Final = 6
"""A minute of polls every 10 s."""
SETTLING_S: Final = 300
"""So long a daemon may take until each of its pipelines was polled twice."""
LOOP: Final = "loop"


@dataclass(frozen=True, slots=True)
class Window:
    """What a daemon used in a window, and held at its end."""

    cpu_s: float
    rss_mib: float
    threads: int
    descriptors: int


@dataclass(slots=True)
class Watched:
    """The windows of one daemon; `failure` says why there are none."""

    row: PollRow
    label: str
    windows: list[Window] = field(default_factory=list)
    failure: str = ""

    def seconds(self) -> list[float]:
        """CPU time of each window."""
        return [window.cpu_s for window in self.windows]


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process that polls, and the file with its errors."""

    process: subprocess.Popen[bytes]
    errors: Path

    def alive(self) -> None:
        """Raises RunFailed when it has ended."""
        if self.process.poll() is not None:
            text = self.errors.read_text(errors="replace").strip()
            raise RunFailed(f"a daemon ended with {self.process.returncode}: {text[-500:]}")


def watch(row: PollRow, workers: Sequence[Worker], windows: int, place: Place) -> list[Watched]:
    """Runs the workers and the bare loop together; each is looked at in every window."""
    print(f"watching {row.name}", file=sys.stderr, flush=True)
    labels = [LOOP, *(worker.label for worker in workers)]
    found = {label: Watched(row, label) for label in labels}
    try:
        with ExitStack() as stack:
            daemons = {
                label: stack.enter_context(_daemon(row, label, workers, place)) for label in labels
            }
            _settle(row, daemons, place.server)
            for _ in range(windows):
                _look(row, daemons, found)
    except RunFailed as error:
        return [Watched(row, label, failure=str(error)) for label in labels]
    return list(found.values())


@contextmanager
def _daemon(row: PollRow, label: str, workers: Sequence[Worker], place: Place) -> Iterator[Daemon]:
    with place.fresh() as directory:
        command = [sys.executable, str(HERE / "poll_loop.py"), f"{place.server}/flights-1000/0"]
        command += [str(row.pipelines), str(row.every_s)]
        for worker in workers:
            if worker.label == label:
                configs.write(configs.poll_document(row, label, place.server), directory)
                command = [str(worker.python), "-m", "worker", "run", configs.NAME]
        errors = directory / "errors"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                command, cwd=directory, stdout=file, stderr=file, env=ENVIRONMENT
            )
        try:
            yield Daemon(process, errors)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _settle(row: PollRow, daemons: Mapping[str, Daemon], server: str) -> None:
    """Waits until every source was polled twice: connections, caches and threads are then there."""
    deadline = time.monotonic() + SETTLING_S
    waiting = set(daemons)
    while waiting:
        time.sleep(1)
        waiting = {label for label in waiting if _polled(server, label) < row.pipelines}
        for daemon in daemons.values():
            daemon.alive()
        if time.monotonic() > deadline:
            names = ", ".join(sorted(waiting))
            raise RunFailed(f"{names} did not poll every source within {SETTLING_S} s")


def _polled(server: str, label: str) -> int:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=10)
    try:
        connection.request("GET", f"/polled-{label}/0")
        return int(json.load(connection.getresponse()))
    finally:
        connection.close()


def _look(row: PollRow, daemons: Mapping[str, Daemon], found: Mapping[str, Watched]) -> None:
    """Adds a window to each daemon."""
    before = {label: _cpu_s(daemon.process.pid) for label, daemon in daemons.items()}
    time.sleep(row.every_s)
    for label, daemon in daemons.items():
        daemon.alive()
        pid = daemon.process.pid
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in status)
        found[label].windows.append(
            Window(
                cpu_s=_cpu_s(pid) - before[label],
                rss_mib=int(values["VmRSS"].split()[0]) / 1024,
                threads=int(values["Threads"]),
                descriptors=len(os.listdir(f"/proc/{pid}/fd")),
            )
        )


def _cpu_s(pid: int) -> float:
    """CPU time of all threads, to the nanosecond; `stat` counts in hundredths of a second."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
