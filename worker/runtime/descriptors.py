"""How many files a process may have open, and what to do where it may have no more.

Connections count like files.
"""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from typing import Final

from worker.core.errors import TooManyOpenFiles

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""The errors of the operating system that say so: of the process, and of the machine."""
REMEDY: Final = (
    "raise the limit (LimitNOFILE= of the unit, --ulimit nofile of the container, ulimit -n of the"
    " shell), or lower sink.max_open_files and source.concurrency of the pipelines; it goes on by"
    " itself"
)
_SOFT_MOST: Final = 1 << 20
"""Where the hard limit is none: more than that no system gives."""


def raise_limit() -> None:
    """Raises the soft limit of open files to the hard one.

    The soft one, often 1024, is for programs that use `select`, which cannot count further.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _SOFT_MOST if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # macOS has a second limit, which it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def are_exhausted(needed: int = 1) -> bool:
    """Whether so many files could not be opened now: for errors that do not say why."""
    opened = list[int]()
    try:
        for _ in range(needed):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.errno in EXHAUSTED
    finally:
        for number in opened:
            os.close(number)
    return False


def exhausted(where: str, number: int | None = errno.EMFILE) -> TooManyOpenFiles:
    """The error to report where the operating system gave this one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = (
        "too many open files on this machine (fs.file-max)"
        if number == errno.ENFILE
        else f"too many open files: this process may have {soft} (its hard limit is {hard})"
    )
    return TooManyOpenFiles(f"{where}: {told}", remedy=REMEDY)
