"""Bodies as they come in: content codings (RFC 9110, 8.4), files that are compressed by themselves,
and character sets are undone, each as a stream that must end properly. Pure.

aiohttp returns a truncated gzip body as success. Here the end of the stream and its check sum are
demanded, several gzip members are read as one, and wire bytes, inflated bytes of every layer and
their ratio are capped while they come in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from worker.core.errors import BadBody, OverMemory, PermanentError
from worker.core.sizes import in_mib
from worker.http.body_form import AS_IT_COMES, HEAD_BYTES, MAGIC_BYTES, BodyForm
from worker.http.codings import BZIP2, GZIP, Coding, Layer, codings_in, zstandard
from worker.http.zip_file import ZipEntry

RATIO_FREE_BYTES: Final = 1024 * 1024
"""Up to this size a body may inflate at any ratio."""
MAX_LAYERS: Final = 3
CONTENT_TYPE_CHARS: Final = 256
"""So much of a Content-Type is looked at, and remembered."""
CODINGS: Final[Mapping[str, Callable[[float], Coding]]] = {
    "gzip": lambda memory_bytes: GZIP,
    "zstd": zstandard,
    "bzip2": lambda memory_bytes: BZIP2,
}
"""Compressions of payloads that are streams -> how they are undone in so much memory."""


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


class _Layer(Protocol):
    """What makes other bytes of a body."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...
    def finish(self) -> Iterator[bytes]: ...


class BodyDecoder:
    """Decodes one body: its content codings, and then what it is written in (see `BodyForm`).

    Args:
        layers: what the bytes go through first.
        content_type: the value of Content-Type.
    """

    def __init__(
        self,
        layers: Sequence[_Layer],
        limits: BodyLimits,
        form: BodyForm = AS_IT_COMES,
        content_type: str = "",
    ) -> None:
        self._layers = list(layers)
        self._limits, self._form = limits, form
        self._content_type = content_type[:CONTENT_TYPE_CHARS]
        # bytes that went into each layer, and out of the last one
        self._reached = [0] * (len(self._layers) + 1)
        # the first bytes of the body, while they do not tell yet what it is written in
        self._head = b""
        self._is_known = form is AS_IT_COMES
        self._is_zip = False

    @classmethod
    def of(
        cls,
        codings: str,
        limits: BodyLimits,
        form: BodyForm = AS_IT_COMES,
        content_type: str = "",
    ) -> BodyDecoder:
        """What decodes the body of an answer. Raises BadBody for codings that cannot be undone.

        Args:
            codings: the value of Content-Encoding; the one that was applied last is the last one.
        """
        named = codings_in(codings, limits.memory_bytes) if codings else ()
        layers = [Layer(each) for each in named]
        if len(layers) > MAX_LAYERS:
            count = f"{len(layers)} content codings on top of each other"
            raise BadBody(f"{count}, {MAX_LAYERS} are allowed")
        return cls(layers, limits, form, content_type)

    @property
    def wire_bytes(self) -> int:
        """Bytes received so far."""
        return self._reached[0]

    @property
    def body_bytes(self) -> int:
        """Bytes of the body so far, without compression."""
        return self._reached[-1]

    @property
    def is_zip(self) -> bool:
        """Whether the body that came out is an archive, whose directory stands at its end."""
        return self._is_zip

    def unzipping(self, entry: ZipEntry) -> BodyDecoder:
        """What decodes the compressed bytes of the file in that archive."""
        limits = replace(self._limits, wire_bytes=self._limits.body_bytes)
        layer = entry.layer(limits.memory_bytes)
        return BodyDecoder([layer], limits, self._form, self._content_type)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded pieces of the next bytes. Raises BadBody, BodyTooLarge."""
        if self.wire_bytes + len(data) > self._limits.wire_bytes:
            raise BodyTooLarge(
                f"more than {self._limits.wire_bytes} bytes on the wire",
                remedy="ask for smaller pages, or raise source.limits.wire",
            )
        if self._passes(data):
            self._count(data, 0)
            yield data
        else:
            yield from self._through(data, 0)

    def _passes(self, data: bytes) -> bool:
        """Whether the next bytes are those of the body, as they are of most bodies."""
        if self._layers:
            return False
        if not (self._is_known or self._head):
            self._is_known = self._form.takes_as_it_is(data, self._content_type)
        return self._is_known

    def _through(self, data: bytes, layer: int) -> Iterator[bytes]:
        self._count(data, layer)
        if layer < len(self._layers):
            for piece in self._layers[layer].feed(data):
                yield from self._through(piece, layer + 1)
        elif self._is_known:
            yield data
        else:
            self._head = self._head + data if self._head else data
            yield from self._judge_head(ended=False)

    def _judge_head(self, *, ended: bool) -> Iterator[bytes]:
        """Looks at the first bytes; once they tell what the body is written in, it goes on."""
        head = self._head
        if len(head) < MAGIC_BYTES and not ended:
            return
        layer = self._layer_of(head)
        if not self._is_known and layer is None and len(head) < HEAD_BYTES and not ended:
            return
        self._head = b""
        if layer is None:
            self._is_known = True
            yield head
            return
        self._layers.append(layer)
        self._reached.append(0)
        for piece in layer.feed(head):
            yield from self._through(piece, len(self._layers))

    def _layer_of(self, head: bytes) -> _Layer | None:
        """What the body that begins so has to go through; None for nothing."""
        found = self._form.compression_of(head) if len(self._layers) < MAX_LAYERS else ""
        if found == "zip":
            self._is_known = self._is_zip = True
        elif found:
            return Layer(CODINGS[found](self._limits.memory_bytes))
        elif codec := self._form.charset_of(head, self._content_type):
            self._is_known = True
            return self._form.recoder(codec)
        return None

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

    def finish(self, *, may_be_empty: bool = True) -> Iterator[bytes]:
        """The wire has ended, and so must every stream: the last pieces. Raises BadBody.

        Args:
            may_be_empty: the server said how long the body is, so that an empty one is complete.
        """
        if not self.wire_bytes and may_be_empty:
            return
        finished = 0
        while finished < len(self._layers) or self._head:
            if finished == len(self._layers):
                yield from self._judge_head(ended=True)
                continue
            finished += 1
            for piece in self._layers[finished - 1].finish():
                yield from self._through(piece, finished)
