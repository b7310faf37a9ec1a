"""Configs of the rows.

Only keys that every commit knows are used, and each default that matters is written out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.data import SCHEMAS
from benchmarks.rows import PageRow, PollRow

Json = dict[str, Any]

NAME: Final = "bench.json"
FILES: Final = "files"
"""Where the records go, below the working directory of a run."""
STATE: Final = "state"
_CURSOR: Final = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}


def page_document(row: PageRow, pages: int, server: str) -> Json:
    """The config of a row over a source of so many pages."""
    source = {
        "url": page_url(row, row.kind, pages, server),
        "params": {"limit": row.size} | _delay(row, pages),
        "records": "data.items",
        "pagination": _CURSOR,
        **row.source,
    }
    if row.partitions:
        source |= {
            "params": {"limit": row.size, "cursor": "{partition.number}"},
            "pagination": {"type": "none"},
            "partitions": {"number": [str(number) for number in range(max(pages, 1))]},
        }
    pipeline = {
        "source": source,
        "schema": f"{row.kind}.avsc",
        "sink": {
            "path": FILES,
            "codec": row.codec,
            "roll": {"records": row.roll_records},
            **row.sink,
        },
        **row.pipeline,
    }
    return _document({"bench": pipeline})


def page_url(row: PageRow, kind: str, pages: int, server: str) -> str:
    """The source of a row; where each page is a partition, the server has to end after each."""
    return f"{server}/{kind}-{row.size}/{min(pages, 1) if row.partitions else pages}"


def _delay(row: PageRow, pages: int) -> Json:
    return {"delay_ms": row.delay_ms} if row.delay_ms and pages else {}


def poll_document(row: PollRow, who: str, server: str) -> Json:
    """The config of many pipelines over sources that are empty."""
    pipelines = {
        f"poll-{number}": {
            "source": {
                "url": f"{server}/flights-1000/0",
                "params": {"limit": 1000, "who": who, "n": number},
                "records": "data.items",
                "key": ["id"],
                "incremental": {
                    "field": "time_hour",
                    "param": "since",
                    "initial": "2025-01-01T00:00:00Z",
                },
                "pagination": _CURSOR,
                "schedule": {"every": f"{row.every_s}s"},
            },
            "schema": "flights.avsc",
            "sink": {"path": f"{FILES}/{number}", "codec": row.codec},
        }
        for number in range(row.pipelines)
    }
    return _document(pipelines)


def _document(pipelines: Json) -> Json:
    return {
        "version": 1,
        "state": {"path": STATE},
        "admin": {"listen": None},
        "logging": {"level": "error"},
        "pipelines": pipelines,
    }


def write(document: Json, directory: Path) -> None:
    """Writes a config (JSON is YAML) and all schemas."""
    for kind, schema in SCHEMAS.items():
        (directory / f"{kind}.avsc").write_text(json.dumps(schema()))
    (directory / NAME).write_text(json.dumps(document))
