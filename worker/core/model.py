"""The data that travels: facts, pages, chunks, commits, rows of a commit log. Plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import msgspec

from worker.core.cursor import Cursor
from worker.core.found import Found

REPLAYED: Final = "@dead_letters"
"""The partition that remembers which dead letters were replayed."""
RECORDS: Final = "records"
DEAD_LETTERS: Final = "dead_letters"
"""The two kinds of files that a commit names."""


class _Missing:
    """The value of a path that is absent (JSON null is None)."""

    _instance: ClassVar[_Missing | None] = None

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field.

    Attributes:
        path: like `$.a.b[3]`.
        found: what stands there, in words.
        allowed: what may stand there, in words.
    """

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
        line: where it begins in a body of lines, from 1; 0 where that says nothing.
        letter: the line of the dead letter that it was, where a replay found one that does not
            hold its record; it becomes that letter again.
        place: where it stands in the body, in words, where `index` does not say that.
        origin: the partition that the record came from, where a replay brings it again.
    """

    index: int
    stage: str
    code: str
    errors: tuple[FieldError, ...]
    raw: bytes
    letter: bytes = b""
    place: str = ""
    line: int = 0
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A field that the schema lacks.

    Attributes:
        count: in how many of the sampled records it was.
        kinds: what its values were, in words.
    """

    count: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Times of a field that are most likely counted in another unit than the schema's.

    Attributes:
        read: the first of them, as it was read.
        unit: the format that says so (see `decode.times`).
        likely: the same number in the other unit.
        likely_unit: the format that would say that.
    """

    read: str
    unit: str
    likely: str
    likely_unit: str

    @property
    def detail(self) -> str:
        """What the first of them is, and what it would be."""
        return f"read as {self.read}; as {self.likely_unit} it would be {self.likely}"

    def remedy(self, field: str) -> str:
        """What to write where the other unit is meant, and where it is not."""
        key = f"decode.times: {{{field}: "
        return f"set {key}{self.likely_unit}}}; or {key}{self.unit}}} if it is right as it is"


@dataclass(slots=True)
class Facts:
    """What the next request, the stop rules and the mark need to know of a page.

    Attributes:
        count: records received (rejected ones too).
        body: value of each configured body path, MISSING when absent.
        last: value of each configured path in the last record.
        values: incremental value of each received record in order, as received; MISSING where
            absent. Empty when not configured.
        keys: 16-byte identity of each received record in order, by its key, or by its bytes where
            it has none; empty where nothing needs them.
        contents: 16-byte hash of the bytes of each received record in order; likewise.
        keyless: number of records that lack a key which is configured.
        null: null stands where records are looked for.
        errors: beside that null the body reports errors.
        size_bytes: length of the decoded body.
        url: where the page came from, to resolve relative links.
        received_us: when it came, in microseconds since 1970.
        came_each: when each received record came, in order, and from which partition, where a page
            has records of several; else empty.
        columns: the names of the columns of the page, where the pages behind it do not say them.
        unknown: the fields of sampled records that the schema lacks.
        doubts: the fields whose times are most likely counted in another unit.
        item_ends: number of records up to the end of each item of the page, where what the source
            lists has several records, or none; None where each item is a record.
    """

    count: int
    body: Mapping[str, Any] = field(default_factory=dict)
    last: Mapping[str, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    keys: Sequence[bytes] = ()
    size_bytes: int = 0
    url: str = ""
    received_us: int = 0
    came_each: list[tuple[int, str]] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    unknown: dict[str, Unknown] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    contents: Sequence[bytes] = ()
    keyless: int = 0
    null: bool = False
    errors: bool = False
    item_ends: Sequence[int] | None = None

    @property
    def listed(self) -> int:
        """How many records the source sees in the page: its positions and totals count those."""
        return self.count if self.item_ends is None else len(self.item_ends)


def _no_raw(index: int) -> bytes:
    raise IndexError(index)


def _no_place(index: int) -> str:
    return ""


@dataclass(slots=True)
class Decoded:
    """A decoded page.

    Attributes:
        records: the valid ones, in order; only their plan knows what they are.
        indices: `indices[i]` is the place of `records[i]` in the page; None where it is `i`.
        rejects: the others, in any order.
        raw: the record at a place of the page as it was received; slow, for dead letters.
        place: where a record stands in the body, where its place in the page does not say that;
            likewise.
    """

    records: list[Any]
    indices: list[int] | None
    rejects: list[Reject]
    facts: Facts
    raw: Callable[[int], bytes] = _no_raw
    place: Callable[[int], str] = _no_place


@dataclass(frozen=True, slots=True)
class Request:
    """One request to make. Credentials are added by the client.

    Attributes:
        url: absolute.
        followed: the URL came from the server: it is sent verbatim, `params` are never added.
    """

    method: str
    url: str
    params: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    followed: bool = False


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """Encoded records of one page for one route.

    With many routes there are hundreds per page: a Struct costs a seventh of a dataclass.

    Attributes:
        rows: number of records.
        data: what an encoder's `block` takes.
        group: separates files that must not mix (the passes of a snapshot).
    """

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
        tokens_added: 16-byte hashes of the page tokens and records of the pass, for the loop guard.
        tokens_cleared: the pass ended: forget the earlier ones first.
        found: values for lists that other pipelines read, each once.
        list_over: the pass whose values are all here now; 0 while more of it may come.
    """

    cursor: Cursor
    boundary_added: tuple[BoundaryKey, ...] = ()
    boundary_floor: int | str | None = None
    tokens_added: tuple[bytes, ...] = ()
    tokens_cleared: bool = False
    found: tuple[Found, ...] = ()
    list_over: int = 0

    def then(self, later: Progress) -> Progress:
        """This step and a later one, as one difference."""
        both = ProgressSum(self)
        both.add(later)
        return both.total()


