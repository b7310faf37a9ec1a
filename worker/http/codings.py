"""Compressions, read as streams that must end properly. Pure.

A `Layer` is what one compression is taken off with. It reads the streams that follow each other in
it (gzip members, zstd frames), white space and zeros between and behind them, and it inflates in
pieces, so that whoever counts them can stop at any size.
"""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from importlib.util import find_spec
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from worker.core.errors import BadBody

try:
    from compression import zstd  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from backports import zstd  # type: ignore[no-redef,unused-ignore]

PIECE_BYTES: Final = 256 * 1024
"""Most bytes that are inflated in one step."""
FEED_BYTES: Final = 16 * 1024
"""Most bytes that a stream is given in one step.

What follows a gzip member is copied for each member, so thousands of tiny members must not share
one large piece.
"""
PADDING: Final = b"\0 \t\r\n"
"""What servers and editors put behind a compressed stream."""
BROTLI_HELD_BYTES: Final = 64
BROTLI_BYTES: Final = PIECE_BYTES // 2
"""The limit that its library is given, which makes up to twice as much of it."""
WIDEST_WINDOW: Final = 27
"""The widest window that zstd itself reads without being told to, as a power of two: 128 MiB."""
NARROWEST_WINDOW: Final = 10


class Stream(Protocol):
    """One compressed stream.

    Attributes:
        ended: its end was read.
        rest: what followed the end in the bytes that it was given.
    """

    @property
    def ended(self) -> bool: ...
    @property
    def rest(self) -> bytes: ...

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes inflate to, in pieces. Raises BadBody for damage."""

    def finish(self) -> Iterator[bytes]:
        """No more bytes come: what the stream has held back."""


class Coding(NamedTuple):
    """A compression.

    Attributes:
        opened: makes what reads a stream that begins with these bytes.
        several: streams may follow each other, and are one body.
    """

    name: str
    opened: Callable[[bytes], Stream]
    several: bool = True


class Layer:
    """Takes one compression off. An empty layer has nothing in it, and its stream has not ended."""

    def __init__(self, coding: Coding) -> None:
        self._coding = coding
        self._stream: Stream | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The inflated pieces of the next bytes. Raises BadBody."""
        for at in range(0, len(data), FEED_BYTES):
            yield from self._feed(data[at : at + FEED_BYTES])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream is None:
                self._stream = self._coding.opened(data)
            elif self._stream.ended:
                if not (data := data.lstrip(PADDING)):
                    return
                if not self._coding.several:
                    raise BadBody(f"bytes follow the end of the {self._coding.name} stream")
                self._stream = self._coding.opened(data)
            yield from self._stream.feed(data)
            data = self._stream.rest if self._stream.ended else b""

    def finish(self) -> Iterator[bytes]:
        """The last pieces. Raises BadBody when the stream has not ended."""
        if self._stream is not None:
            yield from self._stream.finish()
        if self._stream is None or not self._stream.ended:
            raise BadBody("the compressed body ends too early")


class _Ended(Protocol):
    """What the decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


S = TypeVar("S", bound=_Ended)


class _Whole(Generic[S]):
    """Base of the streams that give all that they have at once, and know their end."""

    def __init__(self, stream: S) -> None:
        self._stream = stream

    @property
    def ended(self) -> bool:
        return self._stream.eof

    @property
    def rest(self) -> bytes:
        return self._stream.unused_data

    def finish(self) -> Iterator[bytes]:
        return iter(())


class _Zlib(_Whole["zlib._Decompress"]):
    """gzip (RFC 1952), zlib (RFC 1950) or deflate (RFC 1951), as `wbits` says."""

    def __init__(self, wbits: int) -> None:
        super().__init__(zlib.decompressobj(wbits=wbits))

    def feed(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        while data and not stream.eof:
            yield _inflated(stream, data)
            data = stream.unconsumed_tail
        while not stream.eof:
            if not (out := _inflated(stream, b"")):
                return
            yield out


def _inflated(stream: zlib._Decompress, data: bytes) -> bytes:
    try:
        return stream.decompress(data, PIECE_BYTES)
    except zlib.error as error:
        raise BadBody(f"the compressed body is damaged: {error}") from error


class _Decompressor(_Ended, Protocol):
    """What bz2 and zstd have in common."""

    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Bounded(_Whole[_Decompressor]):
    """A stream of bzip2 or zstd."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        yield self._inflated(data)
        while not (stream.eof or stream.needs_input):
            yield self._inflated(b"")

    def _inflated(self, data: bytes) -> bytes:
        try:
            return self._stream.decompress(data, PIECE_BYTES)
        except (OSError, ValueError, zstd.ZstdError) as error:
            raise BadBody(f"the compressed body is damaged: {error}") from error


