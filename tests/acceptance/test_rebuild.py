"""A state that is lost, damaged or old is made from its output, and the next run goes on exactly."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import forked
import kit
import pytest
from kit import worker
from ruamel.yaml import YAML

from worker.app import run
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

CURSOR = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
OFFSET = {"type": "offset", "param": "offset"}
INCREMENTAL = {"field": "updated_at", "param": "since"}
SOURCES = {
    "incremental": {"pagination": CURSOR, "key": ["id"], "incremental": INCREMENTAL},
    "tokens": {"pagination": CURSOR},
    "snapshot": {"pagination": OFFSET, "key": ["id"], "schedule": {"every": "1h"}},
}
TENANTS = {
    "params": {"tenant": "{partition.tenant}"},
    "partitions": {"tenant": list(kit.TENANTS)},
}
STEPS = ("commit", "prove", "publish", "mark")
CUT = {
    "commit": "worker.state.sqlite.SqliteCommitLog.commit",
    "prove": "worker.sinks.commit_records.FileCommitRecords.prove",
    "publish": "worker.sinks.files.FilesSink.publish",
    "mark": "worker.state.sqlite.SqliteCommitLog.mark_published",
}


def dies(config: str, method: str, number: int) -> None:
    """A run that is killed before the n-th call of a method."""
    module, owner_name, name = method.rsplit(".", 2)
    owner = getattr(import_module(module), owner_name)
    original, calls = getattr(owner, name), count(1)

    def dying(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    setattr(owner, name, dying)
    run(load_settings([Path(config)]), once=True)


class World:
    """A server, its pipeline over three partitions, and what becomes of the state."""

    def __init__(self, replica: Replica, directory: Path, source: str) -> None:
        self.replica, self.directory = replica, directory
        self.config = str(
            kit.write_config(
                directory,
                replica.url,
                source={**TENANTS, **SOURCES[source]},
                sink={"roll": {"records": 6}},
                dead_letters={"path": str(directory / "dead"), "max_ratio": 1.0},
            )
        )

    async def run(self) -> None:
        code, _, errors = await worker("run", self.config, "--once")
        assert code == 0, errors

    async def killed(self, step: str, number: int) -> None:
        """A run that is killed before the n-th call of a step."""
        assert await forked.call(dies, self.config, CUT[step], number) in (0, -signal.SIGKILL)

    async def rebuild(self) -> dict[str, object]:
        code, out, errors = await worker("state", "rebuild", self.config, "--yes", "--json")
        assert code == 0, errors
        return dict(json.loads(out))

    def lose(self) -> None:
        shutil.rmtree(self.directory / "state")

    async def is_sound(self) -> None:
        code, out, errors = await worker("verify", self.config)
        assert code == 0, out + errors


def items(start: int, stop: int) -> list[dict[str, object]]:
    return [
        kit.item(number, second=number // 3, bad=number % 11 == 5) for number in range(start, stop)
    ]


@pytest.mark.fault(6, by="SIGKILL at steps of a commit, then the state is deleted")
@pytest.mark.parametrize("source", ["incremental", "tokens", "snapshot"])
@pytest.mark.parametrize("step", STEPS)
async def test_after_a_kill_and_the_loss_of_the_state_the_next_run_goes_on_exactly(
    tmp_path: Path, source: str, step: str
) -> None:
    rng = random.Random(f"{source} {step}")
    shape = Shape(
        style="offset" if source == "snapshot" else "cursor",
        cap=4,
        since="since" if source == "incremental" else None,
        filters=("tenant",),
    )
    async with Replica(items(0, 60), shape) as replica:
        world = World(replica, tmp_path, source)
        await world.killed(step, rng.randrange(2, 8))
        world.lose()
        assert (await worker("run", world.config, "--once"))[0] == 78, "nothing is doubled silently"
        await world.rebuild()
        await world.run()
        await world.is_sound()
        if source == "incremental":
            replica.records += items(60, 90)
            await world.killed(step, 2)
            world.lose()
            await world.rebuild()
            await world.run()
            await world.is_sound()
        good = [each["id"] for each in replica.records if each["value"] != "bad"]
        assert kit.lake_ids(tmp_path) == sorted(good)


async def test_what_was_replayed_stays_replayed_and_pruned_commits_stay_pruned(
    tmp_path: Path,
) -> None:
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 40), shape) as replica:
        world = World(replica, tmp_path, "incremental")
        await world.run()
        schema = json.loads((tmp_path / "item.avsc").read_text())
        mended = json.loads(json.dumps(schema).replace('"int"', '["int", "string"]'))
        (tmp_path / "item.avsc").write_text(json.dumps(mended))
        code, _, errors = await worker("dlq", "replay", world.config, "--pipeline", "items")
        assert code == 0, errors
        everything = [each["id"] for each in replica.records]
        assert kit.lake_ids(tmp_path) == everything
        for prune in (False, True):
            if prune:
                _, out, errors = await worker("prune", world.config, "--keep", "0s")
                assert code == 0 and "1 are kept" in out, out + errors
                await world.is_sound()
            world.lose()
            document = await world.rebuild()
            (chain,) = document["chains"]  # type: ignore[misc]
            assert "@dead_letters" in chain["partitions"] and chain["lost"] == []
            code, out, _ = await worker("dlq", "list", world.config)
            assert out == "no dead letters wait\n"
            assert (await worker("dlq", "replay", world.config, "--pipeline", "items"))[0] == 0
            replica.records += items(len(replica.records), len(replica.records) + 15)
            await world.run()
            await world.is_sound()
            assert kit.lake_ids(tmp_path) == [each["id"] for each in replica.records]


@pytest.mark.fault(47, by="an older copy of the state is put back")
async def test_an_older_copy_of_the_state_is_refused_and_rebuilt(tmp_path: Path) -> None:
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 20), shape) as replica:
        world = World(replica, tmp_path, "incremental")
        await world.run()
        code, out, errors = await worker("state", "backup", world.config, str(tmp_path / "copy"))
        assert code == 0 and "copied to" in out, errors
        replica.records += items(20, 40)
        await world.run()
        code, _, errors = await worker("state", "rebuild", world.config, "--yes")
        assert code == 0, "as new as its output: the same comes out"
        shutil.copy(tmp_path / "copy" / "state.db", tmp_path / "state" / "state.db")
        code, _, errors = await worker("run", world.config, "--once")
        assert code == 78 and "worker state rebuild" in errors
        document = await world.rebuild()
        assert Path(str(document["aside"])).exists()
        replica.records += items(40, 50)
        await world.run()
        await world.is_sound()
        good = [each["id"] for each in replica.records if each["value"] != "bad"]
        assert kit.lake_ids(tmp_path) == good


@pytest.mark.parametrize("left", [None, "empty", "another"])
async def test_dead_letters_that_went_with_the_state_are_named_as_lost_and_begin_anew(
    tmp_path: Path, left: str | None
) -> None:
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 40), shape) as replica:
        world = World(replica, tmp_path, "incremental")
        await world.run()
        shutil.rmtree(dead := tmp_path / "dead")
        if left is not None:
            dead.mkdir()
        if left == "another":
            (dead / ".worker").mkdir()
            (dead / ".worker" / "root.json").write_text(json.dumps({"v": 1, "id": "0" * 16}))
        world.lose()
        code, out, _ = await worker("state", "rebuild", world.config, "--dry-run")
        assert code == 0 and f"{dead} is not the directory that was used before" in out
        document = await world.rebuild()
        (chain,) = document["chains"]  # type: ignore[misc]
        assert len(chain["lost"]) >= 2 and "dead" in chain["lost"][0]
        assert chain["new_dead_letters"] == str(dead)
        replica.records += items(40, 50)
        await world.run()
        assert any(dead.glob("*.ndjson"))
        await world.is_sound()
        world.lose()
        (chain,) = (await world.rebuild())["chains"]  # type: ignore[misc]
        assert chain["new_dead_letters"] is None
        _, out, errors = await worker("prune", world.config, "--keep", "0s")
        assert out == f"items: {chain['seq'] - 1} commits forgotten, 1 are kept\n", errors
        world.lose()
        (chain,) = (await world.rebuild())["chains"]  # type: ignore[misc]
        assert chain["lost"] == [], "known by now"


async def test_an_output_that_lost_its_id_with_the_state_is_right_as_it_is(tmp_path: Path) -> None:
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 40), shape) as replica:
        world = World(replica, tmp_path, "incremental")
        await world.run()
        (tmp_path / "lake" / ".worker" / "root.json").unlink()
        world.lose()
        await world.rebuild()
        replica.records += items(40, 50)
        await world.run()
        await world.is_sound()
        good = [each["id"] for each in replica.records if each["value"] != "bad"]
        assert kit.lake_ids(tmp_path) == good


async def test_what_cannot_be_rebuilt_changes_nothing(tmp_path: Path) -> None:
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 40), shape) as replica:
        world = World(replica, tmp_path, "incremental")
        code, _, errors = await worker("state", "rebuild", world.config, "--yes")
        assert code == 78 and "no output of this config has a commit" in errors
        await world.run()
    records = sorted((tmp_path / "lake" / ".worker").rglob("commits/*.json"))
    text = records[2].read_bytes()
    state = (tmp_path / "state" / "state.db").read_bytes()
    for change in (b"", text[:50], text.replace(b'"boundary_added":[[', b'"boundary_added":[[1')):
        records[2].write_bytes(change)
        code, _, errors = await worker("state", "rebuild", world.config, "--yes")
        assert code == 74 and "commit 3" in errors, errors
        assert (tmp_path / "state" / "state.db").read_bytes() == state
    records[2].write_bytes(text)
    records[-1].unlink()
    code, _, errors = await worker("state", "rebuild", world.config, "--yes")
    assert code == 78 and "the state is the newer one" in errors


async def test_a_pipeline_that_nothing_is_found_of_is_named(tmp_path: Path) -> None:
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 8), shape) as replica:
        await World(replica, tmp_path, "incremental").run()
        config = tmp_path / "worker.yaml"
        document = YAML(typ="safe").load(config)
        other = {**document["pipelines"]["items"], "sink": {"path": str(tmp_path / "other")}}
        document["pipelines"]["other"] = other
        with config.open("w") as file:
            YAML(typ="safe").dump(document, file)
        shutil.rmtree(tmp_path / "state")
        dry = ("state", "rebuild", str(config), "--dry-run")
        code, text, errors = await worker(*dry)
        assert code == 0 and f"other: {tmp_path}/other has no commit of it" in text, errors
        _, text, _ = await worker(*dry, "--json")
        assert json.loads(text)["absent"] == {"other": str(tmp_path / "other")}


@pytest.mark.fault(46, by="sink.path is changed, also back, and then the state is lost")
@pytest.mark.parametrize("lakes", [("one", "two"), ("one", "two", "one")])
async def test_the_present_output_is_enough_to_rebuild_a_state_from(
    tmp_path: Path, lakes: tuple[str, ...]
) -> None:
    """The records of commits stay in the output that was left; a checkpoint comes along."""
    shape = Shape(style="cursor", cap=4, since="since", filters=("tenant",))
    async with Replica(items(0, 20), shape) as replica:
        world = World(replica, tmp_path, "incremental")
        for number, lake in enumerate(lakes, 1):
            document = YAML(typ="safe").load(Path(world.config))
            document["pipelines"]["items"]["sink"]["path"] = str(tmp_path / "lake" / lake)
            with open(world.config, "w") as file:
                YAML(typ="safe").dump(document, file)
            await world.run()
            replica.records += items(20 * number, 20 * number + 20)
        await world.is_sound()
        world.lose()
        await world.rebuild()
        await world.run()
        await world.is_sound()
        good = [each["id"] for each in replica.records if each["value"] != "bad"]
        assert kit.lake_ids(tmp_path) == good
