"""The JSON encoding of Avro, against what fastavro writes."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from schema.test_plan import typed_values

from worker.core.errors import WorkerError
from worker.core.ports import InvalidRecord
from worker.schema import CompiledPlan, compile_plan, parse_schema

UNIONS = {
    "type": "record",
    "name": "n.Root",
    "fields": [
        {"name": "a", "type": ["null", "long"]},
        {
            "name": "b",
            "type": [
                "int",
                "string",
                {
                    "type": "record",
                    "name": "Sub",
                    "fields": [{"name": "x", "type": ["null", "bytes"]}],
                },
                "null",
            ],
        },
        {"name": "c", "type": {"type": "array", "items": ["null", "double"]}, "default": []},
        {
            "name": "d",
            "type": [{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}],
        },
    ],
}


def plan_of(document: Any) -> CompiledPlan:
    return compile_plan(parse_schema(json.dumps(document)), tagged=True)


def datum(document: Any, record: Any) -> bytes:
    file = io.BytesIO()
    fastavro.schemaless_writer(file, document, record)
    return file.getvalue()


@given(st.data())
def test_what_fastavro_writes_as_json_becomes_the_bytes_that_it_writes(data: st.DataObject) -> None:
    parts = [data.draw(typed_values()) for _ in range(data.draw(st.integers(1, 4)))]
    schema = {
        "type": "record",
        "name": "Root",
        "fields": [{"name": f"f{number}", "type": kind} for number, (kind, _) in enumerate(parts)],
    }
    try:
        plan = plan_of(schema)
    except WorkerError:
        reject()  # a name was drawn twice
    record = {f"f{number}": data.draw(values) for number, (_, values) in enumerate(parts)}
    text = io.StringIO()
    try:
        fastavro.json_writer(text, schema, [record])
    except Exception as error:
        if str(error) != "No key was set":
            raise
        reject()  # it cannot write an empty key of a map
    assert plan.encode([plan.one(text.getvalue().encode())]) == datum(schema, record)


@pytest.mark.parametrize(
    ("record", "value"),
    [
        (
            (
                '{"a": {"long": 5}, "b": {"n.Sub": {"x": {"bytes": "\\u00ff"}}},'
                ' "c": [null, {"double": 1}], "d": {"bytes": "\\u0001"}}'
            ),
            {"a": 5, "b": ("n.Sub", {"x": b"\xff"}), "c": [None, 1.0], "d": 1},
        ),
        (
            '{"a": null, "b": null, "d": {"bytes": "\\u0000\\u00ff"}}',
            {"a": None, "b": None, "c": [], "d": 255},
        ),
        ('{"b": {"int": 1}, "d": {"bytes": "\\u00ff"}}', {"a": None, "b": 1, "c": [], "d": -1}),
    ],
)
def test_values_of_unions_say_their_branch(record: str, value: dict[str, Any]) -> None:
    expected = datum(UNIONS, {**value, "d": Decimal(value["d"]).scaleb(-2)})
    plan = plan_of(UNIONS)
    assert plan.encode([plan.one(record.encode())]) == expected


@pytest.mark.parametrize(
    ("record", "path"),
    [
        ({"a": 5}, "$.a"),
        ({"a": {"int": 5}}, "$.a"),
        ({"a": {"long": 5, "int": 5}}, "$.a"),
        ({"a": {}}, "$.a"),
        ({"a": {"null": None}}, "$.a"),
        ({"a": {"long": "5"}}, "$.a.long"),
        ({"b": {"Sub": {"x": None}}}, "$.b"),
        ({"b": {"n.Sub": {"x": "t"}}}, "$.b.n.Sub.x"),
        ({"d": {"bytes": "1.00"}}, "$.d.bytes"),
        ({"d": {"bytes": "\u1234"}}, "$.d.bytes"),
    ],
)
def test_what_says_no_branch_is_refused_with_its_path(record: dict[str, Any], path: str) -> None:
    whole = {"a": None, "b": None, "d": {"bytes": "\u0001"}, **record}
    with pytest.raises(InvalidRecord) as refused:
        plan_of(UNIONS).one(json.dumps(whole).encode())
    assert [error.path for error in refused.value.errors] == [path]
