"""Whatever is changed by hand in a state or in its output is named by `verify`: real files, SQLite.

The instance is that of a process that was killed within a pass, between the record of a commit and
its COMMIT, which alone is nothing to name.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import kit
import pytest
import sweep

from worker.core.audit import Finding
from worker.core.digest import sealed
from worker.core.model import DEAD_LETTERS, RECORDS, of_kind
from worker.settings import load_settings
from worker.state.sqlite import SqliteCommitLog
from worker.testing.replica import Replica
from worker.wiring.evidence import verified


@dataclass(frozen=True)
class Instance:
    """A state and its output, after some commits."""

    directory: Path

    @property
    def state(self) -> Path:
        return self.directory / "state/state.db"

    def sql(self, statement: str) -> None:
        """Changes rows by hand; at least one."""
        with closing(sqlite3.connect(self.state)) as db, db:
            assert db.execute(statement).rowcount != 0, statement

    def log(self) -> SqliteCommitLog:
        return SqliteCommitLog(self.state, read_only=True)

    def findings(self, since: int | str | None = None) -> list[Finding]:
        settings = load_settings([self.directory / "worker.yaml"])
        with closing(self.log()) as log:
            return verified(settings, log, "items", since=since).findings

    def file(self, kind: str = RECORDS) -> Path:
        """A published file."""
        with closing(self.log()) as log:
            files = (file for row in log.commits("items") for file in of_kind(row.files, kind))
            file = next(files)
            return Path(file.root) / file.final

    def record(self, seq: int) -> Path:
        (path,) = (self.directory / "lake").glob(f".worker/*/items/commits/{seq:012}.json")
        return path

    def last(self) -> int:
        with closing(self.log()) as log:
            (chain,) = log.chains("items")
            return chain.seq

    def change_record(self, seq: int, **changes: object) -> None:
        path = self.record(seq)
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))


async def _made(directory: Path) -> None:
    async with Replica([], sweep.SHAPE) as replica:
        world = sweep.World(replica, directory, random.Random(1))
        world.change(70)
        assert await world.run() == 0
        world.change(200)
        # the transactions of a load, a claim, a commit and its mark come before
        assert await world.run("before_commit", 5) == sweep.KILLED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where the instance is, and where a copy of it is kept."""
    directory = tmp_path_factory.mktemp("instance")
    asyncio.run(_made(directory))
    kept = tmp_path_factory.mktemp("kept") / "copy"
    shutil.copytree(directory, kept, symlinks=True)
    return directory, kept


@pytest.fixture
def instance(made: tuple[Path, Path]) -> Iterator[Instance]:
    directory, kept = made
    yield Instance(directory)
    shutil.rmtree(directory)
    shutil.copytree(kept, directory, symlinks=True)


