"""Content codings, decoded as a stream that must end properly.

aiohttp returns a truncated gzip body as success. Here the end of the stream and its check sum are demanded, several gzip members
are read as one, and wire bytes, inflated bytes of every layer and their ratio are capped while they come in. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from worker.core.errors import BadBody, PermanentError

PIECE_BYTES: Final = 256 * 1024
RATIO_FREE_BYTES: Final = 1024 * 1024
MAX_LAYERS: Final = 3
FEED_BYTES: Final = (
    16 * 1024
)  # what follows a gzip member is copied for each one, so thousands of tiny members must not share one large piece


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bytes on the wire, bytes inflated, and how many times larger the inflated body may be (once it is over 1 MiB)."""

    wire_bytes: int = 64 * 1024 * 1024
    body_bytes: int = 128 * 1024 * 1024
    ratio: float = 200.0


class BodyTooLarge(PermanentError):
    """The body is larger than the limits allow."""

    code = "body_too_large"


class _Inflate:
    """One gzip or deflate layer."""

    def __init__(self, coding: str) -> None:
        self._gzip = coding == "gzip"
        self._stream: zlib._Decompress | None = None
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), FEED_BYTES):
            yield from self._feed(data[at : at + FEED_BYTES])

    def _feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._ended and not self._gzip:
                raise BadBody("bytes follow the end of the deflate stream")
            if self._ended and not data.strip(b"\0"):
                return  # zero padding behind the last gzip member
            if self._stream is None or self._ended:
                self._stream, self._ended = self._begin(data), False
            try:
                out = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise BadBody(f"the compressed body is damaged: {error}") from error
            yield out
            self._ended = self._stream.eof
            data = self._stream.unused_data if self._ended else self._stream.unconsumed_tail
        while self._stream is not None and not self._ended:
            out = self._stream.decompress(b"", PIECE_BYTES)
            if not out:
                return
            yield out

    def _begin(self, data: bytes) -> zlib._Decompress:
        if self._gzip:
            return zlib.decompressobj(wbits=31)
        wrapped = data[0] & 0x0F == 8 and (
            len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0
        )
        return zlib.decompressobj(wbits=15 if wrapped else -15)

    def finish(self) -> None:
        if not self._ended:
            raise BadBody("the compressed body ends too early")


class BodyDecoder:
    """Decodes one body. `codings` as in Content-Encoding, outermost last."""

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
            raise BadBody(
                f"{len(self._layers)} content codings on top of each other, {MAX_LAYERS} are allowed"
            )
        self._limits = limits
        self._reached = [0] * (
            len(self._layers) + 1
        )  # bytes that went into each layer, and out of the last one

    @property
    def wire_bytes(self) -> int:
        """Bytes received so far."""
        return self._reached[0]

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
        if reached > RATIO_FREE_BYTES and reached > self.wire_bytes * limits.ratio:
            raise BodyTooLarge(
                f"inflates more than {limits.ratio:g} times",
                remedy="raise source.limits.ratio if this is no attack",
            )

    def finish(self, *, may_be_empty: bool = True) -> None:
        """The wire has ended; so must every stream. An empty body needs none, where the server said that it is empty."""
        if self.wire_bytes or not may_be_empty:
            for layer in self._layers:
                layer.finish()
