"""Avro bodies, which are object containers or sequences of messages, and Avro files.

container      an object container file (Avro specification, "Object Container Files"); its header
               has the writer's schema
single_object  messages of two marker bytes, the fingerprint of the writer's schema and a datum
               (Avro specification, "Single-object encoding")
confluent      messages of a zero byte, the id of the writer's schema in a registry (four bytes,
               big-endian) and a datum
raw            datums of one configured writer's schema

The end of a datum follows from its schema, so messages need no separator. Therefore nothing can be
read after a damaged datum: a body with damage anywhere is a bad body, and none of its records is
kept, because the same page is asked for again. A datum that is intact but has no value in the
schema of the pipeline (an unknown symbol, for example) is one reject: the next one begins where it
ends.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from worker.config.model import Issues
from worker.config.references import SchemaFile
from worker.config.schema_file import schema_file
from worker.core.errors import BadBody, ConfigError, SchemaMismatch
from worker.core.jsonpath import plain_keys
from worker.core.model import Decoded, FieldError, Unknown
from worker.core.ports import SLICE_RECORDS, SchemaNeeded, Steps
from worker.formats.avro_weight import (
    AVRO_FACTOR,
    SAMPLE_RECORDS,
    SAMPLED_BYTES,
    SAMPLES,
    AvroSample,
    samples_of,
)
from worker.formats.component import DecodeConfig, DecodeDeps
from worker.formats.records import Batch, RecordDecoder, RecordSpec
from worker.http.body_form import AS_IT_COMES, AUTO, BodyForm
from worker.http.registry_config import RegistryConfig
from worker.schema.container import SYNC_BYTES, ContainerReader, file_header, frame_block
from worker.schema.encoding import AvroRows
from worker.schema.errors import CorruptData, CorruptDatum, SchemaError
from worker.schema.limits import Limits
from worker.schema.model import Schema
from worker.schema.plan import CompiledPlan
from worker.schema.plan_reader import Part, PlanReader
from worker.schema.single import HEADER_BYTES, MARKER, SchemaStore

KNOWN_WRITERS: Final = 100
"""Compiled readers that are kept; a server may write with any number of schemas."""
RATIO_FLOOR_BYTES: Final = 16 * 1024 * 1024
"""Blocks may inflate to this much at any ratio, because small files of zeros compress well."""
CONFLUENT_BYTES: Final = 5
SAMPLED_INFLATED_BYTES: Final = 4 * 1024 * 1024
"""A block that inflates further is not looked at to tell what a page takes."""


# -- encode ----------------------------------------------------------------------------------------

CODECS: Final = ("deflate", "null", "zstandard", "snappy")
EXTENSIONS: Final = ("avro",)


def rows(schema: Schema, bytes_as: str) -> AvroRows:
    """Datums hold bytes as they are."""
    return AvroRows(schema)


def encoder(schema: Schema, codec: str, metadata: Mapping[str, str]) -> AvroEncoder:
    return AvroEncoder(schema.source, codec, metadata)


def rows_in(path: Path) -> int:
    """The records of a file. Raises CorruptContainer for a damaged one."""
    with path.open("rb") as file:
        return sum(rows for rows, _ in ContainerReader(file, str(path)).blocks())


class AvroEncoder:
    """One object container file, with the schema, our metadata and a random sync marker."""

    ext = "avro"

    def __init__(self, schema_json: str, codec: str, metadata: Mapping[str, str]) -> None:
        self._codec = codec
        self._sync = os.urandom(SYNC_BYTES)
        self._header = file_header(
            schema_json, codec, {key: value.encode() for key, value in metadata.items()}, self._sync
        )

    def header(self) -> bytes:
        return self._header

    def block(self, rows: int, data: bytes) -> bytes:
        return frame_block(rows, data, self._codec, self._sync)

    def footer(self) -> bytes:
        return b""


# -- decode ----------------------------------------------------------------------------------------

_RESOLUTION: Final = (
    "has no meaning with decode.type avro: "
    "Avro schema resolution says what becomes of fields that one of the schemas lacks"
)

Files = Annotated[
    tuple[Annotated[Path, SchemaFile()], ...],
    SchemaFile(),
    BeforeValidator(lambda value: (value,) if isinstance(value, str | Path) else value),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]


class Decode(DecodeConfig):
    """Bodies of Avro."""

    one_record: ClassVar[str] = "each datum is one"
    resolves: ClassVar[bool] = True

    type: Literal["avro"] = Field(description="format of a page")
    framing: Literal["container", "single_object", "confluent", "raw"] = Field(
        "container",
        description="an object container, or messages one after the other: single objects, "
        "Confluent's wire format, or datums alone",
    )
    writer_schema: Files = Field(
        (),
        description="Avro schemas that datums were written with, relative to the config file: "
        "one for raw, any number for single_object",
    )
    registry: RegistryConfig | None = Field(
        None, description="where the schemas of Confluent's wire format are"
    )

    @model_validator(mode="after")
    def _fitting(self) -> Decode:
        issues, given = Issues(), len(self.writer_schema)
        if self.framing == "raw" and given != 1:
            issues.add(
                ("framing",),
                f"raw datums need writer_schema, one file; {given} are given",
                "writer_schema",
            )
        if self.framing in ("container", "confluent") and given:
            issues.add(
                ("writer_schema",),
                f"the writer's schema of a {self.framing} body is not configured: "
                "the data names it",
                "framing",
            )
        if self.framing == "confluent" and self.registry is None:
            issues.add(
                ("framing",),
                "Confluent's wire format names schemas by their ids in a registry: "
                "set decode.registry",
                "registry",
            )
        if self.framing != "confluent" and self.registry is not None:
            issues.add(
                ("registry",),
                f"a registry has a meaning with framing confluent only, not with {self.framing}",
                "framing",
            )
        issues.check()
        return self

    @property
    def form(self) -> BodyForm:
        # a datum alone may begin with any bytes, also with those of a compressed body
        takes_any = self.framing == "raw" and self.compression == AUTO
        return AS_IT_COMES if takes_any else super().form

    @property
    def schema_registry(self) -> RegistryConfig | None:
        return self.registry

    @property
    def settled(self) -> Mapping[str, tuple[tuple[str, ...], str]]:
        return {
            "unknown_fields": (("drop", "keep"), _RESOLUTION),
            "missing_fields": (("fill",), _RESOLUTION),
        }


def pages(config: Decode, deps: DecodeDeps) -> AvroPages:
    """Raises ConfigError for what Avro bodies do not have, and for a schema that cannot be read."""
    if deps.spec.body_paths:
        paths = ", ".join(dict.fromkeys(deps.spec.body_paths))
        raise ConfigError(
            f"decode: an Avro body has nothing but records, so nothing is at {paths}",
            remedy="take it from a header, or from the last record",
        )
    _check_fields(deps.spec.record, deps.plan)
    given = [schema_file(path) for path in config.writer_schema]
    store = SchemaStore()
    for schema in (deps.plan.schema, deps.plan.incoming, *given):
        try:
            store.add(schema)
        except ValueError as error:
            raise ConfigError(
                f"decode.writer_schema: {error}", remedy="take one of them out"
            ) from error
    spec = AvroSpec(
        config.framing, deps.spec.record, deps.bytes_as, deps.body_bytes, ratio=deps.ratio
    )
    return AvroPages(
        spec,
        deps.plan,
        raw=given[0] if config.framing == "raw" else None,
        single=store.get,
        confluent=deps.writers.get,
    )


def _check_fields(spec: RecordSpec, plan: CompiledPlan) -> None:
    """Fields for the mark, the key and the position are read as the schema of the pipeline says, so
    it must have them.
    """
    known = {each.json_name for each in plan.schema.root.fields}
    for path in spec.paths:
        keys = plain_keys(path)
        if not keys:
            raise ConfigError(
                f"source: {path!r} is more than the name of a field",
                remedy="with decode.type avro write the keys alone, like a.b",
            )
        if keys[0] not in known:
            raise ConfigError(
                f"source: the schema has no field {keys[0]!r}, "
                "and with decode.type avro only its fields are read",
                remedy="add it to the schema",
            )


@dataclass(frozen=True, slots=True)
class AvroSpec:
    """What a body is.

    Attributes:
        framing: container, single_object, confluent or raw.
        record: what to take out of records.
        bytes_as: how bytes are written in the JSON of dead letters.
        body_bytes: the size to which all blocks of a container together may inflate.
        ratio: how many times larger than the container that size may be.
    """

    framing: str
    record: RecordSpec
    bytes_as: str = "latin1"
    body_bytes: int = 128 * 1024 * 1024
    ratio: float = 200.0


class AvroPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    Args:
        raw: the writer's schema of raw datums.
        single: the writer's schema of a fingerprint (16 hex digits); None when it is not known.
        confluent: the writer's schema of an id. Raises SchemaNeeded when it must be fetched first.
    """

    def __init__(
        self,
        spec: AvroSpec,
        plan: CompiledPlan,
        *,
        raw: Schema | None = None,
        single: Callable[[str], Schema | None] = lambda fingerprint: None,
        confluent: Callable[[int], Schema] | None = None,
    ) -> None:
        self._spec, self._plan = spec, plan
        self._raw, self._single, self._confluent = raw, single, confluent
        self._records = RecordDecoder(spec.record, plan)
        most = Limits().depth
        depth = min(spec.record.depth or most, most)
        self._limits = Limits(block=spec.body_bytes, inflated=spec.body_bytes, depth=depth)
        self._readers: dict[Any, PlanReader] = {}

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together, told from records in it."""
        if len(body) >= SAMPLED_BYTES:
            is_container = self._spec.framing == "container"
            try:
                return (self._weigh_container if is_container else self._weigh_messages)(body)
            except (CorruptData, SchemaMismatch, SchemaNeeded):
                pass  # decoding says so
        return len(body) * AVRO_FACTOR

    def _weigh_container(self, body: Any) -> int:
        limits = replace(self._limits, inflated=min(self._limits.inflated, SAMPLED_INFLATED_BYTES))
        container, sample, rows = ContainerReader(_file(body), limits=limits), AvroSample(), 0
        reader = self._reader(container.schema_json, container.schema)
        for number, packed, is_sample in samples_of(container.packed_blocks(), len(body)):
            rows += number
            if is_sample:
                data = container.inflated(packed)
                left = [0, 0, self._limits.empty]
                sample.add(reader.part(data, 0, min(number, SAMPLE_RECORDS), left).records)
                sample.inflated_bytes += len(data)
                sample.packed_bytes += len(packed)
        return sample.weight_of_rows(rows, len(body))

    def _weigh_messages(self, body: Any) -> int:
        data, sample, at = bytes(body[:SAMPLED_BYTES]), AvroSample(), 0
        left = [0, 0, self._limits.empty]
        while sample.count < SAMPLES * SAMPLE_RECORDS:
            start, reader = self._begin(data, at)
            part = reader.part(data, start, 1, left)
            sample.add(part.records)
            if part.end == at or not part.records:
                break
            at = part.end
        return sample.weight_of_messages(at, len(body))

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page. Raises BadBody for what is not intact Avro, SchemaNeeded, and
        SchemaMismatch where the writer's schema cannot be read as the pipeline's.
        """
        batch, unknown = Batch(), dict[str, Unknown]()
        add = self._container if self._spec.framing == "container" else self._messages
        try:
            size = yield from add(batch, unknown, body)
        except CorruptData as error:
            raise BadBody(f"the body is no intact Avro {self._spec.framing}: {error}") from error
        decoded = self._records.complete(batch, {}, unknown)
        facts = decoded.facts
        facts.size_bytes, facts.url, facts.received_us = size, url, received_us
        return decoded

    def _container(self, batch: Batch, unknown: dict[str, Unknown], body: Any) -> Steps[int]:
        """Adds the records of a container.

        Returns its size without compression, in bytes, by which channels weigh pages.
        """
        container = ContainerReader(_file(body), limits=self._limits)
        reader = self._reader(container.schema_json, container.schema)
        left, inflated, total = [0, 0, self._limits.empty], 0, 0
        most = min(self._spec.body_bytes, max(int(len(body) * self._spec.ratio), RATIO_FLOOR_BYTES))
        for rows, data in container.blocks():
            inflated, total = inflated + len(data), total + rows
            if inflated > most or total > self._limits.rows:
                raise CorruptDatum(
                    "$",
                    0,
                    f"{total} records in {inflated} bytes up to block {container.block}; "
                    f"at most {self._limits.rows} in {most} are allowed",
                )
            yield
            yield from self._block(batch, reader, data, rows, left)
        _note_dropped(unknown, reader, total)
        return max(inflated, len(body))

    def _block(
        self, batch: Batch, reader: PlanReader, data: bytes, rows: int, left: list[int]
    ) -> Steps[None]:
        """Adds the datums of a block: exactly `rows`, which fill it.

        Args:
            left: the budgets that all blocks share; see `PlanReader.part`.
        """
        at = done = 0
        if reader.smallest == 0:
            left[2] -= rows * reader.weight
        if rows * reader.smallest > len(data) or left[2] < 0:
            raise CorruptDatum(
                "$",
                0,
                f"a block of {rows} records in {len(data)} bytes, "
                f"each has at least {reader.smallest}",
            )
        while done < rows:
            part = reader.part(data, at, min(rows - done, SLICE_RECORDS), left)
            if part.records:
                batch.add_source(partial(reader.raws, data, at, len(part.records)))
            self._add(batch, part)
            done += len(part.records) + (part.unreadable is not None)
            at = part.end
            yield
        if at != len(data):
            raise CorruptDatum("$", at, f"{len(data) - at} bytes after the last of {rows} records")

    def _messages(self, batch: Batch, unknown: dict[str, Unknown], body: Any) -> Steps[int]:
        """Adds a sequence of messages, which may be empty. Returns its size in bytes."""
        data = bytes(body)
        at, left = 0, [0, 0, self._limits.empty]
        run = _Run(data)
        while at < len(data):
            start, reader = self._begin(data, at)
            part = reader.part(data, start, 1, left)
            if part.end == at:
                raise CorruptDatum(
                    "$", at, "a datum without bytes, so that nothing says how many there are"
                )
            if part.unreadable is not None or len(run.places) >= SLICE_RECORDS:
                self._flush(batch, run)
                run = _Run(data)
                yield
            if part.unreadable is None:
                run.records += part.records
                run.places.append((reader, start))
            else:
                self._add(batch, part)
            _note_dropped(unknown, reader, 1)
            at = part.end
        self._flush(batch, run)
        return len(data)

    def _begin(self, data: bytes, at: int) -> tuple[int, PlanReader]:
        """Where the datum of the message at `at` begins, and what reads it."""
        framing = self._spec.framing
        if framing == "raw":
            assert self._raw is not None
            return at, self._reader("", lambda: self._raw)
        if framing == "single_object":
            fingerprint = _fingerprint(data, at)
            return at + HEADER_BYTES, self._reader(fingerprint, lambda: self._single(fingerprint))
        assert self._confluent is not None
        load, number = self._confluent, _schema_id(data, at)
        return at + CONFLUENT_BYTES, self._reader(number, lambda: load(number))

    def _reader(self, key: Any, schema: Callable[[], Schema | None]) -> PlanReader:
        """What reads datums of a writer's schema; compiled when the key is first seen.

        Raises SchemaMismatch.
        """
        if (known := self._readers.get(key)) is not None:
            return known
        writer = schema()
        if writer is None:
            raise SchemaMismatch(
                f"no schema has the fingerprint {key}",
                remedy="add it to decode.writer_schema; "
                "the partition waits until then, nothing is lost",
            )
        try:
            reader = PlanReader(
                writer,
                self._plan,
                limits=self._limits,
                record_bytes=self._spec.record.record_bytes,
                bytes_as=self._spec.bytes_as,
            )
        except SchemaError as error:
            reason = error.message.removeprefix("$: ")
            raise SchemaMismatch(
                "the data was written with a schema that cannot be read as the pipeline's: "
                f"{reason}",
                remedy="change `schema` so that it can; "
                "the partition waits until then, nothing is lost",
            ) from error
        if len(self._readers) >= KNOWN_WRITERS:
            self._readers.clear()
        self._readers[key] = reader
        return reader

    # -- records -----------------------------------------------------------------------------------

    def _flush(self, batch: Batch, run: _Run) -> None:
        if run.records:
            batch.add_source(run.raws)
            self._add(batch, Part(run.records, 0))

    def _add(self, batch: Batch, part: Part) -> None:
        """Adds the records of a part, and the reject that ended it."""
        if part.records:
            records = part.records
            batch.add_contents(lambda: [self._plan.encode([each]) for each in records])
            self._records.note(batch, records)
            batch.records += records
        if (bad := part.unreadable) is None:
            return
        limit = self._spec.record.record_bytes
        if bad.size_bytes > limit:
            found, allowed = f"a record of {bad.size_bytes} bytes", f"at most {limit}"
            error = FieldError("$", found, f"{allowed} (source.limits.record)")
            self._records.refuse(batch, bad.raw, "record_too_large", (error,))
        else:
            error = FieldError(bad.path, bad.reason, "a value of the schema")
            self._records.refuse(batch, bad.raw, "invalid", (error,))


