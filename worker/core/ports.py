"""The ports: small Protocols that adapters implement and `worker.wiring` connects.

The docstring of each method says when it is called and how often, what it may raise, and what the
caller does then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar, runtime_checkable

from worker.core.checkpoint import Checkpoint
from worker.core.cursor import Cursor
from worker.core.found import Child, Found, Standing
from worker.core.model import (
    ChainRow,
    ChainState,
    Chunk,
    Claim,
    Claimed,
    Commit,
    CommitRow,
    Decoded,
    Doubt,
    Due,
    EndRow,
    FieldError,
    PartitionEnd,
    PartitionRow,
    Prunable,
    Root,
    Snapshot,
    StagedFile,
)
from worker.core.roots import Sight

T = TypeVar("T")

SLICE_RECORDS: Final = 2_000
"""The most records that are worked on before the event loop may serve others."""

Steps = Generator[None, None, T]
"""Work in slices: it yields where the event loop may serve others, and returns its result. It is
pure: whoever exhausts it without a loop gets the same."""


class Clock(Protocol):
    """Time, injected so that tests own it. All units are seconds; `time` counts from 1970."""

    def monotonic(self) -> float: ...
    def time(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class SchemaNeeded(Exception):
    """A page has datums of a writer whose schema is not known yet.

    Raised by `Pages.decode`. The source fetches the schema by its id and decodes the page again.
    """

    def __init__(self, schema_id: int) -> None:
        super().__init__(schema_id)
        self.schema_id = schema_id


class InvalidRecord(Exception):
    """Why one record is refused, until whoever knows its page makes it a `Reject`.

    Raised by `Plan.one` and by what a transform or a route calls; caught by the decoder and by
    the compiled `Shape`. It never ends a page.

    Args:
        code: stable short reason, as in `Reject.code`.
        errors: the wrong fields.
        stage: `validate`, `transform` or `route`, as in `Reject.stage`.
    """

    def __init__(self, code: str, errors: tuple[FieldError, ...], stage: str = "validate") -> None:
        super().__init__(code)
        self.code, self.errors, self.stage = code, errors, stage


class Pages(Protocol):
    """Decodes the pages of one pipeline. Pure; called on the event loop."""

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page. Once per page, and again for each schema that it needs.

        Raises BadBody for a body that is no document (the request is tried again),
        RecordsMissing for a document without records where the config says they are and
        SchemaMismatch for data that cannot be read as the pipeline's schema (the partition
        parks), and SchemaNeeded.

        Args:
            body: the bytes of the page, or a map of the file that holds them.
            url: where it came from.
            received_us: when it came, in microseconds since 1970.
        """

    def weigh(self, body: Any) -> int:
        """Bytes of memory that a body and the page decoded of it will take together, about.

        Once per page, before it is decoded; in a small part of the time that takes.
        """


@runtime_checkable
class HeadedPages(Pages, Protocol):
    """Pages of which only the first one of a pass names its columns."""

    def behind(self, columns: tuple[str, ...]) -> Pages:
        """What decodes a page behind the first one, whose `Facts.columns` these are. Once per such
        page; without any where they are not known."""


class Room(Protocol):
    """The memory that a request may use."""

    async def receive(self, body_bytes: int) -> int:
        """Waits until so much of a body may be held. Once before the body is received, with its
        length as far as the answer says it, and again whenever more has come than was allowed.

        Returns how large the body may become until it is called again. Raises OverMemory for a body
        that can never be held (the partition parks), and Deferred for one that is to be asked for
        again when there is room. Whatever is raised, what has come must be let go of.

        Args:
            body_bytes: what has come, without compression.
        """

    async def decode(self, body_bytes: int, page_bytes: int) -> None:
        """Waits until a body that is here may be decoded. Once per answer with a page, before it
        is decoded. Whatever is raised, the body must be let go of.

        Raises OverMemory for a page that can never be held (the partition parks), and Deferred for
        one that is to be asked for again when there is room.

        Args:
            body_bytes: what the body takes.
            page_bytes: what the body and the decoded page take together.
        """


