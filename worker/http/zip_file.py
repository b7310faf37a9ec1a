"""The one file in a ZIP archive (APPNOTE 6.3.10), found by the directory at its end. Pure.

The directory is read here and not by `zipfile`, which makes an object of every entry: a body of
the size that is allowed can name a million of them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from worker.core.errors import BadBody
from worker.http.codings import BZIP2, RAW_DEFLATE, Coding, Layer, zstandard

MOST_ENTRIES: Final = 1_000
SHOWN_NAMES: Final = 5
_COMMENT_BYTES: Final = 65_535
_END: Final = struct.Struct("<4s4H2LH")  # end of central directory record (4.3.16)
_END_64: Final = struct.Struct("<4sQ2H2L4Q")  # 4.3.14
_LOCATOR_64: Final = struct.Struct("<4sLQL")  # 4.3.15
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")  # 4.3.12
_LOCAL: Final = struct.Struct("<4s5H3L2H")  # 4.3.7
_END_MARK, _END_64_MARK, _LOCATOR_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENTRY_MARK, _LOCAL_MARK = b"PK\x01\x02", b"PK\x03\x04"
_WIDE: Final = 0xFFFFFFFF
_ENCRYPTED: Final = 1
_EXTRA_64: Final = 1


class ZipEntry(NamedTuple):
    """A file in an archive; `start` and `end` are where its compressed bytes are."""

    name: str
    method: int
    crc: int
    size: int
    start: int
    end: int

    def layer(self, memory_bytes: float) -> ZipLayer:
        """What inflates it. Raises BadBody for a method that cannot be undone."""
        if self.method == 0:
            return ZipLayer(None, self)
        codings: dict[int, Coding] = {8: RAW_DEFLATE, 12: BZIP2, 93: zstandard(memory_bytes)}
        if self.method not in codings:
            raise BadBody(f"{self.name} in the zip is compressed by method {self.method}")
        return ZipLayer(Layer(codings[self.method]), self)


class ZipLayer:
    """Inflates the file of an archive, and holds it against its size and its check sum."""

    def __init__(self, inner: Layer | None, entry: ZipEntry) -> None:
        self._inner, self._entry = inner, entry
        self._crc = self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield from map(self._counted, (data,) if self._inner is None else self._inner.feed(data))

    def finish(self) -> Iterator[bytes]:
        """Raises BadBody where the file is not what the directory says."""
        if self._inner is not None:
            yield from map(self._counted, self._inner.finish())
        if (self._crc, self._size) != (self._entry.crc, self._entry.size):
            raise BadBody(f"{self._entry.name} in the zip is damaged: its check sum is another one")

    def _counted(self, piece: bytes) -> bytes:
        self._crc, self._size = zlib.crc32(piece, self._crc), self._size + len(piece)
        return piece


def only_file(body: Any) -> ZipEntry:
    """The file of an archive. Directories, and what macOS adds, are none.

    Raises BadBody for what is no archive, or was cut, and for several files.
    """
    try:
        entries = [each for each in _entries(body) if not _is_beside(each.name)]
    except (struct.error, IndexError, ValueError) as error:
        raise BadBody("the zip is damaged: its directory cannot be read") from error
    if len(entries) != 1:
        names = ", ".join(each.name for each in entries[:SHOWN_NAMES])
        more = ", ..." if len(entries) > SHOWN_NAMES else ""
        raise BadBody(
            f"the zip holds {len(entries)} files{': ' if names else ''}{names}{more}",
            remedy="one file is read of a zip; ask the source for one at a time",
        )
    return entries[0]


def _is_beside(name: str) -> bool:
    return name.endswith(("/", ".DS_Store")) or name.startswith("__MACOSX/")


def _entries(body: Any) -> Iterator[ZipEntry]:
    count, at = _directory(body)
    if count > MOST_ENTRIES:
        raise BadBody(f"the zip holds {count} files, one is read")
    for _ in range(count):
        mark, _, _, flags, method, _, _, crc, packed, size, *rest = _ENTRY.unpack_from(body, at)
        name_size, extra_size, comment_size, _, _, _, offset = rest
        if mark != _ENTRY_MARK:
            raise BadBody("the zip is damaged: its directory cannot be read")
        at += _ENTRY.size
        name = bytes(body[at : at + name_size]).decode("utf-8", "replace")
        extra = bytes(body[at + name_size : at + name_size + extra_size])
        at += name_size + extra_size + comment_size
        size, packed, offset = _widened(extra, size, packed, offset)
        if not _is_beside(name):
            if flags & _ENCRYPTED:
                raise BadBody(f"{name} in the zip is encrypted")
            start = _data_start(body, offset)
            if start + packed > len(body):
                raise BadBody("the zip was cut")
            yield ZipEntry(name, method, crc, size, start, start + packed)


def _directory(body: Any) -> tuple[int, int]:
    """How many entries the directory has, and where it begins."""
    lowest = max(len(body) - _END.size - _COMMENT_BYTES, 0)
    end = body.rfind(_END_MARK, lowest)
    if end < 0:
        raise BadBody("the zip was cut: its directory is missing")
    _, _, _, _, count, _, offset, _ = _END.unpack_from(body, end)
    locator = end - _LOCATOR_64.size
    if locator >= 0 and body[locator : locator + 4] == _LOCATOR_MARK:
        _, _, wide, _ = _LOCATOR_64.unpack_from(body, locator)
        if body[wide : wide + 4] != _END_64_MARK:
            raise BadBody("the zip is damaged: its directory cannot be read")
        *_, count, _, offset = _END_64.unpack_from(body, wide)
    return count, offset


def _widened(extra: bytes, *sizes: int) -> tuple[int, ...]:
    """Sizes of which those that are too large for 4 bytes stand in the extra field (4.5.3)."""
    at, found = 0, list(sizes)
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        at += 4
        if kind == _EXTRA_64:
            wide = struct.iter_unpack("<Q", extra[at : at + length // 8 * 8])
            found = [next(wide)[0] if size == _WIDE else size for size in found]
        at += length
    return tuple(found)


def _data_start(body: Any, offset: int) -> int:
    """Where the bytes of the entry begin whose local header stands here."""
    mark, *_, name_size, extra_size = _LOCAL.unpack_from(body, offset)
    if mark != _LOCAL_MARK:
        raise BadBody("the zip is damaged: its directory cannot be read")
    return offset + _LOCAL.size + int(name_size) + int(extra_size)
