"""Sizes for people. Pure."""

from __future__ import annotations

from typing import Final

MIB: Final = 1024 * 1024


def in_mib(size_bytes: float) -> str:
    """A size in MiB, with one digit after the point."""
    return f"{size_bytes / MIB:.1f} MiB"
