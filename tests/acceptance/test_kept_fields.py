"""`validation: {unknown_fields: keep}` in whole runs: what was received is in the files."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from click.testing import CliRunner

from worker.app import RunResult, replay_async, run_async
from worker.cli import cli
from worker.cli.check import examine
from worker.core.errors import ConfigError
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "key": ["id"],
    "incremental": {"field": "updated_at", "param": "since"},
}
KEEP = {"unknown_fields": "keep"}


async def run(config: Path) -> RunResult:
    return await run_async(load_settings([config]), once=True)


def files(directory: Path) -> list[tuple[list[str], list[Any]]]:
    """Names of fields and records of each published file, in the order of commits."""
    found = []
    for path in sorted(kit.published(directory), key=lambda path: path.name):
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            names = [each["name"] for each in reader.writer_schema["fields"]]  # type: ignore[index,call-overload]
            found.append((names, list(reader)))
    return found


def extended(number: int) -> dict[str, Any]:
    return {**kit.item(number, second=number), "more": {"n": number}, "x": None}


async def test_the_field_is_a_compatible_change_and_so_is_the_schema_that_follows_from_it(
    tmp_path: Path,
) -> None:
    shape = Shape(style="cursor", cap=7, since="since")
    async with Replica([extended(number) for number in range(20)], shape) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await run(config)).exit_code == 0
        replica.records += [extended(number) for number in range(20, 40)]
        config = kit.write_config(tmp_path, replica.url, source=SOURCE, validation=KEEP)
        assert (await run(config)).exit_code == 0
        command = ["schema", "drift", str(config), "items", "--propose"]
        told = await asyncio.to_thread(CliRunner().invoke, cli, command, standalone_mode=False)
        replica.records += [{**extended(number), "y": 1} for number in range(40, 50)]
        (tmp_path / "item.avsc").write_text(told.stdout)
        assert (await run(config)).exit_code == 0
    old = [each["name"] for each in kit.SCHEMA["fields"]]
    first, second, third = files(tmp_path)
    assert first[0] == old
    assert second[0] == [*old, "_rest"]
    assert [json.loads(each["_rest"]) for each in second[1]] == [
        {"more": {"n": number}, "x": None} for number in range(20, 40)
    ]
    assert third[0] == [*old, "more", "x", "_rest"]
    assert [(each["more"], each["_rest"]) for each in third[1]] == [
        ({"n": number}, '{"y": 1}'.replace(" ", "")) for number in range(40, 50)
    ]


async def test_the_next_schema_follows_from_what_the_files_keep(tmp_path: Path) -> None:
    part = {"type": "record", "name": "Part", "fields": [{"name": "n", "type": "long"}]}
    parts = {"name": "parts", "type": {"type": "array", "items": part}, "default": []}
    schema = {**kit.SCHEMA, "fields": [*kit.SCHEMA["fields"], parts]}
    records = [kit.item(number, second=number) for number in range(200)]
    records[150] |= {"parts": [{"n": 1}, {"n": 2, "rare": True}], "note": "x"}
    async with Replica(records, Shape(style="cursor", cap=10)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE, validation=KEEP)
        (tmp_path / "item.avsc").write_text(json.dumps(schema))
        assert (await run(config)).exit_code == 0
    given = [word for path in kit.published(tmp_path) for word in ("--kept", str(path))]
    command = ["schema", "drift", str(config), "items", "--propose", *given]
    told = CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)
    fields = {each["name"]: each for each in json.loads(told.stdout)["fields"]}
    assert fields["note"]["type"] == ["null", "string"]
    items = fields["parts"]["type"]["items"]
    assert [(each["name"], each["type"]) for each in items["fields"]] == [
        ("n", "long"),
        ("rare", ["null", "boolean"]),
    ]
    assert "_rest" not in fields
    config = kit.write_config(tmp_path, "http://127.0.0.1:1/", source=SOURCE)
    with pytest.raises(ConfigError, match="keeps no fields"):
        CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)


@pytest.mark.parametrize("written", ["avro", "ndjson"])
async def test_a_long_page_with_rejects_loses_nothing(tmp_path: Path, written: str) -> None:
    records = [
        {**extended(number), "pad": "é" * 50, **({"value": "bad"} if number % 1_000 == 7 else {})}
        for number in range(12_000)
    ]
    async with Replica(records, Shape(style="cursor", cap=12_000)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            validation=KEEP,
            sink={"format": written},
        )
        assert (await run(config)).exit_code == 0
        schema = json.dumps(kit.SCHEMA).replace(
            '{"name": "value", "type": "int"}', '{"name": "value", "type": ["int", "string"]}'
        )
        assert schema != json.dumps(kit.SCHEMA)
        (tmp_path / "item.avsc").write_text(schema)
        result = await replay_async(load_settings([config]), "items")
        assert result.exit_code == 0, result
    if written == "avro":
        landed = [each for _, rows in files(tmp_path) for each in rows]
    else:
        paths = (tmp_path / "lake").rglob("items-*.ndjson")
        landed = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    known = {each["name"] for each in kit.SCHEMA["fields"]}
    received = {
        each["id"]: {name: value for name, value in each.items() if name not in known}
        for each in records
    }
    assert {each["id"]: json.loads(each["_rest"]) for each in landed} == received
    assert len(landed) == len(records)


def test_check_names_the_field(tmp_path: Path) -> None:
    config = kit.write_config(
        tmp_path, "http://127.0.0.1:1/", validation={**KEEP, "into": "more"}, source=SOURCE
    )
    problems, [promise] = examine([config])
    assert not problems
    assert promise["kept_in"] == "more"
    (tmp_path / "out.avsc").write_text(
        json.dumps(
            {
                "type": "record",
                "name": "Out",
                "fields": [{"name": "id", "type": "long"}, {"name": "more", "type": "string"}],
            }
        )
    )
    config = kit.write_config(
        tmp_path,
        "http://127.0.0.1:1/",
        validation={**KEEP, "into": "more"},
        source=SOURCE,
        output_schema="out.avsc",
    )
    [problem], _ = examine([config])
    assert problem.place.key == "pipelines.items.output_schema"
    assert "the field more keeps what the schema lacks" in str(problem)
