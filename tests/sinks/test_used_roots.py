"""The roots of a process: the lock on each, and the first try to publish there."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from worker.core.errors import (
    ConfigError,
    PublishConflict,
    RootBusy,
    SinkUnavailable,
    StateError,
)
from worker.core.events import Event, RootUnlocked
from worker.runtime import fs
from worker.sinks.used_roots import WAIT_S, UsedRoots

HOLD = """
import sys
from pathlib import Path
from worker.sinks.used_roots import UsedRoots
used = UsedRoots(print, host=sys.argv[2])
used.enter(Path(sys.argv[1]), "state", 0)
print("held", flush=True)
sys.stdin.read()
"""


class Process:
    """The roots of a process of this test, on a machine called `here`."""

    def __init__(self) -> None:
        self.now, self.events = 0.0, list[Event]()
        self.used = UsedRoots(self.events.append, monotonic=lambda: self.now, host="here")


@pytest.fixture
def process() -> Iterator[Process]:
    found = Process()
    yield found
    found.used.close()


@contextmanager
def held_by_another(root: Path, host: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", HOLD, str(root), host]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        try:
            yield holder
        finally:
            holder.kill()


@pytest.mark.fault(14, by="two states with one output")
def test_another_process_of_this_machine_is_refused_at_once_until_it_dies(
    tmp_path: Path, process: Process
) -> None:
    with held_by_another(tmp_path, "here") as holder:
        with pytest.raises(RootBusy, match=rf"locks/state-0 is held by .* \(pid {holder.pid}\)"):
            process.used.enter(tmp_path, "state", 0)
        process.used.enter(tmp_path, "another state", 0)
        process.used.enter(tmp_path, "state", 1)
        holder.kill()
        holder.wait()
        process.used.enter(tmp_path, "state", 0)
    lock = tmp_path / ".worker/locks/state-0"
    assert lock.read_text() == f"here {os.getpid()}\n"


def test_another_machine_is_waited_for_as_long_as_a_file_server_may_need(
    tmp_path: Path, process: Process
) -> None:
    with held_by_another(tmp_path, "there") as holder:
        for now in (0.0, 30.0, WAIT_S - 1):
            process.now = 1000 + now
            with pytest.raises(SinkUnavailable, match=f"pid {holder.pid} of machine there"):
                process.used.enter(tmp_path, "state", 0)
        process.now = 1000 + WAIT_S
        with pytest.raises(RootBusy, match="machine there"):
            process.used.enter(tmp_path, "state", 0)
    process.used.enter(tmp_path, "state", 0)


def test_pipelines_of_a_process_share_the_lock_also_after_the_root_was_moved(
    tmp_path: Path, process: Process
) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    for _ in range(2):
        process.used.enter(lake, "state", 0)
    lake.rename(tmp_path / "moved")
    process.used.enter(tmp_path / "moved", "state", 0)
    assert repr(process.used) == "<UsedRoots held=1>"


def test_a_lock_whose_file_was_taken_away_is_taken_again(tmp_path: Path, process: Process) -> None:
    process.used.enter(tmp_path, "state", 0)
    (tmp_path / ".worker/locks/state-0").unlink()
    process.used.enter(tmp_path, "state", 0)
    with pytest.raises(RootBusy):
        Process().used.enter(tmp_path, "state", 0)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_once_and_used(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(fcntl, "flock", _raising(code))
    for _ in range(2):
        process.used.enter(tmp_path, "state", 0)
    assert process.events == [RootUnlocked(str(tmp_path), os.strerror(code))]


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path, process: Process) -> None:
    (tmp_path / "victim").write_bytes(b"content")
    (tmp_path / ".worker/locks").mkdir(parents=True)
    (tmp_path / ".worker/locks/state-0").symlink_to(tmp_path / "victim")
    with pytest.raises(StateError, match="symbolic link"):
        process.used.enter(tmp_path, "state", 0)
    assert (tmp_path / "victim").read_bytes() == b"content"


def test_links_in_the_place_of_our_directories_are_not_followed(
    tmp_path: Path, process: Process
) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / ".worker").symlink_to(elsewhere)
    with pytest.raises(PublishConflict):
        process.used.enter(root, "state", 0)
    assert list(elsewhere.iterdir()) == []


# -- the first try to publish ---------------------------------------------------------------------


@pytest.mark.fault(60, by="renameat2 and link fail as such a mount fails them")
@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_that_can_neither_rename_nor_link_is_an_error_of_the_config(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """As s3fs is: no renameat2, no links."""
    monkeypatch.setattr(fs, "_renamed", lambda *paths: False)
    monkeypatch.setattr(os, "link", _raising(code))
    for _ in range(2):
        with pytest.raises(ConfigError, match="without replacing"):
            process.used.enter(tmp_path, "state", 0)
    assert [path.name for path in (tmp_path / ".worker/locks").iterdir()] == ["state-0"]


def test_one_that_links_will_do_and_is_tried_once(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = []
    link = os.link
    monkeypatch.setattr(fs, "_renamed", lambda *paths: False)
    monkeypatch.setattr(os, "link", lambda *paths: (links.append(paths), link(*paths)))
    for _ in range(2):
        process.used.enter(tmp_path, "state", 0)
    assert len(links) == 1
    assert [path.name for path in (tmp_path / ".worker/locks").iterdir()] == ["state-0"]


def test_a_full_disk_is_a_pause_and_tried_again(
    tmp_path: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fs, "rename_noreplace", _raising(errno.ENOSPC))
        with pytest.raises(SinkUnavailable):
            process.used.enter(tmp_path, "state", 0)
    process.used.enter(tmp_path, "state", 0)


def _raising(code: int) -> Callable[..., Any]:
    def refuse(*arguments: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return refuse
