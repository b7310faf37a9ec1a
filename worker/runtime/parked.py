"""A partition that has failed, and is not served for a while."""

from __future__ import annotations

from dataclasses import dataclass

from worker.core.errors import WorkerError


@dataclass(slots=True)
class Parked:
    """Why a partition is not served, until which monotonic second, and its failures in a row."""

    error: WorkerError
    until: float
    times: int
