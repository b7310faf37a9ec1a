"""Waits after a failure that repeats: each is twice the one before, up to a limit. Pure."""

from __future__ import annotations

from typing import Final

DOUBLINGS: Final = 1_000  # 2.0 ** 1024 is no float; a partition may fail for years


def doubling_s(first_s: float, failures: int, longest_s: float) -> float:
    """Seconds to wait after a failure.

    Args:
        first_s: the wait after the first failure.
        failures: how many there were in a row, this one included.
        longest_s: no wait is longer.
    """
    return min(first_s * 2.0 ** min(failures - 1, DOUBLINGS), longest_s)
