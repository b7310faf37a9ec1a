"""States that landed commits of formats 1 to 4 wrote go on exactly, also when the process is
killed at any step of the migration.

They were left at an orderly end, by a kill before a COMMIT (staged files, and the record of a
commit that was never made) and by a kill after one (its files are not published). See
`tests/state/formats/make.py`.
"""

from __future__ import annotations

import base64
import json
import random
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import kit
import pytest
import sweep

from worker.core.digest import digest_of
from worker.settings import load_settings
from worker.state.sqlite import SqliteCommitLog
from worker.testing.replica import Replica
from worker.wiring.evidence import verified

FORMATS = Path(__file__).parents[1] / "state/formats"
sys.path.insert(0, str(FORMATS))

import make  # noqa: E402  # beside what it made

LANDED = sorted((FORMATS / "landed").glob("*.json"))
by_name = pytest.mark.parametrize("landed", LANDED, ids=lambda path: path.stem)


def has_chains(landed: Path) -> bool:
    """Whether a state has chains, as those from format 4 on."""
    return int(landed.stem.split("-")[0].removeprefix("format_")) >= 4


def restore(landed: Path, directory: Path, config: Path) -> None:
    """Puts a state and its output below a directory, whose replica has another address."""
    found = json.loads(landed.read_text())
    for name, data in found["files"].items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
    (directory / "state").mkdir(exist_ok=True)
    url = load_settings([config]).pipelines["items"].meaning()["url"]
    with closing(sqlite3.connect(directory / "state/state.db")) as db, db:
        db.executescript(found["state"].replace(found["directory"], str(directory)))
        db.execute("UPDATE pipelines SET fingerprint = json_set(fingerprint, '$.url', ?)", (url,))
        where = "chains" if has_chains(landed) else "pipelines"
        ((lineage,),) = db.execute(f"SELECT lineage FROM {where}").fetchall()
        roots = [path for (path,) in db.execute("SELECT DISTINCT root FROM files").fetchall()]
    for root in roots:  # directories without files were not kept
        (Path(root) / ".worker" / lineage / "items" / "staging").mkdir(parents=True, exist_ok=True)


@asynccontextmanager
async def world(landed: Path, directory: Path) -> AsyncIterator[sweep.World]:
    """The source of then with more records, and what was left."""
    bad = {each for each in range(make.RECORDS + 30) if each % 11 == 5}
    records = [
        kit.item(each, second=each // 2, bad=each in bad) for each in range(make.RECORDS + 30)
    ]
    async with Replica(records, sweep.SHAPE) as replica:
        found = sweep.World(replica, directory, random.Random(0))
        found.config = kit.write_config(directory, replica.url, source=make.SOURCE, sink=make.SINK)
        restore(landed, directory, found.config)
        yield found


def test_there_is_one_of_each_kind() -> None:
    assert {path.stem for path in LANDED} == {
        f"format_{number}-{case}" for number in (1, 2, 3, 4) for case in make.CASES
    }


@by_name
def test_a_landed_state_keeps_its_digests(landed: Path, tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    found = json.loads(landed.read_text())
    with closing(sqlite3.connect(path)) as db:
        db.executescript(found["state"])
        published = "seq <= (SELECT published FROM chains)" if has_chains(landed) else "published"
        before = db.execute(f"SELECT seq, {published} FROM commits ORDER BY seq").fetchall()
    with closing(SqliteCommitLog(path)) as log:
        (chain,) = log.chains("items")
        rows = list(log.commits("items"))
    assert [row.seq for row in rows] == [seq for seq, _ in before]
    assert {digest_of(row) == row.digest for row in rows} == {True}
    assert [row.previous for row in rows] == ["", *(row.digest for row in rows[:-1])]
    assert (chain.seq, chain.digest) == (rows[-1].seq, rows[-1].digest)
    assert [row.published for row in rows] == [bool(published) for _, published in before]
    # before there were chains, a commit was marked with the one behind it
    marked = ("ended", "staged") if has_chains(landed) else ("ended",)
    assert all(row.published for row in rows) == landed.stem.endswith(marked)


@by_name
async def test_a_landed_state_goes_on_exactly(landed: Path, tmp_path: Path) -> None:
    async with world(landed, tmp_path) as found:
        for _ in range(2):
            assert await found.run() == 0
        assert not found.wrong()
    settings = load_settings([found.config])
    with closing(SqliteCommitLog(tmp_path / "state/state.db", read_only=True)) as log:
        findings = verified(settings, log, "items").findings
        assert [row.epoch > 0 for row in log.commits("items")][-1]
    # the output stands elsewhere now, which the digests and records of then cover
    moved = {"row_changed", "record_changed"}
    assert {finding.code for finding in findings} <= moved, list(map(str, findings))
    assert not list(tmp_path.rglob("staging/*.*"))


async def killed_at(landed: Path, directory: Path, number: int) -> str:
    """What is wrong after a kill at the n-th statement that the log executes; `over` where the
    process made fewer.
    """
    async with world(landed, directory) as found:
        if await found.run("statement", number) != sweep.KILLED:
            return "over"
        for _ in range(2):
            if code := await found.run():
                return f"exit {code}"
        return found.wrong()


@pytest.mark.parametrize("number", [9, 25, 33])
@pytest.mark.parametrize(
    "name", ["format_1-committed", "format_2-staged", "format_3-committed", "format_4-staged"]
)
async def test_killed_at_some_steps_of_the_migration_it_goes_on_exactly(
    tmp_path: Path, name: str, number: int
) -> None:
    assert not await killed_at(FORMATS / f"landed/{name}.json", tmp_path, number)


@pytest.mark.chaos
@by_name
async def test_killed_at_many_steps_of_the_migration_it_goes_on_exactly(
    landed: Path, tmp_path: Path
) -> None:
    wrong = []
    for number in range(1, 60, 5):  # the migration, the first load and the first claim
        directory = tmp_path / str(number)
        directory.mkdir()
        if found := await killed_at(landed, directory, number):
            wrong.append(f"statement {number}: {found}")
        shutil.rmtree(directory)
    assert not wrong
