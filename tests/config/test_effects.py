"""A key that has no effect where it stands is an error, unless it is meant for other pipelines."""

from __future__ import annotations

import pytest
from config.conftest import RIGHT, Check

AT = "pipelines.items.source."
CURSOR = "pagination: {type: cursor, from: {body: n}, to: {param: c}}"
WINDOW = (
    "incremental: {field: at, initial: 2024-01-01T00:00:00Z}, "
    "pagination: {type: window, start_param: s, end_param: e, size: 1d}"
)
PAGE = "pagination: {type: page, param: p}"
TOKEN = "incremental: {from: {body: t}, param: t"


def source(text: str) -> str:
    return RIGHT.replace('items"}', f'items", {text}}}')


def sink(text: str) -> str:
    return RIGHT.replace("path: lake}", f"path: lake, {text}}}")


# what -> (config, key, words; the healthy twin)
NO_EFFECT: dict[str, tuple[str, str, str, str]] = {
    "empty_page of tokens": (
        source(f"{CURSOR}, stop: {{empty_page: false}}"),
        AT + "stop.empty_page",
        "page or offset",
        source(f"{PAGE}, stop: {{empty_page: false}}"),
    ),
    "empty_page of one page": (
        source("stop: {empty_page: true}"),
        AT + "stop.empty_page",
        "page or offset",
        source(f"{PAGE}, stop: {{empty_page: true}}"),
    ),
    "short_page of one page": (
        source("stop: {short_page: 10}"),
        AT + "stop.short_page",
        "there is one page",
        source(f"{CURSOR}, stop: {{short_page: 10}}"),
    ),
    "stop.when of a window": (
        source(f"{WINDOW}, stop: {{when: {{path: more, equals: false}}}}"),
        AT + "stop.when",
        "there is one page",
        source(f"{CURSOR}, stop: {{when: {{path: more, equals: false}}}}"),
    ),
    "stop.status of one page": (
        source("stop: {status: [{code: 404}]}"),
        AT + "stop.status",
        "there is one page",
        source(f"{PAGE}, stop: {{status: [{{code: 404}}]}}"),
    ),
    "max_pages of one page": (
        source("stop: {max_pages: 5}"),
        AT + "stop.max_pages",
        "a pass is one page",
        source(f"{WINDOW}, stop: {{max_pages: 5}}"),
    ),
    "stop.status of a page": (
        source(f"{PAGE}, stop: {{status: [{{code: 404}}, {{code: 200}}]}}"),
        AT + "stop.status[1].code",
        "stop.when",
        source(f"{PAGE}, stop: {{status: [{{code: 404}}, {{code: 204}}, {{code: 202}}]}}"),
    ),
    "stop.status of a status that is said to be a page": (
        source(f"{PAGE}, stop: {{status: [{{code: 202}}]}}, on_status: {{202: page}}"),
        AT + "stop.status[0].code",
        "brings a page",
        source(f"{PAGE}, stop: {{status: [{{code: 203}}]}}, on_status: {{203: fail}}"),
    ),
    "a response behind one that decides all its statuses": (
        source(
            "responses: [{status: 5xx, do: retry}, {status: [500, 501], when: {path: a, exists: true},"
            " do: fail}]"
        ),
        AT + "responses[1]",
        "decided by a rule before it",
        source(
            "responses: [{status: 5xx, do: retry}, {status: [500, 404], when: {path: a, exists: true},"
            " do: fail}]"
        ),
    ),
    "a status that responses decide": (
        source("responses: [{status: [404, 5xx], do: retry}], on_status: {404: empty}"),
        AT + "on_status.404",
        "responses, on_status, on_body",
        source(
            "responses: [{status: 404, when: {path: a, exists: true}, do: retry}], "
            "on_status: {404: empty}"
        ),
    ),
    "a body of pages that responses decide": (
        source(
            "responses: [{status: 2xx, do: page}], on_body: [{when: {path: a, exists: true}, do: fail}]"
        ),
        AT + "on_body[0]",
        "decided by a rule before it",
        source("on_status: {200: page}, on_body: [{when: {path: a, exists: true}, do: fail}]"),
    ),
    "a rule about a status that halves the window": (
        source(
            WINDOW.replace("size: 1d", "size: 1d, split_on: {status: 413}")
            + ", responses: [{status: 413, do: retry}]"
        ),
        AT + "responses[0]",
        "pagination.split_on",
        source(
            WINDOW.replace(
                "size: 1d", "size: 1d, split_on: {status: 413, when: {path: a, exists: true}}"
            )
            + ", responses: [{status: 413, do: retry}]"
        ),
    ),
    "next_origin of a style without links": (
        source(f"{CURSOR}, next_origin: keep"),
        AT + "next_origin",
        "link_header or next_url",
        source("pagination: {type: link_header}, next_origin: keep"),
    ),
    "credentials of an allowed origin without any": (
        source(
            "allowed_origins: ['https://a.example', {url: 'https://b.example', credentials: send}]"
        ),
        AT + "allowed_origins[1].credentials",
        "auth",
        source(
            "auth: {type: bearer, token: t}, "
            "allowed_origins: [{url: 'https://b.example', credentials: send}]"
        ),
    ),
    "an encoded token in a header": (
        source("pagination: {type: cursor, from: {body: n}, to: {header: X-C, encoded: true}}"),
        AT + "pagination.to.encoded",
        "param",
        source("pagination: {type: cursor, from: {body: n}, to: {param: c, encoded: true}}"),
    ),
    "an encoded mark of records": (
        source("incremental: {field: at, to: {param: s, encoded: true}}"),
        AT + "incremental.to.encoded",
        "incremental.from",
        source("incremental: {from: {body: t}, to: {param: s, encoded: true}}"),
    ),
    "boundary_cap without a key": (
        source("boundary_cap: 10"),
        AT + "boundary_cap",
        "key",
        source("key: [id], boundary_cap: 10"),
    ),
    "boundary_cap of tokens": (
        source(TOKEN + "}, boundary_cap: 10"),
        AT + "boundary_cap",
        "incremental.field",
        source("incremental: {field: at, param: s}, boundary_cap: 10"),
    ),
    "conditional of a source that is read once": (
        source("conditional: true"),
        AT + "conditional",
        "read once",
        source("conditional: true, schedule: {every: 1h}"),
    ),
    "stable of one page": (
        source("stable: true"),
        AT + "stable",
        "a pass is one page",
        source(f"{PAGE}, stable: true"),
    ),
    "records_missing without a path": (
        source("records_missing: empty"),
        AT + "records_missing",
        "records: PATH",
        source("records: items, records_missing: empty"),
    ),
    "a partition that nothing has": (
        source("partitions: {region: [eu, us]}"),
        AT + "partitions.region",
        "{partition.region}",
        source('partitions: {region: [eu, us]}, params: {r: "{partition.region}"}'),
    ),
    "one of two partitions": (
        source('partitions: {a: [x], b: [y, z]}, headers: {X-A: "{partition.a}"}'),
        AT + "partitions.b",
        "same records",
        source(
            "partitions: {a: [x], b: [y]}, headers: {X-A: '{partition.a}'}, "
            "auth: {type: bearer, token: {file: '/dev/null{partition.b}'}}"
        ).replace("/dev/null{partition.b}", "item.avsc{partition.b}"),
    ),
    "a parameter that pagination sends": (
        source(f"params: {{p: 1, q: 2}}, {PAGE}"),
        AT + "params.p",
        "sends p in each request",
        source(f"params: {{c: 1, q: 2}}, {CURSOR}"),
    ),
    "a parameter that the mark is": (
        source("params: {s: 1}, incremental: {field: at, param: s, initial: 2024-01-01T00:00:00Z}"),
        AT + "params.s",
        "sends s in each request",
        source("params: {s: 1}, incremental: {field: at, param: s}"),
    ),
    "a parameter of the first requests that the mark is": (
        source("incremental: {field: at, param: s, initial: 2024-01-01T00:00:00Z, first: {s: 1}}"),
        AT + "incremental.first.s",
        "sends s in each request",
        source("incremental: {field: at, param: s, first: {s: 1}}"),
    ),
    "a header that auth sends": (
        source("headers: {authorization: x}, auth: {type: bearer, token: t}"),
        AT + "headers.authorization",
        "sends authorization in each request",
        source("headers: {authorization: x}, auth: {type: api_key, value: t}"),
    ),
    "the order of a token": (
        source(TOKEN + ", order: any}"),
        AT + "incremental.order",
        "incremental.field",
        source("incremental: {field: at, param: s, order: any}"),
    ),
    "the format of a token": (
        source(TOKEN + ", format: {record: int}}"),
        AT + "incremental.format.record",
        "incremental.field",
        source("incremental: {field: at, param: s, format: {record: int}}"),
    ),
    "a zone that no format needs": (
        source("incremental: {field: at, param: s, format: {zone: Europe/Berlin}}"),
        AT + "incremental.format.zone",
        "strptime pattern",
        source('incremental: {field: at, param: s, format: {param: "%Y-%m-%d", zone: Asia/Tokyo}}'),
    ),
    "open files without routes": (
        sink("max_open_files: 3"),
        "pipelines.items.sink.max_open_files",
        "partition_by",
        sink("max_open_files: 3, partition_by: '{city}'"),
    ),
    "a key of no hash": (
        RIGHT + "    transforms: [{mask: {fields: [city], method: redact, key: k}}]\n",
        "pipelines.items.transforms[0].mask.key",
        "method: hash",
        RIGHT + "    transforms: [{mask: {fields: [city], method: hash, key: k}}]\n",
    ),
    "a missing path of lines": (
        RIGHT.replace('items"}', 'items", records_missing: empty}')
        + "    decode: {type: ndjson}\n",
        AT + "records_missing",
        "records: PATH",
        RIGHT + "    decode: {type: ndjson}\n",
    ),
    "certificates without TLS": (
        source("tls: {ca_file: item.avsc}").replace("https:", "http:"),
        AT + "tls.ca_file",
        "https",
        source("tls: {ca_file: item.avsc}, allowed_origins: ['https://cdn.example.com']").replace(
            "https://api", "http://api"
        ),
    ),
}


