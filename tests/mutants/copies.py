"""Copies of the tree in which a module is changed and tests run; the tree itself is never touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Final, TypeVar

from mutants.commands import ROOT
from mutants.report import Outcome

_TESTS_FAILED: Final = 1  # pytest's exit code; those above it say that no test could run
_NO_LIMIT_S: Final = 600.0
T = TypeVar("T")
R = TypeVar("R")


class Copy:
    """One copy, for one run of tests at a time."""

    def __init__(self, directory: Path, python: Path) -> None:
        self._tree = directory / "tree"
        self._scratch = directory / "scratch"
        shutil.copytree(
            ROOT, self._tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "dist", "var")
        )
        self._nursery = subprocess.Popen(
            [python, "-m", "mutants.nursery"],
            cwd=self._tree,  # first on the path of `python -m`
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, (self._tree, self._tree / "tests"))),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def test(self, tests: Sequence[str], limit_s: float = _NO_LIMIT_S) -> Outcome:
        """Runs the tests, in this order, up to the first that fails."""
        arguments = [
            *("-q", "-x", "-p", "no:cacheprovider", "-m", "not thorough and not chaos"),
            *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # plugins that are imported
            f"--basetemp={self._scratch}",
            *tests,
        ]
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        print(json.dumps([arguments, limit_s]), file=self._nursery.stdin, flush=True)
        answer = self._nursery.stdout.readline()
        assert answer, "the process that runs the tests has ended"
        return _outcome(int(answer)) if answer.strip() else Outcome.TIMED_OUT

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

    def close(self) -> None:
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait()
        self._nursery.stdout.close()


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
        self._all = [Copy(directory / str(number), python) for number in range(count)]
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for each in self._all:
            self._free.put(each)

    def map(self, act: Callable[[Copy, T], R], items: Iterable[T]) -> Iterator[R]:
        """The results in the order of the items."""

        def lent(item: T) -> R:
            copy = self._free.get()
            try:
                return act(copy, item)
            finally:
                self._free.put(copy)

        with ThreadPoolExecutor(len(self._all)) as pool:
            yield from pool.map(lent, items)

    def close(self) -> None:
        for each in self._all:
            each.close()
