"""What is the files sink's own: names, parts, blocks, permissions, links."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import Fenced, PublishConflict, SinkUnavailable
from worker.core.model import DEAD_LETTERS, RECORDS, ChainState, Chunk, StagedFile
from worker.core.ports import Evidence, FileState
from worker.formats.avro import AvroEncoder
from worker.formats.ndjson import NdjsonEncoder
from worker.runtime import fs
from worker.sinks import commit_records
from worker.sinks.commit_records import FileCommitRecords
from worker.sinks.files import FilesSink, SinkLimits
from worker.sinks.files_root import FilesRoot
from worker.testing.sink_contract import put

SCHEMA = json.dumps({"type": "record", "name": "R", "fields": [{"name": "n", "type": "long"}]})


def sink(root: Path, lineage: str = "l" * 16, **limits: Any) -> FilesSink:
    made = FilesSink(
        root,
        ChainState("p", 0, lineage, owner="me"),
        lambda *_: AvroEncoder(SCHEMA, "null", {}),
        limits=SinkLimits(**limits),
    )
    made.prepare(())
    return made


def commits_of(root: Path) -> FileCommitRecords:
    return FileCommitRecords(root / ".worker" / ("l" * 16) / "p" / "commits", "me", ())


def chunk(route: str, *numbers: int) -> Chunk:
    return Chunk(route, "f" * 16, len(numbers), bytes(2 * number for number in numbers))


def read(path: Path) -> list[int]:
    with path.open("rb") as file:
        reader: Any = fastavro.reader(file)
        return [record["n"] for record in reader]


def listing(root: Path) -> list[str]:
    return sorted(
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".worker" not in path.parts
    )


def test_nothing_is_seen_before_it_is_published_and_then_all_of_it(tmp_path: Path) -> None:
    files = sink(tmp_path)
    put(files, chunk("a=1", 1, 2))
    put(files, chunk("a=2", 3))
    put(files, chunk("a=1", 4))
    sealed = files.seal()
    assert listing(tmp_path) == []
    files.publish(1, sealed)
    names = [f"a=1/p-{'l' * 16}-000000000001-0001.avro", f"a=2/p-{'l' * 16}-000000000001-0002.avro"]
    assert listing(tmp_path) == names
    assert [read(tmp_path / name) for name in names] == [[1, 2, 4], [3]]
    assert sorted(file.rows for file in sealed) == [1, 3]
    assert all((tmp_path / file.final).stat().st_size == file.size_bytes for file in sealed)
    files.publish(1, sealed)  # again, as recovery does
    assert listing(tmp_path) == names


def test_the_file_that_was_not_written_to_for_longest_is_sealed_first(tmp_path: Path) -> None:
    files = sink(tmp_path, open_files=2)
    for route in ("a", "b", "a", "c", "b"):
        put(files, chunk(route, 1))
    parts = [(file.final.split("/")[0], file.final[-9:-5], file.rows) for file in files.seal()]
    assert parts == [("b", "0002", 1), ("a", "0001", 2), ("c", "0003", 1), ("b", "0004", 1)]


def test_the_files_of_passes_that_are_over_are_closed_before_the_commit(tmp_path: Path) -> None:
    files = sink(tmp_path)
    for route, group in (("a", 1), ("b", 1), ("a", 2), ("a", None)):
        put(files, Chunk(route, "f" * 16, 1, b"\x02", group))
    open_files = len(os.listdir("/dev/fd"))
    files.leave(2)
    assert len(os.listdir("/dev/fd")) == open_files - 2
    assert len(files.seal()) == 4


def test_a_full_file_is_followed_by_its_next_part(tmp_path: Path) -> None:
    files = sink(tmp_path, file_bytes=300, block_bytes=1)
    for number in range(50):
        put(files, chunk("", number % 60))
    sealed = files.seal()
    assert len(sealed) > 1
    files.publish(1, sealed)
    assert [number for file in sealed for number in read(tmp_path / file.final)] == [
        number % 60 for number in range(50)
    ]


@pytest.mark.fault(61, by="the order of calls round a new directory")
def test_a_directory_is_durable_before_a_file_is_moved_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sink(tmp_path)
    put(files, chunk("a=1/b=2", 1))
    sealed = files.seal()
    publish, fsync_dirs, seen = fs.publish, fs.fsync_dirs, list[object]()
    monkeypatch.setattr(
        fs, "fsync_dirs", lambda paths: (seen.append({*paths}), fsync_dirs(list(paths)))
    )
    monkeypatch.setattr(fs, "publish", lambda *rest: (seen.append("moved"), publish(*rest)))
    files.publish(1, sealed)
    before, moved, after = seen
    assert (before, moved) == ({tmp_path, tmp_path / "a=1"}, "moved")
    assert after == {tmp_path / "a=1/b=2"}


@pytest.mark.parametrize("refused", [1, 2, 3], ids=["header", "block", "block of another file"])
def test_a_disk_that_refuses_to_write_leaves_no_file_open(
    tmp_path: Path, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, writes = sink(tmp_path), 0
    before = len(os.listdir("/dev/fd"))
    write_all = fs.write_all

    def refuse(fd: int, data: bytes) -> None:
        nonlocal writes
        writes += 1
        if writes >= refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(fd, data)

    monkeypatch.setattr(fs, "write_all", refuse)
    with pytest.raises(SinkUnavailable, match="No space"):
        put(files, chunk("a", 1))
        put(files, chunk("b", 1))
        files.seal()
    files.close()
    assert len(os.listdir("/dev/fd")) == before


def test_a_commit_of_many_files_is_due(tmp_path: Path) -> None:
    files = sink(tmp_path, commit_files=3)
    for route in ("a", "b"):
        put(files, chunk(route, 1))
    assert not files.full
    for route in ("c", "d"):
        put(files, chunk(route, 1))
        assert files.full
    files.seal()
    files.begin(2)
    assert not files.full


def test_a_link_in_the_output_is_not_followed(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    elsewhere.mkdir()
    files = sink(root)
    (root / "a").symlink_to(elsewhere)
    put(files, chunk("a", 1))
    with pytest.raises(PublishConflict):
        files.publish(1, files.seal())
    assert list(elsewhere.iterdir()) == []


def test_what_is_hidden_is_for_its_user_only_and_records_have_the_number_of_their_commit(
    tmp_path: Path,
) -> None:
    files = sink(tmp_path)
    put(files, chunk("", 1))
    (file,) = files.seal()
    area = tmp_path / ".worker" / ("l" * 16) / "p"
    commits = FileCommitRecords(area / "commits", "me", ())
    commits.stage(7, b"{}")
    record = area / "commits" / "000000000007.open"
    assert record.read_bytes() == b"{}"
    staging = area / "staging" / "me"
    modes = {path: path.stat().st_mode & 0o777 for path in (record, staging, staging.parent)}
    assert modes == {record: 0o600, staging: 0o700, staging.parent: 0o700}
    assert (tmp_path / file.staging).parent == staging
    commits.prove(7)
    assert [path.name for path in (area / "commits").iterdir()] == ["000000000007.json"]


def test_a_record_that_was_begun_is_never_seen_and_swept_by_later_owners(tmp_path: Path) -> None:
    (tmp_path / "000000000007.me.draft").write_bytes(b"{")
    (tmp_path / "000000000007.other.draft").write_bytes(b"{")
    commits = FileCommitRecords(tmp_path, "next", ("me",))
    assert (commits.staged(7), commits.newest(), commits.sweep()) == (None, 0, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000007.other.draft"]


def test_a_torn_record_of_nobody_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "000000000007.open").write_bytes(b"{")
    with pytest.raises(Fenced):
        FileCommitRecords(tmp_path, "me", ()).stage(7, b"{}")


def test_directories_of_owners_long_ago_are_removed_when_they_are_empty(tmp_path: Path) -> None:
    owners = tuple(f"o{number}" for number in range(30))
    staging = tmp_path / ".worker" / ("l" * 16) / "p" / "staging"
    for owner in owners:
        (staging / owner).mkdir(parents=True)
    (staging / "left by format 3").write_bytes(b"")
    assert sink(tmp_path).sweep(owners).files == 1
    assert sorted(path.name for path in staging.iterdir()) == sorted(["me", *owners[-20:]])


def test_dead_letters_have_no_records_of_commits(tmp_path: Path) -> None:
    chain = ChainState("p", 0, "l" * 16, owner="me")
    letters = FilesSink(tmp_path, chain, lambda *_: NdjsonEncoder(), kind=DEAD_LETTERS)
    letters.prepare(())
    assert [path.name for path in (tmp_path / ".worker" / ("l" * 16) / "p").iterdir()] == [
        "staging"
    ]


@pytest.mark.parametrize("name", ["f.avro", "f.ndjson.gz"])
def test_a_damaged_file_is_named_with_what_is_known_of_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing that")
    evidence = FilesRoot(tmp_path, RECORDS).examine(committed(tmp_path, name))
    assert evidence.problem.startswith("it is damaged: ")
    assert (evidence.rows, evidence.size_bytes) == (None, 12)


@pytest.mark.parametrize("elsewhere", ["a", "z"])
def test_a_file_below_a_link_is_named_wherever_that_leads(tmp_path: Path, elsewhere: str) -> None:
    root, real = tmp_path / "lake", tmp_path / elsewhere
    for each in (root, real):
        each.mkdir()
    (real / "f.avro").write_bytes(b"")
    (root / "r").symlink_to(real)
    evidence = FilesRoot(root, RECORDS).examine(committed(root, "r/f.avro"))
    assert evidence.problem == "a directory above it is a link"


def test_a_file_that_nobody_may_look_at_is_not_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    root, file = FilesRoot(tmp_path, RECORDS), committed(tmp_path, "f.avro")
    assert root.standing(file) is FileState.GONE
    for name in ("stat", "lstat"):
        monkeypatch.setattr(os, name, refused)
    assert root.standing(file) is FileState.PUBLISHED
    assert root.examine(file) == Evidence(problem="cannot be read: Permission denied")


def test_a_root_says_where_it_is(tmp_path: Path) -> None:
    assert str(FilesRoot(tmp_path / "lake", RECORDS)) == str(tmp_path / "lake")


def committed(root: Path, name: str) -> StagedFile:
    return StagedFile(
        kind=RECORDS,
        root=str(root),
        staging=f".worker/{name}",
        final=name,
        size_bytes=12,
        sha256="ab" * 32,
        rows=1,
        fingerprint="f" * 16,
    )


# -- what others do to the directories of a running sink --------------------------------------------


def remove_empty_directories(root: Path) -> None:
    """What a cleaner does."""
    for directory, _, _ in os.walk(root, topdown=False):
        with suppress(OSError):
            os.rmdir(directory)


class Cleaner:
    """A cleaner that comes before the system call with the number `before`."""

    def __init__(self, root: Path, before: int, patch: pytest.MonkeyPatch) -> None:
        self.calls, self._root, self._before = 0, root, before
        for owner, name in (
            *((os, name) for name in ("open", "mkdir", "lstat")),
            *((fs, name) for name in ("_renamed", "fsync_dir")),
        ):
            patch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self._before:
                remove_empty_directories(self._root)
            return call(*args, **options)

        return counted


def test_a_cleaner_of_empty_directories_is_no_more_than_a_pause(tmp_path: Path) -> None:
    """Whenever it comes, the next attempt makes what is missing, and nothing is lost."""
    pauses = before = 0
    while True:
        before += 1
        root, sealed = tmp_path / str(before), ()
        with pytest.MonkeyPatch.context() as patch:
            cleaner = Cleaner(root, before, patch)
            for _ in range(2):
                chain = ChainState("p", 0, "l" * 16, owner="me")
                files = FilesSink(root, chain, lambda *_: AvroEncoder(SCHEMA, "null", {}))
                try:
                    files.prepare(())
                    if not sealed:
                        files.sweep(())
                        put(files, chunk("a=1/b=1", 1, 2))
                        put(files, chunk("a=1/b=2", 3))
                        sealed = files.seal()
                    files.publish(1, sealed)
                    break
                except SinkUnavailable:
                    pauses += 1
                finally:
                    files.close()
            calls = cleaner.calls
        assert len(listing(root)) == 2, f"the cleaner came before call {before}"
        if before > calls:
            break
    assert pauses > 3 and before > 20, "the cleaner came in between"


def test_an_output_whose_directories_are_gone_pauses(tmp_path: Path) -> None:
    files = sink(tmp_path / "lake")
    put(files, chunk("a", 1))
    shutil.rmtree(tmp_path / "lake")
    with pytest.raises(SinkUnavailable, match="lake"):
        put(files, chunk("b", 1))
    with pytest.raises(SinkUnavailable, match="lake"):
        files.seal()
    with pytest.raises(SinkUnavailable, match="lake"):
        commits_of(tmp_path / "lake").stage(1, b"{}")
    with pytest.raises(SinkUnavailable, match="lake"):
        files.sweep(())
    files.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_an_output_that_is_unmounted_lazily_pauses(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root], check=True)
    try:
        files = sink(root)
        put(files, chunk("a", 1))
    finally:
        subprocess.run(["umount", "-l", root], check=True)
    with pytest.raises(SinkUnavailable, match="lake"):
        put(files, chunk("b", 1))
    with pytest.raises(SinkUnavailable, match="lake"):
        files.seal()
    with pytest.raises(SinkUnavailable, match="lake"):
        commits_of(tmp_path / "lake").stage(1, b"{}")
    files.close()
    assert list(root.iterdir()) == [], "nothing was written beside the mount"


def owner(name: str, *owners: str) -> ChainState:
    return ChainState("p", 0, "ab" * 8, owner=name, owners=owners)


def head(name: str) -> bytes:
    return f'{{"id": "of {name}", "owner": "{name}"}}'.encode()


def test_whoever_was_suspended_while_it_replaced_a_record_takes_away_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look at the record of `one` and its deletion, `three` claims and stages."""
    one, two, three = (
        FileCommitRecords(tmp_path, each.owner, each.owners)
        for each in (owner("one"), owner("two", "one"), owner("three", "one", "two"))
    )
    one.stage(1, head("one"))
    look = commit_records.record_head

    def suspended(record: bytes) -> Any:
        monkeypatch.setattr(commit_records, "record_head", look)
        three.stage(1, head("three"))
        return look(record)

    monkeypatch.setattr(commit_records, "record_head", suspended)
    with pytest.raises(Fenced):
        two.stage(1, head("two"))
    three.prove(1)
    assert three.proven(1) == head("three")