class Plan(Protocol):
    """A compiled schema. Pure and shared; called on the event loop with at most 2,000 records.

    Attributes:
        fingerprint: 16 hex digits, the CRC-64-AVRO of the canonical form.
        schema_json: what goes into `avro.schema` of a file.
        keep: puts what the schema lacks of a typed record, given its JSON text, into a field of it;
            None where it is dropped or refused. Raises msgspec.DecodeError and UnicodeDecodeError.
    """

    fingerprint: str
    schema_json: str
    keep: Callable[[Any, bytes], None] | None

    @property
    def record_type(self) -> Any:
        """The msgspec type of one JSON record, for the envelope of a page."""

    def decoder(self, form: Any) -> Callable[[Any], Any]:
        """What decodes JSON into a msgspec type that has `record_type` in it.

        Numbers in records keep their digits for decimals. Beside the records, a value whose type is
        `Any` may therefore hold numbers that are plain only after `plain_number`.
        """

    def finish(self, records: list[Any]) -> list[tuple[int, tuple[FieldError, ...]]]:
        """Completes the validation of typed records in place: what their types could not say.

        Text times become ints. Returns the index and the errors of each invalid record, in order.
        """

    def one(self, raw: bytes) -> Any:
        """Decodes and finishes one record from JSON bytes, slowly, or from the form that dead
        letters of Avro may have (worker/schema/stored.py).

        For records that the typed decode refused. Raises InvalidRecord with all field errors (the
        record becomes a `Reject`).
        """

    def encode(self, records: Sequence[Any]) -> bytes:
        """The Avro datums of finished records, one after the other."""

    def doubts(self) -> dict[str, Doubt]:
        """Path of a field -> the first of its times since the last call that is most likely counted
        in another unit than the schema's."""

    def keeps_digits(self, path: tuple[str, ...]) -> bool:
        """Whether numbers at a path, as `raw_column` has it, have all of their digits."""

    def raw_column(
        self, path: tuple[str, ...], *, known: bool = False
    ) -> Callable[[Sequence[Any]], list[Any]]:
        """What reads a path of JSON names of *unfinished* typed records, as they were received.

        Once per path, when the pipeline is built. The function returns MISSING for an absent
        value. The first name is a field or one of the `extra` names given to `compile_plan`. With
        `known`, numbers are what `known_number` makes of them.
        """


@dataclass(frozen=True, slots=True)
class Shaping:
    """What became of finished records.

    Attributes:
        chunks: (route, number of rows, encoded rows), once per route.
        refused: index in the given list and reason of each record that made no output record.
        filtered: how many records a filter left out.
        expanded: how many records there are more because one became several.
        found: values for lists that other pipelines read.
    """

    chunks: list[tuple[str, int, bytes]]
    refused: list[tuple[int, InvalidRecord]]
    filtered: int
    expanded: int
    found: Sequence[Found] = ()


class Shape(Protocol):
    """Transforms, routes and encodes. Pure; called on the event loop."""

    def __call__(self, records: Sequence[Any], received: int, partition: str) -> Shaping:
        """At most 2,000 finished records of one page. Never raises for bad data.

        Args:
            received: when the page came, in microseconds since 1970.
            partition: that it came from.
        """


