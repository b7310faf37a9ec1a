"""The keys that say how a source writes values: what is refused, where, and with which way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from config.conftest import Check

from worker.config.problems import Problem
from worker.formats.json import Decode
from worker.schema.spellings import Numbers, TimeForm
from worker.settings import load_settings
from worker.wiring.parts import Parts

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
LOCAL = {"type": "long", "logicalType": "local-timestamp-millis"}
DETAIL = {
    "type": "record",
    "name": "Detail",
    "fields": [{"name": "at", "type": MILLIS}, {"name": "note", "type": ["null", "string"]}],
}
SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "created", "type": MILLIS, "json_name": "created-at"},
        {"name": "updated", "type": ["null", MILLIS]},
        {"name": "local", "type": ["null", LOCAL]},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "clock", "type": ["null", {"type": "int", "logicalType": "time-millis"}]},
        {"name": "detail", "type": DETAIL},
        {"name": "lines", "type": {"type": "array", "items": "Detail"}},
    ],
}


def config(decode: str, source: str = "") -> str:
    return (
        "version: 1\nstate: {path: state}\npipelines:\n  items:\n"
        f'    source: {{url: "https://api.example.com/items"{source}}}\n'
        f"    decode: {decode}\n"
        "    schema: item.avsc\n    sink: {path: lake}\n"
    )


@pytest.fixture
def spelled(check: Check) -> Check:
    Path("item.avsc").write_text(json.dumps(SCHEMA))
    return check


INCREMENTAL = ", incremental: {field: updated, param: since, initial: 0"
AT = "pipelines.items.decode"

# decode, source -> the line, words of what is said, and of the way out
WRONG: dict[str, tuple[str, str, str, str]] = {
    "a name that is nearly a field": ("{times: {updted: epoch_s}}", "", "no field", "'updated'"),
    "Avro's name for a field": ("{times: {created: epoch_s}}", "", "no field", "created-at"),
    "a name below that is nearly a field": (
        "{times: {detail.ta: epoch_s}}",
        "",
        "'ta' is unknown",
        "allowed are at, note",
    ),
    "a field that is no time": ("{times: {id: epoch_s}}", "", "id is no time", "logical type"),
    "a record": ("{times: {detail: epoch_s}}", "", "detail is no time", "logical type"),
    "an unknown format": ("{times: {updated: epoch}}", "", "epoch", "epoch_s"),
    "a format of another spelling": ("{times: {updated: epoch-ms}}", "", "epoch-ms", "'epoch_ms'"),
    "a pattern that cannot be read": ("{times: {updated: '%Y-%Q'}}", "", "%", "cannot be read"),
    "a directive twice": ("{times: {updated: '%m/%m/%Y'}}", "", "%m", "%m more than once"),
    "a directive twice, once in another": ("{times: {day: '%c %Y'}}", "", "%c", "%Y more than"),
    "half of the day without hours": ("{times: {day: '%Y %H %p'}}", "", "%p", "only with %I"),
    "hours without the half of the day": ("{times: {clock: '%I:%M'}}", "", "%I", "needs %p"),
    "a week without a day": ("{times: {day: '%Y-%W'}}", "", "%W", "only with a year"),
    "the zone of a machine": ("{times: {updated: '%Y %Z'}}", "", "%", "%z"),
    "no year": (
        "{times: {updated: '%d.%m.'}, time_zone: UTC}",
        "",
        "no year",
        "as the source writes",
    ),
    "a pattern without a zone": (
        "{times: {updated: '%d.%m.%Y %H:%M'}}",
        "",
        "names no zone",
        "decode.time_zone",
    ),
    "an instant of a time of day": ("{times: {clock: epoch_s}}", "", "clock is a time", "%H:%M"),
    "a time of day without an hour": ("{times: {clock: '%M'}}", "", "no hour", "as the source"),
    "a zone of a local time": ("{times: {local: '%Y %z'}}", "", "has a zone", "timestamp"),
    "a JSON date of a local time": ("{times: {local: json_date}}", "", "has a zone", "timestamp"),
    "no path": ("{times: {'updated[0]': epoch_s}}", "", "no path of a field", "passed through"),
    "an unknown zone": ("{time_zone: Europe/Berlni}", "", "Berlni", "Europe/Berlin"),
    "nulls of a field that is never null": (
        "{null_values: [{detail.at: ['-']}]}",
        "",
        "never null",
        "allow null",
    ),
    "nulls of no field": ("{null_values: {updted: ['-']}}", "", "no field", "'updated'"),
    "nulls that are no texts": ("{null_values: [5]}", "", "null_values", ""),
    "an unknown thing to coerce": ("{coerce: [number]}", "", "number", "'numbers'"),
    "one sign for two things": (
        "{coerce: {numbers: {group: '.'}}}",
        "",
        "group and decimal",
        "",
    ),
    "a digit as a sign": ("{coerce: {numbers: {decimal: '5'}}}", "", "numbers themselves", ""),
    "one word for both": (
        "{coerce: {booleans: [[Y, X], [x, N]]}}",
        "",
        "both true and false",
        "",
    ),
    "two formats for one field": (
        "{times: {updated: epoch_s}}",
        f"{INCREMENTAL}, format: {{record: epoch_ms}}}}",
        "two formats",
        "take one of them out",
    ),
    "the same format twice": (
        "{times: {updated: epoch_s}}",
        f"{INCREMENTAL}, format: {{record: epoch_s}}}}",
        "two formats",
        "take one of them out",
    ),
    "a key that Avro's JSON has no use for": (
        "{encoding: avro, times: {updated: epoch_s}}",
        "",
        "no effect",
        "encoding plain",
    ),
    "a zone that Avro's JSON has no use for": (
        "{encoding: avro, time_zone: UTC}",
        "",
        "no effect",
        "encoding plain",
    ),
    "a key of another format": (
        "{type: avro, times: {updated: epoch_s}}",
        "",
        "times",
        "",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_key_is_named_with_its_place_and_the_way_out(case: str, spelled: Check) -> None:
    decode, source, found, hints = WRONG[case]
    (problem,) = spelled(config(decode, source))
    assert problem.place.file == "a.yaml" and problem.place.line == 6
    assert problem.place.key.startswith(AT)
    assert found in str(problem) and hints in str(problem)


@pytest.mark.parametrize("key", ["record", "param"])
@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("%m/%m/%Y", "%m more than once"),
        ("%Y%Y", "%Y more than once"),
        ("%c %Y", "%Y more than once"),
        ("%f %f", "%f more than once"),
        ("%d.%m.%Y %I:%M", "%I needs %p"),
        ("%Y-%W", "only with a year"),
    ],
)
def test_a_mark_in_a_pattern_with_a_flaw_is_named_with_its_place(
    key: str, pattern: str, reason: str, spelled: Check
) -> None:
    (problem,) = spelled(config("{}", f"{INCREMENTAL}, format: {{{key}: '{pattern}'}}}}"))
    assert (problem.place.file, problem.place.line) == ("a.yaml", 5)
    assert problem.place.key.endswith(f"source.incremental.format.{key}")
    assert reason in str(problem) and "epoch_s" in str(problem)


@pytest.mark.parametrize("decode", ["{times: {updated: '%f %f'}}", "{times: {updated: '%Y%Y'}}"])
def test_a_flaw_in_the_pattern_of_the_mark_names_the_key_that_was_written(
    decode: str, spelled: Check
) -> None:
    problems = spelled(config(decode, f"{INCREMENTAL}}}"))
    assert f"{AT}.times.updated" in {each.place.key for each in problems}
    assert all("more than once" in str(each) for each in problems)


@pytest.mark.parametrize(
    "decode",
    [
        "{times: {updated: epoch_s, '\"created-at\"': epoch_ns, detail.at: json_date}}",
        "{times: {lines.at: '%d.%m.%Y %H:%M'}, time_zone: Europe/Berlin}",
        "{times: {day: epoch_s, clock: '%I:%M %p', local: epoch_ms, updated: '%d %b %Y %z'}}",
        "{times: {local: '%d.%m.%Y', day: '%m/%d/%Y'}}",
        "{null_values: ['', N/A, {detail.note: ['-'], updated: ['0000-00-00']}]}",
        "{null_values: {detail.note: ['-']}}",
        "{coerce: [numbers, booleans]}",
        "{coerce: {numbers: {group: '.', decimal: ','}, booleans: [[ja, 1], [nein, 0]]}}",
        "{type: ndjson, coerce: [numbers], time_zone: UTC}",
    ],
)
def test_a_right_key_is_no_problem(decode: str, spelled: Check) -> None:
    assert spelled(config(decode)) == []


def problems_and_parts(text: str, found: list[Problem]) -> Parts:
    assert found == []
    Path("a.yaml").write_text(text)
    return Parts.of("items", load_settings([Path("a.yaml")]).pipelines["items"])


@pytest.mark.parametrize(
    ("decode", "form", "record", "zone"),
    [
        ("{times: {updated: epoch_s}}", "", "epoch_s", "UTC"),
        ("{type: json}", ", format: {record: epoch_ns}", "epoch_ns", "UTC"),
        ("{time_zone: Europe/Berlin}", "", "rfc3339", "Europe/Berlin"),
        (
            "{times: {updated: '%d.%m.%Y %H:%M'}, time_zone: Europe/Berlin}",
            "",
            "%d.%m.%Y %H:%M",
            "Europe/Berlin",
        ),
        (
            "{time_zone: Europe/Berlin}",
            ", format: {record: '%d.%m.%Y %H:%M', zone: Asia/Tokyo}",
            "%d.%m.%Y %H:%M",
            "Asia/Tokyo",
        ),
    ],
)
def test_the_mark_and_the_value_have_one_format(
    decode: str, form: str, record: str, zone: str, spelled: Check
) -> None:
    text = config(decode, f"{INCREMENTAL}{form}}}")
    if record == "rfc3339":
        text = text.replace("initial: 0", "initial: 2024-01-01T00:00:00Z")
    parts = problems_and_parts(text, spelled(text))
    marks = parts.config.source.incremental
    assert marks is not None
    assert (marks.format.record, marks.format.zone) == (record, zone)
    written: Any = {
        "epoch_s": 1714979280,
        "epoch_ns": 1714979280 * 10**9,
        "rfc3339": "2024-05-06T09:08:00",
        "%d.%m.%Y %H:%M": "06.05.2024 09:08" if "Berlin" in zone else "06.05.2024 16:08",
    }[record]
    detail = {"at": "2024-05-06T07:08:00Z"}
    record_ = {"id": 1, "created-at": 0, "updated": written, "detail": detail, "lines": []}
    value = parts.plan.one(json.dumps(record_).encode()).f2
    assert value == 1714979280_000
    assert marks.spec("x").format.parser()(written) == (value * 1_000, 0)


def test_a_mark_that_is_no_time_says_nothing_of_its_field(spelled: Check) -> None:
    text = config("{type: json}", f"{INCREMENTAL}, format: {{record: int}}}}")
    parts = problems_and_parts(text, spelled(text))
    raw = b'{"id": 1, "created-at": 0, "updated": 5, "detail": {"at": 0}, "lines": []}'
    assert parts.plan.one(raw).f2 == 5


def test_a_mark_outside_of_the_schema_needs_no_field_of_it(spelled: Check) -> None:
    source = (
        ", incremental: {field: meta.seen, param: since, initial: 0, format: {record: epoch_s}}"
    )
    assert spelled(config("{type: json}", source)) == []


def test_defaults_may_say_what_only_some_pipelines_have_a_use_for(spelled: Check) -> None:
    text = config("{encoding: avro}").replace(
        "pipelines:", "defaults: {decode: {time_zone: UTC, null_values: ['']}}\npipelines:"
    )
    assert spelled(text) == []


def test_the_short_forms_mean_the_long_ones() -> None:
    def of(**keys: Any) -> Any:
        return Decode.model_validate({"type": "json", **keys}).spellings

    assert of(coerce=["numbers"]).numbers == of(coerce={"numbers": {}}).numbers == Numbers()
    assert of(coerce=["booleans"]).booleans["y"] is True
    assert of(coerce=["booleans"]).booleans[0] is False
    assert of(null_values={"a.b": ["-"]}).named_nulls == {("a", "b"): frozenset("-")}
    assert of(null_values=["", {"a": ["x"]}, {"a": ["y"]}]).named_nulls == {("a",): frozenset("xy")}
    assert of(times={"a.b": "epoch_s"}, time_zone="UTC").times == {
        ("a", "b"): TimeForm("epoch_s", "UTC")
    }


@pytest.mark.parametrize(
    ("decode", "changed"),
    [
        ("{times: {updated: epoch_ms}}", {"incremental", "incremental.format.record"}),
        ("{times: {detail.at: epoch_s}, null_values: [''], coerce: [numbers]}", set()),
        ("{time_zone: UTC}", set()),
        ("{time_zone: Asia/Tokyo}", {"incremental", "incremental.format.zone"}),
    ],
)
def test_only_what_changes_the_mark_changes_what_a_cursor_means(
    decode: str, changed: set[str], spelled: Check
) -> None:
    initial = ', incremental: {field: updated, param: since, initial: "2024-01-01T00:00:00Z"}'

    def meaning(keys: str) -> dict[str, str]:
        text = config(keys, initial)
        return problems_and_parts(text, spelled(text)).config.meaning()

    before, after = meaning("{type: json}"), meaning(decode)
    assert {key for key in before | after if before.get(key) != after.get(key)} == changed
