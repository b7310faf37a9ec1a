"""Files that a config names: regular ones only, up to a bound.

A fifo would wait for a writer and a device would never end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_KINDS: Final = {
    stat.S_IFIFO: "a fifo or pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a regular file for reading, without waiting for anybody.

    Raises OSError with a reason for all others, ValueError for what is no file name.
    """
    with os.fdopen(
        os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb"
    ) as file:
        kind = stat.S_IFMT(os.fstat(file.fileno()).st_mode)
        if kind != stat.S_IFREG:
            raise OSError(errno.EINVAL, f"{_KINDS.get(kind, 'something else')}, not a regular file")
        yield file


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """Up to `most` + 1 bytes of a regular file; raises like `open_file`."""
    with open_file(path) as file:
        return file.read(most + 1)


def check_text(path: Path) -> None:
    """Raises ValueError for a path that this locale cannot name.

    Neither can the commit log, which keeps paths as text.
    """
    try:
        str(path).encode()
        os.fsencode(path)
    except UnicodeError as error:
        raise ValueError(
            f"{path} is no UTF-8 text, or not what the locale can name (LC_ALL=C.UTF-8 names all)"
        ) from error
