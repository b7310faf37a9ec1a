"""Single-object encoding (two marker bytes, the fingerprint of the writer's schema, the datum), and
a store of schemas to read it with.

Source: Avro specification, "Single-object encoding".
"""

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
    """What stands before a datum: the marker and the CRC-64-AVRO, little-endian."""
    return MARKER + crc64(canonical_form(schema).encode()).to_bytes(8, "little")


def split(data: bytes) -> tuple[str, bytes]:
    """The fingerprint as 16 hex digits, and the datum.

    Raises:
        CorruptDatum: the bytes are no single object.
    """
    if data[:2] != MARKER or len(data) < HEADER_BYTES:
        found = f"{data[:2].hex() or 'nothing'} and {max(len(data) - 2, 0)} bytes more"
        raise CorruptDatum("$", 0, f"{found}; a single object begins with c301 and 8 bytes")
    return f"{int.from_bytes(data[2:HEADER_BYTES], 'little'):016x}", data[HEADER_BYTES:]


def compile_single_encoder(schema: Schema) -> Callable[[Any], bytes]:
    """Makes the function datum -> single object."""
    encode, begin = compile_datum_encoder(schema), header(schema)
    return lambda datum: begin + encode(datum)


class SchemaStore:
    """Schemas by their fingerprint, and the readers of their datums, each compiled once.

    Args:
        reader: the schema that everything is read as; by default the schema of the writer.
        options: those of DatumReader.
    """

    def __init__(
        self, reader: Schema | None = None, limits: Limits | None = None, **options: Any
    ) -> None:
        self._reader, self._limits, self._options = reader, limits, options
        self._schemas: dict[str, Schema] = {}
        self._readers: dict[str, DatumReader] = {}

    def add(self, schema: Schema) -> str:
        """Adds a schema and returns its fingerprint.

        Raises:
            ValueError: another schema has the same fingerprint.
        """
        form = canonical_form(schema)
        key = f"{crc64(form.encode()):016x}"
        known = self._schemas.setdefault(key, schema)
        if canonical_form(known) != form:
            raise ValueError(f"two schemas have the fingerprint {key}")
        return key

    def get(self, fingerprint: str) -> Schema | None:
        """The schema with a fingerprint of 16 hex digits."""
        return self._schemas.get(fingerprint)

    def read(self, data: bytes) -> Any:
        """The value of a single object.

        Raises:
            CorruptDatum: the bytes are no single object of a schema in the store.
            SchemaError: as DatumReader.
        """
        fingerprint, datum = split(data)
        reader = self._readers.get(fingerprint)
        if reader is None:
            schema = self._schemas.get(fingerprint)
            if schema is None:
                known = len(self._schemas)
                reason = f"the store has {known} schemas, none with the fingerprint {fingerprint}"
                raise CorruptDatum("$", 2, reason)
            reader = self._readers[fingerprint] = DatumReader(
                schema, self._reader, limits=self._limits, **self._options
            )
        return reader.one(datum)
