"""What is written can be read: values of every logical type, at the edges of their range and beyond
them, read back by fastavro, by Apache's library for Python and by polars, and by its library for
Java in `make long-readers`. What one of them could not read is a reject."""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import avro.datafile
import avro.io
import fastavro
import polars as pl
import pytest
from deploy_kit import need
from hypothesis import given
from hypothesis import strategies as st
from schema import reference
from schema.conformance import cases
from schema.java_reader import java_reader
from schema.strategies import schemas

from worker.core.ports import InvalidRecord
from worker.schema import compile_plan, parse_schema
from worker.schema.codecs import CODECS
from worker.schema.container import file_header, frame_block, read_records
from worker.schema.encoding import compile_datum_encoder
from worker.schema.logical import MAX_PRECISION, MAX_SCALE, TIME_RANGES, read_big_decimal
from worker.schema.values import Branch

SYNC = b"0123456789abcdef"
Read = Callable[[bytes], list[Any]]


def schema(logical: str, **more: Any) -> str:
    kind = {"type": more.pop("kind", "long"), "logicalType": logical, **more}
    fields = [{"name": "v", "type": kind}]
    return json.dumps({"type": "record", "name": "R", "fields": fields})


def time_schema(logical: str) -> str:
    return schema(logical, kind="int" if logical in ("date", "time-millis") else "long")


def container(text: str, rows: int, data: bytes, codec: str = "null") -> bytes:
    return file_header(text, codec, {}, SYNC) + frame_block(rows, data, codec, SYNC)


def by_fastavro(data: bytes) -> list[Any]:
    return [record["v"] for record in fastavro.reader(io.BytesIO(data))]  # type: ignore[index,call-overload]


def by_apache(data: bytes) -> list[Any]:
    with warnings.catch_warnings():  # logical types that it does not know are numbers there
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
        reader = avro.datafile.DataFileReader(io.BytesIO(data), avro.io.DatumReader())
        return [record["v"] for record in reader]


def by_polars(data: bytes) -> list[Any]:
    return pl.read_avro(io.BytesIO(data))["v"].to_list()


Readers = dict[str, Read]
READERS: Readers = {"fastavro": by_fastavro, "apache": by_apache, "polars": by_polars}


@pytest.fixture(scope="module")
def java() -> Iterator[Readers]:
    """Java as a reader of records, one process for all tests; nothing outside of the long target."""
    if not (jars := os.environ.get("JAVA_JARS")):
        yield {}
        return
    need("java", root=False)
    with java_reader(Path(jars)) as read:
        yield {"java": read}


@pytest.fixture(scope="module")
def readers(java: Readers) -> Readers:
    return READERS | {name: values_of(read) for name, read in java.items()}


def values_of(read: Read) -> Read:
    return lambda data: [record["v"] for record in read(data)]


def as_python(logical: str, value: int) -> Any:
    """The value that a datum of a time stands for; nanoseconds have no type in Python."""
    if logical == "date":
        return date(1970, 1, 1) + timedelta(days=value)
    family, _, unit = logical.rpartition("-")
    micros = value * {"millis": 1_000, "micros": 1, "nanos": 0}[unit]
    if family == "time":
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).time()
    return datetime(1970, 1, 1) + timedelta(microseconds=micros)


