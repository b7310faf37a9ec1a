"""Bodies that are one JSON document: what is said of one that holds no records."""

from __future__ import annotations

import json

import kit
import pytest

from worker.core.errors import BadBody, RecordsMissing
from worker.formats.json import JsonPages, JsonSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"null", "null"), (b"42", "whole number"), (b'"secret"', "text of 6 characters"), (b"true", "boolean"), (b'{"error": 1}', "an object with the keys 'error'")],
)
def test_a_page_without_records_is_described_in_words_and_not_shown(body: bytes, said: str) -> None:
    pages = JsonPages(JsonSpec(), compile_plan(parse_schema(json.dumps(kit.SCHEMA))))
    with pytest.raises(RecordsMissing) as caught:
        at_once(pages.decode(body, digest=b""))
    assert str(caught.value).partition("the page is ")[2].startswith(f"{said} (")


@pytest.mark.parametrize("records", ["items", "items[?id > `0`]", None])
def test_a_number_that_no_float_holds_outside_the_records_is_a_bad_body(records: str | None) -> None:
    pages = JsonPages(JsonSpec(records, body_paths=("total",)), compile_plan(parse_schema(json.dumps(kit.SCHEMA))))
    with pytest.raises(BadBody):
        at_once(pages.decode(b'{"total": 1e400, "items": [' + json.dumps(kit.item(1, second=1)).encode() + b"]}", digest=b""))
