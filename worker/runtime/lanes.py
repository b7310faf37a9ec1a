"""Places for requests: those that hang do not keep others from being made. Pure.

Rule 1: `workers` requests are made at a time. One that takes much longer than answers usually do,
        while other partitions are due and no place is free, is *slow*: its place is lent to others,
        up to a quarter more than `workers` (at least one), and it goes on.
Rule 2: when all that may be lent is lent, the slow request is given up, and its partition waits for
        a lent place, or until no other partition is due. There it has the whole timeout of the
        source.
Rule 3: what is usual is the mean of all answers, the slow ones too. Where all are slow, none is.
        While there is no answer at all, patience doubles with every `workers` requests that were
        given up: the source as a whole may be slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_S: Final = 0.4
"""Patience while there was no answer yet."""
LEAST_S: Final = 0.25
TIMES: Final = 6.0
"""Patience is so many times what answers usually take, and `LEAST_S` at least."""
DOUBLINGS: Final = 20


def most_lent(workers: int) -> int:
    """How many requests may be made beside `workers`, while as many hang."""
    return max(workers // 4, 1)


@dataclass(slots=True, eq=False)
class Place:
    """What a worker holds while it serves a partition."""

    lent: bool = False


class Lanes:
    """The places of a pool, what answers usually take, and which partitions are slow.

    Args:
        workers: requests at a time, without those that are slow.
    """

    def __init__(self, workers: int) -> None:
        self.workers, self.most_lent = workers, most_lent(workers)
        self.taken = self.lent = 0
        self._usual_s: float | None = None
        self._given_up = 0  # since the last answer
        self._slow: dict[str, float] = {}  # seconds that a partition was waited for in vain

    def __repr__(self) -> str:
        return f"<Lanes taken={self.taken}/{self.workers} lent={self.lent}/{self.most_lent}>"

    # -- places ------------------------------------------------------------------------------------

    @property
    def free(self) -> bool:
        """Whether a request may be made."""
        return self.taken < self.workers

    @property
    def may_lend(self) -> bool:
        """Whether a further request may be slow."""
        return self.lent < self.most_lent

    def take(self, *, lent: bool = False) -> Place:
        """A place that is free, or one that may be lent."""
        self.taken += not lent
        self.lent += lent
        return Place(lent)

    def lend(self, place: Place) -> None:
        """Another request may be made in place of this one, which goes on."""
        place.lent = True
        self.taken -= 1
        self.lent += 1

    def leave(self, place: Place) -> None:
        """The place is free again."""
        self.taken -= not place.lent
        self.lent -= place.lent

    # -- patience ----------------------------------------------------------------------------------

    @property
    def patience_s(self) -> float:
        """How long a request may take before it is slow."""
        return self._unusual_s * 2.0 ** min(self._given_up // self.workers, DOUBLINGS)

    @property
    def _unusual_s(self) -> float:
        return FIRST_S if self._usual_s is None else max(self._usual_s * TIMES, LEAST_S)

    def is_slow(self, partition: str) -> bool:
        """Whether the last request of the partition took longer than is usual now."""
        waited_s = self._slow.get(partition)
        return waited_s is not None and waited_s >= self._unusual_s

    def answered(self, partition: str, seconds: float) -> None:
        """The source answered a request of the partition after so long."""
        self._given_up = 0
        usual_s = seconds if self._usual_s is None else self._usual_s
        self._usual_s = (usual_s * 7 + seconds) / 8
        self._slow.pop(partition, None)
        self.waited(partition, seconds)

    def waited(self, partition: str, seconds: float) -> None:
        """A request of the partition has taken so long, and brought nothing yet."""
        if seconds >= self._unusual_s:
            self._slow[partition] = seconds

    def forget(self, partition: str) -> None:
        """The partition is served no more."""
        self._slow.pop(partition, None)

    def gave_up(self, partition: str, seconds: float) -> None:
        """A slow request was given up after so long."""
        self.waited(partition, seconds)
        self._given_up += 1
