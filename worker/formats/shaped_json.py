"""JSON pages whose records are not simply the elements of an array: `records` as a mapping.

The value at the records path is cut into the texts of its records (json_cut.py); these are decoded
many in one call, as the records of other pages are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import msgspec

from worker.core.errors import BadBody
from worker.core.jsonpath import plain_keys, reader
from worker.core.model import Decoded
from worker.core.ports import Plan, Steps
from worker.formats.envelope import Envelope, build_envelope, build_facts
from worker.formats.json_cut import Cutter, Member, Places, joined
from worker.formats.json_encoding import begin_of_json
from worker.formats.json_items import NONE, Items, Unfit, items_of
from worker.formats.json_repeats import RecordsPath
from worker.formats.json_texts import text_reader
from worker.formats.missing import has_errors, missing_records
from worker.formats.records import Batch, PageSpec, RecordDecoder
from worker.formats.typed_items import typed_items
from worker.formats.weight import JsonWeight

BAD_PAGES_BEFORE_TEXTS: Final = 3
_BLANK: Final = b" \t\r\n"


_Found = tuple[dict[str, Any], Items, bool]
"""The facts of a page, its items, and whether null stands in place of them."""


class ShapedPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    Pure but for the number of pages with rejects in a row, which decides between values and texts.

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
        self._list = None if shape.map_key else _list_finder(spec)
        self._around = text_reader(tuple(shape.envelope.values()))
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
        found = self._listed(text)
        if found is None:
            yield
            found = self._found(text)
        yield
        facts, items, null = found
        members = self._members(text)
        batch, places = Batch(), self._cutter.places(items)
        for part in items.parts():
            yield from self._add(batch, part, members, places)
            yield
        if self._spec.record.last_paths:
            self._records.last_from(batch, self._cutter.last_members(items, members))
        decoded = self._records.complete(batch, facts)
        decoded.place = places
        decoded.rejects = [replace(each, place=places(each.index)) for each in decoded.rejects]
        if self._shape.divides and items.listed:
            decoded.facts.item_ends = places.ends
        if null and not self._shape.single:
            decoded.facts.null, decoded.facts.errors = True, has_errors(text)
        return decoded

    def _listed(self, text: Any) -> _Found | None:
        """What a page holds whose items are the elements of an array, in one typed call."""
        if (shape := self._list) is None:
            return None
        try:
            page = shape.decode(text)
        except msgspec.ValidationError:
            return None
        records = shape.records(page)
        if not isinstance(records, list):
            return None
        if self._repeats is not None:
            self._repeats.check(text, records)
        return shape.facts_of(page), Items(records), False

    def _found(self, text: Any) -> _Found:
        value = self._find_value(text)
        return self._facts(text), self._items(value, text), value == b"null"

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


def _list_finder(spec: PageSpec) -> Envelope | None:
    """The typed form of pages whose items are the elements of an array; None where a path is more
    than keys, and where paths overlap."""
    keys = () if spec.records is None else plain_keys(spec.records) or None
    facts = {path: plain_keys(path) or () for path in spec.body_paths}
    if keys is None or not all(facts.values()):
        return None
    return build_envelope(keys, facts, list[msgspec.Raw], _decoder_of)


def _decoder_of(form: Any) -> Callable[[Any], Any]:
    return msgspec.json.Decoder(form).decode


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
