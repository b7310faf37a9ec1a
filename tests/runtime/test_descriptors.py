"""Too many open files: raised limits, and one error for it wherever it is met."""

from __future__ import annotations

import errno
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import kit
import pytest

from worker.core.errors import Exit, StateAbsent, TooManyOpenFiles
from worker.runtime import descriptors, fs
from worker.state.database import Database
from worker.state.lock import lock_state
from worker.state.tables import FORMATS
from worker.supervisor import _deciding


@contextmanager
def limits(soft: int, hard: int) -> Iterator[None]:
    """In place of what the operating system says."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with limits(hard // 2, hard):
        descriptors.raise_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_a_limit_that_may_not_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS, and a unit of systemd that may not."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, "no")

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with limits(hard // 2, hard):
        monkeypatch.setattr(resource, "setrlimit", refuse)
        descriptors.raise_limit()
        monkeypatch.undo()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard // 2


def test_whether_they_are_exhausted_is_found_out() -> None:
    assert not descriptors.are_exhausted()
    with kit.descriptors_left(0):
        assert descriptors.are_exhausted()
    with kit.descriptors_left(1):
        assert not descriptors.are_exhausted()


def test_the_error_names_the_limit_and_what_to_change() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    error = fs.translate(OSError(errno.EMFILE, "x"), "/lake")
    assert isinstance(error, TooManyOpenFiles)
    assert error.message == (
        f"/lake: too many open files: this process may have {soft} (its hard limit is {hard})"
    )
    assert all(word in error.remedy for word in ("ulimit -n", "LimitNOFILE", "max_open_files"))
    machine = fs.translate(OSError(errno.ENFILE, "x"), "/lake")
    assert machine.message == "/lake: too many open files on this machine (fs.file-max)"


def test_it_is_no_bug_wherever_it_is_met() -> None:
    raised = ExceptionGroup("", [OSError(errno.EMFILE, "in an import"), RuntimeError("after it")])
    assert _deciding(raised).exit == Exit.BUG, "another one beside it is"
    assert isinstance(_deciding(OSError(errno.EMFILE, "in an import")), TooManyOpenFiles)
    assert _deciding(OSError(errno.EINVAL, "x")).exit == Exit.BUG


def opened(path: Path) -> None:
    with closing(Database(path, FORMATS)):
        pass


def looked_at(path: Path) -> None:
    with closing(Database(path, FORMATS, read_only=True)) as database:
        database.rows("SELECT count(*) FROM sqlite_master")


def written(path: Path) -> None:
    with closing(Database(path, FORMATS)) as database, database.transaction() as db:
        db.execute("CREATE TABLE more AS SELECT * FROM sqlite_master")


def backed_up(path: Path) -> None:
    target = path.with_name("copy")
    target.unlink(missing_ok=True)
    with closing(Database(path, FORMATS)) as database:
        database.backup(target)


@pytest.mark.fault(9, by="no descriptor is left when the state is opened")
@pytest.mark.parametrize("new", [True, False], ids=["new", "there"])
@pytest.mark.parametrize("use", [opened, looked_at, written, backed_up])
def test_a_state_that_cannot_be_opened_for_it_is_never_called_damaged(
    use: Callable[[Path], None], new: bool, tmp_path: Path
) -> None:
    """Whichever of its files is one too many."""
    enough = 12
    for number in range(enough + 1):
        path = tmp_path / str(number) / "state.db"
        path.parent.mkdir()
        if not new:
            opened(path)
        with kit.descriptors_left(number):
            try:
                use(path)
            except TooManyOpenFiles as error:
                assert number < enough and "too many open files" in error.message
            except StateAbsent:
                assert new and use is looked_at
            else:
                assert number, "it was not even opened"


def test_a_state_that_is_open_says_what_keeps_it_from_opening_more(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "state.db", FORMATS)) as database:
        cannot = sqlite3.OperationalError("unable to open database file")
        cannot.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        with kit.descriptors_left(0):
            assert isinstance(database.unusable(cannot), TooManyOpenFiles)
        assert not isinstance(database.unusable(cannot), TooManyOpenFiles)


def test_a_lock_says_so_too(tmp_path: Path) -> None:
    with kit.descriptors_left(0), pytest.raises(TooManyOpenFiles), lock_state(tmp_path):
        pytest.fail("it was taken")
