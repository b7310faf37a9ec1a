"""Bodies that are one JSON document: what is said of one that holds no records."""

from __future__ import annotations

import json
from decimal import Decimal

import kit
import pytest

from worker.core.errors import BadBody, RecordsMissing
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"null", "null"),
        (b"42", "whole number"),
        (b'"secret"', "text of 6 characters"),
        (b"true", "boolean"),
        (b'{"error": 1}', "an object with the keys 'error'"),
    ],
)
def test_a_page_without_records_is_described_in_words_and_not_shown(body: bytes, said: str) -> None:
    pages = JsonPages(PageSpec(), compile_plan(parse_schema(json.dumps(kit.SCHEMA))))
    with pytest.raises(RecordsMissing) as caught:
        at_once(pages.decode(body))
    assert str(caught.value).partition("the page is ")[2].startswith(f"{said} (")


@pytest.mark.parametrize(
    ("path", "body", "shown", "remedy"),
    [
        (
            None,
            b'{"data": {"items": [{"id": 1}], "tags": []}}',
            "arrays are at data.items (1), data.tags (0)",
            "records: data.items is the likeliest path",
        ),
        (
            "items",
            b'{"odd-name": [{"id": 1}, {"id": 2}]}',
            'arrays are at "odd-name" (2)',
            'records: "odd-name" is the likeliest path',
        ),
        ("items", b"[]", "the page is array", "take records out: the page itself is the array"),
    ],
)
def test_a_page_without_records_shows_the_paths_that_there_are(
    path: str | None, body: bytes, shown: str, remedy: str
) -> None:
    plan = compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
    pages = JsonPages(PageSpec(records=path), plan)
    with pytest.raises(RecordsMissing) as caught:
        at_once(pages.decode(body))
    assert shown in caught.value.message and caught.value.remedy.startswith(remedy)


AMOUNT = {
    "type": {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 2},
    "name": "amount",
}
AMOUNTS = compile_plan(
    parse_schema(json.dumps({"type": "record", "name": "R", "fields": [AMOUNT]}))
)
LONG = "12345678901234567890.12"


@pytest.mark.parametrize(
    ("spec", "body"),
    [
        (PageSpec(), '[{"amount": %s}]'),
        (PageSpec("@"), '{"amount": %s}'),
        (PageSpec("rows[?amount > `0`]"), '{"rows": [{"amount": %s}]}'),
        (PageSpec("rows[?abs(amount) > `0`]"), '{"rows": [{"amount": %s}]}'),
        (
            PageSpec(
                body_paths=("[0].amount",),
                record=RecordSpec(
                    key_paths=("amount",), value_path="amount", last_paths=("amount",)
                ),
            ),
            '[{"amount": %s}]',
        ),
    ],
)
def test_a_number_keeps_all_its_digits_wherever_the_records_stand(
    spec: PageSpec, body: str
) -> None:
    page = at_once(JsonPages(spec, AMOUNTS).decode((body % LONG).encode()))
    assert [record.f0 for record in page.records] == [Decimal(LONG)]
    assert all(
        type(value) is float
        for value in (*page.facts.values, *page.facts.last.values(), *page.facts.body.values())
    )


@pytest.mark.parametrize("path", ["@", "rows[*]"])
def test_a_number_that_no_float_holds_is_a_bad_body_where_no_record_can_be_cut_out(
    path: str,
) -> None:
    with pytest.raises(BadBody, match="out of range"):
        at_once(
            JsonPages(PageSpec(path), AMOUNTS).decode(
                b'{"rows": [{"amount": 1e400}], "amount": 1e400}'
            )
        )


@pytest.mark.parametrize("records", ["items", "items[?id > `0`]", None])
def test_a_number_that_no_float_holds_outside_the_records_is_a_bad_body(
    records: str | None,
) -> None:
    pages = JsonPages(
        PageSpec(records, body_paths=("total",)), compile_plan(parse_schema(json.dumps(kit.SCHEMA)))
    )
    with pytest.raises(BadBody):
        at_once(
            pages.decode(
                b'{"total": 1e400, "items": [' + json.dumps(kit.item(1, second=1)).encode() + b"]}",
            )
        )
