"""Files that survive a power loss: write all, fsync, publish without replacing, fsync directories.

A failed fsync is terminal for its file: the kernel may have dropped the dirty pages, and a second
fsync would report success.

Where a call is not the same everywhere, two ways stand side by side: `renameat2` or link and
unlink, `F_FULLFSYNC` or `fsync`, `/proc/self/mountinfo` or `mount`. The tests force each of them.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final

from worker.core.errors import (
    DurabilityLost,
    PublishConflict,
    SinkUnavailable,
    StateError,
    WorkerError,
)
from worker.runtime.descriptors import EXHAUSTED, exhausted

RENAME_NOREPLACE: Final = 1
AT_FDCWD: Final = -100
READ_BYTES: Final = 1024 * 1024
FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""macOS: what writes the cache of the drive, too; its `fsync` does not."""
MOUNT_TABLE: Final = Path("/proc/self/mountinfo")
MOUNT_COMMAND: Final = "/sbin/mount"

# What an OSError of an output means; anything else is StateError (74).
_PAUSE: Final = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTCONN,  # unmounted, or its server is away
        errno.ESTALE,
        errno.ENOENT,  # a cleaner took a directory, which the next attempt makes again
        errno.EBUSY,
        errno.EXDEV,
        errno.EFBIG,
    }
)


def translate(error: OSError, path: Path | str) -> WorkerError:
    """The category of an operating system error on an output or state path."""
    if error.errno in EXHAUSTED:
        return exhausted(str(path), error.errno)
    text = f"{path}: {os.strerror(error.errno or 0)}"
    if error.errno in _PAUSE:
        return SinkUnavailable(
            text,
            remedy="free space, or mount and permit the output; the pipeline resumes by itself",
        )
    if error.errno == errno.EIO:
        return DurabilityLost(text, remedy="check the disk")
    return StateError(text, remedy="check the output path")


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Turns an OSError of the block into our category, see `translate`."""
    try:
        yield
    except OSError as error:
        raise translate(error, path) from error


def write_all(fd: int, data: bytes) -> None:
    """Writes everything, also when the kernel takes it in parts. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def fsync(fd: int, path: Path | str) -> None:
    """Makes a file durable.

    Raises SinkUnavailable where only space lacks, DurabilityLost otherwise; the file must not be
    used then.
    """
    try:
        _sync(fd)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise translate(error, path) from error
        raise DurabilityLost(
            f"fsync of {path} failed: {os.strerror(error.errno or 0)}", remedy="check the disk"
        ) from error


def _sync(fd: int) -> None:
    if FULL_SYNC is not None:
        try:
            fcntl.fcntl(fd, FULL_SYNC)
            return
        except OSError as error:  # a file system without it, as a network share, has fsync only
            if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(fd)


