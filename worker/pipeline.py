"""One pipeline: read -> process -> write -> commit. Read this file first.

    _read     fetch workers: request, decode once, accept in order
              channel 1, weighed by body bytes
    _process  shape: validate the rest, transform, route, encode
              channel 2, weighed by chunk bytes
    write     open files collect chunks; roll -> seal -> COMMIT -> publish (worker/writer.py)

An *attempt* is one run of these three from the commit log. A source that fails closes channel 1
with its error: what was received before is still shaped, written and committed, then the error
decides. Whatever needs a redo (a failed fsync, a fence, a bug) ends the attempt instead: the tasks
stop, the commit job in progress is awaited, staging is discarded, and the next attempt starts from
the commit log again. A restart after SIGKILL is the same code.

The channels carry `Page` (accepted by its planner) and `Shaped` (ready to write). Both close at the
end of what they carry, so the end of the source, a failure of it and a stop walk down the pipeline
behind the last page: nothing needs to be told twice.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Final

import msgspec

from worker.core.errors import WorkerError, deciding_error
from worker.core.events import Emit, ForeignStaging, NothingToDo, RecordsDiscarded
from worker.core.found import FILE, Found
from worker.core.meter import Backlog, Reading, StageTimes, Totals
from worker.core.model import ChainState, Claim, Due
from worker.core.ports import Clock, CommitHistory, CommitLog, Outputs
from worker.core.roots import area_of
from worker.paging.due import next_pass, not_before, worth_keeping
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import PagingSpec
from worker.runtime.budget import Budget, Share
from worker.runtime.channel import Channel, Closed
from worker.runtime.committer import Committer
from worker.runtime.expiry import Expiry
from worker.runtime.fetch import REPROBE_CAP_S, Fetcher, FetchPool, Page
from worker.runtime.flow import Flow
from worker.runtime.io_pool import InOrder, IoPool
from worker.runtime.keeper import Keeper
from worker.runtime.parked import Parked
from worker.runtime.registry import Registry
from worker.runtime.residents import Residents
from worker.runtime.roster import Arrival, Roster, RosterSpec
from worker.runtime.timetable import Timetable
from worker.writer import Held, Writer, WriterSpec

FILE_BATCH: Final = 1_000
"""So many values of a file are kept in one transaction."""


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """What a pipeline is, wired by `worker.wiring`.

    Attributes:
        name: of the pipeline.
        partitions: names of the partitions of its source.
        fingerprint: what the meaning of its cursors rests on, for the commit log to compare.
        paging: what the planners of its partitions have in common.
        fetcher: makes one request.
        flow: shapes a page.
        writer: what the writer needs to know.
        outputs: makes where an attempt writes, for the chain that it has claimed.
        output_schema: JSON text of the schema of the files.
        compatibility_check: is given the schemas of committed files, the newest last; raises
            IncompatibleSchema when the output schema may not follow them.
        name_check: is given the log; raises PipelineRenamed where the pipeline has another name in
            it, as far as that can be known.
        budget: the memory that it shares with the other pipelines.
        cap_bytes: what its pages may hold of it; None: what the others leave.
        concurrency: requests at a time, besides a few that hang.
        may_repeat: whether a request that hangs may be given up and made again.
        once: whether the run ends when every pass is done.
        patience_s: how long a source may keep a partition waiting, with `once`.
        keep_s: how long the log keeps a commit.
        expiry: makes what removes dead letters that are too old; None where they are kept.
        spending: how far its rate limits are used: limit -> (used, allowed).
        lists: what other pipelines look for in its records.
        announce: tells them of a commit that has brought some.
        found: where its partitions are found; None where they are listed.
        file: the values of a file, where they are found in one.
        values: the values of each partition, by its name; those that are found come and go.
    """

    name: str
    partitions: tuple[str, ...]
    fingerprint: Mapping[str, str]
    paging: PagingSpec
    fetcher: Fetcher
    flow: Flow
    writer: WriterSpec
    outputs: Callable[[ChainState], Outputs]
    output_schema: str
    compatibility_check: Callable[[Sequence[str]], None]
    name_check: Callable[[CommitHistory], None]
    budget: Budget
    cap_bytes: int | None
    concurrency: int
    may_repeat: bool
    once: bool
    patience_s: float
    keep_s: float
    expiry: Callable[[CommitLog], Expiry] | None = None
    spending: Callable[[], Mapping[str, tuple[float, float]]] = dict
    lists: tuple[str, ...] = ()
    announce: Callable[[], None] | None = None
    found: RosterSpec | None = None
    file: Callable[[], Iterator[Found]] | None = None
    values: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """What an attempt begins with: the partitions it owns, and where their records go.

    Attributes:
        epoch: of the chain from now on.
        area: the directory below an output that holds what is not published.
        foreign: nonces of owners that left something in staging, and that this state never had.
    """

    claims: Mapping[str, Claim]
    epoch: int
    committer: Committer
    keeper: Keeper
    outputs: Outputs
    area: str
    foreign: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Party:
    """Who keeps something of each partition in service, where partitions are found."""

    writer: Writer
    timetable: Timetable
    values: dict[str, dict[str, str]]

    def enter(self, arrival: Arrival) -> None:
        partition = arrival.claim.partition
        self.values[partition] = dict(arrival.values)
        self.writer.enter(arrival.claim)
        self.timetable.enter(partition, arrival.claim.due)

    def leave(self, partition: str) -> None:
        self.writer.leave(partition)
        self.timetable.leave(partition)
        del self.values[partition]

    def all_found(self) -> None:
        self.writer.all_found()


class Pipeline:
    """Runs attempts, one at a time.

    Attributes:
        totals: what all attempts of this run did.
        pool: the fetch pool of the attempt in progress, or of the last one.
    """

    def __init__(
        self, spec: PipelineSpec, log: CommitLog, io: IoPool, clock: Clock, emit: Emit
    ) -> None:
        self.spec = spec
        self.totals = Totals()
        self.pool: FetchPool | None = None
        self._log, self._io, self._clock, self._emit = log, io, clock, emit
        self._owner = secrets.token_hex(8)
        self._epoch: int | None = None
        self._times = {
            "read": StageTimes(clock.monotonic, spec.concurrency),
            "process": StageTimes(clock.monotonic),
            "write": StageTimes(clock.monotonic),
        }
        self._backlog = Backlog()
        self._queues: dict[str, Channel[Any]] = {}
        self._writer: Writer | None = None
        self._registry: Registry | None = None
        self._calls: InOrder | None = None
        self._progress_at = clock.monotonic()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def parent(self) -> str:
        """The pipeline in whose records its partitions are found; empty where they are not."""
        found = self.spec.found
        return "" if found is None or found.parent == self.name else found.parent

    # -- an attempt -------------------------------------------------------------------------------

    async def attempt(self, stop: asyncio.Event, drain_deadline: asyncio.Event) -> None:
        """One run from the commit log to the end of the source, or to `stop`.

        After `drain_deadline` no other page is shaped: what is staged then is committed, the rest
        is discarded. Raises what ended it: a WorkerError, or an ExceptionGroup from its tasks.
        """
        self._calls = io = self._io.in_order()
        opened = await io(self._open)
        share = self.spec.budget.share(self.spec.cap_bytes)
        try:
            await self._run(opened, share, io, stop, drain_deadline)
        finally:
            share.close()
            self._discard()
            await io(opened.committer.close)

    def _open(self) -> Opened:
        """In the IO pool: load, check the schema of the files, claim, recover.

        What is wrong with the config shows before anybody is fenced; what is left to publish or to
        sweep is looked at when nobody else can commit any more.
        """
        seen = self._log.load(self.name, self.spec.fingerprint)
        self.spec.compatibility_check(seen.schemas)
        self.spec.name_check(self._log)
        claimed = self._log.claim(
            self.name, self.spec.partitions, owner=self._owner, held=self._epoch
        )
        self._epoch = claimed.chain.epoch
        self._keep_lists()
        outputs = self.spec.outputs(claimed.chain)
        committer = Committer(
            self._log, outputs, claimed.chain, self.spec.output_schema, self.spec.fingerprint
        )
        foreign = committer.recover()
        keeper = Keeper(
            self._log,
            outputs.commits,
            claimed.chain,
            self._clock,
            keep_s=self.spec.keep_s,
            expiry=self.spec.expiry and self.spec.expiry(self._log),
        )
        return Opened(
            claimed.partitions,
            claimed.chain.epoch,
            committer,
            keeper,
            outputs,
            area=area_of(claimed.chain),
            foreign=foreign,
        )

    def _keep_lists(self) -> None:
        """In the IO pool: what is looked for in the records, and what a file has."""
        spec = self.spec
        if spec.lists:
            self._log.keep_lists(self.name, spec.lists)
        if spec.file is not None:
            stands = self._log.standings(self.name, FILE).get(FILE)
            pass_no = 1 if stands is None else stands.ended + 1
            values = (msgspec.structs.replace(each, pass_no=pass_no) for each in spec.file())
            while batch := list(islice(values, FILE_BATCH)):
                self._log.keep_found(self.name, batch)
            self._log.keep_found(self.name, (), list_over=pass_no)

    async def _run(
        self,
        opened: Opened,
        share: Share,
        io: InOrder,
        stop: asyncio.Event,
        drain_deadline: asyncio.Event,
    ) -> None:
        """The three tasks, from the claims to the last commit."""
        if opened.foreign:
            self._emit(ForeignStaging(self.name, opened.foreign, f"{opened.area}/staging"))
        self._report_complete(opened.claims)
        pages: Channel[Page] = Channel(share.ahead_bound)
        shaped: Channel[Held] = Channel(share.ahead_bound)
        self._queues = {"pages": pages, "shaped": shaped}
        timetable = self._timetable(opened.claims, io)
        residents = None if self.spec.found is None else Residents()
        self._writer = writer = self._new_writer(opened, io, timetable, residents)
        registry = None
        if residents is not None:
            party = _Party(writer, timetable, self.spec.values)
            registry = self._new_registry(opened, residents, party, io)
        self._registry = registry
        self.pool = pool = self._fetch_pool(opened.claims, pages, share, timetable, registry)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(pool, pages, stop), name=f"{self.name}.read")
            processing = self._process(pages, shaped, drain_deadline)
            group.create_task(processing, name=f"{self.name}.process")
            group.create_task(writer.write(shaped), name=f"{self.name}.write")
        await timetable.save()

    async def _read(self, pool: FetchPool, pages: Channel[Page], stop: asyncio.Event) -> None:
        await pool.run(stop)
        failures = [parked.error for parked in pool.parked.values()] if self.spec.once else []
        if (registry := self._registry) is not None:
            failures += [] if registry.failure is None else [registry.failure]
            if not failures and not stop.is_set():
                self._report_nobody(registry)
        await pages.close(deciding_error(failures))

    async def _process(
        self, pages: Channel[Page], shaped: Channel[Held], drain_deadline: asyncio.Event
    ) -> None:
        times = self._times["process"]
        with times.working():
            while not drain_deadline.is_set():
                try:
                    with times.idle():
                        page, weight = await pages.get()
                except Closed as closed:
                    await shaped.close(closed.error)
                    return
                for part in self.spec.flow.shape(page.partition, page.accepted):
                    with times.blocked():
                        reserved = await shaped.reserve(part.weight)
                    held = Held(part, page.hold.take(part.weight))
                    await shaped.put(held, part.weight, reserved_bytes=reserved)
                    await asyncio.sleep(0)
                page.hold.release()
                await pages.release(weight)
                self._progress_at = self._clock.monotonic()
            await shaped.close()

    def _timetable(self, claims: Mapping[str, Claim], io: InOrder) -> Timetable:
        return Timetable(
            {name: claim.due for name, claim in claims.items()},
            partial(io, self._log.keep_due, self.name),
            self._clock,
            once=self.spec.once,
            passes=worth_keeping(self.spec.paging),
        )

    def _fetch_pool(
        self,
        claims: Mapping[str, Claim],
        pages: Channel[Page],
        share: Share,
        timetable: Timetable,
        registry: Registry | None,
    ) -> FetchPool:
        planners = [self._planner(claim) for claim in claims.values()]
        for planner in planners:
            timetable.waits(planner.partition, planner.due)
        return FetchPool(
            planners,
            self.spec.fetcher,
            pages,
            share,
            timetable,
            parked=self._still_parked({name: claim.due for name, claim in claims.items()}),
            pipeline=self.name,
            concurrency=self.spec.concurrency,
            may_give_up=self.spec.may_repeat,
            once=self.spec.once,
            patience_s=self.spec.patience_s,
            clock=self._clock,
            emit=self._emit,
            times=self._times["read"],
            backlog=self._backlog,
            registry=registry,
        )

    def _planner(self, claim: Claim) -> PartitionPlanner:
        now, wall = self._clock.monotonic(), self._clock.time()
        due = next_pass(claim.due, claim.cursor, self.spec.paging, now=now, wall=wall)
        return PartitionPlanner(self.spec.paging, claim, due)

    def _still_parked(self, kept: Mapping[str, Due]) -> dict[str, Parked]:
        """Partitions that failed when they were asked last, before this attempt."""
        found = {name: self._still_parked_one(due) for name, due in kept.items()}
        return {name: parked for name, parked in found.items() if parked is not None}

    def _still_parked_one(self, due: Due) -> Parked | None:
        """What is known of a partition that failed, before this attempt."""
        if self.spec.once or not due.failures:
            return None
        now, wall = self._clock.monotonic(), self._clock.time()
        error = WorkerError(due.reason)
        error.code = due.code
        until = not_before(due, self.spec.paging, now=now, wall=wall, cap_s=REPROBE_CAP_S)
        return Parked(error, until, due.failures)

    def _new_writer(
        self, opened: Opened, io: InOrder, timetable: Timetable, residents: Residents | None
    ) -> Writer:
        return Writer(
            self.spec.writer,
            claims=opened.claims,
            committer=opened.committer,
            keeper=opened.keeper,
            outputs=opened.outputs,
            io=io,
            clock=self._clock,
            emit=self._emit,
            totals=self.totals,
            backlog=self._backlog,
            times=self._times["write"],
            passed=timetable.passed,
            residents=residents,
            announce=self.spec.announce,
        )

    def _report_complete(self, claims: Mapping[str, Claim]) -> None:
        """Why nothing is fetched, where everything was read once and there is no schedule."""
        once = self.spec.paging.schedule is None
        if once and claims and all(claim.cursor.complete for claim in claims.values()):
            self.totals.note = (
                "read once and complete; nothing was fetched "
                f"(`worker state reset --pipeline {self.name}` reads it again)"
            )
            self._emit(NothingToDo(self.name, self.totals.note))

    def _new_registry(
        self, opened: Opened, residents: Residents, party: _Party, io: InOrder
    ) -> Registry:
        found, paging = self.spec.found, self.spec.paging
        assert found is not None, "who has residents finds them"
        return Registry(
            Roster(found, self._log, paging, self._clock, epoch=opened.epoch),
            residents,
            party,
            io,
            still_parked=self._still_parked_one,
            once=self.spec.once,
        )

    def _report_nobody(self, registry: Registry) -> None:
        """Why nothing is fetched, where no partition was found."""
        if (found := self.spec.found) is not None and self.spec.once and not registry.count:
            place = "the file" if not self.parent else f"pipeline {self.parent}"
            self.totals.note = f"nothing to read: {place} has brought no value of {found.name} yet"
            self._emit(NothingToDo(self.name, self.totals.note))

    def _discard(self) -> None:
        """What was received and not committed is received again by the next attempt."""
        if self._backlog.records:
            self.totals.discarded += self._backlog.records
            self._emit(RecordsDiscarded(self.name, self._backlog.records))
        self._backlog, self._queues = Backlog(), {}

    # -- what it knows of itself ------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Records that are received and not durable."""
        return self._backlog.records

    def stalled_s(self) -> float:
        """For how long data has waited without a page having been shaped; 0 while none waits."""
        waiting = any(queue.used_bytes for queue in self._queues.values())
        return self._clock.monotonic() - self._progress_at if waiting else 0.0

    def call_in_progress(self) -> tuple[str, float] | None:
        """See `InOrder.in_progress`."""
        return None if self._calls is None else self._calls.in_progress()

    def reading(self, state: str) -> Reading:
        """What there is to see of the pipeline now; `state` is what its supervisor says."""
        pool, writer, now = self.pool, self._writer, self._clock.monotonic()
        registry = self._registry
        return Reading(
            pipeline=self.name,
            state=state,
            stages={stage: times.seconds() for stage, times in self._times.items()},
            in_flight=self.in_flight,
            oldest_s=self._backlog.oldest_s(now),
            queues={
                name: (queue.used_bytes, queue.bound_bytes) for name, queue in self._queues.items()
            },
            partitions=len(self.spec.partitions) if registry is None else registry.count,
            done=(0 if pool is None else len(pool.done)) + (registry.done if registry else 0),
            parked=0 if pool is None else len(pool.parked),
            lag_s=None if writer is None else writer.lag_s(self._clock.time()),
            limits=self.spec.spending(),
        )
