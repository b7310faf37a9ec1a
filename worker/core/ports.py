"""The seams: small Protocols that adapters implement and `worker.wiring` connects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from worker.core.model import (
    Chunk,
    Claim,
    Commit,
    Decoded,
    FieldError,
    PipelineState,
    StagedFile,
)

T = TypeVar("T")

SLICE_RECORDS: Final = 2_000
"""Most records that are worked on between two breaths of the event loop."""

Steps = Generator[None, None, T]
"""Work in slices: yields where the event loop may breathe, returns its result. Pure: exhaust it without a loop and get the same."""


class Clock(Protocol):
    """Time, injected so that tests own it."""

    def monotonic(self) -> float: ...
    def time(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class SchemaNeeded(Exception):
    """A page has datums of a writer whose schema is not there yet: get it by this id, then decode the page again (raised by Pages.decode)."""

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
    """Decodes the pages of one pipeline. Pure, called in order on the event loop."""

    def decode(
        self, body: Any, *, digest: bytes, url: str = "", received_us: int = 0
    ) -> Steps[Decoded]:
        """One page. Raises BadBody for what is no document, RecordsMissing where the records are not, SchemaMismatch, SchemaNeeded."""


class Plan(Protocol):
    """A compiled schema. Pure and shared; all methods are called on the event loop with at most 2,000 records."""

    fingerprint: str  # 16 hex digits, CRC-64-AVRO of the canonical form
    schema_json: str  # what goes into `avro.schema` of a file

    @property
    def record_type(self) -> Any:
        """The msgspec type of one JSON record, to embed in a page envelope: `list[plan.record_type]`."""

    def finish(self, records: list[Any]) -> list[tuple[int, tuple[FieldError, ...]]]:
        """Completes the validation of typed records in place: what their types could not say.

        Text times become ints. Returns the index and the errors of each invalid record, in order.
        An error whose `found` is `INEXACT` only says that a number may have lost digits in its
        typed form: `one` decides about that record.
        """

    def one(self, raw: bytes) -> Any:
        """Decodes and finishes one record from JSON bytes, slowly; raises InvalidRecord with all field errors."""

    def encode(self, records: Sequence[Any]) -> bytes:
        """Concatenated Avro datums of finished records."""

    def raw_getter(self, path: tuple[str, ...]) -> Callable[[Any], Any]:
        """Reads a path of JSON names of an *unfinished* typed record as it was received; MISSING when absent.
        The first name must be a field or one of the `extra` names given to compile_plan."""


@dataclass(frozen=True, slots=True)
class Shaping:
    """What became of finished records.

    Attributes:
        chunks: (route, number of rows, encoded rows), once per route.
        refused: index in the given list and reason of each record that made no output record.
        filtered: how many records a filter left out.
        expanded: how many records there are more because one became several.
    """

    chunks: list[tuple[str, int, bytes]]
    refused: list[tuple[int, InvalidRecord]]
    filtered: int = 0
    expanded: int = 0


class Shape(Protocol):
    """Transforms, routes and encodes. Pure; called on the event loop with at most 2,000 finished records of one page.

    `received` is when the page came, in microseconds since 1970. Never raises for bad data.
    """

    def __call__(self, records: Sequence[Any], received: int) -> Shaping: ...


class CommitLog(Protocol):
    """The store of truth. Synchronous: called from the pipeline's one IO thread. Raises StateError."""

    def load(self, pipeline: str, fingerprint: Mapping[str, str]) -> PipelineState:
        """At the start of each attempt: the state, created with a new lineage when there is none."""

    def claim(self, pipeline: str, partitions: Sequence[str]) -> dict[str, Claim]:
        """Takes ownership: epoch += 1 for each partition, in one transaction; new partitions start with an empty cursor."""

    def commit(self, commit: Commit) -> None:
        """The commit point, one durable transaction. Raises Fenced (nothing changed) when any partition has another epoch or seq."""

    def mark_published(self, pipeline: str, seq: int) -> None:
        """All files of this commit and of those before it stand at their final names."""


class Sink(Protocol):
    """Where chunks go: files in staging that a commit makes visible. Called from the pipeline's one IO thread.

    All methods raise SinkUnavailable (pause, redo from the commit log) or DurabilityLost (redo once).
    """

    root: Path
    area: str  # directory below root for staging and commit records
    kind: str  # "records" | "dead_letters"

    @property
    def full(self) -> bool:
        """The commit in the making has as many files as one may have: cut it at the next position."""

    def prepare(self, accepted_lineages: Sequence[str]) -> None:
        """Once an attempt, first. Raises ConfigError over a root that holds another lineage of the pipeline."""

    def write(self, chunk: Chunk) -> None:
        """Takes a chunk of the commit in the making; may compress and write."""

    def seal(self) -> tuple[StagedFile, ...]:
        """At a roll: everything written since `begin`, durable in staging."""

    def publish(self, files: Sequence[StagedFile]) -> None:
        """After the commit point: final names, durably. Repeatable."""

    def begin(self, seq: int) -> None:
        """The next commit."""

    def sweep(self) -> int:
        """At the start of an attempt, after recovery: deletes what is left in staging."""

    def close(self) -> None:
        """At the end of an attempt: lets go of open files."""
