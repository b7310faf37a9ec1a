"""What is written can be read: values of every logical type, at the edges of their range and beyond
them, read back by fastavro, by Apache's library for Python and by polars. What one of them could
not read is a reject."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import avro.datafile
import avro.io
import fastavro
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.ports import InvalidRecord
from worker.schema import compile_plan, parse_schema
from worker.schema.container import file_header, frame_block
from worker.schema.encoding import compile_datum_encoder
from worker.schema.logical import TIME_RANGES

SYNC = b"0123456789abcdef"
Read = Callable[[bytes], list[Any]]


def schema(logical: str, **more: Any) -> str:
    kind = {"type": more.pop("kind", "long"), "logicalType": logical, **more}
    fields = [{"name": "v", "type": kind}]
    return json.dumps({"type": "record", "name": "R", "fields": fields})


def time_schema(logical: str) -> str:
    return schema(logical, kind="int" if logical in ("date", "time-millis") else "long")


def container(text: str, rows: int, data: bytes) -> bytes:
    return file_header(text, "null", {}, SYNC) + frame_block(rows, data, "null", SYNC)


def by_fastavro(data: bytes) -> list[Any]:
    return [record["v"] for record in fastavro.reader(io.BytesIO(data))]  # type: ignore[index,call-overload]


def by_apache(data: bytes) -> list[Any]:
    with warnings.catch_warnings():  # logical types that it does not know are numbers there
        warnings.simplefilter("ignore", avro.errors.IgnoredLogicalType)
        reader = avro.datafile.DataFileReader(io.BytesIO(data), avro.io.DatumReader())
        return [record["v"] for record in reader]


def by_polars(data: bytes) -> list[Any]:
    return pl.read_avro(io.BytesIO(data))["v"].to_list()


READERS: dict[str, Read] = {"fastavro": by_fastavro, "apache": by_apache, "polars": by_polars}


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
def test_a_time_is_read_back_by_every_reader_or_is_a_reject(logical: str, data: Any) -> None:
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
    for name, read in READERS.items():
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
"""polars has decimals of at most 38 digits."""


@pytest.mark.parametrize(("precision", "scale"), DECIMALS)
@given(st.data())
def test_a_decimal_is_read_back_by_every_reader_or_is_a_reject(
    precision: int, scale: int, data: Any
) -> None:
    text = schema("decimal", kind="bytes", precision=precision, scale=scale)
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
    assert {name: read(file)[0] for name, read in READERS.items()} == dict.fromkeys(
        READERS, expected
    )


@given(st.uuids())
def test_a_uuid_is_read_back_by_every_reader(value: UUID) -> None:
    text = schema("uuid", kind="string")
    plan = compile_plan(parse_schema(text))
    record = plan.one(json.dumps({"v": str(value).upper()}).encode())
    file = container(text, 1, plan.encode([record]))
    for name, read in READERS.items():
        assert str(read(file)[0]) == str(value), name


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


def test_the_zone_of_a_timestamp_is_utc_for_every_reader() -> None:
    plan = compile_plan(parse_schema(text := schema("timestamp-millis")))
    record = plan.one(b'{"v": "2024-05-06T09:08:09+02:00"}')
    file = container(text, 1, plan.encode([record]))
    expected = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert [read(file)[0] for read in READERS.values()] == [expected] * len(READERS)
