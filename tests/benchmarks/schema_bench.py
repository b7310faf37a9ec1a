"""`make bench-schema`: the Avro engine alone against the usual libraries.

CPU time in one process, interleaved, with counts checked.

pages    JSON pages of 1,000 -> decoded, validated, encoded, framed; against `orjson.loads` and
         fastavro's Writer (validates nothing), and against `fastavro.validate` and Writer
checked  the same with a field that is one of two records, which msgspec cannot express; against
         that field as one record
reading  a container with a reader's schema that renames, drops, promotes and adds; against
         fastavro's reader
bad      pages where 1 % of the records break the schema; against clean ones
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import fastavro
import fastavro.write
import orjson
from benchmarks import data
from fastavro.validation import validate

from worker.formats.json import JsonPages
from worker.formats.records import PageSpec
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema
from worker.schema.container import file_header, frame_block, read_records

CODEC: Final = "zstandard"
SYNC: Final = b"bench of schemas"
BLOCK_BYTES: Final = 256 * 1024
Task = Callable[[], tuple[int, int]]
"""Does the work; returns how many records it took and how many it refused."""


# -- what is read ---------------------------------------------------------------------------------

_CUSTOMER: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Customer",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "email", "type": ["null", "string"]},
        {"name": "score", "type": "double"},
    ],
}
_GUEST: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Guest",
    "fields": [{"name": "session", "type": "string"}],
}
_LINE: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "sku", "type": "string"},
        {"name": "quantity", "type": "int"},
        {"name": "price", "type": "double"},
    ],
}
ORDER: Final[dict[str, Any]] = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {
            "name": "state",
            "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID", "SENT", "BACK"]},
        },
        {"name": "created", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "customer", "type": _CUSTOMER},
        {"name": "lines", "type": {"type": "array", "items": _LINE}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "labels", "type": {"type": "map", "values": "string"}},
        {"name": "total", "type": "double"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "gift", "type": "boolean"},
    ],
}


def orders(count: int) -> Iterator[dict[str, Any]]:
    """Orders of one to four lines; half of their texts are unique."""
    rng = random.Random(7)
    for number in range(count):
        lines = [
            {
                "sku": f"SKU-{rng.randrange(500)}",
                "quantity": rng.randrange(1, 9),
                "price": rng.randrange(10_000) / 100,
            }
            for _ in range(rng.randrange(1, 5))
        ]
        yield {
            "id": 50_000_000 + number,
            "state": rng.choice(["NEW", "PAID", "SENT", "BACK"]),
            "created": f"2025-03-{1 + number % 28:02}T{number % 24:02}:00:00Z",
            "customer": {
                "name": f"Customer {rng.randrange(10**9)}",
                "email": None if number % 3 else f"c{number}@example.org",
                "score": rng.random(),
            },
            "lines": lines,
            "tags": rng.sample(["red", "green", "blue", "fragile"], 2),
            "labels": {"origin": rng.choice(["web", "shop", "phone"]), "batch": str(number // 100)},
            "total": sum(line["quantity"] * line["price"] for line in lines),
            "note": None if number % 4 else f"leave it at door {number}",
            "gift": number % 10 == 0,
        }


def with_guests(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every third customer is a guest."""
    return [
        {**each, "customer": {"session": f"s{number}"}} if number % 3 == 0 else each
        for number, each in enumerate(records)
    ]


