"""A dead letter: one JSON object a line, with everything needed to understand and replay a reject."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from worker.core.model import Reject


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
    """The line, newline included. Text is kept as text, other bytes as base64."""
    try:
        raw = {"raw": reject.raw.decode()}
    except UnicodeDecodeError:
        raw = {"raw_base64": base64.b64encode(reject.raw).decode()}
    letter = {
        "time": at,
        "pipeline": pipeline,
        "partition": partition,
        "seq": seq,
        "position": position,
        "index": reject.index,
        "stage": reject.stage,
        "code": reject.code,
        "errors": reject.errors,
        **raw,
        "schema_fingerprint": fingerprint,
    }
    return msgspec.json.encode(letter) + b"\n"
