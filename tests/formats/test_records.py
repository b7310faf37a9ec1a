"""Records of a page: what the page as a whole cannot say is looked up in the text of the record."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from worker.core.model import Decoded
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.schema import DatumReader, compile_plan, parse_schema

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 22, "scale": 2}


def decoded(kind: Any, *texts: str, record: RecordSpec | None = None) -> tuple[Decoded, list[Any]]:
    """The page of records with one field `a`, and the values that are written."""
    plan = compile_plan(
        parse_schema(
            json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]})
        ),
        extra=("at",),
    )
    steps = JsonPages(PageSpec(record=record or RecordSpec()), plan).decode(
        f"[{','.join(texts)}]".encode()
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            page: Decoded = end.value
            return page, [
                DatumReader(plan.schema).one(plan.encode([each]))["a"] for each in page.records
            ]


@pytest.mark.parametrize("kind", [MONEY, ["null", MONEY], ["null", MONEY, "boolean"]])
def test_a_number_of_more_digits_than_a_float_has_is_read_exactly(kind: Any) -> None:
    page, values = decoded(
        kind,
        '{"a": 1.5}',
        '{"a": 12345678901234567890.12}',
        '{"a": 1234567890123456789.01e1}',
        '{"a": "12345678901234567890.12"}',
    )
    assert not page.rejects
    assert values == [
        Decimal("1.5"),
        Decimal("12345678901234567890.12"),
        Decimal("12345678901234567890.1"),
        Decimal("12345678901234567890.12"),
    ]


def test_a_number_that_fits_only_when_it_is_rounded_is_one_reject() -> None:
    page, values = decoded(MONEY, '{"a": 1}', '{"a": 12345678901234567.125}', '{"a": 2}')
    assert values == [1, 2]
    [reject] = page.rejects
    assert (reject.index, reject.code, reject.errors[0].path) == (1, "invalid", "$.a")


def test_facts_of_such_records_are_those_of_the_page() -> None:
    page, _ = decoded(
        MONEY,
        '{"a": 1.5, "at": 1.25}',
        '{"a": 12345678901234567890.12, "at": 1704067200.1234567}',
        record=RecordSpec(value_path="at"),
    )
    assert page.facts.values == [1.25, 1704067200.1234567]
    assert [type(each) for each in page.facts.values] == [float, float]
