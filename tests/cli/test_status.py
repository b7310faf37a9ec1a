"""`worker status` for people."""

from __future__ import annotations

from typing import Any

from worker.cli.status import lines

WELL: dict[str, Any] = {
    "state": "running",
    "partitions": 3,
    "done": 0,
    "records": 10,
    "rejects": 1,
    "files": 2,
    "commits": 1,
    "in_flight": 0,
    "oldest_undurable_s": 0.0,
    "lag_s": None,
    "parked": {},
    "parked_count": 0,
    "stages": {
        stage: {"busy": 0.1, "blocked": 0.0, "idle": 1.0} for stage in ("read", "process", "write")
    },
    "troubles": [],
    "source": {
        "breaker": "closed",
        "breaker_opens_in_s": 0.0,
        "gate_opens_in_s": 0.0,
        "unknown_fields": {},
    },
}


def test_what_is_well_is_short() -> None:
    assert lines("items", WELL) == [
        "items: running",
        "  10 records, 1 rejects, 2 files in 1 commits; nothing waits",
    ]


def test_what_could_not_start_yet_says_why() -> None:
    assert lines("items", {"state": "waiting", "reason": "the registry is down"}) == [
        "items: waiting: the registry is down"
    ]


def test_what_holds_it_back_stands_first() -> None:
    now = WELL | {
        "in_flight": 5,
        "oldest_undurable_s": 61.5,
        "lag_s": 120.0,
        "parked": {"tenant=a": {"code": "auth", "reason": "status 401"}},
        "parked_count": 1,
        "stages": WELL["stages"] | {"write": {"busy": 7.0, "blocked": 0.0, "idle": 0.0}},
        "troubles": [{"event": "partition.parked", "at": 0.0, "times": 3, "reason": "status 401"}],
        "source": WELL["source"]
        | {
            "breaker": "open",
            "gate_opens_in_s": 12.0,
            "rate_limits": {
                "10 requests per 1s": {"used": 10.0, "allowed": 10.0},
                "cost 50 per 1h": {"used": 20.0, "allowed": 50.0},
            },
            "unknown_fields": {"b": {}, "a": {}},
        },
    }
    assert lines("items", now) == [
        (
            "items: running, breaker open; the source asked for a pause of 12 s more; "
            "the rate limit of 10 requests per 1s is used up; 1 of 3 partitions parked"
        ),
        "  10 records, 1 rejects, 2 files in 1 commits; 5 not durable, the oldest for 61.5 s",
        "  the mark is 120 s behind now",
        "  seconds busy: read 0, process 0, write 7",
        "  parked: tenant=a: status 401",
        "  fields that the schema lacks: a, b",
        "  1970-01-01 00:00:00Z partition.parked 3 times: status 401",
    ]
