"""Dead letters: replay after a schema fix lands them in their routes once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from ruamel.yaml import YAML

from worker.app import replay_async, run_async
from worker.cli import main
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape
from worker.wiring.evidence import verified
from worker.wiring.logs import open_log

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "key": ["id"],
}
COUNT = 1_000
BAD = [number for number in range(COUNT) if number % 50 == 7]


@pytest.fixture
async def landed(tmp_path: Path) -> Path:
    """A config whose source was read once: every 50th record is a dead letter, because `value` is
    text there.
    """
    records = [kit.item(number, second=number // 3, bad=number in BAD) for number in range(COUNT)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source=SOURCE,
            sink={"partition_by": "region={region}", "roll": {"records": 300}},
        )
        result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == 0
    assert kit.dead_ids(tmp_path) == BAD
    return config


def fix_schema(config: Path) -> None:
    fields = [
        {**field, "type": ["int", "string"]} if field["name"] == "value" else field
        for field in kit.SCHEMA["fields"]
    ]
    (config.parent / "item.avsc").write_text(json.dumps({**kit.SCHEMA, "fields": fields}))


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--json"])
    return int(caught.value.code or 0), json.loads(capsys.readouterr().out)


async def test_a_replay_after_a_fix_lands_each_once_in_its_route(landed: Path) -> None:
    directory = landed.parent
    fix_schema(landed)
    first = await replay_async(load_settings([landed]), "items")
    assert (first.exit_code, first.pipelines[0].records, first.pipelines[0].rejects) == (
        0,
        len(BAD),
        0,
    )
    assert kit.lake_ids(directory) == list(range(COUNT))
    second = await replay_async(load_settings([landed]), "items")
    assert (second.exit_code, second.pipelines[0].records) == (0, 0)
    assert kit.lake_ids(directory) == list(range(COUNT))
    for path in kit.published(directory):
        with path.open("rb") as file:
            assert {record["region"] for record in fastavro.reader(file)} == {
                path.parent.name.removeprefix("region=")
            }  # type: ignore[call-overload,index]
    settings = load_settings([landed])
    log = open_log(settings, read_only=True)
    assert verified(settings, log, "items").findings == []
    log.close()


async def test_a_replay_keeps_the_time_at_which_a_record_was_received(landed: Path) -> None:
    directory = landed.parent
    letters = (directory / "state/dead_letters/items").glob("*.ndjson")
    written = {
        json.loads(line)["time"] for path in letters for line in path.read_text().splitlines()
    }
    fix_schema(landed)
    schema = json.loads((directory / "item.avsc").read_text())
    stamp = {"type": "long", "logicalType": "timestamp-millis"}
    schema["fields"].append({"name": "came", "type": ["null", stamp], "default": None})
    (directory / "out.avsc").write_text(json.dumps(schema))
    yaml = YAML(typ="safe")
    config = yaml.load(landed)
    config["pipelines"]["items"] |= {
        "output_schema": "out.avsc",
        "transforms": [{"set": {"came": "now_received()"}}],
    }
    yaml.dump(config, landed)
    result = await replay_async(load_settings([landed]), "items")
    assert (result.exit_code, result.pipelines[0].records) == (0, len(BAD))
    came: set[Any] = set()
    for path in kit.published(directory):
        with path.open("rb") as file:
            records: Any = fastavro.reader(file)
            came |= {record["came"] for record in records if record.get("came")}
    shown = {each.isoformat(timespec="milliseconds").replace("+00:00", "Z") for each in came}
    assert written and shown == written


async def test_without_a_fix_they_stay_dead_letters_and_can_be_replayed_later(landed: Path) -> None:
    directory = landed.parent
    for _ in range(2):
        result = await replay_async(load_settings([landed]), "items")
        assert (result.pipelines[0].records, result.pipelines[0].rejects) == (0, len(BAD))
    fix_schema(landed)
    assert (await replay_async(load_settings([landed]), "items")).pipelines[0].records == len(BAD)
    assert kit.lake_ids(directory) == list(range(COUNT))


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_replay_that_dies_round_its_commit_is_exact_the_next_time(
    landed: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fix_schema(landed)
    from worker.state.sqlite import SqliteCommitLog

    commit: Callable[..., None] = SqliteCommitLog.commit

    class Killed(BaseException):
        pass

    def dying(self: SqliteCommitLog, *arguments: Any) -> None:
        if moment == "after":
            commit(self, *arguments)
        raise Killed

    monkeypatch.setattr(SqliteCommitLog, "commit", dying)
    with pytest.raises(BaseException) as caught:  # a group of what the tasks raised
        await replay_async(load_settings([landed]), "items")
    assert "Killed" in repr(caught.value)
    monkeypatch.undo()
    await replay_async(load_settings([landed]), "items")
    assert kit.lake_ids(landed.parent) == list(range(COUNT))


def test_list_show_and_purge(landed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, rows = command(capsys, "dlq", "list", str(landed))
    assert (code, rows) == (
        0,
        [
            {
                "pipeline": "items",
                "stage": "validate",
                "code": "invalid",
                "field": "$.value",
                "letters": len(BAD),
            }
        ],
    )
    code, letters = command(capsys, "dlq", "show", str(landed), "--pipeline", "items", "-n", "2")
    assert [json.loads(letter["raw"])["id"] for letter in letters] == BAD[:2]
    fix_schema(landed)
    assert command(capsys, "dlq", "replay", str(landed), "--pipeline", "items")[0] == 0
    assert command(capsys, "dlq", "list", str(landed)) == (0, [])
    with pytest.raises(SystemExit):
        main(["dlq", "purge", str(landed), "--pipeline", "items", "--yes"])
    assert kit.dead_ids(landed.parent) == []
