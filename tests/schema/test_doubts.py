"""Times in numbers that are most likely counted in another unit: they land, and are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.formats.json import Decode, JsonPages
from worker.formats.records import PageSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema

SECONDS = 1_714_979_289


def page(logical: str, *values: Any, decode: dict[str, Any] | None = None) -> Any:
    time = {"type": "long", "logicalType": logical}
    boxed = {"type": "record", "name": "Box", "fields": [{"name": "at", "type": time}]}
    fields = [
        {"name": "at", "type": ["null", time]},
        {"name": "all", "type": {"type": "array", "items": boxed}, "default": []},
    ]
    schema = parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields}))
    plan = compile_plan(
        schema, spellings=Decode.model_validate({"type": "json", **(decode or {})}).spellings
    )
    body = json.dumps([{"at": value} if value != "nested" else NESTED for value in values])
    return at_once(JsonPages(PageSpec(), plan).decode(body.encode()))


NESTED = {"at": None, "all": [{"at": 1}, {"at": SECONDS}]}


@pytest.mark.parametrize(
    ("logical", "value", "read", "likely_unit"),
    [
        ("timestamp-millis", SECONDS, "1970-01-20T20:22:59.289", "epoch_s"),
        ("local-timestamp-millis", SECONDS, "1970-01-20T20:22:59.289", "epoch_s"),
        ("timestamp-micros", SECONDS, "1970-01-01T00:28:34.979289", "epoch_s"),
        ("timestamp-micros", SECONDS * 1_000, "1970-01-20T20:22:59.289", "epoch_ms"),
        ("timestamp-nanos", SECONDS * 1_000_000, "1970-01-20T20:22:59.289", "epoch_us"),
    ],
)
def test_a_number_of_another_unit_lands_and_its_field_and_both_times_are_told(
    logical: str, value: int, read: str, likely_unit: str
) -> None:
    found = page(logical, None, value, value + 1)
    assert [record.f0 for record in found.records] == [None, value, value + 1]
    doubt = found.facts.doubts["at"]
    assert doubt.read.startswith(read) and doubt.likely.startswith("2024-05-06T07:08:09")
    assert doubt.likely_unit == likely_unit and likely_unit in doubt.remedy("at")


def test_a_field_of_nested_records_is_named_as_decode_times_names_it() -> None:
    assert list(page("timestamp-millis", "nested").facts.doubts) == ["all.at"]


@pytest.mark.parametrize(
    ("value", "decode"),
    [
        (SECONDS, {"times": {"at": "epoch_s"}}),
        (SECONDS, {"times": {"at": "epoch_ms"}}),
        (SECONDS * 1_000, {}),
        ("1970-01-20T20:22:59.289Z", {}),
        (0, {}),
        (-SECONDS, {}),
        (86_400_000, {}),
        (5_000_000_000, {}),
    ],
)
def test_other_times_are_not_doubted_nor_those_whose_unit_is_said(
    value: Any, decode: dict[str, Any]
) -> None:
    found = page("timestamp-millis", value, decode=decode)
    assert len(found.records) == 1 and not found.facts.doubts


def test_doubts_of_one_page_are_not_those_of_the_next() -> None:
    plan = compile_plan(
        parse_schema(
            '{"type": "record", "name": "R", "fields": [{"name": "at", "type": '
            '{"type": "long", "logicalType": "timestamp-millis"}}]}'
        )
    )
    pages = JsonPages(PageSpec(), plan)
    first, second = (
        at_once(pages.decode(b'[{"at": %d}]' % value)) for value in (SECONDS, SECONDS * 1_000)
    )
    assert list(first.facts.doubts) == ["at"] and not second.facts.doubts


@given(st.integers(-(2**63), 2**63 - 1))
def test_doubt_changes_no_value(value: int) -> None:
    usual = page("timestamp-millis", value)
    said = page("timestamp-millis", value, decode={"times": {"at": "epoch_ms"}})
    assert [record.f0 for record in usual.records] == [record.f0 for record in said.records]
    assert not said.facts.doubts
