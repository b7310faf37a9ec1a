"""Secrets that change while they are used: whole, private, and one process at a time."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from worker.core.errors import SinkUnavailable, StateError, TransientError
from worker.runtime import fs
from worker.state.kept_secrets import PATIENCE_S, KeptSecretFile
from worker.testing.clock import FakeClock


def file_in(state: Path) -> KeptSecretFile:
    return KeptSecretFile(state, "c0ffee", FakeClock())


async def test_what_is_kept_is_read_again_and_is_for_its_user_only(tmp_path: Path) -> None:
    kept, before = file_in(tmp_path / "state"), os.umask(0)
    try:
        async with kept.locked():
            assert await kept.read() == {}
            await kept.write({"refresh_token": "r1"})
            await kept.write({"refresh_token": "r2"})
            assert await file_in(tmp_path / "state").read() == {"refresh_token": "r2"}
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    modes.pop("state")
    assert modes == {"credentials": 0o700, "c0ffee.json": 0o600, "c0ffee.lock": 0o600}


async def test_a_version_that_was_not_written_to_its_end_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = file_in(tmp_path)
    async with kept.locked():
        await kept.write({"refresh_token": "r1"})

        def full(fd: int, data: bytes) -> None:
            os.write(fd, data[:5])
            raise OSError(28, "full")

        monkeypatch.setattr(fs, "write_all", full)
        with pytest.raises(SinkUnavailable):
            await kept.write({"refresh_token": "r2"})
        monkeypatch.undo()
        assert await kept.read() == {"refresh_token": "r1"}
        await kept.write({"refresh_token": "r3"})
        assert await kept.read() == {"refresh_token": "r3"}


async def test_it_is_durable_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, calls = file_in(tmp_path), list[str]()
    async with kept.locked():
        fsync, replace, fsync_dir = fs.fsync, os.replace, fs.fsync_dir
        monkeypatch.setattr(fs, "fsync", lambda *a: (calls.append("file"), fsync(*a))[1])
        monkeypatch.setattr(os, "replace", lambda *a: (calls.append("name"), replace(*a))[1])
        monkeypatch.setattr(fs, "fsync_dir", lambda *a: (calls.append("dir"), fsync_dir(*a))[1])
        await kept.write({"refresh_token": "r1"})
    assert calls == ["file", "name", "dir", "file"]  # the last one is that of the directory


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"v": 1}', b'{"v": 1, "values": {"a": 1}}'])
async def test_a_damaged_file_is_named_with_the_way_out(data: bytes, tmp_path: Path) -> None:
    kept = file_in(tmp_path)
    async with kept.locked():
        kept.path.write_bytes(data)
        with pytest.raises(StateError, match="is damaged") as caught:
            await kept.read()
    assert "new refresh token" in caught.value.remedy


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    kept = file_in(tmp_path)
    async with kept.locked():
        kept.path.write_text('{"v": 2, "values": {}}')
        with pytest.raises(StateError, match="has format 2"):
            await kept.read()


async def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    kept, other = file_in(tmp_path / "state"), tmp_path / "other"
    other.write_text('{"v": 1, "values": {"refresh_token": "theirs"}}')
    async with kept.locked():
        kept.path.symlink_to(other)
        with pytest.raises(StateError):
            await kept.read()
        await kept.write({"refresh_token": "ours"})
    assert "theirs" in other.read_text()
    assert not kept.path.is_symlink()


async def test_one_at_a_time_and_whoever_waits_too_long_says_for_whom(tmp_path: Path) -> None:
    clock = FakeClock()
    first, second = (KeptSecretFile(tmp_path, "c0ffee", clock) for _ in range(2))
    started = clock.monotonic()
    async with first.locked():
        with pytest.raises(TransientError, match=f"held by another process .pid {os.getpid()}"):
            async with second.locked():
                raise AssertionError("both hold it")
    assert clock.monotonic() - started >= PATIENCE_S
    async with second.locked():
        pass
