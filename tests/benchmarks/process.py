"""One process from start to end, and what it used.

CPU time is what the kernel accounts to the child alone (user and system), so that neither the
server nor this program counts. Instructions are counted by valgrind, which neighbours do not
disturb.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEFT_OUT: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")
"""Variables that would change what is measured: an installed program is compiled, and alone."""
ENVIRONMENT: Final = {
    name: value
    for name, value in os.environ.items()
    if name not in LEFT_OUT and not name.startswith("WORKER_")
} | {"PYTHONHASHSEED": "0"}
TESTS: Final = Path(__file__).parents[1]


class RunFailed(Exception):
    """A process failed, or did not do what its row asks; the message is shown with the row."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used. `peak_mib` is its largest resident set, read at the end."""

    cpu_s: float
    wall_s: float
    peak_mib: float


def clean_up_on_terminate() -> None:
    """Lets SIGTERM end this program as an exception does: the server ends, directories go away."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def run(command: Sequence[str], directory: Path) -> tuple[Usage, str]:
    """Runs a command to its end; returns what it used and what it wrote to stderr.

    The largest resident set of a child starts at that of its parent: this program imports little.

    Raises:
        RunFailed: The command ended with another status than 0.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, stderr=errors, env=ENVIRONMENT
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    if process.returncode:
        raise RunFailed(f"exit {process.returncode}: {text.strip()[-500:]}")
    return Usage(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss / 1024), text


def instructions(command: Sequence[str], directory: Path) -> int | None:
    """User instructions of a command, by callgrind; None where there is no valgrind.

    Raises:
        RunFailed: The command failed, or valgrind did not count.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    log = directory / "valgrind.log"
    options = ["--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}"]
    run([valgrind, *options, *command], directory)
    counted = re.search(r"Collected : (\d+)", log.read_text())
    if counted is None:
        raise RunFailed(f"valgrind counted nothing: {log.read_text()[-500:]}")
    return int(counted[1])


def imports_s(stderr: str) -> float:
    """Seconds of all imports, from what `python -X importtime` writes."""
    return sum(map(int, re.findall(r"^import time:\s+(\d+) \|", stderr, re.MULTILINE))) / 1e6


def module(name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a module of this package."""
    environment = ENVIRONMENT | {"PYTHONPATH": str(TESTS)}
    return subprocess.Popen([sys.executable, "-m", name, *arguments], env=environment)
