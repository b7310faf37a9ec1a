"""`worker schema infer` and `drift`, on real servers and files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from aiohttp import web
from avro_kit import PAGES, avro_server, container, row, serving
from click.testing import CliRunner

from worker.cli import cli
from worker.core.errors import ConfigError
from worker.schema import compile_plan, parse_schema
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
}


def call(*arguments: str) -> str:
    result = CliRunner().invoke(
        cli, ["schema", *arguments], standalone_mode=False, catch_exceptions=False
    )
    assert not result.return_value
    return result.stdout


def accepted(schema: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    plan = compile_plan(parse_schema(schema))
    for record in records:
        plan.one(json.dumps(record).encode())
    return {each["name"]: each["type"] for each in json.loads(schema)["fields"]}


async def test_a_pipeline_without_a_schema_gets_one_proposed(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(120)]
    async with Replica(records, Shape(style="cursor", cap=20)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            sink={"partition_by": "{tenant}"},
            transforms=[{"filter": "value > 1"}],
        )
        (tmp_path / "item.avsc").unlink()
        without = "".join(
            line for line in config.read_text().splitlines(True) if "schema:" not in line
        )
        assert without != config.read_text(), "nothing of a schema is left"
        config.write_text(without)
        text = await asyncio.to_thread(
            call,
            "infer",
            str(config),
            "items",
            "--pages",
            "4",
            "--name",
            "item",
            "--namespace",
            "n",
        )
        assert len(replica.requests) == 4
    fields = accepted(text, records)
    assert fields["updated_at"] == {"type": "long", "logicalType": "timestamp-millis"}
    assert fields["tenant"] == "string"
    assert json.loads(text)["namespace"] == "n"
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    "decode",
    [
        {"times": {"updated_at": "rfc3339", "of.old": "%d.%m.%Y"}, "time_zone": "UTC"},
        {"null_values": ["NA", {"value": ["-"]}]},
        {"null_values": {"of.value": ["-"]}, "coerce": ["numbers", "booleans"]},
    ],
)
async def test_fields_whose_spelling_is_told_need_no_schema_to_get_one(
    decode: dict[str, Any], tmp_path: Path
) -> None:
    records = [kit.item(number, second=number) for number in range(3)]
    async with Replica(records, Shape(style="cursor", cap=20)) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=SOURCE, decode={"type": "json", **decode}
        )
        (tmp_path / "item.avsc").unlink()
        text = await asyncio.to_thread(call, "infer", str(config), "items")
    assert accepted(text, records)["tenant"] == "string"


async def test_a_url(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    async with Replica(records, Shape(style="cursor", cap=50)) as replica:
        text = await asyncio.to_thread(
            call, "infer", replica.url, "--records", "items", "--no-enums"
        )
    assert accepted(text, records)["tenant"] == "string"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (b'[{"a": 1}, {"a": 2, "b": null}]', ()),
        (b'{"a": 1}\n{"a": 2, "b": null}\nbroken\n', ()),
        (b'{"data": {"rows": [{"a": 1}, {"a": 2, "b": null}]}}', ("--records", "data.rows")),
    ],
)
def test_a_file(tmp_path: Path, text: bytes, options: tuple[str, ...]) -> None:
    (tmp_path / "data").write_bytes(text)
    call("infer", str(tmp_path / "data"), "--output", str(tmp_path / "out.avsc"), *options)
    assert accepted((tmp_path / "out.avsc").read_text(), [{"a": 1}, {"a": 2, "b": None}]) == {
        "a": "long",
        "b": ["null", "string"],
    }


def test_what_the_proposal_does_not_know_is_counted(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text('[\n{"id": 1},\n{"id": 2},\n\n{"id": 3}\n')
    result = CliRunner().invoke(cli, ["schema", "infer", str(tmp_path / "cut.json")])
    assert result.exit_code == 0
    assert "3 records are no JSON objects" in result.stderr


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ('{"a": 1}\n\n{"a": NaN}\n{"a": 2}\n[1]\n', (), "2 records are no JSON objects"),
        ('{"a": 1}\n\n{"a": NaN}\n{"a": 2}\n[1]\n', (), "(line 3, line 5)"),
        ('[{"a": 1}, {"a": NaN}, {"a": 2}]', (), "(record 2)"),
        ('[{"a": 1},\n {"a":\n "\\ud800"},\n {"a": 2}, 7]', (), "(record 2, record 4)"),
        (
            '{"rows": [{"a": 1}, {"a": 1e999}, {"a": 2}], "n": 3}',
            ("--records", "rows"),
            "(record 2)",
        ),
        (f'[{{"a": 1}}, {"7, " * 9}{{"a": 2}}]', (), "record 6, ...)"),
    ],
)
def test_a_record_that_is_no_json_is_named_and_the_others_are_seen(
    tmp_path: Path, text: str, options: tuple[str, ...], said: str
) -> None:
    (tmp_path / "data").write_text(text)
    result = CliRunner().invoke(cli, ["schema", "infer", str(tmp_path / "data"), *options])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["fields"] == [{"name": "a", "type": "long", "doc": "2 seen"}]
    assert said in result.stderr


@pytest.mark.parametrize("text", ['[{"a": NaN}]', "[NaN]", '{"a": NaN}\n{"a": NaN}\n'])
def test_a_file_without_a_record_that_is_json_has_none_to_look_at(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "data").write_text(text)
    with pytest.raises(ConfigError, match="has no records to look at"):
        call("infer", str(tmp_path / "data"))


def test_what_has_no_records_says_so(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with (tmp_path / "data.avro").open("wb") as file:
        fastavro.writer(file, kit.SCHEMA, [])
    for name, said in (
        ("text", "no records"),
        ("data.avro", "schema show"),
        ("missing", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=said):
            call("infer", str(tmp_path / name))


class Asked:
    """A server that wants to be asked in its own way: pages of one record each, and what came."""

    def __init__(self, next_page: str) -> None:
        self.next_page, self.headers = next_page, list[Mapping[str, str]]()

    async def handle(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers)
        page = int(request.query.get("page", 1))
        body: dict[str, Any] = {"items": [{f"page {page}": page}]} if page <= 12 else {"items": []}
        headers = {}
        if self.next_page == "a link" and page < 12:
            headers["Link"] = f'<{request.url.with_query(page=page + 1)}>; rel="next"'
        return web.json_response(body, headers=headers)


async def asked(server: Asked, *options: str) -> int:
    """How many pages the proposal is made of."""
    app = web.Application()
    app.router.add_get("/", server.handle)
    async with serving(app) as url:
        text = await asyncio.to_thread(call, "infer", url, "--records", "items", *options)
    return len(json.loads(text)["fields"])


async def test_the_links_of_a_url_are_followed_up_to_so_many_pages() -> None:
    assert await asked(Asked("a link")) == 10
    assert await asked(Asked("a link"), "--pages", "3") == 3
    assert await asked(Asked("a link"), "--pages", "50") == 12
    assert await asked(Asked("none")) == 1
    assert await asked(Asked("a link"), "--pagination", "{type: none}") == 1


async def test_the_pages_of_a_url_are_said_as_in_a_config() -> None:
    assert await asked(Asked("none"), "--pagination", "{type: page, param: page}") == 10


@pytest.mark.parametrize(
    ("options", "header", "sent"),
    [
        (("--header", "X-Team: lake"), "X-Team", "lake"),
        (("--header", "X-Api-Key:env:THE_KEY"), "X-Api-Key", "k3y"),
        (("--header", "X-Api-Key: file:key"), "X-Api-Key", "k3y"),
        (("--bearer", "env:THE_KEY"), "Authorization", "Bearer k3y"),
        (("--bearer", "t0k"), "Authorization", "Bearer t0k"),
        (("--basic", "me:env:THE_KEY"), "Authorization", "Basic bWU6azN5"),
        (("--basic", "me:a:b"), "Authorization", "Basic bWU6YTpi"),
        (("--header", "A: 1", "--header", "B: x: y", "--bearer", "t"), "B", "x: y"),
    ],
)
async def test_headers_and_credentials_go_to_the_url(
    options: tuple[str, ...],
    header: str,
    sent: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THE_KEY", "k3y")
    Path("key").write_text("k3y\n")
    server = Asked("a link")
    assert await asked(server, "--pages", "2", *options) == 2
    assert [each.get(header) for each in server.headers] == [sent, sent]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("http://h/", "--bearer", "a", "--basic", "b:c"), "one credential"),
        (("http://h/", "--header", "A: env:B", "--bearer", "c"), "one credential"),
        (("http://h/", "--basic", "me"), "USER:S"),
        (("http://h/", "--header", "nothing"), "'NAME: S'"),
        (("http://h/", "--header", ": x"), "'NAME: S'"),
        (("http://h/", "--pagination", "{type: page"), "no YAML"),
        (("http://h/", "--pagination", "page"), "a mapping"),
        (("file.json", "--bearer", "a"), "for a URL"),
        (("worker.yaml", "items", "--pagination", "{type: none}"), "for a URL"),
    ],
)
def test_what_the_options_cannot_say_is_a_wrong_usage(
    arguments: tuple[str, ...], said: str
) -> None:
    result = CliRunner().invoke(cli, ["schema", "infer", *arguments])
    assert result.exit_code == 2 and said in result.stderr, result.stderr


def test_a_file_that_is_there_is_replaced_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seen.json").write_text('[{"id": 1}]')
    Path("item.avsc").write_text("written by hand")
    with pytest.raises(ConfigError, match=r"item.avsc is there already") as refused:
        call("infer", "seen.json", "-o", "item.avsc")
    assert refused.value.remedy.endswith("--force") and refused.value.exit == 78
    assert Path("item.avsc").read_text() == "written by hand"
    call("infer", "seen.json", "-o", "item.avsc", "--force")
    assert accepted(Path("item.avsc").read_text(), [{"id": 1}]) == {"id": "long"}


def test_records_that_are_keyed_by_data_are_told(tmp_path: Path) -> None:
    whole = {f"2024-05-{number:02}": {"close": number} for number in range(1, 30)}
    (tmp_path / "days.json").write_text(json.dumps({"series": whole}))
    runner = CliRunner()
    told = runner.invoke(
        cli, ["schema", "infer", str(tmp_path / "days.json"), "--records", "series"]
    )
    assert "29 different keys, which look like data" in told.stderr and "--records" in told.stderr
    inside = runner.invoke(cli, ["schema", "infer", str(tmp_path / "days.json")])
    assert not inside.stderr
    assert json.loads(inside.stdout)["fields"][0]["type"]["type"] == "map"


def test_a_config_that_is_wrong_otherwise_is_wrong_without_a_schema_too(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_text("version: 1\npipelines: {items: {sink: {path: lake}}}\n")
    with pytest.raises(ConfigError) as refused:
        call("infer", str(tmp_path / "worker.yaml"), "items")
    assert "source" in str(refused.value) and "schema" not in str(refused.value)
    (tmp_path / "worker.yaml").write_text("version: 1\npipelines: {items: 5}\n")
    with pytest.raises(ConfigError, match="a mapping is needed"):
        call("infer", str(tmp_path / "worker.yaml"), "items")


async def test_drift_names_the_fields_that_the_schema_lacks(tmp_path: Path) -> None:
    records = [
        {**kit.item(number, second=number), "score": number / 2}
        | ({"new.flag": True} if number % 2 else {})
        for number in range(40)
    ]
    async with Replica(records, Shape(style="cursor", cap=20)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        [found] = json.loads(await asyncio.to_thread(call, "drift", str(config), "--json"))
        text = await asyncio.to_thread(
            call, "drift", str(config), "items", "--pages", "1", "--examples"
        )
    assert (found["pipeline"], found["records"]) == ("items", 40)
    assert found["fields"] == [
        {"name": "new.flag", "type": ["null", "boolean"], "seen": 20},
        {"name": "score", "type": "double", "seen": 40},
    ]
    assert 'score: "double", 20 times, like 9.5' in text


async def test_of_avro_the_writers_say_what_the_schema_lacks_and_nothing_is_guessed(
    tmp_path: Path,
) -> None:
    wider = {**kit.SCHEMA, "fields": [{"name": "more", "type": "string"}, *kit.SCHEMA["fields"]]}
    bodies = [
        container(
            wider if page else kit.SCHEMA, [row(page * 5 + number, more="x") for number in range(5)]
        )
        for page in range(3)
    ]
    async with avro_server(bodies) as url:
        config = kit.write_config(tmp_path, url, source=PAGES, decode={"type": "avro"})
        [found] = json.loads(await asyncio.to_thread(call, "drift", str(config), "--json"))
        text = await asyncio.to_thread(call, "drift", str(config), "--examples")
        with pytest.raises(ConfigError, match="nothing to guess"):
            await asyncio.to_thread(call, "infer", str(config), "items")
    assert found == {
        "pipeline": "items",
        "records": 15,
        "fields": [{"name": "more", "type": "string", "seen": 10}],
    }
    assert 'more: "string", 10 times' in text


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        ('[{"id": 1}]', ["--namespace", "1 bad"], "is not a valid name"),
        ('[{"id": 1}]', ["--output", "none/x.avsc"], "cannot be written"),
        ('{"id": 1', [], "is no JSON"),
        ('{"d": {"id": 1}}\n{"d": {"id": 2}}\n', ["--records", "d"], "leave --records out"),
    ],
)
def test_a_proposal_that_cannot_be_made_is_an_error_of_the_user(
    content: str, options: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seen.json").write_text(content)
    with pytest.raises(ConfigError, match=said):
        call("infer", "seen.json", *options)


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("http://h/", "--records", "a["), "--records"),
        (("http://",), "SOURCE"),
        (("http://h/", "--pagination", "{type: pages}"), "--pagination"),
        (("http://h/", "--pagination", "{type: page, parm: page}"), "--pagination"),
        (("http://h/", "--header", "a b: c"), "--header"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_said_of_it(
    arguments: tuple[str, ...], where: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        call("infer", *arguments)
    assert caught.value.where == where