class _Run:
    """Consecutive messages of one page without a reject between them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.records: list[Any] = []
        self.places: list[tuple[PlanReader, int]] = []

    def raws(self) -> Sequence[bytes]:
        return [reader.raws(self._data, at, 1)[0] for reader, at in self.places]


def _fingerprint(data: bytes, at: int) -> str:
    """The fingerprint of the writer's schema (16 hex digits) of the single object at `at`."""
    if data[at : at + 2] != MARKER or len(data) - at < HEADER_BYTES:
        found = f"{data[at : at + 2].hex()} and {max(len(data) - at - 2, 0)} bytes more"
        raise CorruptDatum("$", at, f"{found}; a single object begins with c301 and 8 bytes")
    return f"{int.from_bytes(data[at + 2 : at + HEADER_BYTES], 'little'):016x}"


def _schema_id(data: bytes, at: int) -> int:
    """The id of the writer's schema of the message in Confluent's framing at `at`."""
    if data[at] != 0 or len(data) - at < CONFLUENT_BYTES:
        found = f"byte {data[at]} and {len(data) - at - 1} bytes more"
        raise CorruptDatum(
            "$", at, f"{found}; a message begins with 0 and the four bytes of a schema id"
        )
    return int.from_bytes(data[at + 1 : at + CONFLUENT_BYTES], "big")


def _note_dropped(unknown: dict[str, Unknown], reader: PlanReader, count: int) -> None:
    for name, kind in reader.dropped.items():
        before = unknown.get(name)
        unknown[name] = Unknown(count + (before.count if before else 0), (kind,))


def _file(body: Any) -> IO[bytes]:
    """A body as a file; the map of a spooled body is not copied."""
    if isinstance(body, mmap.mmap):
        body.seek(0)
        return body  # type: ignore[return-value]
    return io.BytesIO(body)
