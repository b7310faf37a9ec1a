"""Records of a page are decoded by the plan: many in one typed call, one by one where that fails.

What happens to a bad record begins here: it becomes a `Reject` with its field errors, and the
records beside it go on. `runtime/flow.py` adds the rejects of transforms and routes, and
`writer.py` writes them all as dead letters of the same commit.

Facts (incremental values, identities, the last record) are taken from every received record, valid
or not. A record as it was received is found again only when a dead letter needs it: the page is cut
into raw values then.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec

from worker.core.errors import BadBody
from worker.core.jsonpath import plain_keys, reader, walk
from worker.core.model import Decoded, Facts, FieldError, Reject, Unknown
from worker.core.ports import SLICE_RECORDS, InvalidRecord, Plan, Steps
from worker.formats.identify import by_content, by_key
from worker.formats.json_depth import deeper, nesting
from worker.formats.runs import Load, Runs
from worker.formats.shape import PLAIN, Shape
from worker.schema.stored import shown, stored
from worker.schema.values import encode_number, known_number, plain_number

YIELD_REJECTS: Final = 64
"""The event loop may run after so many rejects: one costs a hundred times as much as a record."""
SAMPLED_PAGE: Final = 64
"""Every page of this number is looked at, and the first ones of a pipeline more often."""
SAMPLED_RECORDS: Final = 20
_KINDS: Final = {
    dict: "object",
    list: "array",
    str: "text",
    bool: "boolean",
    int: "whole number",
    float: "number",
    type(None): "null",
}
DEFAULT_RECORD_BYTES: Final = 1024 * 1024
SLICE_BYTES: Final = 1024 * 1024
"""So much text is decoded before the event loop may serve others."""


class Refusal(NamedTuple):
    """Why something in the place of a record is none."""

    code: str
    error: FieldError


NO_REFUSALS: Final[Mapping[int, Refusal]] = {}


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """What to take out of the records of a page.

    Attributes:
        last_paths: facts of the last record of a page.
        value_path: the incremental field.
        key_paths: the identity of a record.
        identify: identities are needed: by `key_paths`, or by the bytes of a record.
        record_bytes: a longer record is a reject.
        depth: a record of more levels is a reject; 0 where the schema cannot hold so many, so that
            none has to be looked at.
        json_names: the fields of the schema, to see which ones it lacks; empty to look for none.
    """

    last_paths: tuple[str, ...] = ()
    value_path: str | None = None
    key_paths: tuple[str, ...] = ()
    identify: bool = False
    record_bytes: int = DEFAULT_RECORD_BYTES
    depth: int = 0
    json_names: frozenset[str] = frozenset()

    @property
    def paths(self) -> tuple[str, ...]:
        value = (self.value_path,) if self.value_path is not None else ()
        return (*self.last_paths, *value, *self.key_paths)

    @property
    def plain(self) -> bool:
        """All paths are keys only, so the typed form can hold them."""
        return all(plain_keys(path) for path in self.paths)

    def extra_names(self) -> frozenset[str]:
        """First names of the paths: the plan keeps them also when the schema does not have them."""
        return frozenset(keys[0] for path in self.paths if (keys := plain_keys(path)))


DEFAULT_RECORDS: Final = RecordSpec()


@dataclass(frozen=True, slots=True)
class PageSpec:
    """What to take out of a page.

    Attributes:
        records: JMESPath of the records; None: the root is the array; `@`: the root object is one
            record.
        missing_is_empty: a page without the records path is an empty page instead of an error.
        body_paths: facts of the page.
        record: what to learn from its records.
        shape: how records are made of the value at the path.
    """

    records: str | None = None
    missing_is_empty: bool = False
    body_paths: tuple[str, ...] = ()
    record: RecordSpec = DEFAULT_RECORDS
    shape: Shape = PLAIN


@dataclass(slots=True)
class Batch:
    """A page while it is being put together.

    Attributes:
        keys: the value of the key of each record; a tuple where the key has several parts.
        last: facts of the last record; None where they are needed and it cannot be read.
        raws: the records as they were received.
        contents: the bytes that identify records without a key, where these are not `raws`.
        places: where the records stand in the body, as whoever adds them notes it.
    """

    records: list[Any] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    last: dict[str, Any] | None = field(default_factory=dict)
    count: int = 0
    raws: Runs = field(default_factory=Runs)
    contents: Runs = field(default_factory=Runs)
    places: object = None

    def add_source(self, raws: Load) -> None:
        """Says how the records that are added next are found again as they were received."""
        self.raws.add(self.count, raws)

    def add_contents(self, contents: Load) -> None:
        """Says which bytes identify the records that are added next."""
        self.contents.add(self.count, contents)

    def raw(self, place: int) -> bytes:
        """A record as it was received."""
        return self.raws.find(place)

    def decoded(
        self,
        body: Mapping[str, Any],
        unknown: dict[str, Unknown] | None = None,
        keys: Sequence[bytes] = (),
        contents: Sequence[bytes] = (),
    ) -> Decoded:
        """The complete page, with its facts.

        Raises BadBody where the last record cannot be read although the position of the next page
        is read from it: such a page must not look like the last one.

        Args:
            body: the facts of the page itself.
        """
        if self.last is None:
            raise BadBody(
                "the last record cannot be read, and the position of the next page is read from it"
            )
        facts = Facts(
            self.count,
            body,
            self.last,
            self.values,
            keys,
            unknown=unknown or {},
            contents=contents,
        )
        self.raws.unload()
        return Decoded(
            self.records, self._places() if self.rejects else None, self.rejects, facts, self.raw
        )

    def _places(self) -> list[int]:
        """The places of the records in the page, which are all places without a reject."""
        places: list[int] = []
        start = 0
        for rejected in sorted(reject.index for reject in self.rejects):
            places += range(start, rejected)
            start = rejected + 1
        return [*places, *range(start, self.count)]


class Part(NamedTuple):
    """Some of the texts of a page, and the JSON array of them."""

    texts: Sequence[Any]
    array: bytes


def parts_of(texts: Sequence[Any], size: int) -> Iterator[Part]:
    """Texts in parts that are quick to decode; the whole of them where that is.

    Args:
        size: bytes of all of them, about. To ask each for its size would cost a third of decoding
            it.
    """
    most = max(1, min(SLICE_RECORDS, SLICE_BYTES * len(texts) // max(size, 1)))
    for start in range(0, len(texts), most):
        yield from _halved(texts[start : start + most])


def _halved(texts: Sequence[Any]) -> Iterator[Part]:
    """The texts, in two parts and further where they are much longer than others."""
    array = b"[%b]" % b",".join(texts)
    if len(array) <= 2 * SLICE_BYTES or len(texts) == 1:
        yield Part(texts, array)
        return
    middle = len(texts) // 2
    yield from _halved(texts[:middle])
    yield from _halved(texts[middle:])


class RecordDecoder:
    """Adds records to a batch, and notes their facts. Pure but for the number of pages."""

    def __init__(self, spec: RecordSpec, plan: Plan) -> None:
        self._spec, self._plan = spec, plan
        self._decode_one = _decoder_of(plan)
        self._decode_typed = plan.decoder(list[plan.record_type])  # type: ignore[name-defined]
        self._raw_decoder = msgspec.json.Decoder(list[msgspec.Raw])
        self._columns = {
            path: plan.raw_column(keys) for path in spec.paths if (keys := plain_keys(path))
        }
        self._key_columns = [
            plan.raw_column(keys, known=True)
            for path in spec.key_paths
            if (keys := plain_keys(path))
        ]
        self._readers = {path: reader(path) for path in spec.paths}
        self._key_readers = [_key_reader(path, plan) for path in spec.key_paths]
        self._decode_document = plan.decoder(Any)
        self.needs_raw = bool(spec.depth) or plan.keep is not None
        self._pages = 0

    def add_slice(self, batch: Batch, body: Any, start: int, end: int) -> Steps[None]:
        """Adds the comma-separated records in a range of a body.

        Raises msgspec.DecodeError where the range is not JSON.
        """
        yield from self.add_array(
            batch,
            b"[" + body[start:end] + b"]",
            lambda: self._raw_decoder.decode(b"[" + body[start:end] + b"]"),
        )

    def add_array(self, batch: Batch, array: bytes, raws: Load) -> Steps[None]:
        """Adds the records in a JSON array, which `raws` finds again.

        Raises msgspec.DecodeError where it is not JSON.
        """
        batch.add_source(raws)
        long = len(array) > self._spec.record_bytes
        records = None if long else self._typed(array)
        if records is not None:
            yield from self.add_typed(batch, records)
            return
        found = self._raw_decoder.decode(array)
        yield
        yield from self.add_raws(batch, found, sized=long)

    def add_texts(
        self, batch: Batch, texts: Sequence[Any], refused: Mapping[int, Refusal] = NO_REFUSALS
    ) -> Steps[None]:
        """Adds records of which each is a JSON text.

        Args:
            refused: place in `texts` -> why that is no record.
        """
        batch.add_source(lambda: texts)
        start = 0
        for place in sorted(refused):
            yield from self._add_run(batch, texts[start:place])
            code, error = refused[place]
            self.refuse(batch, bytes(texts[place]), code, (error,), stage="decode")
            start = place + 1
        yield from self._add_run(batch, texts[start:])

    def _add_run(self, batch: Batch, texts: Sequence[Any]) -> Steps[None]:
        yield from self.add_part(batch, Part(texts, b"[%b]" % b",".join(texts)))

    def add_part(self, batch: Batch, part: Part) -> Steps[None]:
        """Adds records of which each is a JSON text; `add_source` has said where they are."""
        (texts, array), most = part, self._spec.record_bytes
        long = len(array) > most and any(memoryview(each).nbytes > most for each in texts)
        records = None if long else self._typed(array)
        if records is not None and len(records) == len(texts):
            yield from self.add_typed(batch, records)
        else:
            yield from self.add_raws(batch, texts, sized=long)

    def _typed(self, array: bytes) -> list[Any] | None:
        """The records of an array in one typed call; None where they are needed one by one."""
        if self.needs_raw:
            return None
        try:
            found: list[Any] = self._decode_typed(array)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None
        return found

    def add_typed(self, batch: Batch, records: list[Any]) -> Steps[None]:
        """Adds records that have their types, in slices.

        Their facts are noted first, as received; then the plan completes their validation.
        """
        for start in range(0, len(records), SLICE_RECORDS):
            part = records[start : start + SLICE_RECORDS]
            base = batch.count
            self.note(batch, part)
            rejects = self._finish(batch, base, part)
            if rejects:
                batch.rejects += rejects
                places = {reject.index - base for reject in rejects}
                batch.records += (
                    record for place, record in enumerate(part) if place not in places
                )
            else:
                batch.records += part
            if len(records) > SLICE_RECORDS:
                yield

    def _finish(self, batch: Batch, base: int, part: list[Any]) -> list[Reject]:
        """Completes the validation of records whose first stands at `base` in the page."""
        return [
            Reject(base + index, "validate", "invalid", errors, batch.raw(base + index))
            for index, errors in self._plan.finish(part)
        ]

    def add_raws(self, batch: Batch, raws: Sequence[Any], *, sized: bool = False) -> Steps[None]:
        """Adds records one by one, so that a bad one costs itself only.

        A record costs 0.25 us more than with the whole page in one call.

        Args:
            sized: the page is so large that a record may be over its limit.
        """
        decode, limit, depth = (
            self._decode_one,
            self._spec.record_bytes,
            self._spec.depth,
        )
        run: list[Any] = []
        for raw in raws:
            refuse = self._reject
            if sized and memoryview(raw).nbytes > limit:
                refuse = self._refuse_long
            elif depth and deeper(bytes(raw), depth):
                refuse = self._refuse_deep
            else:
                try:
                    run.append(decode(raw))
                    continue
                except RecursionError:
                    refuse = self._refuse_deep
                except (msgspec.DecodeError, UnicodeDecodeError):
                    pass
            yield from self.add_typed(batch, run)
            run = []
            refuse(batch, bytes(raw))
            if len(batch.rejects) % YIELD_REJECTS == 0:
                yield
        yield from self.add_typed(batch, run)

    def _refuse_long(self, batch: Batch, raw: bytes, size: int | None = None) -> None:
        error = FieldError(
            "$",
            f"a record of {len(raw) if size is None else size} bytes",
            f"at most {self._spec.record_bytes} (source.limits.record)",
        )
        self.refuse(batch, raw, "record_too_large", (error,))

    def _refuse_deep(self, batch: Batch, raw: bytes) -> None:
        allowed = (
            f"at most {self._spec.depth} levels (source.limits.depth)"
            if self._spec.depth
            else "no more levels than a parser can follow"
        )
        self.refuse(
            batch,
            raw,
            "nested_too_deep",
            (FieldError("$", f"a record of {nesting(raw)[0]} levels", allowed),),
        )

    def add_document(self, batch: Batch, item: Any) -> None:
        """Adds a record that was decoded without types, with numbers as they were written; slow."""
        raw = msgspec.json.encode(item, enc_hook=encode_number)
        batch.add_source(
            lambda: [raw]
        )  # nothing else is left of it: the page was decoded as a whole
        if len(raw) > self._spec.record_bytes:
            self._refuse_long(batch, raw)
            return
        if self._spec.depth and deeper(raw, self._spec.depth):
            self._refuse_deep(batch, raw)
            return
        try:
            record = self._plan.one(raw)
        except InvalidRecord as invalid:
            batch.rejects.append(Reject(batch.count, "validate", invalid.code, invalid.errors, raw))
        else:
            batch.records.append(record)
        self._note_document(batch, self._decode_document(raw) if self._spec.paths else None)

    def add_letters(self, batch: Batch, raws: Sequence[bytes]) -> Steps[None]:
        """Adds records of dead letters, whichever form they are stored in."""
        for is_datum, run in itertools.groupby(raws, lambda raw: stored(raw) is not None):
            if not is_datum:
                yield from self.add_raws(batch, list(run), sized=True)
                continue
            for raw in run:
                self._add_stored(batch, raw)
                yield

    def _add_stored(self, batch: Batch, raw: bytes) -> None:
        """Adds a record that was never JSON; its size is that of its datum."""
        size = len(found.datum) if (found := stored(raw)) else len(raw)
        if size > self._spec.record_bytes:
            self._refuse_long(batch, raw, size)
            return
        try:
            record = self._plan.one(raw)
        except InvalidRecord as invalid:
            self.refuse(batch, raw, invalid.code, invalid.errors)
        else:
            batch.records.append(record)
            self._note_document(batch, None)

    def unknown_fields(self, batch: Batch) -> dict[str, Unknown]:
        """Fields that the schema lacks, in a few records of the sampled pages.

        To look at every record would cost as much as to decode it.
        """
        self._pages += 1
        if not (self._spec.json_names and batch.count and _is_sampled(self._pages)):
            return {}
        found: dict[str, list[str]] = {}
        for document in _sample(batch):
            for name in document.keys() - self._spec.json_names:
                found.setdefault(name, []).append(_KINDS[type(document[name])])
        return {
            name: Unknown(len(kinds), tuple(sorted(set(kinds)))) for name, kinds in found.items()
        }

    def _reject(self, batch: Batch, raw: bytes) -> None:
        try:
            self._plan.one(raw)
        except InvalidRecord as invalid:
            self.refuse(batch, raw, invalid.code, invalid.errors)
        else:
            self.refuse(batch, raw, "invalid", ())

    def refuse(
        self,
        batch: Batch,
        raw: bytes,
        code: str,
        errors: tuple[FieldError, ...],
        *,
        stage: str = "validate",
    ) -> None:
        """Adds a record as a reject. Its facts are noted as far as it can be read."""
        batch.rejects.append(Reject(batch.count, stage, code, errors, raw))
        try:
            document = self._decode_document(shown(raw))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._note_document(batch, None)
            batch.last = None if self._spec.last_paths else {}
        else:
            self._note_document(batch, document)

    # -- facts -------------------------------------------------------------------------------------

    def note(self, batch: Batch, records: list[Any]) -> None:
        """Takes the facts of records that are added next."""
        spec, columns = self._spec, self._columns
        batch.count += len(records)
        if spec.value_path is not None:
            batch.values += columns[spec.value_path](records)
        if len(self._key_columns) == 1:
            batch.keys += self._key_columns[0](records)
        elif self._key_columns:
            batch.keys += zip(*(column(records) for column in self._key_columns), strict=True)
        if records and spec.last_paths:
            batch.last = {path: columns[path](records[-1:])[0] for path in spec.last_paths}

    def last_from(self, batch: Batch, members: Mapping[str, bytes]) -> None:
        """Takes facts of the last record from fields that stand around it. They are those of the
        last item, which may have no records."""
        for path in self._spec.last_paths if members else ():
            keys = plain_keys(path)
            if keys and keys[0] in members and batch.last is not None:
                value = msgspec.json.decode(members[keys[0]])
                batch.last = {**batch.last, path: walk(value, keys[1:])}

    def _note_document(self, batch: Batch, document: Any) -> None:
        """Takes the facts of a record that has no typed form."""
        spec, readers = self._spec, self._readers
        batch.count += 1
        if spec.value_path is not None:
            batch.values.append(plain_number(readers[spec.value_path](document)))
        if spec.key_paths:
            parts = tuple(read(document) for read in self._key_readers)
            batch.keys.append(parts if len(parts) > 1 else parts[0])
        if spec.last_paths:
            batch.last = {path: plain_number(readers[path](document)) for path in spec.last_paths}

    def complete(
        self, batch: Batch, body: Mapping[str, Any], unknown: dict[str, Unknown] | None = None
    ) -> Decoded:
        """The complete page, with identities if they are needed; see `Batch.decoded`."""
        if unknown is None:
            unknown = self.unknown_fields(batch)
        decoded = self._identified(batch, body, unknown)
        decoded.facts.doubts = self._plan.doubts()
        return decoded

    def _identified(
        self, batch: Batch, body: Mapping[str, Any], unknown: dict[str, Unknown]
    ) -> Decoded:
        spec = self._spec
        if not spec.identify:
            return batch.decoded(body, unknown)
        rejected = {reject.index: reject.raw for reject in batch.rejects}
        contents = by_content(batch.count, batch.contents or batch.raws, rejected)
        if not spec.key_paths:
            return batch.decoded(body, unknown, contents, contents)
        keys, keyless = by_key(batch.keys, len(spec.key_paths), contents)
        decoded = batch.decoded(body, unknown, keys, contents)
        decoded.facts.keyless = keyless
        return decoded


def _key_reader(path: str, plan: Plan) -> Callable[[Any], Any]:
    """What reads a part of the key of a document: the same as from a record with its types."""
    read, keys = reader(path), plain_keys(path)
    number = known_number if keys is None or plan.keeps_digits(keys) else plain_number
    return lambda document: number(read(document))


def _decoder_of(plan: Plan) -> Callable[[Any], Any]:
    """What decodes the text of one record into its typed form."""
    decode = plan.decoder(plan.record_type)
    if (keep := plan.keep) is None:
        return decode

    def decode_and_keep(raw: Any) -> Any:
        record = decode(raw)
        keep(record, bytes(raw))
        return record

    return decode_and_keep


def _is_sampled(page: int) -> bool:
    """Whether the page of this number, from 1, is looked at: 1, 2, 4, 8 ..., and every 64th."""
    return page & (page - 1) == 0 or page % SAMPLED_PAGE == 0


def _sample(batch: Batch) -> Iterator[dict[str, Any]]:
    """Some records of a page that are JSON objects, as they were received."""
    for place in range(0, batch.count, max(batch.count // SAMPLED_RECORDS, 1)):
        try:
            document = msgspec.json.decode(batch.raw(place))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            continue
        if isinstance(document, dict):
            yield document