def fsync_dir(path: Path) -> None:
    """Makes the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fsync(fd, path)
    finally:
        os.close(fd)


class KnownNames(set[tuple[int, int]]):
    """Directories, by device and inode, whose names were made durable in this process.

    It is emptied when it holds `most`, which costs one more fsync of each parent.
    """

    def __init__(self, most: int = 50_000) -> None:
        super().__init__()
        self._most = most

    def note(self, directories: Collection[tuple[int, int]]) -> None:
        if len(self) + len(directories) > self._most:
            self.clear()
        self.update(islice(directories, self._most))


_known: Final = KnownNames()


class DirectoryNames:
    """Directories whose names must be durable before a name in them, or a commit, counts.

    A directory that is found is treated like one that was made, once in a process: a kill between
    mkdir and the fsync of its parent leaves one that a power loss takes away, with all in it.
    """

    def __init__(self, known: KnownNames | None = None) -> None:
        self._known = _known if known is None else known
        self._parents: set[Path] = set()
        self._children: set[tuple[int, int]] = set()

    def make(self, root: Path, relative: str, mode: int = 0o777) -> None:
        """Creates the directories of `relative` below `root`.

        Raises OSError, and PublishConflict where a symbolic link or a file stands in the way.
        """
        current = root
        for name in Path(relative).parts:
            parent, current = current, current / name
            made = _mkdir(current, mode)
            status = os.lstat(current)
            if not stat.S_ISDIR(status.st_mode):
                raise PublishConflict(f"{current} is no directory of ours", remedy="move it away")
            self._add(parent, status, made=made)

    def make_root(self, root: Path) -> None:
        """Creates an output root and its parents. Raises OSError.

        Unlike what is below a root, they may be symbolic links: that is the operator's choice.
        The operator's, too, are directories that may not be read, a mount point, and all above.
        """
        root = root.absolute()
        made = _make_missing(root)
        for path in (root, *root.parents[:-1]):
            status, above = os.stat(path), os.stat(path.parent)
            ours = status.st_dev == above.st_dev and os.access(path.parent, os.R_OK)
            if path not in made and not ours:
                return
            self._add(path.parent, status, made=path in made)

    def _add(self, parent: Path, status: os.stat_result, *, made: bool) -> None:
        child = status.st_dev, status.st_ino
        if made or child not in self._known:  # the inode of one that was removed is used again
            self._known.discard(child)
            self._parents.add(parent)
            self._children.add(child)

    def sync(self, others: Iterable[Path] = ()) -> None:
        """Makes the names durable, and those in the directories `others`, with one fsync each."""
        fsync_dirs((*self._parents, *others))
        self._known.note(self._children)
        self._parents, self._children = set(), set()


def _mkdir(path: Path, mode: int) -> bool:
    """Whether it was made; False where something has that name."""
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        return False
    return True


def _make_missing(root: Path) -> set[Path]:
    missing = []
    current = root
    while not current.exists():
        missing.append(current)
        current = current.parent
    return {path for path in reversed(missing) if _mkdir(path, 0o777)}


def make_dirs(root: Path, relative: str, mode: int = 0o777) -> None:
    """Creates the directories of `relative` below `root`, durably; see `DirectoryNames.make`."""
    names = DirectoryNames()
    names.make(root, relative, mode)
    names.sync()


def make_root(root: Path) -> None:
    """Creates an output root and its parents, durably; see `DirectoryNames.make_root`."""
    names = DirectoryNames()
    names.make_root(root)
    names.sync()


def remove_if_empty(directory: Path) -> None:
    """Removes a directory. Where somebody has something in it, or has removed it, it stays so."""
    try:
        directory.rmdir()
    except OSError:
        return


def write_durably(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes a small file as a whole and makes its content durable, but not its name."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        write_all(fd, data)
        fsync(fd, path)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hex digits. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(READ_BYTES), b""):
            digest.update(block)
    return digest.hexdigest()


_libc = ctypes.CDLL(None, use_errno=True)


def publish(source: Path, target: Path, sha256: str) -> None:
    """Gives a staged file its final name, never replacing another file.

    A target of the same content is done already: a kill came between a link and its unlink, or
    the staged file was put back. Raises PublishConflict over any other target.
    """
    try:
        rename_noreplace(source, target)
    except FileExistsError:
        if sha256_of(target) != sha256:
            raise PublishConflict(
                f"{target} exists with another content",
                remedy="move it away; the committed file waits in staging",
            ) from None
        source.unlink()


def rename_noreplace(source: Path, target: Path) -> None:
    """Renames a file. Raises FileExistsError where something has the name, else OSError."""
    if not _renamed(source, target):
        os.link(source, target)  # never replaces either
        os.unlink(source)


def _renamed(source: Path, target: Path) -> bool:
    """Whether the system and this file system can rename without replacing, and did."""
    rename = getattr(_libc, "renameat2", None)
    if rename is None:
        return False
    names = os.fsencode(source), os.fsencode(target)
    if rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(code, os.strerror(code), str(source), None, str(target))


def fsync_dirs(paths: Iterable[Path]) -> None:
    """Makes the names in each of these directories durable, once."""
    for path in sorted(set(paths)):
        fsync_dir(path)


def file_system(path: Path) -> str:
    """The type of the file system that `path` is on, as the system calls it; empty if unknown."""
    where = str(path.resolve())
    best, found = "", ""
    for point, kind in _mounts():
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # of two on one point, the later one is seen
            best, found = point, kind
    return found


def _mounts() -> list[tuple[str, str]]:
    """(mount point, type) of what is mounted, in order."""
    try:
        return mounts_in_table(MOUNT_TABLE.read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:  # not Linux
        pass
    try:
        listed = subprocess.run(  # noqa: S603  # a constant
            [MOUNT_COMMAND], capture_output=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return mounts_in_list(listed.stdout.decode("utf-8", "surrogateescape"))


def mounts_in_table(text: str) -> list[tuple[str, str]]:
    """Of `/proc/self/mountinfo`, proc(5): field 5 is the mount point, the type follows `-`."""
    mounts = []
    for line in text.splitlines():
        fields = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        mounts.append((point, fields[fields.index("-") + 1]))
    return mounts


def mounts_in_list(text: str) -> list[tuple[str, str]]:
    """Of `mount` on macOS and the BSDs: `SOURCE on POINT (TYPE, option, ...)`."""
    return re.findall(r"^.*? on (/.*) \((\w+)", text, re.MULTILINE)