def test_what_a_kill_left_is_nothing_to_name(instance: Instance) -> None:
    assert instance.findings() == []
    with closing(sqlite3.connect(instance.state)) as db:
        for table in ("boundary", "tokens", "schemas", "partitions"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone()[0], table
    assert list(instance.directory.rglob("*.open"))


Corruption = Callable[[Instance], object]


def sql(statement: str) -> Corruption:
    return lambda instance: instance.sql(statement)


def _emptied(instance: Instance) -> None:
    instance.file().write_bytes(b"")


def _longer(instance: Instance) -> None:
    with instance.file(DEAD_LETTERS).open("a") as file:
        file.write("{}\n")


def _flipped(instance: Instance) -> None:
    data = bytearray(instance.file().read_bytes())
    data[-1] ^= 1
    instance.file().write_bytes(data)


def _linked(instance: Instance) -> None:
    file = instance.file()
    moved = file.rename(instance.directory / "elsewhere")
    file.symlink_to(moved)


def _linked_to_nothing(instance: Instance) -> None:
    file = instance.file()
    file.unlink()
    file.symlink_to(instance.directory / "nothing")


def _linked_directory(instance: Instance) -> None:
    directory = instance.file().parent
    moved = directory.rename(instance.directory / "elsewhere")
    directory.symlink_to(moved)


def _a_directory(instance: Instance) -> None:
    file = instance.file()
    file.unlink()
    file.mkdir()


def _staged_again(instance: Instance) -> None:
    with closing(instance.log()) as log:
        file = next(file for row in log.commits("items") for file in row.files)
    root = Path(file.root)
    (root / file.staging).parent.mkdir(parents=True, exist_ok=True)
    (root / file.final).rename(root / file.staging)


def _copied(instance: Instance) -> None:
    file = instance.file()
    shutil.copy(file, file.with_name(file.name.replace("-0001.", "-0099.")))


def _renamed(instance: Instance) -> None:
    file = instance.file()
    file.rename(file.with_name(file.name.replace("-0001.", "-0099.")))


def _forged(instance: Instance) -> None:
    """A commit is changed, and all digests from it on are made to agree."""
    with closing(instance.log()) as log:
        rows = list(log.commits("items"))
    rows[1] = replace(rows[1], at="2030-01-01T00:00:00.000Z")
    with closing(sqlite3.connect(instance.state)) as db, db:
        before = rows[0].digest
        for row in rows[1:]:
            now = sealed(replace(row, previous=before))
            before = now.digest
            db.execute(
                "UPDATE commits SET at = ?, previous = ?, digest = ? WHERE seq = ?",
                (now.at, now.previous, now.digest, now.seq),
            )
        db.execute("UPDATE chains SET digest = ?", (before,))


def _older(instance: Instance) -> None:
    """The last commit is taken out of the state, as in an older copy of it."""
    last = instance.last()
    with closing(sqlite3.connect(instance.state)) as db, db:
        db.execute("DELETE FROM commits WHERE seq = ?", (last,))
        db.execute("DELETE FROM files WHERE seq = ?", (last,))
        db.execute(
            "UPDATE chains SET seq = seq - 1, published = seq - 1,"
            " digest = (SELECT digest FROM commits WHERE seq = chains.seq - 1)"
        )


def _not_renamed(instance: Instance) -> None:
    path = instance.record(3)
    path.rename(path.with_suffix(".open"))


def _of_another(instance: Instance) -> None:
    shutil.copy(instance.record(2), instance.record(3))


def _torn_record(instance: Instance) -> None:
    path = instance.record(2)
    path.write_bytes(path.read_bytes()[:100])


def _meaning(instance: Instance) -> None:
    with closing(instance.log()) as log:
        meaning = dict(log.meaning("items"))
    meaning["url"] = "http://elsewhere.example"
    with closing(sqlite3.connect(instance.state)) as db, db:
        db.execute("UPDATE pipelines SET fingerprint = ?", (json.dumps(meaning),))


CORRUPTIONS: dict[str, tuple[Corruption, str]] = {
    "a file is gone": (lambda it: it.file().unlink(), "file_missing"),
    "dead letters are gone": (lambda it: it.file(DEAD_LETTERS).unlink(), "file_missing"),
    "a file is empty": (_emptied, "file_changed"),
    "a bit of a file is another": (_flipped, "file_changed"),
    "a dead letter more": (_longer, "file_changed"),
    "a link in place of a file": (_linked, "file_changed"),
    "a link that leads nowhere": (_linked_to_nothing, "file_changed"),
    "a link in place of a directory": (_linked_directory, "file_changed"),
    "a directory in place of a file": (_a_directory, "file_changed"),
    "a file waits in staging again": (_staged_again, "file_staged"),
    "a file twice": (_copied, "file_unknown"),
    "a file under another name": (_renamed, "file_missing"),
    "the mark of publishing is taken back": (
        sql("UPDATE chains SET published = published - 1"),
        "not_published",
    ),
    "the mark of publishing is beyond the end": (
        sql("UPDATE chains SET published = seq + 1"),
        "published",
    ),
    "the time of a commit": (
        sql("UPDATE commits SET at = '2030-01-01T00:00:00.000Z' WHERE seq = 2"),
        "row_changed",
    ),
    "the id of a commit": (sql("UPDATE commits SET id = 'other' WHERE seq = 2"), "row_changed"),
    "the ledger of a commit": (
        sql("UPDATE commits SET ledger = json_set(ledger, '$.received', 1000) WHERE seq = 2"),
        "ledger",
    ),
    "the cursor in a commit": (
        sql("UPDATE commits SET ends = replace(ends, 'received', 'Received') WHERE seq = 1"),
        "row_changed",
    ),
    "the rows of a file in a commit": (
        sql("UPDATE files SET rows = rows + 1 WHERE seq = 2 AND number = 1"),
        "ledger",
    ),
    "the name of a file in a commit": (
        sql("UPDATE files SET final = 'other/' || final WHERE seq = 2 AND number = 1"),
        "file_missing",
    ),
    "the hash of a file in a commit": (
        sql("UPDATE files SET sha256 = 'ab' WHERE seq = 2 AND number = 1"),
        "file_changed",
    ),
    "a file is taken out of a commit": (
        sql("DELETE FROM files WHERE seq = 2 AND number = 1"),
        "file_unknown",
    ),
    "a commit is taken out": (sql("DELETE FROM commits WHERE seq = 3"), "commits_missing"),
    "the first commit is taken out": (sql("DELETE FROM commits WHERE seq = 1"), "commits_missing"),
    "the digest of a commit": (
        sql("UPDATE commits SET digest = previous WHERE seq = 2"),
        "chain_broken",
    ),
    "the digest before a commit": (
        sql("UPDATE commits SET previous = digest WHERE seq = 2"),
        "chain_broken",
    ),
    "the digest of the chain": (sql("UPDATE chains SET digest = ''"), "head"),
    "the number of the chain": (sql("UPDATE chains SET seq = seq + 1"), "head"),
    "the chain is taken out": (sql("DELETE FROM chains"), "head"),
    "a chain that was forged as a whole": (_forged, "record_changed"),
    "the lineage of a commit": (
        sql("UPDATE commits SET lineage = 'other' WHERE seq = 2"),
        "lineage",
    ),
    "the lineage of the chain": (sql("UPDATE chains SET lineage = 'other'"), "lineage"),
    "the epoch of a commit is above the present one": (
        sql("UPDATE commits SET epoch = 99 WHERE seq = 2"),
        "epoch",
    ),
    "the epoch of a commit is that of an older format": (
        sql("UPDATE commits SET epoch = 0 WHERE seq = 2"),
        "epoch",
    ),
    "the epoch of the chain is above the sequence": (
        sql("UPDATE chains SET epoch = epoch + 1"),
        "epoch",
    ),
    "the sequence of epochs begins again": (sql("UPDATE state SET epoch = 0"), "epoch"),
    "two chains have one epoch": (
        sql("INSERT INTO chains SELECT 'other', 0, 'fe', 0, '', epoch, 0, 0 FROM chains"),
        "epoch",
    ),
    "a cursor": (
        sql("UPDATE partitions SET cursor = json_set(cursor, '$.received', 100000)"),
        "cursor",
    ),
    "the commit of a partition": (sql("UPDATE partitions SET seq = seq - 1"), "cursor"),
    "a partition that no commit moved any more": (
        sql("UPDATE partitions SET seq = 0"),
        "partition_changed",
    ),
    "a partition is gone": (
        sql("DELETE FROM partitions WHERE partition = (SELECT max(partition) FROM partitions)"),
        "partition_missing",
    ),
    "a partition more": (
        sql(
            "INSERT INTO partitions SELECT pipeline, 'new', 0, 2, cursor, '' FROM partitions LIMIT 1"
        ),
        "partition_extra",
    ),
    "a partition of a shard that is not there": (
        sql("UPDATE partitions SET shard = 7"),
        "partition_moved",
    ),
    "a boundary key less": (
        sql("DELETE FROM boundary WHERE key = (SELECT min(key) FROM boundary)"),
        "memory",
    ),
    "a boundary key more": (
        sql("INSERT INTO boundary SELECT pipeline, partition, value, x'00' FROM boundary LIMIT 1"),
        "memory",
    ),
    "the value of a boundary key": (sql("UPDATE boundary SET value = value + 1"), "memory"),
    "a boundary key of another partition": (
        sql("UPDATE boundary SET partition = 'nobody'"),
        "memory",
    ),
    "a token less": (sql("DELETE FROM tokens"), "memory"),
    "a token more": (
        sql("INSERT INTO tokens SELECT pipeline, partition, x'00' FROM tokens LIMIT 1"),
        "memory",
    ),
    "another token": (sql("UPDATE tokens SET token = CAST(x'01' || token AS BLOB)"), "memory"),
    "the sum over what is remembered": (
        sql("UPDATE partitions SET memory = 'ab' || substr(memory, 3)"),
        "memory",
    ),
    "a schema is gone": (sql("DELETE FROM schemas"), "schema"),
    "another schema": (
        sql("""UPDATE schemas SET schema = replace(schema, '"value"', '"worth"')"""),
        "schema",
    ),
    "no schema": (sql("UPDATE schemas SET schema = '{'"), "schema"),
    "a schema more": (
        sql("INSERT INTO schemas VALUES ('items', '00', 1, '\"int\"')"),
        "schema",
    ),
    "the last commit of a schema": (sql("UPDATE schemas SET last_seq = 1"), "schema"),
    "what the cursors rest on": (_meaning, "meaning"),
    "a commit record is gone": (lambda it: it.record(2).unlink(), "record_missing"),
    "the last commit record is gone": (
        lambda it: it.record(it.last()).unlink(),
        "record_missing",
    ),
    "a commit record was not renamed": (_not_renamed, "record_missing"),
    "a commit record of another commit": (_of_another, "record_changed"),
    "half a commit record": (_torn_record, "record_changed"),
    "the counts in a commit record": (
        lambda it: it.change_record(2, ledger={"received": 1}),
        "record_changed",
    ),
    "the cursors in a commit record": (
        lambda it: it.change_record(2, ends=[]),
        "record_changed",
    ),
    "a commit record beyond the end": (
        lambda it: shutil.copy(it.record(1), it.record(1).with_name(f"{999:012}.json")),
        "record_beyond",
    ),
    "a state that is older than its output": (_older, "record_beyond"),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_named(instance: Instance, name: str) -> None:
    corrupt, code = CORRUPTIONS[name]
    corrupt(instance)
    found = instance.findings()
    assert code in {finding.code for finding in found}, list(map(str, found))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_nobody_may_read_is_named(instance: Instance) -> None:
    instance.file().chmod(0)
    (finding,) = instance.findings()
    assert "cannot be read: Permission denied" in str(finding)


def test_what_is_older_is_not_read(instance: Instance) -> None:
    with closing(instance.log()) as log:
        rows = list(log.commits("items"))
    last, before = rows[-1], rows[-2]
    instance.file().unlink()
    instance.record(1).unlink()
    instance.sql("UPDATE commits SET id = 'other' WHERE seq = 1")
    assert len(instance.findings()) >= 3
    assert len(instance.findings(since=1)) >= 3
    assert instance.findings(since=last.seq) == []
    assert instance.findings(since=last.at) == []
    instance.sql(f"UPDATE commits SET id = 'another' WHERE seq = {before.seq}")
    assert {finding.code for finding in instance.findings(since=before.seq)} == {
        "row_changed",
        "record_changed",
    }
    assert instance.findings(since=last.seq) == []
    assert instance.findings(since=last.seq + 5) == []


async def test_the_command_says_it_and_ends_with_65(instance: Instance) -> None:
    config = instance.directory / "worker.yaml"
    code, out, _ = await kit.worker("verify", config, "--since", "1", "--json")
    assert (code, json.loads(out)[0]["findings"]) == (0, [])
    instance.record(2).unlink()
    code, out, _ = await kit.worker("verify", config, "--json")
    (finding,) = json.loads(out)[0]["findings"]
    assert (code, finding["code"], finding["where"]) == (
        65,
        "record_missing",
        "pipeline items, commit 2",
    )
    code, out, _ = await kit.worker("verify", config, "--since", "2030-01-01")
    assert (code, out.splitlines()[-1]) == (0, "ok")
    code, _, errors = await kit.worker("verify", config, "--since", "yesterday")
    assert code == 64
    assert "neither the number of a commit nor a time" in errors
