"""Avro object container files (specification, "Object Container Files"): our own framing, and reading block by block under limits."""

from __future__ import annotations

import io
import json
import threading
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import fastavro

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd  # type: ignore[no-redef,unused-ignore]

from worker.core.errors import ConfigError, Exit, WorkerError

MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16
CODECS: Final = ("null", "deflate", "snappy", "zstandard")
BLOCK_LIMIT: Final = 64 * 1024 * 1024
HEADER_LIMIT: Final = 16 * 1024 * 1024
ROWS_LIMIT: Final = 10_000_000
ZSTD_LEVEL: Final = 3


class CorruptContainer(WorkerError):
    """The file is no intact Avro container."""

    exit = Exit.DATA
    code = "corrupt_container"


_LOW: Final = 1 << 14
_MASK: Final = _LOW - 1


def _short(value: int) -> bytes:
    return bytes((value,)) if value < 0x80 else bytes(((value & 0x7F) | 0x80, value >> 7))


# Two 7-bit groups at a time: as the last ones, and as ones that others follow.
_LAST: Final = [_short(value) for value in range(_LOW)]
_MORE: Final = [bytes(((value & 0x7F) | 0x80, (value >> 7) | 0x80)) for value in range(_LOW)]


def varint(value: int) -> bytes:
    """Zig-zag variable-length encoding of a long."""
    value = (value << 1) ^ (value >> 63)
    if value < _LOW:
        return _LAST[value]
    if value < 1 << 28:
        return _MORE[value & _MASK] + _LAST[value >> 14]
    if value < 1 << 42:
        return _MORE[value & _MASK] + _MORE[(value >> 14) & _MASK] + _LAST[value >> 28]
    return _MORE[value & _MASK] + _MORE[(value >> 14) & _MASK] + _MORE[(value >> 28) & _MASK] + varint_unsigned(value >> 42)


def varint_unsigned(value: int) -> bytes:
    """The same without zig-zag, of what is not negative."""
    return _LAST[value] if value < _LOW else _MORE[value & _MASK] + varint_unsigned(value >> 14)


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def file_header(schema_json: str, codec: str, metadata: Mapping[str, bytes], sync: bytes) -> bytes:
    """Magic, metadata, sync marker."""
    entries = {"avro.schema": schema_json.encode(), "avro.codec": codec.encode(), **metadata}
    body = b"".join(_sized(key.encode()) + _sized(value) for key, value in entries.items())
    return MAGIC + varint(len(entries)) + body + b"\0" + sync


def frame_block(rows: int, data: bytes, codec: str, sync: bytes) -> bytes:
    """One block: count, size, compressed datums, sync marker."""
    packed = _compress(data, codec)
    return b"".join((varint(rows), varint(len(packed)), packed, sync))


def _compress(data: bytes, codec: str) -> bytes:
    if codec == "null":
        return data
    if codec == "deflate":
        deflate = zlib.compressobj(wbits=-15)
        return deflate.compress(data) + deflate.flush()
    if codec == "snappy":
        return bytes(_snappy().compress_raw(data)) + zlib.crc32(data).to_bytes(4)
    return bytes(_zstd_compressor().compress(data, zstd.ZstdCompressor.FLUSH_FRAME))


def _snappy() -> Any:
    """The snappy codec of an extra. Raises ConfigError when it is not installed."""
    try:
        import cramjam
    except ImportError as error:
        raise ConfigError("the codec snappy needs the package cramjam", remedy="install worker[snappy], or choose zstandard") from error
    return cramjam.snappy


_local: Final = threading.local()


def _zstd_compressor() -> Any:
    """One a thread: making a context costs more than compressing a small block."""
    found = getattr(_local, "zstd", None)
    if found is None:
        found = _local.zstd = zstd.ZstdCompressor(level=ZSTD_LEVEL)
    return found


