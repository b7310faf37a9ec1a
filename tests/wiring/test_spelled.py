"""A format of the mark counts for the values in files as well, or it is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.core.errors import ConfigError
from worker.core.jsonpath import names_in
from worker.settings import PipelineSettings
from worker.wiring.parts import Parts

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}


def record(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": each, "type": kind} for each, kind in fields.items()],
    }


SCHEMA = record(
    "Item",
    id="long",
    a=["null", MILLIS],
    c=["null", MILLIS],
    text="string",
    number=["null", "double"],
    clock={"type": "int", "logicalType": "time-millis"},
    ev={"type": "array", "items": record("Event", u=MILLIS, next=["null", "Event"])},
    m={"type": "map", "values": MILLIS},
    deep={"type": "map", "values": record("Deep", at=MILLIS)},
    other=record("Other", text=MILLIS),
)


def compile_(directory: Path, field: str, form: str, times: dict[str, str], **decode: Any) -> Parts:
    (directory / "a.avsc").write_text(json.dumps(SCHEMA))
    incremental = {"field": field, "param": "s", "format": {"record": form}}
    config = {
        "source": {"url": "https://h/a", "key": ["id"], "incremental": incremental},
        "schema": str(directory / "a.avsc"),
        "decode": {"type": "json", "times": times, **decode},
        "sink": {"path": "x"},
    }
    return Parts.of("items", PipelineSettings.model_validate(config))


@pytest.mark.parametrize("form", ["epoch_s", "epoch_us", "%d.%m.%Y"])
@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("a || c", ["a", "c"]),
        ("not_null(c, a)", ["a", "c"]),
        ("a || text", ["a"]),
        ("ev[0].u", ["ev.u"]),
        ("ev[-1].u || a", ["a", "ev.u"]),
        ("max(ev[].u)", ["ev.u"]),
        ("m.k", ["m"]),
        ('m."a.b"', ["m"]),
        ("deep.k.at", ["deep.at"]),
        ("deep.k.at || text", ["deep.at"]),
        ("other.* | [0]", ["a", "c", "ev.u", "m", "deep.at", "other.text"]),
        ("values(m)[0]", ["a", "c", "ev.u", "m", "deep.at", "other.text"]),
    ],
)
def test_a_format_of_the_mark_that_would_not_count_for_times_in_files_is_refused(
    path: str, fields: list[str], form: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_(tmp_path, path, form, {})
    assert caught.value.where == "source.incremental.format.record"
    assert caught.value.remedy.endswith(f"how they are written: {', '.join(fields)}")
    compile_(tmp_path, path, form, dict.fromkeys(fields, form), time_zone="UTC")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("a", "epoch_s"),
        ("a || c", "rfc3339"),
        ("a || c", "epoch_ms"),
        ("a || c", "int"),
        ("a || c", "string"),
        ("m.k", "epoch_ms"),
        ("text", "epoch_s"),
        ("text || number", "epoch_s"),
        ("clock || number", "epoch_s"),
        ("gone || number", "epoch_s"),
        ("gone.a", "epoch_s"),
        ("number", "epoch_s"),
    ],
)
def test_one_that_counts_or_changes_no_meaning_is_taken(
    path: str, form: str, tmp_path: Path
) -> None:
    compile_(tmp_path, path, form, {})


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("a.b", {"a", "b"}),
        ("sort_by(x[?y > `1`][1:2], &z)[0].{k: q} | [0].k", {"x", "y", "z", "q", "k"}),
        ("@", set()),
        ("x.*", None),
        ("values(@)[0]", None),
    ],
)
def test_the_names_in_a_path(path: str, names: set[str] | None) -> None:
    assert names_in(path) == names
