"""JSON pages whose records are not simply the elements of an array: `records` as a mapping.

The value at the records path is cut into the texts of its records (json_cut.py); these are decoded
many in one call, as the records of other pages are.
"""

from __future__ import annotations

from typing import Any

import msgspec

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.core.ports import Plan, Steps
from worker.formats.json_encoding import begin_of_json
from worker.formats.missing import has_errors
from worker.formats.records import Batch, PageSpec
from worker.formats.shaped_page import PageReader
from worker.formats.shaped_records import ShapedRecords
from worker.formats.weight import JsonWeight


class ShapedPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    Args:
        prefix: what may stand before the JSON of a body; empty for nothing.
    """

    def __init__(self, spec: PageSpec, plan: Plan, *, prefix: bytes = b"") -> None:
        self._shape, self._prefix = spec.shape, prefix
        self._reader, self._records = PageReader(spec), ShapedRecords(spec, plan)
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
        return decoded

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together."""
        return self._weight(body) + 2 * len(body)  # the texts of the records stay with the page

    def _decode(self, text: Any) -> Steps[Decoded]:
        page = yield from self._reader.read(text)
        yield
        items, batch, places = page.items, Batch(), self._records.places(page.items)
        yield from self._records.add(batch, items, page.members, places)
        decoded = self._records.complete(batch, page.facts, places)
        if self._shape.divides and items.listed:
            decoded.facts.item_ends = places.ends
        if page.null and not self._shape.single:
            decoded.facts.null, decoded.facts.errors = True, has_errors(text)
        return decoded
