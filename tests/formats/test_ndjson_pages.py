"""Bodies of one record a line: what is a record, what a reject, and what no whole body."""

from __future__ import annotations

import json

import kit
import pytest

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

LINES = [json.dumps(kit.item(number, second=number)).encode() for number in range(100)]


def decode(body: bytes) -> Decoded:
    pages = NdjsonPages(PageSpec(), compile_plan(parse_schema(json.dumps(kit.SCHEMA))))
    return at_once(pages.decode(body))


@pytest.mark.parametrize("keep", [1, 10, len(LINES[0]) - 1])
@pytest.mark.parametrize("separator", [b"\n", b"\r\n"])
def test_a_body_that_ends_within_a_line_was_cut(keep: int, separator: bytes) -> None:
    body = separator.join([*LINES[:50], LINES[50][:keep]])
    with pytest.raises(BadBody, match="cut"):
        decode(body)


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\n\n", b"\n  "])
def test_the_last_line_needs_no_line_break(ending: bytes) -> None:
    decoded = decode(b"\n".join(LINES) + ending)
    assert (len(decoded.records), decoded.rejects) == (100, [])


def test_a_damaged_last_line_that_was_ended_is_one_reject() -> None:
    decoded = decode(b"\n".join([*LINES, b"{broken", b""]))
    assert len(decoded.records) == 100
    assert [(reject.index, reject.code) for reject in decoded.rejects] == [(100, "no_json")]


@pytest.mark.parametrize("count", [0, 1, 100])
def test_a_byte_order_mark_is_skipped(count: int) -> None:
    decoded = decode(b"\xef\xbb\xbf" + b"\n".join(LINES[:count]))
    assert (len(decoded.records), decoded.rejects) == (count, [])
