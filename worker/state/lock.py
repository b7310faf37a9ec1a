"""One instance per state directory; on a file system without locks nothing runs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.core.errors import StateBusy, StateError
from worker.runtime import fs
from worker.runtime.descriptors import EXHAUSTED, exhausted
from worker.runtime.lock_file import holder_of, open_lock, take_lock


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Turns what keeps the state from being opened into StateError, or TooManyOpenFiles.

    A command ends then; unlike a pipeline it does not resume by itself.
    """
    try:
        yield
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise exhausted(str(path), error.errno) from error
        raise StateError(
            f"{path}: {os.strerror(error.errno or 0)}",
            remedy="let this user read and write it, or set another state.path",
        ) from error


@contextmanager
def lock_state(directory: Path) -> Iterator[None]:
    """Holds `<directory>/lock`.

    Raises StateBusy at once when another process holds it, StateError where it cannot be taken.
    """
    with opening(directory):
        fs.make_root(directory)
        os.chmod(f"{directory}/.", 0o700)  # never a file that stands there
        fd = open_lock(directory / "lock")
    try:
        with opening(directory / "lock"):
            _take(fd, directory)
        yield
    finally:
        os.close(fd)


def is_locked(directory: Path) -> bool:
    """Whether an instance holds the lock now. Changes nothing."""
    try:
        fd = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:  # none ran here, or it runs as another user
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _take(fd: int, directory: Path) -> None:
    if not take_lock(fd, str(os.getpid())):
        raise StateBusy(
            f"{directory} is held by another instance (pid {holder_of(fd) or 'unknown'})",
            remedy="stop it first, or give this one another state.path",
        )
