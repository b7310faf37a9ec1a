"""Copies of the tree in which a module is changed and tests run; the tree itself is never touched."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeVar

from mutants.commands import ROOT
from mutants.report import Outcome

_MEMORY_BYTES: Final = 4 * 1024**3  # a mutant may collect without end
_TESTS_FAILED: Final = 1  # pytest's exit code; those above it say that no test could run
_NO_LIMIT_S: Final = 600.0
T = TypeVar("T")
R = TypeVar("R")


class Copy:
    """One copy, for one run of tests at a time."""

    def __init__(self, directory: Path, python: Path) -> None:
        self._python = python
        self._tree = directory / "tree"
        self._scratch = directory / "scratch"
        shutil.copytree(
            ROOT, self._tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "dist", "var")
        )

    def compile(self, tests: Iterable[str]) -> None:
        """Compiles the package and these tests once, which makes all runs faster."""
        self._pytest(["--collect-only", *tests], _NO_LIMIT_S, PYTHONDONTWRITEBYTECODE="")

    def test(self, tests: Sequence[str], limit_s: float = _NO_LIMIT_S) -> Outcome:
        """Runs the tests, in this order, up to the first that fails."""
        return self._pytest(["-x", *tests], limit_s, PYTHONDONTWRITEBYTECODE="1")

    @contextmanager
    def changed(self, module: str, source: str) -> Iterator[None]:
        """While `module` says `source`. A compiled module is known by its second and size, which
        two mutants can share, so none may stay.
        """
        file = self._tree / "worker" / module
        original = file.read_text()
        _forget_compiled(file)
        file.write_text(source)
        try:
            yield
        finally:
            file.write_text(original)
            _forget_compiled(file)

    def _pytest(self, arguments: Sequence[str], limit_s: float, **environment: str) -> Outcome:
        process = subprocess.Popen(
            [
                *(self._python, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                *(f"--basetemp={self._scratch}", "-m", "not thorough and not chaos"),
                *arguments,
            ],
            cwd=self._tree,  # first on the path of `python -m`
            env={**os.environ, "PYTHONPATH": str(self._tree), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
        try:
            return _outcome(process.wait(limit_s))
        except subprocess.TimeoutExpired:
            return Outcome.TIMED_OUT
        finally:
            # with what the tests started, which a mutant may have kept from ending
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _forget_compiled(file: Path) -> None:
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def _outcome(code: int) -> Outcome:
    if code == 0:
        return Outcome.SURVIVED
    return Outcome.KILLED if code == _TESTS_FAILED or code < 0 else Outcome.UNTESTED


class Copies:
    """Several, each of which is lent to one job at a time."""

    def __init__(self, directory: Path, python: Path, count: int) -> None:
        self._count = count
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for number in range(count):
            self._free.put(Copy(directory / str(number), python))

    def each(self, act: Callable[[Copy], object]) -> None:
        """Acts on every copy."""
        for _ in range(self._count):
            copy = self._free.get()
            act(copy)
            self._free.put(copy)

    def map(self, act: Callable[[Copy, T], R], items: Iterable[T]) -> Iterator[R]:
        """The results in the order of the items."""

        def lent(item: T) -> R:
            copy = self._free.get()
            try:
                return act(copy, item)
            finally:
                self._free.put(copy)

        with ThreadPoolExecutor(self._count) as pool:
            yield from pool.map(lent, items)
