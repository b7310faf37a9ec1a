"""Every row of the table of spellings is what the engine does, alone and on a page."""

from __future__ import annotations

import json

import msgspec
import pytest
from docs.spellings import ROWS, Row, outcome, plan_of


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{n}-{row.written}-{row.kind}" for n, row in enumerate(ROWS)]
)
def test_a_value_is_what_the_table_says_or_its_error_names_the_key(row: Row) -> None:
    value, error = outcome(row)
    assert value == row.value
    if not row.value:
        assert error.startswith("$.at: found ") and row.names in error


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{n}-{row.written}-{row.kind}" for n, row in enumerate(ROWS)]
)
def test_a_page_of_equal_values_says_the_same(row: Row) -> None:
    plan = plan_of(row)
    raw = f'{{"at": {row.written}}}'
    try:
        page = plan.decoder(list[plan.record_type])(f"[{raw}, {raw}]")
    except msgspec.ValidationError:  # such a page is decoded record by record
        assert not row.value
        return
    for _ in range(2):  # what was learnt of the first page must not show
        again = plan.decoder(list[plan.record_type])(f"[{raw}, {raw}]")
        assert bool(plan.finish(again)) == (not row.value)
    wrong = plan.finish(page)
    assert [index for index, _ in wrong] == ([] if row.value else [0, 1])
    if row.value:
        assert page[0].f0 == plan.one(raw.encode()).f0
        assert type(page[0].f0) is type(plan.one(raw.encode()).f0)


def test_the_table_has_every_kind_of_value() -> None:
    assert len(ROWS) >= 40
    assert len([row for row in ROWS if not row.value]) >= 20
    assert all(json.loads(row.written) is not None for row in ROWS)
