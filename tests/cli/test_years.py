"""`prune`, `state backup`, `state reset --remove-files`, `dlq purge`: what an operator does in the
course of years.
"""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import kit
import pytest

from worker.app import run_async
from worker.cli import main
from worker.settings import load_settings
from worker.sinks.used_roots import UsedRoots
from worker.state.lock import lock_state
from worker.testing.replica import Replica, Shape

SOURCE = {
    "pagination": {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "cursor"}},
    "key": ["id"],
    "incremental": {"field": "updated_at", "param": "since"},
}


def items(begin: int, end: int) -> list[dict[str, object]]:
    return [kit.item(each, second=each, bad=each % 9 == 4) for each in range(begin, end)]


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    """A config whose pipeline made several commits, some with dead letters."""

    async def land() -> Path:
        shape = Shape(style="cursor", cap=5, since="since")
        async with Replica(items(0, 40), shape) as replica:
            config = kit.write_config(
                tmp_path,
                replica.url,
                source=SOURCE,
                sink={"roll": {"records": 5}},
                dead_letters={"max_ratio": 1.0},
            )
            assert (await run_async(load_settings([config]), once=True)).exit_code == 0
        return config

    return asyncio.run(land())


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    out = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return code, out.out, out.err


def commits(directory: Path) -> int:
    with closing(sqlite3.connect(directory / "state" / "state.db")) as db:
        return int(db.execute("SELECT count(*) FROM commits").fetchone()[0])


def test_prune_says_first_what_it_would_do_and_keeps_what_waits(
    landed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = commits(tmp_path)
    assert ran(capsys, "prune", landed)[1] == f"items: 0 commits forgotten, {made} are kept\n"
    code, out, _ = ran(capsys, "prune", landed, "--keep", "0s", "--dry-run", "--json")
    (told,) = json.loads(out)
    assert code == 0 and 0 < told["commits"] < made and commits(tmp_path) == made
    code, out, _ = ran(capsys, "prune", landed, "--keep", "0s", "--json")
    assert json.loads(out) == [told] and commits(tmp_path) == told["kept"]
    assert ran(capsys, "verify", landed)[0] == 0
    code, out, _ = ran(capsys, "dlq", "purge", landed, "--pipeline", "items", "--waiting", "--yes")
    assert code == 0 and "files deleted" in out
    ran(capsys, "prune", landed, "--keep", "0s")
    assert commits(tmp_path) == 1
    assert ran(capsys, "verify", landed)[0] == 0


def test_prune_touches_no_output_that_is_not_the_one_of_the_commits(
    landed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, asked = commits(tmp_path), ("prune", landed, "--keep", "0s")
    (tmp_path / "lake").rename(tmp_path / "away")
    code, _, errors = ran(capsys, *asked)
    assert code == 74 and "lake" in errors and not (tmp_path / "lake").exists()
    landed.write_text(landed.read_text().replace("/lake", "/other"))
    assert ran(capsys, *asked)[0] == 78
    (tmp_path / "away").rename(tmp_path / "lake")
    code, _, errors = ran(capsys, *asked)
    assert code == 74 and "still to move its output" in errors
    assert commits(tmp_path) == made and not (tmp_path / "other").exists()
    landed.write_text(landed.read_text().replace("/other", "/lake"))
    with closing(sqlite3.connect(tmp_path / "state" / "state.db")) as db:
        state_id = db.execute("SELECT id FROM state").fetchone()[0]
    used = UsedRoots(lambda event: None)
    used.enter(tmp_path / "lake", state_id, 0)
    assert ran(capsys, *asked)[0] == 75
    used.close()
    assert commits(tmp_path) == made and ran(capsys, *asked)[0] == 0


def test_prune_needs_a_duration_a_pipeline_and_the_lock(
    landed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(capsys, "prune", landed, "--keep", "long")[0] == 64
    assert ran(capsys, "prune", landed, "--pipeline", "itmes")[0] == 78
    with lock_state(tmp_path / "state"):
        for command in (
            ("prune", landed),
            ("state", "rebuild", landed, "--yes"),
            ("state", "reset", landed, "--pipeline", "items", "--remove-files", "--yes"),
        ):
            assert ran(capsys, *command)[0] == 75
        assert ran(capsys, "state", "backup", landed, tmp_path / "copy")[0] == 0
    code, _, errors = ran(capsys, "state", "backup", landed, tmp_path / "copy")
    assert code == 74 and "state.db" in errors, "a copy is never overwritten"
    assert (tmp_path / "copy" / "state.db").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["state.db"]


def test_a_reset_deletes_the_files_that_commits_name_and_no_others(
    landed: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran(capsys, "prune", landed, "--keep", "0s")
    files = kit.published(tmp_path)
    moved = tmp_path / "elsewhere.avro"
    files[0].rename(moved)
    name = files[-1].name
    beyond = tmp_path / "lake" / name.replace(name.split("-")[2], "000000000999")
    other = tmp_path / "lake" / "mine.avro"
    beyond.write_bytes(b"x")
    other.write_bytes(b"y")
    letters = list((tmp_path / "state" / "dead_letters" / "items").glob("*.ndjson"))
    asked = ("state", "reset", landed, "--pipeline", "items", "--remove-files")
    assert ran(capsys, *asked, "--partition", "default", "--yes")[0] == 64
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    code, out, _ = ran(capsys, *asked)
    assert code == 1 and f"{len(files) - 1 + len(letters)} published files" in out
    assert kit.published(tmp_path) == sorted([*files[1:], beyond, other])
    code, out, _ = ran(capsys, *asked, "--yes")
    assert code == 0 and f"{len(files) - 1 + len(letters)} files deleted" in out
    assert f"no commit names it: {beyond}" in out
    assert kit.published(tmp_path) == sorted([beyond, other]) and moved.exists()
    assert not list((tmp_path / "lake" / ".worker").glob("*/items"))
    assert not list((tmp_path / "state" / "dead_letters" / "items").glob("*.ndjson"))


def test_a_reset_that_was_killed_before_it_deleted_can_be_repeated(
    landed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(capsys, "state", "reset", landed, "--pipeline", "items", "--yes")[0] == 0
    assert kit.published(tmp_path)
    asked = ("state", "reset", landed, "--pipeline", "items", "--remove-files", "--yes")
    assert ran(capsys, *asked)[0] == 0
    assert kit.published(tmp_path) == []


def test_a_damaged_state_is_put_aside_with_what_belongs_to_it(
    landed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    data = bytearray((state / "state.db").read_bytes())
    data[4096:8192] = b"\xff" * 4096
    (state / "state.db").write_bytes(data)
    (state / "state.db-wal").write_bytes(b"of the damaged one")
    assert ran(capsys, "state", "show", landed)[0] == 74
    code, out, errors = ran(capsys, "state", "rebuild", landed, "--dry-run")
    assert code == 0 and "items: lineage" in out, errors
    assert (state / "state.db").read_bytes() == data
    assert ran(capsys, "state", "rebuild", landed, "--yes")[0] == 0
    assert (state / "state.db.aside-1").read_bytes() == data
    assert (state / "state.db.aside-1-wal").read_bytes() == b"of the damaged one"
    assert ran(capsys, "verify", landed)[0] == 0
    ran(capsys, "state", "rebuild", landed, "--yes")
    assert (state / "state.db.aside-2").exists()
