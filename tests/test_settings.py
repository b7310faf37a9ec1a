"""The models of the config language: the whole of it is taken, frozen and described; fingerprints
say what a cursor means.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from worker.cli.check import examine
from worker.components import KINDS
from worker.config.models import model_of
from worker.config.yaml import load_yaml
from worker.core.meaning import groups
from worker.settings import PipelineSettings, Settings, inspect_settings, load_settings

DESIGN = """\
version: 1
name: lake-ingest
state: {path: var/state}
admin: {listen: 127.0.0.1:9464}
logging: {level: info, format: json}
shutdown: {deadline: 30s}
defaults: {sink: {codec: zstandard}}
origins:
  example: {url: "https://api.example.com", auth: {type: bearer, token: {env: API_TOKEN}}, rate_limit: {requests: 10, per: 1s}, concurrency: 4}
x-anything: {a: 1}
pipelines:
  flights:
    enabled: true
    source:
      type: http
      url: https://api.example.com/v1/flights
      method: GET
      idempotent: true
      params: {limit: 1000, carrier: "{partition.carrier}"}
      headers: {Accept: application/json, x-api-version: 2023-10-15}
      auth: {type: bearer, token: {env: "TOKEN_{partition.carrier}"}}
      schedule: {every: 60s, jitter: 5s}
      records: data.items
      records_missing: fail
      key: [id]
      pagination: {type: link_header, rel: next, total: {header: X-Total}}
      stop: {when: {path: has_more, equals: false}, status: [{code: 400, when: {path: code, equals: past_the_end}}],
             short_page: false, max_pages: 100000}
      incremental: {field: updated_at, param: updated_since, initial: "2024-01-01T00:00:00Z", overlap: 60s, order: ascending,
                    format: {record: rfc3339, param: "%Y-%m-%d %H:%M", zone: UTC, round: down}}
      partitions: {carrier: [UA, AA]}
      conditional: false
      stable: true
      concurrency: 4
      rate_limit: {requests: 10, per: 1s}
      on_status: {404: empty, 409: retry, 420: rate_limited, 422: fail, 403: stop, 401: refresh_auth}
      on_body: [{when: {path: ok, equals: false}, do: retry}, {when: {path: left, less: 1}, do: rate_limited}, {when: {path: error, exists: true}, do: fail}]
      on_body_error: park
      allowed_origins: ["https://cdn.example.com"]
      boundary_cap: 1000
      retry: {max_attempts: 8, base: 500ms, cap: 60s, deadline: 10m, max_retry_after: 10m}
      breaker: {failure_rate: 0.5, min_calls: 10, window: 60s, open_for: 30s, permits: 3}
      timeout: {connect: 10s, read: 30s, total: 60s}
      limits: {wire: 64MiB, body: 128MiB, ratio: 200, record: 1MiB, depth: 64}
      tls: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem}
    decode: {type: json}
    schema: schemas/flight.avsc
    validation: {unknown_fields: drop, missing_fields: fill, bytes: latin1}
    transforms:
      - filter: "dep_delay > 15 and carrier in ['UA', 'AA']"
      - select: [id, carrier, dest, tailnum, dep_delay, passenger_email]
      - rename: {dest: destination}
      - set: {delayed: "dep_delay > 60", ingested_at: "now_received()"}
      - drop: [tailnum]
      - mask: {fields: [passenger_email], method: hash, key: {env: MASK_KEY}}
      - python: mypackage.transforms:enrich
    output_schema: schemas/delay.avsc
    sink:
      type: files
      path: var/lake/flights
      format: avro
      codec: zstandard
      partition_by: "origin={origin}/dt={time_hour:%Y-%m-%d}"
      roll: {records: 100000, bytes: 128MiB, age: 5m}
      max_open_files: 64
    dead_letters: {path: var/dead/flights, max_ratio: 0.5, window: 1000}
    channel_bytes: 32MiB
    require_delivery: exactly_once
    require_completeness: assumed
  from-origin:
    source:
      origin: example
      path: /v1/flights
      method: POST
      body: {query: {since: "{mark}"}}
      conditional: true
      pagination: {type: none}
      incremental: {field: n, first: {full: "1"}, newest_bound: 60s, order: descending}
      on_body_error: dead_letter
    decode: {type: ndjson}
    schema: schemas/flight.avsc
    sink: {path: var/lake/lines, format: ndjson, codec: null}
  delta:
    source:
      url: https://graph.example.com/delta
      auth: {type: oauth2_client_credentials, token_url: "https://login.example.com/token", client_id: me, client_secret: {credential: graph},
             scope: read, refresh_before: 60s, client_auth: body}
      records: value
      pagination: {type: next_url, path: '"@odata.nextLink"'}
      incremental: {from: {body: '"@odata.deltaLink"'}, to: {param: token}}
    schema: schemas/flight.avsc
    sink: {path: var/lake/delta, codec: deflate}
