"""Avro object container files: our own framing, and reading block by block under limits.

Source: Avro specification, "Object Container Files".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, Any, Final, NamedTuple, NoReturn

from worker.schema import codecs
from worker.schema.binary import varint
from worker.schema.codecs import CODECS
from worker.schema.errors import CorruptContainer, CorruptDatum, SchemaError
from worker.schema.limits import Limits
from worker.schema.model import Schema
from worker.schema.parse import parse_schema
from worker.schema.reading import DatumReader

MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16
COPY_BYTES: Final = 1024 * 1024
MAX_METADATA: Final = 10_000
"""The most entries of a header: they are read one by one, and an empty one takes two bytes."""


# -- writing ------------------------------------------------------------------------------------


def file_header(schema_json: str, codec: str, metadata: Mapping[str, bytes], sync: bytes) -> bytes:
    """The header of a container: magic bytes, metadata, sync marker."""
    entries = {"avro.schema": schema_json.encode(), "avro.codec": codec.encode(), **metadata}
    body = b"".join(_sized(key.encode()) + _sized(value) for key, value in entries.items())
    return MAGIC + varint(len(entries)) + body + b"\0" + sync


def frame_block(rows: int, data: bytes, codec: str, sync: bytes) -> bytes:
    """One block of a container: count, size, compressed datums, sync marker."""
    packed = codecs.compress(data, codec)
    return b"".join((varint(rows), varint(len(packed)), packed, sync))


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


# -- reading ------------------------------------------------------------------------------------


class ContainerReader:
    """Reads a container block by block.

    Attributes:
        metadata: the metadata of the header.
        codec, schema_json: the codec and the writer's schema that the metadata names.
        good: bytes from the start of the file to the end of the last block that was read as a
            whole; at first, to the end of the header.

    Raises:
        CorruptContainer: the file is no intact container; all methods raise it.
    """

    def __init__(self, file: IO[bytes], name: str = "", limits: Limits | None = None) -> None:
        self._file, self._name, self._limits = file, name, limits or Limits()
        self._block = 0
        self._at = self.good = 0  # the position, because some files cannot tell theirs
        if self._take(4) != MAGIC:
            self._refuse("it does not begin with the magic bytes of an Avro container")
        self.metadata = self._metadata()
        self._sync = self._take(SYNC_BYTES)
        self.good = self._at
        self.codec = self.metadata.get("avro.codec", b"null").decode("ascii", "replace")
        if self.codec not in CODECS:
            self._refuse(f"the codec {self.codec[:40]!r} is unknown; known are {', '.join(CODECS)}")
        self.schema_json = self.metadata.get("avro.schema", b"").decode("utf-8", "replace")

    @property
    def block(self) -> int:
        """The number of the last block, from 1."""
        return self._block

    def schema(self) -> Schema:
        """The writer's schema."""
        try:
            return parse_schema(self.schema_json, strict=False)
        except SchemaError as error:
            raise CorruptContainer(
                f"the schema in its header is invalid: {error.message}", where=self._name
            ) from error

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """The number of records and the inflated datums of each block."""
        for rows, packed in self.packed_blocks():
            yield rows, self.inflated(packed)
            self.good = self._at

    def packed_blocks(self) -> Iterator[tuple[int, bytes]]:
        """The number of records of each block, and its datums as they are stored."""
        while (first := self._file.read(1)) != b"":
            self._at += 1
            self._block += 1
            rows, size = self._long(first), self._long()
            if not 0 <= rows <= self._limits.rows or not 0 <= size <= self._limits.block:
                self._refuse(
                    f"a block of {rows} records and {size} bytes,"
                    f" at most {self._limits.rows} and {self._limits.block} are allowed"
                )
            packed = self._take(size)
            if self._take(SYNC_BYTES) != self._sync:
                self._refuse("the sync marker after the block is wrong")
            yield rows, packed

    def inflated(self, packed: bytes) -> bytes:
        """The datums of the last block."""
        try:
            return codecs.inflate(packed, self.codec, self._limits.inflated)
        except codecs.NotInflated as error:
            self._refuse(f"the block is damaged: {error}")

    def _metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        left = MAX_METADATA
        while (count := self._long()) != 0:
            size = self._long() if count < 0 else None
            begin = self._at
            left -= abs(count)
            if left < 0:
                self._refuse(f"more than {MAX_METADATA} entries of metadata")
            for _ in range(abs(count)):
                key = self._text()
                found[key.decode("utf-8", "replace")] = self._text()
            if size is not None and self._at - begin != size:
                self._refuse(
                    f"a block of metadata that declares {size} bytes and has {self._at - begin}"
                )
        return found

    def _text(self) -> bytes:
        size = self._long()
        if size < 0 or self._at + size > self._limits.header:
            self._refuse(
                f"a header value of {size} bytes, all of the header may have {self._limits.header}"
            )
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        self._at += len(data)
        if len(data) != size:
            self._refuse("the file ends too early")
        return data

    def _long(self, first: bytes = b"") -> int:
        value = shift = 0
        byte = first or self._take(1)
        while True:
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                break
            shift += 7
            if shift > 63:
                self._refuse("a whole number of more than 10 bytes")
            byte = self._take(1)
        if value >> 64:
            self._refuse("a whole number of more than 64 bits")
        return (value >> 1) ^ -(value & 1)

    def _refuse(self, message: str) -> NoReturn:
        at = (
            f"block {self._block}, which begins at byte {self.good}"
            if self._block
            else f"header, byte {self._at}"
        )
        raise CorruptContainer(
            f"{message} ({at})",
            where=self._name,
            block=self._block,
            offset=self.good if self._block else self._at,
        )