class ContainerReader:
    """Reads a container block by block. Raises CorruptContainer with the offset and the block number."""

    def __init__(self, file: IO[bytes], name: str = "") -> None:
        self._file, self._name, self._block = file, name, 0
        if self._take(4) != MAGIC:
            raise self._corrupt("does not begin like an Avro container")
        self.metadata = self._metadata()
        self._sync = self._take(SYNC_BYTES)
        self.codec = self.metadata.get("avro.codec", b"null").decode("ascii", "replace")
        if self.codec not in CODECS:
            raise self._corrupt(f"codec {self.codec!r} is not known; {', '.join(CODECS)} are")
        self.schema_json = self.metadata.get("avro.schema", b"").decode("utf-8", "replace")

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """(rows, inflated datums) of each block."""
        while (first := self._file.read(1)) != b"":
            self._block += 1
            rows = self._long(first)
            size = self._long()
            if not 0 <= rows <= ROWS_LIMIT or not 0 <= size <= BLOCK_LIMIT:
                raise self._corrupt(f"a block of {rows} records and {size} bytes")
            data = self._inflate(self._take(size))
            if self._take(SYNC_BYTES) != self._sync:
                raise self._corrupt("the sync marker behind the block is wrong")
            yield rows, data

    def _unsnapped(self, data: bytes) -> bytes:
        plain = bytes(_snappy().decompress_raw(data[:-4]))
        if zlib.crc32(plain) != int.from_bytes(data[-4:]):
            raise self._corrupt("the checksum of the block is wrong")
        return plain

    def _inflate(self, data: bytes) -> bytes:
        try:
            if self.codec == "null":
                return data
            if self.codec == "snappy":
                return self._unsnapped(data)
            if self.codec == "deflate":
                inflate = zlib.decompressobj(wbits=-15)
                out, done = inflate.decompress(data, BLOCK_LIMIT + 1), inflate.eof and not inflate.unused_data
            else:
                frame = zstd.ZstdDecompressor()
                out, done = frame.decompress(data, BLOCK_LIMIT + 1), frame.eof and not frame.unused_data
        except (zlib.error, zstd.ZstdError) as error:
            raise self._corrupt(f"the block does not inflate: {error}") from error
        if len(out) > BLOCK_LIMIT or not done:
            raise self._corrupt(f"the block is cut, padded, or inflates to more than {BLOCK_LIMIT} bytes")
        return bytes(out)

    def _metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        while (count := self._long()) != 0:
            if count < 0:
                self._long()  # byte size of the map block
                count = -count
            for _ in range(count):
                key = self._text()
                found[key.decode("utf-8", "replace")] = self._text()
        return found

    def _text(self) -> bytes:
        size = self._long()
        if not 0 <= size <= HEADER_LIMIT:
            raise self._corrupt(f"a header value of {size} bytes")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise self._corrupt("the file ends too early")
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
                raise self._corrupt("an integer of more than 10 bytes")
            byte = self._take(1)
        return (value >> 1) ^ -(value & 1)

    def _corrupt(self, message: str) -> CorruptContainer:
        return CorruptContainer(f"{message} (near byte {self._file.tell()}, block {self._block})", where=self._name)


def read_records(file: IO[bytes], name: str = "") -> Iterator[Any]:
    """The records of a container as plain values. Raises CorruptContainer after the good blocks before the damage."""
    reader = ContainerReader(file, name)
    schema = fastavro.parse_schema(json.loads(reader.schema_json))
    for rows, data in reader.blocks():
        stream = io.BytesIO(data)
        try:
            for _ in range(rows):
                yield fastavro.schemaless_reader(stream, schema, None)
        except (EOFError, IndexError, ValueError, UnicodeDecodeError, OverflowError) as error:
            raise CorruptContainer(f"a record does not decode: {type(error).__name__}", where=name) from error
        if stream.tell() != len(data):
            raise CorruptContainer(f"a block of {rows} records has {len(data) - stream.tell()} bytes left", where=name)
