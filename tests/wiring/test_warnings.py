"""What `check` says of keys of `decode` that no field of the schema is read with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.settings import PipelineSettings
from worker.wiring.parts import Parts
from worker.wiring.warnings import warnings_of

STAMP = {"type": "long", "logicalType": "timestamp-millis"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-millis"}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 2}


def within(kind: Any) -> Any:
    """The type as that of a field of a record in an array."""
    inner = {"type": "record", "name": "Inner", "fields": [{"name": "a", "type": kind}]}
    return {"type": "array", "items": inner}


def warned(directory: Path, decode: dict[str, Any], *kinds: Any, **source: Any) -> list[str]:
    """The keys of `decode` that the warnings of a pipeline name."""
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(kinds)]
    (directory / "a.avsc").write_text(json.dumps({"type": "record", "name": "R", "fields": fields}))
    config = PipelineSettings.model_validate(
        {
            "source": {"url": "https://h/a", "pagination": {"type": "none"}, **source},
            "decode": {"type": "json", **decode},
            "schema": directory / "a.avsc",
            "sink": {"path": directory},
        }
    )
    parts = Parts.of("p", config)
    found = warnings_of(config, parts.plan.schema, parts.output)
    assert all("has no effect here, because the schema has no" in each for each in found)
    return [each.partition(":")[0].removeprefix("decode.") for each in found]


ZONE, NULLS = {"time_zone": "Europe/Berlin"}, {"null_values": ["", "-"]}
NUMBERS, FLAGS = {"coerce": ["numbers"]}, {"coerce": ["booleans"]}


@pytest.mark.parametrize(
    ("decode", "key", "kind"),
    [
        (ZONE, "time_zone", LOCAL),
        (ZONE, "time_zone", "long"),
        (NULLS, "null_values", ["null", "string"]),
        (NULLS, "null_values", "long"),
        (NULLS, "null_values", ["null", "long", "bytes"]),
        (NUMBERS, "coerce.numbers", STAMP),
        (NUMBERS, "coerce.numbers", "boolean"),
        (FLAGS, "coerce.booleans", "int"),
    ],
)
def test_a_key_that_no_field_is_read_with_is_named(
    decode: dict[str, Any], key: str, kind: Any, tmp_path: Path
) -> None:
    assert warned(tmp_path, decode, kind, within(["null", "string"])) == [key]


@pytest.mark.parametrize(
    ("decode", "kind"),
    [
        (ZONE, STAMP),
        (NULLS, ["null", "long"]),
        (NULLS, [STAMP, "null"]),
        (NULLS, ["null", {"type": "enum", "name": "E", "symbols": ["X"]}]),
        ({"null_values": {"f0": ["-"]}}, ["null", "string"]),
        (NUMBERS, "float"),
        (NUMBERS, ["null", DECIMAL]),
        (FLAGS, ["null", "boolean"]),
        ({}, "string"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_key_that_a_field_is_read_with_is_not(
    decode: dict[str, Any], kind: Any, nested: bool, tmp_path: Path
) -> None:
    if nested and "null_values" in decode and isinstance(decode["null_values"], dict):
        decode = {"null_values": {"f0.a": ["-"]}}
    assert warned(tmp_path, decode, within(kind) if nested else kind) == []


def test_a_zone_counts_for_the_mark_too(tmp_path: Path) -> None:
    incremental = {"field": "f0", "param": "since"}
    assert warned(tmp_path, ZONE, "string", incremental=incremental) == []
