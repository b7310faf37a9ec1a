"""`state adopt` and `check` over a state that is there, as people run them."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import kit
import pytest
from kit import worker

from worker.cli import main
from worker.core.cursor import Cursor, PassState
from worker.core.model import Progress
from worker.settings import load_settings
from worker.state.sqlite import FORMATS, SqliteCommitLog
from worker.testing.commit_log_contract import Owner
from worker.testing.replica import Replica, Shape
from worker.wiring.known_roots import adopt_roots, root_adoption

TOKENS = {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}}
SNAPSHOT: dict[str, Any] = {"pagination": TOKENS, "schedule": {"every": "1h"}}
MARKED: dict[str, Any] = {
    "pagination": TOKENS,
    "key": ["id"],
    "incremental": {"field": "updated_at", "param": "since"},
}


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command in this process: exit code, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(each) for each in arguments])
        streams = capsys.readouterr()
        return int(ended.value.code or 0), streams.out, streams.err

    return call


def config_of(directory: Path, url: str = "http://127.0.0.1:1/x", **source: Any) -> Path:
    return kit.write_config(directory, url, source=source, sink={"roll": {"records": 5}})


def begun(directory: Path, source: dict[str, Any], **cursors: Cursor) -> None:
    """A state whose partitions stand at these cursors, and remember a key each, and its outputs."""
    settings = load_settings([config_of(directory, **source)])
    meaning = settings.pipeline("items").meaning()
    with closing(SqliteCommitLog(directory / "state/state.db")) as log:
        log.load("items", meaning)
        steps = {
            name: Progress(cursor, boundary_added=((7, name.encode().ljust(16)),))
            for name, cursor in cursors.items()
        }
        Owner(log, *cursors, pipeline="items").commit(steps)
        adopt_roots(log, settings, root_adoption(log, settings, "items"))


def files_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """All files below, with what would tell that somebody wrote to them."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


HALF = Cursor(pass_no=3, received=20, position=PassState(at={"token": "t"}, pages=2))


# -- state adopt -----------------------------------------------------------------------------------


def test_a_snapshot_in_progress_is_dropped_after_it_was_said(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, SNAPSHOT, default=HALF)
    config = config_of(tmp_path, **SNAPSHOT, params={"tag": "a"})
    before = files_of(tmp_path)
    code, out, _ = call("state", "adopt", config, "items", "--dry-run")
    assert code == 0 and "accepted" not in out
    assert "source.params.tag changed" in out
    assert "its 20 records come again under pass 4" in out
    assert files_of(tmp_path) == before
    code, again, _ = call("state", "adopt", config, "items")
    assert (code, again) == (0, out + "accepted: the cursors mean what the config says\n")
    shown = json.loads(call("state", "show", config, "--json")[1])[0]["partitions"][0]["cursor"]
    assert Cursor.from_json(json.dumps(shown)) == Cursor(pass_no=4)
    code, out, _ = call("state", "adopt", config, "items")
    assert code == 0 and "nothing to adopt" in out
    assert call("check", config)[0] == 0


def test_an_adoption_is_json_for_programs(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, SNAPSHOT, default=HALF)
    config = config_of(tmp_path, **SNAPSHOT, params={"tag": "a"})
    code, out, _ = call("state", "adopt", config, "items", "--json")
    assert code == 0
    assert json.loads(out) == {
        "pipeline": "items",
        "changed": ["source.params.tag"],
        "partitions": [
            {
                "partition": "default",
                "pass_dropped": 3,
                "pages_dropped": 2,
                "next_pass": 4,
                "keys_forgotten": 0,
                "records_again": 20,
            }
        ],
        "remaining": [],
        "reads_anew": False,
        "accepted": True,
    }
    document = json.loads(call("state", "adopt", config, "items", "--json")[1])
    assert (document["changed"], document["accepted"]) == ([], False)


def test_one_partition_after_the_other_may_be_adopted(tmp_path: Path, call: Any) -> None:
    source = {**SNAPSHOT, "partitions": {"t": ["a", "b"]}, "params": {"t": "{partition.t}"}}
    begun(tmp_path, source, **{"t=a": HALF, "t=b": HALF})
    config = config_of(tmp_path, **{**source, "params": {"u": "{partition.t}"}})
    code, out, _ = call("state", "adopt", config, "items", "--partition", "t=a")
    assert code == 0 and "not accepted yet: 1 more partitions rest on it: t=b" in out
    assert call("check", config)[0] == 78
    code, out, _ = call("state", "adopt", config, "items", "--partition", "t=b")
    assert code == 0 and "accepted:" in out
    assert call("check", config)[0] == 0
    code, out, errors = call("state", "adopt", config, "items", "--partition", "zz")
    assert code == 78 and "no partition 'zz'" in errors