class Records:
    """The records of a container.

    Args:
        reader: the schema that they are read as; by default the writer's.
        options: those of DatumReader.

    Raises:
        CorruptContainer: the header is damaged, or the schema in it cannot be used.
        SchemaError: the records cannot be read as `reader`.
    """

    def __init__(
        self,
        file: IO[bytes],
        name: str = "",
        reader: Schema | None = None,
        limits: Limits | None = None,
        **options: Any,
    ) -> None:
        self._name, self._limits = name, limits or Limits()
        self.container = ContainerReader(file, name, self._limits)
        try:
            self._datums = DatumReader(
                self.container.schema(), reader, limits=self._limits, **options
            )
        except SchemaError as error:
            if reader is not None:
                raise
            raise CorruptContainer(
                f"the schema in its header cannot be used: {error.message}", where=name
            ) from error

    def blocks(self) -> Iterator[tuple[int, Iterator[list[Any]]]]:
        """The number of records of each block and its records in slices, which must be exhausted.
        They raise CorruptContainer after the good records before the damage."""
        left = [0, 0, self._limits.empty]
        for rows, data in self.container.blocks():
            yield rows, self._slices(data, rows, left)

    def _slices(self, data: bytes, rows: int, left: list[int]) -> Iterator[list[Any]]:
        try:
            yield from self._datums.all(data, rows, left)
        except CorruptDatum as error:
            block, offset = self.container.block, self.container.good
            raise CorruptContainer(
                f"record {error.record} of block {block}, which begins at byte {offset},"
                f" is damaged: {error.path}, byte {error.offset} of its datums: {error.reason}",
                where=self._name,
                block=block,
                offset=offset,
                record=error.record,
                path=error.path,
            ) from error


def read_records(
    file: IO[bytes], name: str = "", reader: Schema | None = None, **options: Any
) -> Iterator[Any]:
    """The records of a container as plain values; see `Records` for the arguments and errors.

    Raises:
        CorruptContainer: after the good records before the damage.
    """
    for _, slices in Records(file, name, reader, **options).blocks():
        for records in slices:
            yield from records


# -- salvage ------------------------------------------------------------------------------------


class Salvaged(NamedTuple):
    """What was saved of a container.

    Attributes:
        blocks, records: how many were saved.
        good_bytes: bytes of the source up to there.
        damage: what ended the copy; None when nothing is damaged.
    """

    blocks: int
    records: int
    good_bytes: int
    damage: CorruptContainer | None


def salvage(
    file: IO[bytes], target: IO[bytes], name: str = "", limits: Limits | None = None
) -> Salvaged:
    """Copies the header and every block before the first damaged one, as they stand.

    Args:
        file: it is read twice, so it must be seekable.

    Raises:
        CorruptContainer: the header is damaged, so nothing can be read.
    """
    start = file.tell()
    source, blocks, records = Records(file, name, limits=limits), 0, 0
    damage = None
    try:
        for rows, slices in source.blocks():
            for _ in slices:
                pass
            blocks, records = blocks + 1, records + rows
    except CorruptContainer as error:
        damage = error
    file.seek(start)
    left = source.container.good
    while left and (piece := file.read(min(left, COPY_BYTES))):
        target.write(piece)
        left -= len(piece)
    return Salvaged(blocks, records, source.container.good, damage)
