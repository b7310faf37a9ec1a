"""Types as transforms see them: every logical type, and schemas that name the same records over and
over.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.ports import InvalidRecord
from worker.formats.json_rows import JsonRows
from worker.schema import parse_schema
from worker.schema.codegen import CodeBuilder, compile_function
from worker.schema.logical import plain_text
from worker.schema.model import Schema
from worker.schema.values import Branch
from worker.transforms.kinds import same_values
from worker.transforms.natives import checker, converter

BIG = {"type": "bytes", "logicalType": "big-decimal"}
EXACT = {"type": "bytes", "logicalType": "decimal", "precision": 40, "scale": 30}
DURATION = {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}


def record(name: str, **fields: Any) -> Any:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": each, "type": kind} for each, kind in fields.items()],
    }


def parsed(node: Any) -> Schema:
    return parse_schema(json.dumps(node))


def checked(kind: Any, value: Any) -> Any:
    schema = parsed(record("R", a=kind))
    return checker(schema.root.fields[0].type, schema)(value, "$.a")


def shared(levels: int, leaf: str = "int") -> Schema:
    """Each level names the one below twice: 2**levels values."""
    node: Any = record("R0", a=leaf, b=leaf)
    for level in range(1, levels):
        node = record(f"R{level}", a=node, b=f"R{level - 1}")
    return parsed(node)


@pytest.mark.parametrize(
    ("kind", "value"), [(BIG, Decimal("1.50")), (DURATION, bytes(12)), (EXACT, Decimal("0.5"))]
)
def test_python_may_give_back_every_logical_type(kind: Any, value: Any) -> None:
    assert checked(kind, value) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (BIG, Decimal("NaN")),
        (BIG, Decimal("1e1001")),
        (BIG, b"\2\1\0"),
        (DURATION, bytes(11)),
        (DURATION, 5),
        (
            EXACT,
            Decimal("1." + "1" * 31),
        ),  # 28 digits, the default context, would round it to one that fits
        (EXACT, Decimal(10**10)),
    ],
)
def test_python_may_give_back_no_other(kind: Any, value: Any) -> None:
    with pytest.raises(InvalidRecord):
        checked(kind, value)


def test_rows_of_json_have_text_for_big_decimals_and_durations() -> None:
    schema = parsed(
        record("R", a=BIG, b=DURATION, c=["null", BIG, "string"], d={"type": "array", "items": "D"})
    )
    rows, source = JsonRows(schema), CodeBuilder()
    rows.begin(source)
    made = rows.row([(field, f"r[{field.name!r}]", False) for field in schema.root.fields])
    row = compile_function("row", f"def row(r):\n    return {made}\n", source)
    span = (1).to_bytes(4, "little") + (2).to_bytes(4, "little") + (1500).to_bytes(4, "little")
    found = orjson.loads(
        row({"a": Decimal("1.50"), "b": span, "c": Branch(1, Decimal(3)), "d": [span]})
    )
    assert found == {"a": "1.50", "b": "P1M2DT1.500S", "c": "3", "d": ["P1M2DT1.500S"]}


PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 8, "scale": 2}
SPELLED = [
    ("1E+3", "1000.00"),
    ("1000.0", "1000.00"),
    ("-0.0", "0.00"),
    ("0E-9", "0.00"),
    ("0E+9", "0.00"),
    ("5e-2", "0.05"),
    ("-12.500", "-12.50"),
    ("7", "7.00"),
]


def json_row(schema: Schema, values: dict[str, Any]) -> Any:
    rows, code = JsonRows(schema), CodeBuilder()
    rows.begin(code)
    made = rows.row([(field, f"r[{field.name!r}]", False) for field in schema.root.fields])
    return orjson.loads(compile_function("row", f"def row(r):\n    return {made}\n", code)(values))


@pytest.mark.parametrize(("spelled", "text"), SPELLED)
def test_rows_of_json_write_decimals_in_the_scale_of_their_field(spelled: str, text: str) -> None:
    schema = parsed(record("R", a=PRICE, b=["null", PRICE, "boolean"], c=record("I", d=PRICE)))
    value = Decimal(spelled)
    found = json_row(schema, {"a": value, "b": Branch(1, value), "c": {"d": value}})
    assert found == {"a": text, "b": text, "c": {"d": text}}


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**30)),
    st.integers(9, 40),
    st.integers(0, 30),
)
def test_equal_decimals_have_equal_plain_texts(value: Decimal, scale: int, zeros: int) -> None:
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    other = Decimal((sign, (*digits, *(0,) * zeros), exponent - zeros))
    text = plain_text(scale)(value)
    assert text == plain_text(scale)(other)
    assert Decimal(text) == value
    assert len(text.partition(".")[2]) == scale
    assert "E" not in text


@pytest.mark.parametrize(
    ("spelled", "text"),
    [("1E+3", "1000"), ("1.50", "1.50"), ("-0.0", "0.0"), ("1E-9", "0.000000001")],
)
def test_big_decimals_are_plain_text_in_their_own_scale(spelled: str, text: str) -> None:
    assert json_row(parsed(record("R", a=BIG)), {"a": Decimal(spelled)}) == {"a": text}


def test_rows_of_json_have_text_for_bytes_and_decimals_in_a_union_inside_a_union() -> None:
    fixed = {"type": "fixed", "name": "F", "size": 1}
    inner = {"type": "array", "items": ["int", fixed, BIG]}
    schema = parsed(record("R", a={"type": "map", "values": [inner, "string"]}))
    rows, code = JsonRows(schema), CodeBuilder()
    rows.begin(code)
    made = rows.row([(schema.root.fields[0], "r['a']", False)])
    row = compile_function("row", f"def row(r):\n    return {made}\n", code)
    items = [Branch(0, 7), Branch(1, b"\xff"), Branch(2, Decimal("1.50"))]
    assert orjson.loads(row({"a": {"k": Branch(0, items)}})) == {"a": {"k": [7, "\u00ff", "1.50"]}}


def test_records_that_are_named_over_and_over_cost_no_more_than_once() -> None:
    schema = shared(60)
    assert same_values(schema.root, schema, shared(60).root, shared(60))
    assert not same_values(schema.root, schema, shared(60, "long").root, shared(60, "long"))
    check = checker(schema.root, schema)
    with pytest.raises(InvalidRecord):
        check({"a": 1}, "$")
    converter(schema.root, schema, native=False)
    top = parsed(record("Top", f=schema.document))
    rows = JsonRows(top)
    rows.begin(CodeBuilder())
    assert len(rows.row([(top.root.fields[0], "r", False)])) < 200


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (record("A", x="int"), record("B", x="int"), True),
        (record("A", x="int"), record("A", y="int"), False),
        (record("A", x="int"), record("A", x="long"), False),
        (
            record("A", next=["null", "A"]),
            record("B", next=["null", record("C", next=["null", "B"])]),
            True,
        ),
        (
            record("A", next=["null", "A"]),
            record("B", next=["null", record("C", next=["null", "int"])]),
            False,
        ),
        (
            record("A", x=record("I", y="int"), z="I"),
            record("A", x=record("I", y="int"), z=record("J", y="int")),
            True,
        ),
        (EXACT, {**EXACT, "scale": 29}, False),
    ],
)
def test_types_are_the_same_when_their_values_and_bytes_are(
    left: Any, right: Any, same: bool
) -> None:
    one, other = parsed(left), parsed(right)
    assert same_values(one.root, one, other.root, other) is same