def test_a_record_that_was_put_aside_by_mistake_stands_again(tmp_path: Path) -> None:
    one, two = (
        FileCommitRecords(tmp_path, each.owner, each.owners)
        for each in (owner("one"), owner("two"))
    )
    two.stage(1, head("two"))
    with pytest.raises(Fenced):
        one.stage(1, head("one"))
    assert two.staged(1) == head("two")
    two.prove(1)


@pytest.mark.parametrize("staged_since", [False, True])
def test_a_kill_while_a_record_is_aside_loses_none(tmp_path: Path, staged_since: bool) -> None:
    three = FileCommitRecords(tmp_path, "three", ("one", "two"))
    three.stage(1, head("three"))
    (tmp_path / "000000000001.open").rename(tmp_path / "000000000001.two.aside")
    if staged_since:
        three.stage(1, head("three"))
    four = FileCommitRecords(tmp_path, "four", ("one", "two", "three"))
    assert four.newest() == 0
    assert four.staged(1) == head("three")
    four.prove(1)
    assert [path.name for path in tmp_path.iterdir()] == ["000000000001.json"]


def test_in_recovery_a_record_is_proven_in_the_root_where_it_was_staged(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    FileCommitRecords(old, "one", ()).stage(7, b"seven")
    new.mkdir()
    recovering = FileCommitRecords(new, "two", ("one",), lambda: old)
    assert (recovering.staged(7), recovering.proven(7), recovering.newest()) == (b"seven", None, 0)
    recovering.prove(7)
    assert (recovering.staged(7), recovering.proven(7), recovering.newest()) == (None, b"seven", 7)
    assert [path.name for path in old.iterdir()] == ["000000000007.json"] and not list(
        new.iterdir()
    )
    recovering.bring(7, b"seven")
    recovering.drop(7)
    assert recovering.newest() == 0


def test_what_was_staged_last_is_proven_where_it_was_staged(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    FileCommitRecords(old, "one", ()).stage(8, b"of the old root")
    records = FileCommitRecords(new, "two", ("one",), lambda: old)
    new.mkdir()
    records.stage(8, b"of the new root")
    records.prove(8)
    assert records.proven(8) == b"of the new root" and records.staged(8) == b"of the old root"


@given(
    routes=st.lists(st.sampled_from("abc"), max_size=40),
    file_bytes=st.sampled_from((150, 10**6)),
    block_bytes=st.sampled_from((1, 7, 40)),
    held_bytes=st.sampled_from((3, 50)),
)
def test_what_is_collected_stands_where_it_would_if_it_were_written(
    routes: list[str], file_bytes: int, block_bytes: int, held_bytes: int
) -> None:
    def files_of(how: Callable[[FilesSink, Chunk], None]) -> list[tuple[str, int, list[int]]]:
        with tempfile.TemporaryDirectory() as name:
            files = sink(
                Path(name),
                open_files=2,
                file_bytes=file_bytes,
                block_bytes=block_bytes,
                held_bytes=held_bytes,
            )
            for number, route in enumerate(routes):
                how(files, chunk(route, number))
            sealed = files.seal()
            files.publish(1, sealed)
            return [(each.final, each.rows, read(Path(name) / each.final)) for each in sealed]

    assert files_of(put) == files_of(FilesSink.write)


def test_a_chunk_is_collected_without_a_file_or_a_write(tmp_path: Path) -> None:
    files = sink(tmp_path, block_bytes=4)
    assert not files.collect(chunk("a", 1))  # there is no file yet
    files.write(chunk("a", 1))
    (staged,) = (path for path in tmp_path.rglob("*.avro"))
    before = staged.stat().st_size
    assert files.collect(chunk("a", 2)) and files.collect(chunk("a", 3))
    assert staged.stat().st_size == before
    assert not files.collect(chunk("a", 4))  # a block is full
    files.write(chunk("a", 4))
    assert staged.stat().st_size > before
    (sealed,) = files.seal()
    files.publish(1, [sealed])
    assert read(tmp_path / sealed.final) == [1, 2, 3, 4]


def test_chunks_are_collected_until_open_files_hold_back_all_that_they_may(tmp_path: Path) -> None:
    files = sink(tmp_path, block_bytes=100, held_bytes=4)
    for route in ("a", "b"):
        files.write(chunk(route, 1))
    assert files.collect(chunk("a", 2)) and files.collect(chunk("b", 2))
    assert not files.collect(chunk("a", 3)) and not files.collect(chunk("b", 3))


def test_open_files_hold_back_no_more_than_they_may(tmp_path: Path) -> None:
    files, chunk_bytes, held = sink(tmp_path), 200 * 1024, []
    for route in range(50):
        put(files, Chunk(f"a={route}", "f" * 16, chunk_bytes, bytes(chunk_bytes)))
        held.append(files._pending_bytes)
    assert held[: 8 * 1024 // 200] == [chunk_bytes * each for each in range(1, 41)]
    assert 8 * 1024**2 - chunk_bytes < max(held) <= 8 * 1024**2
    put(files, Chunk("a=49", "f" * 16, chunk_bytes, bytes(chunk_bytes)))  # a block is full
    assert files._pending_bytes == held[-1] - chunk_bytes
