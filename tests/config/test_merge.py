"""Several files, defaults, origins and the environment: what wins, and where a value is said to
stand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from config.conftest import RIGHT, Check

from worker.settings import Settings, load_settings

Load = Callable[..., Settings]

MORE = """\
pipelines:
  more:
    source: {url: "https://api.example.com/more"}
    schema: item.avsc
    sink: {path: lake}
"""
SHARED = """\
version: 1
origins:
  example: {url: "https://api.example.com/v1/", auth: {type: bearer, token: abc}}
pipelines:
  items:
    source: {origin: example, path: /items}
    schema: item.avsc
    sink: {path: lake}
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Loads texts as files a.yaml, b.yaml ...; keyword arguments are environment variables."""
    monkeypatch.chdir(tmp_path)

    def run(*texts: str, **environ: str) -> Settings:
        paths = []
        for number, text in enumerate(texts):
            paths.append(Path(f"{'abc'[number]}.yaml"))
            paths[-1].write_text(text)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return load_settings(paths)

    return run


# -- files -----------------------------------------------------------------------------------------


def test_pipelines_of_all_files_are_merged(load: Load) -> None:
    assert list(load(RIGHT, MORE, "version: 1\n" + MORE.replace("more:", "third:")).pipelines) == [
        "items",
        "more",
        "third",
    ]


def test_schemas_are_relative_to_the_file_that_names_them_and_outputs_to_the_working_directory(
    tmp_path: Path,
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.yaml").write_text(RIGHT + "    output_schema: ../b.avsc\n")
    items = load_settings([tmp_path / "conf" / "a.yaml"]).pipelines["items"]
    assert items.schema_ == tmp_path / "conf" / "item.avsc" and str(items.output_schema).endswith(
        "conf/../b.avsc"
    )
    assert items.sink.path == Path("lake")


def test_a_pipeline_in_two_files_is_named_with_both_places(check: Check) -> None:
    [problem] = check(RIGHT, MORE.replace("more:", "items:"))
    assert (problem.code, problem.place.file, problem.place.line) == ("conflict", "b.yaml", 2)
    assert "a.yaml:4" in problem.found


@pytest.mark.parametrize(
    "key",
    [
        "name: other",
        "state: {path: x}",
        "defaults: {sink: {codec: deflate}}",
        "admin: {listen: null}",
        "logging: {}",
    ],
)
def test_only_pipelines_may_stand_in_further_files(key: str, check: Check) -> None:
    [problem] = check(RIGHT, f"{key}\n{MORE}")
    assert (problem.code, str(problem.place)) == ("conflict", f"b.yaml:1: {key.partition(':')[0]}")
    assert "only stand in the first file" in problem.found and "a.yaml" in problem.remedy


def test_origins_in_two_files_are_a_conflict_that_names_both(check: Check) -> None:
    second = SHARED.partition("pipelines")[0].replace("v1", "v2") + MORE
    [problem] = check(SHARED, second)
    assert (problem.code, str(problem.place)) == ("conflict", "b.yaml:2: origins")
    assert "example stands in a.yaml:3 too" in problem.found


def test_another_version_in_a_further_file_is_a_conflict(check: Check) -> None:
    [problem] = check(RIGHT, "version: 2\n" + MORE)
    assert str(problem.place) == "b.yaml:1: version"


def test_an_unknown_key_in_a_further_file_is_unknown(check: Check) -> None:
    [problem] = check(RIGHT, "pipeline: {}\n" + MORE)
    assert (problem.code, str(problem.place)) == (
        "unknown_key",
        "b.yaml:1: pipeline",
    ) and "did you mean 'pipelines'?" in str(problem)


def test_a_broken_file_does_not_hide_what_is_wrong_in_the_others(check: Check) -> None:
    problems = check(RIGHT + "nmae: x\n", "a: [", MORE.replace("path: lake", "pth: lake"))
    assert [(each.place.file, each.code) for each in problems] == [
        ("a.yaml", "unknown_key"),
        ("b.yaml", "yaml"),
        ("c.yaml", "missing_key"),
        ("c.yaml", "unknown_key"),
    ]


def test_behind_a_broken_first_file_only_the_yaml_of_the_others_is_judged(check: Check) -> None:
    assert [(each.place.file, each.place.key) for each in check("a: [", "b: 1\nb: 2\n", MORE)] == [
        ("a.yaml", ""),
        ("b.yaml", "b"),
    ]


# -- defaults --------------------------------------------------------------------------------------


def test_defaults_lie_under_every_pipeline_of_every_file(load: Load) -> None:
    defaults = "defaults: {sink: {codec: deflate, roll: {age: 1m}}, source: {retry: {cap: 5s}, key: [a, b]}}\n"
    own = RIGHT.replace("path: lake}", "path: lake, codec: snappy, roll: {records: 5}}").replace(
        'items"}', 'items", key: [id]}'
    )
    settings = load(own + defaults, MORE)
    items, more = settings.pipelines["items"], settings.pipelines["more"]
    assert (items.sink.codec, items.sink.roll.age, items.sink.roll.records) == ("snappy", 60, 5)
    assert (items.source.key, items.source.retry.cap) == (("id",), 5)
    assert (more.sink.codec, more.sink.roll.age, more.source.key) == ("deflate", 60, ("a", "b"))


def test_a_default_of_another_type_is_replaced_whole(load: Load) -> None:
    defaults = "defaults: {source: {auth: {type: basic, username: u, password: p}, pagination: {type: page, param: p}}}\n"
    own = RIGHT.replace(
        'items"}', 'items", auth: {type: bearer, token: t}, pagination: {type: none}}'
    )
    source = load(defaults + own).pipelines["items"].source
    assert (
        source.auth is not None
        and source.auth.type == "bearer"
        and source.pagination.type == "none"
    )


def test_defaults_may_hold_what_every_pipeline_needs(load: Load) -> None:
    text = "version: 1\ndefaults: {schema: item.avsc, sink: {path: lake}}\npipelines: {a: {source: {url: 'http://a/b'}}}\n"
    assert load(text).pipelines["a"].schema_ == Path("item.avsc")


def test_defaults_that_are_no_mapping_are_said_to_be_none(check: Check) -> None:
    [problem] = check(RIGHT + "defaults: 5\n")
    assert (problem.code, problem.place.line) == ("wrong_type", 8)


# -- origins ---------------------------------------------------------------------------------------


def test_a_source_takes_url_and_credentials_from_its_origin(load: Load) -> None:
    source = load(SHARED).pipelines["items"].source
    assert source.url == "https://api.example.com/v1/items" and source.origin == "example"
    assert source.auth is not None and source.auth.type == "bearer"


def test_a_source_may_have_its_own_credentials(load: Load) -> None:
    own = SHARED.replace("path: /items}", "path: /items, auth: {type: basic, username: u}}")
    auth = load(own).pipelines["items"].source.auth
    assert auth is not None and auth.type == "basic"


def test_an_origin_gives_its_limits_to_a_pipeline_that_has_it_alone(load: Load) -> None:
    text = SHARED.replace("auth:", "concurrency: 2, rate_limit: {requests: 3, per: 2s}, auth:")
    source = load(text).pipelines["items"].source
    assert (
        source.concurrency == 2
        and source.rate_limit is not None
        and [(each.requests, each.per) for each in source.rate_limit] == [(3, 2)]
    )


@pytest.mark.parametrize(
    ("old", "new", "code", "key", "piece"),
    [
        (
            "origin: example",
            "origin: exmaple",
            "not_allowed",
            "source.origin",
            "did you mean 'example'?",
        ),
        (
            "path: /items}",
            'path: /items, url: "https://a/b"}',
            "conflict",
            "source.url",
            "url and origin are both given",
        ),
        (", path: /items", "", "not_allowed", "source.path", "go together"),
        ("path: /items", "path: items", "not_allowed", "source.path", "begins with /"),
        ("origin: example", "origin: [a]", "not_allowed", "source.origin", "unknown origin"),
    ],
)
def test_conflicts_with_an_origin_are_named(
    old: str, new: str, code: str, key: str, piece: str, check: Check
) -> None:
    problems = check(SHARED.replace(old, new))
    assert [(each.code, each.place.key) for each in problems if piece in str(each)] == [
        (code, f"pipelines.items.{key}")
    ], problems


def test_an_origin_without_origins_says_where_to_define_it(check: Check) -> None:
    [problem] = check(
        RIGHT.replace('url: "https://api.example.com/items"', "origin: example, path: /a")
    )
    assert "under `origins:`" in str(problem)


def test_two_rate_limits_are_a_conflict(check: Check) -> None:
    text = SHARED.replace("auth:", "rate_limit: {requests: 3}, auth:").replace(
        "path: /items", "path: /items, rate_limit: {requests: 1}"
    )
    [problem] = check(text)
    assert (problem.code, problem.place.key) == (
        "conflict",
        "pipelines.items.source.rate_limit",
    ) and "a.yaml:3" in problem.found


def test_a_wrong_value_of_an_origin_is_said_at_the_origin_and_once(check: Check) -> None:
    text = SHARED.replace("token: abc", "tokn: abc") + MORE.partition("pipelines:\n")[2].replace(
        'url: "https://api.example.com/more"', "origin: example, path: /more"
    )
    assert {str(each.place) for each in check(text)} == {
        "a.yaml:3: origins.example.auth.tokn",
        "a.yaml:3: origins.example.auth.token",
    }


def test_pipelines_of_one_origin_and_credential_cannot_have_two_rate_limits(check: Check) -> None:
    text = RIGHT + RIGHT.partition("pipelines:\n")[2].replace("items:", "more:").replace(
        "{url:", "{rate_limit: {requests: 3}, url:"
    )
    [problem] = check(text)
    assert (
        problem.code == "conflict"
        and "items and more" in problem.found
        and problem.place.key == "pipelines.more.source.rate_limit"
    )


def test_the_limits_of_an_origin_are_shared(load: Load) -> None:
    text = SHARED.replace(
        "auth:", "rate_limit: {requests: 3}, concurrency: 2, auth:"
    ) + SHARED.partition("pipelines:\n")[2].replace("items:", "more:")
    settings = load(text)
    assert {each.source.concurrency for each in settings.pipelines.values()} == {2}
    assert all(
        [limit.requests for limit in each.source.rate_limit or ()] == [3]
        for each in settings.pipelines.values()
    )


# -- environment -----------------------------------------------------------------------------------


def test_variables_override_what_the_files_say(load: Load) -> None:
    settings = load(
        RIGHT.replace("items:", "my-items:"),
        WORKER_NAME="from-env",
        WORKER_STATE__PATH="/elsewhere",
        WORKER_ADMIN__LISTEN="null",
        WORKER_LOGGING__LEVEL="debug",
        WORKER_PIPELINES__MY_ITEMS__ENABLED="false",
        WORKER_PIPELINES__MY_ITEMS__SINK__ROLL__RECORDS="7",
        WORKER_PIPELINES__MY_ITEMS__SINK__ROLL__AGE="9s",
        WORKER_PIPELINES__MY_ITEMS__SOURCE__URL="http://localhost:1/x",
        WORKER_PIPELINES__MY_ITEMS__SOURCE__KEY="[id, n]",
        WORKER_PIPELINES__MY_ITEMS__SOURCE__PARAMS__LIMIT="50",
        WORKER_PIPELINES__MY_ITEMS__SOURCE__AUTH="{type: bearer, token: {env: T}}",
        WORKER_PIPELINES__MY_ITEMS__SOURCE__PAGINATION="{type: page, param: p}",
    )
    items = settings.pipelines["my-items"]
    assert (settings.name, settings.state.path, settings.admin.listen, settings.logging.level) == (
        "from-env",
        Path("/elsewhere"),
        None,
        "debug",
    )
    assert (items.enabled, items.sink.roll.records, items.sink.roll.age) == (False, 7, 9)
    assert (items.source.url, items.source.key, items.source.params) == (
        "http://localhost:1/x",
        ("id", "n"),
        {"limit": "50"},
    )
    assert items.source.auth is not None and items.source.pagination.type == "page"


def test_a_secret_that_looks_like_a_number_stays_text(load: Load) -> None:
    text = RIGHT.replace('items"}', 'items", auth: {type: bearer, token: {env: T}}}')
    auth = (
        load(text, WORKER_PIPELINES__ITEMS__SOURCE__AUTH__TOKEN="0123")
        .pipelines["items"]
        .source.auth
    )
    assert auth is not None and auth.type == "bearer" and auth.token == "0123"


def test_defaults_and_origins_can_be_overridden(load: Load) -> None:
    settings = load(
        SHARED,
        WORKER_ORIGINS__EXAMPLE__URL="http://127.0.0.1:9",
        WORKER_DEFAULTS__SINK__CODEC="deflate",
        WORKER_PIPELINES__ITEMS__SOURCE__PATH="/two",
    )
    assert (
        settings.pipelines["items"].source.url == "http://127.0.0.1:9/two"
        and settings.pipelines["items"].sink.codec == "deflate"
    )


@pytest.mark.parametrize(
    ("variable", "pieces"),
    [
        ("WORKER_NAEM", ("overrides nothing", "did you mean 'NAME'?", "WORKER_STATE")),
        ("WORKER_ADMIN_LISTEN", ("two underscores stand between keys",)),
        (
            "WORKER_PIPELINES__ITEMS__SOURCE__AUTH__TOKEN",
            ("auth, which is not in the config, and may be basic, bearer", "with its type"),
        ),
        ("WORKER_STATE", ("section", "WORKER_STATE__")),
        ("WORKER_STATE__PTAH", ("no key 'ptah'", "did you mean 'path'?")),
        ("WORKER_NAME__X", ("holds no keys",)),
        ("WORKER_PIPELINES__OTHER__ENABLED", ("no pipeline", "never creates one", "items")),
        ("WORKER_PIPELINES__OTHER", ("no pipeline",)),
        (
            "WORKER_PIPELINES__ITEMS__SOURCE__AUTHH__TYPE",
            ("no key 'authh'", "did you mean 'auth'?"),
        ),
        ("WORKER_PIPELINES__ITEMS__SINK__PATH__X", ("holds no keys",)),
        ("WORKER_ORIGINS__OTHER__URL", ("no origin", "none")),
    ],
)
def test_a_variable_that_overrides_nothing_is_an_error(
    variable: str, pieces: tuple[str, ...], check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "x")
    [problem] = check(RIGHT)
    assert (problem.code, str(problem.place)) == ("environment", f"environment: {variable}")
    assert all(piece in str(problem) for piece in pieces), str(problem)


def test_a_wrong_value_is_said_to_stand_in_the_variable(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_PIPELINES__ITEMS__SINK__ROLL__AGE", "5 minutes")
    [problem] = check(RIGHT)
    assert str(
        problem.place
    ) == "environment: WORKER_PIPELINES__ITEMS__SINK__ROLL__AGE" and "'5 minutes'" in str(problem)


def test_a_name_that_means_two_pipelines_is_refused(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_PIPELINES__A_B__ENABLED", "false")
    text = "version: 1\npipelines:\n" + "".join(
        MORE.partition("\n")[2].replace("more:", f"{name}:") for name in ("a-b", "a_b")
    )
    [problem] = check(text)
    assert problem.code == "environment" and "a-b and a_b" in problem.found


def test_what_kubernetes_sets_for_services_is_ignored(load: Load) -> None:
    load(
        RIGHT,
        WORKER_PORT="tcp://10.0.0.1:80",
        WORKER_SERVICE_HOST="10.0.0.1",
        WORKER_SERVICE_PORT_METRICS="80",
        WORKER_PORT_80_TCP="tcp://10.0.0.1:80",
        WORKER_PORT_80_TCP_ADDR="10.0.0.1",
        WORKER_METRICS_SERVICE_HOST="10.0.0.2",
        WORKER_METRICS_SERVICE_PORT="80",
        WORKER_METRICS_PORT="tcp://10.0.0.2:80",
        WORKER_METRICS_PORT_80_TCP_PROTO="tcp",
    )


def test_an_alias_is_not_changed_for_others_by_an_override(load: Load) -> None:
    text = "version: 1\nx-p: &p\n  source: {url: 'http://a/b'}\n  schema: item.avsc\n  sink: {path: lake}\npipelines: {a: *p, b: *p}\n"
    settings = load(text, WORKER_PIPELINES__A__SINK__PATH="other")
    assert (settings.pipelines["a"].sink.path, settings.pipelines["b"].sink.path) == (
        Path("other"),
        Path("lake"),
    )
