"""Partitions that are found in the records of another pipeline, or in a file; over real HTTP."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cases.runner import worker
from cases.server import Answer, Ask, CaseServer

from worker.app import run_async
from worker.settings import load_settings
from worker.state.sqlite import SqliteCommitLog

SCHEMAS = {
    "repo": {"id": "string", "v": "long"},
    "item": {"n": "long"},
    "out": {"n": "long", "repo": "string"},
}
SNAPSHOT = "schedule: {every: 1h}"
INCREMENTAL = (
    "incremental: {field: v, param: since, initial: 0, format: {record: int}}, key: [id, v]"
)
CONFIG = """
version: 1
state: {{path: state}}
admin: {{listen: null}}
defaults: {{source: {{retry: {{max_attempts: 2, base: 10ms, cap: 20ms, deadline: 5s}}}}}}
pipelines:
  repos:
    source: {{url: {url}/repos, {parent}}}
    schema: repo.avsc
    sink: {{path: repos}}
"""
CHILD = """
  items:
    source:
      url: "{url}/of/{{partition.repo}}"
      partitions: {{repo: {{pipeline: repos, field: id, {found}}}}}
      {child}
    schema: item.avsc
    transforms: [{{set: {{repo: "partition.repo"}}}}]
    output_schema: out.avsc
    sink: {{path: lake, roll: {{age: 20ms}}}}
