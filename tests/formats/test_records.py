"""Records of a page: what the page as a whole cannot say is looked up in the text of the record."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.core.model import Decoded
from worker.formats.json import JsonPages
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.runtime.slices import at_once
from worker.schema import DatumReader, compile_plan, parse_schema

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 22, "scale": 2}


def decoded(
    kind: Any, *texts: str, record: RecordSpec | None = None, lines: bool = False
) -> tuple[Decoded, list[Any]]:
    """The page of records with one field `a`, and the values that are written.

    Args:
        lines: the page is NDJSON.
    """
    plan = compile_plan(
        parse_schema(
            json.dumps({"type": "record", "name": "R", "fields": [{"name": "a", "type": kind}]})
        ),
        extra=("at",),
    )
    spec = record or RecordSpec()
    if lines:
        page = at_once(NdjsonPages(PageSpec(record=spec), plan).decode("\n".join(texts).encode()))
    else:
        body = f"[{','.join(texts)}]".encode()
        page = at_once(JsonPages(PageSpec(record=spec), plan).decode(body))
    return page, [DatumReader(plan.schema).one(plan.encode([each]))["a"] for each in page.records]


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


# -- digits of decimals ------------------------------------------------------------------------

PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 3}
BOXED = {"type": "record", "name": "Box", "fields": [{"name": "n", "type": PRICE}]}
OTHER = {"type": "record", "name": "Other", "fields": [{"name": "m", "type": PRICE}]}
WAYS: list[tuple[Any, str]] = [
    (PRICE, "{}"),
    (["null", PRICE], "{}"),
    (["boolean", PRICE], "{}"),
    ({"type": "array", "items": PRICE}, "[1, {}]"),
    ({"type": "map", "values": ["null", PRICE]}, '{{"k": {}}}'),
    (BOXED, '{{"n": {}}}'),
    (["null", BOXED, OTHER], '{{"n": {}}}'),
]


@st.composite
def numbers(draw: Any) -> str:
    """JSON numbers of which many are near one that a float shows with few digits."""
    whole = draw(st.sampled_from(("0", "1", "99999999", "12345678901234567890")))
    part = draw(st.text("09", max_size=20) | st.text("0123456789", max_size=20))
    power = draw(st.just("") | st.integers(-330, 20).map("e{}".format))
    return f"{draw(st.sampled_from(('', '-')))}{whole}{'.' if part else ''}{part}{power}"


@given(kind=st.sampled_from(WAYS), number=numbers(), lines=st.booleans())
@example(kind=WAYS[0], number="99999999.9999999999999", lines=False)
@example(kind=WAYS[0], number="1e-400", lines=True)
def test_digits_of_a_decimal_are_those_that_were_written_as_number_or_as_text(
    kind: tuple[Any, str], number: str, lines: bool
) -> None:
    schema, way = kind
    bodies = [f'{{"a": {way.format(each)}}}' for each in (number, f'"{number}"')]
    (page, values), (text_page, text_values) = (
        decoded(schema, body, lines=lines) for body in bodies
    )
    assert values == text_values and len(values) == (not page.rejects)
    assert [each.errors[0].path for each in page.rejects] == [
        each.errors[0].path for each in text_page.rejects
    ]


def test_a_number_that_would_lose_digits_is_a_reject_that_names_its_field() -> None:
    page, values = decoded(PRICE, '{"a": 99999999.9999999999999}', '{"a": 99999999.999}')
    assert values == [Decimal("99999999.999")]
    [reject] = page.rejects
    assert (reject.index, reject.errors[0].path) == (0, "$.a")
    assert reject.errors[0].allowed.startswith("a decimal of at most 12 digits, 3 of them")


def test_facts_beside_decimals_are_the_numbers_that_they_were() -> None:
    at = "1704067200.00000000000000001"
    spec = RecordSpec(value_path="at", key_paths=("a", "at"), last_paths=("at",))
    page, _ = decoded(
        PRICE, f'{{"a": 0.10000000000000000000, "at": {{"deep": [{at}]}}}}', record=spec
    )
    assert repr(page.facts.values) == "[{'deep': [1704067200.0]}]" == repr([page.facts.last["at"]])
    again, _ = decoded(PRICE, '{"a": 0.1, "at": {"deep": [1704067200.0]}}', record=spec)
    assert list(page.facts.keys) == list(again.facts.keys)
