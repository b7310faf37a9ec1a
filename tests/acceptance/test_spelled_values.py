"""A source whose values are written in another way than JSON has: what was a reject lands once,
when the config says how the source writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest
from ruamel.yaml import YAML

from worker.app import replay_async, run_async
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "key": ["id"],
}


def written(number: int) -> dict[str, Any]:
    """Every tenth record has its number in text."""
    item = kit.item(number, second=number % 60)
    return {**item, "value": "1,234"} if number % 10 == 7 else item


async def test_a_replay_lands_what_the_config_says_how_to_read(tmp_path: Path) -> None:
    records = [written(number) for number in range(100)]
    async with Replica(records, Shape(style="cursor", cap=100)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        first = await run_async(load_settings([config]), once=True)
        assert (first.exit_code, first.pipelines[0].rejects) == (0, 10)
        assert kit.dead_ids(tmp_path) == [number for number in range(100) if number % 10 == 7]
        document = YAML(typ="safe").load(config)
        document["pipelines"]["items"]["decode"] = {"coerce": ["numbers"]}
        YAML().dump(document, config)
        again = await replay_async(load_settings([config]), "items")
        assert (again.exit_code, again.pipelines[0].records) == (0, 10)
        assert kit.lake_ids(tmp_path) == list(range(100))
        twice = await replay_async(load_settings([config]), "items")
        assert (twice.exit_code, twice.pipelines[0].records) == (0, 0)


async def test_seconds_in_a_field_of_milliseconds_land_and_are_told_with_the_key_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [
        {**kit.item(number, second=0), "updated_at": 1_714_979_289 + number} for number in range(30)
    ]
    async with Replica(records, Shape(style="cursor", cap=10)) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        document = YAML(typ="safe").load(config)
        document["logging"]["level"] = "warning"
        YAML().dump(document, config)
        told = await _doubts(config, capsys)
        assert {(line["field"], line["pipeline"]) for line in told} == {("updated_at", "items")}
        assert "1970-01-20T20:22:59.289Z" in told[0]["detail"]
        assert "2024-05-06T07:08:09Z" in told[0]["detail"]
        assert "decode.times: {updated_at: epoch_s}" in told[0]["remedy"]
        document["pipelines"]["items"]["decode"] = {"times": {"updated_at": "epoch_ms"}}
        document["state"]["path"] = str(tmp_path / "other-state")
        document["pipelines"]["items"]["sink"]["path"] = str(tmp_path / "other-lake")
        YAML().dump(document, config)
        assert await _doubts(config, capsys) == []


async def _doubts(config: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The warnings of a run that takes every record."""
    result = await run_async(load_settings([config]), once=True)
    assert (result.exit_code, result.pipelines[0].records) == (0, 30)
    logged = map(json.loads, filter(None, capsys.readouterr().err.splitlines()))
    return [line for line in logged if line["event"] == "times.doubtful"]
