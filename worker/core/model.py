"""The data that travels: cursor, facts, pages, chunks, commits. Plain frozen values, no behaviour that waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from worker.core.cursor import Cursor as Cursor
from worker.core.cursor import Json as Json

REPLAYED: Final = "@dead_letters"
"""The partition that remembers which dead letters were replayed."""


class _Missing:
    """The value of a path that is absent (JSON null is None)."""

    _instance: _Missing | None = None

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: `path` like `$.a.b[3]`, what was found, what is allowed."""

    path: str
    found: str
    allowed: str


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that failed; it becomes a dead letter.

    Attributes:
        index: place of the record in its page.
        stage: `decode`, `validate`, `transform` or `route`.
        code: stable short reason.
        raw: the bytes as received.
    """

    index: int
    stage: str
    code: str
    errors: tuple[FieldError, ...]
    raw: bytes


@dataclass(frozen=True, slots=True)
class Unknown:
    """A field that the schema lacks: in how many of the sampled records, and what its values looked like."""

    count: int
    kinds: tuple[str, ...]


@dataclass(slots=True)
class Facts:
    """What the next request, the stop rules and the mark need to know of a page.

    Attributes:
        count: records received (rejected ones too).
        body: value of each configured body path, MISSING when absent.
        last: value of each configured path in the last record.
        values: incremental value of each received record in order, as received; empty when not configured; MISSING where absent.
        keys: 16-byte identity of each received record in order; empty when not configured.
        digest: 16-byte hash of the body.
        size_bytes: length of the decoded body.
        url: where the page came from, to resolve relative links.
        received_us: when it came, in microseconds since 1970.
        unknown: how often each field was seen that the schema lacks, with the type of an example; sampled.
    """

    count: int
    body: Mapping[str, Any] = field(default_factory=dict)
    last: Mapping[str, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    digest: bytes = b""
    size_bytes: int = 0
    url: str = ""
    received_us: int = 0
    unknown: dict[str, Unknown] = field(default_factory=dict)


def _no_raw(index: int) -> bytes:
    raise IndexError(index)


@dataclass(slots=True)
class Decoded:
    """A decoded page: valid records (opaque), where each stood in the page, rejects, facts.

    `indices[i]` is the place of `records[i]` in the page; None means the identity (no rejects).
    `raw(place)` is a record as it was received; slow, for dead letters.
    """

    records: list[Any]
    indices: list[int] | None
    rejects: list[Reject]
    facts: Facts
    raw: Callable[[int], bytes] = _no_raw


@dataclass(frozen=True, slots=True)
class Request:
    """One request to make. `url` is absolute; a followed link is verbatim. Credentials are added by the client."""

    method: str
    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    followed: bool = False  # url came from the server: send verbatim, never add params


class Chunk(
    msgspec.Struct, frozen=True, gc=False
):  # hundreds a page with many routes: a seventh of a dataclass
    """Encoded records of one page for one route. `group` separates files that must not mix (the pass of a snapshot)."""

    route: str
    fingerprint: str
    rows: int
    data: bytes
    group: int | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of a commit: received + expanded = sent + filtered + deduplicated + dead_lettered."""

    received: int = 0
    expanded: int = 0
    sent: int = 0
    filtered: int = 0
    deduplicated: int = 0
    dead_lettered: int = 0

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(*(a + b for a, b in zip(self._counts(), other._counts(), strict=True)))

    def _counts(self) -> tuple[int, ...]:
        return (
            self.received,
            self.expanded,
            self.sent,
            self.filtered,
            self.deduplicated,
            self.dead_lettered,
        )

    @property
    def balanced(self) -> bool:
        return (
            self.received + self.expanded
            == self.sent + self.filtered + self.deduplicated + self.dead_lettered
        )


BoundaryKey = tuple[int | str, bytes]  # (comparable incremental value, 16-byte identity)


@dataclass(frozen=True, slots=True)
class Progress:
    """What accepting pages changed in a partition, relative to its last commit.

    Attributes:
        cursor: where it resumes after these pages.
        boundary_added: keys to remember.
        boundary_floor: forget keys whose value is below this; None forgets nothing.
        tokens_added: 16-byte hashes of page tokens (or bodies) of the pass, for the loop guard.
        tokens_cleared: the pass ended: forget the earlier ones first.
    """

    cursor: Cursor
    boundary_added: tuple[BoundaryKey, ...] = ()
    boundary_floor: int | str | None = None
    tokens_added: tuple[bytes, ...] = ()
    tokens_cleared: bool = False

    def then(self, later: Progress) -> Progress:
        """The two in order, as one difference."""
        floor = self.boundary_floor if later.boundary_floor is None else later.boundary_floor
        added = self.boundary_added + later.boundary_added
        if floor is not None:
            added = tuple(key for key in added if key[0] >= floor)  # type: ignore[operator]  # one source has one value type
        return Progress(
            later.cursor,
            added,
            floor,
            later.tokens_added if later.tokens_cleared else self.tokens_added + later.tokens_added,
            self.tokens_cleared or later.tokens_cleared,
        )


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A complete file in staging, fsynced. Paths are relative to `root` (an absolute directory)."""

    kind: str  # "records" | "dead_letters"
    root: str
    staging: str
    final: str
    size_bytes: int
    sha256: str
    rows: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """One partition's part of a commit, guarded by the epoch we own and the seq we expect."""

    partition: str
    epoch: int
    expected_seq: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Commit:
    """One atomic step: these files hold exactly the records between the old cursors and the new ones."""

    pipeline: str
    lineage: str
    seq: int
    id: str  # random, to recognise it when the outcome is unknown
    at: str  # RFC 3339 UTC, for people only
    files: tuple[StagedFile, ...]
    ends: tuple[PartitionEnd, ...]
    ledger: Ledger
    schema: str = ""  # what the files of records hold


@dataclass(frozen=True, slots=True)
class Claim:
    """Ownership of a partition: its new epoch, the seq of the commit that last moved it, its cursor and memory."""

    partition: str
    epoch: int
    seq: int
    cursor: Cursor
    boundary: frozenset[BoundaryKey] = frozenset()
    tokens: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class PipelineState:
    """A pipeline as the commit log knows it: `seq` of its last commit (0 = none), older lineages whose files may stay.

    `schemas` are those of its committed files, the one that was used last at the end.
    """

    pipeline: str
    lineage: str
    seq: int
    fingerprint: Mapping[str, str]
    unpublished: tuple[Commit, ...] = ()
    accepted_lineages: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
