"""One instance per state directory: an advisory lock that the kernel drops when its process dies.

`flock` is the same on Linux, macOS and the BSDs; on a file system without locks nothing runs.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.core.errors import StateBusy, StateError
from worker.runtime import fs


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Turns what keeps the state from being opened into StateError.

    A command ends then; unlike a pipeline it does not resume by itself.
    """
    try:
        yield
    except OSError as error:
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
        fd = _open_lock(directory / "lock")
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


def _open_lock(path: Path) -> int:
    """The lock file, made when it is missing; a link would lock, and write to, another file."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP or not path.is_symlink():
            raise
        raise StateError(
            f"{path} is a symbolic link, and a lock is never taken through one",
            remedy="remove the link; the lock file is made when it is missing",
        ) from error


def _take(fd: int, directory: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        raise StateBusy(
            f"{directory} is held by another instance (pid {holder})",
            remedy="stop it first, or give this one another state.path",
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
