"""The error categories: the class of an error decides what the caller does, never its text.

Each adapter translates the exceptions of its libraries into these classes, in one visible table,
and keeps the cause. Any other exception is a bug: it ends the attempt, and the supervisor decides
whether the pipeline starts again.

The first paragraph of a class docstring is the default message of the error and its row in
docs/reference/errors.md. It says what happened and what can be done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Final


class Exit(IntEnum):
    """Process exit codes (sysexits where one fits)."""

    OK = 0
    FAILED = 1  # a pipeline failed permanently
    USAGE = 64
    DATA = 65  # stopped by data quality, or an incompatible schema
    UNAVAILABLE = 69  # source unavailable after retries
    BUG = 70
    IO = 74
    BUSY = 75  # another instance holds the state, or owns a partition
    PERMISSION = 77
    CONFIG = 78


class WorkerError(Exception):
    """Base of all errors that the program reports by a code and an exit code.

    Args:
        message: what happened, with the value found; `meaning()` when it is omitted.
        remedy: what the operator can do.
        where: the place to look at: `file:line: key.path`, a partition, or a file.
    """

    exit = Exit.FAILED
    code = "error"

    def __init__(self, message: str = "", *, remedy: str = "", where: str = "") -> None:
        self.message = message or self.meaning()
        self.remedy = remedy
        self.where = where
        super().__init__(self.message)

    @classmethod
    def meaning(cls) -> str:
        """The first paragraph of the class docstring, on one line."""
        return " ".join((cls.__doc__ or "").partition("\n\n")[0].split())

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.remedy})" if self.remedy else text


class ConfigError(WorkerError):
    """The configuration is wrong, or the state or the output does not fit it.
    Correct what is named; `worker check` lists every problem of a config.
    """

    exit = Exit.CONFIG
    code = "config"


class StateOlder(ConfigError):
    """The output has commits that the state knows nothing of: the state is an older copy.
    Bring the newest state back, or let `worker state rebuild` make one from the output.
    """

    code = "state_older"


class OutputOlder(ConfigError):
    """The output lacks the last commit of the state: it is an older copy, or another output.
    Bring the output back, or say that it is right with `worker state adopt --root`.
    """

    code = "output_older"


class RootUnknown(ConfigError):
    """The output is at another path now, and the one that the state knows cannot be found.
    Bring it back, or set the path where it is; `worker state adopt --root` says that the new one
    is right, and names what is lost.
    """

    code = "root_unknown"


class PipelineRenamed(ConfigError):
    """A pipeline has a new name, and would read and write everything again.
    Give it its old name back, or say that it is another pipeline with `worker state adopt --root`.
    """

    code = "pipeline_renamed"


class ListIncomplete(ConfigError):
    """Partitions are found in records of which some were committed before they were looked for.
    Let `worker state reset` read the pipeline with the records again.
    """

    code = "list_incomplete"


class SchemaUnfit(ConfigError):
    """The schema that a registry has now does not fit its pipeline, or is none that may be used.
    Only this pipeline stops. Change its config to fit the schema, or name an earlier `version` of
    the subject.
    """

    code = "schema_unfit"


class TransientError(WorkerError):
    """The other side failed in a way that may pass by itself.
    The request is tried again; when all attempts are spent, the partition is parked and is probed
    again later, while the others go on.

    Args:
        retry_after_s: seconds that the other side asked us to wait; None when it did not ask.
    """

    exit = Exit.UNAVAILABLE
    code = "transient"

    def __init__(
        self,
        message: str = "",
        *,
        retry_after_s: float | None = None,
        remedy: str = "",
        where: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy, where=where)
        self.retry_after_s = retry_after_s


class RateLimited(TransientError):
    """The source asked for fewer requests.
    Its gate closes for as long as it asked, then the request is made again; that is no retry.
    Set `source.rate_limit` if it happens often.
    """

    code = "rate_limited"


class NotReady(TransientError):
    """The source accepted the request and has no answer yet (status 202).
    It is asked again after the time that it named, or with the waits of `source.retry`, until
    `source.retry.deadline`; that is neither a failure nor a retry. `source.on_status: {202: page}`
    takes the body as a page.
    """

    code = "not_ready"


class BadBody(TransientError):
    """The body is no valid document of the configured format, or it was cut.
    The page is asked for again; when all attempts are spent, the partition is parked, or the body
    becomes a dead letter where `source.on_body_error` says so.

    Attributes:
        body: the bytes that were received; None where they are not known.
        headers: the headers that came with them.
    """

    code = "bad_body"
    body: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})


class NotKept(WorkerError):
    """No dead letter that waits holds its record, because of what `dead_letters.keep` was when it
    was written, so a replay would bring nothing. Read the records from the source again.
    """

    exit = Exit.DATA
    code = "not_kept"


class Deferred(WorkerError):
    """A gate or a breaker is closed, so the work has to be put back and done later.

    It is raised to the caller, which must not wait, and never reaches an operator.

    Attributes:
        until: monotonic second from which on the call may be made again.
        paced: our own rate limit holds the call back. That is no sign that anything is wrong,
            however long the turn takes to come.
    """

    exit = Exit.UNAVAILABLE
    code = "deferred"

    def __init__(self, until: float, reason: str, *, paced: bool = False) -> None:
        super().__init__(reason)
        self.until, self.paced = until, paced


class PermanentError(WorkerError):
    """The cause does not pass by itself, so the request is not repeated at once.
    The partition is parked and is probed again later, while the others go on. Correct what is
    named.
    """

    code = "permanent"


class OverMemory(PermanentError):
    """A page would hold more memory when it is decoded than there is for all pages together.
    Ask for smaller pages, or raise `memory` and the limit of the container.
    """

    code = "over_memory"

    def __init__(
        self,
        message: str = "",
        *,
        remedy: str = "ask for smaller pages, or raise memory and the limit of the container",
        where: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy, where=where)


class AuthError(PermanentError):
    """The source or the schema registry refused the credentials.
    Check `auth`, and what the credentials may read.
    """

    exit = Exit.PERMISSION
    code = "auth"


class SecretUnavailable(TransientError):
    """A secret cannot be had now: its command failed, or the service that keeps it does not answer.
    Requests wait for it; while an older value is there, that is used.
    """

    code = "secret_unavailable"


class SecretRefused(PermanentError):
    """A secret is not there, or its service refuses to show it.
    Check the reference, and the rights of this process.
    """

    exit = Exit.PERMISSION
    code = "secret_refused"


class ProxyRefused(PermanentError):
    """The proxy does not let the request through.
    Check `source.proxy`: its user name and password, and whether it allows this origin.
    """

    exit = Exit.PERMISSION
    code = "proxy"


class PaginationLoop(PermanentError):
    """The source led back to a page that was already read in this pass.
    Check `source.pagination`; scroll ids need `repeat: allow`, and a source that repeats its last
    page for ever needs `stop.repeated_page`.
    """

    code = "pagination_loop"


class BelowBound(PermanentError):
    """A record is below the lower bound that was asked for, and is not known from earlier passes.
    The source ignores the bound, or reads it otherwise, so that every pass would bring everything
    again; nothing of the page is committed. Check `incremental.param` and `incremental.format`; set
    `incremental.step` where the source rounds the bound down, and `incremental.below_bound` where
    such records are meant.
    """

    exit = Exit.DATA
    code = "below_bound"


class KeyMissing(PermanentError):
    """No record of the partition has had a value at `source.key`.
    A key that is not there identifies nothing, so nothing of the page is committed. Correct
    `source.key`.
    """

    exit = Exit.DATA
    code = "key_missing"


class KeyNotUnique(PermanentError):
    """One page holds different records with the same `source.key`.
    One of them would be taken for a repeat of the other, so nothing of the page is committed. Add
    to `source.key` what tells them apart.
    """

    exit = Exit.DATA
    code = "key_not_unique"


class TokenMissing(PermanentError):
    """A page has null where its records are looked for, and does not say that it is the last one.
    An error page looks like that too, so it does not end the pass. Name error bodies with
    `source.on_body`, or set `source.records_missing: empty` where the source means an empty page.
    """

    exit = Exit.DATA
    code = "token_missing"


class CompletenessMissed(PermanentError):
    """A pass has shown less than `require_completeness` demands.
    The mark stays where it was before the pass. Read the source in a way that proves more (tokens,
    a total with `stable` or `seam`), or lower `require_completeness`.
    """

    exit = Exit.DATA
    code = "completeness_missed"


class CursorStuck(PermanentError):
    """All pages up to `stop.max_pages` brought only records that were already known.
    The next pass would read the same pages again: raise `stop.max_pages`, or check that the source
    obeys the lower bound (`incremental.param`).
    """

    code = "cursor_stuck"


class CursorInvalid(PermanentError):
    """The source refused the stored position, such as a page token that has expired.
    A pass in ascending order or in time windows starts again at the mark, once; any other partition
    is parked, and `worker state reset` starts it again.
    """

    code = "cursor_invalid"


class CursorTooLarge(PermanentError):
    """The source named a position that is too large to keep.
    Nothing of its page is committed, and other partitions go on. Ask the source for shorter page
    tokens, or read it with another `source.pagination`.
    """

    exit = Exit.DATA
    code = "cursor_too_large"


class OrderViolation(PermanentError):
    """A record is older than its predecessor, although the source is declared ascending.
    Nothing of its page is committed. Let the source sort its records, or set
    `incremental.order: any`.
    """

    exit = Exit.DATA
    code = "order_violation"


class OutsideWindow(PermanentError):
    """A record lies before the time window that was asked for and is not known.
    Nobody can tell whether it was read before, so nothing of its page is committed. Check
    `start_param`, `end_param` and `incremental.format`.
    """

    exit = Exit.DATA
    code = "outside_window"


class WindowRefused(PermanentError):
    """The source refuses a time window that cannot be made shorter.
    Lower `split_on.smallest` or `step`, or read pages inside the window with `within`.
    """

    code = "window_refused"


class PageRefused(PermanentError):
    """The source refuses a page that cannot be asked for with fewer records.
    Leave the page out with `do: skip`, or say in `source.responses` what else the answer means.
    """

    code = "page_refused"


class PagesSkipped(PermanentError):
    """So many pages were left out (`do: skip`) that the source is not really read.
    Too many were refused one after the other, or a pass brought nothing but refused pages. Check
    what the answers mean, and name single broken pages only.
    """

    exit = Exit.DATA
    code = "pages_skipped"


class RecordsMissing(PermanentError):
    """The body has no records at the place that the config names.
    Correct `source.records`, name error bodies with `source.on_body`, or set
    `source.records_missing: empty`.
    """

    exit = Exit.DATA
    code = "records_missing"


class SchemaMismatch(PermanentError):
    """The writer's schema of the data is unknown, or cannot be read as the pipeline's.
    Register or configure the writer's schema, or change `schema`; until then the partition is
    parked, and nothing is lost.
    """

    exit = Exit.DATA
    code = "schema_mismatch"


class PartitionsVanished(WorkerError):
    """Of the values that name the partitions, none is left, or less than half of them.
    A source that answers too little looks like this. See what the pipeline that finds them, or the
    file, has; where that is right, set `vanish: allow` at the partition.
    """

    exit = Exit.DATA
    code = "partitions_vanished"


class IncompatibleSchema(WorkerError):
    """The schema of the files is not compatible with earlier ones, or a registry refuses it.
    Make the change compatible, or set another `schema_compatibility`.
    """

    exit = Exit.DATA
    code = "incompatible_schema"


class RegistryUnavailable(PermanentError):
    """The schema registry does not answer.
    Whatever needs a schema that is not known yet waits for it, and nothing is lost.
    """

    exit = Exit.UNAVAILABLE
    code = "registry_unavailable"


class TotalMismatch(PermanentError):
    """The pass ended with fewer records than the total that the source stated.
    Check `source.pagination` and `source.stop`.
    """

    exit = Exit.DATA
    code = "total_mismatch"


class BoundaryFull(PermanentError):
    """More boundary keys are needed than `source.boundary_cap` allows.
    Without them duplicates could not be recognised, so nothing of the page is committed. Shorten
    `incremental.overlap` or the time windows, or raise the cap.
    """

    code = "boundary_full"


class Fenced(WorkerError):
    """Another owner goes on with this pipeline, so this process does not any more.
    Nothing of its last commit was published; see that only one instance runs, and start that one.
    """

    exit = Exit.BUSY
    code = "fenced"

    @classmethod
    def of(cls, pipeline: str) -> Fenced:
        """As the commit log says it."""
        return cls(
            f"another owner goes on with pipeline {pipeline}",
            remedy="see that only one instance runs over this state",
        )


class StateBusy(WorkerError):
    """Another instance holds the state.
    Stop it first, or give this instance another `state.path`.
    """

    exit = Exit.BUSY
    code = "state_busy"


class RootBusy(WorkerError):
    """Another process holds the output for the same state, or for a copy of it.
    Stop it first. Where its machine is gone, the file system lets go of the lock after a while.
    """

    exit = Exit.BUSY
    code = "root_busy"


class StateError(WorkerError):
    """The state or the output cannot be used as it is.
    Look at the file that is named, and at its directory.
    """

    exit = Exit.IO
    code = "state"


class Unproven(StateError):
    """A committed file is neither in staging nor where it was to be published.
    Somebody took it away before it was known to be published. Put it back, or give it up with
    `worker state adopt --root`. Where consumers take files away, set `sink.files_are_taken`, which
    counts from the next commit on.
    """

    code = "unproven"


class StateAbsent(StateError):
    """There is no state yet.
    Nothing was committed there; check `state.path` and the working directory.
    """

    code = "state_absent"

    def __init__(self, message: str = "") -> None:
        remedy = "nothing was committed there yet; check state.path and the working directory"
        super().__init__(message, remedy=remedy)


class OutputLost(WorkerError):
    """Standard output cannot be written.
    Free space, or redirect it to another place.
    """

    exit = Exit.IO
    code = "output_lost"


class SinkUnavailable(TransientError):
    """The output or the state cannot be written now: full, read-only, locked or unmounted.
    The pipeline pauses, and starts again from the commit log until it can be written.
    """

    exit = Exit.IO
    code = "sink_unavailable"


class TooManyOpenFiles(SinkUnavailable):
    """No file and no connection can be opened, because too many are open.
    Raise the limit of open files (`ulimit -n`, LimitNOFILE=), or lower `sink.max_open_files` and
    `source.concurrency`; the pipeline goes on by itself.
    """

    code = "too_many_open_files"


class DurabilityLost(WorkerError):
    """An fsync failed, so everything written since the last commit is void.
    It is read again once; the second time the pipeline ends. Check the disk.
    """

    exit = Exit.IO
    code = "durability_lost"


class PublishConflict(WorkerError):
    """A file with other content has the name that a committed file must get.
    Move it away; the committed file waits in staging.
    """

    exit = Exit.IO
    code = "publish_conflict"


_DECIDING: Final = (
    Exit.BUG,
    Exit.IO,
    Exit.BUSY,
    Exit.CONFIG,
    Exit.PERMISSION,
    Exit.UNAVAILABLE,
    Exit.DATA,
    Exit.FAILED,
)
"""Of several errors the first of these exit codes decides."""


def deciding_error(errors: Sequence[WorkerError]) -> WorkerError | None:
    """The error whose exit code a process with several errors ends with; None without errors."""
    rank = {code: number for number, code in enumerate(_DECIDING)}
    return min(errors, key=lambda error: rank.get(error.exit, len(rank)), default=None)


def flatten(error: BaseException) -> list[BaseException]:
    """The single errors in an exception group, at any depth; a plain error is a list of itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in flatten(inner)]
    return [error]
