"""The engine against the slow reference interpreter, and against fastavro where that is right, over
random schemas and data."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schema import reference
from schema.strategies import JUNK, evolved, schemas

from worker.core.ports import InvalidRecord
from worker.schema import CorruptDatum, DatumReader, SchemaError, compile_plan, parse_schema
from worker.schema.compat import problems
from worker.schema.encoding import compile_datum_encoder
from worker.schema.values import Branch

quick = settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
)


def parsed(document: Any) -> Any:
    return parse_schema(json.dumps(document))


def datum_of(schema: Any, kind: Any, value: Any) -> Any:
    """The value of a plan's record as the reference writes it: nested records are dicts there."""
    kind = schema.resolve(kind)
    if isinstance(value, Branch):
        return Branch(value.number, datum_of(schema, kind.branches[value.number], value.value))
    if kind.kind == "union":
        return (
            None
            if value is None
            else datum_of(
                schema, next(each for each in kind.branches if each.kind != "null"), value
            )
        )
    if isinstance(value, msgspec.Struct):
        return {
            each.name: datum_of(schema, each.type, getattr(value, f"f{number}"))
            for number, each in enumerate(kind.fields)
        }
    if kind.kind == "record":
        fields = {each.name: each.type for each in kind.fields}
        return {name: datum_of(schema, fields[name], part) for name, part in value.items()}
    if kind.kind == "map":
        return {key: datum_of(schema, kind.items, part) for key, part in value.items()}
    return [datum_of(schema, kind.items, part) for part in value] if kind.kind == "array" else value


@quick
@given(st.data())
def test_records_have_the_values_of_the_reference_on_every_page(data: Any) -> None:
    """Equal bytes do not suffice: 0 and 0.0 have the same bytes in a double, and so has a record
    with a field too many."""
    document, values = data.draw(schemas())
    slow, plan = reference.Schema(document), compile_plan(parsed(document))
    value = {**data.draw(values), "more": 1}
    try:
        expected = reference.from_json(slow, slow.root, value)
    except reference.Bad:
        return
    for _ in range(2):  # what is remembered of the first page must not show
        page = plan.decoder(list[plan.record_type])(json.dumps([value]))
        if not plan.finish(page):
            assert repr(datum_of(plan.schema, plan.schema.root, page[0])) == repr(expected)


@quick
@given(st.data())
def test_json_becomes_the_bytes_of_the_reference_and_reads_back(data: Any) -> None:
    document, values = data.draw(schemas())
    slow, plan = reference.Schema(document), compile_plan(parsed(document))
    value = data.draw(values)
    raw = json.dumps(value).encode()
    try:
        datum = reference.from_json(slow, slow.root, value)
    except reference.Bad:  # an object that fits several branches
        with pytest.raises(InvalidRecord):
            plan.one(raw)
        return
    expected = reference.encode(slow, slow.root, datum)
    page = plan.decoder(list[plan.record_type])(b"[" + raw + b"]")
    assert plan.finish(page) == []
    assert plan.encode(page) == expected
    assert plan.encode([plan.one(raw)]) == expected
    assert compile_datum_encoder(plan.schema)(datum) == expected
    back = DatumReader(plan.schema, branches=True).one(expected)
    assert back == reference.Decoder(slow, slow, expected).run()
    assert compile_datum_encoder(plan.schema)(back) == expected


@quick
@given(st.data())
def test_what_the_reference_refuses_is_refused_and_the_rest_is_taken(data: Any) -> None:
    document, values = data.draw(schemas())
    policy = {
        "unknown_fields": data.draw(st.sampled_from(["drop", "reject"])),
        "missing_fields": data.draw(st.sampled_from(["fill", "reject"])),
    }
    bytes_as = data.draw(st.sampled_from(["latin1", "base64"]))
    slow, plan = (
        reference.Schema(document),
        compile_plan(parsed(document), bytes_as=bytes_as, **policy),
    )
    value = data.draw(values)
    key = data.draw(st.sampled_from([*value, "unknown"]))
    value = (
        {**value, key: data.draw(JUNK)}
        if data.draw(st.booleans())
        else {name: part for name, part in value.items() if name != key}
    )
    raw = json.dumps(value).encode()
    try:
        datum = reference.from_json(
            slow, slow.root, value, bytes_as, policy["unknown_fields"], policy["missing_fields"]
        )
    except reference.Bad:
        with pytest.raises(InvalidRecord):
            plan.one(raw)
        return
    assert plan.encode([plan.one(raw)]) == reference.encode(slow, slow.root, datum)


def encoded(data: Any) -> tuple[Any, Any, bytes]:
    """(document, reference schema, bytes of a random datum)."""
    document, values = data.draw(schemas())
    slow = reference.Schema(document)
    try:
        datum = reference.from_json(slow, slow.root, data.draw(values))
    except reference.Bad:
        assume(False)
    return document, slow, reference.encode(slow, slow.root, datum)


@quick
@given(st.data())
def test_data_is_read_as_another_schema_like_the_reference_does(data: Any) -> None:
    document, slow, binary = encoded(data)
    newer = data.draw(evolved(document))
    writer, reader = parsed(document), parsed(newer)
    found = problems(writer, reader)
    if any(not each.some for each in found):
        with pytest.raises(SchemaError):
            DatumReader(writer, reader)
        return
    ours = DatumReader(writer, reader, branches=True)
    try:
        expected = reference.Decoder(slow, reference.Schema(newer), binary).run()
    except reference.Bad as bad:
        # Of data that can be read by the schemas, bytes may still be no text, and text no decimal.
        assert found or str(bad) in ("utf-8", "decimal", "big-decimal", "long")
        with pytest.raises(CorruptDatum):
            ours.one(binary)
        return
    assert ours.one(binary) == expected
    json_text = DatumReader(
        writer, reader, text=True
    )  # what people read of it is not checked here, only that there is one
    assert json_text.one(binary).keys() == expected.keys()


@quick
@given(st.data())
def test_damaged_datums_are_read_or_refused_like_the_reference_does(data: Any) -> None:
    document, slow, binary = encoded(data)
    broken = bytearray(binary)
    for _ in range(data.draw(st.integers(1, 3))):
        change = data.draw(st.sampled_from(["set", "cut", "add"]))
        at = data.draw(st.integers(0, max(len(broken) - 1, 0)))
        if change == "set" and broken:
            broken[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del broken[at:]
        else:
            broken.insert(at, data.draw(st.integers(0, 255)))
    ours = DatumReader(parsed(document), branches=True)
    try:
        expected = reference.Decoder(slow, slow, bytes(broken)).run()
    except reference.Bad:
        with pytest.raises(CorruptDatum) as refused:
            ours.one(bytes(broken))
        assert refused.value.path.startswith("$")
        assert 0 <= refused.value.offset <= len(broken)
        return
    assert repr(ours.one(bytes(broken))) == repr(expected)  # repr: NaN is not itself


def without_logical_types(node: Any) -> Any:
    if isinstance(node, list):
        return [without_logical_types(each) for each in node]
    if isinstance(node, dict):
        return {
            key: without_logical_types(part)
            for key, part in node.items()
            if key not in ("logicalType", "precision", "scale")
        }
    return node


@quick
@given(st.data())
def test_fastavro_reads_the_same_values(data: Any) -> None:
    """Values of logical types are compared as what lies under them."""
    document, _, binary = encoded(data)
    plain = without_logical_types(document)
    theirs = fastavro.schemaless_reader(io.BytesIO(binary), fastavro.parse_schema(plain), None)
    assert DatumReader(parsed(plain)).one(binary) == theirs
