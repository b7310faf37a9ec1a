"""What a page is told to hold is held against what its objects take."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import pytest
from benchmarks import data

from worker.formats.avro import AvroPages, AvroSpec
from worker.formats.avro_weight import AVRO_FACTOR, SAMPLED_BYTES
from worker.formats.csv import CsvKeys, CsvPages
from worker.formats.csv import Decode as CsvDecode
from worker.formats.records import PageSpec, RecordSpec
from worker.formats.weight import FEWEST_SAMPLES, SAMPLE_BYTES, JsonWeight
from worker.formats.xml import XmlPages
from worker.runtime.slices import at_once
from worker.schema import Schema, compile_plan, parse_schema
from worker.schema.container import file_header, frame_block

COUNT = 20_000


def record(fields: int, kind: Any = int, *, optional: bool = False) -> Any:
    names = [f"f{number}" for number in range(fields)]
    if optional:
        return msgspec.defstruct("R", [(name, kind | None, None) for name in names], gc=False)
    return msgspec.defstruct("R", [(name, kind) for name in names], gc=False)


def rows(count: int, fields: int, value: Any) -> bytes:
    return msgspec.json.encode(
        [{f"f{each}": value(number + each) for each in range(fields)} for number in range(count)]
    )


MAP = msgspec.defstruct("M", [("m", dict[str, int])], gc=False)
PAGES: dict[str, tuple[Any, bytes]] = {
    "a number each": (list[record(1)], rows(COUNT, 1, lambda number: number + 1000)),
    "twenty numbers each": (list[record(20)], rows(COUNT // 10, 20, lambda n: n + 1000)),
    "twenty texts each": (list[record(20, str)], rows(COUNT // 10, 20, lambda n: f"a{n}")),
    "long texts": (list[record(2, str)], rows(COUNT // 10, 2, lambda n: f"{n}" + "é" * 300)),
    "a hundred fields, none given": (
        list[record(100, optional=True)],
        b"[" + b",".join([b"{}"] * COUNT) + b"]",
    ),
    "keys of a map": (
        list[MAP],
        msgspec.json.encode([{"m": {f"k{n}": n + 1000 for n in range(10 * COUNT)}}]),
    ),
    "keys of a document": (Any, msgspec.json.encode({f"k{n}": n for n in range(10 * COUNT)})),
    "objects of a document": (Any, b"[" + b",".join([b'{"a":1}'] * COUNT) + b"]"),
    "numbers of a document": (Any, b"[" + b",".join([b"1000"] * COUNT) + b"]"),
    "empty arrays": (Any, b"[" + b",".join([b"[]"] * COUNT) + b"]"),
}


def held(kind: Any, body: bytes) -> int:
    """Bytes of the body and of what it is decoded to."""
    decoder = msgspec.json.Decoder(kind)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    page = decoder.decode(body)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    del page
    return taken + len(body)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_weighs_what_it_takes(name: str) -> None:
    kind, body = PAGES[name]
    share = JsonWeight(kind)(body) / held(kind, body)
    assert 0.9 <= share <= 2.5


def texts_of(fields: int, value: Any, optional: bool) -> tuple[Any, list[list[str]]]:
    """A plan of so many fields, and rows for it."""
    kind: Any = ["null", "long"] if optional else "long" if value is int else "string"
    described = [
        {"name": f"f{each}", "type": kind, **({"default": None} if optional else {})}
        for each in range(fields)
    ]
    schema = parse_schema(json.dumps({"type": "record", "name": "R", "fields": described}))
    plan = compile_plan(schema, spellings=CsvDecode(type="csv").spellings)
    count = COUNT // fields
    made = [
        ["" if optional else str(number + 1000) if value is int else value for _ in range(fields)]
        for number in range(count)
    ]
    return plan, made


TEXTS = {
    "a number each": (1, int, False),
    "twenty numbers each": (20, int, False),
    "twenty texts each": (20, "text", False),
    "long texts": (2, "long " * 100, False),
    "a hundred fields, none given": (100, int, True),
}


def held_of(pages: Any, body: bytes) -> int:
    at_once(pages.decode(body))  # what is made once
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    page = at_once(pages.decode(body))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert page.records and not page.rejects
    return taken + len(body)


@pytest.mark.parametrize("name", TEXTS)
def test_a_page_of_csv_weighs_what_it_takes(name: str) -> None:
    plan, made = texts_of(*TEXTS[name])
    names = [f"f{each}" for each in range(len(made[0]))]
    body = "\n".join(map(",".join, [names, *made])).encode()
    pages = CsvPages(CsvKeys(), RecordSpec(), plan)
    assert 0.9 <= pages.weigh(body) / held_of(pages, body) <= 6


@pytest.mark.parametrize("name", TEXTS)
def test_a_page_of_xml_weighs_what_it_takes(name: str) -> None:
    plan, made = texts_of(*TEXTS[name])
    items = (
        "".join(f"<f{at}>{text}</f{at}>" for at, text in enumerate(row) if text) for row in made
    )
    body = f"<r>{''.join(f'<i>{each}</i>' for each in items)}</r>".encode()
    pages = XmlPages(PageSpec("r.i"), plan)
    assert 0.9 <= pages.weigh(body) / held_of(pages, body) <= 3


def test_keys_by_the_million_weigh_more_than_the_same_bytes_of_text() -> None:
    keys = PAGES["keys of a map"][1]
    text = msgspec.json.encode([{"m": {"k": 1}, "text": "x" * len(keys)}])
    weight = JsonWeight(list[MAP])
    assert weight(keys) > 4 * weight(text) * len(keys) / len(text)


def test_a_part_of_a_page_that_is_dense_is_seen_wherever_it_stands() -> None:
    weight = JsonWeight(Any)
    dense, text = b"[" + b"1," * 200_000 + b"1]", b'"' + b"x" * 400_000 + b'"'
    whole = weight(dense)
    for parts in ((dense, text), (text, dense), (text, dense, text)):
        assert weight(b"[" + b",".join(parts) + b"]") > 0.8 * whole


@pytest.mark.parametrize(
    "size", [0, 1, FEWEST_SAMPLES * SAMPLE_BYTES, FEWEST_SAMPLES * SAMPLE_BYTES + 1]
)
def test_a_body_of_any_size_has_a_weight(size: int) -> None:
    assert JsonWeight(Any)(b"," * size) >= 2 * size


def test_records_within_records_are_known_though_they_contain_themselves() -> None:
    class Tree(msgspec.Struct):
        children: list[Tree]
        name: str | None = None

    globals()["Tree"] = Tree
    body = b'{"children":[]}' * 10
    assert JsonWeight(list[Tree])(body) >= 10 * Tree.__basicsize__


# -- Avro ------------------------------------------------------------------------------------------

SYNC, BLOCK_RECORDS = b"s" * 16, 200


def numbers() -> Iterator[dict[str, int]]:
    return ({f"f{each}": 2_000 + number * each for each in range(14)} for number in range(COUNT))


NUMBERS = {
    "type": "record",
    "name": "Numbers",
    "fields": [{"name": f"f{each}", "type": "int"} for each in range(14)],
}
AVRO = {
    "flights": (data.flight_schema(), lambda: data.records(10_000, "flights")),
    "tickets": (data.ticket_schema(), lambda: data.records(700, "tickets")),
    "numbers": (NUMBERS, numbers),
}


def avro_body(schema: Schema, rows: Iterator[Any], framing: str, codec: str) -> bytes:
    plan = compile_plan(schema)
    records = plan.decoder(list[plan.record_type])(json.dumps(list(rows)).encode())
    assert not plan.finish(records)
    if framing == "raw":
        return plan.encode(records)
    blocks, left = [file_header(schema.source, codec, {}, SYNC)], iter(records)
    while some := list(islice(left, BLOCK_RECORDS)):
        blocks.append(frame_block(len(some), plan.encode(some), codec, SYNC))
    return b"".join(blocks)


def avro_pages(schema: Schema, framing: str) -> AvroPages:
    raw = schema if framing == "raw" else None
    return AvroPages(AvroSpec(framing, RecordSpec()), compile_plan(schema), raw=raw)


def avro_held(pages: AvroPages, body: bytes) -> int:
    """Bytes of the body and of what it is decoded to."""
    list(pages.decode(body[:0] if pages._raw else body))  # what is compiled once
    gc.collect()
    tracemalloc.start()
    steps = pages.decode(body)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            taken = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            assert stop.value.records
            return taken + len(body)


@pytest.mark.parametrize(("framing", "codec"), [("container", "deflate"), ("raw", "")])
@pytest.mark.parametrize("name", AVRO)
def test_a_page_of_avro_weighs_what_it_takes(name: str, framing: str, codec: str) -> None:
    document, rows = AVRO[name]
    schema = parse_schema(json.dumps(document))
    body = avro_body(schema, rows(), framing, codec)
    assert len(body) >= SAMPLED_BYTES
    pages = avro_pages(schema, framing)
    assert 0.9 <= pages.weigh(body) / avro_held(pages, body) <= 2.5


@pytest.mark.parametrize("size", [100, SAMPLED_BYTES])
@pytest.mark.parametrize("framing", ["container", "raw"])
def test_what_is_no_avro_has_a_weight_and_decoding_says_so(framing: str, size: int) -> None:
    pages = avro_pages(parse_schema(json.dumps(data.flight_schema())), framing)
    assert pages.weigh(b"\xff" * size) == size * AVRO_FACTOR
