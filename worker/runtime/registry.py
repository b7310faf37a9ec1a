"""The found partitions that are in service, and who else of the roster comes into it.

A partition comes into service when it is due and there is room, is known then to all who work on
its pages, and is let go of when it rests and everything of it is committed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from worker.core.errors import WorkerError
from worker.core.model import Due
from worker.paging.planner import PartitionPlanner
from worker.runtime.parked import Parked
from worker.runtime.residents import Residents
from worker.runtime.roster import BATCH, IN_SERVICE, Arrival, Candidate, Roster

MOST_KNOWN: Final = 5_000
"""So many are known at most: those in service, and those that rest and wait for a commit."""

REFILL: Final = 100
"""Others come into service when there is room for so many: they are read from the log together."""

Run = Callable[..., Awaitable[Any]]
"""Calls a function in the IO pool."""


class Pool(Protocol):
    """Serves the partitions that are in service."""

    parked: dict[str, Parked]

    async def serve(self, planner: PartitionPlanner, parked: Parked | None = None) -> None: ...
    async def wake(self) -> None: ...
    def forget(self, partition: str) -> None: ...


class Party(Protocol):
    """Who works on the pages of partitions, and keeps something of each."""

    def enter(self, arrival: Arrival) -> None: ...
    def leave(self, partition: str) -> None: ...
    def all_found(self) -> None: ...


@dataclass(slots=True)
class _Known:
    planner: PartitionPlanner
    values: Mapping[str, str]
    rests: bool = False
    workers: int = 0


class Registry:
    """See the module.

    Args:
        party: is told who comes into service and who leaves it.
        once: the run ends when everybody was served.

    Attributes:
        residents: who has pages that are not committed.
        failure: what ended the search; None where nothing did.
        done: how many partitions were served and rest without a time.
    """

    def __init__(
        self,
        roster: Roster,
        residents: Residents,
        party: Party,
        run: Run,
        *,
        still_parked: Callable[[Due], Parked | None],
        once: bool,
    ) -> None:
        self.residents, self.done = residents, 0
        self.failure: WorkerError | None = None
        self._roster, self._party, self._run, self._once = roster, party, run, once
        self._still_parked = still_parked
        self._known: dict[str, _Known] = {}
        self._resting = 0
        self._pool: Pool | None = None
        self._feeding = True
        self._room = asyncio.Event()
        residents.settled = self._settled

    def __repr__(self) -> str:
        return f"<Registry known={len(self._known)} resting={self._resting} {self._roster!r}>"

    @property
    def count(self) -> int:
        """Values of the list that were met."""
        return self._roster.count

    @property
    def may_bring(self) -> bool:
        """Whether further partitions may come into service, or some of those that rest."""
        return self._feeding

    # -- who comes --------------------------------------------------------------------------------

    async def feed(self, pool: Pool, workers: Iterable[asyncio.Task[None]]) -> None:
        """Brings partitions into service as long as there may be any."""
        try:
            await self._feed(pool)
        except WorkerError as error:
            self.failure = error
            for worker in workers:
                worker.cancel()
        self._feeding = False
        await pool.wake()

    async def _feed(self, pool: Pool) -> None:
        roster = self._roster
        while True:
            if roster.spec.news.is_set():
                roster.heard()
            if roster.is_new:
                await self._run(roster.refuse_unfit)
            if (room := self._space) < REFILL:
                await self._wait(roster.spec.news, None)
                continue
            for candidate in await self._strangers(pool, room):
                await self._bring(pool, candidate)
            if roster.has_left:
                continue
            self._party.all_found()
            if self._once:
                return
            await self._wait(roster.spec.news, roster.wait_s)

    @property
    def _space(self) -> int:
        serving = len(self._known) - self._resting
        return min(IN_SERVICE - serving, MOST_KNOWN - len(self._known), BATCH)

    async def _strangers(self, pool: Pool, room: int) -> list[Arrival]:
        """Who comes into service now; what it means for those who are known is seen to."""
        candidates: list[Candidate] = await self._run(self._roster.candidates, room)
        strangers = [each for each in candidates if each.name not in self._known]
        for candidate in candidates:
            if (known := self._known.get(candidate.name)) is not None:
                await self._meet(pool, known, candidate)
        arrivals: list[Arrival] = await self._run(self._roster.arrivals, strangers)
        return arrivals

    async def _meet(self, pool: Pool, known: _Known, candidate: Candidate) -> None:
        """Somebody who is known may be due again."""
        if self._roster.spec.by_change:
            known.planner.ask_for(candidate.child.digest)
        if known.rests and (candidate.woken or known.planner.asks_again):
            known.rests = False
            self._resting -= 1
            await pool.serve(known.planner)

    async def _bring(self, pool: Pool, arrival: Arrival) -> None:
        self._known[arrival.claim.partition] = _Known(arrival.planner, arrival.values)
        self._party.enter(arrival)
        await pool.serve(arrival.planner, self._still_parked(arrival.claim.due))

    async def _wait(self, news: asyncio.Event, wait_s: float | None) -> None:
        """Until something is heard of the list, there is room again, or so many seconds."""
        self._room.clear()
        waits = [asyncio.ensure_future(each.wait()) for each in (news, self._room)]
        try:
            await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    # -- who rests --------------------------------------------------------------------------------

    def taken(self, partition: str) -> None:
        """A worker serves the partition."""
        if (known := self._known.get(partition)) is not None:
            known.workers += 1

    def left(self, partition: str) -> None:
        """A worker has served it."""
        if (known := self._known.get(partition)) is not None:
            known.workers -= 1
            if self.residents.is_settled(partition):
                self._settled(partition)

    def is_resting(self, partition: str) -> bool:
        """Whether the partition has nothing to ask for."""
        known = self._known.get(partition)
        return known is not None and known.rests

    def rests(self, pool: Pool, planner: PartitionPlanner, until: float | None) -> bool:
        """A partition has nothing to ask for, until a monotonic second or a change.

        False for one that was not found, which stays.
        """
        known = self._known.get(planner.partition)
        if known is None:
            return False
        self._pool = pool
        if not known.rests:
            known.rests = True
            self._resting += 1
        by_change = self._roster.spec.by_change
        parked = planner.partition in pool.parked
        if until is not None and (not by_change or parked or planner.asks_again):
            self._roster.rest(known.values, until)
        else:
            self.done += 1
        self._room.set()
        return True

    def _settled(self, partition: str) -> None:
        """Everything of a partition is committed."""
        known = self._known.get(partition)
        if known is None or not known.rests or known.workers:
            return
        del self._known[partition]
        self._resting -= 1
        self._party.leave(partition)
        if self._pool is not None:
            self._pool.forget(partition)
        self._room.set()
