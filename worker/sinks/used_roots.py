"""The output roots that a process uses: locked against others with the same state, and tried once.

`<root>/.worker/locks/<state>-<shard>` is locked as long as the process lives; all its pipelines
share it. Several instances with states of their own write below one root side by side, each with a
lock of its own; a copy of a state has the same one as its original.

The lock saves two owners from work in vain. That only one of them commits is decided elsewhere (the
epoch of the chain, the record of each commit), so that a file system without locks is said and
used.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final

from worker.core.errors import ConfigError, RootBusy, SinkUnavailable
from worker.core.events import Emit, RootUnlocked
from worker.core.roots import HIDDEN
from worker.runtime import fs
from worker.runtime.lock_file import holder_of, open_lock, take_lock

LOCKS: Final = f"{HIDDEN}/locks"
WAIT_S: Final = 120.0
"""A file server may take so long to let go of what a dead machine has locked."""

_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})
_NO_NAMES: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
)
"""What a rename without replacing, or a link, ends with where there is no such thing."""

Inode = tuple[int, int]


class HeldElsewhere(SinkUnavailable):
    """Another machine holds the lock of an output, or did when it died.
    If that machine is gone, the file system lets go of the lock.
    """


class UsedRoots:
    """The roots of a process. Used from several threads.

    Args:
        emit: is told of a root without locks, in whatever thread that is found.
        monotonic: seconds.
        host: name of this machine.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        host: str = "",
    ) -> None:
        self._emit, self._monotonic = emit, monotonic
        self._host = host or socket.gethostname()
        self._one_at_a_time = Lock()
        self._held: dict[Inode, int] = {}
        self._busy_since: dict[Inode, float] = {}
        self._unlocked: set[Path] = set()
        self._tried: set[Inode] = set()

    def __repr__(self) -> str:
        return f"<UsedRoots held={len(self._held)}>"

    def enter(self, root: Path, state_id: str, shard: int) -> None:
        """Locks a root for a state, and tries whether files can be published there.

        Once per attempt and root, before anything else is written there; a lock that is held is
        taken again only where its file was taken away. Raises RootBusy where another process of
        this machine holds it, or one of another machine does for longer than `WAIT_S`;
        HeldElsewhere while that one may be dead; SinkUnavailable for an output that is full or
        cannot be written; ConfigError for a file system where no file can get a name without
        replacing another; StateError for a link in the place of the lock.
        """
        with self._one_at_a_time, fs.translated(root):
            fs.make_dirs(root, LOCKS, 0o700)
            path = root / LOCKS / f"{state_id}-{shard}"
            self._lock(path, root)
            self._try(path, root)

    def close(self) -> None:
        """Lets go of all locks. Last, once."""
        for fd in self._held.values():
            os.close(fd)
        self._held = {}

    def _lock(self, path: Path, root: Path) -> None:
        fd = open_lock(path)
        inode = _inode(fd)
        try:
            if inode in self._held:
                return
            if not take_lock(fd, f"{self._host} {os.getpid()}"):
                self._refuse_busy(path, inode, holder_of(fd))
            self._held[inode] = fd
            self._busy_since.pop(inode, None)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            if root not in self._unlocked:
                self._unlocked.add(root)
                self._emit(RootUnlocked(str(root), os.strerror(error.errno)))
        finally:
            if self._held.get(inode) != fd:
                os.close(fd)

    def _refuse_busy(self, path: Path, inode: Inode, holder: str) -> None:
        host, _, pid = holder.rpartition(" ")
        remedy = "stop that instance first, or give this one a state of its own"
        if host == self._host:
            raise RootBusy(
                f"{path} is held by another process of this machine (pid {pid})", remedy=remedy
            )
        since = self._busy_since.setdefault(inode, self._monotonic())
        who = f"pid {pid} of machine {host}" if host else "somebody who has not said who"
        if self._monotonic() - since >= WAIT_S:
            raise RootBusy(f"{path} is held by {who}", remedy=remedy)
        raise HeldElsewhere(
            f"{path} is held by {who}",
            remedy=f"if that machine is gone, the file system lets go of it; after {WAIT_S:.0f} s"
            " the pipeline ends",
        )

    def _try(self, path: Path, root: Path) -> None:
        """Publishes an empty file, once in a process."""
        status = os.stat(root)
        inode = status.st_dev, status.st_ino
        if inode in self._tried:
            return
        staged, final = (path.with_name(f"{path.name}.{each}") for each in ("staged", "published"))
        final.unlink(missing_ok=True)
        try:
            staged.touch(0o600)
            try:
                fs.rename_noreplace(staged, final)
            except OSError as error:
                if error.errno not in _NO_NAMES:
                    raise
                raise _unfit(root, error) from error
        finally:
            for each in (staged, final):
                each.unlink(missing_ok=True)
        self._tried.add(inode)


def _unfit(root: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{root} is on {fs.file_system(root) or 'a file system'}, where no file can get a name"
        f" without replacing another one: neither a rename nor a link does it"
        f" ({os.strerror(error.errno or 0)})",
        remedy="write to a file system that can do one of the two",
    )


def _inode(fd: int) -> Inode:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
