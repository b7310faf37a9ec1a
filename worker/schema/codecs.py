"""Compression of container blocks. Inflating never makes more than a limit, and takes each block to
its exact end.

Source: Avro specification, "Required Codecs" and "Optional Codecs".
"""

from __future__ import annotations

import bz2
import lzma
import threading
import zlib
from collections.abc import Callable
from typing import Any, Final

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd  # type: ignore[no-redef,unused-ignore]

try:
    from isal import igzip_lib

    HAS_ISAL = True
except ImportError:  # a machine that its authors publish no wheel for
    HAS_ISAL = False

from worker.core.errors import ConfigError

CODECS: Final = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
ZSTD_LEVEL: Final = 3
ISAL_LEVEL: Final = 3  # its highest: as fast as zstandard, and smaller than the quickest of zlib
ZLIB_LEVEL: Final = (
    1  # where there is no isal; level 6 takes three times as long for 12 % fewer bytes
)
WINDOW_LOG: Final = 27  # zstandard: 128 MiB; frames that want more are refused
XZ_MEMORY: Final = 128 * 1024 * 1024


class NotInflated(Exception):
    """The block is not exactly one compressed stream, or it is too large."""


def compress(data: bytes, codec: str) -> bytes:
    """The block as it stands in the file."""
    return _COMPRESS[codec](data)


def inflate(data: bytes, codec: str, limit: int) -> bytes:
    """The decompressed block.

    Raises:
        NotInflated: the block is damaged, or it inflates to more than `limit` bytes.
        ConfigError: the codec needs a package that is not installed.
    """
    try:
        return _INFLATE[codec](data, limit)
    except (
        zlib.error,
        zstd.ZstdError,
        lzma.LZMAError,
        OSError,
        EOFError,
        MemoryError,
        ValueError,
    ) as error:
        raise NotInflated(f"it does not inflate: {str(error)[:200]}") from error


def _deflate_by_isal(data: bytes) -> bytes:
    return igzip_lib.compress(data, ISAL_LEVEL, igzip_lib.COMP_DEFLATE)


def _deflate_by_zlib(data: bytes) -> bytes:
    stream = zlib.compressobj(ZLIB_LEVEL, wbits=-15)
    return stream.compress(data) + stream.flush()


def _inflate_deflate(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=-15)
    out = stream.decompress(data, limit + 1)
    rest = stream.unused_data
    if rest and zlib.adler32(out).to_bytes(4).startswith(rest):
        rest = b""  # some Python writers leave a part of zlib's checksum after the stream
    return _whole(out, limit, stream.eof, rest)


def _whole(out: bytes, limit: int, ended: bool, rest: bytes) -> bytes:
    if len(out) > limit:
        raise NotInflated(f"it inflates to more than {limit} bytes")
    if not ended:
        raise NotInflated("its compressed stream is cut off")
    if rest:
        raise NotInflated(f"{len(rest)} bytes follow its compressed stream")
    return out


def _streamed(make: Callable[[], Any]) -> Callable[[bytes, int], bytes]:
    def inflate_stream(data: bytes, limit: int) -> bytes:
        stream = make()
        out = bytes(stream.decompress(data, limit + 1))
        while len(out) <= limit and not stream.eof:  # some decoders stop early, with input left
            more = stream.decompress(b"", limit + 1 - len(out))
            if not more:
                break
            out += more
        return _whole(out, limit, stream.eof, stream.unused_data)

    return inflate_stream


def _snappy() -> Any:
    """The package with the snappy codec, which is an extra; ConfigError when it is missing."""
    try:
        import cramjam
    except ImportError as error:
        raise ConfigError(
            "the codec snappy needs the package cramjam",
            remedy="install worker[snappy], or choose deflate",
        ) from error
    return cramjam


def _compress_snappy(data: bytes) -> bytes:
    return bytes(_snappy().snappy.compress_raw(data)) + zlib.crc32(data).to_bytes(4)


def _inflate_snappy(data: bytes, limit: int) -> bytes:
    size = shift = 0
    for byte in data[:5]:  # the stream begins with the size of its content
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if len(data) < 5 or size > limit:
        raise NotInflated(f"it declares {size} bytes of content, at most {limit} are allowed")
    package = _snappy()
    try:
        plain = bytes(package.snappy.decompress_raw(data[:-4]))
    except package.DecompressionError as error:
        raise NotInflated(f"it does not inflate: {str(error)[:200]}") from error
    if zlib.crc32(plain) != int.from_bytes(data[-4:]):
        raise NotInflated("its checksum is wrong")
    return plain


_local: Final = threading.local()


def _compress_zstandard(data: bytes) -> bytes:
    found = getattr(_local, "zstd", None)
    if found is None:  # one per thread: making one costs more than compressing a small block
        found = _local.zstd = zstd.ZstdCompressor(level=ZSTD_LEVEL)
    return bytes(found.compress(data, zstd.ZstdCompressor.FLUSH_FRAME))


def _same(data: bytes) -> bytes:
    return data


def _inflate_null(data: bytes, limit: int) -> bytes:
    return _whole(data, limit, True, b"")


_COMPRESS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "null": _same,
    "deflate": _deflate_by_isal if HAS_ISAL else _deflate_by_zlib,
    "snappy": _compress_snappy,
    "zstandard": _compress_zstandard,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
_INFLATE: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "null": _inflate_null,
    "deflate": _inflate_deflate,
    "snappy": _inflate_snappy,
    "zstandard": _streamed(
        lambda: zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG}
        )
    ),
    "bzip2": _streamed(bz2.BZ2Decompressor),
    "xz": _streamed(lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)),
}
