"""`worker schema infer` and `drift`, on real servers and files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from avro_kit import PAGES, avro_server, container, row
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
    [(("http://h/", "--records", "a["), "--records"), (("http://",), "SOURCE")],
)
def test_what_is_wrong_on_the_command_line_is_said_of_it(
    arguments: tuple[str, ...], where: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        call("infer", *arguments)
    assert caught.value.where == where