def test_what_has_no_way_names_the_reset(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=HALF.evolve(mark=7))
    incremental = {**MARKED["incremental"], "field": "created_at"}
    config = config_of(tmp_path, **{**MARKED, "incremental": incremental})
    before = files_of(tmp_path)
    code, out, errors = call("state", "adopt", config, "items")
    assert (code, out) == (78, "")
    assert "source.incremental.field changed" in errors
    assert "worker state reset CONFIG --pipeline items" in errors
    assert files_of(tmp_path) == before


def test_with_another_key_the_boundary_is_forgotten(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=Cursor(pass_no=2, mark=7))
    config = config_of(tmp_path, **{**MARKED, "key": ["id", "region"]})
    code, out, _ = call("state", "adopt", config, "items")
    assert code == 0
    assert "1 boundary keys are forgotten, up to 1 records may come twice" in out
    with closing(SqliteCommitLog(tmp_path / "state/state.db", read_only=True)) as log:
        assert log.remembered("items") == {}


def test_without_a_state_there_is_nothing_to_adopt(tmp_path: Path, call: Any) -> None:
    config = config_of(tmp_path, **SNAPSHOT)
    code, out, _ = call("state", "adopt", config, "items")
    assert code == 0 and "nothing to adopt" in out
    assert not (tmp_path / "state").exists()
    code, _, errors = call("state", "adopt", config, "itmes")
    assert code == 78 and "did you mean 'items'?" in errors


@pytest.mark.fault(38, by="keys are edited and adopted")
async def test_the_records_of_an_adopted_source_are_exactly_those_of_the_server(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number) for number in range(60)]
    shape = Shape(style="cursor", cap=20, since="since")
    async with Replica(records, shape) as replica:
        config = config_of(tmp_path, replica.url, **MARKED, stop={"max_pages": 2})
        assert (await worker("run", config, "--once"))[0] == 0
        changes = {"params": {"tag": "a"}}
        config = config_of(tmp_path, replica.url, **MARKED, **changes)
        code, _, errors = await worker("run", config, "--once")
        assert code == 78 and "source.params.tag changed" in errors
        assert "worker state adopt CONFIG items" in errors
        assert (await worker("check", config))[0] == 78
        assert (await worker("state", "adopt", config, "items"))[0] == 0
        assert (await worker("check", config))[0] == 0
        assert (await worker("verify", config))[0] == 0
        assert (await worker("run", config, "--once"))[0] == 0
        assert (await worker("verify", config))[0] == 0
    assert kit.lake_ids(tmp_path) == [*range(60)]


async def test_while_a_daemon_runs_nothing_is_adopted_and_check_only_looks(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number) for number in range(9)]
    async with Replica(records, Shape(style="cursor", since="since")) as replica:
        source = {**MARKED, "schedule": {"every": "1h"}}
        config = config_of(tmp_path, replica.url, **source)
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "worker", "run", str(config)
        )
        try:
            await kit.until(lambda: kit.published(tmp_path))
            assert (await worker("check", config))[0] == 0
            other = config_of(tmp_path, replica.url, **source, params={"tag": "a"})
            before = {
                name: found
                for name, found in files_of(tmp_path / "state").items()
                if not name.endswith("-shm")
            }
            code, _, errors = await worker("state", "adopt", other, "items")
            assert code == 75 and "held by another instance" in errors
            code, out, _ = await worker("check", other)
            assert code == 78 and "source.params.tag changed" in out
            after = files_of(tmp_path / "state")
            assert {name: after[name] for name in before} == before
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert await daemon.wait() == 0


# -- check -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_check_says_which_state_it_read_and_that_run_would_go_on(
    tmp_path: Path, call: Any, as_json: bool
) -> None:
    begun(tmp_path, MARKED, default=HALF.evolve(mark=7))
    config = config_of(tmp_path, **MARKED)
    before = files_of(tmp_path)
    code, out, errors = call("check", config, *(["--json"] if as_json else []))
    assert (code, errors) == (0, "")
    where = f"{tmp_path / 'state/state.db'} (state format {len(FORMATS)}), commit 1"
    if as_json:
        [promise] = json.loads(out)
        assert (promise["state"], promise["refused"]) == (where, None)
    else:
        assert f"  state: {where}\n" in out and "refused" not in out
    assert files_of(tmp_path) == before


def test_check_says_what_run_would_refuse_of_a_changed_meaning(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=HALF.evolve(mark=7))
    config = config_of(tmp_path, **MARKED, params={"tag": "a"})
    code, out, _ = call("check", config)
    assert code == 78 and out.endswith("exit 78\n")
    assert "  refused: " in out and "source.params.tag changed" in out
    code, out, _ = call("check", config, "--json")
    [promise] = json.loads(out)
    assert code == 78
    assert (promise["refused"]["code"], promise["refused"]["exit"]) == ("config", 78)
    assert "state adopt" in promise["refused"]["remedy"]
    text = config.read_text().replace("  items:\n", "  items:\n    enabled: false\n")
    config.write_text(text)
    assert call("check", config)[0] == 0, "run does not run it"