def plain(value: Any) -> Any:
    """A time without its zone, which must be UTC."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        assert value.utcoffset() == timedelta(0)
        return value.replace(tzinfo=None)
    return value


def around(low: int, high: int, least: int, most: int) -> Any:
    """Whole numbers at and beyond the edges of a range, within the type."""
    near = [edge + step for edge in (low, high, 0) for step in range(-2, 3)]
    return st.sampled_from(near) | st.integers(low, high) | st.integers(least, most)


@pytest.mark.parametrize("logical", TIME_RANGES)
@given(st.data())
def test_a_time_is_read_back_by_every_reader_or_is_a_reject(
    readers: Readers, logical: str, data: Any
) -> None:
    text, (low, high) = time_schema(logical), TIME_RANGES[logical]
    bits = 31 if logical in ("date", "time-millis") else 63
    number = data.draw(around(low, high, -(2**bits), 2**bits - 1))
    plan = compile_plan(parse_schema(text))
    raw = json.dumps({"v": number}).encode()
    if not low <= number <= high:
        with pytest.raises(InvalidRecord):
            plan.one(raw)
        return
    file = container(text, 1, plan.encode([plan.one(raw)]))
    for name, read in readers.items():
        (found,) = map(plain, read(file))
        assert found == (number if isinstance(found, int) else as_python(logical, number)), name


@pytest.mark.parametrize("logical", [name for name in TIME_RANGES if "nanos" not in name])
@pytest.mark.parametrize("edge", [0, 1])
def test_a_reader_cannot_read_the_time_behind_the_edge(logical: str, edge: int) -> None:
    """The range is as large as it can be: the next value would make a file that readers refuse."""
    text = time_schema(logical)
    encode = compile_datum_encoder(parse_schema(text))
    beyond = TIME_RANGES[logical][edge] + (1 if edge else -1)
    file = container(text, 1, encode({"v": beyond}))

    def reads(read: Read) -> bool:
        try:
            return read(file) != [None]
        except (ValueError, OverflowError):
            return False

    assert not all(map(reads, READERS.values()))


DECIMALS = [(1, 0), (5, 2), (18, 18), (38, 10)]
"""polars has decimals of at most 38 digits, in at most 16 bytes."""
LONG_DECIMALS = [(39, 0), (100, 50), (MAX_PRECISION, 0), (MAX_PRECISION, MAX_PRECISION)]


@pytest.mark.parametrize("size", [0, 16])
@pytest.mark.parametrize(("precision", "scale"), DECIMALS)
@given(st.data())
def test_a_decimal_is_read_back_by_every_reader_or_is_a_reject(
    readers: Readers, precision: int, scale: int, size: int, data: Any
) -> None:
    assert_read_back_or_rejected(readers, precision, scale, size, data)


@pytest.mark.parametrize(("precision", "scale"), LONG_DECIMALS)
@given(st.data())
def test_a_long_decimal_is_read_back_by_every_reader_but_polars_or_is_a_reject(
    readers: Readers, precision: int, scale: int, data: Any
) -> None:
    others = {name: read for name, read in readers.items() if name != "polars"}
    assert_read_back_or_rejected(others, precision, scale, 0, data)


def assert_read_back_or_rejected(
    readers: Readers, precision: int, scale: int, size: int, data: Any
) -> None:
    """`size`: of a fixed; 0 is bytes."""
    stored: dict[str, Any] = (
        {"kind": "fixed", "name": "F", "size": size} if size else {"kind": "bytes"}
    )
    text = schema("decimal", **stored, precision=precision, scale=scale)
    most = 10**precision - 1
    unscaled = data.draw(around(-most, most, -(10 ** (precision + 1)), 10 ** (precision + 1)))
    plan = compile_plan(parse_schema(text))
    raw = json.dumps({"v": f"{unscaled}e-{scale}"}).encode()
    if abs(unscaled) > most:
        with pytest.raises(InvalidRecord):
            plan.one(raw)
        return
    file = container(text, 1, plan.encode([plan.one(raw)]))
    expected = Decimal(f"{unscaled}e-{scale}")
    assert {name: read(file)[0] for name, read in readers.items()} == dict.fromkeys(
        readers, expected
    )


@given(
    st.integers(-(10**MAX_PRECISION), 10**MAX_PRECISION) | st.integers(-9, 9),
    st.sampled_from([-MAX_SCALE - 1, -MAX_SCALE, 0, MAX_SCALE, MAX_SCALE + 1])
    | st.integers(-MAX_SCALE, MAX_SCALE),
)
def test_a_big_decimal_is_read_back_with_its_scale_or_is_a_reject(
    readers: Readers, digits: int, scale: int
) -> None:
    """Only Java has the type; for the others it is bytes."""
    text = schema("big-decimal", kind="bytes")
    plan = compile_plan(parse_schema(text))
    raw = json.dumps({"v": f"{digits}e{-scale}"}).encode()
    if abs(scale) > MAX_SCALE or abs(digits) == 10**MAX_PRECISION:
        with pytest.raises(InvalidRecord):
            plan.one(raw)
        return
    file = container(text, 1, plan.encode([plan.one(raw)]))
    number = Decimal(f"{digits}e{-scale}")
    for name, read in readers.items():
        (found,) = read(file)
        if isinstance(found, bytes):
            found = read_big_decimal(found)
        assert found.as_tuple() == number.as_tuple(), name


PART = st.sampled_from([0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32]) | st.integers(0, 2**32)


@given(PART, PART, PART)
def test_a_duration_is_read_back_by_every_reader_but_polars_or_is_a_reject(
    readers: Readers, months: int, days: int, millis: int
) -> None:
    """polars ends a file that has the type; Python has no type for it, so that there it is bytes."""
    text = schema("duration", kind="fixed", name="D", size=12)
    plan = compile_plan(parse_schema(text))
    parts = (months, days, millis)
    spelled = f"P{months}M{days}DT{millis // 1000}.{millis % 1000:03}S"
    raw = json.dumps({"v": spelled}).encode()
    if max(parts) == 2**32:
        with pytest.raises(InvalidRecord):
            plan.one(raw)
        return
    file = container(text, 1, plan.encode([plan.one(raw)]))
    expected = b"".join(part.to_bytes(4, "little") for part in parts)
    others = {name: read for name, read in readers.items() if name != "polars"}
    for name, read in others.items():
        assert read(file) == [expected], name


@pytest.mark.parametrize("stored", [{"kind": "string"}, {"kind": "fixed", "name": "F", "size": 16}])
@given(value=st.uuids())
def test_a_uuid_is_read_back_by_every_reader(
    readers: Readers, stored: dict[str, Any], value: UUID
) -> None:
    text = schema("uuid", **stored)
    plan = compile_plan(parse_schema(text))
    record = plan.one(json.dumps({"v": str(value).upper()}).encode())
    file = container(text, 1, plan.encode([record]))
    for name, read in readers.items():
        (found,) = read(file)
        assert found in (str(value), value, value.bytes), name


@given(st.sampled_from(CODECS), st.data())
def test_any_record_is_read_back_as_the_reference_reads_it(
    java: Readers, codec: str, data: Any
) -> None:
    """Every type in every place, also those that the others have no types for."""
    document, values = data.draw(schemas())
    text = json.dumps(document)
    plan, slow = compile_plan(parse_schema(text)), reference.Schema(document)
    try:
        page = [plan.one(json.dumps(value).encode()) for value in data.draw(st.lists(values))]
    except InvalidRecord:  # an object that fits several branches
        return
    encoded = [plan.encode([record]) for record in page]
    file = container(text, len(page), b"".join(encoded), codec)
    expected = [unbranched(reference.Decoder(slow, slow, each).run()) for each in encoded]
    for name, read in {"worker": by_worker, **java}.items():
        assert read(file) == expected, name


def test_a_file_of_any_valid_schema_is_opened_by_every_reader(java: Readers) -> None:
    texts = [
        case.get("text") or json.dumps(case["schema"]) for case in cases("parsing") if case["valid"]
    ]
    texts += [json.dumps(case["schema"]) for case in cases("logical") + cases("canonical")]
    for text in texts:
        file = container(parse_schema(text).source, 0, b"")
        for name, read in {"worker": by_worker, **java}.items():
            assert read(file) == [], (name, text)


def by_worker(data: bytes) -> list[Any]:
    return list(read_records(io.BytesIO(data)))


def unbranched(datum: Any) -> Any:
    """The datum without the numbers of the branches of its unions."""
    if isinstance(datum, Branch):
        return unbranched(datum.value)
    if isinstance(datum, dict):
        return {name: unbranched(part) for name, part in datum.items()}
    return [unbranched(part) for part in datum] if isinstance(datum, list) else datum


@given(st.datetimes(), st.sampled_from(["", "Z"]))
def test_a_time_in_text_is_read_back_as_the_time_that_it_was(at: datetime, zone: str) -> None:
    text = schema("timestamp-micros" if zone else "local-timestamp-micros")
    plan = compile_plan(parse_schema(text))
    record = plan.one(json.dumps({"v": at.isoformat() + zone}).encode())
    (found,) = map(plain, by_fastavro(container(text, 1, plan.encode([record]))))
    assert found == at


@given(st.times())
def test_a_time_of_day_in_text_is_read_back_as_the_time_that_it_was(at: time) -> None:
    plan = compile_plan(parse_schema(text := schema("time-micros")))
    record = plan.one(json.dumps({"v": at.isoformat()}).encode())
    assert by_fastavro(container(text, 1, plan.encode([record]))) == [at]


def test_the_zone_of_a_timestamp_is_utc_for_every_reader(readers: Readers) -> None:
    plan = compile_plan(parse_schema(text := schema("timestamp-millis")))
    record = plan.one(b'{"v": "2024-05-06T09:08:09+02:00"}')
    file = container(text, 1, plan.encode([record]))
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    for name, read in readers.items():
        assert read(file)[0] in (at, at.timestamp() * 1_000), name