MANY_KEYS: Final = 1_000


class ProgressSum:
    """Steps of a partition as one difference. A step costs as much as it changes: keys below the
    floor are looked for again only when there are twice as many as the last time.
    """

    def __init__(self, first: Progress) -> None:
        self._cursor, self._floor = first.cursor, first.boundary_floor
        self._keys, self._tokens = list(first.boundary_added), list(first.tokens_added)
        self._cleared = first.tokens_cleared
        self._list_over = first.list_over
        self._many = MANY_KEYS

    @property
    def cursor(self) -> Cursor:
        """Where the partition resumes after the last step."""
        return self._cursor

    def add(self, step: Progress) -> None:
        """Takes the next step."""
        self._cursor = step.cursor
        self._list_over = step.list_over or self._list_over
        if step.boundary_floor is not None:
            self._floor = step.boundary_floor
        self._keys += step.boundary_added
        if len(self._keys) > self._many:
            self._keys = self._worth_keeping()
            self._many = 2 * len(self._keys) + MANY_KEYS
        if step.tokens_cleared:
            self._tokens, self._cleared = [], True
        self._tokens += step.tokens_added

    def _worth_keeping(self) -> list[BoundaryKey]:
        if (floor := self._floor) is None:
            return self._keys
        # one source has values of one type
        return [key for key in self._keys if key[0] >= floor]  # type: ignore[operator]

    def total(self) -> Progress:
        """All steps so far as one."""
        return Progress(
            cursor=self._cursor,
            boundary_added=tuple(self._worth_keeping()),
            boundary_floor=self._floor,
            tokens_added=tuple(self._tokens),
            tokens_cleared=self._cleared,
            list_over=self._list_over,
        )

    @property
    def ends_list(self) -> bool:
        """Whether the values of a pass are all here now."""
        return self._list_over > 0

    @property
    def remembers(self) -> bool:
        """Whether the steps have anything to remember."""
        if self._tokens or (floor := self._floor) is None:
            return bool(self._tokens or self._keys)
        # the last ones are the likeliest to be left
        return any(key[0] >= floor for key in reversed(self._keys))  # type: ignore[operator]


class StagedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A complete and durable file in staging, and what a commit log keeps of it.

    Attributes:
        kind: `RECORDS` or `DEAD_LETTERS`.
        root: where the sink that wrote it puts its files: an absolute directory or a URL.
        staging: its name below `root` until its commit is published.
        final: its name below `root` from then on, for ever.
        size_bytes, sha256: of the whole file, as staged and as published.
        rows: records or dead letters in it.
        fingerprint: of the schema, 16 hex digits.
        root_id: of the root, which may be found at another path later; empty in states of formats
            before 4.
    """

    kind: str
    root: str
    staging: str
    final: str
    size_bytes: int
    sha256: str
    rows: int
    fingerprint: str
    root_id: str = ""


def of_kind(files: Iterable[StagedFile], kind: str) -> tuple[StagedFile, ...]:
    """The files of one kind, in order."""
    return tuple(file for file in files if file.kind == kind)


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """One partition's part of a commit, guarded by the commit that we expect to have moved it last
    (`Claim.seq`).
    """

    partition: str
    expected_seq: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Due:
    """When a partition is served next. It stands outside of the commits, so that a restart keeps
    schedule and backoff, and nothing but time is lost with it.

    Attributes:
        pass_no: the last pass that was begun.
        next_us: when the pass after it is due, in microseconds since 1970; None without a schedule.
        failures: how often the partition has failed in a row; 0 while it works.
        not_before_us: a partition that fails is not asked before this, in microseconds since 1970.
        code, reason: of its last failure.
    """

    pass_no: int = 0
    next_us: int | None = None
    failures: int = 0
    not_before_us: int = 0
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A partition that a chain owns.

    Attributes:
        seq: the commit that last moved the partition.
        cursor: where it resumes.
        boundary, tokens: what its earlier commits remembered, see `Progress`.
        due: when it is served next, as `CommitLog.keep_due` was told last.
    """

    partition: str
    seq: int
    cursor: Cursor
    boundary: frozenset[BoundaryKey] = frozenset()
    tokens: frozenset[bytes] = frozenset()
    due: Due = Due()


# -- what a commit log keeps --------------------------------------------------------------------


class Root(msgspec.Struct, frozen=True):
    """An output root as a state knows it.

    Attributes:
        path: where it was last seen: an absolute directory or a URL.
        id: what is written in it, so that it is known again at another path.
    """

    path: str
    id: str


@dataclass(frozen=True, slots=True)
class ChainRow:
    """The chain of commits of one pipeline, or of one shard of it, in a commit log.

    Attributes:
        shard: number of the shard; 0 where a pipeline is not split.
        lineage: what the names of its files begin with.
        seq, digest: of its last commit; 0 and empty before the first.
        epoch: of its present owner. Epochs come from one sequence of the log and are never given
            twice, so whoever has another one than this may not commit.
        published: all commits up to this one are known to be published.
        pruned: commits up to this one may have been forgotten.
    """

    pipeline: str
    shard: int
    lineage: str
    seq: int
    digest: str
    epoch: int
    published: int
    pruned: int = 0


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """A partition in a commit log.

    Attributes:
        shard: of the chain that owns it.
        seq: the commit that last moved it; 0 when none did, or an operator since then.
        cursor: as it is stored; `Cursor.from_json` reads it.
        memory: sum over what it remembers (`worker.core.memory_sum`); empty where no commit has
            said it yet.
    """

    partition: str
    shard: int
    seq: int
    cursor: str
    memory: str = ""


