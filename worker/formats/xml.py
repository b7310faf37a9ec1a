"""XML bodies: each becomes the JSON document that its elements say, and goes the way of JSON pages.

An element is an object under its name, the root too; one that has nothing but text is that text.
Elements of one name beside each other are an array. Attributes are `@name`, and text beside them or
beside elements is `#text`. Prefixes of namespaces are left out of names.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final, Literal

from pydantic import Field

from worker.core.errors import BadBody, ConfigError
from worker.core.jsonpath import plain_keys
from worker.core.model import Decoded
from worker.core.ports import Steps
from worker.formats.component import BOM, DecodeDeps
from worker.formats.json import json_pages
from worker.formats.records import PageSpec
from worker.formats.text_values import TextValueKeys
from worker.formats.weight import XmlWeight
from worker.formats.xml_document import XmlReader
from worker.formats.xml_shapes import Shape, shape_of
from worker.http.body_form import HEAD_BYTES, BodyForm
from worker.schema import CompiledPlan

FEED_BYTES: Final = 64 * 1024
"""Bytes that are parsed before the event loop may serve others."""
_DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][\w.-]*)""")


class Decode(TextValueKeys):
    """Bodies of one XML document."""

    type: Literal["xml"] = Field(description="format of a page")

    def json_of(self, body: bytes) -> bytes:
        """Error bodies may be JSON."""
        reader = XmlReader((), None)
        try:
            reader.feed(body.removeprefix(BOM))
            return reader.close()
        except BadBody:
            return super().json_of(body)

    @property
    def form(self) -> BodyForm:
        return replace(super().form, declared=declared_charset)


def declared_charset(head: bytes) -> str:
    """The character set that a document names in its declaration; empty for none."""
    match = _DECLARED.match(head[:HEAD_BYTES])
    name = "" if match is None else match[1].decode().lower()
    # what can be read as ASCII is not in one of these, whatever it says
    return "" if name.startswith(("utf-16", "utf-32", "ucs", "iso-10646")) else name


def pages(config: Decode, deps: DecodeDeps) -> XmlPages:
    """Raises ConfigError for a source that does not say which elements are records."""
    if deps.spec.records is None:
        raise ConfigError(
            "decode: an XML document is no array, so source.records must say which of its elements "
            "are records",
            remedy="name them from the root on, like records: feed.entry",
        )
    return XmlPages(deps.spec, deps.plan)


class XmlPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    With a path of plain names each element there is a record, wherever its parents stand; the path
    of an empty parent leads to no records. Any other path is searched in the document, where a
    single element is no array.
    """

    def __init__(self, spec: PageSpec, plan: CompiledPlan) -> None:
        shape = spec.shape
        self._keys, self._each = _elements_of(spec)
        self._stay, self._whole = not shape.plain, spec.records == "@" and shape.plain
        self._shape: Shape = shape_of(plan.incoming)
        # an array of one element looks like that element
        shape = shape if shape.plain else replace(shape, alone=True, hollow=True)
        self._json = json_pages(replace(spec, shape=shape), plan)
        self._weight = XmlWeight(plan.record_type if self._keys and shape.plain else Any)

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together."""
        return self._weight(body)

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page. Raises BadBody for what is no XML or has a document type,
        RecordsMissing for no records.
        """
        reader = XmlReader(
            self._keys,
            self._shape if self._keys or self._whole else None,
            each=self._each,
            stay=self._stay,
        )
        for start in range(len(BOM) if body[: len(BOM)] == BOM else 0, len(body), FEED_BYTES):
            reader.feed(bytes(body[start : start + FEED_BYTES]))
            yield
        document = reader.close()
        yield
        decoded = yield from self._json.decode(document, url=url, received_us=received_us)
        decoded.facts.size_bytes = len(body)
        if decoded.rejects and len(reader.lines) == decoded.facts.count:
            decoded.rejects[:] = [
                replace(each, line=reader.lines[each.index]) for each in decoded.rejects
            ]
        return decoded


def _elements_of(spec: PageSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys that lead to the elements that are items, and from there to those that are records;
    none where values are made of something else than elements that follow each other.
    """
    shape = spec.shape
    keys = plain_keys(spec.records or "") or ()
    each = (plain_keys(shape.each) or ()) if shape.each else ()
    if shape.zip or shape.map_key or shape.parse or shape.names or (shape.each and not each):
        return (), ()
    return (keys, each) if keys else ((), ())
