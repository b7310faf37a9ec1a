"""Processes that are forked from a server which has imported everything already: starting one costs
some hundredths of a second, and a Python process that imports the program costs one.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing import connection
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
# a process has one such server, which imports these once
_CONTEXT.set_forkserver_preload(
    [
        *("aiohttp.web", "forked", "victim"),
        *("worker.app", "worker.config.json_schema", "worker.settings"),
        *("worker.cli.check", "worker.cli.run", "worker.cli.state", "worker.cli.verify"),
        *("worker.formats.avro", "worker.formats.json"),
        *("worker.sources.http", "worker.sources.pagination.cursor"),
        *("worker.sinks.files", "worker.state.sqlite"),
    ]
)


class Process:
    """A call of a function of a module in a process of its own."""

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        self._process = _CONTEXT.Process(target=function, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def send_signal(self, number: int) -> None:
        if self._process.pid is not None and self._process.is_alive():
            os.kill(self._process.pid, number)

    async def wait(self) -> int:
        """The exit code, below 0 for a signal."""
        # starting another process looks at this one too: only one thread may read how it ended
        await asyncio.to_thread(connection.wait, [self._process.sentinel])
        self._process.join()
        code = self._process.exitcode
        assert code is not None
        return code


async def call(function: Callable[..., object], *arguments: Any) -> int:
    """Calls a function of a module in a process of its own: the exit code, below 0 for a signal."""
    return await Process(function, *arguments).wait()


async def command(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    first: Callable[[], object] | None = None,
) -> tuple[int, str, str]:
    """The command line in a process of its own: exit code, what it printed, its log.

    Args:
        environment: its variables instead of those of this process.
        first: a function of a module that the process calls before anything else.
    """
    with tempfile.TemporaryDirectory() as directory:
        streams = [Path(directory, name) for name in ("out", "errors")]
        code = await call(
            _main, [*map(str, arguments)], _variables(environment), Path.cwd(), streams, first
        )
        out, errors = (path.read_text() for path in streams)
    return code, out, errors


def start(
    *arguments: str | Path,
    log: Path = Path(os.devnull),
    first: Callable[[], object] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """The command line in a process of its own, whose output goes nowhere; `first` and
    `environment` as above.
    """
    streams = [Path(os.devnull), log]
    return Process(
        _main, [*map(str, arguments)], _variables(environment), Path.cwd(), streams, first
    )


def _variables(given: Mapping[str, str] | None) -> dict[str, str]:
    return dict(os.environ if given is None else given)


def _main(
    arguments: list[str],
    variables: dict[str, str],
    directory: Path,
    streams: list[Path],
    first: Callable[[], object] | None = None,
) -> None:
    from worker.__main__ import main

    if first is not None:
        first()
    for number, path in enumerate([Path(os.devnull), *streams]):
        stream = os.open(path, os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY, 0o600)
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    sys.argv = ["worker", *arguments]
    main()