class CommitHistory(Protocol):
    """The half of a commit log that only looks: for `verify`, replays and the commands that show.

    Synchronous, and used by one thread at a time; other processes may commit meanwhile. Every
    method raises StateError for a log that cannot be read (the command ends with 74), and
    SinkUnavailable where it cannot be reached now (a pipeline pauses, a command ends with 74).
    `str()` says where it is and in which format, for people.
    """

    def chains(self, pipeline: str | None = None) -> Sequence[ChainRow]:
        """All chains, or those of one pipeline, by pipeline and shard.

        Once per command; once per replay, to know where it ends; where a committed file is found
        neither in staging nor in the output, to know whether another owner has published it.
        """

    def partitions(self, pipeline: str) -> Sequence[PartitionRow]:
        """The partitions of a pipeline by name; none for a pipeline that never ran.

        Once per pipeline and command.
        """

    def meaning(self, pipeline: str) -> Mapping[str, str]:
        """The fingerprint that its cursors rest on (`worker.core.meaning`); empty for a pipeline
        that never ran. Once per `check` and `state adopt`.
        """

    def snapshot(self, pipeline: str) -> Snapshot:
        """Everything but the commits, as it stands at one instant. Once per `verify`.

        All that is stored as remembered is read, so it takes a while where that is much.
        """

    def remembered(self, pipeline: str) -> Mapping[str, int]:
        """How many boundary keys each partition has that has any. As often as `meaning`."""

    def state_id(self) -> str:
        """Random, made with the state; a copy of it has the same. Once per command that locks the
        outputs.
        """

    def roots(self, pipeline: str) -> Mapping[str, Root]:
        """Where the files of a pipeline go, by kind, as far as `CommitLog.keep_root` was told."""

    def places(self, pipeline: str) -> Mapping[str, str]:
        """Where each root that `CommitLog.keep_root` was told of was last seen, by id; empty for
        one that was given up with `state adopt --root`.

        Once per command, and once per replay, to find files that were committed to earlier ones.
        """

    def standing(
        self, pipeline: str, partitions: Sequence[str]
    ) -> Mapping[str, tuple[Cursor, Due]]:
        """Where those of the partitions stand that there are, and when they are served next.

        Once per batch of partitions that were found, to tell which of them have nothing to do.
        """

    def lists(self, pipeline: str) -> Mapping[str, int]:
        """What `CommitLog.keep_lists` was told of a pipeline: each list, and the commit from which
        on it is filled. Once per attempt of a pipeline that reads one.
        """

    def children(
        self,
        pipeline: str,
        name: str,
        *,
        after: int = 0,
        most: int,
        by_change: bool = False,
        value: str | None = None,
    ) -> Sequence[Child]:
        """The values of a list whose number is above `after`, by their numbers; with `by_change`
        those whose change is, by their changes.

        Often: in batches at the start of an attempt, and after each commit that brought some.

        Args:
            value: this one only.
        """

    def standings(self, pipeline: str, name: str) -> Mapping[str, Standing]:
        """How a list stands, by the partition that brought its values. As often as `lists`, and
        after each commit that brought some.
        """

    def commit_count(self, pipeline: str, *, shard: int = 0) -> int:
        """How many commits of a chain are kept. Once per `prune`."""

    def commits(
        self, pipeline: str, from_seq: int = 1, *, kind: str = "", shard: int = 0
    ) -> Iterator[CommitRow]:
        """The commits of a chain from `from_seq` on in order, read as they are asked for.

        `verify` reads all of them once. A replay asks for two with every page: it goes on at a
        number, so the position has to be found through an index. Commits that are made meanwhile
        may come or not. Raises StateError naming a row that is no commit.

        Args:
            kind: only commits that have files of this kind.
        """

    def lineages(self, pipeline: str) -> Sequence[str]:
        """The lineages of a pipeline whose files may stand in its output. Once per `check`."""

    def schemas(self, pipeline: str) -> Sequence[str]:
        """The schemas of its committed files of records, the one that was used last at the end.

        None where the log is of a format that did not keep them. Once per `check`, and once at the
        start of a pipeline that registers its output, before `CommitLog.load`.
        """

    def gone(self, pipeline: str) -> Mapping[tuple[str, str], str]:
        """(kind, final name) of committed files that are known to be gone -> `purged`, `expired` or
        `lost`.

        Once per command that looks at files.
        """

    def checkpoint(self, pipeline: str, *, shard: int = 0) -> Checkpoint:
        """The chain as it stands now, with all that its partitions remember.

        When a checkpoint is written. Raises StateError where there is no such chain.
        """

    def backup(self, target: Path) -> None:
        """Writes a consistent copy of the log to a file that does not exist. Others may commit
        meanwhile. Once per `state backup`.
        """

    def close(self) -> None:
        """Lets go of files and connections. Last, once; nothing is called after it."""


