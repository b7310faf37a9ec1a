"""Dead letters as they are stored."""

from __future__ import annotations

import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.dead_letter import DeadLetter, Rejection, dead_letter_line, is_body
from worker.core.model import FieldError, Reject

WRONG = FieldError(path="$.a", found="text", allowed="a number")


def line(raw: bytes, kept: Literal["", "masked", "errors"] = "") -> bytes:
    reject = Reject(index=3, stage="validate", code="invalid", errors=(WRONG,), raw=raw)
    return dead_letter_line(
        reject,
        Rejection(
            pipeline="p",
            partition="a",
            seq=7,
            position={"page": 2},
            at="2024-01-01T00:00:00.000Z",
            fingerprint="f" * 16,
        ),
        kept=kept,
    )


@given(st.binary(max_size=50))
def test_a_letter_is_one_line_that_keeps_the_bytes(raw: bytes) -> None:
    stored = line(raw)
    assert stored.endswith(b"\n") and b"\n" not in stored[:-1]
    letter = DeadLetter.from_line(stored)
    assert letter.received == raw
    assert (letter.seq, letter.index, letter.errors) == (7, 3, (WRONG,))


@pytest.mark.parametrize(
    ("raw", "kept"),
    [(b'{"a": 1}', {"raw": '{"a": 1}'}), (b"", {"raw": ""}), (b"\xff", {"raw_base64": "/w=="})],
)
def test_a_letter_has_the_keys_that_letters_always_had(raw: bytes, kept: dict[str, str]) -> None:
    found = json.loads(line(raw))
    assert found == {
        "time": "2024-01-01T00:00:00.000Z",
        "pipeline": "p",
        "partition": "a",
        "seq": 7,
        "position": {"page": 2},
        "index": 3,
        "stage": "validate",
        "code": "invalid",
        "errors": [{"path": "$.a", "found": "text", "allowed": "a number"}],
        **kept,
        "schema_fingerprint": "f" * 16,
    }
    *first, last = found
    assert (first[-1], last) == (next(iter(kept)), "schema_fingerprint")
    assert DeadLetter.from_line(line(raw)).shown == next(iter(kept.values()))


@given(st.binary(max_size=50))
def test_a_letter_says_whether_its_record_is_whole(raw: bytes) -> None:
    letter = DeadLetter.from_line(line(raw))
    assert letter.whole
    assert not DeadLetter.from_line(line(raw, "masked")).whole
    bare = DeadLetter.from_line(line(raw, "errors"))
    assert (bare.whole, bare.received, bare.shown) == (False, b"", "")
    assert letter.without_record() == bare


def test_a_letter_knows_when_it_was_written() -> None:
    assert DeadLetter.from_line(line(b"{}")).time_us == 1_704_067_200_000_000


@pytest.mark.parametrize(
    ("stage", "code", "body"),
    [
        ("decode", "bad_body", True),
        ("decode", "invalid", False),
        ("validate", "bad_body", False),
        ("a", "bad_body", False),
    ],
)
def test_a_body_that_was_rejected_as_a_whole_is_known_by_stage_and_code(
    stage: str, code: str, body: bool
) -> None:
    assert is_body(Reject(index=0, stage=stage, code=code, errors=(WRONG,), raw=b"")) == body
