"""Which root a chain writes to: its id, and where the files of its commits are."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from worker.core.errors import RootUnknown, SinkUnavailable, StateError
from worker.core.model import RECORDS, ChainState, CommitRow, Ledger, Root, StagedFile
from worker.core.ports import FileState
from worker.sinks.chain_root import ChainRoot, root_before
from worker.sinks.config import SinkDeps
from worker.sinks.files import Config, commits
from worker.sinks.files_root import FilesRoot
from worker.sinks.root_ids import make_root_id, root_id


def test_an_id_is_made_once_and_stays(tmp_path: Path) -> None:
    assert root_id(tmp_path / "missing") == root_id(tmp_path) == ""
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make_root_id, [tmp_path] * 8))
    assert made == {root_id(tmp_path)}
    document = json.loads((tmp_path / ".worker/root.json").read_text())
    assert document == {"v": 1, "id": root_id(tmp_path)}
    assert os.listdir(tmp_path / ".worker") == ["root.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v": 1}', '{"v": 1, "id": ""}', '{"v":"1"}'])
def test_what_says_no_id_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / ".worker").mkdir()
    (tmp_path / ".worker/root.json").write_text(text)
    with pytest.raises(StateError, match=r"root\.json"):
        root_id(tmp_path)


def test_an_id_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".worker").mkdir()
    (tmp_path / ".worker/root.json").write_text('{"v": 2, "id": "x"}')
    with pytest.raises(StateError, match="version 2, this program knows 1"):
        root_id(tmp_path)


def staged(root: Path | str, root_id: str = "") -> StagedFile:
    return StagedFile(
        kind=RECORDS,
        root=str(root),
        staging=".worker/l/p/staging/f",
        final="f",
        size_bytes=1,
        sha256="",
        rows=1,
        fingerprint="",
        root_id=root_id,
    )


def chain(*files: StagedFile, known: Root | None = None) -> ChainState:
    """A chain with a commit."""
    row = CommitRow(
        **dict.fromkeys(("id", "at", "previous"), ""),
        **dict.fromkeys(("shard", "epoch"), 0),
        pipeline="p",
        lineage="l",
        seq=1,
        ledger=Ledger(),
        files=files,
        ends=(),
    )
    roots = {} if known is None else {RECORDS: known}
    return ChainState("p", 0, "l", seq=1, owner="me", last=row, unpublished=(row,), roots=roots)


def entered(path: Path, state: ChainState) -> ChainRoot:
    root = ChainRoot(path, RECORDS, state, None)
    root.look()
    path.mkdir(exist_ok=True)
    root.enter()
    return root


def test_a_state_of_an_older_format_adopts_the_root_that_has_its_area(tmp_path: Path) -> None:
    file = staged(tmp_path)
    with pytest.raises(SinkUnavailable):
        ChainRoot(tmp_path, RECORDS, chain(file), None).look()
    (tmp_path / ".worker/l/p").mkdir(parents=True)
    root = entered(tmp_path, chain(file))
    assert (root.before, root.of(file)) == (None, tmp_path)
    elsewhere = ChainRoot(tmp_path / "other", RECORDS, chain(), None)
    with pytest.raises(RootUnknown):
        elsewhere.look()


def test_a_moved_root_of_an_older_format_is_found_by_its_area(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / ".worker/l/p").mkdir(parents=True)
    file = staged(old)
    assert root_before(new, RECORDS, chain(file)) == old
    old.rename(new)
    assert entered(new, chain(file)).of(file) == new


def test_files_are_where_their_root_is(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for each in (first, second):
        each.mkdir()
    ids = make_root_id(first), make_root_id(second)
    state = chain(known=Root(str(second), root_id(second)))
    root = entered(third, state)
    assert root.before == second
    assert root.of(staged("/elsewhere", ids[1])) == second
    assert root.of(staged(first, ids[0])) == first
    assert root.of(staged("/nowhere", root.id)) == third
    with pytest.raises(SinkUnavailable, match="was unmounted, moved or replaced"):
        root.of(staged("/nowhere", ids[0]))
    root.refuse_absent(staged(second, ids[1]))
    second.rename(tmp_path / "away")
    with pytest.raises(SinkUnavailable):
        root.refuse_absent(staged(second, ids[1]))


def test_records_are_looked_for_in_the_root_that_the_chain_comes_from(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    records = old / ".worker/l/p/commits"
    records.mkdir(parents=True)
    (records / "000000000001.json").write_bytes(b"one")
    state = chain(known=Root(str(old), make_root_id(old)))
    here: Any = SinkDeps(chain=state, encoder=lambda *_: None)  # type: ignore[arg-type,return-value]
    assert commits(Config(path=new), here).proven(1) == b"one"
    assert commits(Config(path=old), here).proven(1) == b"one"
    assert commits(Config(path=old), here).proven(2) is None


def test_commands_find_files_where_their_root_was_last_seen(tmp_path: Path) -> None:
    old, now, configured = (tmp_path / name for name in ("old", "now", "configured"))
    now.mkdir()
    file = staged(old, make_root_id(now))
    (now / "f").write_bytes(b"x\n")
    lost = FilesRoot(configured, RECORDS)
    assert lost.standing(file) is FileState.GONE
    with pytest.raises(SinkUnavailable, match=str(old)):
        list(lost.lines(file))
    with pytest.raises(SinkUnavailable, match=str(old)):
        lost.delete(file)
    root = FilesRoot(configured, RECORDS, {file.root_id: str(now)})
    assert (root.standing(file), root.place(file)) == (FileState.PUBLISHED, str(now / "f"))
    assert list(root.lines(file)) == [b"x\n"]
    given_up = FilesRoot(configured, RECORDS, {file.root_id: ""})
    assert (given_up.standing(file), list(given_up.lines(file))) == (FileState.GONE, [])


def test_files_of_older_formats_are_where_they_were_or_at_the_configured_root(
    tmp_path: Path,
) -> None:
    old, configured = tmp_path / "old", tmp_path / "configured"
    configured.mkdir()
    (configured / "f").write_bytes(b"x\n")
    assert FilesRoot(configured, RECORDS).place(staged(old)) == str(configured / "f")
    (old / ".worker").mkdir(parents=True)
    assert FilesRoot(configured, RECORDS).place(staged(old)) == str(old / "f")
