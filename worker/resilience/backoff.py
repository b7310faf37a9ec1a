"""How long to wait after a failure that repeats: the wait doubles each time, up to a limit. Pure."""

from __future__ import annotations

from typing import Final

DOUBLINGS: Final = 1_000  # 2.0 ** 1024 is no float; a partition may fail for years


def doubling_s(first_s: float, failures: int, longest_s: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row, counted from 1: `first_s`, doubled each time, at most `longest_s`."""
    return min(first_s * 2.0 ** min(failures - 1, DOUBLINGS), longest_s)
