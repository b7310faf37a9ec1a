"""Every way to get a config wrong: where it is, what was found, what is allowed; all of them in one
run.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from config.conftest import RIGHT, Check
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.cli.check import examine
from worker.config.problems import ConfigProblems
from worker.settings import inspect_settings, load_settings


def source(text: str) -> str:
    """RIGHT with more keys in its source."""
    return RIGHT.replace('items"}', f'items", {text}}}')


def sink(text: str) -> str:
    return RIGHT.replace("path: lake}", f"path: lake, {text}}}")


def pipeline(text: str) -> str:
    return RIGHT + f"    {text}\n"


PAGINATION = "pipelines.items.source.pagination."
WINDOW = "{type: window, start_param: a, end_param: b, size: 7d}"
INCREMENTAL = "{field: at, initial: 2024-01-01T00:00:00Z}"


def windowed(window: str = "", *, initial: str = "2024-01-01T00:00:00Z", more: str = "") -> str:
    """A source of time windows: more keys of the window, and of incremental."""
    incremental = f"{{field: at, initial: {initial}{', ' + more if more else ''}}}"
    return source(
        f"incremental: {incremental}, pagination: {WINDOW[:-1]}{', ' + window if window else ''}}}"
    )


BOMB = (
    RIGHT
    + "x-a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
    + "".join(
        f"x-{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
        for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "name: *i\n"
)

# what is wrong -> text of the file, code, line, key, and pieces of the message
WRONG: dict[str, tuple[str | bytes, str, int, str, tuple[str, ...]]] = {
    # the file
    "empty file": ("", "yaml", 1, "", ("empty", "version: 1")),
    "only a comment": ("# nothing\n", "yaml", 1, "", ("empty",)),
    "a list at the root": ("- a\n- b\n", "yaml", 1, "", ("root is a list", "mapping")),
    "a word at the root": ("hello\n", "yaml", 1, "", ("single value",)),
    "broken YAML": (RIGHT + "  broken: [1, 2\n", "yaml", 9, "", ("broken YAML", "quotes")),
    "a tab": (RIGHT.replace("  items:", "\titems:"), "yaml", 4, "", ("\\t", "spaces")),
    "two documents": (RIGHT + "---\n" + RIGHT, "yaml", 8, "", ("broken YAML",)),
    "an unknown alias": (RIGHT + "name: *nobody\n", "yaml", 8, "", ("nobody",)),
    "not UTF-8": (RIGHT.encode() + b"name: \xff\xfe\n", "yaml", 8, "", ("UTF-8",)),
    "UTF-16": (RIGHT.encode("utf-16"), "yaml", 1, "", ("UTF-8",)),
    "a zero byte": (RIGHT.encode() + b"name: a\0b\n", "yaml", 8, "", ("broken YAML",)),
    "too large": (RIGHT + "#" * 2_100_000, "file", 0, "", ("2 MiB", "several files")),
    "an alias bomb": (BOMB, "yaml", 8, "name[0][0][0][0][8][9][9]", ("aliases",)),
    "nested too deep": (
        RIGHT + "name: " + "[" * 70 + "]" * 70 + "\n",
        "yaml",
        8,
        "name[0][0][0][0][0][0][0]",
        ("levels",),
    ),
    "nested far too deep": (
        RIGHT + "name: " + "[" * 5000 + "]" * 5000 + "\n",
        "yaml",
        1,
        "",
        ("levels",),
    ),
    "a key twice": (RIGHT + "state: {path: other}\n", "yaml", 8, "state", ("twice", "line 2")),
    "a Python tag": (RIGHT + "name: !!python/object:os.system {}\n", "yaml", 8, "name", ("tag",)),
    "a start in the year 9999": (
        source("schedule: {cron: '0 0 1 1 *', not_before: 9999-12-31}"),
        "not_allowed",
        5,
        "pipelines.items.source.schedule.not_before",
        ("no pass would start before the year 9999", "2999"),
    ),
    "a limit of no requests in a list": (
        source("rate_limit: [{requests: 0, per: 1s}]"),
        "not_allowed",
        5,
        "pipelines.items.source.rate_limit[0].requests",
        ("at least 0.001",),
    ),
    "an empty list of limits": (
        source("rate_limit: []"),
        "not_allowed",
        5,
        "pipelines.items.source.rate_limit",
        ("is empty",),
    ),
    "values that are found nowhere": (
        source("partitions: {x: {field: id}}"),
        "not_allowed",
        5,
        "pipelines.items.source.partitions.x.pipeline",
        ("either pipeline or file",),
    ),
    "a body and a form without POST": (
        source("body: {c: d}, form: {a: b}"),
        "not_allowed",
        5,
        "pipelines.items.source.form",
        ("both given, and a request has one body",),
    ),
    "an own tag": (RIGHT + "name: !include other.yaml\n", "yaml", 8, "name", ("tag",)),
    "binary": (RIGHT + "name: !!binary aGVsbG8=\n", "yaml", 8, "name", ("tag",)),
    "a list as key": (RIGHT + "? [a]\n: 1\n", "yaml", 8, "(root)", ("key is text",)),
    "not a number": (
        source("retry: {base: .nan}"),
        "yaml",
        5,
        "pipelines.items.source.retry.base",
        ("finite",),
    ),
    "a port beyond all ports": (
        RIGHT.replace("{path: state}", "{path: state}\nadmin: {listen: '127.0.0.1:65536'}"),
        "not_allowed",
        3,
        "admin.listen",
        ("65535",),
    ),
    "a list without its end": (RIGHT + "name: [a,\n  b\n\n", "yaml", 11, "", ("begun in line 8",)),
    # what answers mean
    "a status beyond all statuses": (
        source("responses: [{status: 700, do: retry}]"),
        "not_allowed",
        5,
        "pipelines.items.source.responses[0].status",
        ("100 to 599", "5xx"),
    ),
    "a class of statuses that is misspelt": (
        source("responses: [{status: [404, 50x], do: retry}]"),
        "not_allowed",
        5,
        "pipelines.items.source.responses[0].status",
        ("100 to 599", "5xx"),
    ),
    "a response without an action": (
        source("responses: [{status: 404}]"),
        "missing_key",
        5,
        "pipelines.items.source.responses[0].do",
        ("what it means",),
    ),
    "a key of responses that is misspelt": (
        source("responses: [{statuss: 404, do: retry}]"),
        "unknown_key",
        5,
        "pipelines.items.source.responses[0].statuss",
        ("did you mean 'status'?",),
    ),
    "skip in a style with links": (
        source("pagination: {type: link_header}, responses: [{status: 500, do: skip}]"),
        "not_allowed",
        5,
        "pipelines.items.source.responses[0].do",
        ("page or offset", "another pagination"),
    ),
    "skip of offsets without a limit": (
        source("pagination: {type: offset, param: o}, on_status: {500: skip}"),
        "not_allowed",
        5,
        "pipelines.items.source.on_status.500",
        ("set limit_param",),
    ),
    "a wait in two places at once": (
        source("retry_after: [{body: a, header: X-A}]"),
        "not_allowed",
        5,
        "pipelines.items.source.retry_after[0]",
        ("exactly one of body, header",),
    ),
    "a prefix of white space": (
        RIGHT + "    decode: {strip_prefix: ' '}\n",
        "not_allowed",
        8,
        "pipelines.items.decode.strip_prefix",
        ("white space",),
    ),
    # what is sent
    "a parameter without values": (
        source("params: {tag: []}"),
        "not_allowed",
        5,
        "pipelines.items.source.params.tag",
        ("at least one is needed",),
    ),
    "a parameter with a null value": (
        source("params: {tag: [a, null]}"),
        "wrong_type",
        5,
        "pipelines.items.source.params.tag[1]",
        ("text or a whole number",),
    ),
    "an allowed origin that is no URL": (
        source("allowed_origins: ['cdn.example.com']"),
        "not_allowed",
        5,
        "pipelines.items.source.allowed_origins[0]",
        ("https?",),
    ),
    "credentials of an allowed origin that are misspelt": (
        source("allowed_origins: [{url: 'https://cdn.example.com', credentials: sent}]"),
        "not_allowed",
        5,
        "pipelines.items.source.allowed_origins[0].credentials",
        ("did you mean 'send'?",),
    ),
    "an index beyond the array": (
        source(
            "method: POST, idempotent: true, body: {q: [{}]}, "
            "pagination: {type: page, to: {body: q.1.page}}"
        ),
        "not_allowed",
        5,
        "pipelines.items.source.pagination.to",
        ("the array body.q has 1 elements", "indexes count from 0"),
    ),
    # keys
    "unknown key": (
        RIGHT + "stat: {}\n",
        "unknown_key",
        8,
        "stat",
        ("'stat'", "did you mean 'state'?", "pipelines"),
    ),
    "defaults in the singular": (
        RIGHT + "default: {}\n",
        "unknown_key",
        8,
        "default",
        ("did you mean 'defaults'?",),
    ),
    "a status that is none": (
        source("on_status: {9999: empty}"),
        "not_allowed",
        5,
        "pipelines.items.source.on_status.9999",
        ("'9999'", "at most 599"),
    ),
    "a time that cannot be read": (
        source("incremental: {field: at, param: since, format: {record: '%Y %Q'}}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.format.record",
        ("strptime",),
    ),
    "a password in a URL": (
        RIGHT.replace("//api", "//me:hunter@api"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("no credentials in a URL", "basic"),
    ),
    "a host with a space": (
        RIGHT.replace("api.example.com", "api .example.com"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("host",),
    ),
    "unknown nested key": (
        source("shedule: {every: 5s}"),
        "unknown_key",
        5,
        "pipelines.items.source.shedule",
        ("did you mean 'schedule'?",),
    ),
    "unknown key in a list": (
        source("on_body: [{when: {path: a, equal: 1}, do: retry}]"),
        "unknown_key",
        5,
        "pipelines.items.source.on_body[0].when.equal",
        ("did you mean 'equals'?",),
    ),
    "unknown key in a style": (
        source("pagination: {type: cursor, from: {bdy: a}, to: {param: b}}"),
        "unknown_key",
        5,
        "pipelines.items.source.pagination.from.bdy",
        ("did you mean 'body'?", "header"),
    ),
    "no version": (RIGHT.replace("version: 1\n", ""), "missing_key", 1, "version", ("missing",)),
    "version 2": (
        RIGHT.replace("version: 1", "version: 2"),
        "not_allowed",
        1,
        "version",
        ("number 2", "allowed are 1"),
    ),
    "no pipelines": ("version: 1\n", "missing_key", 1, "pipelines", ("missing",)),
    "pipelines empty": (
        "version: 1\npipelines: {}\n",
        "not_allowed",
        2,
        "pipelines",
        ("empty", "at least one"),
    ),
    "pipelines a list": (
        "version: 1\npipelines: [a]\n",
        "wrong_type",
        2,
        "pipelines",
        ("a list", "mapping"),
    ),
    "a pipeline of nothing": (
        "version: 1\npipelines:\n  a:\n",
        "wrong_type",
        3,
        "pipelines.a",
        ("null", "mapping"),
    ),
    "no sink": (
        RIGHT.replace("    sink: {path: lake}\n", ""),
        "missing_key",
        4,
        "pipelines.items.sink",
        ("missing",),
    ),
    "a bad name": (
        RIGHT + "name: Lake House\n",
        "not_allowed",
        8,
        "name",
        ("'Lake House'", "lower-case"),
    ),
    "a bad pipeline name": (
        RIGHT.replace("  items:", "  Items:"),
        "not_allowed",
        4,
        "pipelines.Items",
        ("'Items'", "lower-case"),
    ),
    "a long name": (RIGHT + f"name: {'a' * 64}\n", "not_allowed", 8, "name", ("63",)),
    # values
    "wrong type": (
        source("concurrency: many"),
        "wrong_type",
        5,
        "pipelines.items.source.concurrency",
        ("'many'", "whole number"),
    ),
    "a boolean is no number": (
        source("concurrency: true"),
        "wrong_type",
        5,
        "pipelines.items.source.concurrency",
        ("true", "whole number"),
    ),
    "text is no number": (
        sink('roll: {records: "5"}'),
        "wrong_type",
        7,
        "pipelines.items.sink.roll.records",
        ("'5'", "whole number"),
    ),
    "a number is no header": (
        source("headers: {revision: 5}"),
        "wrong_type",
        5,
        "pipelines.items.source.headers.revision",
        ("number", "in quotes"),
    ),
    "out of bounds": (
        source("concurrency: 0"),
        "not_allowed",
        5,
        "pipelines.items.source.concurrency",
        ("number 0", "at least 1"),
    ),
    "none of the choices": (
        source("method: PSOT"),
        "not_allowed",
        5,
        "pipelines.items.source.method",
        ("'PSOT'", "GET, POST", "did you mean 'POST'?"),
    ),
    "an unknown style": (
        source("pagination: {type: curser}"),
        "not_allowed",
        5,
        "pipelines.items.source.pagination.type",
        ("did you mean 'cursor'?", "offset"),
    ),
    "a style without type": (
        source("pagination: {rel: next}"),
        "missing_key",
        5,
        "pipelines.items.source.pagination.type",
        ("missing", "link_header"),
    ),
    "unknown credentials": (
        source("auth: {type: bearr, token: x}"),
        "not_allowed",
        5,
        "pipelines.items.source.auth.type",
        ("did you mean 'bearer'?",),
    ),
    "a bad URL": (
        RIGHT.replace("https://api.example.com", "ftp://api.example.com"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("ftp://", "https://"),
    ),
    "a URL with a bad port": (
        RIGHT.replace("example.com/", "example.com:99999/"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("no URL", "65535"),
    ),
    "a URL with a broken host": (
        RIGHT.replace("api.example.com", "[::1"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("no URL",),
    ),
    "a host of a partition": (
        source("partitions: {p: [a]}").replace("api.example", "{partition.p}.example"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("behind the host only",),
    ),
    "a bad status": (
        source("on_status: {4044: empty}"),
        "not_allowed",
        5,
        "pipelines.items.source.on_status.4044",
        ("599",),
    ),
    "a bad action": (
        source("on_status: {404: emty}"),
        "not_allowed",
        5,
        "pipelines.items.source.on_status.404",
        ("did you mean 'empty'?",),
    ),
    "a duration without unit": (
        source("schedule: {every: 60}"),
        "not_allowed",
        5,
        "pipelines.items.source.schedule.every",
        ("500ms", "60"),
    ),
    "a duration of another language": (
        source("schedule: {every: 1min}"),
        "not_allowed",
        5,
        "pipelines.items.source.schedule.every",
        ("'1min'",),
    ),
    "a duration for ever": (
        source("schedule: {every: 999999999999d}"),
        "not_allowed",
        5,
        "pipelines.items.source.schedule.every",
        ("duration",),
    ),
    "a schedule of no time": (
        source("schedule: {every: 0s}"),
        "not_allowed",
        5,
        "pipelines.items.source.schedule.every",
        ("more than 0",),
    ),
    "a negative duration": (
        sink("roll: {age: -5s}"),
        "not_allowed",
        7,
        "pipelines.items.sink.roll.age",
        ("duration",),
    ),
    "a decimal size": (
        sink("roll: {bytes: 128MB}"),
        "not_allowed",
        7,
        "pipelines.items.sink.roll.bytes",
        ("MiB", "'128MB'"),
    ),
    "a size of nothing": (
        pipeline("channel_bytes: 0"),
        "not_allowed",
        8,
        "pipelines.items.channel_bytes",
        ("more than 0",),
    ),
    "a broken path of a style": (
        source("pagination: {type: cursor, from: {body: 'm..n'}, to: {param: c}}"),
        "not_allowed",
        5,
        "pipelines.items.source.pagination.from.body",
        ("no JMESPath", "m..n"),
    ),
    "a broken path": (
        source('records: "data..items"'),
        "not_allowed",
        5,
        "pipelines.items.source.records",
        ("no JMESPath", "data..items"),
    ),
    "a broken path in a rule": (
        source("stop: {when: {path: 'a[', exists: true}}"),
        "not_allowed",
        5,
        "pipelines.items.source.stop.when.path",
        ("no JMESPath",),
    ),
    "two comparisons": (
        source("stop: {when: {path: a, equals: 1, less: 2}}"),
        "not_allowed",
        5,
        "pipelines.items.source.stop.when",
        ("exactly one",),
    ),
    "a comparison with nothing": (
        source("stop: {when: {path: a, less: null}}"),
        "not_allowed",
        5,
        "pipelines.items.source.stop.when",
        ("exactly one",),
    ),
    "a mark to nothing": (
        source("incremental: {field: at, to: {param: null}}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.to",
        ("exactly one of param, header, body",),
    ),
    "a list as type": (
        source("pagination: {type: []}"),
        "not_allowed",
        5,
        "pipelines.items.source.pagination.type",
        ("a list", "link_header"),
    ),
    "a number that changes": (
        source("params: {v: 2.10}"),
        "not_allowed",
        5,
        "pipelines.items.source.params.v",
        ("2.10", "2.1", "in quotes"),
    ),
    "an octal number": (
        source("params: {zip: 0o17}"),
        "not_allowed",
        5,
        "pipelines.items.source.params.zip",
        ("0o17", "15"),
    ),
    "a header with a line end": (
        source('headers: {X: "a\\r\\nb"}'),
        "not_allowed",
        5,
        "pipelines.items.source.headers.X",
        ("one line",),
    ),
    "a codec of another format": (
        sink("format: ndjson, codec: snappy"),
        "not_allowed",
        7,
        "pipelines.items.sink.codec",
        ("snappy", "null, gzip"),
    ),
    "two verbs in an item": (
        pipeline("transforms: [{drop: [a], select: [b]}]"),
        "not_allowed",
        8,
        "pipelines.items.transforms[0]",
        ("one verb",),
    ),
    "a python step outside of all packages": (
        pipeline("transforms: [{python: '../lake/x:f'}]"),
        "not_allowed",
        8,
        "pipelines.items.transforms[0].python",
        ("package.module:function",),
    ),
    "a python step that is code": (
        pipeline("transforms: [{python: 'os:system(1)'}]"),
        "not_allowed",
        8,
        "pipelines.items.transforms[0].python",
        ("package.module:function",),
    ),
    "a verb outside the list": (
        pipeline("transforms: {drop: [id]}"),
        "wrong_type",
        8,
        "pipelines.items.transforms",
        ("a mapping", "a list"),
    ),
    "a bad ratio": (
        pipeline("dead_letters: {max_ratio: 1.5}"),
        "not_allowed",
        8,
        "pipelines.items.dead_letters.max_ratio",
        ("1.5", "at most 1"),
    ),
    "a small window": (
        pipeline("dead_letters: {window: 10}"),
        "not_allowed",
        8,
        "pipelines.items.dead_letters.window",
        ("at least 100",),
    ),
    "dead letters in the lake": (
        pipeline("dead_letters: {path: lake}"),
        "not_allowed",
        8,
        "pipelines.items.dead_letters.path",
        ("is sink.path", "share"),
    ),
    "dead letters below the lake": (
        pipeline("dead_letters: {path: lake/dead}"),
        "not_allowed",
        8,
        "pipelines.items.dead_letters.path",
        ("below sink.path lake",),
    ),
    # keys together
    "nowhere to read": (
        RIGHT.replace('url: "https://api.example.com/items"', "method: GET"),
        "not_allowed",
        5,
        "pipelines.items.source.url",
        ("origin",),
    ),
    "path without origin": (
        source("path: /a"),
        "not_allowed",
        5,
        "pipelines.items.source.path",
        ("go together",),
    ),
    "a body in a GET": (
        source("body: {a: 1}"),
        "not_allowed",
        5,
        "pipelines.items.source.body",
        ("POST",),
    ),
    "a mark for nobody": (
        source("incremental: {field: at}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.param",
        ("goes nowhere", "{mark}"),
    ),
    "a mark twice": (
        source("incremental: {field: at, param: since}, params: {q: '{mark}'}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.param",
        ("twice",),
    ),
    "a mark without incremental": (
        source("params: {q: 'at > {mark}'}"),
        "not_allowed",
        5,
        "pipelines.items.source.params.q",
        ("needs incremental",),
    ),
    "a mark of nothing": (
        source("incremental: {param: since}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.field",
        ("field or from",),
    ),
    "an unknown format": (
        source("incremental: {field: at, param: since, format: {record: rfc3393}}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.format.record",
        ("did you mean 'rfc3339'?", "epoch_ms"),
    ),
    "an unknown zone": (
        source(
            "incremental: {field: at, param: since, format: {record: '%Y-%m-%d', zone: Mars/Olympus}}"
        ),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.format.zone",
        ("Europe/Berlin",),
    ),
    "an initial of another format": (
        source("incremental: {field: at, param: since, initial: 2024-01-01}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.initial",
        ("RFC 3339",),
    ),
    "overlap of numbers": (
        source("incremental: {field: n, param: since, overlap: 60s, format: {record: int}}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.overlap",
        ("times",),
    ),
    "times as numbers": (
        source("incremental: {field: n, param: since, format: {record: int, param: rfc3339}}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.format.param",
        ("'rfc3339'", "'int'"),
    ),
    "an unknown partition": (
        source("partitions: {tenant: [a]}, params: {t: '{partition.tennant}'}"),
        "not_allowed",
        5,
        "pipelines.items.source.params.t",
        ("did you mean 'tenant'?",),
    ),
    "an unknown partition in a secret": (
        source("auth: {type: bearer, token: {env: 'T_{partition.x}'}}"),
        "not_allowed",
        5,
        "pipelines.items.source.auth.token",
        ("no partitions",),
    ),
    "equal partitions": (
        source("partitions: {p: [1, '1']}"),
        "not_allowed",
        5,
        "pipelines.items.source.partitions.p",
        ("twice",),
    ),
    "partitions without end": (
        source(
            "partitions: {"
            + ", ".join(f"p{n}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]" for n in range(9))
            + "}"
        ),
        "not_allowed",
        5,
        "pipelines.items.source.partitions",
        ("1000000000 partitions", "100000"),
    ),
    "conditional with a validator of its own": (
        source("conditional: true, headers: {If-None-Match: x}"),
        "not_allowed",
        5,
        "pipelines.items.source.headers.If-None-Match",
        ("conditional sends",),
    ),
    "conditional ascending": (
        source("conditional: true, pagination: {type: link_header}"),
        "not_allowed",
        5,
        "pipelines.items.source.conditional",
        ("descending",),
    ),
    "dead bodies with a cursor": (
        source(
            "on_body_error: dead_letter, pagination: {type: cursor, from: {body: n}, to: {param: c}}"
        ),
        "not_allowed",
        5,
        "pipelines.items.source.on_body_error",
        ("token", "park"),
    ),
    "a window of no field": (
        source(f"pagination: {WINDOW}"),
        "not_allowed",
        5,
        PAGINATION + "type",
        ("no incremental", "field and initial"),
    ),
    "a window without its length": (
        windowed("x: 1").replace("size: 7d, x: 1", "lag: 5m"),
        "missing_key",
        5,
        PAGINATION + "size",
        ("longest window",),
    ),
    "a window of no time": (
        windowed().replace("7d", "0s"),
        "not_allowed",
        5,
        PAGINATION + "size",
        ("'0s'", "more than 0"),
    ),
    "a window of less than no time": (
        windowed().replace("7d", "-7d"),
        "not_allowed",
        5,
        PAGINATION + "size",
        ("'-7d'", "duration like"),
    ),
    "a window that ends in the future": (
        windowed("lag: -5m"),
        "not_allowed",
        5,
        PAGINATION + "lag",
        ("'-5m'", "duration like"),
    ),
    "an end of another kind": (
        windowed("end: open"),
        "not_allowed",
        5,
        PAGINATION + "end",
        ("'open'", "exclusive, inclusive"),
    ),
    "a step longer than the window": (
        windowed("step: 8d"),
        "not_allowed",
        5,
        PAGINATION + "step",
        ("step is 8d", "size, which is 7d", "at most"),
    ),
    "a step of no time": (
        windowed("step: 0s"),
        "not_allowed",
        5,
        PAGINATION + "step",
        ("more than 0",),
    ),
    "a step that the format cannot say": (
        windowed("step: 1h", initial='"2024-01-01"', more="format: {param: '%Y-%m-%d'}"),
        "not_allowed",
        5,
        PAGINATION + "step",
        ("step is 1h", "'%Y-%m-%d'", "less than 1d", "at least", "finer"),
    ),
    "a window that the format cannot say": (
        windowed(initial='"2024-01"', more="format: {param: '%Y-%m'}"),
        "not_allowed",
        5,
        PAGINATION + "size",
        ("size is 7d", "'%Y-%m'", "less than 31d"),
    ),
    "a format without a date": (
        windowed(initial="'07:00'", more="format: {param: '%H:%M'}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.format.param",
        ("'%H:%M'", "not read back", "rfc3339"),
    ),
    "a window of numbers": (
        windowed(initial="1", more="format: {record: int}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.format.record",
        ("range of times", "int", "epoch_s"),
    ),
    "a window of tokens": (
        windowed().replace(
            "field: at, initial: 2024-01-01T00:00:00Z", "from: {body: next}, param: since"
        ),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.from",
        ("needs field",),
    ),
    "a window that begins nowhere": (
        windowed().replace(", initial: 2024-01-01T00:00:00Z", ""),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.initial",
        ("missing", "where the first window begins"),
    ),
    "a window that begins never": (
        windowed(initial="soon", more="format: {param: epoch_s}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.initial",
        ("'soon'", "epoch_s", "rfc3339"),
    ),
    "a window that begins after the year 9999": (
        windowed(initial="1704067200000", more="format: {param: epoch_s}"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.initial",
        ("1704067200000", "no time"),
    ),
    "a mark beside a window": (
        windowed(more="param: since"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.param",
        ("twice", "by the window"),
    ),
    "a mark beside a window in a text": (
        windowed().replace("pagination", "params: {q: '{mark}'}, pagination"),
        "not_allowed",
        5,
        "pipelines.items.source.params.q",
        ("twice", "by the window"),
    ),
    "a newest bound beside a window": (
        windowed(more="newest_bound: 60s"),
        "not_allowed",
        5,
        "pipelines.items.source.incremental.newest_bound",
        ("lag",),
    ),
    "a window without a start": (
        windowed().replace("start_param: a, ", ""),
        "not_allowed",
        5,
        PAGINATION + "start_param",
        ("start_to", "found neither"),
    ),
    "a window with two ends": (
        windowed("end_to: {header: b}"),
        "not_allowed",
        5,
        PAGINATION + "end_param",
        ("end_to", "found both"),
    ),
    "a window whose ends are one": (
        windowed().replace("end_param: b", "end_param: a"),
        "not_allowed",
        5,
        PAGINATION + "end_param",
        ("same", "'a'"),
    ),
    "a window in a parameter that is taken": (
        windowed().replace("pagination", "params: {b: 1}, pagination"),
        "no_effect",
        5,
        "pipelines.items.source.params.b",
        ("params.b has no effect here", "pagination or incremental sends b"),
    ),
    "a split on no status": (
        windowed("split_on: {status: 40}"),
        "not_allowed",
        5,
        PAGINATION + "split_on.status",
        ("number 40", "at least 400"),
    ),
    "a split on a word": (
        windowed("split_on: {status: too_many}"),
        "wrong_type",
        5,
        PAGINATION + "split_on.status",
        ("'too_many'", "whole number"),
    ),
    "a split on success": (
        windowed("split_on: {status: 200}"),
        "not_allowed",
        5,
        PAGINATION + "split_on.status",
        ("number 200", "at least 400"),
    ),
    "a split on nothing": (
        windowed("split_on: {}"),
        "missing_key",
        5,
        PAGINATION + "split_on.status",
        ("status of the answer",),
    ),
    "a split that is no mapping": (
        windowed("split_on: 400"),
        "wrong_type",
        5,
        PAGINATION + "split_on",
        ("number 400", "mapping"),
    ),
    "halves longer than the window": (
        windowed("split_on: {status: 400, smallest: 8d}"),
        "not_allowed",
        5,
        PAGINATION + "split_on.smallest",
        ("smallest is 8d", "which is 7d"),
    ),
    "a split on a status that means something else": (
        windowed("split_on: {status: 404}").replace(
            "pagination", "on_status: {404: empty}, pagination"
        ),
        "not_allowed",
        5,
        PAGINATION + "split_on.status",
        ("two meanings", "on_status says empty"),
    ),
    "a split on a status that ends the pages": (
        windowed("split_on: {status: 404}").replace(
            "pagination", "stop: {status: [{code: 404}]}, pagination"
        ),
        "not_allowed",
        5,
        PAGINATION + "split_on.status",
        ("two meanings", "split_on.when"),
    ),
    "a window in a window": (
        windowed(f"within: {WINDOW}"),
        "not_allowed",
        5,
        PAGINATION + "within",
        ("no window within", "style of the pages"),
    ),
    "no pages in a window": (
        source(f"incremental: {INCREMENTAL}, pagination: {{type: none, within: {WINDOW}}}"),
        "not_allowed",
        5,
        PAGINATION + "within",
        ("none has no pages", "the pagination itself"),
    ),
    "pages within pages": (
        source(
            f"incremental: {INCREMENTAL}, pagination: {{type: offset, param: o, within: {{type: page, param: p}}}}"
        ),
        "not_allowed",
        5,
        PAGINATION + "within",
        ("'page'", "allowed are window", "beside within"),
    ),
    "a wrong window round pages": (
        source(
            f"incremental: {INCREMENTAL}, pagination: {{type: offset, param: a, within: {WINDOW}}}"
        ),
        "not_allowed",
        5,
        PAGINATION + "within.start_param",
        ("a is sent twice", "by pagination.param"),
    ),
    "an unknown key of a window": (
        windowed("stp: 1s"),
        "unknown_key",
        5,
        PAGINATION + "stp",
        ("did you mean 'step'?",),
    ),
    "conditional windows": (
        windowed(more="order: descending").replace("pagination", "conditional: true, pagination"),
        "not_allowed",
        5,
        "pipelines.items.source.conditional",
        ("no meaning with windows",),
    ),
    "a key without certificate": (
        source("tls: {key_file: k.pem}"),
        "not_allowed",
        5,
        "pipelines.items.source.tls.key_file",
        ("cert_file",),
    ),
    "records of rows": (
        source("records: a").replace("schema:", "decode: {type: csv}\n    schema:"),
        "not_allowed",
        5,
        "pipelines.items.source.records",
        (),
    ),
    # what it refers to
    "no schema file": (
        RIGHT.replace("item.avsc", "itm.avsc"),
        "schema",
        6,
        "pipelines.items.schema",
        ("itm.avsc", "No such file", "relative"),
    ),
    "a directory as schema": (
        RIGHT.replace("item.avsc", "."),
        "schema",
        6,
        "pipelines.items.schema",
        ("directory",),
    ),
    "no secret in the environment": (
        source("auth: {type: bearer, token: {env: NOT_SET}}"),
        "secret",
        5,
        "pipelines.items.source.auth.token",
        ("NOT_SET", "not set"),
    ),
    "no secret file": (
        source("auth: {type: bearer, token: {file: no/token}}"),
        "secret",
        5,
        "pipelines.items.source.auth.token",
        ("no/token", "No such file"),
    ),
    "no credential": (
        source("auth: {type: bearer, token: {credential: api}}"),
        "secret",
        5,
        "pipelines.items.source.auth.token",
        ("/run/secrets/api", "$CREDENTIALS_DIRECTORY is not set"),
    ),
    "a credential that climbs": (
        source("auth: {type: bearer, token: {credential: ../shadow}}"),
        "not_allowed",
        5,
        "pipelines.items.source.auth.token",
        ("below the credentials directory",),
    ),
    "two kinds of secret": (
        source("auth: {type: bearer, token: {env: A, file: b}}"),
        "not_allowed",
        5,
        "pipelines.items.source.auth.token",
        ("exactly one of env, file, credential",),
    ),
    "a mask without its key": (
        pipeline("transforms: [{mask: {fields: [city], key: {env: MASK_KEY}}}]"),
        "secret",
        8,
        "pipelines.items.transforms[0].mask.key",
        ("MASK_KEY",),
    ),
    "an output under a file": (
        sink("").replace("lake, ", "item.avsc/lake"),
        "path",
        7,
        "pipelines.items.sink.path",
        ("no directory",),
    ),
    "an output that nobody can write": (
        sink("").replace("lake, ", "/proc/nobody/lake"),
        "path",
        7,
        "pipelines.items.sink.path",
        ("cannot be written",),
    ),
    "state under a file": (
        RIGHT.replace("path: state", "path: item.avsc/state"),
        "path",
        2,
        "state.path",
        ("commit log", "no directory"),
    ),
    "no certificate": (
        source("tls: {ca_file: ca.pem}"),
        "path",
        5,
        "pipelines.items.source.tls.ca_file",
        ("ca.pem", "No such file"),
    ),
    "a certificate that is none": (
        source("tls: {ca_file: item.avsc}"),
        "pipeline",
        5,
        "pipelines.items.source.tls",
        ("certificates", "PEM"),
    ),
    "an output that is no text": (
        RIGHT.replace("lake}", '"l\\uDCFFke"}'),
        "path",
        7,
        "pipelines.items.sink.path",
        ("no UTF-8 text",),
    ),
    "an output in an object store": (
        RIGHT.replace("lake}", "s3://bucket/lake}"),
        "not_allowed",
        7,
        "pipelines.items.sink.path",
        ("the scheme s3", "directories only", "mount"),
    ),
    "an output as a file URL": (
        RIGHT.replace("lake}", "'file:///data/my%20lake'}"),
        "not_allowed",
        7,
        "pipelines.items.sink.path",
        ("the scheme file", "write /data/my lake"),
    ),
    "dead letters in an object store": (
        pipeline("dead_letters: {path: 'gs://bucket/dead'}"),
        "not_allowed",
        8,
        "pipelines.items.dead_letters.path",
        ("the scheme gs", "directories only"),
    ),
    "a route that listings leave out": (
        sink("partition_by: '_c={city}'"),
        "pipeline",
        7,
        "pipelines.items.sink.partition_by",
        ("'_'", "year="),
    ),
    "a route format that is none": (
        sink("partition_by: 'd={city:%Q}'"),
        "pipeline",
        7,
        "pipelines.items.sink.partition_by",
        ("strftime knows no %Q",),
    ),
    "an unknown route field": (
        sink("partition_by: 'c={ctiy}'"),
        "pipeline",
        7,
        "pipelines.items.sink.partition_by",
        ("ctiy", "did you mean 'city'?"),
    ),
    "an unknown field in an expression": (
        pipeline("transforms: [{drop: [city]}, {filter: 'city is null'}]"),
        "pipeline",
        8,
        "pipelines.items.transforms[1].filter",
        ("city",),
    ),
    "less than required": (
        pipeline("require_completeness: proven"),
        "pipeline",
        8,
        "pipelines.items.require_completeness",
        ("assumed", "proven"),
    ),
    "a registry without subject": (
        RIGHT.replace("item.avsc", "{registry: 'https://r'}"),
        "missing_key",
        6,
        "pipelines.items.schema.subject",
        ("is missing", "subject in the registry"),
    ),
}


# not built either; not there either
TWICE_WRONG = {"a key without certificate", "a body and a form without POST"}


def test_all_that_does_not_compile_is_said_at_once(check: Check) -> None:
    text = sink("partition_by: 'c={ctiy}'") + (
        "    transforms: [{filter: 'idd > 1'}, {mask: {fields: [citty]}}, {set: {new: 'nix + 1'}}, {filter: 'new > 1'}]\n    require_completeness: proven\n"
    )
    keys = [each.place.key.removeprefix("pipelines.items.") for each in check(text)]
    # nothing of the last filter: it may be right once `new` is
    assert keys == [
        "sink.partition_by",
        "transforms[0].filter",
        "transforms[1].mask",
        "transforms[2].set",
        "require_completeness",
    ]


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_config_is_named_with_its_place(case: str, check: Check) -> None:
    text, code, line, key, pieces = WRONG[case]
    problems = check(text)
    found = [
        each
        for each in problems
        if (each.code, each.place.line, each.place.key) == (code, line, key)
    ]
    assert len(found) == 1, problems
    assert all(piece in str(found[0]) for piece in pieces), str(found[0])
    assert len(problems) == (2 if case in TWICE_WRONG else 1), problems


def test_the_right_config_has_no_problem(check: Check) -> None:
    assert check(RIGHT) == []


def test_all_problems_are_said_in_one_run_in_the_order_of_the_file(check: Check) -> None:
    problems = check("""\
