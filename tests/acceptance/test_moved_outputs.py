"""Outputs that were moved, unmounted, wiped, or are looked for elsewhere between two runs.

The source has good and bad records, so that records and dead letters have files; commits are small,
so that a kill leaves some unpublished.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from ruamel.yaml import YAML

from worker.app import RunResult, run_async
from worker.settings import load_settings
from worker.state.sqlite import SqliteCommitLog
from worker.testing.replica import Replica, Shape
from worker.wiring.evidence import verified
from worker.wiring.logs import open_log

CURSOR = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
COUNT = 100
BAD = [number for number in range(COUNT) if number % 10 == 3]
GOOD = [number for number in range(COUNT) if number % 10 != 3]
KILLED_BEFORE_PUBLISHING = """
import os, signal, sys
from pathlib import Path
from worker.app import run
from worker.runtime import fs
from worker.settings import load_settings
fs.publish = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
run(load_settings([Path(sys.argv[1])]), once=True)
"""


class Outputs:
    """A source, a state, and outputs whose paths a test changes."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory, self._url = directory, url
        self.sink: dict[str, Any] = {}
        self.more: dict[str, Any] = {"dead_letters": {"path": str(directory / "dead")}}

    def config(self) -> Path:
        return kit.write_config(
            self.directory,
            self._url,
            source={"pagination": CURSOR},
            sink={"roll": {"records": 20}, **self.sink},
            **self.more,
        )

    async def run(self) -> RunResult:
        return await run_async(load_settings([self.config()]), once=True)

    async def killed(self) -> None:
        """A run that dies after its first COMMIT, before anything is published."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_BEFORE_PUBLISHING, str(self.config())
        )
        assert await process.wait() == -9

    async def paused(self) -> asyncio.Task[RunResult]:
        """A run that has noticed that an output is not there."""
        task = asyncio.create_task(self.run())
        await asyncio.sleep(0)
        done, _ = await asyncio.wait({task}, timeout=0.5)
        assert not done
        return task

    async def call(self, *arguments: str) -> tuple[int, str]:
        """A command in a process of its own: exit code, what it printed."""
        code, out, errors = await kit.worker(*arguments)
        return code, out + errors

    async def check(self) -> tuple[int, str]:
        return await self.call("check", str(self.config()))

    def findings(self) -> list[str]:
        settings = load_settings([self.config()])
        with closing(open_log(settings, read_only=True)) as log:
            return [str(each) for each in verified(settings, log, "items").findings]


def ids(*lakes: Path) -> list[int]:
    """Of all published records below some directories."""
    found = []
    for path in visible(*lakes, suffix=".avro"):
        with path.open("rb") as file:
            found += [record["id"] for record in fastavro.reader(file)]  # type: ignore[index,call-overload]
    return sorted(found)


def dead(*roots: Path) -> list[int]:
    """Of all published dead letters below some directories."""
    return sorted(
        json.loads(json.loads(line)["raw"])["id"]
        for path in visible(*roots, suffix=".ndjson")
        for line in path.read_text().splitlines()
    )


def visible(*roots: Path, suffix: str) -> Iterator[Path]:
    for root in roots:
        for path in sorted(root.rglob(f"*{suffix}")):
            if ".worker" not in path.parts:
                yield path


def root_json(root: Path) -> str:
    return str(json.loads((root / ".worker/root.json").read_text())["id"])


@pytest.fixture
async def outputs(tmp_path: Path) -> AsyncIterator[Outputs]:
    records = [kit.item(number, second=number, bad=number in BAD) for number in range(COUNT)]
    async with Replica(records, Shape(style="cursor", cap=10)) as replica:
        yield Outputs(tmp_path, replica.url)


# -- moved ----------------------------------------------------------------------------------------


async def test_an_output_that_was_moved_goes_on_where_it_is_and_back(outputs: Outputs) -> None:
    lake, moved = outputs.directory / "lake", outputs.directory / "volumes/lake"
    await outputs.killed()
    moved.parent.mkdir()
    lake.rename(moved)
    outputs.sink["path"] = str(moved)
    assert (await outputs.check())[0] == 0
    assert (await outputs.run()).exit_code == 0
    assert (ids(moved), dead(outputs.directory / "dead")) == (GOOD, BAD)
    assert (lake.exists(), outputs.findings()) == (False, [])
    moved.rename(lake)
    outputs.sink["path"] = str(lake)
    assert (await outputs.run()).exit_code == 0
    assert (ids(lake), outputs.findings()) == (GOOD, [])


@pytest.mark.fault(46, by="SIGKILL after the COMMIT, then `sink.path` is edited")
async def test_another_path_is_another_output_once_the_commits_are_finished_at_the_old_one(
    outputs: Outputs,
) -> None:
    lake, other = outputs.directory / "lake", outputs.directory / "other"
    await outputs.killed()
    outputs.sink["path"] = str(other)
    assert (await outputs.check())[0] == 0
    assert not other.exists(), "check creates nothing"
    assert (await outputs.run()).exit_code == 0
    assert 0 < len(ids(lake)) < len(GOOD)
    assert (ids(lake, other), dead(outputs.directory / "dead")) == (GOOD, BAD)
    assert outputs.findings() == []
    staging = list(lake.rglob(".worker/*/items/staging/*/*"))
    assert staging == [], "what is finished at the old output leaves nothing there"
    outputs.sink["path"] = str(lake)  # and back
    assert (await outputs.run()).exit_code == 0
    assert ids(lake, other) == GOOD


async def test_the_old_output_is_found_where_it_was_last_seen(outputs: Outputs) -> None:
    """Moved, seen there, and then replaced: verify finds the files of the first one."""
    lake, moved, other = (outputs.directory / name for name in ("lake", "moved", "other"))
    await outputs.killed()
    lake.rename(moved)
    outputs.sink["path"] = str(moved)
    assert (await outputs.run()).exit_code == 0
    outputs.sink["path"] = str(other)
    assert (await outputs.run()).exit_code == 0
    assert (outputs.findings(), ids(moved, other)) == ([], GOOD)
    assert '"moved":0' in (await outputs.call("verify", str(outputs.config()), "--json"))[1]


@pytest.mark.fault(46, by="the same, and the old output is away")
async def test_another_path_while_the_old_output_is_away_is_refused(outputs: Outputs) -> None:
    lake, away = outputs.directory / "lake", outputs.directory / "away"
    await outputs.killed()
    lake.rename(away)
    outputs.sink["path"] = str(outputs.directory / "other")
    for arguments in (("check",), ("run", "--once")):
        code, text = await outputs.call(arguments[0], str(outputs.config()), *arguments[1:])
        assert code == 78
        assert str(lake) in text and "worker state adopt CONFIG items --root" in text
    assert not (outputs.directory / "other").exists()
    away.rename(lake)
    assert (await outputs.run()).exit_code == 0
    assert ids(lake, outputs.directory / "other") == GOOD


@pytest.mark.fault(46, by="SIGKILL after the COMMIT, then `dead_letters.path` is edited")
async def test_a_changed_path_of_dead_letters_loses_none(outputs: Outputs) -> None:
    first, second = outputs.directory / "dead", outputs.directory / "other dead"
    await outputs.killed()
    outputs.more["dead_letters"] = {"path": str(second)}
    assert (await outputs.run()).exit_code == 0
    assert (ids(outputs.directory / "lake"), dead(first, second)) == (GOOD, BAD)
    assert (len(dead(first)) > 0, outputs.findings()) == (True, [])
    code, out = await outputs.call("dlq", "list", str(outputs.config()))
    assert code == 0 and f"{len(BAD)} x " in out


async def test_dead_letters_whose_output_is_away_are_not_taken_for_replayed(
    outputs: Outputs,
) -> None:
    first = outputs.directory / "dead"
    assert (await outputs.run()).exit_code == 0
    outputs.more["dead_letters"] = {"path": str(outputs.directory / "other")}
    assert (await outputs.run()).exit_code == 0
    first.rename(outputs.directory / "away")
    code, text = await outputs.call("dlq", "list", str(outputs.config()))
    assert code == 74 and str(first) in text


@pytest.mark.fault(46, by="the working directory changes")
async def test_another_working_directory_is_another_path(
    outputs: Outputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = outputs.directory / "one", outputs.directory / "two"
    for each in (one, two):
        each.mkdir()
    outputs.sink["path"] = "lake"
    monkeypatch.chdir(one)
    await outputs.killed()
    monkeypatch.chdir(two)
    assert (await outputs.run()).exit_code == 0
    assert ids(one / "lake", two / "lake") == GOOD
    assert len(ids(one / "lake")) > 0


async def test_a_state_that_was_moved_takes_its_dead_letters_along(outputs: Outputs) -> None:
    state = outputs.directory / "elsewhere"
    del outputs.more["dead_letters"]
    await outputs.killed()
    (outputs.directory / "state").rename(state)
    document = YAML(typ="safe").load(outputs.config())
    document["state"]["path"] = str(state)
    config = outputs.directory / "moved.yaml"
    with config.open("w") as file:
        YAML(typ="safe").dump(document, file)
    assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert ids(outputs.directory / "lake") == GOOD
    assert dead(state / "dead_letters" / "items") == BAD


# -- away -----------------------------------------------------------------------------------------


@pytest.mark.fault(13, by="an empty directory in the place of the output")
@pytest.mark.parametrize("killed", [False, True])
async def test_an_output_that_was_replaced_by_an_empty_directory_pauses(
    outputs: Outputs, killed: bool
) -> None:
    lake, away = outputs.directory / "lake", outputs.directory / "away"
    await (outputs.killed() if killed else outputs.run())
    lake.rename(away)
    lake.mkdir()
    code, text = await outputs.check()
    assert (code, "it is not the output" in text) == (74, True)
    task = await outputs.paused()
    assert list(lake.iterdir()) == [], "nothing is written into a mount point"
    lake.rmdir()
    away.rename(lake)
    assert (await task).exit_code == 0
    assert (ids(lake), dead(outputs.directory / "dead")) == (GOOD, BAD)


async def test_verify_names_an_output_with_another_id_though_all_files_are_there(
    outputs: Outputs,
) -> None:
    await outputs.run()
    about = outputs.directory / "lake" / ".worker" / "root.json"
    found = json.loads(about.read_text())
    about.write_text(json.dumps({**found, "id": "f" * 16}))
    code, out, _ = await kit.worker("verify", outputs.config(), "--json")
    (finding,) = json.loads(out)[0]["findings"]
    assert (code, finding["code"]) == (65, "root") and "has the id ffff" in finding["what"]


@pytest.mark.fault(13, by="the output is unmounted, then mounted again")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
async def test_an_unmounted_output_pauses_until_it_is_mounted(outputs: Outputs) -> None:
    lake, disk = outputs.directory / "lake", outputs.directory / "disk"
    for each in (lake, disk):
        each.mkdir()
    with mounted(disk, lake):
        await outputs.killed()
    task = await outputs.paused()
    assert list(lake.iterdir()) == []
    with mounted(disk, lake):
        assert (await task).exit_code == 0
        assert ids(lake) == GOOD


@contextmanager
def mounted(disk: Path, at: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", disk, at], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", at], check=True)


@pytest.mark.fault(45, by="staging is emptied before and after the COMMIT")
@pytest.mark.parametrize("when", ["before COMMIT", "after COMMIT"])
async def test_an_output_whose_staging_was_emptied(outputs: Outputs, when: str) -> None:
    lake = outputs.directory / "lake"
    if when == "after COMMIT":
        await outputs.killed()
        for path in lake.rglob("staging/*/*.avro"):
            path.unlink()
        assert (await outputs.call("run", str(outputs.config()), "--once"))[0] == 74
        assert ids(lake) == []
        return
    assert (await outputs.run()).exit_code == 0
    for path in lake.rglob("staging"):
        shutil.rmtree(path)
    assert (await outputs.run()).exit_code == 0
    assert ids(lake) == GOOD


# -- shared ---------------------------------------------------------------------------------------


async def test_two_states_share_one_lake(outputs: Outputs, tmp_path: Path) -> None:
    lake = outputs.directory / "lake"
    others = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        other = Outputs(tmp_path / name, outputs._url)
        other.sink["path"] = str(lake)
        others.append(other)
    results = await asyncio.gather(*(other.run() for other in others[:1]))
    settings = YAML(typ="safe").load(others[1].config())
    settings["pipelines"]["other"] = settings["pipelines"].pop("items")
    config = tmp_path / "b/worker.yaml"
    with config.open("w") as file:
        YAML(typ="safe").dump(settings, file)
    results.append(await run_async(load_settings([config]), once=True))
    assert [each.exit_code for each in results] == [0, 0]
    assert ids(lake) == sorted([*GOOD, *GOOD])
    assert len(list((lake / ".worker/locks").iterdir())) == 2


async def test_two_pipelines_of_a_state_share_its_roots(outputs: Outputs) -> None:
    lake, letters = outputs.directory / "lake", outputs.directory / "dead"
    document = YAML(typ="safe").load(outputs.config())
    document["pipelines"]["second"] = document["pipelines"]["items"]
    config = outputs.directory / "two.yaml"
    with config.open("w") as file:
        YAML(typ="safe").dump(document, file)
    assert (await run_async(load_settings([config]), once=True)).exit_code == 0
    assert ids(lake) == sorted([*GOOD, *GOOD])
    assert dead(letters) == sorted([*BAD, *BAD])
    with closing(SqliteCommitLog(outputs.directory / "state/state.db", read_only=True)) as log:
        roots = {root for name in ("items", "second") for root in log.roots(name).values()}
    assert {root.id for root in roots} == {root_json(lake), root_json(letters)}


# -- what operators say ---------------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True])
async def test_a_wiped_output_is_accepted_after_what_is_lost_was_named(
    outputs: Outputs, killed: bool
) -> None:
    lake = outputs.directory / "lake"
    await (outputs.killed() if killed else outputs.run())
    shutil.rmtree(lake)
    config = str(outputs.config())
    code, out = await outputs.call("state", "adopt", config, "items", "--root", "--dry-run")
    assert code == 0 and "committed files are not there" in out and "items-" in out
    assert not lake.exists()
    code, out = await outputs.call("state", "adopt", config, "items", "--root", "--yes")
    assert code == 0 and "accepted" in out
    assert (await outputs.check())[0] == 0
    assert (await outputs.run()).exit_code == 0
    assert (dead(outputs.directory / "dead"), outputs.findings()) == (BAD, [])
    lost = len(GOOD) - len(ids(lake))
    assert lost == (18 if killed else len(GOOD)), "what was lost, and no more"
    code, out = await outputs.call("state", "adopt", config, "items", "--root")
    assert code == 0 and "nothing to accept" in out


async def test_accepting_one_output_gives_up_nothing_of_the_other(outputs: Outputs) -> None:
    lake, first, second = (outputs.directory / name for name in ("lake", "dead", "second"))
    await outputs.killed()
    shutil.rmtree(lake)
    outputs.more["dead_letters"] = {"path": str(second)}
    config = str(outputs.config())
    code, out = await outputs.call("state", "adopt", config, "items", "--root", "--yes")
    assert code == 0 and "1 committed files are not there" in out
    assert (await outputs.run()).exit_code == 0
    assert (dead(first, second), len(dead(first)) > 0) == (BAD, True)
    assert (len(ids(lake)), outputs.findings()) == (len(GOOD) - 18, [])


async def test_dead_letters_in_an_output_of_before_that_is_nowhere_may_be_given_up(
    outputs: Outputs,
) -> None:
    """The run goes on without them; nothing that waits elsewhere can be replayed until then."""
    await outputs.killed()
    outputs.more["dead_letters"]["path"] = str(outputs.directory / "later")
    assert (await outputs.run()).exit_code == 0
    lost = dead(outputs.directory / "dead")
    assert lost and sorted([*lost, *dead(outputs.directory / "later")]) == BAD
    shutil.rmtree(outputs.directory / "dead")
    assert (await outputs.run()).exit_code == 0
    config = str(outputs.config())
    replay = ("dlq", "replay", config, "--pipeline", "items")
    code, text = await outputs.call(*replay)
    assert code == 74 and "`worker state adopt CONFIG PIPELINE --root`" in text
    adopt = ("state", "adopt", config, "items", "--root", "--yes")
    code, text = await outputs.call(*adopt)
    assert code == 0 and "committed files are not there, and are given up" in text
    assert f"{outputs.directory}/dead/items-" in text
    assert (await outputs.call(*replay))[0] == 0
    assert outputs.findings() == []
    code, text = await outputs.call(*adopt)
    assert (code, "nothing to accept" in text) == (0, True)
    assert (await outputs.run()).exit_code == 0
    assert ids(outputs.directory / "lake") == GOOD


async def test_an_output_with_another_history_is_never_accepted(outputs: Outputs) -> None:
    assert (await outputs.run()).exit_code == 0
    newest = max((outputs.directory / "lake").rglob("commits/*.json"))
    newest.write_text('{"v": 2, "id": "another", "digest": "d", "owner": "o"}')
    config = str(outputs.config())
    code, text = await outputs.call("state", "adopt", config, "items", "--root", "--yes")
    assert code == 78 and "has another record of commit" in text


async def test_an_output_that_lacks_the_last_record_may_be_accepted(outputs: Outputs) -> None:
    assert (await outputs.run()).exit_code == 0
    max((outputs.directory / "lake").rglob("commits/*.json")).unlink()
    code, text = await outputs.check()
    assert code == 78 and "has no record of commit" in text
    assert "rebuild" not in text, "it would go back, and is refused"
    config = str(outputs.config())
    code, text = await outputs.call("state", "adopt", config, "items", "--root", "--yes")
    assert code == 0 and "0 committed files are not there" in text
    assert (await outputs.run()).exit_code == 0
    assert ids(outputs.directory / "lake") == GOOD


@pytest.mark.fault(6, by="the state and all that stands beside the files are deleted")
@pytest.mark.parametrize("dead_letters", ["kept", "gone"])
async def test_files_alone_tell_that_a_pipeline_is_not_new(
    outputs: Outputs, dead_letters: str
) -> None:
    """As after a copy without dot files: the names of the files are all that is left."""
    assert (await outputs.run()).exit_code == 0
    for gone in ("state", "lake/.worker", "dead/.worker"):
        shutil.rmtree(outputs.directory / gone)
    if dead_letters == "gone":
        shutil.rmtree(outputs.directory / "dead")
    config = str(outputs.config())
    for arguments in (("check", config), ("run", config, "--once")):
        code, text = await outputs.call(*arguments)
        assert code == 78 and "this state knows nothing of" in text, text
    assert ids(outputs.directory / "lake") == GOOD
    reset = ("state", "reset", config, "--pipeline", "items", "--remove-files", "--yes")
    assert (await outputs.call(*reset))[0] == 0
    assert ids(outputs.directory / "lake") == []
    assert (await outputs.run()).exit_code == 0
    assert ids(outputs.directory / "lake") == GOOD


async def test_the_way_out_of_a_lost_state_that_is_named_loses_and_doubles_nothing(
    outputs: Outputs,
) -> None:
    assert (await outputs.run()).exit_code == 0
    shutil.rmtree(outputs.directory / "state")
    code, text = await outputs.check()
    assert code == 78 and "`worker state rebuild CONFIG`" in text
    assert (await outputs.call("state", "rebuild", str(outputs.config()), "--yes"))[0] == 0
    assert (await outputs.run()).exit_code == 0
    assert ids(outputs.directory / "lake") == GOOD


@pytest.mark.fault(39, by="a file is taken away between its COMMIT and its mark, and is given up")
async def test_a_file_that_nobody_can_prove_may_be_given_up(outputs: Outputs) -> None:
    lake = outputs.directory / "lake"
    await outputs.killed()
    taken = outputs.directory / "taken"
    taken.mkdir()
    for path in lake.rglob("staging/*/*.avro"):
        path.rename(taken / path.name)
    outputs.sink["files_are_taken"] = True  # too late for this commit
    config = str(outputs.config())
    code, text = await outputs.call("run", config, "--once")
    assert code == 74 and "`worker state adopt CONFIG items --root`" in text
    del outputs.sink["files_are_taken"]
    code, text = await outputs.check()
    assert code == 74 and "somebody took it away" in text
    code, text = await outputs.call("state", "adopt", config, "items", "--root", "--yes")
    assert code == 0 and "1 committed files are not there, and are given up" in text, text
    assert (await outputs.run()).exit_code == 0
    assert ids(lake, taken) == GOOD
    assert outputs.findings() == []


async def test_a_renamed_pipeline_asks(outputs: Outputs) -> None:
    assert (await outputs.run()).exit_code == 0
    document = YAML(typ="safe").load(outputs.config())
    document["pipelines"]["renamed"] = document["pipelines"].pop("items")
    config = outputs.directory / "renamed.yaml"
    with config.open("w") as file:
        YAML(typ="safe").dump(document, file)
    for arguments in (("check",), ("run", "--once")):
        code, text = await outputs.call(arguments[0], str(config), *arguments[1:])
        assert (code, "its old name back" in text) == (78, True)
    code, text = await outputs.call("state", "adopt", str(config), "renamed", "--root", "--yes")
    assert (code, "accepted" in text) == (0, True)
    assert (await outputs.call("run", str(config), "--once"))[0] == 0
    assert ids(outputs.directory / "lake") == sorted([*GOOD, *GOOD])


# -- locks ----------------------------------------------------------------------------------------


@pytest.mark.fault(47, by="a copy of the state runs beside it")
async def test_a_copy_of_a_state_that_runs_beside_it_is_refused_at_once(outputs: Outputs) -> None:
    config = outputs.config()
    assert (await outputs.run()).exit_code == 0
    document = YAML(typ="safe").load(config)
    document["pipelines"]["items"]["source"]["schedule"] = {"every": "1h"}
    for name in ("state", "copy"):
        document["state"]["path"] = str(outputs.directory / name)
        with (outputs.directory / f"{name}.yaml").open("w") as file:
            YAML(typ="safe").dump(document, file)
    shutil.copytree(outputs.directory / "state", outputs.directory / "copy")
    first = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "run", str(outputs.directory / "state.yaml"))
    )
    lock = next((outputs.directory / "lake/.worker/locks").glob("*-0"))
    await kit.until(lambda: lock.read_text().endswith(f" {first.pid}\n"))
    copied = str(outputs.directory / "copy.yaml")
    code, text = await outputs.call("run", copied, "--once")
    assert (code, f"(pid {first.pid})" in text) == (75, True)
    code, text = await outputs.call("dlq", "purge", copied, "--pipeline", "items", "--yes")
    assert (code, f"(pid {first.pid})" in text) == (75, True)
    code, text = await outputs.call("state", "rebuild", copied, "--yes")
    assert (code, f"(pid {first.pid})" in text) == (75, True)
    first.terminate()
    assert await first.wait() == 0
    assert set(ids(outputs.directory / "lake")) == set(GOOD)
