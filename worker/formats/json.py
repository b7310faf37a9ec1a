"""JSON pages: one typed decode a page, and only where that fails the slow way, record by record.

fast    the whole page decodes into a typed envelope; facts and records come out of it together
raw     records are kept as bytes first: the page has bad records, or records are identified by their bytes
long    pages over 2 MiB are cut into slices of whole records first, so that no decode holds the event loop for long
untyped paths that are more than keys (JMESPath functions, filters), or one record as the root
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import msgspec

from worker.core.envelope import Envelope, build_envelope
from worker.core.errors import BadBody, RecordsMissing
from worker.core.json_split import SLICE_RECORDS, split_array
from worker.core.jsonpath import plain_keys, reader, walk
from worker.core.model import MISSING, Decoded, Facts, Reject
from worker.core.ports import InvalidRecord, Plan, Steps

LONG_PAGE_BYTES: Final = 2 * 1024 * 1024
RAW_BATCH: Final = 32  # records decoded together in raw mode; a bad one sends its batch through one by one
BAD_PAGES_BEFORE_RAW: Final = 3
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class JsonSpec:
    """What to take out of a page.

    Attributes:
        records: JMESPath of the records; None: the root is the array; `@`: the root object is one record.
        missing_is_empty: a page without the records path is an empty page instead of an error.
        body_paths: facts of the page.   last_paths: facts of its last record.
        value_path: incremental field.   key_paths: identity of a record.
        identify: record identities are needed (by key_paths, else by the bytes of the record).
    """

    records: str | None = None
    missing_is_empty: bool = False
    body_paths: tuple[str, ...] = ()
    last_paths: tuple[str, ...] = ()
    value_path: str | None = None
    key_paths: tuple[str, ...] = ()
    identify: bool = False

    @property
    def record_paths(self) -> tuple[str, ...]:
        value = (self.value_path,) if self.value_path is not None else ()
        return (*self.last_paths, *value, *self.key_paths)

    def extra_names(self) -> frozenset[str]:
        """First names of the record paths: the plan keeps them even when the schema does not have them."""
        return frozenset(keys[0] for path in self.record_paths if (keys := plain_keys(path)))


class JsonPages:
    """Decodes pages of one pipeline with its plan. Pure but for the count of bad pages in a row."""

    def __init__(self, spec: JsonSpec, plan: Plan) -> None:
        self._spec, self._plan = spec, plan
        self._record_keys = () if spec.records is None else plain_keys(spec.records)
        fact_keys = {path: plain_keys(path) for path in spec.body_paths}
        record_keys = {path: plain_keys(path) for path in spec.record_paths}
        typed = (self._record_keys is not None and (spec.records is None or self._record_keys)) and all(fact_keys.values()) and all(record_keys.values())
        self._fast: Envelope | None = None
        self._raw: Envelope | None = None
        if typed:
            facts = {path: keys for path, keys in fact_keys.items() if keys}
            self._fast = build_envelope(self._record_keys or (), facts, list[plan.record_type])  # type: ignore[name-defined]
            self._raw = build_envelope(self._record_keys or (), facts, list[msgspec.Raw])
        if self._fast is not None and self._raw is not None:
            self._fast_decoder = msgspec.json.Decoder(self._fast.type)
            self._raw_decoder = msgspec.json.Decoder(self._raw.type)
            self._getters = {path: plan.raw_getter(keys) for path, keys in record_keys.items() if keys}
        self._records_decoder = msgspec.json.Decoder(list[plan.record_type])  # type: ignore[name-defined]
        self._raws_decoder = msgspec.json.Decoder(list[msgspec.Raw])
        self._record_readers = {path: reader(path) for path in spec.record_paths}
        self._needs_raw = spec.identify and not spec.key_paths
        self._bad_pages = 0

    def decode(self, body: Any, *, digest: bytes, url: str = "") -> Steps[Decoded]:
        """Decodes one page. Raises BadBody for what is no JSON, RecordsMissing where the records are not."""
        try:
            decoded = yield from self._decode(_without_bom(body))
        except RecursionError as error:
            raise BadBody("the JSON document is nested too deeply") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if isinstance(error, msgspec.ValidationError):
                raise
            raise BadBody(f"the body is no JSON document: {error}") from error
        facts = decoded.facts
        facts.digest, facts.size_bytes, facts.url = digest, len(body), url
        self._bad_pages = self._bad_pages + 1 if decoded.rejects else 0
        return decoded

    def _decode(self, body: Any) -> Steps[Decoded]:
        if len(body) == 0:
            raise BadBody("the body is empty")
        if self._fast is None or self._raw is None:
            return (yield from self._untyped(body))
        if len(body) > LONG_PAGE_BYTES and (decoded := (yield from self._long(body, self._raw))) is not None:
            return decoded
        if not self._needs_raw and self._bad_pages < BAD_PAGES_BEFORE_RAW:
            try:
                page = self._fast_decoder.decode(body)
            except msgspec.ValidationError:
                pass
            else:
                records = self._present(self._fast.records(page), body)
                batch = _Batch()
                yield from self._add_typed(batch, records, None)
                return self._finish(batch, {path: get(page) for path, get in self._fast.facts.items()})
        try:
            page = self._raw_decoder.decode(body)
        except msgspec.ValidationError:
            return (yield from self._untyped(body))
        batch = _Batch()
        yield from self._add_raws(batch, self._present(self._raw.records(page), body))
        return self._finish(batch, {path: get(page) for path, get in self._raw.facts.items()})

    def _long(self, body: Any, envelope: Envelope) -> Steps[Decoded | None]:
        split = yield from split_array(body, self._record_keys or ())
        if split is None:
            return None
        try:
            page = self._raw_decoder.decode(split.skeleton)
        except msgspec.ValidationError:
            return None
        if envelope.records(page):
            return None  # the path stands twice in the document: the last one counts, which the plain decode finds
        batch = _Batch()
        for start, end in split.slices:
            part = b"[" + body[start:end] + b"]"
            yield
            try:
                if self._needs_raw:
                    raise msgspec.ValidationError
                records = self._records_decoder.decode(part)
            except msgspec.ValidationError:
                raws = self._raws_decoder.decode(part)
                yield
                yield from self._add_raws(batch, raws)
            else:
                yield from self._add_typed(batch, records, None)
        return self._finish(batch, {path: get(page) for path, get in envelope.facts.items()})

    def _present(self, records: Any, body: Any) -> list[Any]:
        """The list of records; null is an empty page, an absent path is not."""
        if records is None:
            return []
        if records is MISSING:
            if self._spec.missing_is_empty:
                return []
            self._explain(msgspec.json.decode(body))
        return records  # type: ignore[no-any-return]

    def _explain(self, document: Any) -> None:
        path = self._spec.records
        found = type(document).__name__
        if isinstance(document, dict):
            found = "an object with the keys " + ", ".join(map(repr, list(document)[:12]))
            if path in document:
                found += f"; for the key {path!r} itself write '\"{path}\"'"
        where = "the root" if path is None else f"records path {path!r}"
        raise RecordsMissing(
            f"{where} holds no array of records; the page is {found}",
            remedy="set source.records (or records: '@' for one object), name error bodies with on_body, or set records_missing: empty",
        )

    # -- records --------------------------------------------------------------------------------------------------

    def _add_typed(self, batch: _Batch, records: list[Any], raws: Sequence[Any] | None) -> Steps[None]:
        """Facts first (values as received), then the rest of the validation, in slices."""
        for start in range(0, len(records), SLICE_RECORDS):
            part = records[start : start + SLICE_RECORDS]
            base = batch.count
            self._note(batch, part, raws)
            invalid = self._plan.finish(part)
            for bad in invalid:
                raw = bytes(raws[start + bad.index]) if raws is not None else msgspec.json.encode(part[bad.index])
                batch.rejects.append(Reject(base + bad.index, "validate", bad.code, bad.errors, raw))
            bad_places = {bad.index for bad in invalid}
            if bad_places:
                part = [record for place, record in enumerate(part) if place not in bad_places]
            batch.records += part
            batch.indices += (place for place in range(base, batch.count) if place - base not in bad_places)
            if len(records) > SLICE_RECORDS:
                yield

    def _add_raws(self, batch: _Batch, raws: Sequence[Any]) -> Steps[None]:
        for start in range(0, len(raws), RAW_BATCH):
            part = raws[start : start + RAW_BATCH]
            try:
                records = self._records_decoder.decode(b"[" + b",".join(map(bytes, part)) + b"]")
            except msgspec.ValidationError:
                for raw in part:
                    yield from self._add_one(batch, raw)
            else:
                yield from self._add_typed(batch, records, part)
            if start % SLICE_RECORDS < RAW_BATCH:
                yield

    def _add_one(self, batch: _Batch, raw: Any) -> Steps[None]:
        try:
            record = self._records_decoder.decode(b"[" + bytes(raw) + b"]")
        except msgspec.ValidationError:
            self._reject(batch, bytes(raw))
        else:
            yield from self._add_typed(batch, record, [raw])

    def _reject(self, batch: _Batch, raw: bytes) -> None:
        index = batch.count
        try:
            self._plan.one(raw)
        except InvalidRecord as invalid:
            batch.rejects.append(Reject(index, "validate", invalid.code, invalid.errors, raw))
        else:
            batch.rejects.append(Reject(index, "validate", "invalid", (), raw))
        self._note_document(batch, msgspec.json.decode(raw), raw)

    def _note(self, batch: _Batch, records: list[Any], raws: Sequence[Any] | None) -> None:
        spec = self._spec
        batch.count += len(records)
        if spec.value_path is not None:
            batch.values += map(self._getters[spec.value_path], records)
        if spec.key_paths:
            batch.keys += _identities([self._getters[path] for path in spec.key_paths], records)
        elif spec.identify and raws is not None:
            batch.keys += (blake2b(raw, digest_size=16).digest() for raw in map(bytes, raws[: len(records)]))
        if records and spec.last_paths:
            batch.last = {path: self._getters[path](records[-1]) for path in spec.last_paths}

    def _note_document(self, batch: _Batch, document: Any, raw: bytes) -> None:
        """Facts of a record that has no typed form."""
        spec, readers = self._spec, self._record_readers
        batch.count += 1
        if spec.value_path is not None:
            batch.values.append(readers[spec.value_path](document))
        if spec.key_paths:
            batch.keys += _identities([readers[path] for path in spec.key_paths], [document])
        elif spec.identify:
            batch.keys.append(blake2b(raw, digest_size=16).digest())
        if spec.last_paths:
            batch.last = {path: readers[path](document) for path in spec.last_paths}

    def _finish(self, batch: _Batch, body: dict[str, Any]) -> Decoded:
        facts = Facts(batch.count, body, batch.last, batch.values, batch.keys)
        return Decoded(batch.records, batch.indices if batch.rejects else None, batch.rejects, facts)

    # -- the general way ------------------------------------------------------------------------------------------

    def _untyped(self, body: Any) -> Steps[Decoded]:
        document = msgspec.json.decode(body)
        yield
        path = self._spec.records
        if path == "@":
            found: Any = [document] if isinstance(document, dict) else MISSING
        elif path is None:
            found = document if isinstance(document, list) else MISSING
        elif self._record_keys is not None:
            found = walk(document, self._record_keys)
        else:
            found = reader(path)(document)
            found = MISSING if found is None else found  # such a path cannot tell null from absent
        if found is MISSING and self._spec.missing_is_empty and path is not None and isinstance(document, dict):
            found = []
        if found is not None and not isinstance(found, list):
            self._explain(document)
        batch = _Batch()
        for number, item in enumerate(found or ()):
            raw = msgspec.json.encode(item)
            try:
                record = self._plan.one(raw)
            except InvalidRecord as invalid:
                batch.rejects.append(Reject(batch.count, "validate", invalid.code, invalid.errors, raw))
            else:
                batch.records.append(record)
                batch.indices.append(batch.count)
            self._note_document(batch, item, raw)
            if number % 200 == 199:
                yield
        return self._finish(batch, {path: reader(path)(document) for path in self._spec.body_paths})


class _Batch:
    """A page while it is being put together."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self.indices: list[int] = []
        self.rejects: list[Reject] = []
        self.values: list[Any] = []
        self.keys: list[bytes] = []
        self.last: dict[str, Any] = {}
        self.count = 0


def _identities(getters: Sequence[Callable[[Any], Any]], records: Sequence[Any]) -> Iterator[bytes]:
    encode = msgspec.json.encode
    for record in records:
        values = [None if (value := get(record)) is MISSING else value for get in getters]
        yield blake2b(encode(values), digest_size=16).digest()


def _without_bom(body: Any) -> Any:
    return body[3:] if body[:3] == _BOM else body
