"""The last of a pipeline's three tasks: open files collect chunks until a commit publishes them.

When to commit is decided only here, and there is one commit at a time, in order. A commit can be
cut only where a part of a page carries progress, which is at the end of the page: files hold
exactly the records between the cursors of two commits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, NamedTuple, Protocol

from worker.core.cursor import Cursor
from worker.core.dead_letter import Rejection
from worker.core.errors import WorkerError
from worker.core.events import (
    CommitPublished,
    CommitsForgotten,
    DeadLettersExpired,
    Emit,
    ManyFiles,
    NothingKept,
    RetentionFailed,
)
from worker.core.found import Found
from worker.core.instants import rfc3339_at
from worker.core.meter import Backlog, StageTimes, Totals
from worker.core.model import (
    Chunk,
    Claim,
    CommitRow,
    Ledger,
    PartitionEnd,
    Progress,
    ProgressSum,
    Reject,
)
from worker.core.news import ends_what_is_durable, has_moved
from worker.core.ports import Clock, Outputs
from worker.resilience.quality import QualityWatch
from worker.runtime.budget import Hold
from worker.runtime.channel import Channel, Closed
from worker.runtime.committer import Committer
from worker.runtime.flow import Shaped
from worker.runtime.io_pool import InOrder
from worker.runtime.keeper import Keeper
from worker.runtime.residents import Residents
from worker.runtime.roll import RollSpec, RollState

TO_BE_FOUND: Final = "@found"
"""Stands for the partitions that are still to be found, where shares of rejects are judged."""
MOST_PARTITIONS: Final = 2_000
"""A commit that has as many partitions is made at once: what each has is kept in memory until then.
"""
MOST_FOUND: Final = 10_000
"""The like for values that were found for other pipelines."""
MANY_FILES: Final = 200
"""Files of one commit from which on a warning names what makes so many."""


class DeadLetterLine(Protocol):
    """Makes the line of a reject, newline included.

    Called in the IO pool, once for each reject.
    """

    def __call__(self, reject: Reject, of: Rejection) -> bytes: ...


class Held(NamedTuple):
    """A part of a page, and the memory that it holds until it is written."""

    part: Shaped
    hold: Hold


Passed = Callable[[str, int, int], None]
"""Is told of a pass that is over and left no records to be committed: the partition, its number,
and the number of the last pass that is over in the commit log."""


@dataclass(frozen=True, slots=True)
class WriterSpec:
    """What a writer knows of its pipeline.

    Attributes:
        pipeline: its name.
        roll: when to commit.
        dead_letter: makes the line of a reject.
        schema_fingerprint: of the schema that records are decoded with; it is in each dead letter.
        marks_are_instants: whether marks are times, so that they can be behind the time of now.
        max_reject_ratio: a greater share of rejects ends the attempt with TooManyRejects; 1: no
            share does.
        reject_window: how many of the last records that share is taken of.
        once: the run ends when every pass is done.
        values: those of each partition, by its name.
    """

    pipeline: str
    roll: RollSpec
    dead_letter: DeadLetterLine
    schema_fingerprint: str
    marks_are_instants: bool = False
    max_reject_ratio: float = 1.0
    reject_window: int = 1_000
    once: bool = False
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Durable:
    """Where a partition stands in the commit log; `seq` guards its next commit."""

    seq: int
    cursor: Cursor


@dataclass(slots=True)
class Staged:
    """What was taken since the last commit and is not in the commit log, and what became of the
    records.

    Attributes:
        steps: of partitions that have moved, or have records in open files.
        found: values for lists that other pipelines read, by the partition that brought them and by
            the list.
        found_count: how many of them came.
        filled: partitions that have records in open files.
        ended: whether a pass, of which a part is committed, has ended since then.
        ledger: of the records that nobody was told of yet.
        told: of those that made no file, and that were told of already.
    """

    steps: dict[str, ProgressSum] = field(default_factory=dict)
    found: dict[str, dict[str, dict[str, Found]]] = field(default_factory=dict)
    found_count: int = 0
    filled: set[str] = field(default_factory=set)
    ended: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    told: Ledger = field(default_factory=Ledger)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, part: Shaped, durable: Durable) -> None:
        """Takes a part of a page; `durable` is where its partition stands in the commit log."""
        self.ledger += part.ledger
        self.rejected.update(reject.code for reject in part.rejects)
        if part.ledger.sent or part.ledger.dead_lettered:
            self.filled.add(part.partition)
        if part.found:
            self.found_count += len(part.found)
            lists = self.found.setdefault(part.partition, {})
            for each in part.found:
                lists.setdefault(each.list, {})[each.value] = each
        if part.progress is not None:
            self._move(part.partition, part.progress, durable.cursor)

    def _move(self, partition: str, progress: Progress, durable: Cursor) -> None:
        if (step := self.steps.get(partition)) is None:
            self.steps[partition] = step = ProgressSum(progress)
        else:
            step.add(progress)
        self.ended |= ends_what_is_durable(durable, step)
        if partition not in self.filled and not has_moved(durable, step):
            del self.steps[partition]

    def tell(self) -> Ledger:
        """The ledger of what nobody was told of yet; now somebody is."""
        untold, self.ledger = self.ledger, Ledger()
        self.told += untold
        return untold


class Writer:
    """Collects chunks in files and commits them with the cursors."""

    def __init__(
        self,
        spec: WriterSpec,
        *,
        claims: Mapping[str, Claim],
        committer: Committer,
        keeper: Keeper,
        outputs: Outputs,
        io: InOrder,
        clock: Clock,
        emit: Emit,
        totals: Totals,
        backlog: Backlog,
        times: StageTimes,
        passed: Passed,
        residents: Residents | None = None,
        announce: Callable[[], None] | None = None,
    ) -> None:
        self._spec, self._committer, self._keeper, self._io = spec, committer, keeper, io
        self._passed, self._residents, self._announce = passed, residents, announce
        self._records, self._dead_letters = outputs.sinks
        self._clock, self._emit = clock, emit
        self._totals, self._backlog, self._times = totals, backlog, times
        self._durable = {name: Durable(claim.seq, claim.cursor) for name, claim in claims.items()}
        self._roll = RollState(spec.roll)
        self._quality = QualityWatch(
            spec.max_reject_ratio,
            spec.reject_window,
            [name for name, claim in claims.items() if not claim.cursor.complete]
            + ([TO_BE_FOUND] if residents is not None else []),
        )
        self._pass_no = {name: claim.cursor.pass_no for name, claim in claims.items()}
        self._staged = Staged()
        self._mid_page = False

    async def write(self, shaped: Channel[Held]) -> None:
        """Runs until the channel is closed; then commits what is staged.

        Raises the error that the channel was closed with, after that commit.
        """
        with self._times.working():
            while True:
                try:
                    with self._times.idle():
                        held, weight = await shaped.get(self._patience_s())
                except TimeoutError:
                    await self._waited()
                    continue
                except Closed as closed:
                    await self._finish(closed.error)
                    return
                await self._stage(held.part)
                held.hold.release()
                await shaped.release(weight)
                if not self._mid_page and (trigger := self._due()):
                    await self._commit(trigger)

    def enter(self, claim: Claim) -> None:
        """Pages of a partition that was found may come from now on."""
        self._durable[claim.partition] = Durable(claim.seq, claim.cursor)
        self._pass_no[claim.partition] = claim.cursor.pass_no

    def leave(self, partition: str) -> None:
        """No more pages of it come, and nothing of it waits for a commit."""
        del self._durable[partition], self._pass_no[partition]

    def all_found(self) -> None:
        """No further partition is going to be found soon."""
        self._quality.is_read(TO_BE_FOUND)

    def lag_s(self, wall: float) -> float | None:
        """How far the mark of the slowest partition is behind `wall`, in seconds since 1970.

        None where marks are no instants.
        """
        if not self._spec.marks_are_instants:
            return None
        moved = {
            name: step.cursor.mark
            for name, step in self._staged.steps.items()
            if name not in self._staged.filled
        }
        marks = (moved.get(name, each.cursor.mark) for name, each in self._durable.items())
        oldest = min((mark for mark in marks if isinstance(mark, int)), default=None)
        return None if oldest is None else wall - oldest / 1e6

    def _patience_s(self) -> float | None:
        """Seconds until age is due, or until old dead letters are looked for; nothing is cut in the
        middle of a page.
        """
        deadline = self._roll.deadline
        if deadline is None or self._mid_page:
            return self._keeper.patience_s()
        return max(deadline - self._clock.monotonic(), 0.0)

    async def _waited(self) -> None:
        """Nothing came for as long as `_patience_s` says."""
        if self._roll.deadline is None or self._mid_page:
            await self._forget()
        else:
            await self._commit("age")

    def _due(self) -> str:
        """What triggers a commit at this position, or the empty string."""
        if trigger := self._roll.due(self._clock.monotonic()):
            return trigger
        if self._staged.ended and not self._staged.filled:
            return "pass"  # or the next commit would be made within a pass, and so would all others
        if len(self._staged.steps) >= MOST_PARTITIONS or self._staged.found_count >= MOST_FOUND:
            return "partitions"
        return "files" if self._records.full or self._dead_letters.full else ""

    async def _stage(self, part: Shaped) -> None:
        """Writes a part of a page to the open files. Raises TooManyRejects before that."""
        self._quality.add(part.looked_at, part.rejects)
        if part.progress is not None:
            self._quality.end_page(part.partition, pass_over=part.pass_over)
        if (chunks := self._not_collected(part.chunks)) or part.rejects:
            await self._io(self._put, chunks, part)
        self._staged.add(part, self._durable[part.partition])
        self._mid_page = part.progress is None
        if self._staged.filled:
            records = part.ledger.sent + part.ledger.dead_lettered
            self._roll.add(records, self._clock.monotonic())
        if part.progress is not None:
            await self._page_staged(part, part.progress)

    async def _page_staged(self, part: Shaped, progress: Progress) -> None:
        """The last part of a page is staged."""
        self._pass_no[part.partition] = progress.cursor.pass_no
        if part.pass_over and part.group is not None and self._staged.filled and not self._finds:
            await self._io(self._records.leave, min(self._pass_no.values()))
        self._backlog.staged()
        if not (self._staged.filled or self._staged.ended):
            self._settle()
        if part.pass_over and part.partition not in self._staged.filled:
            self._rests(part.partition, progress.cursor)
        if self._residents is not None:  # last: it may be let go of
            self._residents.staged(part.partition, waits=part.partition in self._staged.steps)

    @property
    def _finds(self) -> bool:
        """Whether partitions are found, which may begin with any pass at any time."""
        return self._residents is not None

    def _settle(self) -> None:
        """At the end of a page, while nothing waits for a file: what came is done with. At most
        cursors have moved, and a kill costs no more than that it is asked for again.
        """
        self._backlog.durable()
        if (ledger := self._staged.tell()) != Ledger():
            self._totals.ledger += ledger
            self._emit(NothingKept(self._spec.pipeline, ledger))
        if self._staged.steps:
            self._roll.move(self._clock.monotonic())
        else:
            self._staged = Staged()
            self._roll.reset()

    def _rests(self, partition: str, cursor: Cursor) -> None:
        """A pass is over that left no records to be committed. A restart need not repeat it before
        the next one is due.
        """
        self._passed(partition, cursor.pass_no - 1, self._durable[partition].cursor.pass_no - 1)

    def _not_collected(self, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        """What is left to be written, from the first chunk on that the sink did not collect:
        records of a file stay in order.
        """
        for number, chunk in enumerate(chunks):
            if not self._records.collect(chunk):
                return chunks[number:]
        return ()

    def _put(self, chunks: Sequence[Chunk], part: Shaped) -> None:
        """In the IO pool."""
        for chunk in chunks:
            self._records.write(chunk)
        if part.rejects:
            self._dead_letters.write(self._letters(part))

    def _letters(self, part: Shaped) -> Chunk:
        fingerprint = self._spec.schema_fingerprint
        of = Rejection(
            pipeline=self._spec.pipeline,
            partition=part.partition,
            seq=self._committer.next_seq,
            position=part.position,
            at=rfc3339_at(self._clock.time()),
            fingerprint=fingerprint,
            values=self._spec.values.get(part.partition, {}),
        )
        lines = [self._spec.dead_letter(reject, self._from(reject, of)) for reject in part.rejects]
        return Chunk(route="", fingerprint=fingerprint, rows=len(lines), data=b"".join(lines))

    def _from(self, reject: Reject, of: Rejection) -> Rejection:
        """Of what a replay brings again, the partition that it came from first."""
        if not reject.origin:
            return of
        return of._replace(partition=reject.origin, values=self._spec.values.get(reject.origin, {}))

    async def _finish(self, error: BaseException | None) -> None:
        judged = self._spec.once and error is None
        if judged:
            self._quality.end_run()
        await self._commit("end" if error is None else "failure")
        if self._keeper.patience_s() == 0.0:
            await self._forget()
        if error is not None:
            raise error
        if judged:
            self._quality.refuse_none_left()

    async def _commit(self, trigger: str) -> None:
        """One commit of everything staged, if it says anything new.

        Cancelling never tears it: the job is awaited, and what it committed counts.
        """
        staged = self._staged
        if not staged.steps:
            self._begin_anew()
            return
        started, ends, made = self._clock.monotonic(), self._ends(), list[CommitRow]()
        try:
            await self._io(self._commit_to, made, ends, staged.told + staged.ledger)
        finally:
            for commit in made:
                for end in ends:
                    self._durable[end.partition] = Durable(commit.seq, end.progress.cursor)
                self._report(commit, started, trigger)
                self._begin_anew()
                self._tell(ends)
        await self._forget()

    def _tell(self, ends: Sequence[PartitionEnd]) -> None:
        """Whoever waits for what is committed now."""
        if self._residents is not None:
            self._residents.committed(end.partition for end in ends)
        if self._announce is not None and any(
            end.progress.found or end.progress.list_over for end in ends
        ):
            self._announce()

    def _commit_to(
        self, made: list[CommitRow], ends: Sequence[PartitionEnd], ledger: Ledger
    ) -> None:
        """In the IO pool."""
        made.append(self._committer.commit(ends, ledger))

    def _begin_anew(self) -> None:
        """Nothing is staged any more."""
        self._staged = Staged()
        self._backlog.durable()
        self._roll.reset()

    async def _forget(self) -> None:
        """Now and then old commits are forgotten, and old dead letters removed. That they could not
        be holds nothing up.
        """
        try:
            kept = await self._io(self._keeper.now_and_then)
        except WorkerError as error:
            self._emit(RetentionFailed(self._spec.pipeline, str(error)))
        else:
            if kept.expired:
                self._emit(DeadLettersExpired(self._spec.pipeline, kept.expired))
            if kept.pruned or kept.checkpoint:
                self._emit(CommitsForgotten(self._spec.pipeline, kept.pruned, kept.checkpoint))

    def _ends(self) -> Sequence[PartitionEnd]:
        return [
            PartitionEnd(
                partition=name,
                expected_seq=self._durable[name].seq,
                progress=self._with_found(name, step.total()),
            )
            for name, step in self._staged.steps.items()
        ]

    def _with_found(self, partition: str, step: Progress) -> Progress:
        lists = self._staged.found.pop(partition, None)
        if lists is None:
            return step
        return replace(step, found=tuple(chain.from_iterable(map(dict.values, lists.values()))))

    def _report(self, commit: CommitRow, started: float, trigger: str) -> None:
        now = self._clock.monotonic()
        files, size_bytes = len(commit.files), sum(file.size_bytes for file in commit.files)
        ledger = self._staged.ledger
        self._totals.add(ledger, files=files, size_bytes=size_bytes)
        self._emit(
            CommitPublished(
                pipeline=self._spec.pipeline,
                seq=commit.seq,
                files=files,
                ledger=ledger,
                size_bytes=size_bytes,
                seconds=now - started,
                lag_s=self._backlog.oldest_s(now),
                trigger=trigger,
                rejected=dict(self._staged.rejected),
            )
        )
        if files > MANY_FILES:
            self._emit(ManyFiles(self._spec.pipeline, commit.seq, files))
