"""A dead letter: one JSON object per line, with all that is needed to understand and replay it.

It is what becomes of a bad record: `formats/records.py` and `runtime/flow.py` make rejects,
`writer.py` writes them as dead letters, `sources/dead_letters.py` reads them again.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any, Self

import msgspec
from msgspec import UNSET, UnsetType

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
        schema_fingerprint: of the schema that it did not fit.
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
    schema_fingerprint: str = ""

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The letter in a line of a file. Raises msgspec.DecodeError for what is none."""
        return msgspec.json.decode(line, type=cls)

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


def dead_letter_line(
    reject: Reject,
    *,
    pipeline: str,
    partition: str,
    seq: int,
    position: Any,
    at: str,
    fingerprint: str,
) -> bytes:
    """The line of a reject, newline included."""
    text: str | UnsetType
    binary: str | UnsetType
    try:
        text, binary = reject.raw.decode(), UNSET
    except UnicodeDecodeError:
        text, binary = UNSET, base64.b64encode(reject.raw).decode()
    letter = DeadLetter(
        time=at,
        pipeline=pipeline,
        partition=partition,
        seq=seq,
        position=position,
        index=reject.index,
        stage=reject.stage,
        code=reject.code,
        errors=reject.errors,
        raw=text,
        raw_base64=binary,
        schema_fingerprint=fingerprint,
    )
    return msgspec.json.encode(letter) + b"\n"
