"""The table of spellings: what a source writes x type x `decode` -> the value, or the reject and
the key that it names. It is printed as docs/reference/values.md, and a test holds it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec
from ruamel.yaml import YAML

from worker.core.ports import InvalidRecord
from worker.formats.json import Decode
from worker.schema import CompiledPlan, compile_plan, parse_schema
from worker.schema.logical import text_of
from worker.schema.model import Type

HEAD = """# Values: how sources write them

This page is generated from the code by `make docs`; a test holds every row.
A JSON value becomes a value of its field, or its record is a reject whose error names the field, what was found, what is allowed, and the key that would read it.
No value is changed in silence: only digits of a second that are finer than the type are cut.

Without configuration a time in text is ISO 8601 (basic or extended), RFC 3339 or RFC 2822; a time in a number counts the unit of its type.
Beyond that, the keys of `decode` say how the source writes values:

| key | says |
|---|---|
| `times` | how the times of a field are written; arrays and maps on the way of its path are passed through |
| `time_zone` | the zone of times in text that name none; a time that comes twice, as the clocks go back, is the first of the two, and one that the clocks leave out has the offset from before (RFC 5545) |
| `null_values` | texts that mean null, in nullable fields that are no text; in a field that is named, even if it is text |
| `coerce` | that numbers and flags may be text, and how |

```yaml
decode:
  times: {created: epoch_s, detail.at: "%d.%m.%Y %H:%M"}
  time_zone: Europe/Berlin
  null_values: ["", N/A, {city: ["-"]}]
  coerce: {numbers: {group: ".", decimal: ","}, booleans: [[ja], [nein]]}
```

`source.incremental.format.record` counts for the incremental field in the same way as `times`, so that the mark and the value in the files agree; a field has one of the two, or the config is refused.
A pattern of `times` is one of Python's `strptime`, in English. No part of it is ignored: a directive that comes twice or has no effect is an error of the config, and a text that contradicts itself, like a wrong day of the week, is a reject.
Where its path is not that of one field (`a || b`, `lines[0].at`, the key of a map), the format counts for the mark alone; times of the schema that the path may lead to are then named in `times`, or the config is refused.
A number in text keeps its type: `5.0` is no whole number, and `1,5` is none where a comma separates thousands.
In a union of numbers and flags, text that is a number is never taken for a flag: `"1"` is the number, as `"2"` is.

Times have a range that common readers of Avro (fastavro, Apache Avro, polars, Python) can read: a time of day is one of one day, a date or timestamp is in the years 1 to 9999, and in nanoseconds from 1677-09-21 to 2262-04-11.
What lies outside is a reject, also where an expression or a `python` step made it.