@pytest.mark.parametrize("name", NO_EFFECT)
def test_a_key_without_effect_is_named_with_its_place_and_where_it_counts(
    name: str, check: Check
) -> None:
    text, key, words, _ = NO_EFFECT[name]
    found = {each.place.key: each for each in check(text) if each.code == "no_effect"}
    assert key in found, found
    problem = found[key]
    assert problem.place.line and problem.remedy == "take it out" and problem.allowed
    assert "has no effect here" in problem.found and words in str(problem)


@pytest.mark.parametrize("name", NO_EFFECT)
def test_where_it_counts_it_is_no_error(name: str, check: Check) -> None:
    *_, healthy = NO_EFFECT[name]
    assert [each for each in check(healthy) if each.code == "no_effect"] == []


def test_a_retry_block_may_stand_at_a_request_that_is_sent_once(check: Check) -> None:
    sent_once = source("method: POST, retry: {cap: 5s, max_attempts: 3}")
    assert [each for each in check(sent_once) if each.code == "no_effect"] == []


SHARED = """\
version: 1
state: {path: state}
defaults: {source: {stop: {max_pages: 5, empty_page: false}, params: {p: 1}, stable: true}}
pipelines:
  one:
    source: {url: "https://a.example/x"}
    schema: item.avsc
    sink: {path: lake}
  two:
    source: {url: "https://b.example/x", pagination: {type: page, param: p}}
    schema: item.avsc
    sink: {path: lake}
"""