"""


@dataclass
class Source:
    """Repositories with a version, each of which has one item, its version."""

    repos: dict[str, int]
    url: str = ""
    asked: list[str] = field(default_factory=list)

    def __call__(self, ask: Ask) -> Answer:
        self.asked.append(ask.path)
        if ask.path == "/repos":
            since = int(ask.query.get("since", "0"))
            rows = [{"id": name, "v": v} for name, v in self.repos.items() if v >= since]
            return Answer(sorted(rows, key=lambda row: row["v"]))
        return Answer([{"n": self.repos[ask.path[4:]]}])

    def children_asked(self) -> list[str]:
        """Who was asked since the last time."""
        found, self.asked = [path[4:] for path in self.asked if path != "/repos"], []
        return sorted(found)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.chdir(tmp_path)
    for name, fields in SCHEMAS.items():
        schema = {
            "type": "record",
            "name": name,
            "fields": [{"name": key, "type": kind} for key, kind in fields.items()],
        }
        (tmp_path / f"{name}.avsc").write_text(json.dumps(schema))
    found = Source({"a": 1, "b": 2, "c": 3})
    with CaseServer(found, most=100_000) as server:
        found.url = f"http://127.0.0.1:{server.port}"
        yield found


def configure(
    source: Source,
    *,
    parent: str = SNAPSHOT,
    child: str = "concurrency: 4",
    found: str = "due: change",
    with_child: bool = True,
) -> None:
    text = CONFIG + (CHILD if with_child else "")
    Path("config.yaml").write_text(
        text.format(url=source.url, parent=parent, child=child, found=found)
    )


def run() -> int:
    return worker("run", "config.yaml", "--once")


def landed(lake: str = "lake") -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for path in sorted(Path(lake).glob("*.avro")):
        with path.open("rb") as file:
            found.update(tuple(record.values()) for record in fastavro.reader(file))
    return found


def test_a_state_that_is_rebuilt_knows_what_was_found(source: Source) -> None:
    configure(source)
    assert run() == 0
    source.repos |= {"a": 4, "d": 5}
    assert run() == 0
    assert source.children_asked() == ["a", "a", "b", "c", "d"]
    for path in Path("state").glob("state.db*"):
        path.unlink()
    assert worker("state", "rebuild", "config.yaml", "--yes") == 0
    assert run() == 0
    assert source.children_asked() == []
    source.repos["b"] = 6
    assert run() == 0
    assert source.children_asked() == ["b"]
    assert landed() == Counter([(1, "a"), (2, "b"), (3, "c"), (4, "a"), (5, "d"), (6, "b")])
    assert worker("verify", "config.yaml") == 0


def test_a_state_that_is_rebuilt_from_a_checkpoint_knows_what_was_found(source: Source) -> None:
    configure(source)
    for number in range(3):
        source.repos["a"] = 10 + number
        assert run() == 0
    assert worker("prune", "config.yaml", "--keep", "0s") == 0
    source.children_asked()
    for path in Path("state").glob("state.db*"):
        path.unlink()
    assert worker("state", "rebuild", "config.yaml", "--yes") == 0
    assert run() == 0
    assert source.children_asked() == []


def test_verify_names_a_value_that_was_changed_by_hand(
    source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(source)
    assert run() == 0
    assert worker("verify", "config.yaml") == 0
    with closing(sqlite3.connect("state/state.db")) as db, db:
        db.execute("DELETE FROM found WHERE value = 'b'")
    capsys.readouterr()
    assert worker("verify", "config.yaml") == 65
    assert "what it remembers" in (out := capsys.readouterr().out) or "are not those" in out


def test_a_parent_that_is_read_again_after_a_reset_changes_nothing_for_those_it_finds(
    source: Source,
) -> None:
    configure(source)
    assert run() == 0
    source.children_asked()
    assert worker("state", "reset", "config.yaml", "--pipeline", "repos", "--yes") == 0
    assert run() == 0
    assert source.children_asked() == []
    assert worker("state", "reset", "config.yaml", "--pipeline", "items", "--yes") == 0
    assert run() == 0
    assert source.children_asked() == ["a", "b", "c"]


def test_one_that_is_put_back_is_asked_again(source: Source) -> None:
    configure(source)
    assert run() == 0
    source.children_asked()
    reset = ("state", "reset", "config.yaml", "--pipeline", "items", "--partition", "repo=b")
    assert worker(*reset, "--yes") == 0
    assert run() == 0
    assert source.children_asked() == ["b"]


def test_records_that_were_committed_before_anybody_looked_are_not_left_out_silently(
    source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(source, parent=INCREMENTAL, with_child=False)
    assert run() == 0
    configure(source, parent=INCREMENTAL)
    source.repos["d"] = 4
    assert run() == 78
    assert worker("check", "config.yaml") == 78
    assert '"code":"list_incomplete"' in capfd.readouterr().err
    assert source.children_asked() == []
    assert worker("state", "reset", "config.yaml", "--pipeline", "repos", "--yes") == 0
    assert run() == 0
    assert source.children_asked() == ["a", "b", "c", "d"]


def test_a_list_that_is_read_whole_each_time_is_complete_with_its_next_pass(
    source: Source,
) -> None:
    configure(source, with_child=False)
    assert run() == 0
    configure(source)
    assert run() == 0
    assert source.children_asked() == ["a", "b", "c"]


def test_check_and_read_look_at_one_that_the_first_records_name(
    source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(source)
    assert worker("check", "config.yaml", "--connect") == 0
    assert "partition repo=a: 1 records" in capsys.readouterr().out
    assert worker("read", "config.yaml", "items", "-n", "1") == 0
    assert '{"n":1,"repo":"a"}' in capsys.readouterr().out
    source.repos.clear()
    assert worker("check", "config.yaml", "--connect") == 78
    assert "name no partition" in capsys.readouterr().out
    assert not Path("state").exists()


def test_a_run_of_the_child_alone_says_that_nobody_was_found_yet(
    source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(source)
    assert worker("run", "config.yaml", "--once", "--pipeline", "items") == 0
    assert "pipeline repos has brought no value of repo yet" in capfd.readouterr().out
    assert run() == 0
    source.children_asked()
    assert worker("run", "config.yaml", "--once", "--pipeline", "repos") == 0
    source.repos["a"] = 9
    assert worker("run", "config.yaml", "--once", "--pipeline", "repos") == 0
    assert source.children_asked() == []
    assert worker("run", "config.yaml", "--once", "--pipeline", "items") == 0
    assert source.children_asked() == ["a"]


def test_state_show_says_what_others_look_for(
    source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(source)
    assert run() == 0
    capsys.readouterr()
    assert worker("state", "show", "config.yaml") == 0
    out = capsys.readouterr().out
    assert "others find partitions in id, from commit 1 on" in out
    assert "repo=a: complete" in out
    assert worker("state", "show", "config.yaml", "--json") == 0
    repos = next(each for each in json.loads(capsys.readouterr().out) if each["name"] == "repos")
    assert repos["lists"] == {"id": 0}


def test_what_is_due_by_change_and_by_a_schedule_waits_for_both(source: Source) -> None:
    configure(source, child=SNAPSHOT)
    for number in range(2):
        assert run() == 0
        assert source.children_asked() == ([] if number else ["a", "b", "c"])


def test_a_file_that_changes_is_read_again_and_an_empty_one_is_not_believed(
    source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(source)
    text = Path("config.yaml").read_text()
    Path("config.yaml").write_text(text.replace("pipeline: repos", "file: repos.csv"))
    csv = Path("repos.csv")
    csv.write_text("id,x\na,1\nb,1\n")
    assert run() == 0
    csv.write_text("id,x\na,1\nb,2\nc,1\n")
    source.children_asked()
    assert run() == 0
    assert source.children_asked() == ["b", "c"]
    csv.write_text("id,x\n")
    assert run() == 65
    assert '"code":"partitions_vanished"' in capfd.readouterr().err
    csv.unlink()
    assert run() == 78


@pytest.mark.parametrize("due", ["due: change", "due: always"])
async def test_a_daemon_asks_whoever_a_commit_has_found(source: Source, due: str) -> None:
    configure(source, parent="schedule: {every: 200ms}", found=due)
    text = Path("config.yaml").read_text()
    Path("config.yaml").write_text(
        text.replace("{path: repos}", "{path: repos, roll: {age: 20ms}}")
    )
    running = asyncio.ensure_future(
        run_async(load_settings([Path("config.yaml")]), once=False, for_s=600)
    )
    try:
        await kit.until(lambda: landed() == Counter([(1, "a"), (2, "b"), (3, "c")]))
        source.repos |= {"d": 4}
        await kit.until(lambda: (4, "d") in landed())
        if "change" in due:
            source.repos |= {"a": 5}
            await kit.until(lambda: (5, "a") in landed())
        assert max(landed().values()) == 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_of_many_that_takes_long_keeps_none_of_the_others(
    source: Source, tmp_path: Path
) -> None:
    """One of 300 hangs: the others have long landed by then."""
    others: list[float] = []
    hangs = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/repos":
            return web.json_response([{"id": f"r{n}", "v": n} for n in range(300)])
        if request.path == "/of/r7":
            await hangs.wait()
        others.append(time.monotonic())
        if len(others) == 299:
            hangs.set()
        return web.json_response([{"n": 1}])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    try:
        source.url = str(server.make_url("")).rstrip("/")
        configure(source, found="due: always")
        result = await run_async(load_settings([Path("config.yaml")]), once=True)
        assert result.exit_code == 0
        assert sum(landed().values()) == 300
    finally:
        await server.close()


def test_far_more_are_found_than_are_in_service(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("IN_SERVICE", 7), ("MOST_KNOWN", 20), ("BATCH", 5), ("REFILL", 2)):
        monkeypatch.setattr(f"worker.runtime.registry.{name}", value)
    monkeypatch.setattr("worker.writer.MOST_PARTITIONS", 6)
    monkeypatch.setattr("worker.writer.MOST_FOUND", 10)
    source.repos = {f"r{number}": number for number in range(60)}
    configure(source)
    assert run() == 0
    assert source.children_asked() == sorted(source.repos)
    assert landed() == Counter((v, name) for name, v in source.repos.items())
    source.repos |= {"r5": 100, "r50": 101}
    assert run() == 0
    assert source.children_asked() == ["r5", "r50"]
    with closing(SqliteCommitLog(Path("state/state.db"), read_only=True)) as log:
        assert max(len(row.ends) for row in log.commits("items")) <= 20
        assert len(log.children("repos", "id", most=99)) == 60
