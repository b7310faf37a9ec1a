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
