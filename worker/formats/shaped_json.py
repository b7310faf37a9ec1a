"""JSON pages whose records are not simply the elements of an array: `records` as a mapping.

The value at the records path is cut into the texts of its records (json_cut.py); these are decoded
many in one call, as the records of other pages are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import msgspec

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.core.ports import Plan, Steps
from worker.formats.json_cut import Cutter, Member, Places, joined
from worker.formats.json_encoding import begin_of_json
from worker.formats.json_items import Items
from worker.formats.missing import has_errors
from worker.formats.records import Batch, PageSpec, RecordDecoder
from worker.formats.shaped_page import PageReader
from worker.formats.typed_items import typed_items
from worker.formats.weight import JsonWeight

BAD_PAGES_BEFORE_TEXTS: Final = 3


class ShapedPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    Pure but for the number of pages with rejects in a row, which decides between values and texts.

    Args:
        prefix: what may stand before the JSON of a body; empty for nothing.
    """

    def __init__(self, spec: PageSpec, plan: Plan, *, prefix: bytes = b"") -> None:
        shape = spec.shape
        self._spec, self._shape, self._prefix = spec, shape, prefix
        self._reader, self._records = PageReader(spec), RecordDecoder(spec.record, plan)
        self._cutter = Cutter(shape, spec.records, absent_is_none=spec.missing_is_empty)
        self._typed = typed_items(shape, plan, absent_is_none=spec.missing_is_empty)
        self._bad_pages = 0
        self._weight = JsonWeight(plan.record_type)

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page. Raises BadBody for what is no JSON, and for parallel arrays that are
        not; RecordsMissing for no value that holds records."""
        start = begin_of_json(body, self._prefix)
        text = body[start:] if start else body
        if len(text) == 0:
            raise BadBody("the body is empty")
        try:
            decoded = yield from self._decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadBody(f"the body is no JSON document: {error}") from error
        except RecursionError as error:
            raise BadBody("the JSON document is nested too deeply") from error
        facts = decoded.facts
        facts.size_bytes, facts.url, facts.received_us = len(body), url, received_us
        self._bad_pages = self._bad_pages + 1 if decoded.rejects else 0
        return decoded

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together."""
        return self._weight(body) + 2 * len(body)  # the texts of the records stay with the page

    def _decode(self, text: Any) -> Steps[Decoded]:
        page = yield from self._reader.read(text)
        yield
        items, batch, places = page.items, Batch(), self._cutter.places(page.items)
        for part in items.parts():
            yield from self._add(batch, part, page.members, places)
            yield
        if self._spec.record.last_paths:
            self._records.last_from(batch, self._cutter.last_members(items, page.members))
        decoded = self._records.complete(batch, page.facts)
        decoded.place = places
        decoded.rejects = [replace(each, place=places(each.index)) for each in decoded.rejects]
        if self._shape.divides and items.listed:
            decoded.facts.item_ends = places.ends
        if page.null and not self._shape.single:
            decoded.facts.null, decoded.facts.errors = True, has_errors(text)
        return decoded

    def _add(
        self, batch: Batch, items: Items, members: Sequence[Member], places: Places
    ) -> Steps[None]:
        """Adds the records of items: as values where that is possible, else by their texts."""
        found = self._typed_records(items, members)
        if found is None:
            for cut in self._cutter.cut(items, members, places):
                yield from self._records.add_texts(batch, cut.texts, cut.refused)
                yield
            return
        for records in found:
            places.add(len(records))
        batch.add_source(lambda: self._cutter.texts(items, members))
        yield from self._records.add_typed(batch, list(chain.from_iterable(found)))

    def _typed_records(self, items: Items, members: Sequence[Member]) -> list[list[Any]] | None:
        typed, most = self._typed, self._spec.record.record_bytes
        if typed is None or self._records.needs_raw or self._bad_pages >= BAD_PAGES_BEFORE_TEXTS:
            return None
        if any(memoryview(text).nbytes > most for text in items.texts):
            return None
        return typed.records(b"[%b]" % b",".join(items.texts), b"{%b}" % joined(members))
