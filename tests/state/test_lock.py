"""One instance per state directory."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from worker.core.errors import StateBusy, StateError
from worker.state.lock import lock_state

HOLD = """
import sys
from pathlib import Path
from worker.state.lock import lock_state
with lock_state(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.fault(14, by="a lock that another process holds")
def test_a_second_instance_is_refused_with_the_process_that_holds_it_until_that_one_dies(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "state")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(StateBusy, match=rf"another instance \(pid {holder.pid}\)"),
            lock_state(tmp_path / "state"),
        ):
            pass
        holder.kill()
        holder.wait()
        with lock_state(tmp_path / "state"):
            assert (tmp_path / "state/lock").read_text() == f"{os.getpid()}\n"


def test_the_directory_is_for_its_user_only(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    with lock_state(tmp_path / "state"):
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "state/lock").stat().st_mode) == 0o600


def test_it_is_let_go_of_when_the_block_ends_in_whatever_way(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock_state(tmp_path):
        raise ZeroDivisionError
    with lock_state(tmp_path):
        pass


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StateError, match="No locks available"), lock_state(tmp_path):
        pass


@pytest.mark.parametrize("target", ["victim", "missing"])
def test_a_link_in_the_place_of_the_lock_is_refused_and_its_target_left_alone(
    tmp_path: Path, target: str
) -> None:
    (tmp_path / "victim").write_bytes(b"content")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/lock").symlink_to(tmp_path / target)
    with pytest.raises(StateError, match=r"state/lock is a symbolic link.*remove the link"):
        lock_state(tmp_path / "state").__enter__()
    assert (tmp_path / "victim").read_bytes() == b"content"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("behind", ["directory", "fifo", "socket"])
def test_whatever_stands_in_the_place_of_the_lock_is_an_error_of_the_state(
    tmp_path: Path, behind: str
) -> None:
    path = tmp_path / "lock"
    if behind == "directory":
        path.mkdir()
    elif behind == "fifo":
        os.mkfifo(path)
    else:
        os.mknod(path, stat.S_IFSOCK | 0o600)
    with pytest.raises(StateError):
        lock_state(tmp_path).__enter__()


def test_a_file_in_the_place_of_the_state_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"content")
    path.chmod(0o644)
    with pytest.raises(StateError, match="Not a directory"):
        lock_state(path).__enter__()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("call", ["open", "chmod", "mkdir", "pwrite", "ftruncate"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOENT, errno.ESTALE, errno.EFBIG])
def test_every_error_of_the_system_is_an_error_of_the_state(
    tmp_path: Path, call: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(StateError, match=os.strerror(code)) as caught:
        lock_state(tmp_path / "state").__enter__()
    assert caught.value.exit == 74