class CommitLog(CommitHistory, Protocol):
    """The store of truth: which files and which cursors are true together.

    Ownership is a number. Each pipeline, and each shard of one, has a chain of commits; `claim`
    gives the chain a new epoch, and `commit` compares it in the first statement of the transaction
    that moves the cursors, so that a stale owner changes nothing. No method relies on a clock or
    on a lock that outlives its transaction. The methods up to `keep_root` are called in the IO
    thread of a pipeline; the others by commands, while no instance runs.

    Besides what each method names, all raise SinkUnavailable where the log cannot be written or
    reached now (nothing is changed; the pipeline pauses and begins again from the log) and
    StateError for a log that cannot be used (the pipeline ends with 74).
    """

    def load(self, pipeline: str, fingerprint: Mapping[str, str], *, shard: int = 0) -> ChainState:
        """The chain of a pipeline, which is made with a new lineage when there is none.

        First, once per attempt, before anybody is fenced. Keeps the fingerprint for the next
        `load`. Raises ConfigError where its cursors would mean something else now
        (`worker.core.meaning`); the pipeline ends with 78.
        """

    def claim(
        self,
        pipeline: str,
        partitions: Sequence[str],
        *,
        owner: str,
        held: int | None = None,
        shard: int = 0,
    ) -> Claimed:
        """Takes a chain over, and moves the partitions to it, in one transaction.

        Once per attempt, after `load` and before anything of the output is touched. A partition
        that is new begins with an empty cursor. Who owned the chain, or another chain that had one
        of the partitions, is fenced at its next commit.

        Args:
            owner: nonce of the process; it is kept, so that what it stages is known as ours.
            held: the epoch of the earlier claim of this process; None for its first. Raises Fenced
                where the chain has another one by now: a displaced owner takes nothing back.
        """

    def ends(self, pipeline: str, ends: Sequence[PartitionEnd]) -> tuple[EndRow, ...]:
        """What a commit will say of its partitions. Changes nothing.

        Once per commit, before its record is staged. Raises StateError for a cursor that is too
        large to keep.
        """

    def commit(self, commit: Commit) -> None:
        """The commit point: one durable transaction, or nothing.

        Once per commit, in order; the files and the record are durable, and the caller publishes
        them when this returns. A log that cannot tell whether its transaction was made looks for
        the id. Raises Fenced where epoch, seq or digest of the chain are not those that the commit
        follows, or a partition has another owner or was moved (the chain is over in this process).
        An error always means that nothing was committed, or that the next `claim` finds the commit
        unpublished.
        """

    def mark_published(self, lineage: str, seq: int) -> None:
        """All files of this commit of the lineage, and of those before it, stand durably at their
        final names.

        Once per commit, and after recovery. Whoever finished a commit may say so, its owner or not.
        """

    def keep_root(self, pipeline: str, kind: str, root: Root) -> None:
        """From now on the files of a kind go there. Once per attempt that finds a new place."""

    def keep_lists(self, pipeline: str, lists: Sequence[str], *, shard: int = 0) -> None:
        """From the next commit on, values for these lists are found. Once per attempt, after
        `claim`; lists that are known already stay as they are.
        """

    def keep_found(self, pipeline: str, values: Sequence[Found], *, list_over: int = 0) -> None:
        """Takes values of a list that no commit brings, because it stands in a file.

        At the start of an attempt, in batches. With `list_over` these were the last of that pass.
        """

    def take(
        self, pipeline: str, partitions: Sequence[str], *, epoch: int, shard: int = 0
    ) -> Mapping[str, Claim]:
        """Moves further partitions to a chain, as `claim` does. Once per batch of partitions that
        were found. Raises Fenced where the chain has another epoch.
        """

    def keep_due(self, pipeline: str, due: Mapping[str, Due]) -> None:
        """Keeps when partitions are served next, each in place of what was kept before.

        While a pipeline runs on a schedule: when passes begin, when a partition fails and when it
        works again. One transaction for all that changed meanwhile. It is no part of a chain of
        commits, and the next `claim` gives it back. Reset and `set_mark` forget it.
        """

    def keep_gone(self, pipeline: str, files: Sequence[StagedFile], why: str) -> None:
        """From now on these committed files are known to be gone; see `CommitHistory.gone`.

        Before dead letters are deleted, by `dlq purge` or because they are too old, and for those
        that a rebuild does not find.
        """

    def prunable(self, pipeline: str, before: str, most: int, *, shard: int = 0) -> Prunable:
        """The oldest commits that were made before a time and that nobody needs any more: of the
        published ones all but the last one, and those whose dead letters wait.

        A few times an hour in the IO thread of a pipeline, and by `prune`.

        Args:
            before: RFC 3339 in UTC, as `CommitRow.at`.
            most: so many commits are looked at.
        """

    def prune(self, pipeline: str, commits: Prunable, *, shard: int = 0) -> None:
        """Forgets commits, in one transaction. A checkpoint and the deletion of their records are
        durable before. The space is given back to the file system, as far as that takes no time.
        """

    def shrink(self) -> None:
        """Gives all free space back to the file system. Once per `prune` by hand."""

    def restore(self, state: str, chains: Sequence[tuple[Checkpoint, Iterable[CommitRow]]]) -> None:
        """Fills a new log with chains that were rebuilt, in one transaction.

        Once per `state rebuild`. Each chain gets an epoch that is far above all that it was seen to
        have.

        Args:
            state: id of the state; empty for a new one.
            chains: each with the commits whose records are there, in order.
        """

    def reset(
        self, pipeline: str, partition: str | None = None, *, found_lineages: Sequence[str] = ()
    ) -> None:
        """Forgets how far a pipeline, or one of its partitions, has come; published files stay.

        Once per `state reset`. A whole pipeline gets a new lineage, which accepts the older ones
        and `found_lineages` in its output. Raises ConfigError for an unknown partition.
        """

    def set_mark(self, pipeline: str, partition: str, mark: int | str) -> None:
        """Puts a partition at a mark; its pass in progress and its memory are forgotten.

        Once per `state set`. Raises ConfigError for an unknown partition.
        """

    def adopt(
        self,
        pipeline: str,
        cursors: Mapping[str, Cursor],
        *,
        forget_keys: bool,
        fingerprint: Mapping[str, str] | None,
    ) -> None:
        """Puts partitions where these cursors say, in one transaction, and fences their owners.

        What they remember of a pass in progress is forgotten. Once per `state adopt`. Raises
        ConfigError for an unknown partition; nothing is changed then.

        Args:
            forget_keys: their boundary keys are forgotten too.
            fingerprint: what the cursors of the pipeline rest on from now on; None: what is stored.
        """


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found in staging.

    Attributes:
        files: number of files that were deleted.
        foreign: nonces of owners that this state never had. What they left stays there.
    """

    files: int = 0
    foreign: tuple[str, ...] = ()


class Sink(Protocol):
    """Where chunks go: files that stay invisible in staging until a commit makes them visible.

    Belongs to one pipeline and lineage, and to one attempt, in whose IO pool all methods but
    `collect` are called. All but that raise SinkUnavailable (the pipeline pauses and begins again
    from the commit log), DurabilityLost (the attempt is redone once, then the pipeline ends with
    74) and StateError (the pipeline ends with 74), besides what they name.
    """

    kind: str
    """`RECORDS` or `DEAD_LETTERS`: the files of a commit that are this sink's."""

    @property
    def full(self) -> bool:
        """The commit in the making has as many files as a commit may have.

        Asked after every page; the pipeline commits at once then.
        """

    def prepare(self, accepted_lineages: Sequence[str]) -> Root:
        """Finds its root, locks it, and makes what the sink needs there. First, once per attempt.

        Returns the root as the state is told of it when what was committed is finished. What
        follows from the root that the chain knows is decided by `worker.core.roots`: where it is
        not there, nothing is made, and SinkUnavailable or RootUnknown raised. Raises ConfigError
        over a root that holds another lineage of the pipeline than these, or where no file could
        be published (the pipeline ends with 78), and RootBusy where another process holds it (75).
        """

    def check(self, seq: int, file: StagedFile) -> None:
        """A file of commit `seq`, which is not marked published, is staged or has its final name.

        In recovery, before anything is published. Raises StateError where what stands there is not
        what was committed, and Unproven where nothing does, unless consumers may take files away
        and nothing but them can have done so.
        """

    def publish(self, seq: int, files: Sequence[StagedFile]) -> None:
        """Gives files of a commit their final names, durably and without replacing any.

        After the commit point and in recovery; repeatable, because a kill may come at any time, and
        another owner may do the same at the same time. Raises PublishConflict where another content
        has a final name (the pipeline ends with 74), and Unproven as `check` does.
        """

    def settle(self, seq: int) -> None:
        """The commit is marked published: nothing has to prove it any more. Once per commit."""

    def sweep(self, owners: Sequence[str]) -> Swept:
        """Deletes what is left in staging of this owner and of earlier ones, but no directory that
        one of them might still write to.

        Once per attempt, after recovery and before anything is written.

        Args:
            owners: nonces of the earlier owners, the oldest first.
        """

    def collect(self, chunk: Chunk) -> bool:
        """Takes a chunk into the commit in the making if that is done in memory, at once; whether
        it did. Called in the event loop, while no other method is.

        For most small pages it does: a call in the IO pool costs a tenth of such a page.
        """

    def write(self, chunk: Chunk) -> None:
        """Takes a chunk that was not collected; may compress and write."""

    def leave(self, group: int) -> None:
        """No chunk of a group before this one follows: their files need not stay open until the
        commit. After the passes that are kept apart as groups.
        """

    def seal(self) -> tuple[StagedFile, ...]:
        """Everything written since `begin`, durable in staging. Once per commit, first."""

    def begin(self, seq: int) -> None:
        """What is written from now on belongs to this commit. After each commit was published."""

    def close(self) -> None:
        """Lets go of open files. Last, once; what was not sealed is swept by the next attempt."""


