"""Runs pytest in forks of a process that has imported what all runs share, which halves what a run
costs. The package under test is no part of that: its modules change from run to run.

    python -m mutants.nursery

One line of standard input is a run: JSON of pytest's arguments and of the seconds that it may take.
One line of output answers it: the exit code, below 0 for a signal; nothing when the time was over.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from typing import Final

import pytest

_SHARED: Final = (
    *("aiohttp.web", "aiohttp.test_utils", "fastavro", "hypothesis.strategies", "jmespath"),
    *("msgspec", "multiprocessing.forkserver", "orjson", "pydantic", "re2", "ruamel.yaml"),
    *("sqlite3", "structlog"),
)
_MEMORY_BYTES: Final = 4 * 1024**3  # a mutant may collect without end
_FAILED_TO_END: Final = 70


def main() -> None:
    for name in _SHARED:
        importlib.import_module(name)
    for line in sys.stdin:
        arguments, limit_s = json.loads(line)
        code = _run(arguments, limit_s)
        print("" if code is None else code, flush=True)


def _run(arguments: list[str], limit_s: float) -> int | None:
    child = os.fork()
    if child == 0:
        try:
            _be_alone()
            os._exit(_pytest(arguments))
        finally:
            os._exit(_FAILED_TO_END)
    descriptor = os.pidfd_open(child)
    ended, _, _ = select.select([descriptor], [], [], limit_s)
    os.close(descriptor)
    # with what the tests started, which a mutant may have kept from ending
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if ended else None


class _Collection:
    """Whether all files could be imported; with `-x` the exit code does not tell."""

    failed = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.failed |= report.failed


def _pytest(arguments: list[str]) -> int:
    collection = _Collection()
    code = pytest.main(arguments, plugins=[collection])
    return int(pytest.ExitCode.INTERRUPTED if collection.failed else code)


def _be_alone() -> None:
    """A group of its own, an end to its memory, and nobody to talk to."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)


if __name__ == "__main__":
    main()
