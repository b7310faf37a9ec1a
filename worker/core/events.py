"""What components say: one frozen dataclass an event, emitted once per page, batch or request,
never per record.

`telemetry/` turns them into log lines and metrics; components get a plain callable and know nothing
of either.
The event name in logs is derived from the class: `PageAccepted` is `page.accepted`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from worker.core.model import Ledger


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events.

    `level` is the log level. `same_by` names the attributes that make two events the same: when
    they come in numbers, a few are logged and the others counted. Empty: each is logged.
    """

    level: ClassVar[str] = "info"
    same_by: ClassVar[tuple[str, ...]] = ()


Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    pipelines: tuple[str, ...]
    version: str


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    exit_code: int
    discarded: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PipelineStarted(Event):
    pipeline: str
    delivery: str
    completeness: str


@dataclass(frozen=True, slots=True)
class PipelineEnded(Event):
    pipeline: str
    reason: str


@dataclass(frozen=True, slots=True)
class PipelineFailed(Event):
    """It ended with an error that waiting does not mend; the others go on."""

    level: ClassVar[str] = "error"
    pipeline: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SecretStale(Event):
    """A secret could not be asked for again, and the one that is there is used on."""

    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("reference",)
    reference: str
    reason: str


@dataclass(frozen=True, slots=True)
class RequestEnded(Event):
    """One attempt of one request. `outcome` is `ok`, `cancelled` or an error code."""

    level: ClassVar[str] = "debug"
    pipeline: str
    partition: str
    status: int
    outcome: str
    seconds: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RequestRetried(Event):
    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline", "code")
    pipeline: str
    partition: str
    attempt: int
    wait_s: float
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class PageAccepted(Event):
    level: ClassVar[str] = "debug"
    pipeline: str
    partition: str
    records: int
    rejects: int
    deduplicated: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PassEnded(Event):
    pipeline: str
    partition: str
    pass_no: int
    received: int
    completeness: str
    reason: str


@dataclass(frozen=True, slots=True)
class DriftSeen(Event):
    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline",)
    pipeline: str
    partition: str
    detail: str


@dataclass(frozen=True, slots=True)
class RecordsNoted(Event):
    """Records of a page that are odd, and not rejects.

    `kind` is `below_bound` (older than what was asked for, left out or taken late), `key_repeated`
    (the key came before in the pass, with other contents) or `key_missing`.
    """

    level: ClassVar[str] = "debug"
    pipeline: str
    partition: str
    kind: str
    records: int


@dataclass(frozen=True, slots=True)
class ClockSkewSeen(Event):
    """The clock of the source and ours differ by so many seconds; positive: the source is ahead."""

    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline",)
    pipeline: str
    seconds: float
    detail: str


@dataclass(frozen=True, slots=True)
class PartitionParked(Event):
    level: ClassVar[str] = "error"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline", "code")
    pipeline: str
    partition: str
    code: str
    reason: str
    reprobe_s: float


@dataclass(frozen=True, slots=True)
class PartitionSlow(Event):
    """A request takes much longer than others do, while other partitions are due.

    It goes on beside them, or is made again when its turn comes.
    """

    same_by: ClassVar[tuple[str, ...]] = ("pipeline",)
    pipeline: str
    partition: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class BreakerChanged(Event):
    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("target",)
    target: str
    state: str
    until_s: float


@dataclass(frozen=True, slots=True)
class CommitPublished(Event):
    """Files and cursors are true together.

    `ledger`: of the records in it that no `NothingKept` has counted; `lag_s`: age of the oldest
    record in it; `rejected`: code -> dead letters.
    """

    pipeline: str
    seq: int
    files: int
    ledger: Ledger
    size_bytes: int
    seconds: float
    lag_s: float
    trigger: str
    rejected: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class NothingKept(Event):
    """Records came of which none makes a file: all were filtered, or known. No commit waits for
    them, and the ledgers of `CommitPublished` do not count them.
    """

    level: ClassVar[str] = "debug"
    pipeline: str
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class RecordsDiscarded(Event):
    """An attempt ended with records that were received and not committed. They are read again."""

    pipeline: str
    records: int


@dataclass(frozen=True, slots=True)
class AttemptFailed(Event):
    level: ClassVar[str] = "error"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline", "code")
    pipeline: str
    code: str
    reason: str
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class ForeignStaging(Event):
    """Somebody who never owned this state has left files in the staging of the pipeline. They are
    left alone: a copy of the state may still be writing them.

    `staging`: where each owner has a directory, below the output and below that of dead letters.
    """

    level: ClassVar[str] = "warning"
    pipeline: str
    owners: tuple[str, ...]
    staging: str
    remedy: str = (
        "if no copy of this state runs, as after a rebuild, delete the directories of these owners"
        " in staging: nothing in them was committed"
    )


@dataclass(frozen=True, slots=True)
class RootUnlocked(Event):
    """The file system of an output has no locks: a second process over the same state is noticed
    at a commit only.
    """

    level: ClassVar[str] = "warning"
    root: str
    reason: str


@dataclass(frozen=True, slots=True)
class CommitsForgotten(Event):
    """Commits that are older than `state.keep` were forgotten, or a checkpoint was written.

    `checkpoint`: number of its commit; 0: none was written.
    """

    pipeline: str
    commits: int
    checkpoint: int


@dataclass(frozen=True, slots=True)
class DeadLettersExpired(Event):
    """Dead letters that are older than `dead_letters.keep_for` were removed."""

    pipeline: str
    files: int


@dataclass(frozen=True, slots=True)
class RetentionFailed(Event):
    """Old commits could not be forgotten, old dead letters not be removed, or no checkpoint be
    written. The pipeline goes on, and it is tried again later.
    """

    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline",)
    pipeline: str
    reason: str


@dataclass(frozen=True, slots=True)
class NothingToDo(Event):
    pipeline: str
    detail: str


@dataclass(frozen=True, slots=True)
class ManyFiles(Event):
    """A commit holds so many files that readers will suffer; partition_by or age is too fine."""

    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline",)
    pipeline: str
    seq: int
    files: int
    remedy: str = "coarsen sink.partition_by or raise sink.roll.age"


@dataclass(frozen=True, slots=True)
class FieldUnknown(Event):
    """Records have a field that the schema lacks; said once a field and run."""

    level: ClassVar[str] = "warning"
    pipeline: str
    field: str
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TimesDoubtful(Event):
    """Times of a field on a page are days in January or February 1970, and would be times of today
    in another unit. `decode.times` says which unit it is, and ends the doubt."""

    level: ClassVar[str] = "warning"
    same_by: ClassVar[tuple[str, ...]] = ("pipeline", "field")
    pipeline: str
    field: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class LoopHeld(Event):
    """The event loop, on which all pipelines run, is held by one of them, mostly in a transform.

    `holder`: the task, what it works on, and the line of code.
    """

    level: ClassVar[str] = "warning"
    holder: str
    held_s: float
    remedy: str = "give the step less work for each record, or a timeout where it waits for others"


@dataclass(frozen=True, slots=True)
class Repeated(Event):
    """Events that were not logged one by one, because there were too many of them."""

    level: ClassVar[str] = "warning"
    repeated: str
    key: str
    times: int
    window_s: float


@dataclass(frozen=True, slots=True)
class SchemaStale(Event):
    """A registry did not answer, so the version of a subject that was the latest when it did is
    used.
    """

    level: ClassVar[str] = "warning"
    registry: str
    subject: str
    version: int
    reason: str