"""

PAGINATIONS = """\
- {type: none}
- {type: link_header, rel: next}
- {type: next_url, path: links.next}
- {type: next_url, header: X-Next-Url}
- {type: cursor, from: {body: meta.next}, to: {param: cursor}}
- {type: cursor, from: {header: X-Next}, to: {header: X-Cursor}, repeat: allow}
- {type: cursor, from: {last_record: id}, to: {body: search.after}}
- {type: page, param: page, start: 1, size_param: per_page, size: 1000, total_pages: {header: X-Total-Pages}}
- {type: page, to: {body: page}}
- {type: offset, param: offset, start: 0, limit_param: limit, limit: 1000, total: {body: meta.total}}
"""

AUTHS = """\
- {type: basic, username: {env: U}, password: secret}
- {type: basic, username: sk_live}
- {type: bearer, token: {file: /etc/token}}
- {type: api_key, name: X-Api-Key, in: header, value: {credential: key}, prefix: "ApiKey "}
- {type: api_key, name: key, in: query, value: k}
- {type: api_key, name: session, in: cookie, value: k}
- {type: oauth2_client_credentials, token_url: "https://a/token", client_id: a, client_secret: {env: B}}
"""


def parsed(text: str, directory: Path) -> Any:
    """Text of the config language as plain values."""
    (directory / "part.yaml").write_text(
        "root:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    )
    return load_yaml(directory / "part.yaml").values["root"]


def pipeline(**source: Any) -> PipelineSettings:
    return PipelineSettings.model_validate(
        {"source": {"url": "https://a/b", **source}, "schema": "a.avsc", "sink": {"path": "x"}}
    )


# -- the language ----------------------------------------------------------------------------------


def test_the_whole_language_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(DESIGN)
    problems = inspect_settings([tmp_path / "a.yaml"]).problems
    assert not problems


def test_every_pagination_and_every_kind_of_credentials_is_taken(tmp_path: Path) -> None:
    for each in parsed(PAGINATIONS, tmp_path):
        found = pipeline(method="POST", pagination=each)
        assert found.source.pagination.type == each["type"]
    for each in parsed(AUTHS, tmp_path):
        auth = pipeline(auth=each).source.auth
        assert auth is not None and auth.type == each["type"]


@pytest.mark.parametrize(
    ("given_codec", "format_", "codec"),
    [
        ({}, "avro", "deflate"),
        ({}, "ndjson", "null"),
        ({"codec": None}, "avro", "null"),
        ({"codec": "gzip"}, "ndjson", "gzip"),
    ],
)
def test_the_codec_follows_the_format(
    given_codec: dict[str, Any], format_: str, codec: str
) -> None:
    config = PipelineSettings.model_validate(
        {
            "source": {"url": "https://a/b"},
            "schema": "a",
            "sink": {"path": "x", "format": format_, **given_codec},
        }
    )
    assert config.sink.codec == codec


def test_the_state_directory_of_systemd_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/worker:/var/lib/other")
    (tmp_path / "a.yaml").write_text(
        "version: 1\npipelines: {a: {source: {url: 'http://a'}, schema: s, sink: {path: x}}}\n"
    )
    assert load_settings([tmp_path / "a.yaml"]).state.path == Path("/var/lib/worker")


def _models(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for each in model.model_fields.values():
        waiting = [each.annotation]
        while waiting:
            annotation: Any = waiting.pop()
            waiting += getattr(annotation, "__args__", ())
            if (found := model_of(annotation, {})) is not None:
                yield from _models(found, seen)


def _component_models(module: ModuleType) -> Iterator[type[BaseModel]]:
    """The models of the keys of a component; a `Config` may be a type that is no model."""
    for name in ("Config", "Decode"):
        if (found := model_of(getattr(module, name, None), {})) is not None:
            yield from _models(found, set())


MODELS = [
    *_models(Settings, set()),
    *(
        model
        for kind in KINDS
        for name in kind.names()
        for model in _component_models(kind.load(name))
    ),
]


@pytest.mark.parametrize(
    "model",
    MODELS,
    ids=lambda model: model.__qualname__ if model.__name__ != "Config" else model.__module__,
)
def test_models_are_frozen_refuse_unknown_keys_and_describe_every_key(
    model: type[BaseModel],
) -> None:
    assert model.model_config.get("frozen") and model.model_config.get("extra") == "forbid"
    assert [name for name, each in model.model_fields.items() if not each.description] == []


def test_settings_cannot_be_changed() -> None:
    config = pipeline()
    with pytest.raises(ValidationError):
        config.source.retry.cap = 1.0  # type: ignore[misc]


def test_the_models_are_found() -> None:
    names = {model.__name__ for model in MODELS}
    assert {"HttpConfig", "When", "SecretRef", "PythonConfig", "OriginConfig"} <= names
    assert sum(name == "Config" for name in (model.__name__ for model in MODELS)) >= 12


# -- fingerprints ----------------------------------------------------------------------------------

CURSOR = {"type": "cursor", "from": {"body": "n"}, "to": {"param": "c"}}
MARK = {"field": "at", "param": "since"}


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("url", {}, {"url": "https://a/c"}),
        ("params", {"params": {"a": 1}}, {"params": {"a": 2}}),
        ("pagination", {"pagination": CURSOR}, {"pagination": {**CURSOR, "to": {"param": "d"}}}),
        ("pagination", {}, {"pagination": CURSOR}),
        ("incremental", {}, {"incremental": MARK}),
        ("incremental", {"incremental": MARK}, {"incremental": {**MARK, "order": "any"}}),
        ("partitions", {"partitions": {"p": ["a"]}}, {"partitions": {"q": ["a"]}}),
        ("records", {"records": "a"}, {"records": "b"}),
        ("key", {}, {"key": ["id"]}),
        ("method", {}, {"method": "POST", "idempotent": True}),
        ("headers", {"headers": {"X-Tenant": "a"}}, {"headers": {"X-Tenant": "b"}}),
        ("headers", {}, {"headers": {"Accept-Language": "de"}}),
        ("body", {"method": "POST", "body": {"q": 1}}, {"method": "POST", "body": {"q": 2}}),
    ],
)
def test_a_key_that_gives_the_cursor_its_meaning_changes_its_fingerprint_only(
    key: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    one, two = groups(pipeline(**before).meaning()), groups(pipeline(**after).meaning())
    assert {name for name in {*one, *two} if one.get(name) != two.get(name)} == {key}


@pytest.mark.parametrize(
    "source",
    [
        {"schedule": {"every": "5s"}},
        {"concurrency": 9},
        {"auth": {"type": "bearer", "token": "x"}},
        {
            "headers": {
                "Accept": "application/json",
                "User-Agent": "me",
                "X-Api-Key": "k",
                "x-request-id": "1",
            }
        },
        {"retry": {"cap": "1s"}},
        {"rate_limit": {"requests": 1}},
        {"timeout": {"read": "1s"}},
        {"on_status": {404: "empty"}},
        {"stop": {"max_pages": 5}},
        {"idempotent": True},
        {"limits": {"body": "1MiB"}},
        {"pagination": {"type": "none"}},
    ],
)
def test_other_keys_change_no_fingerprint(source: dict[str, Any]) -> None:
    assert pipeline(**source).meaning() == pipeline().meaning()


def test_a_default_that_is_written_out_means_the_same() -> None:
    one = pipeline(incremental=MARK, pagination=CURSOR)
    two = pipeline(
        incremental={
            **MARK,
            "overlap": "0s",
            "order": "ascending",
            "format": {"record": "rfc3339"},
        },
        pagination={**CURSOR, "repeat": "fail"},
    )
    assert one.meaning() == two.meaning()


def test_case_and_order_of_headers_mean_nothing() -> None:
    assert (
        pipeline(headers={"X-A": "1", "X-B": "2"}).meaning()
        == pipeline(headers={"x-b": "2", "x-a": "1"}).meaning()
    )


def test_another_value_of_a_partition_changes_nothing_for_the_others() -> None:
    assert (
        pipeline(partitions={"p": ["a"]}).meaning()
        == pipeline(partitions={"p": ["a", "b"]}).meaning()
    )


def test_origin_and_path_mean_the_same_as_their_url(tmp_path: Path) -> None:
    text = "version: 1\norigins: {o: {url: 'https://a'}}\npipelines:\n  p: {source: {%s}, schema: s, sink: {path: x}}\n"
    found = []
    for source in ("origin: o, path: /b", "url: 'https://a/b'"):
        (tmp_path / "a.yaml").write_text(text % source)
        found.append(load_settings([tmp_path / "a.yaml"]).pipelines["p"].meaning())
    assert found[0] == found[1]


# -- hostile input ---------------------------------------------------------------------------------

_VALUES = [
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "5s",
    "{mark}",
    "{partition.zz}",
    [],
    [[]],
    {},
    {"type": "x"},
    {"": None},
    ["x", {"a": 1}],
    {"type": []},
    "a" * 5000,
    "\x00",
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, inner in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        yield from _paths(inner, (*path, key))


@given(rng=st.randoms(use_true_random=False))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_value_in_any_place_is_answered_without_a_traceback(
    rng: random.Random, tmp_path: Path
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(DESIGN)
    values = load_yaml(file).values
    for _ in range(rng.randrange(1, 4)):
        path = rng.choice(list(_paths(values)))
        holder = values
        for part in path[:-1]:
            holder = holder[part]
        if path:
            holder[path[-1]] = rng.choice(_VALUES)
        else:
            values[rng.choice(["x", "version", "pipelines", "defaults", "origins"])] = rng.choice(
                _VALUES
            )
    file.write_text(json.dumps(values))
    examine([file])


# -- weight ----------------------------------------------------------------------------------------


def cpu_seconds(*arguments: str) -> float:
    """What a Python process costs at best: unlike the time on the wall, little of it is other
    people's load.
    """
    costs = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            check=True,
            # what is measured is not the tracer of `make test COV=1`
            env={
                **os.environ,
                "PYTHONDONTWRITEBYTECODE": "1",
                "COVERAGE_PROCESS_CONFIG": "",
            },
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(costs)


def test_help_imports_nothing_heavy_and_answers_at_once() -> None:
    probe = "import sys, worker.cli; heavy = {'pydantic', 'aiohttp', 'ruamel', 'msgspec', 'asyncio', 'structlog'} & set(sys.modules); print(heavy or '')"
    assert (
        subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )
    assert cpu_seconds("-m", "worker", "--help") < 2.5 * cpu_seconds("-c", "import click")
