"""The error categories: what the caller does is decided by the class, never by the text.

Adapters translate what libraries raise into these, in one visible table each, and keep the cause.
Anything that is not one of them is a bug: the attempt ends and the supervisor decides.
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
    """Something went wrong that has a name.

    Args:
        message: what happened, with the value found; the class docstring when omitted.
        remedy: what the operator can do.
        where: `file:line: key.path`, a partition, a file: the place to look at.
    """

    exit = Exit.FAILED
    code = "error"

    def __init__(self, message: str = "", *, remedy: str = "", where: str = "") -> None:
        self.message = message or (self.__doc__ or "").strip().splitlines()[0]
        self.remedy = remedy
        self.where = where
        super().__init__(self.message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text} ({self.remedy})" if self.remedy else text


class ConfigError(WorkerError):
    """The configuration is wrong; nothing was started."""

    exit = Exit.CONFIG
    code = "config"


class TransientError(WorkerError):
    """It may work later: retried, and parked when the retries are spent.

    Args:
        retry_after_s: how long the other side asked us to wait, if it did.
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
    """The source asked for fewer requests: its gate pauses, no attempt is consumed."""

    code = "rate_limited"


class BadBody(TransientError):
    """A body that is no valid document of its format; `body` and `headers` are what came, where they are known."""

    code = "bad_body"
    body: bytes | None = None
    headers: Mapping[str, str] = MappingProxyType({})


class Deferred(WorkerError):
    """A gate or breaker is closed until `until` (monotonic seconds): put the work back, do not wait here.

    `paced`: by our own rate limit, so it is no sign that anything is wrong, however long the turn takes to come.
    """

    exit = Exit.UNAVAILABLE
    code = "deferred"

    def __init__(self, until: float, reason: str, *, paced: bool = False) -> None:
        super().__init__(reason)
        self.until, self.paced = until, paced


class PermanentError(WorkerError):
    """It will not work by trying again: the partition parks, others go on."""

    code = "permanent"


class AuthError(PermanentError):
    """The source refused our credentials."""

    exit = Exit.PERMISSION
    code = "auth"


class PaginationLoop(PermanentError):
    """The source led back to a page of this pass that was already read."""

    code = "pagination_loop"


class CursorStuck(PermanentError):
    """A page promised a next page but brought only records that were already known."""

    code = "cursor_stuck"


class CursorInvalid(PermanentError):
    """The source refused the stored position."""

    code = "cursor_invalid"


class OrderViolation(PermanentError):
    """A record is older than its predecessor although the source is declared ascending."""

    exit = Exit.DATA
    code = "order_violation"


class OutsideWindow(PermanentError):
    """A record is older than the window that was asked for, and than what is remembered: nobody can tell whether it was read before."""

    exit = Exit.DATA
    code = "outside_window"


class WindowRefused(PermanentError):
    """The source refuses a window that cannot be made shorter."""

    code = "window_refused"


class RecordsMissing(PermanentError):
    """The body has no records where the config says they are."""

    exit = Exit.DATA
    code = "records_missing"


class SchemaMismatch(PermanentError):
    """The data was written with a schema that cannot be read as the pipeline's, or that nobody knows."""

    exit = Exit.DATA
    code = "schema_mismatch"


class IncompatibleSchema(WorkerError):
    """The schema of the files changed in a way that their readers do not survive."""

    exit = Exit.DATA
    code = "incompatible_schema"


class RegistryUnavailable(PermanentError):
    """The schema registry does not answer: partitions that need an unknown schema pause; nothing of them is lost."""

    exit = Exit.UNAVAILABLE
    code = "registry_unavailable"


class TotalMismatch(PermanentError):
    """The pass ended with fewer records than the source said it has."""

    exit = Exit.DATA
    code = "total_mismatch"


class BoundaryFull(PermanentError):
    """More boundary keys than the cap; deduplication would no longer be sure."""

    code = "boundary_full"


class Fenced(WorkerError):
    """Another owner claimed a partition of this commit; nothing of it was published."""

    exit = Exit.BUSY
    code = "fenced"

    def __init__(self, partitions: tuple[str, ...]) -> None:
        super().__init__(f"partitions claimed by another owner: {', '.join(partitions)}")
        self.partitions = partitions


class StateBusy(WorkerError):
    """Another instance holds the state."""

    exit = Exit.BUSY
    code = "state_busy"


class StateError(WorkerError):
    """The state cannot be used as it is."""

    exit = Exit.IO
    code = "state"


class OutputLost(WorkerError):
    """Standard output cannot be written."""

    exit = Exit.IO
    code = "output_lost"


class SinkUnavailable(TransientError):
    """The output cannot be written now (no space, read-only, no inodes): pause and redo from the commit log."""

    exit = Exit.IO
    code = "sink_unavailable"


class DurabilityLost(WorkerError):
    """fsync failed: what was written since the last commit is void and is redone once."""

    exit = Exit.IO
    code = "durability_lost"


class PublishConflict(WorkerError):
    """A file of another content stands where a committed file must be published."""

    exit = Exit.IO
    code = "publish_conflict"


# the first present decides, DESIGN 9
_DECIDING: Final = (Exit.BUG, Exit.IO, Exit.PERMISSION, Exit.UNAVAILABLE, Exit.DATA, Exit.FAILED)


def deciding_error(errors: Sequence[WorkerError]) -> WorkerError | None:
    """The error whose exit code decides."""
    ranked = sorted(
        errors,
        key=lambda error: (
            _DECIDING.index(error.exit) if error.exit in _DECIDING else len(_DECIDING)
        ),
    )
    return ranked[0] if ranked else None


def flatten(error: BaseException) -> list[BaseException]:
    """The single errors in a group."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in flatten(inner)]
    return [error]
