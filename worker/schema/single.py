"""Single-object encoding: two marker bytes, the fingerprint of the writer's schema, the datum. And a store of schemas to read it with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from worker.schema.canonical import canonical_form, crc64
from worker.schema.encoding import compile_datum_encoder
from worker.schema.errors import CorruptDatum
from worker.schema.limits import Limits
from worker.schema.model import Schema
from worker.schema.reading import DatumReader

MARKER: Final = b"\xc3\x01"
HEADER_BYTES: Final = 10


def header(schema: Schema) -> bytes:
    """What stands before a datum: the marker and CRC-64-AVRO, little-endian."""
    return MARKER + crc64(canonical_form(schema).encode()).to_bytes(8, "little")


def split(data: bytes) -> tuple[str, bytes]:
    """(fingerprint in 16 hex digits, datum). Raises CorruptDatum for what is no single object."""
    if data[:2] != MARKER or len(data) < HEADER_BYTES:
        raise CorruptDatum(
            "$",
            0,
            f"{data[:2].hex() or 'nothing'} and {max(len(data) - 2, 0)} bytes more; a single object begins with c301 and 8 bytes",
        )
    return f"{int.from_bytes(data[2:HEADER_BYTES], 'little'):016x}", data[HEADER_BYTES:]


def compile_single_encoder(schema: Schema) -> Callable[[Any], bytes]:
    """Datum -> single object."""
    encode, begin = compile_datum_encoder(schema), header(schema)
    return lambda datum: begin + encode(datum)


class SchemaStore:
    """Schemas by fingerprint, and the readers of their datums, each compiled once.

    Args:
        reader: read everything as this schema; as it was written when omitted.
        options: of DatumReader.
    """

    def __init__(
        self, reader: Schema | None = None, limits: Limits | None = None, **options: Any
    ) -> None:
        self._reader, self._limits, self._options = reader, limits, options
        self._schemas: dict[str, Schema] = {}
        self._readers: dict[str, DatumReader] = {}

    def add(self, schema: Schema) -> str:
        """Takes a schema; returns its fingerprint. Raises ValueError when another one has the same."""
        form = canonical_form(schema)
        key = f"{crc64(form.encode()):016x}"
        known = self._schemas.setdefault(key, schema)
        if canonical_form(known) != form:
            raise ValueError(f"two schemas have the fingerprint {key}")
        return key

    def get(self, fingerprint: str) -> Schema | None:
        """The schema of 16 hex digits."""
        return self._schemas.get(fingerprint)

    def read(self, data: bytes) -> Any:
        """The value of a single object. Raises CorruptDatum, also for a fingerprint that is not in the store; SchemaError as DatumReader does."""
        fingerprint, datum = split(data)
        reader = self._readers.get(fingerprint)
        if reader is None:
            schema = self._schemas.get(fingerprint)
            if schema is None:
                raise CorruptDatum(
                    "$",
                    2,
                    f"fingerprint {fingerprint} is none of the {len(self._schemas)} schemas in the store",
                )
            reader = self._readers[fingerprint] = DatumReader(
                schema, self._reader, limits=self._limits, **self._options
            )
        return reader.one(datum)
