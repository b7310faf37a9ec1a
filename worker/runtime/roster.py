"""The partitions of a pipeline that are found: who of them is to be served, and when.

There may be a hundred thousand, of which most rest. They stand in the commit log, which is walked
in batches, in the order in which they were found; only those in service have a planner. One that
rests until a time of its schedule takes a place in a heap, and the others take none.

    the list in the log --walk--> due now? --> planner (in service) --> rests
                                   | later             ^                  |
                                   v                   |                  v
                                  heap ----------------'        heap, until it is due
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from worker.core.cursor import Cursor
from worker.core.errors import ListIncomplete, PartitionsVanished
from worker.core.found import FILE, Child, partition_name
from worker.core.model import Claim, Due
from worker.core.ports import Clock, CommitHistory, CommitLog
from worker.paging.due import next_pass, not_before
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import PagingSpec

IN_SERVICE: Final = 1_000
"""So many partitions have a pass in progress at most."""
BATCH: Final = 250
"""So many are looked at in the log at once."""
AFAR: Final = 3600.0
"""Seconds after which a list is looked at again, whatever was heard of it."""

Calls = Callable[[Callable[[], object]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class RosterSpec:
    """Where the partitions of a pipeline are found.

    Attributes:
        pipeline: the one that reads them.
        parent: the pipeline whose list it is; the same where the list stands in a file.
        list: the list.
        name: of the partition, whose value is found.
        carry: what is carried with a value, by its name in placeholders.
        others: the values of the other partitions, each combination once.
        names: of all partitions, in the order of the config.
        by_change: a pass follows when the record with the value has changed.
        may_vanish: the last list counts, however short it is.
        rereads: the parent reads everything in each of its passes, and there are more than one.
        prefix: what the names of partitions begin with.
        news: is set when the list may have changed.
    """

    pipeline: str
    parent: str
    list: str
    name: str
    carry: tuple[str, ...]
    others: tuple[Mapping[str, str], ...]
    names: tuple[str, ...]
    by_change: bool
    may_vanish: bool
    rereads: bool
    prefix: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def values_of(
        self, value: str, carried: Sequence[str], other: Mapping[str, str]
    ) -> dict[str, str]:
        """The values of a partition, as placeholders name them."""
        own = {self.name: value, **other}
        return {name: own[name] for name in self.names} | dict(
            zip(self.carry, carried, strict=True)
        )

    def partition(self, values: Mapping[str, str]) -> str:
        """The name of the partition with these values."""
        own = {name: values[name] for name in self.names}
        return f"{self.prefix}{partition_name(own, self.name)}"


class Arrival(NamedTuple):
    """A partition that comes into service.

    Attributes:
        claim: where it stands.
        values: see `RosterSpec.values_of`.
        planner: asks for its pages.
    """

    claim: Claim
    values: Mapping[str, str]
    planner: PartitionPlanner


class Candidate(NamedTuple):
    """A partition that may be due: `woken` by its schedule."""

    name: str
    child: Child
    other: int
    woken: bool


_Sleeper = tuple[float, str, int]
"""When it is due, its value, and which combination of the other values it has."""


class Roster:
    """See the module. Used on the event loop; what reads the log is called in the IO pool.

    Args:
        epoch: of the chain that the attempt has claimed.
        serves: whether a partition is in service, or rests and is not committed yet.

    Attributes:
        count: values of the list that were met.
        walked: the list was walked to its end.
        is_new: nobody has looked yet whether the list as it stands counts.
    """

    def __init__(
        self,
        spec: RosterSpec,
        log: CommitLog,
        paging: PagingSpec,
        clock: Clock,
        *,
        epoch: int,
    ) -> None:
        self.spec = spec
        self.count, self.walked, self.is_new = 0, False, True
        self._log, self._paging, self._clock, self._epoch = log, paging, clock, epoch
        self._after = 0
        self._sleepers: list[_Sleeper] = []
        self._left: list[Candidate] = []  # of the last batch, for which there was no room

    def __repr__(self) -> str:
        return f"<Roster {self.spec.list} met={self.count} asleep={len(self._sleepers)}>"

    def heard(self) -> None:
        """The list may have changed."""
        self.spec.news.clear()
        self.walked, self.is_new = False, True

    @property
    def has_left(self) -> bool:
        """Whether there is something to look at now."""
        return not self.walked or bool(self._left) or self.wait_s == 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until the next one is due that rests."""
        if not self._sleepers:
            return AFAR
        return min(max(self._sleepers[0][0] - self._clock.monotonic(), 0.0), AFAR)

    def rest(self, values: Mapping[str, str], until: float) -> None:
        """A partition is to be served again from this monotonic second on."""
        other = {name: values[name] for name in self.spec.names if name != self.spec.name}
        sleeper = (until, values[self.spec.name], self.spec.others.index(other))
        heapq.heappush(self._sleepers, sleeper)

    # -- in the IO pool ---------------------------------------------------------------------------

    def refuse_unfit(self) -> None:
        """Raises ListIncomplete and PartitionsVanished."""
        spec, self.is_new = self.spec, False
        refuse_incomplete(spec, self._log)
        if spec.may_vanish:
            return
        for origin, stands in self._log.standings(spec.parent, spec.list).items():
            if stands.doubtful:
                place = "the file" if spec.parent == spec.pipeline else f"pipeline {spec.parent}"
                raise PartitionsVanished(
                    f"{stands.ended_size} values of {spec.name} are left in {place}, where"
                    f" {stands.size} were",
                    where="" if origin in ("default", FILE) else origin,
                    remedy="see what the source answers; where that is right, set"
                    f" source.partitions.{spec.name}.vanish: allow",
                )

    def candidates(self, most: int) -> list[Candidate]:
        """Whom the log, or their schedule, says to look at next; at most about so many."""
        found, self._left = self._left[:most], self._left[most:]
        found += self._woken(most - len(found))
        if len(found) < most and not self.walked:
            found += self._walk(most - len(found))
        return found

    def _woken(self, most: int) -> Iterator[Candidate]:
        now, spec = self._clock.monotonic(), self.spec
        while most > 0 and self._sleepers and self._sleepers[0][0] <= now:
            _, value, other = heapq.heappop(self._sleepers)
            most -= 1
            found = self._log.children(spec.parent, spec.list, most=1, value=value)
            for child in found:
                yield self._candidate(child, other, woken=True)

    def _walk(self, most: int) -> list[Candidate]:
        spec = self.spec
        wanted = max(min(most // len(spec.others), BATCH), 1)
        children = self._log.children(
            spec.parent, spec.list, after=self._after, most=wanted, by_change=spec.by_change
        )
        self.walked = len(children) < wanted
        if children:
            self._after = children[-1].changed if spec.by_change else children[-1].number
            self.count += len(children)
        every = [
            self._candidate(child, other, woken=False)
            for child in children
            for other in range(len(spec.others))
        ]
        self._left = every[most:]
        return every[:most]

    def _candidate(self, child: Child, other: int, *, woken: bool) -> Candidate:
        values = self.spec.values_of(child.value, child.carried, self.spec.others[other])
        return Candidate(self.spec.partition(values), child, other, woken)

    def arrivals(self, candidates: Sequence[Candidate]) -> list[Arrival]:
        """Those of them that are due. Moves them to the chain of the attempt.

        Raises Fenced. Others that will be due rest from now on.
        """
        spec = self.spec
        standing = self._log.standing(spec.pipeline, [each.name for each in candidates])
        due = [
            each
            for each in candidates
            if self._is_due(each, *standing.get(each.name, (Cursor(), Due())))
        ]
        if not due:
            return []
        names = [each.name for each in due]
        claims = self._log.take(spec.pipeline, names, epoch=self._epoch)
        return [self._arrival(each, claims[each.name]) for each in due]

    def _arrival(self, candidate: Candidate, claim: Claim) -> Arrival:
        child, other = candidate.child, self.spec.others[candidate.other]
        values = self.spec.values_of(child.value, child.carried, other)
        asks_for = candidate.child.digest if self.spec.by_change else b""
        return Arrival(claim, values, PartitionPlanner(self._paging, claim, None, asks_for))

    def _is_due(self, candidate: Candidate, cursor: Cursor, due: Due) -> bool:
        """Whether a partition is to be served now; otherwise it rests, if it will be later."""
        if not self._has_a_pass(candidate.child, cursor):
            return False
        until = None if candidate.woken else self._until(cursor, due)
        if until is None or until <= self._clock.monotonic():
            return True
        heapq.heappush(self._sleepers, (until, candidate.child.value, candidate.other))
        return False

    def _has_a_pass(self, child: Child, cursor: Cursor) -> bool:
        """Whether a pass goes on, or another one will begin."""
        if cursor.position is not None:
            return True
        if not (child.in_last if self.spec.may_vanish else child.there):
            return False
        if self.spec.by_change:
            return child.digest != cursor.asked_for
        return not cursor.complete or self._paging.schedule is not None

    def _until(self, cursor: Cursor, due: Due) -> float | None:
        """The monotonic second before which it is not served; None: it may be at once."""
        now, wall = self._clock.monotonic(), self._clock.time()
        if due.failures and not self._paging.once:
            return not_before(due, self._paging, now=now, wall=wall, cap_s=AFAR)
        return next_pass(due, cursor, self._paging, now=now, wall=wall)


def refuse_incomplete(spec: RosterSpec, log: CommitHistory) -> None:
    """Raises ListIncomplete where records were committed before the list was looked for, which no
    later pass brings again.
    """
    since = log.lists(spec.parent).get(spec.list, 0)
    if since and not spec.rereads:
        raise ListIncomplete(
            f"pipeline {spec.pipeline} finds partitions in {spec.list} of pipeline"
            f" {spec.parent}, whose first {since} commits were made before it was looked for",
            remedy=f"`worker state reset --pipeline {spec.parent}` reads it again",
        )


def combinations(listed: Mapping[str, Sequence[str]]) -> tuple[dict[str, str], ...]:
    """Each combination of listed values, by their names; one without any where none is listed."""
    names = list(listed)
    return tuple(
        dict(zip(names, values, strict=True)) for values in itertools.product(*listed.values())
    )
