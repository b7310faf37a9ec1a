"""Promises that are broken on purpose, one at a time: the tests that are named beside each must notice.

A mutant is a change of the source text in a copy of the package. What the tests do not notice could be broken unnoticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAILED_TESTS = (
    1  # pytest's exit code when tests ran and some failed; errors before that have others
)


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file` and becomes `new`; `tests` must fail then."""

    promise: str
    file: str
    old: str
    new: str
    tests: str


def supervisor(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "supervisor.py", old, new, "test_supervisor.py")


MUTANTS = [
    supervisor(
        "a bug restarts within its budget",
        "Ending.BUG: Restart(times=MOST_RESTARTS, first_s=2.0, within_s=600.0)",
        "Ending.BUG: GiveUp()",
    ),
    supervisor(
        "the restart budget of bugs ends",
        "if recent <= self.times else None",
        "if recent <= 1_000 else None",
    ),
    supervisor(
        "bugs of long ago do not count",
        "first_s=2.0, within_s=600.0",
        "first_s=2.0",
    ),
    supervisor(
        "a daemon pauses 300 s after too many rejects",
        "Ending.TOO_MANY_REJECTS: Pause(first_s=300.0, longest_s=300.0)",
        "Ending.TOO_MANY_REJECTS: Pause(first_s=1.0, longest_s=30.0)",
    ),
    supervisor(
        "too many rejects end a run with --once",
        "    Ending.TOO_MANY_REJECTS: GiveUp(),\n",
        "",
    ),
    supervisor(
        "the pause begins anew after a commit",
        "if commits != self.commits or not self.count:",
        "if not self.count:",
    ),
    supervisor(
        "the pause of a full output grows",
        "doubling_s(self.first_s, failures.count, self.longest_s)",
        "self.first_s",
    ),
    supervisor(
        "the patience of --once ends",
        "longest_s=30.0, patience_s=600.0",
        "longest_s=30.0",
    ),
    supervisor(
        "a fence of some partitions restarts with the others",
        "set(pipeline.fenced) < set(pipeline.spec.partitions)",
        "not pipeline.spec.partitions",
    ),
    supervisor(
        "a fence of all partitions gives up",
        "set(pipeline.fenced) < set(pipeline.spec.partitions)",
        "pipeline.fenced",
    ),
    supervisor(
        "a run that lost partitions to another owner says so",
        "Fenced(tuple(pipeline.fenced)) if pipeline.fenced else None",
        "None",
    ),
    supervisor(
        "an fsync that failed is redone once",
        "Restart(times=1, first_s=1.0)",
        "Restart(times=2, first_s=1.0)",
    ),
    supervisor(
        "a bug decides before everything else",
        "        if not isinstance(cause, WorkerError):\n            bug",
        "        if False:\n            bug",
    ),
    supervisor(
        "kinds of failures are counted apart",
        "{ending: Failures() for ending in Ending}",
        "dict.fromkeys(Ending, Failures())",
    ),
    supervisor(
        "stop ends a pause",
        "if await set_within(stop, wait_s, self._clock):",
        "if await set_within(asyncio.Event(), wait_s, self._clock):",
    ),
    supervisor(
        "a daemon stays up when its pipelines are complete",
        "                await stop.wait()\n",
        "                pass\n",
    ),
]


def run_tests(package: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """The tests against the copy of the package that stands in `package`."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, str(ROOT / "tests" / tests)],
        cwd=package,  # first on the path of `python -m`
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with a copy of the package."""
    shutil.copytree(ROOT / "worker", tmp_path / "worker", ignore=shutil.ignore_patterns("*.pyc"))
    return tmp_path


@pytest.mark.mutants
@pytest.mark.parametrize("tests", sorted({mutant.tests for mutant in MUTANTS}))
def test_the_tests_run_against_the_copy_and_pass_without_a_mutant(
    package: Path, tests: str
) -> None:
    ended = run_tests(package, tests)
    assert ended.returncode == 0, ended.stdout
    (package / "worker" / "__init__.py").write_text("raise SystemExit('this is the copy')")
    assert "this is the copy" in "".join((again := run_tests(package, tests)).stdout + again.stderr)


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.promise.replace(" ", "_"))
def test_a_broken_promise_is_noticed(package: Path, mutant: Mutant) -> None:
    file = package / "worker" / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} has changed: the mutant no longer fits"
    file.write_text(text.replace(mutant.old, mutant.new))
    ended = run_tests(package, mutant.tests)
    assert ended.returncode == FAILED_TESTS, ended.stdout + ended.stderr
