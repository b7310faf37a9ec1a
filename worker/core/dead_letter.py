"""A dead letter: one JSON object per line, with all that is needed to understand and replay it.

It is what becomes of a bad record: `formats/records.py` and `runtime/flow.py` make rejects,
`writer.py` writes them as dead letters, `sources/dead_letters.py` reads them again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Self

import msgspec
from msgspec import UNSET, UnsetType

from worker.core.errors import BadBody
from worker.core.instants import EPOCH, MICROSECOND
from worker.core.model import FieldError, Reject


class DeadLetter(msgspec.Struct, frozen=True):
    """A reject as it is stored.

    Attributes:
        time: when it was written, RFC 3339 in UTC.
        seq: number of the commit that it belongs to.
        position: of its page, as the pagination style understands it.
        index: its place in the page.
        raw, raw_base64: the record as it was received: as text where it is UTF-8, else as base64.
        kept: what there is of it, where that is not the record as it was received: `masked`, or
            `errors` where there is nothing. See `dead_letters.keep`.
        schema_fingerprint: of the schema that it did not fit.
        place: where it stands in the body, in words, where `index` does not say that.
        line: of its body, where the record begins; only where the body is made of lines.
        values: those of its partition, by their names.
    """

    time: str
    pipeline: str
    partition: str
    seq: int
    position: Any
    index: int
    stage: str
    code: str
    errors: tuple[FieldError, ...]
    raw: str | UnsetType = UNSET
    raw_base64: str | UnsetType = UNSET
    kept: Literal["masked", "errors"] | UnsetType = UNSET
    schema_fingerprint: str = ""
    place: str | UnsetType = UNSET
    line: int | UnsetType = UNSET
    values: dict[str, str] | UnsetType = UNSET

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The letter in a line of a file. Raises msgspec.DecodeError for what is none."""
        return msgspec.json.decode(line, type=cls)

    @property
    def whole(self) -> bool:
        """Whether the record is here as it was received, so that a replay can read it."""
        return self.kept is UNSET

    def without_record(self) -> Self:
        """The same letter, with nothing of the record."""
        return msgspec.structs.replace(self, raw=UNSET, raw_base64=UNSET, kept="errors")

    @property
    def received(self) -> bytes:
        """The record as it was received."""
        if isinstance(self.raw, str):
            return self.raw.encode()
        return base64.b64decode(self.raw_base64 or b"")

    @property
    def time_us(self) -> int:
        """When it was written, in microseconds since 1970."""
        return (datetime.fromisoformat(self.time) - EPOCH) // MICROSECOND

    @property
    def shown(self) -> str:
        """The record as it is stored."""
        return self.raw or self.raw_base64 or ""


def is_body(found: Reject | DeadLetter) -> bool:
    """Whether it is a body that was rejected as a whole (`on_body_error: dead_letter`)."""
    return (found.stage, found.code) == ("decode", BadBody.code)


UNSHAPED: Final = frozenset({"no_elements", "more_than_names", "field_taken"})
"""Codes of what is no record, because none could be made of the item that it stands in."""


def is_unshaped(letter: DeadLetter) -> bool:
    """Whether it is an item, or an element of one, that no record could be made of: what a record
    gets from around it is not there, so that reading it again would make another record."""
    return letter.stage == "decode" and letter.code in UNSHAPED


class Rejection(NamedTuple):
    """What the dead letters of one page have in common; see DeadLetter.

    Attributes:
        at: when they are written, RFC 3339 in UTC.
        fingerprint: of the schema that the records did not fit.
        values: those of the partition.
    """

    pipeline: str
    partition: str
    seq: int
    position: Any
    at: str
    fingerprint: str
    values: Mapping[str, str] = MappingProxyType({})


def dead_letter_line(
    reject: Reject, of: Rejection, *, kept: Literal["", "masked", "errors"] = ""
) -> bytes:
    """The line of a reject, newline included.

    Args:
        kept: what `raw` of the reject is, where it is not the record as it was received.
    """
    text: str | UnsetType
    binary: str | UnsetType
    try:
        text, binary = reject.raw.decode(), UNSET
    except UnicodeDecodeError:
        text, binary = UNSET, base64.b64encode(reject.raw).decode()
    if kept == "errors":
        text = binary = UNSET
    letter = DeadLetter(
        time=of.at,
        pipeline=of.pipeline,
        partition=of.partition,
        seq=of.seq,
        position=of.position,
        index=reject.index,
        stage=reject.stage,
        code=reject.code,
        errors=reject.errors,
        raw=text,
        raw_base64=binary,
        kept=kept or UNSET,
        schema_fingerprint=of.fingerprint,
        place=reject.place or UNSET,
        line=reject.line or UNSET,
        values=dict(of.values) if of.values and not kept else UNSET,
    )
    return msgspec.json.encode(letter) + b"\n"
