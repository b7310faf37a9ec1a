"""The records of the benchmarks and their Avro schemas.

Flights are the real ones of the demo, repeated with new ids until there are enough. The other kinds
are made from a seed, so that every run of every commit reads the same bytes.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import count, cycle, islice
from typing import Any, Final

Record = dict[str, Any]
Schema = dict[str, Any]

DEMO: Final = files("worker.demo")
PAGE: Final = 1_000
TIES: Final = 25
ITEM_FLIGHTS: Final = 20
"""Records that share a time in the kind `ascending`: so many boundary keys stay after a pass."""

BRANCHES: Final[list[Schema]] = [
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


# -- flights ------------------------------------------------------------------------------------


def flight_schema() -> Schema:
    """The schema of the quickstart: 20 flat fields, a record is about 310 bytes of JSON."""
    found: Schema = json.loads((DEMO / "flight.avsc").read_text())
    return found


def union_schema() -> Schema:
    """The schema of flights whose arrival is one field that holds one of two records."""
    schema = flight_schema()
    kept = [field for field in schema["fields"] if field["name"] not in ("arr_time", "arr_delay")]
    return schema | {"fields": [*kept, {"name": "outcome", "type": BRANCHES}]}


def delay_schema() -> Schema:
    """The schema of what the row `transforms` makes of flights."""
    schema = flight_schema()
    kept = [
        {**field, "name": "destination"} if field["name"] == "dest" else field
        for field in schema["fields"]
    ]
    return schema | {
        "name": "Delay",
        "fields": [*kept, {"name": "delayed", "type": ["null", "boolean"]}],
    }


def _flights() -> Iterator[Record]:
    lines = gzip.decompress((DEMO / "flights.ndjson.gz").read_bytes()).splitlines()
    flights = [json.loads(line) for line in lines]
    return ({**flight, "id": number} for number, flight in enumerate(cycle(flights)))


def _bad_flights() -> Iterator[Record]:
    """One of a hundred has text where a number belongs."""
    for flight in _flights():
        yield flight | {"distance": "far"} if flight["id"] % 100 == 37 else flight


def _union_flights() -> Iterator[Record]:
    for flight in _flights():
        time, delay = flight.pop("arr_time"), flight.pop("arr_delay")
        flown = {"arr_time": time, "arr_delay": delay}
        yield flight | {"outcome": {"reason": "weather"} if time is None else flown}


def by_carrier(flights: Sequence[Record]) -> list[Record]:
    """Flights in items, which have the carrier of theirs."""
    items = []
    for start in range(0, len(flights), ITEM_FLIGHTS):
        part = flights[start : start + ITEM_FLIGHTS]
        kept = [{name: each[name] for name in each if name != "carrier"} for each in part]
        items.append({"carrier": part[0]["carrier"], "flights": kept})
    return items


def _ascending_flights() -> Iterator[Record]:
    start = datetime(2025, 1, 1, tzinfo=UTC)
    for flight in _flights():
        time = start + timedelta(seconds=flight["id"] // TIES)
        yield flight | {"time_hour": f"{time:%Y-%m-%dT%H:%M:%SZ}"}


# -- readings: small integers and short texts ---------------------------------------------------

_SMALL: Final = ("hour", "minute", "channel", "battery", "signal", "errors", "retries", "firmware")


def reading_schema() -> Schema:
    """14 fields: an id, eight small integers, two short texts, a flag and two more numbers."""
    others = [("sensor", "string"), ("unit", "string"), ("valid", "boolean"), ("value", "double")]
    fields = [("id", "long"), *((name, "int") for name in _SMALL), *others]
    return {
        "type": "record",
        "name": "Reading",
        "fields": [
            *({"name": name, "type": kind} for name, kind in fields),
            {"name": "gap_s", "type": ["null", "int"], "default": None},
        ],
    }


def _readings() -> Iterator[Record]:
    rng = random.Random(14)
    for number in count():
        yield {
            "id": number,
            **{name: rng.randrange(60) for name in _SMALL},
            "sensor": f"t{number % 400}",
            "unit": rng.choice(["C", "hPa", "%", "lx"]),
            "valid": number % 50 != 0,
            "value": rng.randrange(10_000) / 10,
            "gap_s": None if number % 9 else rng.randrange(100),
        }


# -- tickets: 3 KB a record ---------------------------------------------------------------------

_PERSON: Final[Schema] = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "login", "type": "string"},
        {"name": "avatar_url", "type": "string"},
        {"name": "profile_url", "type": "string"},
        {"name": "admin", "type": "boolean"},
    ],
}
_LABEL: Final[Schema] = {
    "type": "record",
    "name": "Label",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "color", "type": "string"},
        {"name": "description", "type": ["null", "string"]},
    ],
}
_WORDS: Final = [
    "the",
    "a",
    "request",
    "fails",
    "when",
    "response",
    "is",
    "slow",
    "and",
    "cursor",
    "moves",
    "before",
    "commit",
    "of",
    "page",
    "with",
    "token",
    "after",
    "restart",
    "we",
    "see",
    "that",
    "no",
    "record",
    "was",
    "lost",
    "but",
    "order",
    "of",
    "files",
    "differs",
    "from",
    "what",
    "is",
    "expected",
]
_STATES: Final = ["OPEN", "CLOSED", "MERGED"]


def ticket_schema() -> Schema:
    """Tickets as an issue tracker sends them: nested records, an array of records, a long text."""
    moment = {"type": "long", "logicalType": "timestamp-millis"}
    return {
        "type": "record",
        "name": "Ticket",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "number", "type": "int"},
            {"name": "url", "type": "string"},
            {"name": "title", "type": "string"},
            {"name": "body", "type": "string"},
            {"name": "state", "type": {"type": "enum", "name": "State", "symbols": _STATES}},
            {"name": "user", "type": _PERSON},
            {"name": "assignee", "type": ["null", "Person"], "default": None},
            {"name": "labels", "type": {"type": "array", "items": _LABEL}},
            {"name": "reactions", "type": {"type": "map", "values": "int"}},
            {"name": "comments", "type": "int"},
            {"name": "locked", "type": "boolean"},
            {"name": "created_at", "type": moment},
            {"name": "closed_at", "type": ["null", moment], "default": None},
        ],
    }


def _tickets() -> Iterator[Record]:
    rng = random.Random(3)
    people = [_person(number) for number in range(300)]
    for number in count():
        words = rng.choices(_WORDS, k=380)
        closed = number % 3 == 0
        yield {
            "id": 2_000_000_000 + number,
            "number": number,
            "url": f"https://tracker.example.com/projects/worker/tickets/{number}",
            "title": " ".join(words[:9]),
            "body": " ".join(words[9:]) + f"\n\nSeen in run {number}.",
            "state": rng.choice(_STATES[1:]) if closed else "OPEN",
            "user": rng.choice(people),
            "assignee": rng.choice(people) if number % 4 == 0 else None,
            "labels": [_label(rng.randrange(40)) for _ in range(rng.randrange(1, 5))],
            "reactions": {"up": rng.randrange(50), "down": rng.randrange(5), "heart": number % 7},
            "comments": rng.randrange(200),
            "locked": number % 100 == 0,
            "created_at": f"2025-03-{1 + number % 28:02}T{number % 24:02}:00:00Z",
            "closed_at": "2025-04-01T12:00:00Z" if closed else None,
        }


def _person(number: int) -> Record:
    return {
        "id": number,
        "login": f"person-{number}",
        "avatar_url": f"https://avatars.example.com/u/{number}?v=4",
        "profile_url": f"https://tracker.example.com/people/person-{number}",
        "admin": number % 50 == 0,
    }


def _label(number: int) -> Record:
    return {
        "id": 700 + number,
        "name": f"area/{_WORDS[number % len(_WORDS)]}",
        "color": f"{number * 40_503 % 0xFFFFFF:06x}",
        "description": None if number % 2 else "What this part of the program does, and for whom",
    }


# -- all kinds ----------------------------------------------------------------------------------

KINDS: Final[dict[str, Callable[[], Iterator[Record]]]] = {
    "flights": _flights,
    "bad": _bad_flights,
    "union": _union_flights,
    "ascending": _ascending_flights,
    "readings": _readings,
    "tickets": _tickets,
    "csv": _flights,
    "carriers": _flights,
}
ITEMS: Final[dict[str, Callable[[Sequence[Record]], list[Record]]]] = {"carriers": by_carrier}
"""What a page has in place of its records."""
SCHEMAS: Final[dict[str, Callable[[], Schema]]] = {
    "flights": flight_schema,
    "bad": flight_schema,
    "union": union_schema,
    "ascending": flight_schema,
    "readings": reading_schema,
    "tickets": ticket_schema,
    "csv": flight_schema,
    "carriers": flight_schema,
    "delays": delay_schema,
}
"""The schema of each kind of records, and of what the row `transforms` writes."""


def records(number: int, kind: str) -> Iterator[Record]:
    """The first `number` records of a kind."""
    return islice(KINDS[kind](), number)
