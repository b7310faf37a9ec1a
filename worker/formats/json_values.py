"""Bodies of several JSON values, each of which is a record or, with `source.records`, holds some.

NDJSON has one on each line, and a JSON stream one behind the other. A value that is no JSON is one
reject.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from worker.core.errors import BadBody, RecordsMissing
from worker.core.json_kinds import describe_kind
from worker.core.jsonpath import plain_keys, reader
from worker.core.model import MISSING, Decoded, FieldError
from worker.core.ports import Plan, Steps
from worker.formats.envelope import build_whole
from worker.formats.json_depth import nesting
from worker.formats.json_encoding import begin_of_json
from worker.formats.records import Batch, PageSpec, RecordDecoder
from worker.formats.shaped_values import ShapedValues
from worker.formats.weight import JsonWeight
from worker.schema.no_json import no_json_values
from worker.schema.values import encode_number, parse_number

_WRITTEN: Final = msgspec.json.Decoder(float_hook=parse_number)
_RAWS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_REMEDY: Final = "correct source.records, or set records_missing: empty"


class ValuePages(ABC):
    """Base of the pages of one pipeline (the `Pages` port) whose bodies have several values.

    A value that is no JSON is one reject, if it is clear where it ends.

    Args:
        prefix: what may stand before the first value; empty for nothing.
    """

    where: ClassVar[str]
    """A value, in words: `a line`."""

    def __init__(self, spec: PageSpec, plan: Plan, *, prefix: bytes = b"") -> None:
        self._prefix = prefix
        self._values = JsonValues(spec, plan, self.where)
        self._weight = JsonWeight(plan.record_type)

    def weigh(self, body: Any) -> int:
        """Bytes that the body and the decoded page will take together."""
        return self._weight(body)

    def decode(self, body: Any, *, url: str = "", received_us: int = 0) -> Steps[Decoded]:
        """Decodes one page, slice by slice; an empty body is an empty page.

        Raises BadBody where no value is JSON, or when the body was cut, and RecordsMissing for a
        value without records at the path.
        """
        batch = Batch()
        yield from self._add(batch, body, begin_of_json(body, self._prefix))
        self._values.refuse_none(batch)
        decoded = self._values.complete(batch)
        facts = decoded.facts
        facts.size_bytes, facts.url, facts.received_us = len(body), url, received_us
        return decoded

    @abstractmethod
    def _add(self, batch: Batch, body: Any, start: int) -> Steps[None]:
        """Adds the values of a body, which begin at `start`. Raises BadBody and RecordsMissing."""


class JsonValues:
    """Adds the values of a body to a page.

    Args:
        where: one of them, in words: `a line`.
    """

    def __init__(self, spec: PageSpec, plan: Plan, where: str) -> None:
        self._where = where
        inside = spec.records not in (None, "@") and spec.shape.plain
        self._within = _Within(spec.records or "", spec, where) if inside else None
        self._shaped = None if spec.shape.plain else ShapedValues(spec, plan)
        self.records = RecordDecoder(spec.record, plan)
        if self._shaped is not None:
            self.records = self._shaped.records.decoder

    def add(self, batch: Batch, values: Sequence[bytes]) -> Steps[None]:
        """Adds values in order. Raises RecordsMissing for one without records at the path."""
        if _are_json(values):
            yield from self._add_json(batch, values)
            return
        for value in values:  # one is not JSON, or more than one
            if is_json(value):
                yield from self._add_json(batch, [value])
            else:
                batch.add_source(lambda value=value: [value])  # type: ignore[misc]
                if self._shaped is not None:
                    self._shaped.add_bad(batch)
                error = FieldError("$", "no JSON value", f"one JSON value {self._where}")
                self.records.refuse(batch, value, "no_json", no_json_values(value) or (error,))
        yield

    def _add_json(self, batch: Batch, values: Sequence[bytes]) -> Steps[None]:
        if self._shaped is not None:
            yield from self._shaped.add(batch, values)
            return
        raws = values if self._within is None else self._within.find(values)
        batch.add_source(lambda: raws)
        yield from self.records.add_raws(batch, raws, sized=True)

    def complete(self, batch: Batch) -> Decoded:
        """The complete page."""
        if self._shaped is not None:
            return self._shaped.complete(batch)
        return self.records.complete(batch, {})

    def refuse_none(self, batch: Batch) -> None:
        """Raises BadBody where the body has values, and none of them is JSON."""
        if (
            batch.rejects
            and len(batch.rejects) == batch.count
            and all(reject.code == "no_json" for reject in batch.rejects)
        ):
            raise BadBody(f"no {self._where.removeprefix('a ')} of the body is JSON")


class _Within:
    """Finds the records at a path of each value. An object there is one, and null is none."""

    def __init__(self, path: str, spec: PageSpec, where: str) -> None:
        self._path, self._where = path, where
        self._may_be_missing = spec.missing_is_empty
        keys = plain_keys(path)
        self._whole = build_whole(keys) if keys else None
        self._read = reader(path)

    def find(self, values: Sequence[bytes]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            found += self._records_of(value)
        return found

    def _records_of(self, value: bytes) -> Sequence[Any]:
        at_path = self._at_path(value)
        if at_path is MISSING:
            if self._may_be_missing:
                return ()
            kind = describe_kind(msgspec.json.decode(value))
            raise RecordsMissing(
                f"records path {self._path!r} holds no records {self._where}, which is {kind}",
                remedy=_REMEDY,
            )
        start = bytes(at_path).lstrip()[:1]
        if start == b"[":
            return _RAWS.decode(at_path)
        return () if start == b"n" else (at_path,)

    def _at_path(self, value: bytes) -> Any:
        """What stands at the path, as it is written; MISSING for nothing."""
        if self._whole is not None:
            try:
                return self._whole(value)
            except msgspec.ValidationError:  # no object on the way
                return MISSING
        found = self._read(_WRITTEN.decode(value))
        if found is MISSING or found is None:  # a search cannot tell null from absent
            return MISSING
        return msgspec.json.encode(found, enc_hook=encode_number)


def _are_json(values: Sequence[bytes]) -> bool:
    try:
        raws = _RAWS.decode(b"[" + b",".join(values) + b"]")
    except (msgspec.DecodeError, RecursionError):
        return False
    return len(raws) == len(values)


def is_json(value: bytes) -> bool:
    """Whether bytes are one JSON value."""
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except RecursionError:
        return nesting(value)[1] == 0  # as far as can be told; it is refused for its depth
    except msgspec.DecodeError:
        return False
    return True