A number whose unit `decode.times` does not say counts the unit of its type, and no other unit is guessed.
Where it is one of the first 48 days of 1970, and in a coarser unit a time of the years 1973 to 2099, as seconds in a field of milliseconds are, it lands and is told: the warning `times.doubtful` (and a warning of `check --connect` and `read`) names the field, both times, and the key that ends the doubt.
"""

MILLIS = "timestamp-millis"
LOGICAL = {
    "date": "int",
    "time-millis": "int",
    "time-micros": "long",
    "uuid": "string",
    **{
        f"{local}timestamp-{unit}": "long"
        for local in ("", "local-")
        for unit in ("millis", "micros", "nanos")
    },
}


class Row(NamedTuple):
    """A spelling.

    Attributes:
        written: the value in JSON.
        kind: its type; `?` behind it allows null, `[]` makes an array of it.
        decode: the keys under `decode`, as YAML.
        value: the value as `worker cat` shows it; empty for a reject.
        names: words of the error of a reject.
    """

    written: str
    kind: str
    decode: str = ""
    value: str = ""
    names: str = ""


def taken(written: str, kind: str, value: str, decode: str = "") -> Row:
    return Row(written, kind, decode, value)


def reject(written: str, kind: str, names: str, decode: str = "") -> Row:
    return Row(written, kind, decode, names=names)


AT = '"2024-05-06T07:08:09Z"'
EPOCH_S = "times: {at: epoch_s}"
BERLIN = "time_zone: Europe/Berlin"
NULLS = 'null_values: ["", N/A]'
GERMAN = 'coerce: {numbers: {group: ".", decimal: ","}}'
SECTIONS: dict[str, list[Row]] = {
    "Timestamps in text": [
        taken('"2024-05-06T07:08:09Z"', MILLIS, AT),
        taken('"2024-05-06T09:08:09+02:00"', MILLIS, AT),
        taken('"2024-05-06T07:08:09.000+0000"', MILLIS, AT),
        taken('"2024-05-06T07:08:09+00"', MILLIS, AT),
        taken('"2024-05-06 07:08:09 +0000"', MILLIS, AT),
        taken('"2024-05-06 07:08:09 UTC"', MILLIS, AT),
        taken('"2024-05-06 07:08:09GMT"', MILLIS, AT),
        taken('"20240506T070809Z"', MILLIS, AT),
        taken('"20240506T090809+0200"', MILLIS, AT),
        taken('"2024-05-06T07:08Z"', MILLIS, '"2024-05-06T07:08:00Z"'),
        taken('"2024-05-06T07:08:09,5Z"', MILLIS, '"2024-05-06T07:08:09.500Z"'),
        taken('"2024-05-06T07:08:09.1239999Z"', MILLIS, '"2024-05-06T07:08:09.123Z"'),
        taken(
            '"2024-05-06T07:08:09.123456789Z"',
            "timestamp-nanos",
            '"2024-05-06T07:08:09.123456789Z"',
        ),
        taken('"Mon, 06 May 2024 07:08:09 GMT"', MILLIS, AT),
        taken('"6 May 2024 09:08:09 +0200 (CEST)"', MILLIS, AT),
        taken('"9999-12-31T23:59:59.9999999Z"', MILLIS, '"9999-12-31T23:59:59.999Z"'),
        taken('["2024-05-06T07:08:09Z"]', f"{MILLIS}[]", f"[{AT}]"),
        reject('"Tue, 06 May 2024 07:08:09 GMT"', MILLIS, "decode.times"),
        reject('"2024-05-06T24:00:00Z"', MILLIS, "decode.times"),
        reject('"2016-12-31T23:59:60Z"', MILLIS, "decode.times"),
        reject('"2024-02-30T00:00:00Z"', MILLIS, "decode.times"),
        reject('"2024-05-06"', MILLIS, "decode.times"),
        reject('"05/06/2024 07:08"', MILLIS, "decode.times"),
        reject('"2024-05-06T07:08:09 EST"', MILLIS, "decode.times"),
        reject('"1714979289"', MILLIS, "decode.times"),
        reject('"2300-01-01T00:00:00Z"', "timestamp-nanos", "2262-04-11"),
    ],
    "Times without a zone": [
        taken('"2024-05-06T07:08:09"', "local-timestamp-millis", '"2024-05-06T07:08:09"'),
        taken('"20240506T0708"', "local-timestamp-micros", '"2024-05-06T07:08:00"'),
        reject('"2024-05-06T07:08:09Z"', "local-timestamp-millis", "without a zone"),
        reject('"2024-05-06T07:08:09"', MILLIS, "decode.time_zone"),
        taken('"2024-05-06T09:08:09"', MILLIS, AT, BERLIN),
        taken('"2024-05-06T07:08:09Z"', MILLIS, AT, BERLIN),
        taken('"2024-10-27T02:30:00"', MILLIS, '"2024-10-27T00:30:00Z"', BERLIN),
        taken('"2024-03-31T02:30:00"', MILLIS, '"2024-03-31T01:30:00Z"', BERLIN),
    ],
    "Numbers as timestamps": [
        taken("1714979289000", MILLIS, AT),
        taken("1714979289", MILLIS, '"1970-01-20T20:22:59.289Z"'),
        reject("1714979289000000", MILLIS, "decode.times"),
        reject("1714979289.5", MILLIS, "decode.times"),
        taken("1714979289", MILLIS, AT, EPOCH_S),
        taken("1714979289.1239", MILLIS, '"2024-05-06T07:08:09.123Z"', EPOCH_S),
        taken('"1714979289.123456"', "timestamp-micros", '"2024-05-06T07:08:09.123456Z"', EPOCH_S),
        taken('"1714979289000"', MILLIS, AT, "times: {at: epoch_ms}"),
        taken("1714979289000000", MILLIS, AT, "times: {at: epoch_us}"),
        taken("1714979289000000001", MILLIS, AT, "times: {at: epoch_ns}"),
        taken("-0.5", MILLIS, '"1969-12-31T23:59:59.500Z"', EPOCH_S),
        taken("[1714979289]", f"{MILLIS}[]", f"[{AT}]", EPOCH_S),
        reject("1714979289000", MILLIS, "epoch_s", EPOCH_S),
        reject(AT, MILLIS, "epoch_s", EPOCH_S),
        taken('"/Date(1714979289000)/"', MILLIS, AT, "times: {at: json_date}"),
        taken('"/Date(1714979289000+0200)/"', MILLIS, AT, "times: {at: json_date}"),
    ],
    "Patterns": [
        taken('"06.05.2024 09:08"', MILLIS, '"2024-05-06T07:08:00Z"', f"{{times: {{at: '%d.%m.%Y %H:%M'}}, {BERLIN}}}"),
        taken('"05/06/2024 07:08 AM +0000"', MILLIS, '"2024-05-06T07:08:00Z"', "times: {at: '%m/%d/%Y %I:%M %p %z'}"),
        taken('"06.05.2024"', "date", '"2024-05-06"', "times: {at: '%d.%m.%Y'}"),
        taken("20240506", "date", '"2024-05-06"', "times: {at: '%Y%m%d'}"),
        taken('"7:08 PM"', "time-millis", '"19:08:00"', "times: {at: '%I:%M %p'}"),
        reject('"2024-05-06"', "date", "%d.%m.%Y", "times: {at: '%d.%m.%Y'}"),
        taken('"06.05.2024 07:08:09.1234567"', "timestamp-nanos", '"2024-05-06T07:08:09.123456700Z"', "{times: {at: '%d.%m.%Y %H:%M:%S.%f'}, time_zone: UTC}"),
        taken('"Monday 6/5/2024"', "date", '"2024-05-06"', "times: {at: '%A %d/%m/%Y'}"),
        reject('"Sunday 6/5/2024"', "date", "%A %d/%m/%Y", "times: {at: '%A %d/%m/%Y'}"),
        taken('"2024-127"', "date", '"2024-05-06"', "times: {at: '%Y-%j'}"),
        reject('"2023-366"', "date", "%Y-%j", "times: {at: '%Y-%j'}"),
    ],
    "Dates and times of day": [
        taken('"2024-05-06"', "date", '"2024-05-06"'),
        taken('"20240506"', "date", '"2024-05-06"'),
        taken('"06 May 2024"', "date", '"2024-05-06"'),
        taken("19849", "date", '"2024-05-06"'),
        taken("1714979289", "date", '"2024-05-06"', EPOCH_S),
        reject('"2024-05-06T00:00:00"', "date", "decode.times"),
        reject("20240506", "date", "decode.times"),
        taken('"07:08:09.5"', "time-millis", '"07:08:09.500"'),
        taken('"07:08"', "time-micros", '"07:08:00"'),
        taken('"T070809"', "time-millis", '"07:08:09"'),
        taken("86399999", "time-millis", '"23:59:59.999"'),
        reject("86400000", "time-millis", "decode.times"),
        reject('"24:00:00"', "time-millis", "decode.times"),
        reject('"070809"', "time-millis", "decode.times"),
    ],
    "Nulls in text": [
        reject('""', "long?", "decode.null_values"),
        taken('""', "long?", "null", NULLS),
        taken('"N/A"', "double?", "null", NULLS),
        taken('"N/A"', f"{MILLIS}?", "null", NULLS),
        taken('""', "boolean?", "null", NULLS),
        taken('""', "long[]?", "null", NULLS),
        taken('""', "uuid?", "null", NULLS),
        taken('""', "string?", '""', NULLS),
        taken('"-"', "string?", "null", "null_values: {at: ['-']}"),
        reject('"n/a"', "long?", "whole number", NULLS),
        reject('""', "long", "whole number", NULLS),
    ],
    "Numbers in text": [
        reject('"1234.5"', "double", "decode.coerce"),
        taken('"1234.5"', "double", "1234.5", "coerce: [numbers]"),
        taken('"1,234.5"', "double", "1234.5", "coerce: [numbers]"),
        taken('"-1,234,567"', "long", "-1234567", "coerce: [numbers]"),
        taken('" 7 "', "int", "7", "coerce: [numbers]"),
        taken('"1e3"', "double", "1000.0", "coerce: [numbers]"),
        taken('"1.234,5"', "double", "1234.5", GERMAN),
        taken('"1.234"', "long", "1234", GERMAN),
        reject('"1,5"', "double", "decode.coerce", "coerce: [numbers]"),
        reject('"1,23,456"', "long", "decode.coerce", "coerce: [numbers]"),
        reject('"5.0"', "long", "decode.coerce", "coerce: [numbers]"),
        reject('"2147483648"', "int", "2147483647", "coerce: [numbers]"),
        reject('"1e400"', "double", "range of double", "coerce: [numbers]"),
        reject('"NaN"', "double", "decode.coerce", "coerce: [numbers]"),
        reject('""', "long", "decode.coerce", "coerce: [numbers]"),
        reject("1.0", "long", "whole number", "coerce: [numbers]"),
    ],
    "Decimals": [
        taken("1.5", "decimal(12,3)", '"1.5"'),
        taken("1.5e3", "decimal(12,3)", '"1500.0"'),
        taken("99999999.9990000000000000", "decimal(12,3)", '"99999999.999"'),
        taken('"99999999.9990000000000000"', "decimal(12,3)", '"99999999.9990000000000000"'),
        taken("12345678901234567890.12", "decimal(22,2)", '"12345678901234567890.12"'),
        taken('"1.234,5"', "decimal(12,3)", '"1234.5"', GERMAN),
        reject("99999999.9999999999999", "decimal(12,3)", "12 digits"),
        reject('"99999999.9999999999999"', "decimal(12,3)", "12 digits"),
        reject("1e-400", "decimal(12,3)", "12 digits"),
        reject('"1_0"', "decimal(12,3)", "12 digits"),
    ],
    "Flags": [
        reject('"Y"', "boolean", "decode.coerce"),
        reject("1", "boolean", "decode.coerce"),
        taken('"Y"', "boolean", "true", "coerce: [booleans]"),
        taken('"no"', "boolean", "false", "coerce: [booleans]"),
        taken('"TRUE"', "boolean", "true", "coerce: [booleans]"),
        taken("0", "boolean", "false", "coerce: [booleans]"),
        taken('"1"', "boolean?", "true", "coerce: [booleans]"),
        taken('"Ja"', "boolean", "true", "coerce: {booleans: [[ja], [nein]]}"),
        reject('"yes"', "boolean", "ja, nein", "coerce: {booleans: [[ja], [nein]]}"),
        reject("2", "boolean", "decode.coerce", "coerce: [booleans]"),
        reject("1.0", "boolean", "decode.coerce", "coerce: [booleans]"),
    ],
}  # fmt: skip
ROWS = [row for rows in SECTIONS.values() for row in rows]


def schema_type(kind: str) -> Any:
    """The Avro type of a row."""
    if kind.endswith("?"):
        return ["null", schema_type(kind[:-1])]
    if kind.endswith("[]"):
        return {"type": "array", "items": schema_type(kind[:-2])}
    if kind.startswith("decimal("):
        precision, scale = map(int, kind[len("decimal(") : -1].split(","))
        return {
            "type": "bytes",
            "logicalType": "decimal",
            "precision": precision,
            "scale": scale,
        }
    return {"type": LOGICAL[kind], "logicalType": kind} if kind in LOGICAL else kind


def plan_of(row: Row) -> CompiledPlan:
    """The compiled schema `{at: kind}` with what `decode` says."""
    keys = YAML(typ="safe").load(row.decode) or {}
    field = {"name": "at", "type": schema_type(row.kind)}
    document = {"type": "record", "name": "R", "fields": [field]}
    decode = Decode.model_validate({"type": "json"} | keys)
    return compile_plan(parse_schema(json.dumps(document)), spellings=decode.spellings)


def outcome(row: Row) -> tuple[str, str]:
    """(value, error) of a row, as the engine has them."""
    plan = plan_of(row)
    raw = f'{{"at": {row.written}}}'.encode()
    try:
        datum = plan.one(raw).f0
    except InvalidRecord as invalid:
        (error,) = invalid.errors
        return "", f"{error.path.replace('[0]', '')}: found {error.found}, allowed {error.allowed}"
    return _shown(datum, plan.schema.root.fields[0].type), ""


def _shown(datum: Any, kind: Type) -> str:
    if isinstance(datum, list):
        inner = kind.items if kind.items is not None else kind.branches[1].items
        assert inner is not None
        return f"[{', '.join(_shown(each, inner) for each in datum)}]"
    kind = kind.branches[1] if kind.kind == "union" else kind
    show = text_of(kind)
    text = datum if show is None or datum is None else show(datum)
    return msgspec.json.encode(text).decode()


def values_page() -> str:
    """The page."""
    lines = [HEAD]
    for title, rows in SECTIONS.items():
        lines += [
            f"## {title}",
            "",
            "| JSON | type | `decode` | value, or reject |",
            "|---|---|---|---|",
        ]
        lines += [_line(row) for row in rows]
        lines.append("")
    return "\n".join(lines)


def _line(row: Row) -> str:
    value, error = outcome(row)
    decode = f"`{row.decode}`" if row.decode else ""
    result = f"`{value}`" if value else f"reject: {error.replace('|', chr(92) + '|')}"
    kind = row.kind.replace("?", ", nullable").replace("[]", ", in an array")
    return f"| `{row.written}` | {kind} | {decode} | {result} |"
