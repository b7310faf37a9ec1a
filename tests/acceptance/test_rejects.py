"""Sources that turn bad: what is kept, what is thrown away, and how the next run goes on."""

from __future__ import annotations

from pathlib import Path

import kit
import pytest

from worker.app import RunResult, replay_async, run_async
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "incremental": {"field": "updated_at", "param": "since"},
    "key": ["id"],
}


def source_of(bad: int, count: int) -> Replica:
    """So many records, of which the first ones are wrong."""
    records = [kit.item(number, second=number, bad=number < bad) for number in range(count)]
    return Replica(records, Shape(style="cursor", cap=100, since="since"))


async def once(config: Path) -> RunResult:
    return await run_async(load_settings([config]), once=True)


@pytest.mark.fault(32, by="all records break the schema")
async def test_what_was_refused_is_read_again_when_the_source_is_right(tmp_path: Path) -> None:
    async with source_of(12, 20) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        refused = await once(config)
        assert (refused.exit_code, refused.pipelines[0].commits) == (65, 0)
        assert "12 of the last 20 records were rejected" in refused.pipelines[0].error
        assert kit.lake_ids(tmp_path) == kit.dead_ids(tmp_path) == []
        replica.records[:] = [kit.item(number, second=number) for number in range(20)]
        assert (await once(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(20)) and kit.dead_ids(tmp_path) == []


async def test_a_few_rejects_alone_are_dead_letters_which_a_replay_lands(tmp_path: Path) -> None:
    async with source_of(9, 9) as replica:
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        first, second = await once(config), await once(config)
    assert (first.exit_code, first.pipelines[0].rejects) == (65, 9)
    error = first.pipelines[0].error
    assert "every record was rejected, 9 of 9" in error and "$.value: found" in error
    assert (second.exit_code, second.pipelines[0].error) == (0, ""), "nothing new is nothing wrong"
    assert kit.lake_ids(tmp_path) == [] and kit.dead_ids(tmp_path) == list(range(9))
    schema = (tmp_path / "item.avsc").read_text()
    (tmp_path / "item.avsc").write_text(schema.replace('"int"', '["int", "string"]'))
    assert (await replay_async(load_settings([config]), "items")).exit_code == 0
    assert kit.lake_ids(tmp_path) == list(range(9))


async def test_a_replay_lands_the_few_that_are_right_now(tmp_path: Path) -> None:
    """They were rejects before, all of them, so that their share says nothing of the source."""
    async with source_of(40, 100) as replica:
        replica.records[0]["value"] = None
        config = kit.write_config(tmp_path, replica.url, source=SOURCE)
        assert (await once(config)).exit_code == 0
    schema = (tmp_path / "item.avsc").read_text()
    (tmp_path / "item.avsc").write_text(schema.replace('"int"', '["int", "null"]'))
    replayed = await replay_async(load_settings([config]), "items")
    assert (replayed.exit_code, replayed.pipelines[0].records) == (0, 1)
    assert replayed.pipelines[0].rejects == 39
    assert kit.lake_ids(tmp_path) == [0, *range(40, 100)]


@pytest.mark.parametrize("ratio, code", [(1, 0), (0.99, 65)])
async def test_with_a_ratio_of_one_every_share_is_allowed(
    tmp_path: Path, ratio: float, code: int
) -> None:
    async with source_of(300, 300) as replica:
        config = kit.write_config(
            tmp_path, replica.url, source=SOURCE, dead_letters={"max_ratio": ratio}
        )
        assert (await once(config)).exit_code == code
    assert kit.dead_ids(tmp_path) == (list(range(300)) if ratio == 1 else [])
