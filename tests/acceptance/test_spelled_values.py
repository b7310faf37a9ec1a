"""A source whose values are written in another way than JSON has: what was a reject lands once,
when the config says how the source writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kit
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