class CommitRecords(Protocol):
    """The records of the commits of one chain, which stand beside its output.

    They are what another state over the same output sees: a record is staged exclusively before
    the commit point, and renamed after it, which proves that there was one. So a copy of a state
    cannot commit what the state committed, and a state that is older than its output notices.
    Methods raise the same as those of a `Sink`.
    """

    def newest(self) -> int:
        """Number of the newest commit that is proven here; 0 where none is. Once per attempt."""

    def proven(self, seq: int) -> bytes | None:
        """The record of a commit that is proven here; None where there is none."""

    def staged(self, seq: int) -> bytes | None:
        """The record of a commit that was begun and is not proven; None where there is none."""

    def stage(self, seq: int, record: bytes) -> None:
        """Puts the record of a commit there, durably. Once per commit, before the commit point.

        Raises Fenced where another owner has put its own there, or has proven it. What an earlier
        owner of this chain left there is replaced.
        """

    def prove(self, seq: int) -> None:
        """The commit point was passed: the staged record is proof from now on, durably.

        Once per commit, and in recovery. Raises Fenced where what is staged is not what this owner
        put there.
        """

    def sweep(self) -> int:
        """Deletes what was not finished of staged records of this owner and of earlier ones.

        Once per attempt, after recovery; returns how many there were.
        """

    def bring(self, seq: int, record: bytes) -> None:
        """Puts the record of the last commit, which is proven elsewhere, where those of the next
        ones will be. Nothing happens where it stands there.

        Once per attempt, after recovery.
        """

    def drop(self, seq: int) -> None:
        """Deletes a proven record that states of formats before 4 have left without a commit."""

    def seqs(self) -> Sequence[int]:
        """The commits that are proven here, in order. A few times an hour, and by commands."""

    def size_after(self, seq: int) -> int:
        """Bytes of the records of later commits. As often as `seqs`."""

    def delete(self, seqs: Sequence[int]) -> None:
        """Deletes records that a checkpoint makes unnecessary, durably."""

    def checkpoints(self) -> Mapping[int, int]:
        """Commit -> bytes of each checkpoint, in order. As often as `seqs`."""

    def read_checkpoint(self, seq: int) -> bytes | None:
        """A checkpoint; None where there is none. Once per rebuild."""

    def write_checkpoint(self, seq: int, data: bytes) -> None:
        """Puts a checkpoint there, durably, and deletes all others but the newest one."""


