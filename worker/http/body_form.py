"""What the bodies of a source are written in: compressed as files, and in which character set.

The client undoes both while a body comes in, so that decoders see UTF-8, and so that what a file
inflates to is counted like a content coding.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from worker.core.errors import BadBody

AUTO: Final = "auto"
COMPRESSIONS: Final = ("gzip", "zip", "zstd", "bzip2")
HEAD_BYTES: Final = 1024
"""A text that names its own character set does so in its first bytes."""
UTF_8: Final = "utf-8"
_UTF_8_BOM: Final = b"\xef\xbb\xbf"
_BOMS: Final = (
    (_UTF_8_BOM, UTF_8),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_MAGIC: Final = re.compile(
    rb"(?s)(?P<gzip>\x1f\x8b\x08)|(?P<zip>PK(?:\x03\x04|\x05\x06))"
    rb"|(?P<zstd>\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)"
    rb"|(?P<bzip2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))"
)
MAGIC_BYTES: Final = 10
"""So many bytes tell how a body is compressed."""
_CHARSET: Final = re.compile(r""";\s*charset\s*=\s*["']?([^\s"';,]+)""", re.IGNORECASE)
WESTERN: Final = "cp1252"
LONGEST_CHARACTER: Final = 4
"""Bytes of a character in UTF-8."""
_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]+")
_NO_CHARSET: Final = frozenset(
    {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"}
)
"""Codecs of Python that turn bytes into text and are no character sets."""
_REPLACED: Final = "worker-c1"


_USUAL: Final = b"{[<\t\r\n "
"""What most bodies begin with."""
_TOLD_BYTES: Final = 4
_SKIPPED_FRAME: Final = b"\x2a\x4d\x18"
"""A frame of zstd that is skipped may begin with `[`."""


def _declares_nothing(head: bytes) -> str:
    """Of a text that does not name its own character set."""
    return ""


@dataclass(frozen=True, slots=True)
class BodyForm:
    """See the module.

    Attributes:
        compressions: those of `COMPRESSIONS` that are looked for; none: a body is taken as it is.
        charset: the name of a character set; `auto`: as the body and its headers say; None: bodies
            are no text.
        declared: the character set that a text itself names in its first bytes; empty for none.
        strict: bytes that are no text in the character set are refused, and replaced otherwise.
    """

    compressions: frozenset[str] = frozenset()
    charset: str | None = None
    declared: Callable[[bytes], str] = _declares_nothing
    strict: bool = True

    @property
    def lenient(self) -> BodyForm:
        """The same for an answer that is no page, of which people see a few words."""
        return replace(self, strict=False)

    def takes_as_it_is(self, head: bytes, content_type: str) -> bool:
        """Whether a body that begins so, as most do, is neither compressed nor in another character
        set. It is told quickly; False says nothing.
        """
        return (
            len(head) >= _TOLD_BYTES
            and head[:1] in _USUAL
            and head[1:_TOLD_BYTES] != _SKIPPED_FRAME
            and self.declared is _declares_nothing
            and (self.charset is None or not _codec(self.charset, content_type))
        )

    def compression_of(self, head: bytes) -> str:
        """How a body that begins so is compressed; empty where it is not, or is taken as it is."""
        if not self.compressions or (match := _MAGIC.match(head)) is None:
            return ""
        found = match.lastgroup or ""
        return found if found in self.compressions else ""

    def charset_of(self, head: bytes, content_type: str) -> str:
        """The codec of a text that begins so; empty where it is UTF-8 or no text.

        A byte order mark counts more than the config, and that more than what headers say.
        """
        if self.charset is None:
            return ""
        found = next((codec for bom, codec in _BOMS if head.startswith(bom)), None)
        if found is None:
            found = _codec(self.charset, content_type)
        if found is None:
            found = codec_of(self.declared(head))
        return "" if found == UTF_8 else found

    def recoder(self, codec: str) -> Recoder | DoubtfulRecoder:
        """What makes UTF-8 of texts in a character set."""
        recoder = Recoder(codec, _REPLACED if self.strict else "replace")
        return DoubtfulRecoder(recoder) if self.charset == AUTO and codec == WESTERN else recoder


AS_IT_COMES: Final = BodyForm()


@lru_cache(maxsize=256)
def codec_of(name: str) -> str:
    """The codec of a character set; empty for a word that is none, and for no word.

    What is called ASCII is read as UTF-8, and ISO 8859-1 as Windows-1252, which have all that these
    have (WHATWG Encoding Standard, 4.2).
    """
    if not name:
        return ""
    try:
        found = codecs.lookup(name).name
        b"0".decode(found, "replace")  # refused by codecs that make no text
    except (LookupError, ValueError, UnicodeError):
        return ""
    if found in _NO_CHARSET:
        return ""
    return {"ascii": UTF_8, "utf-8-sig": UTF_8, "iso8859-1": WESTERN}.get(found, found)


@lru_cache(maxsize=256)
def _codec(charset: str, content_type: str) -> str | None:
    """The codec that the config or else the header names; empty for UTF-8, None where they name
    none.
    """
    found = codec_of(charset) if charset != AUTO else codec_of(_said(content_type))
    return "" if found == UTF_8 else found or None


def _said(content_type: str) -> str:
    """The character set that a Content-Type names; empty for none."""
    match = _CHARSET.search(content_type)
    return match[1] if match else ""


class Recoder:
    """Makes UTF-8 of a text that comes in pieces."""

    def __init__(self, codec: str, errors: str) -> None:
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec)(errors)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The next piece in UTF-8. Raises BadBody for bytes that are no text."""
        yield self._recoded(data, final=False)

    def finish(self) -> Iterator[bytes]:
        """What is left. Raises BadBody for a character that was cut."""
        yield self._recoded(b"", final=True)

    def _recoded(self, data: bytes, *, final: bool) -> bytes:
        try:
            return self._decoder.decode(data, final).encode()
        except UnicodeError as error:
            raise BadBody(
                f"the body is no text in the character set {self._codec}",
                remedy="name the one that it is written in: decode.charset",
            ) from error


class DoubtfulRecoder:
    """Makes UTF-8 of a text of which a server says ISO 8859-1, as many do of any text.

    The first characters beyond ASCII decide: those of UTF-8 are next to impossible in a text of the
    other character set.
    """

    def __init__(self, recoder: Recoder) -> None:
        self._recoder = recoder
        self._held = b""
        self._is_decided = self._is_utf_8 = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The next piece in UTF-8. Raises BadBody as the recoder does."""
        if not self._is_decided:
            data, self._held = self._held + data, b""
            found = _BEYOND_ASCII.search(data)
            if found is None:
                yield data
                return
            if found.end() == len(data) and len(found[0]) < LONGEST_CHARACTER:
                yield data[: found.start()]  # it may go on in the next piece
                self._held = found[0]
                return
            self._decide(found[0], is_whole=found.end() < len(data))
        yield from self._decided(data)

    def finish(self) -> Iterator[bytes]:
        """What is left."""
        if not self._is_decided:
            self._decide(self._held, is_whole=True)
        yield from self._decided(self._held)
        if not self._is_utf_8:
            yield from self._recoder.finish()

    def _decide(self, beyond_ascii: bytes, *, is_whole: bool) -> None:
        self._is_decided = True
        try:
            codecs.getincrementaldecoder(UTF_8)().decode(beyond_ascii, is_whole)
            self._is_utf_8 = True
        except UnicodeDecodeError:
            self._is_utf_8 = False

    def _decided(self, data: bytes) -> Iterator[bytes]:
        if self._is_utf_8:
            yield data
        else:
            yield from self._recoder.feed(data)


def _keep_unassigned(error: UnicodeError) -> tuple[str, int]:
    """Bytes that Windows-1252 leaves out are the control characters of ISO 8859-1; others are no
    text."""
    if isinstance(error, UnicodeDecodeError) and error.encoding in ("charmap", "cp1252"):
        byte = error.object[error.start]
        if 0x80 <= byte <= 0x9F:
            return chr(byte), error.start + 1
    raise error


codecs.register_error(_REPLACED, _keep_unassigned)