class _Brotli:
    """A stream of brotli (RFC 7932).

    Its library refuses whatever follows the end, together with what comes before it. So white space
    is held back until more follows, or nothing does.
    """

    rest = b""

    def __init__(self) -> None:
        import brotli  # an extra: `brotli_is_there` says whether it can be imported

        self._stream, self._error = brotli.Decompressor(), brotli.error
        self._held = b""

    @property
    def ended(self) -> bool:
        return bool(self._stream.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        data = self._held + data
        body = max(len(data.rstrip(PADDING)), len(data) - BROTLI_HELD_BYTES)
        self._held = data[body:]
        if body:
            yield from self._inflated(data[:body])

    def finish(self) -> Iterator[bytes]:
        for at in range(len(self._held)):
            if self.ended:
                return
            yield from self._inflated(self._held[at : at + 1])

    def _inflated(self, data: bytes) -> Iterator[bytes]:
        stream = self._stream
        try:
            out = stream.process(data, output_buffer_limit=BROTLI_BYTES)
            while out:  # what it says of more to come is not so in the middle of a long run
                yield out
                out = stream.process(b"", output_buffer_limit=BROTLI_BYTES)
        except self._error as error:
            raise BadBody(f"the compressed body is damaged: {error}") from error


@lru_cache
def brotli_is_there() -> bool:
    """Whether the extra is installed."""
    return find_spec("brotli") is not None


def _deflate(data: bytes) -> Stream:
    """The stream that begins so: zlib's, or deflate alone, which some servers send for it."""
    wrapped = data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
    return _Zlib(15 if wrapped else -15)


def _zstd(window: int, data: bytes) -> Stream:
    options = {zstd.DecompressionParameter.window_log_max: window}
    return _Bounded(zstd.ZstdDecompressor(options=options))


GZIP: Final = Coding("gzip", lambda data: _Zlib(31))
DEFLATE: Final = Coding("deflate", _deflate, several=False)
RAW_DEFLATE: Final = Coding("deflate", lambda data: _Zlib(-15), several=False)
BZIP2: Final = Coding("bzip2", lambda data: _Bounded(bz2.BZ2Decompressor()))
BROTLI: Final = Coding("br", lambda data: _Brotli(), several=False)


def zstandard(memory_bytes: float = math.inf) -> Coding:
    """zstd (RFC 8878); a frame that needs a window over this much memory is refused."""
    widest = int(min(memory_bytes, 1 << WIDEST_WINDOW)).bit_length() - 1
    window = max(widest, NARROWEST_WINDOW)
    return Coding("zstd", partial(_zstd, window))


# -- Content-Encoding ------------------------------------------------------------------------------

_BY_NAME: Final[dict[str, Coding]] = {
    "gzip": GZIP,
    "x-gzip": GZIP,
    "deflate": DEFLATE,
    "bzip2": BZIP2,
    "x-bzip2": BZIP2,
    "br": BROTLI,
}
_UNREADABLE: Final = frozenset(
    {"aes128gcm", "compress", "dcb", "dcz", "exi", "lzma", "pack200-gzip", "x-compress", "xz"}
)
"""Codings (of the registry of IANA, and two that are sent all the same) that cannot be undone."""


def codings_in(content_encoding: str, memory_bytes: float = math.inf) -> list[Coding]:
    """The codings of a body, the outermost first. A word that is no coding (`UTF-8`) means none.

    Raises BadBody for a coding that cannot be undone here.
    """
    found = []
    for name in map(str.strip, content_encoding.lower().split(",")):
        if name in _UNREADABLE:
            raise BadBody(f"content coding {name!r} was not asked for, and cannot be undone")
        if name == "br" and not brotli_is_there():
            raise BadBody(
                "content coding 'br' was not asked for, and cannot be undone",
                remedy="install the extra that reads it: pip install 'worker-ingest[brotli]'",
            )
        if name in ("zstd", "x-zstd"):
            found.append(zstandard(memory_bytes))
        elif (coding := _BY_NAME.get(name)) is not None:
            found.append(coding)
    return found[::-1]


def accepted_codings() -> str:
    """The value of Accept-Encoding: what can be undone here."""
    return "gzip, deflate, zstd, br" if brotli_is_there() else "gzip, deflate, zstd"
