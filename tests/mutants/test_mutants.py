"""Promises that are broken on purpose, one at a time: the tests that are named beside each must
notice.

A mutant is a change of the source text in a copy of the package, or of another file in a copy of
the repository. What the tests do not notice could be broken unnoticed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mutants.guards import CHECKS, GUARDS

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


def pipeline(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "pipeline.py", old, new, "test_pipeline.py")


def writer(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "writer.py", old, new, "test_writer.py")


def fetch(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "runtime/fetch.py", old, new, "runtime/test_fetch.py")


def growing(promise: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(promise, file, old, new, "runtime/test_growing_bodies.py")


def committer(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "runtime/committer.py", old, new, "runtime/test_committer.py")


def log(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "state/sqlite.py", old, new, "state/test_commit_log.py")


def sink(promise: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(promise, f"sinks/{file}", old, new, "sinks/test_contract.py")


def audit(promise: str, old: str, new: str) -> Mutant:
    return Mutant(promise, "core/audit.py", old, new, "runtime/test_corruptions.py")


def reading(promise: str, file: str, old: str, new: str, tests: str = "alarms") -> Mutant:
    return Mutant(promise, f"paging/{file}", old, new, f"paging/test_{tests}.py")


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
        "a daemon whose pipelines have another owner ends",
        "if not any(isinstance(outcome.error, Fenced) for outcome in outcomes):",
        "if True:",
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
        "            await stopping\n",
        "            pass\n",
    ),
    pipeline(
        "a source that failed ends the attempt with its error",
        "await pages.close(deciding_error(failures))",
        "await pages.close()",
    ),
    pipeline(
        "the error of a source walks down the pipeline",
        "await shaped.close(closed.error)",
        "await shaped.close()",
    ),
    pipeline(
        "a parked partition of a daemon ends nothing",
        "for parked in pool.parked.values()] if self.spec.once else []",
        "for parked in pool.parked.values()]",
    ),
    pipeline(
        "after the deadline of a drain nothing is shaped",
        "while not drain_deadline.is_set():",
        "while True:",
    ),
    pipeline(
        "a displaced owner takes nothing back",
        "owner=self._owner, held=self._epoch",
        "owner=self._owner",
    ),
    pipeline(
        "what an attempt discards is counted",
        "self.totals.discarded += self._backlog.records",
        "pass",
    ),
    pipeline(
        "the schema of the files is checked",
        "        self.spec.compatibility_check(seen.schemas)\n",
        "",
    ),
    pipeline(
        "an attempt recovers before it begins",
        "foreign = committer.recover()",
        "foreign = ()",
    ),
    Mutant(
        "a cancelled commit is awaited",
        "runtime/io_pool.py",
        "await asyncio.shield(answer)",
        "await answer",
        "runtime/test_io_pool.py",
    ),
    writer(
        "nothing is committed within a page",
        "if not self._mid_page and (trigger := self._due()):",
        "if trigger := self._due():",
    ),
    writer(
        "age cuts nothing within a page",
        "if deadline is None or self._mid_page:",
        "if deadline is None:",
    ),
    writer(
        "age is due without traffic",
        "shaped.get(self._patience_s())",
        "shaped.get(None)",
    ),
    writer(
        "a commit of enough files is due",
        'return "files" if self._records.full or self._dead_letters.full else ""',
        'return ""',
    ),
    writer(
        "what says nothing new makes no commit",
        "if partition not in self.filled and not has_moved(durable, step):",
        "if False:",
    ),
    writer(
        "a step that only remembers keys is committed",
        "partition not in self.filled and not has_moved(durable, step)",
        "partition not in self.filled and durable == step.cursor",
    ),
    writer(
        "moves of cursors alone wait for long",
        "            self._roll.move(self._clock.monotonic())",
        "            self._roll.add(0, self._clock.monotonic())",
    ),
    writer(
        "the end of a pass that is committed in part does not wait",
        "        self.ended |= ends_what_is_durable(durable, step)\n",
        "",
    ),
    writer(
        "the schedule counts passes that are not committed",
        "        self._passed(partition, cursor.pass_no - 1,",
        "        (lambda *_: None)(partition, cursor.pass_no - 1,",
    ),
    writer(
        "records that make no file are counted",
        "            self._totals.ledger += ledger\n",
        "",
    ),
    writer(
        "a commit expects the seq of the last one",
        "        self._durable[end.partition] = Durable(commit.seq, end.progress.cursor)",
        "        pass",
    ),
    writer(
        "steps of a partition add up",
        "            step.add(progress)\n",
        "            self.steps[partition] = step = ProgressSum(progress)\n",
    ),
    writer(
        "what is committed is not committed again",
        "        self._staged = Staged()\n        self._backlog",
        "        self._backlog",
    ),
    writer(
        "an error of the source is raised",
        "        if error is not None:\n            raise error\n",
        "",
    ),
    writer(
        "too many rejects are noticed",
        "        self._quality.add(part.looked_at, part.rejects)\n",
        "",
    ),
    writer(
        "a few rejects alone end a run with once",
        "            self._quality.refuse_none_left()\n",
        "            pass\n",
    ),
    writer(
        "at the end of a run with once nothing is waited for",
        "            self._quality.end_run()\n",
        "            pass\n",
    ),
    writer(
        "lag is that of the slowest partition",
        "oldest = min(",
        "oldest = max(",
    ),
    fetch(
        "a partition that failed is not asked again in a run with once",
        "            if self._once:\n                return\n",
        "",
    ),
    fetch(
        "a deferred partition is not asked before its time",
        "self._not_before[planner.partition] = until = ",
        "until = ",
    ),
    fetch(
        "the own rate limit ends no run",
        "        if deferred.paced:\n            return 0.0\n",
        "",
    ),
    fetch(
        "a source that keeps a partition waiting ends its patience",
        "> self._patience_s:",
        "> 1e9:",
    ),
    fetch(
        "no request is made without room",
        "force=awaited)",
        "force=True)",
    ),
    fetch(
        "the head is admitted when pages that were fetched ahead hold the room",
        "force=awaited)",
        "force=False)",
    ),
    growing(
        "bodies that wait for each other do not wait for ever",
        "runtime/budget.py",
        "            self._give_one_back()\n",
        "",
    ),
    growing(
        "a body that grows leaves room for one decoding",
        "runtime/budget.py",
        "return self.may() and self.by + to_come <= budget.free_bytes",
        "return self.may() and self.by <= budget.free_bytes",
    ),
    growing(
        "a page that was given back reserves all that it needs",
        "runtime/fetch.py",
        "self._needs[planner.partition] = Expected(most, most, known=True)",
        "pass",
    ),
    growing(
        "no body is received without room",
        "runtime/fetch.py",
        "if body_bytes > self.hold.size_bytes:",
        "if False:",
    ),
    Mutant(
        "a body reserves its room while it comes in",
        "http/client.py",
        "if (held_bytes := decoder.body_bytes + allowed.held_bytes) > allowed.body_bytes:",
        "if False:",
        "http/test_client.py",
    ),
    Mutant(
        "room that was not used is given back",
        "runtime/fetch.py",
        "                hold.release()\n",
        "                pass\n",
        "runtime/test_fetch.py::test_room_that_a_request_did_not_use_is_given_back",
    ),
    fetch(
        "stop ends a worker whose cancellation was lost",
        "while not stop.is_set() and (found",
        "while (found",
    ),
    fetch(
        "errors of a guess do not count",
        "        if fetch.speculative:  # errors of a guess count only when it becomes the head",
        "        if False:",
    ),
    fetch(
        "a partition that works again is parked no more",
        "            self.parked.pop(planner.partition, None)\n",
        "",
    ),
    fetch(
        "a refused position falls back to the mark",
        "elif isinstance(error, CursorInvalid) and planner.fall_back():",
        "elif False:",
    ),
    committer(
        "a commit is marked published",
        "        self._log.mark_published(commit.lineage, commit.seq)\n",
        "",
    ),
    committer(
        "the record of a commit is durable before the commit point",
        "        self._stage_record(commit)\n        self._log.commit(commit)\n",
        "        self._log.commit(commit)\n        self._stage_record(commit)\n",
    ),
    committer(
        "the record of a commit is proof after the commit point",
        "        self._outputs.commits.prove(row.seq)\n",
        "",
    ),
    committer(
        "recovery proves a commit that a kill left unproven",
        "if is_of(self._outputs.commits.staged(commit.seq), commit):",
        "if False:",
    ),
    Mutant(
        "a terminal that closes never cuts a drain short",
        "runtime/lifecycle.py",
        "elif run is not None and not hangup:",
        "elif run is not None:",
        "runtime/test_lifecycle.py",
    ),
    Mutant(
        "connections to the admin server are never more than are kept back",
        "telemetry/http_server.py",
        "if len(self._open) >= MOST_CONNECTIONS:",
        "if False:",
        "telemetry/test_http_server.py",
    ),
    Mutant(
        "descriptors of the admin server are its own",
        "telemetry/http_server.py",
        "            os.close(self._kept_back.pop())  # its number is free for the connection\n",
        "            pass\n",
        "telemetry/test_http_server.py",
    ),
    Mutant(
        "SQLite has closed its files when it reports that it could not open one",
        "state/database.py",
        "FILES: Final = 5",
        "FILES: Final = 1",
        "runtime/test_descriptors.py",
    ),
    writer(
        "files of a pass are closed once nobody writes to them",
        "min(self._pass_no.values())",
        "max(self._pass_no.values())",
    ),
    Mutant(
        "a state that is older than its output is refused",
        "core/matching.py",
        "if newest > seq:\n        raise StateOlder",
        "if False:\n        raise StateOlder",
        "runtime/test_committer.py",
    ),
    Mutant(
        "an output that is older than its state is refused",
        "core/matching.py",
        "if not is_of(found, last):",
        "if False:",
        "runtime/test_committer.py",
    ),
    committer(
        "what is nowhere is not published without proof",
        "            if not self._is_marked(commit):\n                raise\n",
        "            pass\n",
    ),
    committer(
        "what another owner has finished is finished",
        "if not self._is_marked(commit):",
        "if True:",
    ),
    log(
        "an epoch is never given twice",
        "UPDATE state SET epoch = epoch + 1 RETURNING epoch",
        "UPDATE state SET epoch = max(1, epoch) RETURNING epoch",
    ),
    log(
        "a claim gives the chain a new epoch",
        'db.execute(f"UPDATE chains SET epoch = ? WHERE {OF_CHAIN}", (epoch, pipeline, shard))',
        "pass",
    ),
    log(
        "a displaced owner cannot claim again",
        "if held not in (None, before.epoch):",
        "if False:",
    ),
    log(
        "a commit of a chain that was moved is fenced",
        "if not _move_chain(db, row):",
        "if _move_chain(db, row) is None:",
    ),
    log(
        "a commit of a partition that was moved is fenced",
        "if not all(moved):",
        "if False:",
    ),
    Mutant(
        "each commit carries the sum over what is remembered",
        "state/remembered.py",
        "memory_sum.from_text(known) + changed)",
        "memory_sum.from_text(known))",
        "state/test_commit_log.py",
    ),
    Mutant(
        "values are found in the transaction of their commit",
        "state/remembered.py",
        "        found.change(file, db, at, step)\n",
        "        pass\n",
        "state/test_commit_log.py",
    ),
    Mutant(
        "the sum over what is remembered covers what was found",
        "state/remembered.py",
        "        changed += memory_sum.of_found(step.found)\n",
        "",
        "state/test_commit_log.py",
    ),
    Mutant(
        "a list of less than half does not replace the one before",
        "core/found.py",
        "if size * 2 < self.size:",
        "if size * 9 < self.size:",
        "core/test_found.py",
    ),
    Mutant(
        "whose record has not changed is not asked again",
        "runtime/roster.py",
        "            return child.digest != cursor.asked_for\n",
        "            return True\n",
        "runtime/test_roster.py",
    ),
    Mutant(
        "who has vanished ends its pass",
        "runtime/roster.py",
        "        if cursor.position is not None:\n",
        "        if False:\n",
        "runtime/test_roster.py",
    ),
    Mutant(
        "a partition stays until everything of it is committed",
        "runtime/residents.py",
        "return partition not in self._pages and partition not in self._waiting",
        "return partition not in self._pages",
        "runtime/test_residents.py",
    ),
    Mutant(
        "a pass is remembered with the record that it began with",
        "paging/planner.py",
        "self._cursor = self._cursor.evolve(asked_for=before.asked_for)",
        "self._cursor = self._cursor.evolve(asked_for=self._asks_for)",
        "paging/test_asked_for.py",
    ),
    sink(
        "the record of another state is not replaced",
        "commit_records.py",
        "if head is None or head.owner not in self._ours:",
        "if head is None:",
    ),
    sink(
        "only the own record is proven",
        "commit_records.py",
        "if self._inode not in (None, _inode(path)):",
        "if False:",
    ),
    sink(
        "staging of an owner that this state never had is left alone",
        "files.py",
        "elif path.name not in known:",
        "elif False:",
    ),
    sink(
        "what consumers may take needs the marker of its commit",
        "files.py",
        "if self._files_are_taken and _marker((root / file.staging).parent, seq).exists():",
        "if self._files_are_taken:",
    ),
    audit(
        "a commit must follow the one before it",
        "elif self.digest not in (None, row.previous):",
        "elif False:",
    ),
    audit(
        "a row must be what was written",
        "if digest_of(row) != row.digest:",
        "if False:",
    ),
    audit(
        "what is remembered must be what commits left",
        'elif row.memory not in ("", found):',
        "elif False:",
    ),
    audit(
        "an epoch is not that of another chain",
        "same = other.epoch == chain.epoch and chain.epoch",
        "same = False",
    ),
    reading(
        "keys that a later pass asks for are not forgotten",
        "bound.py",
        "return least(incremental, asked)",
        "return incremental.format.bound(asked)",
        "bound",
    ),
    reading(
        "a record at the bound is not below it",
        "duplicates.py",
        "elif asked.least is not None and comparable < asked.least:",
        "elif asked.least is not None and comparable <= asked.least:",
        "duplicates",
    ),
    reading(
        "a link whose number grows stands for a number whatever else changes",
        "counting.py",
        "return any(",
        "return all(",
        "counting",
    ),
    reading(
        "a page of known records is set aside once",
        "loops.py",
        "spec.key and not state.aside",
        "spec.key",
        "loops",
    ),
    reading(
        "a window ends where the clock of the source stands",
        "endings.py",
        "state.window.window.end > windows.last(now_us)",
        "False",
    ),
    reading(
        "ten records without the key are enough",
        "steps.py",
        "KEYLESS_RECORDS: Final = 10",
        "KEYLESS_RECORDS: Final = 11",
    ),
    reading(
        "a pass that showed less than is required is read again twice",
        "judge.py",
        "MAX_REDONE: Final = 2",
        "MAX_REDONE: Final = 3",
    ),
    reading(
        "a pass begins again twice because of its seams",
        "judge.py",
        "MAX_RESTARTS: Final = 2",
        "MAX_RESTARTS: Final = 3",
    ),
    reading(
        "a total that was contradicted matches nothing",
        "totals.py",
        "self.here == self.total and not self.drifted",
        "self.here == self.total",
        "totals",
    ),
    reading(
        "what was fetched ahead with another size is thrown away",
        "planner.py",
        "case BeginsAgain() | AskedAgain():",
        "case BeginsAgain():",
        "page_sizes",
    ),
    reading(
        "a smaller page begins at the record of the refused one, or the pass begins again",
        "refused_pages.py",
        "if lost:",
        "if False:",
        "page_sizes",
    ),
    reading(
        "an item of which all records came before is not counted again",
        "seen.py",
        "not each or not self.repeated.issuperset(each)",
        "True",
        "seen",
    ),
    reading(
        "a smaller page is not taken for a short one",
        "judge.py",
        "whole=bool(state.asked) and page.records >= state.asked,",
        "whole=False,",
        "page_sizes",
    ),
    reading(
        "a run of pages that are left out ends",
        "refused_pages.py",
        "if state.skipped_in_row >= MAX_SKIPPED:",
        "if False:",
        "skipped_pages",
    ),
    reading(
        "a pass with a page that was left out is unknown",
        "steps.py",
        """                drifted=True,
                seam=b"",""",
        """                seam=b"",""",
        "skipped_pages",
    ),
    *(Mutant(*guard) for guard in GUARDS),
]


TAMPERED = [Mutant(*check) for check in CHECKS]
_NOT_OURS = shutil.ignore_patterns(
    *("*.pyc", ".git", ".venv*", ".coverage*", ".hypothesis", "*_cache", ".fuzz", ".java"),
    *("dist", "var"),
)


def name_of(mutant: Mutant) -> str:
    return mutant.promise.replace(" ", "_")


def file_of(mutant: Mutant) -> str:
    """The file of the tests that must notice."""
    return mutant.tests.partition("::")[0]


def changed(file: Path, mutant: Mutant) -> None:
    """Makes the mutant of a file in a copy."""
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} has changed: the mutant no longer fits"
    file.write_text(text.replace(mutant.old, mutant.new))


@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_the_text_of_a_mutant_stands_once_in_the_source(mutant: Mutant) -> None:
    """So that whoever changes the source is told at once, and not by the long suite."""
    assert (ROOT / "worker" / mutant.file).read_text().count(mutant.old) == 1


@pytest.mark.parametrize("mutant", TAMPERED, ids=name_of)
def test_the_text_of_a_check_stands_once_in_its_file(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text().count(mutant.old) == 1


def run_tests(
    copy: Path, tests: Iterable[str], repository: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """The tests of a repository against the package that stands in `copy`."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *(str(repository / "tests" / each) for each in sorted(tests))],
        cwd=copy,  # first on the path of `python -m`
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A directory with a copy of the package."""
    shutil.copytree(ROOT / "worker", tmp_path / "worker", ignore=shutil.ignore_patterns("*.pyc"))
    return tmp_path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the repository, with its tests."""
    return Path(shutil.copytree(ROOT, tmp_path / "repository", ignore=_NOT_OURS))


