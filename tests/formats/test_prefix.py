"""What stands before the JSON of a body is left out, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import kit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import BadBody
from worker.core.model import Decoded
from worker.formats import json as json_format
from worker.formats.json import JsonPages
from worker.formats.json_encoding import begin_of_json
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

PLAN = compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
ITEMS = [kit.item(number, second=number) for number in range(3)]
PAGE = json.dumps(ITEMS).encode()
LINES = b"\n".join(json.dumps(item).encode() for item in ITEMS)
PREFIXES = [")]}'", ")]}',", "while(1);", "for(;;);", "{}&&", "OK:", "&&&START&&&", "é"]
SPACE = st.sampled_from([b"", b"\n", b"\r\n", b" \t"])
MARKS = st.sampled_from([b"", b"\xef\xbb\xbf"])


def decode(body: bytes, prefix: str) -> Decoded:
    return at_once(JsonPages(PageSpec(), PLAN, prefix=prefix.encode()).decode(body))


@pytest.mark.parametrize("prefix", PREFIXES)
@given(mark=MARKS, before=SPACE, behind=SPACE, there=st.booleans())
def test_a_page_is_the_same_with_and_without_its_prefix(
    prefix: str, mark: bytes, before: bytes, behind: bytes, there: bool
) -> None:
    head = mark + before + (prefix.encode() if there else b"") + behind
    decoded = decode(head + PAGE, prefix)
    assert len(decoded.records) == 3 and not decoded.rejects
    assert decoded.facts.size_bytes == len(head + PAGE)
    assert [json.loads(decoded.raw(index)) for index in range(3)] == ITEMS


@pytest.mark.parametrize("prefix", PREFIXES)
@given(mark=MARKS, before=SPACE, behind=st.sampled_from([b"", b"\n", b"\r\n"]), there=st.booleans())
def test_lines_are_the_same_with_and_without_a_prefix(
    prefix: str, mark: bytes, before: bytes, behind: bytes, there: bool
) -> None:
    body = mark + before + (prefix.encode() if there else b"") + behind + LINES
    pages = NdjsonPages(PageSpec(), PLAN, prefix=prefix.encode())
    decoded = at_once(pages.decode(body))
    assert (len(decoded.records), decoded.rejects) == (3, [])


@pytest.mark.parametrize(
    "body", [b"while(1);", b"while(1)" + PAGE, b"while(1);while(1);" + PAGE, b"for(;;);" + PAGE]
)
def test_what_is_no_json_behind_the_prefix_is_a_bad_body(body: bytes) -> None:
    with pytest.raises(BadBody):
        decode(body, "while(1);")


def test_a_line_behind_a_prefix_that_was_cut_is_noticed() -> None:
    pages = NdjsonPages(PageSpec(), PLAN, prefix=b"OK:")
    with pytest.raises(BadBody, match="cut"):
        at_once(pages.decode(b"OK:" + LINES[:-5]))
    assert at_once(pages.decode(b"OK:\n")).records == []


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=9))
def test_the_json_of_any_body_begins_within_it(body: bytes, prefix: bytes) -> None:
    start = begin_of_json(body, prefix)
    assert 0 <= start <= len(body)
    rest = body.removeprefix(b"\xef\xbb\xbf")
    assert body[:start].endswith(prefix) or body[start:] == rest


@pytest.mark.parametrize("given_", ["while(1);", " while(1);\n"])
def test_white_space_round_the_prefix_of_a_config_has_no_meaning(given_: str) -> None:
    config: Any = json_format.Decode.model_validate({"type": "json", "strip_prefix": given_})
    assert config.prefix == b"while(1);"
    assert config.json_of(b"\xef\xbb\xbfwhile(1);{}") == b"{}"
    assert config.json_of(b"{}") == b"{}"