def broken(records: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    """One record of a hundred has text where a number belongs."""
    return [
        {**each, field: "far"} if number % 100 == 37 else each
        for number, each in enumerate(records)
    ]


def replaced(schema: dict[str, Any], field_name: str, **changes: Any) -> dict[str, Any]:
    """The schema with a field changed."""
    return schema | {
        "fields": [
            field | changes if field["name"] == field_name else field for field in schema["fields"]
        ]
    }


def pages_of(records: list[dict[str, Any]]) -> list[bytes]:
    """JSON pages of 1,000 records."""
    return [
        orjson.dumps({"items": records[start : start + data.PAGE]})
        for start in range(0, len(records), data.PAGE)
    ]


# -- what is measured -----------------------------------------------------------------------------


def ours(schema: dict[str, Any], pages: list[bytes], target: io.BytesIO) -> Task:
    """Pages -> a container, with everything that the schema says checked."""
    text = json.dumps(schema)
    plan = compile_plan(parse_schema(text))

    def run() -> tuple[int, int]:
        decoder = JsonPages(PageSpec(records="items"), plan)
        target.seek(0)
        target.truncate()
        target.write(file_header(text, CODEC, {}, SYNC))
        pending, rows, size, taken, refused = [], 0, 0, 0, 0
        for page in pages:
            decoded = at_once(decoder.decode(page))
            pending.append(plan.encode(decoded.records))
            rows += len(decoded.records)
            size += len(pending[-1])
            taken += len(decoded.records)
            refused += len(decoded.rejects)
            if size >= BLOCK_BYTES or page is pages[-1]:
                target.write(frame_block(rows, b"".join(pending), CODEC, SYNC))
                pending, rows, size = [], 0, 0
        return taken, refused

    return run


def theirs(
    schema: dict[str, Any], pages: list[bytes], target: io.BytesIO, moment: str, *, check: bool
) -> Task:
    """The same by hand; `moment` is the field that holds a time as text."""
    parsed = fastavro.parse_schema(schema)

    def run() -> tuple[int, int]:
        target.seek(0)
        target.truncate()
        writer = fastavro.write.Writer(target, parsed, codec=CODEC, sync_interval=BLOCK_BYTES)
        taken = 0
        for page in pages:
            for record in orjson.loads(page)["items"]:
                record[moment] = datetime.fromisoformat(record[moment])
                if check:
                    validate(record, parsed)
                writer.write(record)
                taken += 1
        writer.flush()
        return taken, 0

    return run


def our_reader(file: bytes, schema: dict[str, Any]) -> Task:
    reader = parse_schema(json.dumps(schema))
    return lambda: (sum(1 for _ in read_records(io.BytesIO(file), reader=reader)), 0)


def their_reader(file: bytes, schema: dict[str, Any]) -> Task:
    reader = fastavro.parse_schema(schema)
    return lambda: (sum(1 for _ in fastavro.reader(io.BytesIO(file), reader)), 0)


@dataclass(frozen=True, slots=True)
class Row:
    """A measured task.

    `against` names other rows, each with the goal of their time as a multiple of this one's.
    """

    label: str
    run: Task
    expected: tuple[int, int]
    against: tuple[tuple[str, float], ...] = ()


def rows_of(
    name: str,
    schema: dict[str, Any],
    records: list[dict[str, Any]],
    moment: str,
    bad_field: str,
    union: Any,
    readers: dict[str, Any],
) -> list[Row]:
    """All tasks over one schema.

    `union` is a schema with a union and its records, then one with a single branch and its records.
    """
    count, bad = len(records), len(records) // 100
    pages = pages_of(records)
    file, sink = io.BytesIO(), io.BytesIO()
    ours(schema, pages, file)()
    wide, wide_records, narrow, narrow_records = union
    return [
        Row(
            f"{name}: pages",
            ours(schema, pages, file),
            (count, 0),
            (
                (f"{name}: orjson + fastavro Writer", 3.0),
                (f"{name}: orjson + fastavro.validate + Writer", 20.0),
            ),
        ),
        Row(
            f"{name}: orjson + fastavro Writer",
            theirs(schema, pages, sink, moment, check=False),
            (count, 0),
        ),
        Row(
            f"{name}: orjson + fastavro.validate + Writer",
            theirs(schema, pages, sink, moment, check=True),
            (count, 0),
        ),
        Row(
            f"{name}: checked (a union of two records)",
            ours(wide, pages_of(wide_records), sink),
            (count, 0),
            ((f"{name}: its typed twin", 1 / 3),),
        ),
        Row(f"{name}: its typed twin", ours(narrow, pages_of(narrow_records), sink), (count, 0)),
        Row(
            f"{name}: reading as another schema",
            our_reader(file.getvalue(), readers),
            (count, 0),
            ((f"{name}: fastavro's reader", 1.0),),
        ),
        Row(f"{name}: fastavro's reader", their_reader(file.getvalue(), readers), (count, 0)),
        Row(
            f"{name}: 1 % bad",
            ours(schema, pages_of(broken(records, bad_field)), sink),
            (count - bad, bad),
            ((f"{name}: pages", 1 / 1.5),),
        ),
    ]


def flights_rows(count: int) -> list[Row]:
    schema, records = data.flight_schema(), list(data.records(count, "flights"))
    flown = data.BRANCHES[0] | {
        "fields": [
            {"name": "arr_time", "type": ["null", "int"]},
            {"name": "arr_delay", "type": ["null", "double"]},
        ]
    }
    twin = [
        {**each, "outcome": {"arr_time": each.pop("arr_time"), "arr_delay": each.pop("arr_delay")}}
        for each in data.records(count, "flights")
    ]
    union = (
        data.union_schema(),
        list(data.records(count, "union")),
        replaced(data.union_schema(), "outcome", type=flown),
        twin,
    )
    kept = [
        field
        for field in replaced(schema, "year", type="long")["fields"]
        if field["name"] not in ("hour", "minute")
    ]
    reader = schema | {
        "fields": [*kept, {"name": "airline", "type": ["null", "string"], "default": None}]
    }
    reader = replaced(
        replaced(reader, "dest", name="destination", aliases=["dest"]), "flight", type="double"
    )
    return rows_of("flights", schema, records, "time_hour", "distance", union, reader)


def orders_rows(count: int) -> list[Row]:
    records = list(orders(count))
    union = (
        replaced(ORDER, "customer", type=[_CUSTOMER, _GUEST]),
        with_guests(records),
        ORDER,
        records,
    )
    line = _LINE | {
        "fields": [
            {"name": "sku", "type": "string"},
            {"name": "pieces", "aliases": ["quantity"], "type": "long"},
        ]
    }
    reader = replaced(ORDER, "lines", type={"type": "array", "items": line})
    reader = reader | {
        "fields": [
            *(field for field in reader["fields"] if field["name"] != "tags"),
            {"name": "channel", "type": "string", "default": "web"},
        ]
    }
    return rows_of("nested", ORDER, records, "created", "total", union, reader)


def same_records(schema: dict[str, Any], records: list[dict[str, Any]]) -> None:
    """What we write, fastavro reads as what came in: the figures are of the same work."""
    file = io.BytesIO()
    ours(schema, pages_of(records), file)()
    parsed = fastavro.parse_schema(schema)
    for wrote, came in zip(fastavro.reader(io.BytesIO(file.getvalue())), records, strict=True):
        moment = next(name for name in ("time_hour", "created") if name in came)
        assert wrote == came | {moment: datetime.fromisoformat(came[moment])}, (wrote, came)
        assert validate(wrote, parsed)


def measure(rows: list[Row], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each round, all rows in turn."""
    found: dict[str, list[float]] = {row.label: [] for row in rows}
    for _ in range(rounds):
        for row in rows:
            started = time.process_time()
            counts = row.run()
            found[row.label].append(time.process_time() - started)
            if counts != row.expected:
                raise SystemExit(
                    f"{row.label}: {counts} records taken and refused, {row.expected} were expected"
                )
    return found


def show(rows: list[Row], found: dict[str, list[float]], count: int) -> None:
    """Minima, medians, and ratios of minima (of rounds next to each other noise is the same)."""
    print(f"{'row':46}{'min us/rec':>12}{'median':>9}  ratios")
    for row in rows:
        times = found[row.label]
        ratios = []
        for other, goal in row.against:
            ratio = min(found[other]) / min(times)
            text = (
                f"{ratio:.1f} times as fast (goal {goal:g})"
                if goal >= 1
                else f"{1 / ratio:.2f} times the time (goal at most {1 / goal:.2g})"
            )
            ratios.append(f"{'' if ratio >= goal else 'MISSED '}{text} {other.split(': ')[1]}")
        least, middle = (pick(times) / count * 1e6 for pick in (min, statistics.median))
        print(f"{row.label:46}{least:12.2f}{middle:9.2f}  {'; '.join(ratios)}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    gc.set_threshold(20_000, 20, 50)  # as in a run of the product, for both sides
    same_records(data.flight_schema(), list(data.records(2_000, "flights")))
    same_records(ORDER, list(orders(2_000)))
    for made in (flights_rows, orders_rows):
        rows = made(options.records)
        gc.collect()
        gc.freeze()  # scanning what waits for its row took up to half of the time of either side
        show(rows, measure(rows, options.rounds), options.records)


if __name__ == "__main__":
    main()
