"""JSON pages whose records are not simply the elements of an array: `records` as a mapping.

The value at the records path is cut into the texts of its records (json_cut.py); these are decoded
many in one call, as the records of other pages are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from worker.core.errors import BadBody
from worker.core.jsonpath import plain_keys, reader
from worker.core.model import Decoded
from worker.core.ports import Plan, Steps
from worker.formats.envelope import build_facts
from worker.formats.json_cut import Cutter, Member
from worker.formats.json_encoding import begin_of_json
from worker.formats.json_items import NONE, Items, Unfit, items_of
from worker.formats.json_repeats import RecordsPath
from worker.formats.json_texts import text_reader
from worker.formats.missing import has_errors, missing_records
from worker.formats.records import Batch, PageSpec, RecordDecoder
from worker.formats.weight import JsonWeight

_BLANK: Final = b" \t\r\n"


class ShapedPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    Args:
        prefix: what may stand before the JSON of a body; empty for nothing.
    """

    def __init__(self, spec: PageSpec, plan: Plan, *, prefix: bytes = b"") -> None:
        shape = spec.shape
        self._spec, self._shape, self._prefix = spec, shape, prefix
        self._records = RecordDecoder(spec.record, plan)
        self._cutter = Cutter(shape, spec.records, absent_is_none=spec.missing_is_empty)
        self._keys = None if spec.records is None else plain_keys(spec.records)
        self._find_value = _value_finder(spec.records)
        self._repeats = RecordsPath(self._keys) if self._keys else None
        self._facts = _facts_finder(spec.body_paths)
        self._around = text_reader(tuple(shape.envelope.values()))
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
        facts = self._facts(text)
        yield
        members = self._members(text)
        value = self._find_value(text)
        yield
        items = self._items(value, text)
        batch, places = Batch(), self._cutter.places(items)
        for cut in self._cutter.cut(items, members, places):
            yield from self._records.add_texts(batch, cut.texts, cut.refused)
            yield
        self._records.last_from(batch, dict(places.last))
        decoded = self._records.complete(batch, facts)
        decoded.place = places
        decoded.rejects = [replace(each, place=places(each.index)) for each in decoded.rejects]
        if self._shape.divides and items.listed:
            decoded.facts.item_ends = places.ends
        if value == b"null" and not self._shape.single:
            decoded.facts.null, decoded.facts.errors = True, has_errors(text)
        return decoded

    def _members(self, text: Any) -> Sequence[Member]:
        """The fields that each record gets from the page."""
        names = self._shape.envelope
        found = zip(names, self._around(text), strict=True)
        return [(name, value) for name, value in found if value is not None]

    def _items(self, value: bytes | None, text: Any) -> Items:
        self._refuse_repeats(value, text)
        if value is None:
            none = self._shape.single or self._spec.missing_is_empty
            if none and bytes(text[:1]) == b"{":
                return NONE
            raise missing_records(self._spec.records, msgspec.json.decode(text))
        if value == b"null":
            return NONE
        try:
            return items_of(value, self._shape)
        except Unfit as unfit:
            document = msgspec.json.decode(text)
            raise missing_records(self._spec.records, document, unfit.why) from unfit

    def _refuse_repeats(self, value: bytes | None, text: Any) -> None:
        if self._repeats is None:
            return
        if value is not None and value[:1] == b"[":
            self._repeats.check(text, [])
        else:
            self._repeats.check_around(text)


def _value_finder(path: str | None) -> Callable[[Any], bytes | None]:
    """A function from the text of a page to that of the value at the path; None for none."""
    if path in (None, "@"):
        return lambda text: bytes(text).strip(_BLANK)
    texts = text_reader((path or "@",))

    def find(text: Any) -> bytes | None:
        found = texts(text)[0]
        # a path that is more than keys cannot tell null from absent
        return None if found == b"null" and not plain else found

    plain = plain_keys(path or "@")
    return find


def _facts_finder(paths: Sequence[str]) -> Callable[[Any], dict[str, Any]]:
    """A function from the text of a page to the value at each path."""
    readers = {path: reader(path) for path in paths}
    keys = {path: plain_keys(path) or () for path in paths}
    typed = build_facts(keys) if all(keys.values()) else None

    def find(text: Any) -> dict[str, Any]:
        if not readers:
            return {}
        try:
            if typed is not None:
                return typed(text)
        except msgspec.ValidationError:  # what is no object stands on the way of a path
            pass
        document = msgspec.json.decode(text)
        return {path: read(document) for path, read in readers.items()}

    return find
