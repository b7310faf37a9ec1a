"""Pages of Avro have records, rejects and facts like JSON pages; damaged ones are bad bodies."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any, TypeVar

import pytest
from avro_kit import container, datum
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from schema import strategies

from worker.core.errors import BadBody, SchemaMismatch, WorkerError
from worker.core.model import Decoded
from worker.core.ports import InvalidRecord, SchemaNeeded, Steps
from worker.formats import avro
from worker.formats.avro import AvroPages, AvroSpec
from worker.formats.json import JsonPages
from worker.formats.ndjson import NdjsonPages
from worker.formats.records import Batch, PageSpec, RecordDecoder, RecordSpec
from worker.schema import CompiledPlan, Schema, compile_plan, parse_schema
from worker.schema.container import file_header, frame_block
from worker.schema.encoding import compile_datum_encoder
from worker.schema.logical import TIME_RANGES
from worker.schema.single import header
from worker.schema.stored import shown, store
from worker.schema.values import Branch

COLOURS = {"type": "enum", "name": "Colour", "symbols": ["red", "green"]}
READER = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "colour", "type": COLOURS},
        {"name": "weight", "type": ["null", "double"]},
        {
            "name": "label",
            "type": ["null", "string"],
            "aliases": ["title"],
            "json_name": "item-label",
        },
        {
            "name": "parts",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Part",
                    "fields": [{"name": "code", "type": "bytes"}],
                },
            },
        },
        {"name": "any", "type": ["null", "long", "string"], "default": None},
    ],
}
WRITER = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "extra", "type": "string"},
        {"name": "id", "type": "int"},
        {"name": "colour", "type": {**COLOURS, "symbols": ["green", "blue", "red"]}},
        {"name": "weight", "type": ["null", "double"]},
        {"name": "title", "type": ["null", "string"]},
        {
            "name": "parts",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "Part",
                    "fields": [{"name": "code", "type": "bytes"}],
                },
            },
        },
    ],
}


def plan_of(document: Any) -> CompiledPlan:
    return compile_plan(parse_schema(json.dumps(document)))


def schema_of(document: Any) -> Schema:
    return parse_schema(json.dumps(document))


def item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "extra": "x",
        "id": number,
        "colour": "red",
        "weight": 0.5,
        "title": f"t{number}",
        "parts": [{"code": b"\xff"}],
        **more,
    }


def pages(
    framing: str, plan: CompiledPlan, record: RecordSpec | None = None, **options: Any
) -> AvroPages:
    return AvroPages(AvroSpec(framing, record or RecordSpec()), plan, **options)


_T = TypeVar("_T")


def decoded(pages: AvroPages, body: bytes) -> Decoded:
    return exhausted(pages.decode(body, url="u", received_us=5))


def exhausted(steps: Steps[_T]) -> _T:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            found: _T = stop.value
            return found


def values(plan: CompiledPlan, found: Decoded) -> list[Any]:
    """Records as JSON, through the same encoder that a file would get."""
    return [
        json.loads(found.raw(place))
        for place in (found.indices if found.indices is not None else range(len(found.records)))
    ]


def test_a_container_is_read_as_the_schema_of_the_pipeline() -> None:
    plan = plan_of(READER)
    found = decoded(
        pages("container", plan), container(WRITER, [item(number) for number in range(5_000)])
    )
    assert found.facts.count == 5_000
    assert found.rejects == []
    assert values(plan, found)[7] == {
        "id": 7,
        "colour": "red",
        "weight": 0.5,
        "item-label": "t7",
        "parts": [{"code": "\xff"}],
        "any": None,
    }
    assert [plan.one(found.raw(place)) for place in (0, 4_999)] == [
        found.records[0],
        found.records[4_999],
    ]
    assert found.facts.unknown["extra"].count == 5_000
    assert found.facts.unknown["extra"].kinds == ("string",)
    assert (found.facts.url, found.facts.received_us) == ("u", 5)


def test_a_record_without_a_value_in_the_schema_is_one_reject_and_the_rest_stays() -> None:
    records = [
        item(
            number,
            colour="blue" if number % 10 == 3 else "red",
            weight=math.nan if number == 4 else 1.0,
        )
        for number in range(100)
    ]
    spec = RecordSpec(value_path="id", key_paths=("id",), identify=True)
    found = decoded(pages("container", plan_of(READER), spec), container(WRITER, records))
    bad = [4, *range(3, 100, 10)]
    assert found.indices == [number for number in range(100) if number not in bad]
    assert sorted(each.index for each in found.rejects) == sorted(bad)
    assert found.facts.values == list(range(100))
    assert len(set(found.facts.keys)) == 100
    [nan] = [each for each in found.rejects if each.index == 4]
    assert nan.errors[0].path == "$.weight|double"
    assert "NaN" in nan.errors[0].found
    blue = found.rejects[0]
    assert blue.errors[0].path == "$.colour"
    # a dead letter has the names that the schema of the pipeline reads, also of fields it drops
    document = json.loads(blue.raw)
    assert document["item-label"] == "t3"
    assert document["colour"] == "blue"
    assert "title" not in document


def test_a_reject_of_a_dead_letter_is_read_again_once_the_schema_has_the_symbol() -> None:
    wider = json.loads(json.dumps(READER).replace('"green"', '"green", "blue"'))
    found = decoded(
        pages("container", plan_of(READER)), container(WRITER, [item(1, colour="blue")])
    )
    expected = decoded(
        pages("container", plan_of(wider)), container(WRITER, [item(1, colour="blue")])
    )
    assert plan_of(wider).encode([plan_of(wider).one(found.rejects[0].raw)]) == plan_of(
        wider
    ).encode(expected.records)


def test_nan_in_a_dead_letter_is_never_read_back_as_null() -> None:
    found = decoded(
        pages("container", plan_of(READER)), container(WRITER, [item(1, weight=math.inf)])
    )
    assert json.loads(found.rejects[0].raw)["weight"] == "inf"


def test_a_record_over_the_limit_is_a_reject() -> None:
    spec = RecordSpec(record_bytes=1_000)
    found = decoded(
        pages("container", plan_of(READER), spec),
        container(WRITER, [item(0), item(1, title="x" * 2_000), item(2)]),
    )
    assert [(each.index, each.code) for each in found.rejects] == [(1, "record_too_large")]
    assert len(found.records) == 2


@pytest.mark.parametrize("framing", ["raw", "single_object", "confluent"])
def test_messages_stand_one_behind_the_other(framing: str) -> None:
    plan, other = (
        plan_of(READER),
        {**WRITER, "fields": [*WRITER["fields"], {"name": "more", "type": "int"}]},
    )  # type: ignore[misc]
    schemas = {"raw": [WRITER], "single_object": [WRITER, other], "confluent": [WRITER, other]}[
        framing
    ]
    body, count = b"", 3_000
    for number in range(count):
        writer = schemas[number % len(schemas)]
        begin = {
            "raw": b"",
            "single_object": header(schema_of(writer)),
            "confluent": b"\0" + (7 + number % len(schemas)).to_bytes(4, "big"),
        }[framing]
        body += begin + datum(writer, item(number, more=1, colour="blue" if number == 5 else "red"))
    known = {header(schema_of(each))[2:]: schema_of(each) for each in schemas}
    found = decoded(
        pages(
            framing,
            plan,
            RecordSpec(last_paths=("id",), value_path="id", identify=True),
            raw=schema_of(WRITER),
            single=lambda key: known.get(int(key, 16).to_bytes(8, "little")),
            confluent=lambda number: schema_of(schemas[number - 7]),
        ),
        body,
    )
    assert found.facts.values == list(range(count))
    assert found.facts.last == {"id": count - 1}
    assert len(set(found.facts.keys)) == count
    assert [each.index for each in found.rejects] == [5]
    assert json.loads(found.raw(2_999))["id"] == 2_999
    assert decoded(pages(framing, plan, raw=schema_of(WRITER)), b"").facts.count == 0


def test_the_identity_of_a_record_does_not_depend_on_who_wrote_it() -> None:
    spec = RecordSpec(identify=True, value_path="id")
    narrow = {**WRITER, "fields": WRITER["fields"][1:]}  # type: ignore[index]
    wide = decoded(pages("container", plan_of(READER), spec), container(WRITER, [item(1)]))
    assert (
        decoded(pages("container", plan_of(READER), spec), container(narrow, [item(1)])).facts.keys[
            :
        ]
        == wide.facts.keys[:]
    )


def test_a_schema_that_is_not_there_yet_is_asked_for() -> None:
    def get(number: int) -> Schema:
        raise SchemaNeeded(number)

    with pytest.raises(SchemaNeeded) as needed:
        decoded(
            pages("confluent", plan_of(READER), confluent=get),
            b"\0\0\0\1\2" + datum(WRITER, item(1)),
        )
    assert needed.value.schema_id == 258


def test_an_unknown_fingerprint_and_an_unreadable_schema_keep_the_page_waiting() -> None:
    with pytest.raises(SchemaMismatch, match="no schema has the fingerprint"):
        decoded(
            pages("single_object", plan_of(READER)), b"\xc3\x01" + bytes(8) + datum(WRITER, item(1))
        )
    with pytest.raises(SchemaMismatch, match=r"\$\.id: .*\$\.colour: the writer has no such field"):
        decoded(
            pages("container", plan_of(READER)),
            container(
                {"type": "record", "name": "Item", "fields": [{"name": "id", "type": "string"}]},
                [{"id": "x"}],
            ),
        )


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("container", b""),
        ("container", b"[]"),
        ("container", container(WRITER, [item(1)])[:-1]),
        ("container", container(WRITER, [item(1)])[:60]),
        ("raw", datum(WRITER, item(1))[:-1]),
        ("raw", datum(WRITER, item(1)) + b"\xff"),
        ("single_object", b"\xc3\x01\0"),
        ("single_object", b"{}"),
        ("confluent", b"\0\0\0"),
        ("confluent", b"\1\0\0\0\1"),
    ],
)
def test_damage_is_a_bad_body(framing: str, body: bytes) -> None:
    with pytest.raises(BadBody, match="is no intact Avro"):
        decoded(
            pages(
                framing,
                plan_of(READER),
                raw=schema_of(WRITER),
                confluent=lambda number: schema_of(WRITER),
            ),
            body,
        )


def test_good_records_before_the_damage_are_not_kept() -> None:
    body = bytearray(container(WRITER, [item(number) for number in range(200)], "null"))
    body[-40] ^= 0xFF
    body[-10] ^= 0xFF
    with pytest.raises(BadBody):
        decoded(pages("container", plan_of(READER)), bytes(body))


def test_datums_without_bytes_cannot_be_counted() -> None:
    empty = {"type": "record", "name": "Item", "fields": []}
    reader = {
        "type": "record",
        "name": "Item",
        "fields": [{"name": "id", "type": "long", "default": 1}],
    }
    with pytest.raises(BadBody, match="without bytes"):
        found = pages(
            "raw",
            plan_of(reader),
            raw=schema_of(
                {"type": "record", "name": "Item", "fields": [{"name": "n", "type": "null"}]}
            ),
        )
        decoded(found, b"\0")
    body = file_header(json.dumps(empty), "null", {}, bytes(16)) + frame_block(
        1_000, b"", "null", bytes(16)
    )
    assert decoded(pages("container", plan_of(reader)), body).facts.count == 1_000
    flood = file_header(json.dumps(empty), "null", {}, bytes(16)) + frame_block(
        9_000_000, b"", "null", bytes(16)
    )
    with pytest.raises(BadBody, match="9000000 records in 0 bytes"):
        decoded(pages("container", plan_of(reader)), flood)


def test_a_bomb_is_refused_by_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avro, "RATIO_FLOOR_BYTES", 1_000)
    one = {"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]}
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    size = len(packed.compress(bytes(1_000_000)) + packed.flush())
    body = file_header(json.dumps(one), "deflate", {}, bytes(16)) + frame_block(
        1_000_000, bytes(1_000_000), "deflate", bytes(16)
    )
    assert size < 2_000
    with pytest.raises(BadBody, match="are allowed"):
        decoded(pages("container", plan_of(one)), body)


def test_a_type_that_holds_itself_is_refused_beyond_its_depth() -> None:
    node = {
        "type": "record",
        "name": "Node",
        "fields": [{"name": "next", "type": ["null", "Node"]}],
    }
    plan = plan_of(node)
    assert len(decoded(pages("raw", plan, raw=plan.schema), b"\2" * 10 + b"\0").records) == 1
    with pytest.raises(BadBody, match="nested"):
        decoded(pages("raw", plan, raw=plan.schema), b"\2" * 100_000 + b"\0")


@settings(max_examples=60)
@given(st.data())
def test_records_of_any_schema_are_the_records_that_json_gives(data: st.DataObject) -> None:
    document, objects = data.draw(strategies.schemas())
    try:
        plan = plan_of(document)
        records = [plan.one(json.dumps(data.draw(objects)).encode()) for _ in range(3)]
    except (WorkerError, InvalidRecord):
        reject()
    encoded = plan.encode(records)
    body = file_header(plan.schema_json, "null", {}, bytes(16)) + frame_block(
        3, encoded, "null", bytes(16)
    )
    found = decoded(pages("container", plan), body)
    assert found.rejects == []
    assert plan.encode(found.records) == encoded
    assert found.records == records
    replayed = [plan.one(found.raw(place)) for place in range(3)]
    assert plan.encode(replayed) == encoded, "a dead letter is replayed as what it was"


def test_a_decimal_whose_text_fits_a_fixed_is_replayed_as_the_decimal_that_it_was() -> None:
    plain = {"type": "fixed", "name": "Plain", "size": 5}
    decimal = {"type": "fixed", "name": "Decimal", "size": 4, "logicalType": "decimal"}
    union = [plain, {**decimal, "precision": 9, "scale": 3}]
    fields = [{"name": "value", "type": union}]
    plan = plan_of({"type": "record", "name": "Item", "fields": fields})
    record = plan.one(b'{"value": "0e-3"}')  # written like this it fits the decimal only
    body = file_header(plan.schema_json, "null", {}, bytes(16)) + frame_block(
        1, plan.encode([record]), "null", bytes(16)
    )
    assert plan.one(decoded(pages("container", plan), body).raw(0)) == record


A_RECORD, B_RECORD = (
    {"type": "record", "name": name, "fields": [{"name": "v", "type": kind}]}
    for name, kind in (("A", "long"), ("B", "int"))
)
CLOCK = {"type": "long", "logicalType": "timestamp-millis"}


@pytest.mark.parametrize(
    ("union", "value"),
    [
        (["int", "long"], 5),
        (["int", CLOCK], 5),
        (["string", "bytes"], "a"),
        (["null", "double", "string"], "inf"),
        ([A_RECORD, B_RECORD], {"v": 1}),
        ([A_RECORD, {"type": "map", "values": "long"}], {"v": 1}),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_record_is_replayed_in_the_branch_that_it_had(
    union: list[Any], value: Any, inside: bool
) -> None:
    kind = {"type": "array", "items": union} if inside else union
    fields = [{"name": "id", "type": "long"}, {"name": "value", "type": kind}]
    plan = plan_of({"type": "record", "name": "Item", "fields": fields})
    encode = compile_datum_encoder(plan.schema)
    for number, branch in enumerate(union):
        if branch == "null":
            continue
        fitting = (
            value.encode() if branch == "bytes" else float(value) if branch == "double" else value
        )
        if branch == "double" and not math.isfinite(fitting):
            continue
        datum_ = Branch(number, fitting)
        data = encode({"id": 1, "value": [datum_] if inside else datum_})
        found = decoded(pages("raw", plan, raw=plan.schema), data)
        assert found.rejects == []
        raw = found.raw(0)
        assert plan.encode([plan.one(raw)]) == plan.encode(found.records) == data
        assert json.loads(shown(raw))["id"] == 1


def test_what_has_no_value_yet_is_replayed_in_its_branch_once_the_schema_has_one() -> None:
    union = [{"type": "fixed", "name": "Plain", "size": 5}, "string"]
    wide = {"name": "value", "type": union}
    writer = {**WRITER, "fields": [*WRITER["fields"], wide]}  # type: ignore[misc]
    narrow = {**READER, "fields": [*READER["fields"], wide]}  # type: ignore[misc]
    wider = json.loads(json.dumps(narrow).replace('"green"', '"green", "blue"'))
    body = container(writer, [item(1, colour="blue", value="0.000")])
    [bad] = decoded(pages("container", plan_of(narrow)), body).rejects
    expected = decoded(pages("container", plan_of(wider)), body)
    plan = plan_of(wider)
    assert plan.encode([plan.one(bad.raw)]) == plan.encode(expected.records)
    with pytest.raises(InvalidRecord) as caught:
        plan_of(narrow).one(bad.raw)
    assert [each.path for each in caught.value.errors] == ["$.colour"]


IMITATIONS = [
    b'avro\n[{},"",{}]',
    b'avro\n[{},"!!",{"type":"record","name":"Item","fields":[]}]',
    b'avro\n[{},"AAAA",{"type":"record","name":"Item","fields":[]}]',
    b'avro\n[{},"",{"type":"record","name":"Item","fields":[{"name":"id","type":"long"}]}]',
    b'avro\n[{},"/////////////w==",{"type":"record","name":"Item","fields":[{"name":"id","type":"long"}]}]',
    b'avro\n[{},"",[[[[]]]]]',
    b"avro\n[{},1,2]",
    b"avro\n[",
    b"avro\n[" + b"[" * 100_000,
]


@pytest.mark.parametrize("raw", IMITATIONS, ids=range(len(IMITATIONS)))
def test_what_imitates_the_form_of_a_dead_letter_is_a_reject(raw: bytes) -> None:
    plan = plan_of({"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]})
    with pytest.raises(InvalidRecord):
        plan.one(raw)


ONE_NUMBER = {"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]}


def a_stored_seven() -> tuple[CompiledPlan, bytes]:
    """A plan, and a record in the form of a dead letter."""
    plan = plan_of(ONE_NUMBER)
    good = store(b'{"id":7}', plan.encode([plan.one(b'{"id": 7}')]), plan.schema)
    assert plan.one(good) == plan.one(b'{"id": 7}')
    return plan, good


@pytest.mark.parametrize("path", ["items", "items[?@]"])
def test_a_source_of_json_cannot_send_datums(path: str) -> None:
    plan, good = a_stored_seven()
    pages = JsonPages(PageSpec(records=path), plan)
    with pytest.raises(BadBody):
        exhausted(pages.decode(b'{"items": [%s]}' % good))
    formerly = good.replace(b"avro\n[", b'["avro",')
    found = exhausted(pages.decode(b'{"items": [%s]}' % formerly))
    assert found.records == []
    assert [(each.code, each.errors[0].found) for each in found.rejects] == [("invalid", "array")]
    again = Batch()
    exhausted(RecordDecoder(RecordSpec(), plan).add_letters(again, [formerly]))
    assert again.records == [] and len(again.rejects) == 1


def test_nor_do_lines_of_json_that_imitate_them() -> None:
    plan, good = a_stored_seven()
    found = exhausted(NdjsonPages(PageSpec(), plan).decode(good + b'\n{"id": 1}\n'))
    assert found.records == [plan.one(b'{"id": 1}')]
    assert len(found.rejects) == 2


def test_nor_does_a_format_from_outside_that_hands_on_what_it_got() -> None:
    plan, good = a_stored_seven()
    batch = Batch()
    batch.add_source(lambda: [good])
    exhausted(RecordDecoder(RecordSpec(value_path="id"), plan).add_raws(batch, [good]))
    assert batch.records == [] and batch.values == [7]
    assert [each.code for each in batch.rejects] == ["invalid"]


@settings(max_examples=150)
@given(st.sampled_from(["null", "deflate", "zstandard"]), st.data())
def test_whatever_is_damaged_the_outcome_is_a_page_or_a_named_error(
    codec: str, data: st.DataObject
) -> None:
    body = bytearray(container(WRITER, [item(number) for number in range(20)], codec))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decoded(
            pages("container", plan_of(READER)),
            bytes(body[: data.draw(st.integers(0, len(body))) or len(body)]),
        )
    except (BadBody, SchemaMismatch):
        return
    assert len(found.records) + len(found.rejects) == found.facts.count


@settings(max_examples=150)
@given(st.sampled_from(["raw", "single_object", "confluent"]), st.data())
def test_whatever_is_damaged_in_messages_the_outcome_is_a_page_or_a_named_error(
    framing: str, data: st.DataObject
) -> None:
    writer = schema_of(WRITER)
    begin = {"raw": b"", "single_object": header(writer), "confluent": b"\0\0\0\0\1"}[framing]
    body = bytearray(b"".join(begin + datum(WRITER, item(number)) for number in range(20)))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    known = f"{int.from_bytes(header(writer)[2:], 'little'):016x}"

    def confluent(number: int) -> Schema:
        if number != 1:
            raise SchemaNeeded(number)
        return writer

    found = pages(
        framing,
        plan_of(READER),
        raw=writer,
        single=lambda key: writer if key == known else None,
        confluent=confluent,
    )
    try:
        page = decoded(found, bytes(body))
    except (BadBody, SchemaMismatch, SchemaNeeded):
        return
    assert len(page.records) + len(page.rejects) == page.facts.count


@pytest.mark.parametrize("logical", TIME_RANGES)
def test_a_time_that_readers_do_not_have_is_one_reject_wherever_it_stands(logical: str) -> None:
    low, high = TIME_RANGES[logical]
    base = "int" if logical in ("date", "time-millis") else "long"
    if low - 1 < -(2**63):
        low, high = low + 1, high - 1  # every number of 64 bits is in range
        beyond: list[int] = []
    else:
        beyond = [low - 1, high + 1]

    def document(kind: Any) -> dict[str, Any]:
        inner = {"type": "record", "name": "Inner", "fields": [{"name": "at", "type": kind}]}
        parts = {
            "plain": kind,
            "some": ["null", kind],
            "many": {"type": "array", "items": kind},
            "named": {"type": "map", "values": kind},
            "inner": inner,
        }
        fields = [{"name": name, "type": part} for name, part in parts.items()]
        return {"type": "record", "name": "Times", "fields": fields}

    def record(number: int, place: str) -> dict[str, Any]:
        ats = {name: number if name == place else 0 for name in ("plain", "some", "inner")}
        return {
            "plain": ats["plain"],
            "some": ats["some"],
            "many": [0, number if place == "many" else 0],
            "named": {"a": number if place == "named" else 0},
            "inner": {"at": ats["inner"]},
        }

    places = ("plain", "some", "many", "named", "inner")
    good = [record(number, place) for place in places for number in (low, high)]
    bad = [record(number, place) for place in places for number in beyond]
    plan = plan_of(document({"type": base, "logicalType": logical}))
    found = decoded(pages("container", plan), container(document(base), [*good, *bad]))
    assert len(found.records) == len(good)
    assert [each.index for each in found.rejects] == list(range(len(good), len(good) + len(bad)))
    assert all(logical in each.errors[0].found for each in found.rejects)
