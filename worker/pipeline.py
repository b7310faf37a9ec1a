"""One pipeline: read -> process -> write -> commit. Read this file first.

    _read     fetch workers: request, decode once, accept in order        channel 1, weighed by body bytes
    _process  shape: validate the rest, route, encode                     channel 2, weighed by chunk bytes
    _write    open files collect chunks; roll -> seal -> COMMIT -> publish

An *attempt* is one run of these three from the commit log. A source that fails closes channel 1 with its error: what was
received before is still shaped, written and committed, then the error decides. Whatever needs a redo (a failed fsync, a fence,
a bug) ends the attempt instead: the tasks stop, the commit job in progress is awaited, staging is discarded, and the next
attempt starts from the commit log again. A restart after SIGKILL is the same code.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from worker.core.errors import Fenced, deciding_error, flatten
from worker.core.events import CommitPublished, Emit, ManyFiles, NothingToDo, RecordsDiscarded
from worker.core.meter import Backlog, Reading, StageTimes
from worker.core.model import Chunk, Claim, Ledger, PartitionEnd, Progress
from worker.core.ports import Clock, CommitLog, Sink
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import PagingSpec
from worker.resilience.quality import QualityWatch
from worker.runtime.channel import Channel, Closed
from worker.runtime.committer import Committer
from worker.runtime.fetch import Fetcher, FetchPool, Page
from worker.runtime.flow import Flow, Shaped
from worker.runtime.io_thread import IoThread
from worker.runtime.roll import RollSpec, RollState

T = TypeVar("T")
MANY_FILES: Final = 200


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """What a pipeline is, wired by `worker.wiring`.

    `sinks` makes (records, dead letters) sinks for a lineage and the next seq; `dead_letter` makes the line of a reject.
    `compatibility_check` is given the schemas of committed files, the newest at the end, and raises IncompatibleSchema when the output schema may not follow them.
    """

    name: str
    partitions: tuple[str, ...]
    fingerprint: Mapping[str, str]
    paging: PagingSpec
    flow: Flow
    fetcher: Fetcher
    sinks: Callable[[str, int], tuple[Sink, Sink]]
    dead_letter: Callable[..., bytes]
    schema_fingerprint: str
    output_schema: str
    compatibility_check: Callable[[Sequence[str]], None]
    roll: RollSpec
    channel_bytes: int
    concurrency: int
    once: bool
    patience_s: float
    max_reject_ratio: float | None = None
    reject_window: int = 1_000


@dataclass(slots=True)
class Totals:
    """What a pipeline did in this run, over all attempts; for the summary and /status."""

    ledger: Ledger = field(default_factory=Ledger)
    files: int = 0
    size_bytes: int = 0
    commits: int = 0
    discarded: int = 0
    note: str = ""


class Pipeline:
    """Runs attempts. Not reusable concurrently; `owned` shrinks when another owner claims a partition."""

    def __init__(self, spec: PipelineSpec, log: CommitLog, clock: Clock, emit: Emit) -> None:
        self.spec = spec
        self.totals = Totals()
        self.pool: FetchPool | None = None
        self.fenced: list[str] = []
        self.times = {
            "read": StageTimes(clock.monotonic, spec.concurrency),
            "process": StageTimes(clock.monotonic),
            "write": StageTimes(clock.monotonic),
        }
        self._progress_at = clock.monotonic()
        self._backlog = Backlog()
        self._queues: dict[str, Channel[Any]] = {}
        self._log, self._clock, self._emit = log, clock, emit
        self._writer: Writer | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    async def attempt(self, stop: asyncio.Event, drain_deadline: asyncio.Event) -> None:
        """One run from the commit log to the end of the source or `stop`; `drain_deadline` ends processing with what is committed.

        Raises what ended it: a WorkerError, or an ExceptionGroup from its tasks.
        """
        with ThreadPoolExecutor(1, thread_name_prefix=f"{self.name}.io") as executor:
            io = IoThread(executor)
            owned = [name for name in self.spec.partitions if name not in self.fenced]
            committer, claims, sinks = await io(self._open, owned)
            self._writer = writer = Writer(
                self.spec,
                committer,
                claims,
                sinks,
                io,
                self._clock,
                self._emit,
                self.totals,
                self._backlog,
                self.times["write"],
            )
            try:
                await self._run(claims, writer, stop, drain_deadline)
            except BaseException as error:
                self._note_fence(error)
                raise
            finally:
                self._discard()
                await io(committer.close)

    def _open(self, owned: Sequence[str]) -> tuple[Committer, dict[str, Claim], tuple[Sink, Sink]]:
        """Everything an attempt starts with, in the IO thread: state, recovery, the gate of schemas, claims."""
        state = self._log.load(self.name, self.spec.fingerprint)
        sinks = self.spec.sinks(state.lineage, state.seq + 1)
        committer = Committer(self._log, sinks, state, self.spec.output_schema)
        committer.recover()
        self.spec.compatibility_check(state.schemas)
        claims = self._log.claim(self.name, owned)
        return committer, claims, sinks

    def _discard(self) -> None:
        """What was received and not committed is read again by the next attempt."""
        if self._backlog.records:
            self.totals.discarded += self._backlog.records
            self._emit(RecordsDiscarded(self.name, self._backlog.records))
        self._backlog, self._queues = Backlog(), {}

    def _note_fence(self, error: BaseException) -> None:
        for cause in flatten(error):
            if isinstance(cause, Fenced):
                self.fenced += cause.partitions

    async def _run(
        self,
        claims: Mapping[str, Claim],
        writer: Writer,
        stop: asyncio.Event,
        drain_deadline: asyncio.Event,
    ) -> None:
        spec = self.spec
        planners = [PartitionPlanner(spec.paging, claim) for claim in claims.values()]
        pages: Channel[Page] = Channel(spec.channel_bytes)
        shaped: Channel[Shaped] = Channel(spec.channel_bytes)
        self.pool = FetchPool(
            planners,
            spec.fetcher,
            pages,
            pipeline=self.name,
            concurrency=spec.concurrency,
            once=spec.once,
            patience_s=spec.patience_s,
            clock=self._clock,
            emit=self._emit,
            times=self.times["read"],
            backlog=self._backlog,
        )
        self._say_if_complete(claims)
        self._queues = {"pages": pages, "shaped": shaped}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(self.pool, pages, stop), name=f"{self.name}.read")
            group.create_task(
                self._process(pages, shaped, drain_deadline), name=f"{self.name}.process"
            )
            group.create_task(writer.write(shaped), name=f"{self.name}.write")

    async def _read(self, pool: FetchPool, pages: Channel[Page], stop: asyncio.Event) -> None:
        await pool.run(stop)
        failures = [parked.error for parked in pool.parked.values()] if self.spec.once else []
        await pages.close(deciding_error(failures))

    async def _process(
        self, pages: Channel[Page], shaped: Channel[Shaped], drain_deadline: asyncio.Event
    ) -> None:
        times = self.times["process"]
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
                    await shaped.put(part, part.weight, reserved_bytes=reserved)
                    await asyncio.sleep(0)
                await pages.release(weight)
                self._progress_at = self._clock.monotonic()
            await shaped.close()

    def stalled_s(self) -> float:
        """How long data has been waiting without any page having been finished; 0 while nothing waits."""
        waiting = any(queue.used_bytes for queue in self._queues.values())
        return self._clock.monotonic() - self._progress_at if waiting else 0.0

    def reading(self, state: str) -> Reading:
        """What there is to see of the pipeline now; `state` is what its supervisor says."""
        pool, clock = self.pool, self._clock
        return Reading(
            self.name,
            state,
            {stage: times.seconds() for stage, times in self.times.items()},
            self._backlog.records,
            self._backlog.oldest_s(clock.monotonic()),
            {name: (queue.used_bytes, queue.bound_bytes) for name, queue in self._queues.items()},
            len(self.spec.partitions),
            0 if pool is None else len(pool.done),
            0 if pool is None else len(pool.parked),
            None if self._writer is None else self._writer.lag_s(clock.time()),
        )

    def _say_if_complete(self, claims: Mapping[str, Claim]) -> None:
        if claims and all(claim.cursor.complete for claim in claims.values()):
            self.totals.note = f"read once and complete; nothing was fetched (`worker state reset --pipeline {self.name}` reads it again)"
            self._emit(NothingToDo(self.name, self.totals.note))


class Writer:
    """Collects chunks in files and commits them with the cursors, one commit at a time, in order."""

    def __init__(
        self,
        spec: PipelineSpec,
        committer: Committer,
        claims: Mapping[str, Claim],
        sinks: tuple[Sink, Sink],
        io: IoThread,
        clock: Clock,
        emit: Emit,
        totals: Totals,
        backlog: Backlog,
        times: StageTimes,
    ) -> None:
        self._spec, self._committer, self._io, self._clock, self._emit, self._totals = (
            spec,
            committer,
            io,
            clock,
            emit,
            totals,
        )
        self._backlog, self._times = backlog, times
        self._records, self._dead_letters = sinks
        self._guards = {name: (claim.epoch, claim.seq) for name, claim in claims.items()}
        self._cursors = {name: claim.cursor for name, claim in claims.items()}
        self._roll = RollState(spec.roll)
        self._quality = QualityWatch(spec.max_reject_ratio, spec.reject_window)
        self._progress: dict[str, Progress] = {}
        self._ledger = Ledger()
        self._rejected: Counter[str] = Counter()
        self._mid_page = False

    def lag_s(self, wall: float) -> float | None:
        """How far the mark of the slowest partition is behind `wall` (seconds since 1970); None where marks are no instants."""
        incremental = self._spec.paging.incremental
        marks = (
            [cursor.mark for cursor in self._cursors.values()]
            if incremental is not None and incremental.format.is_instant
            else []
        )
        instants = [mark for mark in marks if isinstance(mark, int)]
        return wall - min(instants) / 1e6 if instants else None

    async def write(self, shaped: Channel[Shaped]) -> None:
        """Until the channel is closed; then commits what is staged and raises the error it was closed with."""
        with self._times.working():
            while True:
                try:
                    with self._times.idle():
                        part, weight = await shaped.get(self._patience())
                except TimeoutError:
                    await self._commit("age")
                    continue
                except Closed as closed:
                    await self._finish(closed.error)
                    return
                await self._stage(part)
                await shaped.release(weight)
                if not self._mid_page and (trigger := self._due()):
                    await self._commit(trigger)

    def _due(self) -> str:
        """What triggers a commit at this position, or the empty string."""
        return self._roll.due(self._clock.monotonic()) or (
            "files" if self._records.full or self._dead_letters.full else ""
        )

    async def _finish(self, error: BaseException | None) -> None:
        await self._commit("end" if error is None else "failure")
        await self._io(self._committer.settle)
        if error is not None:
            raise error

    def _patience(self) -> float | None:
        """Seconds until age is due; nothing is cut in the middle of a page."""
        deadline = self._roll.deadline
        if deadline is None or self._mid_page:
            return None
        return max(deadline - self._clock.monotonic(), 0.0)

    async def _stage(self, part: Shaped) -> None:
        self._quality.add(part.ledger.sent + part.ledger.dead_lettered, part.ledger.dead_lettered)
        if part.chunks or part.rejects:
            await self._io(self._put, part)
        self._ledger += part.ledger
        self._rejected.update(reject.code for reject in part.rejects)
        self._mid_page = part.progress is None
        if part.progress is not None:
            self._backlog.staged()
            earlier = self._progress.get(part.partition)
            self._progress[part.partition] = (
                part.progress if earlier is None else earlier.then(part.progress)
            )
        self._roll.add(part.ledger.sent + part.ledger.dead_lettered, self._clock.monotonic())

    def _put(self, part: Shaped) -> None:
        for chunk in part.chunks:
            self._records.write(chunk)
        if part.rejects:
            at = (
                datetime.fromtimestamp(self._clock.time(), UTC)
                .isoformat(timespec="milliseconds")
                .replace("+00:00", "Z")
            )
            lines = [
                self._spec.dead_letter(
                    reject,
                    pipeline=self._spec.name,
                    partition=part.partition,
                    seq=self._committer.next_seq,
                    position=part.position,
                    at=at,
                    fingerprint=self._spec.schema_fingerprint,
                )
                for reject in part.rejects
            ]
            self._dead_letters.write(
                Chunk("", self._spec.schema_fingerprint, len(lines), b"".join(lines))
            )

    async def _commit(self, trigger: str) -> None:
        """One commit of everything staged, if it says anything new. Cancelling never tears it: the job is awaited."""
        changed = {
            name: step
            for name, step in self._progress.items()
            if step.cursor != self._cursors[name] or step.boundary_added or step.tokens_added
        }
        if changed or self._ledger.received:
            started = self._clock.monotonic()
            ends = tuple(
                PartitionEnd(name, *self._guards[name], step)
                for name, step in self._progress.items()
            )
            commit = await self._io(self._committer.commit, ends, self._ledger)
            now = self._clock.monotonic()
            for name, step in self._progress.items():
                self._guards[name] = (self._guards[name][0], commit.seq)
                self._cursors[name] = step.cursor
            size = sum(file.size_bytes for file in commit.files)
            self._count(commit.ledger, len(commit.files), size)
            latency_s = self._backlog.oldest_s(now)
            rejected = dict(self._rejected)
            self._emit(
                CommitPublished(
                    self._spec.name,
                    commit.seq,
                    len(commit.files),
                    commit.ledger,
                    size,
                    now - started,
                    latency_s,
                    trigger,
                    rejected,
                )
            )
            if len(commit.files) > MANY_FILES:
                self._emit(ManyFiles(self._spec.name, commit.seq, len(commit.files)))
        self._progress, self._ledger, self._rejected = {}, Ledger(), Counter()
        self._backlog.durable()
        self._roll.reset()

    def _count(self, ledger: Ledger, files: int, size: int) -> None:
        totals = self._totals
        totals.ledger += ledger
        totals.files += files
        totals.size_bytes += size
        totals.commits += 1