@pytest.mark.mutants
@pytest.mark.parametrize("file", sorted({file_of(mutant) for mutant in MUTANTS}))
def test_the_tests_run_against_the_copy_and_pass_without_a_mutant(package: Path, file: str) -> None:
    tests = {mutant.tests for mutant in MUTANTS if file_of(mutant) == file}
    ended = run_tests(package, {file} if file in tests else tests)
    assert ended.returncode == 0, ended.stdout
    (package / "worker" / "__init__.py").write_text("raise SystemExit('this is the copy')")
    again = run_tests(package, [file])
    assert "this is the copy" in again.stdout + again.stderr


@pytest.mark.mutants
def test_the_checks_pass_in_a_copy_of_the_repository(repository: Path) -> None:
    ended = run_tests(repository, {mutant.tests for mutant in TAMPERED}, repository)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", MUTANTS, ids=name_of)
def test_a_broken_promise_is_noticed(package: Path, mutant: Mutant) -> None:
    changed(package / "worker" / mutant.file, mutant)
    ended = run_tests(package, [mutant.tests])
    assert ended.returncode == FAILED_TESTS, ended.stdout + ended.stderr


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", TAMPERED, ids=name_of)
def test_a_repository_that_was_tampered_with_is_noticed(repository: Path, mutant: Mutant) -> None:
    changed(repository / mutant.file, mutant)
    ended = run_tests(repository, [mutant.tests], repository)
    assert ended.returncode == FAILED_TESTS, ended.stdout + ended.stderr
