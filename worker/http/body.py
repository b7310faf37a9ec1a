"""Content codings (RFC 9110, 8.4), decoded as a stream that must end properly. Pure.

aiohttp returns a truncated gzip body as success. Here the end of the stream and its check sum are
demanded, several gzip members are read as one, and wire bytes, inflated bytes of every layer and
their ratio are capped while they come in.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from worker.core.errors import BadBody, OverMemory, PermanentError
from worker.core.sizes import in_mib

PIECE_BYTES: Final = 256 * 1024
"""Most bytes that are inflated in one step."""
RATIO_FREE_BYTES: Final = 1024 * 1024
"""Up to this size a body may inflate at any ratio."""
MAX_LAYERS: Final = 3
FEED_BYTES: Final = 16 * 1024
"""Most bytes that a stream is given in one step.

What follows a gzip member is copied for each member, so thousands of tiny members must not share
one large piece.
"""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What a body may be.

    Attributes:
        wire_bytes: its size as it is sent.
        body_bytes: its size without compression.
        ratio: how many times larger than on the wire it may be, once it is over 1 MiB.
        memory_bytes: larger bodies could never be held, whatever they are made of.
    """

    wire_bytes: int = 64 * 1024 * 1024
    body_bytes: int = 128 * 1024 * 1024
    ratio: float = 200.0
    memory_bytes: float = math.inf

    def refuse_unholdable(self, size_bytes: int) -> None:
        """Raises OverMemory for a body that could never be decoded."""
        if size_bytes > self.memory_bytes:
            raise OverMemory(
                f"the body has more than the {in_mib(self.memory_bytes)} that could be decoded in "
                "the memory that there is for pages"
            )


class BodyTooLarge(PermanentError):
    """The body is larger than `source.limits` allows.
    Ask for smaller pages, or raise the limit that is named.
    """

    code = "body_too_large"


class _Inflate:
    """One layer of gzip (RFC 1952) or deflate: zlib (RFC 1950), or RFC 1951 alone."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), FEED_BYTES):
            yield from self._feed(data[at : at + FEED_BYTES])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data and (stream := self._stream_for(data)) is not None:
            yield _inflated(stream, data)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
        while (stream := self._stream) is not None and not stream.eof:
            if not (out := _inflated(stream, b"")):
                return
            yield out

    def _stream_for(self, data: bytes) -> zlib._Decompress | None:
        """What inflates the next bytes; None for the zero padding after the last gzip member."""
        if self._stream is None:
            self._stream = self._begin(data)
        elif self._stream.eof:
            if not self._gzip:
                raise BadBody("bytes follow the end of the deflate stream")
            if not data.strip(b"\0"):
                return None
            self._stream = self._begin(data)
        return self._stream

    def _begin(self, data: bytes) -> zlib._Decompress:
        if self._gzip:
            return zlib.decompressobj(wbits=31)
        wrapped = data[0] & 0x0F == 8 and (
            len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0
        )
        return zlib.decompressobj(wbits=15 if wrapped else -15)

    def finish(self) -> None:
        """Raises BadBody when the stream has not ended."""
        if self._stream is None or not self._stream.eof:
            raise BadBody("the compressed body ends too early")


def _inflated(stream: zlib._Decompress, data: bytes) -> bytes:
    try:
        return stream.decompress(data, PIECE_BYTES)
    except zlib.error as error:
        raise BadBody(f"the compressed body is damaged: {error}") from error


class BodyDecoder:
    """Decodes one body.

    Args:
        codings: the value of Content-Encoding; the coding that was applied last is the last one.
    """

    def __init__(self, codings: str, limits: BodyLimits) -> None:
        names = [name.strip().lower() for name in codings.split(",") if name.strip()]
        unknown = [name for name in names if name not in ("identity", "gzip", "x-gzip", "deflate")]
        if unknown:
            raise BadBody(f"content coding {', '.join(unknown)!r} was not asked for")
        self._layers = [
            _Inflate("gzip" if "gzip" in name else name)
            for name in reversed(names)
            if name != "identity"
        ]
        if len(self._layers) > MAX_LAYERS:
            layers = f"{len(self._layers)} content codings on top of each other"
            raise BadBody(f"{layers}, {MAX_LAYERS} are allowed")
        self._limits = limits
        # bytes that went into each layer, and out of the last one
        self._reached = [0] * (len(self._layers) + 1)

    @property
    def wire_bytes(self) -> int:
        """Bytes received so far."""
        return self._reached[0]

    @property
    def body_bytes(self) -> int:
        """Bytes of the body so far, without compression."""
        return self._reached[-1]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded pieces of the next bytes. Raises BadBody, BodyTooLarge."""
        if self.wire_bytes + len(data) > self._limits.wire_bytes:
            raise BodyTooLarge(
                f"more than {self._limits.wire_bytes} bytes on the wire",
                remedy="ask for smaller pages, or raise source.limits.wire",
            )
        yield from self._through(data, 0)

    def _through(self, data: bytes, layer: int) -> Iterator[bytes]:
        self._count(data, layer)
        if layer == len(self._layers):
            yield data
            return
        for piece in self._layers[layer].feed(data):
            yield from self._through(piece, layer + 1)

    def _count(self, data: bytes, layer: int) -> None:
        self._reached[layer] += len(data)
        if layer == 0 and self._layers:
            return  # the wire has its own cap
        reached, limits = self._reached[layer], self._limits
        if reached > limits.body_bytes:
            raise BodyTooLarge(
                f"more than {limits.body_bytes} bytes inflated",
                remedy="ask for smaller pages, or raise source.limits.body",
            )
        limits.refuse_unholdable(reached)
        if reached > RATIO_FREE_BYTES and reached > self.wire_bytes * limits.ratio:
            raise BodyTooLarge(
                f"inflates more than {limits.ratio:g} times",
                remedy="raise source.limits.ratio if this is no attack",
            )

    def finish(self, *, may_be_empty: bool = True) -> None:
        """The wire has ended, and so must every stream. Raises BadBody.

        Args:
            may_be_empty: the server said how long the body is, so that an empty one is complete.
        """
        if self.wire_bytes or not may_be_empty:
            for layer in self._layers:
                layer.finish()
