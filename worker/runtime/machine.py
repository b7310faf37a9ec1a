"""How much memory this process may have: what its cgroup allows, else what the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

_UNLIMITED: Final = 1 << 60
"""A limit of a cgroup of version 1 that is none is a number of about 2^63."""


def memory_limit(root: Path = Path("/")) -> int:
    """Bytes: the least limit of the cgroups that the process is in, and of the machine.

    Args:
        root: where /proc and /sys are.
    """
    limits = [_machine_bytes(), *_cgroup_limits(root)]
    return min(limits)


def _machine_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cgroup_limits(root: Path) -> Iterator[int]:
    """The limits of the cgroup of this process and of those around it, of both versions.

    In a container its own cgroup is often the root of what is mounted, whatever its path is called.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        own = PurePosixPath(path).relative_to("/")
        for place in (own, *own.parents):
            text = _text(mount / place / name).strip()
            if text.isdigit() and int(text) < _UNLIMITED:
                yield int(text)


def _text(path: Path) -> str:
    """What a file says; empty where it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
