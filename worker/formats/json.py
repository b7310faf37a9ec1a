"""JSON pages: one body -> records, rejects and facts, decoded once.

typed    the usual way: one call decodes the page into an envelope of facts and typed records
raw      records are cut out as bytes first: because the page has bad records, or because records
         are identified by their bytes
long     pages over 1 MiB are cut into slices of whole records first, so that no decode holds the
         event loop for long, and no record is over its limit: by one call where that is short (see
         pace.py), else step by step (see json_split.py)
salvage  a parser cannot take the page (too deep, a lone surrogate): it is cut record by record, so
         that a bad record costs itself only
untyped  paths that are more than keys (JMESPath functions, filters), or one record as the root
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from pydantic import Field

from worker.core.errors import BadBody
from worker.core.jsonpath import plain_keys, reader, walk
from worker.core.model import MISSING, Decoded
from worker.core.ports import SLICE_RECORDS, Plan, Steps
from worker.formats.component import DecodeDeps
from worker.formats.envelope import Envelope, Keys, build_envelope
from worker.formats.json_encoding import JsonDecode, begin_of_json
from worker.formats.json_repeats import RecordsPath
from worker.formats.json_split import is_one_value, split_array
from worker.formats.missing import has_errors, missing_records
from worker.formats.pace import Pace
from worker.formats.records import Batch, PageSpec, RecordDecoder, parts_of
from worker.formats.shaped_json import ShapedPages
from worker.formats.weight import JsonWeight
from worker.schema.values import parse_number

LONG_PAGE_BYTES: Final = 2 * 1024 * 1024
BAD_PAGES_BEFORE_RAW: Final = 3
DOCUMENTS_PER_YIELD: Final = 200
_SPACE: Final = b" \t\r\n"
_WRITTEN: Final = msgspec.json.Decoder(float_hook=parse_number)


class Decode(JsonDecode):
    """Bodies of one JSON document."""

    type: Literal["json"] = Field("json", description="format of a page")


def pages(config: Decode, deps: DecodeDeps) -> JsonPages | ShapedPages:
    return json_pages(deps.spec, deps.plan, prefix=config.prefix)


def json_pages(spec: PageSpec, plan: Plan, *, prefix: bytes = b"") -> JsonPages | ShapedPages:
    """The decoder of JSON documents whose records are of the shape."""
    return (JsonPages if spec.shape.plain else ShapedPages)(spec, plan, prefix=prefix)


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The two typed forms of a page: with records of the schema, and with records as raw bytes."""

    keys: Keys
    typed: Envelope
    raw: Envelope

    @classmethod
    def of(cls, spec: PageSpec, plan: Plan) -> _Shapes | None:
        """None where a path is more than keys, or the whole page, and where paths overlap."""
        keys = () if spec.records is None else plain_keys(spec.records) or None
        facts = {path: plain_keys(path) or () for path in spec.body_paths}
        if keys is None or not all(facts.values()) or not spec.record.plain:
            return None
        records = list[plan.record_type]  # type: ignore[name-defined]
        typed = build_envelope(keys, facts, records, plan.decoder)
        raw = build_envelope(keys, facts, list[msgspec.Raw], plan.decoder)
        return None if typed is None or raw is None else cls(keys, typed, raw)


