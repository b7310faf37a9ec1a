"""A file whose lock the kernel, or a file server, drops when the process that holds it dies.

`flock` is the same on Linux, macOS and the BSDs. What stands in the file says who holds it.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from worker.core.errors import StateError


def open_lock(path: Path) -> int:
    """The descriptor of a lock file, which is made when it is missing.

    Raises OSError, and StateError for a link: it would lock, and write to, another file.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP or not path.is_symlink():
            raise
        raise StateError(
            f"{path} is a symbolic link, and a lock is never taken through one",
            remedy="remove the link; the lock file is made when it is missing",
        ) from error


def take_lock(fd: int, holder: str) -> bool:
    """Takes the lock and writes who holds it; False where another process holds it.

    Raises OSError, also where the file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    line = f"{holder}\n".encode()
    os.pwrite(fd, line, 0)
    os.ftruncate(fd, len(line))
    return True


def holder_of(fd: int) -> str:
    """Who holds the lock; empty where the holder has not written it yet."""
    return os.pread(fd, 320, 0).decode("utf-8", "replace").partition("\n")[0].strip()
