"""Bodies that are one JSON document: what is said of one that holds no records."""

from __future__ import annotations

import json

import kit
import pytest

from worker.core.errors import RecordsMissing
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