class SchemaRow(msgspec.Struct, frozen=True):
    """The schema of committed files of records in a commit log, or in a checkpoint.

    Attributes:
        fingerprint: 16 hex digits, as the files name it.
        last_seq: the last commit that had such files.
    """

    fingerprint: str
    last_seq: int
    schema: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a commit log holds besides commits, all at one instant.

    Attributes:
        epoch: the last one that was given to any chain.
        chains: those of all pipelines.
        partitions, schemas, meaning: of the pipeline; see `CommitHistory`.
        memories: sum over what is stored as remembered, by partition; also of partitions that have
            no row.
    """

    pipeline: str
    epoch: int = 0
    chains: tuple[ChainRow, ...] = ()
    partitions: tuple[PartitionRow, ...] = ()
    schemas: tuple[SchemaRow, ...] = ()
    meaning: Mapping[str, str] = field(default_factory=dict)
    memories: Mapping[str, str] = field(default_factory=dict)

    @property
    def own_chains(self) -> tuple[ChainRow, ...]:
        """The chains of the pipeline, by shard."""
        return tuple(chain for chain in self.chains if chain.pipeline == self.pipeline)


class EndRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a commit did to a partition, as the log keeps it.

    Attributes:
        expected_seq: the commit that had moved it before.
        cursor: the stored text.
        memory: sum over what the partition remembers from then on.
        epoch: of its owner, in commits that states of formats before 4 made.
    """

    partition: str
    expected_seq: int
    cursor: str
    memory: str = ""
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class CommitRow:
    """A commit in a commit log.

    Attributes:
        shard: of its chain.
        epoch: of the owner that made it; 0 in commits that states of formats before 4 made.
        id: random, to recognise the commit when the outcome of a transaction is unknown.
        at: RFC 3339 in UTC, for people only.
        previous: digest of the commit before.
        published: all its files are known to stand at their final names.
        digest: covers everything else here but `published` (`worker.core.digest`).
    """

    pipeline: str
    shard: int
    lineage: str
    seq: int
    epoch: int
    id: str
    at: str
    ledger: Ledger
    files: tuple[StagedFile, ...]
    ends: tuple[EndRow, ...]
    previous: str
    published: bool = False
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """One atomic step: its files hold exactly the records between the old cursors and the new ones.

    Attributes:
        row: what the log keeps of it, with its digest.
        progress: what each partition of `row.ends` changed, in the same order.
        schema: what the files of records hold, as JSON text.
    """

    row: CommitRow
    progress: tuple[Progress, ...]
    schema: str = ""


@dataclass(frozen=True, slots=True)
class ChainState:
    """What an attempt needs to know of the chain that it goes on with.

    Attributes:
        seq, digest: of its last commit; 0 and empty when there is none.
        epoch: of its owner: whoever claimed last.
        owner: the nonce of that owner; names of what it stages have it. Empty before any claim.
        owners: nonces of the earlier owners of the chain, who may have left things in staging.
        unpublished: commits whose files may not all have their final names yet, in order.
        last: the last commit; None before the first.
        accepted_lineages: lineages of this pipeline, besides that of the chain, whose files may
            stay in the output.
        schemas: those of its committed files of records, the one that was used last at the end.
        roots: where its files go, by kind, as far as that was settled.
        state_id: of the state that has the chain; a copy of a state has the same.
        gone: files of unpublished commits that are known to be gone, as (kind, final name).
    """

    pipeline: str
    shard: int
    lineage: str
    seq: int = 0
    digest: str = ""
    epoch: int = 0
    owner: str = ""
    owners: tuple[str, ...] = ()
    unpublished: tuple[CommitRow, ...] = ()
    last: CommitRow | None = None
    accepted_lineages: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    roots: Mapping[str, Root] = field(default_factory=dict)
    state_id: str = ""
    gone: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Prunable:
    """Commits of a chain that may be forgotten.

    Attributes:
        upto: the last commit that was looked at.
        seqs: of the commits up to there, those that nobody needs any more. The others have dead
            letters that wait.
        more: there are others after `upto`.
    """

    upto: int = 0
    seqs: tuple[int, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim gave: the chain as it stands from now on, and its partitions by name."""

    chain: ChainState
    partitions: Mapping[str, Claim]