def test_what_comes_from_defaults_is_meant_for_others_too(check: Check) -> None:
    assert check(SHARED) == []


def test_what_a_pipeline_adds_to_the_defaults_is_its_own(check: Check) -> None:
    text = SHARED.replace('a.example/x"', 'a.example/x", stop: {short_page: 3}')
    assert [each.place.key for each in check(text)] == ["pipelines.one.source.stop.short_page"]


def test_what_comes_from_an_origin_is_meant_for_others_too(check: Check) -> None:
    text = """\
version: 1
state: {path: state}
origins: {o: {url: "https://a.example", auth: {type: bearer, token: t}}}
pipelines:
  one:
    source: {origin: o, path: /x}
    schema: item.avsc
    sink: {path: lake}
"""
    assert check(text) == []


def test_an_override_of_the_environment_is_written_too(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_PIPELINES__ITEMS__SOURCE__STOP__MAX_PAGES", "3")
    [problem] = check(RIGHT)
    assert problem.code == "no_effect" and problem.place.file == "environment"
    monkeypatch.delenv("WORKER_PIPELINES__ITEMS__SOURCE__STOP__MAX_PAGES")
    monkeypatch.setenv("WORKER_DEFAULTS__SOURCE__STOP__MAX_PAGES", "3")
    assert check(SHARED) == []


def test_an_error_elsewhere_hides_no_key_without_effect(check: Check) -> None:
    text = source("stable: true") + "nmae: x\n"
    assert [each.code for each in check(text)] == ["no_effect", "unknown_key"]


TWO = """\
version: 1
state: {path: state}
pipelines:
  one:
    source: {url: "https://a.example/x", breaker: {min_calls: 5}}
    schema: item.avsc
    sink: {path: lake}
  two:
    source: {url: "https://A.example:443/y", breaker: {min_calls: 5}}
    schema: item.avsc
    sink: {path: lake}
"""


@pytest.mark.parametrize("other", ["{min_calls: 6}", "{min_calls: 5, permits: 1}"])
def test_a_breaker_that_pipelines_share_is_set_in_one_way(other: str, check: Check) -> None:
    assert check(TWO) == []
    [problem] = check(TWO.replace("{min_calls: 5}", other, 1))
    assert problem.code == "conflict" and problem.place.key == "pipelines.two.source.breaker"
    [problem] = check(TWO.replace(", breaker: {min_calls: 5}", "", 1))
    assert "share the breaker of their origin, which one sets" in problem.found
    assert check(TWO.replace('A.example:443/y", breaker: {min_calls: 5}', 'A.example:443/y"')) == []
    assert check(TWO.replace("A.example:443", "b.example").replace("5", "6", 1)) == []


@pytest.mark.parametrize("url", ["https://api.example.com/langs/C#/items", "https://h/a?b=c#d"])
def test_what_stands_behind_a_hash_is_never_sent(url: str, check: Check) -> None:
    [problem] = check(RIGHT.replace("https://api.example.com/items", url))
    assert problem.place.key == AT + "url" and "%23" in problem.found
    assert check(RIGHT.replace("https://api.example.com/items", url.replace("#", "%23"))) == []
