"""JSON pages: one body -> records, rejects and facts, decoded once.

typed   the usual way: one call decodes the page into an envelope of facts and typed records
raw     records are cut out as bytes first: the page has bad records, or records are identified by their bytes
long    pages over 2 MiB are cut into slices of whole records first, so that no decode holds the event loop for long
cut     a parser cannot take the page (too deep, a lone surrogate): it is cut record by record, so that a bad record costs itself only
untyped paths that are more than keys (JMESPath functions, filters), or one record as the root
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from worker.core.errors import BadBody, RecordsMissing
from worker.core.jsonpath import plain_keys, reader, walk
from worker.core.model import MISSING, Decoded
from worker.core.ports import SLICE_RECORDS, Plan, Steps
from worker.formats.envelope import Envelope, build_envelope
from worker.formats.json_split import outline, split_array
from worker.formats.records import Batch, RecordDecoder, RecordSpec
from worker.schema.values import describe_kind, parse_number

LONG_PAGE_BYTES: Final = 2 * 1024 * 1024
BAD_PAGES_BEFORE_RAW: Final = 3
DEFAULT_RECORDS: Final = RecordSpec()
_SPACE: Final = b" \t\r\n"
_SKIP: Final = msgspec.json.Decoder(msgspec.Raw)
_WRITTEN: Final = msgspec.json.Decoder(float_hook=parse_number)
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class JsonSpec:
    """What to take out of a page.

    Attributes:
        records: JMESPath of the records; None: the root is the array; `@`: the root object is one record.
        missing_is_empty: a page without the records path is an empty page instead of an error.
        body_paths: facts of the page.
        record: what to learn from its records.
    """

    records: str | None = None
    missing_is_empty: bool = False
    body_paths: tuple[str, ...] = ()
    record: RecordSpec = DEFAULT_RECORDS


class JsonPages:
    """Decodes pages of one pipeline with its plan. Pure but for the count of bad pages in a row."""

    def __init__(self, spec: JsonSpec, plan: Plan) -> None:
        self._spec, self._records = spec, RecordDecoder(spec.record, plan)
        self._record_keys = () if spec.records is None else plain_keys(spec.records)
        fact_keys = {path: plain_keys(path) for path in spec.body_paths}
        typed = (
            (self._record_keys is not None and (spec.records is None or self._record_keys))
            and all(fact_keys.values())
            and spec.record.plain
        )
        self._fast: Envelope | None = None
        self._raw: Envelope | None = None
        if typed:
            facts = {path: keys for path, keys in fact_keys.items() if keys}
            self._fast = build_envelope(self._record_keys or (), facts, list[plan.record_type])  # type: ignore[name-defined]
            self._raw = build_envelope(self._record_keys or (), facts, list[msgspec.Raw])
        if self._fast is not None and self._raw is not None:
            self._fast_decoder = msgspec.json.Decoder(self._fast.type)
            self._raw_decoder = msgspec.json.Decoder(self._raw.type)
        self._long_bytes = min(
            LONG_PAGE_BYTES, spec.record.record_bytes
        )  # a page below the limit of a record needs no look at each
        self._bad_pages = 0

    def decode(
        self, body: Any, *, digest: bytes, url: str = "", received_us: int = 0
    ) -> Steps[Decoded]:
        """Decodes one page. Raises BadBody for what is no JSON, RecordsMissing where the records are not."""
        try:
            decoded = yield from self._decode_or_salvage(_without_bom(body))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadBody(f"the body is no JSON document: {error}") from error
        facts = decoded.facts
        facts.digest, facts.size_bytes, facts.url, facts.received_us = (
            digest,
            len(body),
            url,
            received_us,
        )
        self._bad_pages = self._bad_pages + 1 if decoded.rejects else 0
        return decoded

    def _decode_or_salvage(self, body: Any) -> Steps[Decoded]:
        """The page, or what is left of it without the records that no parser can take."""
        try:
            return (yield from self._decode(body))
        except (
            msgspec.DecodeError,
            RecursionError,
        ) as error:  # a ValidationError is a number that no float can hold, outside the records
            decoded = None
            try:
                if self._raw is not None:
                    decoded = yield from self._cut(body, self._raw)
            except (msgspec.DecodeError, RecursionError):
                pass  # the first error says more: its place is one in the page
            if decoded is not None:
                return decoded
            if isinstance(error, RecursionError):
                raise BadBody(
                    "the JSON document is nested too deeply, and not only in its records"
                ) from error
            raise

    def _cut(self, body: Any, envelope: Envelope) -> Steps[Decoded | None]:
        """The page record by record; None when more than records is bad: what surrounds them must be JSON, and each must end where it seems to."""
        split = yield from self._split(body, envelope, most=1)
        if split is None:
            return None
        page, slices = split
        raws = [bytes(body[start:end]).strip(_SPACE) for start, end in slices]
        batch = Batch()
        batch.source(lambda: raws)
        for start in range(0, len(raws), SLICE_RECORDS):
            yield
            part = raws[start : start + SLICE_RECORDS]
            if not all(map(_is_one_value, part)):
                return None
            yield from self._records.add_raws(batch, part, sized=True)
        return batch.decoded(
            {path: get(page) for path, get in envelope.facts.items()}, self._records.unknown(batch)
        )

    def _decode(self, body: Any) -> Steps[Decoded]:
        if len(body) == 0:
            raise BadBody("the body is empty")
        fast, raw = self._fast, self._raw
        if fast is None or raw is None:
            return (yield from self._untyped(body))
        if (
            len(body) > self._long_bytes
            and (decoded := (yield from self._long(body, raw))) is not None
        ):
            return decoded
        batch = Batch()
        batch.source(lambda: raw.records(self._raw_decoder.decode(body)))
        if not self._records.needs_raw and self._bad_pages < BAD_PAGES_BEFORE_RAW:
            try:
                page = self._fast_decoder.decode(body)
            except (msgspec.ValidationError, UnicodeDecodeError):
                pass
            else:
                yield from self._records.add_typed(batch, self._present(fast.records(page), body))
                return batch.decoded(
                    {path: get(page) for path, get in fast.facts.items()},
                    self._records.unknown(batch),
                )
        try:
            page = self._raw_decoder.decode(body)
        except msgspec.ValidationError:
            return (yield from self._untyped(body))
        yield from self._records.add_raws(
            batch,
            self._present(raw.records(page), body),
            sized=len(body) > self._spec.record.record_bytes,
        )
        return batch.decoded(
            {path: get(page) for path, get in raw.facts.items()}, self._records.unknown(batch)
        )

    def _long(self, body: Any, envelope: Envelope) -> Steps[Decoded | None]:
        split = yield from self._split(body, envelope)
        if split is None:
            return None
        page, slices = split
        batch = Batch()
        for start, end in slices:
            yield
            yield from self._records.add_slice(batch, body, start, end)
        return batch.decoded(
            {path: get(page) for path, get in envelope.facts.items()}, self._records.unknown(batch)
        )

    def _split(
        self, body: Any, envelope: Envelope, most: int = SLICE_RECORDS
    ) -> Steps[tuple[Any, tuple[tuple[int, int], ...]] | None]:
        """(the page without its records, where slices of them are); None where only the plain decode can tell."""
        split = yield from split_array(body, self._record_keys or (), most)
        if split is None:
            return None
        try:
            page = self._raw_decoder.decode(split.skeleton)
        except msgspec.ValidationError:
            return None
        # records in what is left: the path stands twice in the document, and the last one counts
        return None if envelope.records(page) else (page, split.slices)

    def _present(self, records: Any, body: Any) -> list[Any]:
        """The list of records; null is an empty page, an absent path is not."""
        if records is None:
            return []
        if records is MISSING:
            if self._spec.missing_is_empty:
                return []
            self._raise_missing(msgspec.json.decode(body))
        return records  # type: ignore[no-any-return]

    def _raise_missing(self, document: Any) -> None:
        path = self._spec.records
        shown = describe_kind(document)
        if isinstance(document, dict):
            shown = "an object with the keys " + ", ".join(map(repr, list(document)[:12]))
            if path in document:
                shown += f"; for the key {path!r} itself write '\"{path}\"'"
        where = "the root" if path is None else f"records path {path!r}"
        raise RecordsMissing(
            f"{where} holds no array of records; the page is {shown}",
            remedy="set source.records (or records: '@' for one object), name error bodies with on_body, or set records_missing: empty",
        )

    # -- the general way ------------------------------------------------------------------------------------------

    def _untyped(self, body: Any) -> Steps[Decoded]:
        try:
            document = _WRITTEN.decode(body)
        except (
            msgspec.ValidationError
        ) as error:  # a number that no float holds: nothing else is asked for
            raise BadBody(f"the body is no JSON document: {error}") from error
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
        if (
            found is MISSING
            and self._spec.missing_is_empty
            and path is not None
            and isinstance(document, dict)
        ):
            found = []
        if found is not None and not isinstance(found, list):
            self._raise_missing(document)
        batch = Batch()
        for number, item in enumerate(found or ()):
            self._records.add_document(batch, item)
            if number % 200 == 199:
                yield
        facts = msgspec.json.decode(body) if self._spec.body_paths else None
        return batch.decoded(
            {path: reader(path)(facts) for path in self._spec.body_paths},
            self._records.unknown(batch),
        )


def _is_one_value(raw: bytes) -> bool:
    """JSON, or an object, array or text that is none for its scalars or its depth only: nothing of it is cut, nothing else is in it."""
    try:
        _SKIP.decode(raw)
    except RecursionError:
        return True
    except msgspec.DecodeError:
        if raw[:1] not in (b"{", b"[", b'"'):
            return False
        try:
            _SKIP.decode(outline(raw))
        except RecursionError:
            return True
        except msgspec.DecodeError:
            return False
    return True


def _without_bom(body: Any) -> Any:
    return body[3:] if body[:3] == _BOM else body