class Outputs(NamedTuple):
    """Where a pipeline writes in one attempt."""

    records: Sink
    dead_letters: Sink
    commits: CommitRecords

    @property
    def sinks(self) -> tuple[Sink, Sink]:
        return self.records, self.dead_letters


class FileState(Enum):
    """Where a committed file is."""

    STAGED = "staged"
    PUBLISHED = "published"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a published file is found to be; None is what cannot be known because of `problem`."""

    rows: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    problem: str = ""


class OutputRoot(Protocol):
    """One output directory or object prefix, as `verify`, replays and commands see it.

    Synchronous; a run uses it to remove dead letters that are too old, and for nothing else.
    `str()` says where it is, for people. A file is found where the root with its
    `StagedFile.root_id` is: where the config puts new ones, where the root was last seen, or where
    it was when the file was written.
    Methods raise SinkUnavailable or StateError for what cannot be read or changed; the command
    ends with 74.
    """

    kind: str
    """`RECORDS` or `DEAD_LETTERS`: which files of a commit are asked for here."""

    def place(self, file: StagedFile) -> str:
        """Where the file is published, as text that no other file has. Any number of times."""

    def standing(self, file: StagedFile) -> FileState:
        """Whether a committed file has its final name, waits in staging, or was taken away.

        Once per file and command. PUBLISHED also where nobody may look: `examine` says why.
        """

    def examine(self, file: StagedFile) -> Evidence:
        """Reads a published file as a whole. Once per file and `verify`; never raises."""

    def lines(self, file: StagedFile) -> Iterator[bytes]:
        """The lines of a published text file; none where it was taken away.

        Raises SinkUnavailable where its root is not there.
        """

    def delete(self, file: StagedFile) -> None:
        """Takes a published file away, as `dlq purge` does. Nothing happens where there is none."""

    def listing(self, pipeline: str, lineage: str) -> Iterator[str]:
        """The places of all files that stand here under the names of a lineage, in order.

        Once per `verify`, which looks for files that no commit names.
        """

    def lineages(self, pipeline: str) -> Sequence[str]:
        """The lineages of a pipeline that left something beside its files. Once per `state reset`,
        `state rebuild` and `check`, and as often as letters that are too old are looked for.
        """

    def published_lineages(self, pipeline: str) -> Sequence[str]:
        """The lineages of a pipeline that the names of its published files tell, as far as these
        are still here. Once per `state reset`, and per `check` of a pipeline that has never run.
        """

    def sight(self, chain: ChainRow, path: str = "") -> Sight:
        """What is found here, or at another path, of the root of a chain.

        At most twice per pipeline, in `check` and in `state adopt --root`.
        """

    def newest(self, chain: ChainRow, path: str = "") -> int:
        """See `CommitRecords.newest`; as often as `sight`."""

    def record(self, chain: ChainRow, seq: int, path: str = "") -> bytes | None:
        """The record of a commit, proven or staged; None where there is none. As `newest`."""

    def adopt(self, chain: ChainRow | None, last: CommitRow | None, root_id: str) -> Root:
        """Makes this the root of a chain whose last commit may have been made elsewhere.

        Once per `state adopt --root`, which tells the log of it. It is created where it is missing,
        gets the id where it has none (empty: a new one), and proves the commit afterwards.
        """

    def publish(self, file: StagedFile) -> None:
        """Gives a staged file its final name, as `Sink.publish` does. Once per file that is still
        staged when `state adopt --root` gives up others of its commit.
        """

    def head(self, place: str) -> bytes:
        """The first line of a text file of the listing; empty where it is gone.

        A few times a day for each file of dead letters whose commit the log has forgotten.
        """

    def remove(self, place: str) -> None:
        """Deletes a file of the listing. Nothing happens where it is gone."""

    def forget(self, pipeline: str, lineage: str) -> None:
        """Deletes what a lineage has left here besides its files. Last, once its files are gone."""