version: 2
nmae: x
pipelines:
  first:
    source: {url: "https://a/b", concurrency: no-number, incremental: {field: at, overlap: 5}}
    schema: missing.avsc
    sink: {path: item.avsc/x, codec: lz4}
  second:
    source: {url: "https://a/b", conditional: true, body: {}, timeout: {read: 0s}, auth: {type: bearer, token: {env: NOPE}}}
    schema: item.avsc
    sink: {path: lake, partition_by: "{city:%Y}"}
  third:
    source: {url: "https://a/b"}
    schema: item.avsc
    sink: {path: lake}
    transforms: [{filter: "nothing > 1"}]
""")
    assert sorted((each.place.line, each.place.key, each.code) for each in problems) == [
        (1, "version", "not_allowed"),
        (2, "nmae", "unknown_key"),
        (5, "pipelines.first.source.concurrency", "wrong_type"),
        (5, "pipelines.first.source.incremental.overlap", "not_allowed"),
        (5, "pipelines.first.source.incremental.param", "not_allowed"),
        (6, "pipelines.first.schema", "schema"),
        (7, "pipelines.first.sink.codec", "not_allowed"),
        (7, "pipelines.first.sink.path", "path"),
        (9, "pipelines.second.source.auth.token", "secret"),
        (9, "pipelines.second.source.body", "not_allowed"),
        (9, "pipelines.second.source.timeout.read", "not_allowed"),
        (16, "pipelines.third.transforms[0].filter", "pipeline"),
    ]


def test_a_check_of_keys_together_is_not_run_over_what_was_taken_out(check: Check) -> None:
    keys = "incremental: {field: at, param: ''}, partitions: {p: [1, 1]}, params: {p: '{partition.p}'}, pagination: {type: x}, conditional: false"
    found = {each.place.key.removeprefix("pipelines.items.source.") for each in check(source(keys))}
    assert found == {"incremental.param", "partitions.p", "pagination.type"}


@pytest.mark.parametrize(
    ("schema", "line", "path", "piece"),
    [
        ('{"type": "record",\n "name": "A"\n "fields": []}', 3, "$", "no JSON"),
        (
            '{"type": "record", "name": "A", "fields": [{"name": "a-b", "type": "int"}]}',
            0,
            "$.fields[0].name",
            "json_name",
        ),
        (
            '{"type": "record", "name": "A", "fields": [{"name": "a", "type": ["int", "itn"]}]}',
            0,
            "$.fields[0].type[1]",
            "'itn'",
        ),
    ],
)
def test_a_problem_of_a_schema_has_the_file_and_the_path_inside(
    schema: str, line: int, path: str, piece: str, check: Check
) -> None:
    Path("bad.avsc").write_text(schema)
    [problem] = check(RIGHT.replace("item.avsc", "bad.avsc"))
    assert (problem.code, problem.place.file, problem.place.line, problem.place.key) == (
        "schema",
        "bad.avsc",
        line,
        path,
    )
    assert piece in str(problem)


def test_a_secret_that_no_header_can_carry_is_named_at_its_key_and_not_shown(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWO_LINES", "hunter2\nhunter3\n")
    [problem] = check(source("auth: {type: bearer, token: {env: TWO_LINES}}"))
    assert (problem.code, problem.place.key) == ("secret", "pipelines.items.source.auth.token")
    assert "TWO_LINES" in str(problem) and "control characters" in str(problem)
    assert "hunter" not in str(problem)
    monkeypatch.setenv("TWO_LINES", "hunter2\n")
    assert not check(source("auth: {type: bearer, token: {env: TWO_LINES}}"))


@pytest.mark.parametrize(
    "section",
    [
        "auth: {type: bearer, token: [hunter2]}",
        "auth: {type: hunter2}",
        "headers: {A: [hunter2]}",
        "auth: {type: basic, username: {nv: hunter2}}",
    ],
)
def test_a_secret_is_never_shown(section: str, check: Check) -> None:
    problems = check(source(section))
    assert problems and not any("hunter2" in str(each) for each in problems)


def test_a_problem_in_defaults_is_said_once_at_its_place(check: Check) -> None:
    text = RIGHT.replace(
        "pipelines:", "defaults: {sink: {codec: lz4, rol: {}}}\npipelines:"
    ) + RIGHT.partition("pipelines:\n")[2].replace("items:", "more:")
    assert [(each.place.line, each.place.key) for each in check(text)] == [
        (3, "defaults.sink.codec"),
        (3, "defaults.sink.rol"),
    ]


def test_a_single_problem_is_an_error_with_place_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\npipelines: {}\n")
    with pytest.raises(ConfigProblems) as raised:
        load_settings([tmp_path / "a.yaml"])
    assert raised.value.where == f"{tmp_path}/a.yaml:2: pipelines"
    assert raised.value.exit == 78


def test_a_missing_file_and_a_directory_are_problems_of_their_own(tmp_path: Path) -> None:
    problems = inspect_settings([tmp_path / "no.yaml", tmp_path]).problems
    assert [(each.code, each.place.file) for each in problems] == [
        ("file", str(tmp_path / "no.yaml")),
        ("file", str(tmp_path)),
    ]


# -- hostile input: an answer, never a traceback ---------------------------------------------------

_KEYS = [
    "version",
    "pipelines",
    "items",
    "source",
    "url",
    "auth",
    "type",
    "pagination",
    "from",
    "schema",
    "sink",
    "path",
    "incremental",
    "stop",
    "when",
    "origins",
    "origin",
    "defaults",
    "transforms",
    "mask",
    "key",
    "on_status",
    "404",
    "x-a",
    "partitions",
    "headers",
    "roll",
    "limits",
    "tls",
    "state",
    "registry",
]
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([*_KEYS, "cursor", "bearer", "5s", "{partition.a}", "{mark}", ""]),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
    ),
    max_leaves=25,
)


@given(first=_TREES, second=_TREES)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_tree_is_answered_with_problems(first: object, second: object, tmp_path: Path) -> None:
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text(json.dumps({"version": 1, "pipelines": {"items": first}, "origins": second}))
    two.write_text(json.dumps(second))
    problems, _ = examine([one, two])
    assert problems and all(each.found and each.code for each in problems)


@given(rng=st.randoms(use_true_random=False))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_damage_to_the_text_is_answered(rng: random.Random, tmp_path: Path) -> None:
    text = bytearray(
        source(
            "auth: {type: bearer, token: {env: HOME}}, pagination: {type: page, param: p}"
        ).encode()
    )
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text))
        text[at : at + rng.randrange(0, 3)] = bytes(
            rng.choices(b"\x00\t\n {}[]:,&*!|>'\"%@`-#\xffa0", k=rng.randrange(0, 3))
        )
    file = tmp_path / "a.yaml"
    file.write_bytes(text)
    examine([file])
