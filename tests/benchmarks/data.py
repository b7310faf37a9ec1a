"""The pages of the benchmark: real flights, repeated with new ids until there are enough, rendered once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

DEMO: Final = files("worker.demo")
PAGE: Final = 1_000

BRANCHES: Final = [
    {
        "type": "record",
        "name": "Flown",
        "fields": [
            {"name": "arr_time", "type": "int"},
            {"name": "arr_delay", "type": ["null", "double"]},
        ],
    },
    {"type": "record", "name": "Cancelled", "fields": [{"name": "reason", "type": "string"}]},
]


def flight_schema() -> dict[str, Any]:
    """The schema of the quickstart."""
    found: dict[str, Any] = json.loads((DEMO / "flight.avsc").read_text())
    return found


def union_schema() -> dict[str, Any]:
    """The same with a field that is one of two records."""
    schema = flight_schema()
    kept = [field for field in schema["fields"] if field["name"] not in ("arr_time", "arr_delay")]
    return schema | {"fields": [*kept, {"name": "outcome", "type": BRANCHES}]}


def delay_schema() -> dict[str, Any]:
    """What the transforms of the benchmark make."""
    schema = flight_schema()
    kept = [
        {**field, "name": "destination"} if field["name"] == "dest" else field
        for field in schema["fields"]
    ]
    return schema | {
        "name": "Delay",
        "fields": [*kept, {"name": "delayed", "type": ["null", "boolean"]}],
    }


def records(count: int, kind: str) -> Iterator[dict[str, Any]]:
    """`kind` is flights, bad (1 % break the schema) or union."""
    flights = [
        json.loads(line)
        for line in gzip.decompress((DEMO / "flights.ndjson.gz").read_bytes()).splitlines()
    ]
    for number in range(count):
        record = {**flights[number % len(flights)], "id": number}
        if kind == "bad" and number % 100 == 37:
            record["distance"] = "far"
        if kind == "union":
            arrived = record.pop("arr_time"), record.pop("arr_delay")
            record["outcome"] = (
                {"reason": "weather"}
                if arrived[0] is None
                else {"arr_time": arrived[0], "arr_delay": arrived[1]}
            )
        yield record


def render(target: Path, count: int, kind: str) -> None:
    """Writes the pages one after another, each a line."""
    page: list[bytes] = []
    number = 0
    with target.open("wb") as file:
        for record in records(count, kind):
            page.append(json.dumps(record, separators=(",", ":")).encode())
            if len(page) == PAGE:
                number += 1
                following = f'"{number}"' if number * PAGE < count else "null"
                file.write(
                    b'{"data":{"items":['
                    + b",".join(page)
                    + b']},"meta":{"next":'
                    + following.encode()
                    + b"}}\n"
                )
                page.clear()