class JsonPages:
    """Decodes the pages of one pipeline (the `Pages` port).

    Pure but for the number of pages with rejects in a row, which decides between typed and raw.

    Args:
        prefix: what may stand before the JSON of a body; empty for nothing.
    """

    def __init__(self, spec: PageSpec, plan: Plan, *, prefix: bytes = b"") -> None:
        self._prefix = prefix
        self._spec, self._records = spec, RecordDecoder(spec.record, plan)
        self._shapes = _Shapes.of(spec, plan)
        self._find_records = _records_finder(spec.records)
        keys = plain_keys(spec.records) if spec.records is not None else None
        self._refuse_repeats = RecordsPath(keys).check if keys else _take_all
        self._may_be_missing = spec.missing_is_empty and spec.records is not None
        self._fact_readers = {path: reader(path) for path in spec.body_paths}
        # in a page below the limit of a record, no record is over it
        self._long_bytes = min(LONG_PAGE_BYTES, spec.record.record_bytes)
        self._weight = JsonWeight(Any if self._shapes is None else plan.record_type)
        self._bad_pages = 0
        self._pace = Pace()

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page. Raises BadBody for what is no JSON, RecordsMissing for no records."""
        try:
            decoded = yield from self._decode_or_salvage(self._json_of(body))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadBody(f"the body is no JSON document: {error}") from error
        facts = decoded.facts
        facts.size_bytes, facts.url, facts.received_us = len(body), url, received_us
        self._bad_pages = self._bad_pages + 1 if decoded.rejects else 0
        return decoded

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together."""
        return self._weight(body)

    def _json_of(self, body: Any) -> Any:
        start = begin_of_json(body, self._prefix)
        return body[start:] if start else body

    def _decode_or_salvage(self, body: Any) -> Steps[Decoded]:
        """The page, or what is left of it without the records that no parser can take."""
        try:
            return (yield from self._decode(body))
        except (msgspec.DecodeError, RecursionError) as error:
            # a ValidationError is a number outside the records that no float can hold
            if (salvaged := (yield from self._salvage(body))) is not None:
                return salvaged
            if isinstance(error, RecursionError):
                raise BadBody(
                    "the JSON document is nested too deeply, and not only in its records"
                ) from error
            raise

    def _decode(self, body: Any) -> Steps[Decoded]:
        """The page, in the quickest way that its size and the pages before it allow."""
        if len(body) == 0:
            raise BadBody("the body is empty")
        if (shapes := self._shapes) is None:
            return (yield from self._untyped(body))
        decoded = None
        if len(body) > self._long_bytes:
            decoded = yield from self._long(body, shapes)
        if decoded is None:
            decoded = yield from self._typed(body, shapes)
        if decoded is None:
            decoded = yield from self._raw(body, shapes.raw)
        return decoded

    def _typed(self, body: Any, shapes: _Shapes) -> Steps[Decoded | None]:
        """None where records are needed as bytes, or where one of them has another type."""
        if self._records.needs_raw or self._bad_pages >= BAD_PAGES_BEFORE_RAW:
            return None
        try:
            page = shapes.typed.decode(body)
        except (msgspec.ValidationError, UnicodeDecodeError):
            return None
        records = shapes.typed.records(page)
        batch = Batch()
        batch.add_source(lambda: shapes.raw.records(shapes.raw.decode(body)))
        yield from self._records.add_typed(batch, self._present(records, body))
        return self._complete(batch, shapes.typed.facts_of(page), body if records is None else None)

    def _raw(self, body: Any, shape: Envelope) -> Steps[Decoded]:
        try:
            page = shape.decode(body)
        except msgspec.ValidationError:
            return (yield from self._untyped(body))
        records = shape.records(page)
        batch = Batch()
        batch.add_source(lambda: shape.records(shape.decode(body)))
        yield from self._records.add_raws(
            batch,
            self._present(records, body),
            sized=len(body) > self._spec.record.record_bytes,
        )
        return self._complete(batch, shape.facts_of(page), body if records is None else None)

    def _long(self, body: Any, shapes: _Shapes) -> Steps[Decoded | None]:
        """The page slice by slice; None where only the plain decode can tell what it is."""
        if self._pace.allows(body):
            return (yield from self._cut(body, shapes.raw))
        split = yield from self._split(body, shapes, SLICE_RECORDS)
        if split is None:
            return None
        page, slices = split
        batch = Batch()
        for start, end in slices:
            yield
            yield from self._records.add_slice(batch, body, start, end)
        return self._complete(batch, shapes.raw.facts_of(page))

    def _cut(self, body: Any, shape: Envelope) -> Steps[Decoded | None]:
        """The page cut into its records by one call."""
        try:
            page = self._pace.timed(shape.decode, body)
        except msgspec.ValidationError:
            return None
        records = shape.records(page)
        if not isinstance(records, list):
            return None
        self._refuse_repeats(body, records)
        batch = Batch()
        batch.add_source(lambda: shape.records(shape.decode(body)))
        for part in parts_of(records, len(body)):
            yield
            yield from self._records.add_part(batch, part)
        return self._complete(batch, shape.facts_of(page))

    def _salvage(self, body: Any) -> Steps[Decoded | None]:
        """The page record by record; None when more is bad than records."""
        if self._shapes is None:
            return None
        try:
            return (yield from self._record_by_record(body, self._shapes))
        except (msgspec.DecodeError, RecursionError):
            return None  # the error of the whole page says more: its place is one in the page

    def _record_by_record(self, body: Any, shapes: _Shapes) -> Steps[Decoded | None]:
        """None unless the page around the records is JSON, and each ends where it seems to."""
        split = yield from self._split(body, shapes, 1)
        if split is None:
            return None
        page, slices = split
        raws = [bytes(body[start:end]).strip(_SPACE) for start, end in slices]
        batch = Batch()
        batch.add_source(lambda: raws)
        for start in range(0, len(raws), SLICE_RECORDS):
            yield
            part = raws[start : start + SLICE_RECORDS]
            if not all(map(is_one_value, part)):
                return None
            yield from self._records.add_raws(batch, part, sized=True)
        return self._complete(batch, shapes.raw.facts_of(page))

    def _split(
        self, body: Any, shapes: _Shapes, most: int
    ) -> Steps[tuple[Any, tuple[tuple[int, int], ...]] | None]:
        """The raw page without its records, and where slices of `most` of them are.

        None where only the plain decode can tell what the page is.
        """
        split = yield from split_array(body, shapes.keys, most)
        if split is None:
            return None
        try:
            page = shapes.raw.decode(split.skeleton)
        except msgspec.ValidationError:
            return None
        self._refuse_repeats(split.skeleton, None)
        # records that are left: the path stands twice, the second time in another spelling
        return None if shapes.raw.records(page) else (page, split.slices)

    def _untyped(self, body: Any) -> Steps[Decoded]:
        """The page as a document, in which records and facts are found by their paths; slow."""
        try:
            document = _WRITTEN.decode(body)
        except msgspec.ValidationError as error:
            # a number that no float can hold; nothing else can be wrong without a type
            raise BadBody(f"the body is no JSON document: {error}") from error
        yield
        batch = Batch()
        records = self._documents(document, body)
        for number, item in enumerate(records or (), 1):
            self._records.add_document(batch, item)
            if number % DOCUMENTS_PER_YIELD == 0:
                yield
        plain = msgspec.json.decode(body) if self._fact_readers else None
        facts = {path: read(plain) for path, read in self._fact_readers.items()}
        return self._complete(batch, facts, body if records is None else None)

    def _documents(self, document: Any, body: Any) -> list[Any] | None:
        """The records of an untyped page; None where null stands in their place."""
        records = self._find_records(document)
        self._refuse_repeats(body, records)
        if records is MISSING and self._may_be_missing and isinstance(document, dict):
            return []
        if records is not None and not isinstance(records, list):
            raise missing_records(self._spec.records, document)
        return records

    def _present(self, records: Any, body: Any) -> list[Any]:
        """The records of a typed page: null is an empty page, an absent path is not."""
        self._refuse_repeats(body, records)
        if records is MISSING and not self._may_be_missing:
            raise missing_records(self._spec.records, msgspec.json.decode(body))
        return records or []

    def _complete(self, batch: Batch, facts: Mapping[str, Any], null: Any | None = None) -> Decoded:
        """The complete page; `null` is its body if null stands in place of its records."""
        decoded = self._records.complete(batch, facts)
        if null is not None:
            decoded.facts.null, decoded.facts.errors = True, has_errors(null)
        return decoded


def _take_all(body: Any, records: Any) -> None:
    """Where the page itself is the array, or a search finds the records, no key is special."""


def _records_finder(path: str | None) -> Callable[[Any], Any]:
    """A function document -> records: a list, None for null, MISSING where there are none."""
    if path is None:
        return lambda document: document if isinstance(document, list) else MISSING
    if path == "@":
        return lambda document: [document] if isinstance(document, dict) else MISSING
    if (keys := plain_keys(path)) is not None:
        return lambda document: walk(document, keys)
    search = reader(path)

    def find(document: Any) -> Any:
        records = search(document)
        return MISSING if records is None else records  # it cannot tell null from absent

    return find