async def test_check_says_that_run_would_refuse_an_incompatible_schema(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Replica([kit.item(1, second=1)], Shape(style="cursor", since="since")) as replica:
        config = config_of(tmp_path, replica.url, **MARKED)
        assert (await worker("run", config, "--once"))[0] == 0
        schema = json.loads((tmp_path / "item.avsc").read_text())
        schema["fields"].append({"name": "more", "type": "string"})
        (tmp_path / "item.avsc").write_text(json.dumps(schema))
        checked, ran = await worker("check", config), await worker("run", config, "--once")
    assert checked[0] == ran[0] == 65
    assert "not backward compatible" in checked[1] and "not backward compatible" in ran[2]


@pytest.mark.parametrize("version", [1, 2])
def test_check_reads_a_state_of_an_older_format_and_leaves_it(
    tmp_path: Path, call: Any, version: int
) -> None:
    config = config_of(tmp_path, **MARKED)
    (tmp_path / "state").mkdir()
    known = {"url": "other"}
    with closing(sqlite3.connect(tmp_path / "state/state.db")) as db:
        db.executescript(f"{''.join(FORMATS[:version])} PRAGMA user_version = {version};")
        db.execute("INSERT INTO pipelines VALUES ('items','l',3,?,'d','[]')", (json.dumps(known),))
        cursor = Cursor(mark=7).to_json()
        db.execute("INSERT INTO partitions VALUES ('items','default',1,3,?)", (cursor,))
        db.commit()
    before = files_of(tmp_path)
    code, out, _ = call("check", config)
    assert code == 78 and f"(state format {version}), commit 3" in out
    assert "source.url" in out
    assert files_of(tmp_path) == before


def test_check_refuses_a_newer_state_as_run_does(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=HALF)
    with closing(sqlite3.connect(tmp_path / "state/state.db")) as db:
        db.execute("PRAGMA user_version = 99")
    config = config_of(tmp_path, **MARKED)
    before = files_of(tmp_path)
    code, out, _ = call("check", config)
    assert code == 74 and "state format 99, this program knows" in out
    assert call("run", config, "--once")[0] == 74
    shutil.rmtree(tmp_path / "state/spool", ignore_errors=True)
    assert {name: found for name, found in files_of(tmp_path).items() if name in before} == before


def test_check_names_a_cursor_that_cannot_be_read(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=HALF)
    with closing(sqlite3.connect(tmp_path / "state/state.db")) as db:
        db.execute("""UPDATE partitions SET cursor = '{"v":99}'""")
        db.commit()
    code, out, _ = call("check", config_of(tmp_path, **MARKED))
    assert code == 74 and "cursor has version 99" in out


def test_check_names_a_cursor_that_its_source_cannot_resume_at(tmp_path: Path, call: Any) -> None:
    meaning = load_settings([config_of(tmp_path, **MARKED)]).pipeline("items").meaning()
    unfit = HALF.evolve(position=PassState(at={"page": 7}, pages=2))
    with closing(SqliteCommitLog(tmp_path / "state/state.db")) as log:
        log.load("items", meaning)
        Owner(log, "default", pipeline="items")
        log.adopt("items", {"default": unfit}, forget_keys=False, fingerprint=None)
    code, out, _ = call("check", config_of(tmp_path, **MARKED))
    assert code == 74 and 'position.at {"page":7}' in out and "state reset" in out
    code, _, errors = call("run", config_of(tmp_path, **MARKED), "--once")
    assert code == 74 and "bug" not in errors


def test_a_state_that_is_not_there_yet_is_said_and_not_made(tmp_path: Path, call: Any) -> None:
    code, out, _ = call("check", config_of(tmp_path, **MARKED))
    assert code == 0 and "state.db does not exist" in out
    assert not (tmp_path / "state").exists()


def test_a_state_that_is_empty_yet_is_as_good_as_none(tmp_path: Path, call: Any) -> None:
    config = config_of(tmp_path, **MARKED)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/state.db").touch()
    code, out, _ = call("check", config)
    assert code == 0 and "state.db is empty" in out
    assert (tmp_path / "state/state.db").read_bytes() == b""


def test_a_state_that_is_damaged_is_named_by_check_as_by_run(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=HALF)
    config = config_of(tmp_path, **MARKED)
    (tmp_path / "state/state.db").write_bytes(b"no database at all" * 500)
    code, out, _ = call("check", config)
    assert code == 74 and "is damaged" in out
    assert call("run", config, "--once")[0] == 74


def test_a_pipeline_that_the_state_does_not_know_begins_with_run(tmp_path: Path, call: Any) -> None:
    begun(tmp_path, MARKED, default=HALF)
    config = config_of(tmp_path, **MARKED, params={"kind": "other"})
    config.write_text(config.read_text().replace("  items:\n", "  others:\n"))
    code, out, _ = call("check", config)
    assert code == 0 and "nothing of this pipeline yet" in out
