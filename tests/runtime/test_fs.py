"""Files that survive a power loss: each way of doing it, and what each error means."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import DurabilityLost, PublishConflict, SinkUnavailable, StateError
from worker.runtime import fs


def failing(code: int) -> Callable[..., Any]:
    def fail(*args: Any, **options: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> fs.KnownNames:
    """What a process knows that has just begun: nothing."""
    known = fs.KnownNames()
    monkeypatch.setattr(fs, "_known", known)
    return known


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes that are made durable, in order."""
    found: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        found.append(os.fstat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def inodes(*paths: Path) -> list[int]:
    return [path.stat().st_ino for path in paths]


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.fault(9, 13, by="EMFILE, EROFS and others from the system")
@pytest.mark.parametrize(
    ("code", "category"),
    [
        (errno.ENOSPC, SinkUnavailable),
        (errno.EDQUOT, SinkUnavailable),
        (errno.EROFS, SinkUnavailable),
        (errno.EACCES, SinkUnavailable),
        (errno.ESTALE, SinkUnavailable),
        (errno.ENOTCONN, SinkUnavailable),
        (errno.ENOENT, SinkUnavailable),
        (errno.EBUSY, SinkUnavailable),
        (errno.EXDEV, SinkUnavailable),
        (errno.EFBIG, SinkUnavailable),
        (errno.EIO, DurabilityLost),
        (errno.ENOTDIR, StateError),
        (errno.ENAMETOOLONG, StateError),
    ],
)
def test_an_error_of_the_system_has_the_category_that_says_what_to_do(
    code: int, category: type[Exception]
) -> None:
    with pytest.raises(category, match="/lake/f") as caught, fs.translated("/lake/f"):
        failing(code)()
    assert os.strerror(code) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)


# -- writing --------------------------------------------------------------------------------------


@pytest.mark.fault(12, by="write takes a few bytes at a time")
@given(data=st.binary(max_size=40), most=st.integers(1, 7))
def test_everything_is_written_although_the_kernel_takes_it_in_parts(
    data: bytes, most: int
) -> None:
    taken: list[bytes] = []

    def write(fd: int, view: memoryview) -> int:
        taken.append(bytes(view[:most]))
        return len(taken[-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        fs.write_all(-1, data)
    assert b"".join(taken) == data


def test_a_small_file_is_complete_and_durable_and_replaces_what_a_kill_left(
    tmp_path: Path, synced: list[int]
) -> None:
    path = tmp_path / "record"
    path.write_bytes(b"a longer content that was torn")
    path.chmod(0o600)
    fs.write_durably(path, b"whole")
    assert (path.read_bytes(), synced) == (b"whole", inodes(path))
    fs.write_durably(tmp_path / "new", b"x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_file_that_cannot_be_written_is_closed(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises((OSError, SinkUnavailable)):
        fs.write_durably(tmp_path / "f", b"x")
    assert open_files() == before


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 2500])
def test_a_file_has_the_hash_of_its_content(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "READ_BYTES", 1000)
    content = bytes(number % 251 for number in range(size))
    (tmp_path / "f").write_bytes(content)
    assert fs.sha256_of(tmp_path / "f") == hashlib.sha256(content).hexdigest()


# -- fsync ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (errno.EIO, DurabilityLost),
        (errno.EINVAL, DurabilityLost),
        (errno.ENOSPC, SinkUnavailable),
        (errno.EDQUOT, SinkUnavailable),
    ],
)
def test_a_failed_fsync_says_whether_space_is_all_that_lacks(
    tmp_path: Path, code: int, category: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_files()
    monkeypatch.setattr(os, "fsync", failing(code))
    with pytest.raises(category, match=str(tmp_path)):
        fs.fsync_dir(tmp_path)
    assert open_files() == before, "the descriptor is let go of"


def test_each_directory_is_made_durable_once(tmp_path: Path, synced: list[int]) -> None:
    (tmp_path / "a").mkdir()
    fs.fsync_dirs([tmp_path / "a", tmp_path, tmp_path / "a"])
    assert synced == inodes(tmp_path, tmp_path / "a")


def test_where_there_is_a_full_sync_the_cache_of_the_drive_is_written_too(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    full: list[int] = []
    monkeypatch.setattr(fs, "FULL_SYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, command: full.append(command))
    fs.fsync_dir(tmp_path)
    assert (full, synced) == ([51], [])


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_a_file_system_without_full_sync_is_synced_as_it_can(
    tmp_path: Path, code: int, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "FULL_SYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", failing(code))
    fs.fsync_dir(tmp_path)
    assert synced == inodes(tmp_path)


def test_a_full_sync_that_fails_is_not_tried_in_another_way(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "FULL_SYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", failing(errno.EIO))
    with pytest.raises(DurabilityLost):
        fs.fsync_dir(tmp_path)
    assert synced == []


# -- directories ----------------------------------------------------------------------------------


def test_each_new_directory_is_durable_in_its_parent(tmp_path: Path, synced: list[int]) -> None:
    fs.make_dirs(tmp_path, "a/b", 0o700)
    assert synced == inodes(tmp_path, tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
    fs.make_dirs(tmp_path, "a/b/c")
    assert synced[2:] == inodes(tmp_path / "a/b")
    fs.make_dirs(tmp_path, ".")
    assert len(synced) == 3


@pytest.mark.parametrize("what", ["link", "dangling", "file"])
def test_a_directory_below_a_root_is_no_link_and_no_file(tmp_path: Path, what: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    if what == "file":
        (tmp_path / "a").write_bytes(b"")
    else:
        (tmp_path / "a").symlink_to(elsewhere)
    if what == "link":
        elsewhere.mkdir()
    with pytest.raises(PublishConflict, match="move it away"):
        fs.make_dirs(tmp_path, "a/b")
    assert what != "link" or list(elsewhere.iterdir()) == []


def test_a_root_is_made_with_its_parents_and_may_be_behind_a_link(
    tmp_path: Path, synced: list[int]
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    fs.make_root(tmp_path / "link/a/b")
    assert (tmp_path / "disk/a/b").is_dir()
    assert synced[-3:] == inodes(tmp_path, tmp_path / "disk", tmp_path / "disk/a")
    before = len(synced)
    fs.make_root(tmp_path / "link/a/b")
    assert len(synced) == before


def test_directories_that_were_found_are_made_durable_once_a_process(
    tmp_path: Path, synced: list[int], known: fs.KnownNames
) -> None:
    (tmp_path / "lake/a/b").mkdir(parents=True)
    fs.make_root(tmp_path / "lake")
    assert synced[-1] == tmp_path.stat().st_ino
    ancestors = len(synced)
    fs.make_dirs(tmp_path / "lake", "a/b")
    assert synced[ancestors:] == inodes(tmp_path / "lake", tmp_path / "lake/a")
    for _ in range(3):
        fs.make_root(tmp_path / "lake")
        fs.make_dirs(tmp_path / "lake", "a/b")
    assert len(synced) == ancestors + 2


def test_what_is_above_a_mount_point_or_may_not_be_read_is_not_ours(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "private/lake"
    root.mkdir(parents=True)
    readable = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path / "private" and readable(path, mode)
    )
    fs.make_root(root)
    assert synced == []
    fs.make_root(root / "new")
    assert synced == inodes(root)
    real = os.stat
    monkeypatch.undo()
    monkeypatch.setattr(
        os,
        "stat",
        lambda path, **options: (
            os.stat_result((*real(path)[:2], 99, *real(path)[3:]))
            if str(path).startswith(str(tmp_path / "private"))
            else real(path, **options)
        ),
    )
    known = fs.KnownNames()
    names = fs.DirectoryNames(known)
    names.make_root(root)
    names.sync()
    assert known == {(99, each.lstat().st_ino) for each in (root,)}


def test_a_commit_of_many_routes_syncs_each_parent_once(
    tmp_path: Path, synced: list[int], known: fs.KnownNames
) -> None:
    for _ in range(2):
        names = fs.DirectoryNames(known)
        for number in range(500):
            names.make(tmp_path, f"dt={number % 5}/hour={number}")
        names.sync()
    assert synced == inodes(tmp_path, *(tmp_path / f"dt={number}" for number in range(5)))
    assert len(known) == 505


def test_a_directory_that_is_made_again_is_made_durable_again(
    tmp_path: Path, synced: list[int], known: fs.KnownNames
) -> None:
    fs.make_dirs(tmp_path, "a")
    (tmp_path / "a").rmdir()
    fs.make_dirs(tmp_path, "a")  # most file systems give it the inode of the one before
    assert synced == inodes(tmp_path, tmp_path)


def test_names_whose_fsync_failed_are_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: fs.KnownNames
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.EIO))
        with pytest.raises(DurabilityLost):
            fs.make_dirs(tmp_path, "a/b")
    assert not known


@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=12))
def test_known_names_are_bounded(notes: list[list[int]]) -> None:
    known = fs.KnownNames(most=10)
    for note in notes:
        known.note({(1, each) for each in note})
        assert len(known) <= 10
        assert len(note) > 10 or known >= {(1, each) for each in note}


def test_a_directory_that_a_cleaner_takes_meanwhile_is_no_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    real = os.lstat

    def lstat(path: Path) -> os.stat_result:
        if path == tmp_path / "a":
            path.rmdir()
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "lstat", lstat)
        with pytest.raises(SinkUnavailable), fs.translated(tmp_path):
            fs.make_dirs(tmp_path, "a/b")
    fs.make_dirs(tmp_path, "a/b")
    assert (tmp_path / "a/b").is_dir()


class PowerLoss:
    """Which names of directories a disk holds: those that were there when their parent was synced.

    Directories are made for real; a kill comes before the call with that number.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.durable: set[Path] = set()
        self.left = 10**9
        self._mkdir, self._fsync_dir = os.mkdir, fs.fsync_dir
        patch.setattr(os, "mkdir", self.mkdir)
        patch.setattr(fs, "fsync_dir", self.fsync_dir)

    def _call(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def mkdir(self, path: Path, mode: int = 0o777) -> None:
        self._call()
        self._mkdir(path, mode)

    def fsync_dir(self, path: Path) -> None:
        self._call()
        self._fsync_dir(path)
        self.durable |= set(path.iterdir())


ROUTES = st.lists(
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=3).map("/".join), min_size=1, max_size=4
)
RUNS = st.lists(st.tuples(ROUTES, st.integers(0, 12)), max_size=4)


@pytest.mark.fault(61, by="a model of what a disk holds, and kills before any call")
@given(RUNS, ROUTES)
def test_after_kills_at_any_call_what_counts_survives_a_power_loss(
    killed: list[tuple[list[str], int]], routes: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        root, disk = base / "data/lake", PowerLoss(patch)

        def publish(routes: list[str], known: fs.KnownNames) -> None:
            names = fs.DirectoryNames(known)
            names.make_root(root)
            names.sync()
            for route in routes:
                names.make(root, route)
            names.sync([root / route for route in routes])

        for before, calls in killed:  # each in a process of its own, which knows nothing
            disk.left = calls
            with suppress(KeyboardInterrupt):
                publish(before, fs.KnownNames())
        disk.left, known = 10**9, fs.KnownNames()
        publish(routes, known)
        for route in routes:
            needed = {root / route, *(root / route).parents} - {base, *base.parents}
            assert needed <= disk.durable
        before_again = disk.left
        publish(routes, known)
        repeated = before_again - disk.left
        components = sum(len(Path(each).parts) for each in routes)
        assert repeated == components + len(set(routes)), (
            "mkdir of each, fsync of what is published"
        )


# -- publishing -----------------------------------------------------------------------------------


class Libc:
    """A C library whose rename fails."""

    def __init__(self, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "get_errno", lambda: code)

    def renameat2(self, *args: Any) -> int:
        return -1


@pytest.fixture(params=["renameat2", "without it", "EINVAL", "ENOSYS"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a file is renamed: as here, as on macOS, as on file systems and kernels without it."""
    if request.param == "without it":
        monkeypatch.setattr(fs, "_libc", SimpleNamespace())
    elif request.param != "renameat2":
        monkeypatch.setattr(fs, "_libc", Libc(getattr(errno, request.param), monkeypatch))
    return str(request.param)


def staged(directory: Path, content: bytes = b"content") -> tuple[Path, Path, str]:
    source = directory / "staged"
    source.write_bytes(content)
    return source, directory / "final", hashlib.sha256(content).hexdigest()


@pytest.mark.usefixtures("way")
def test_a_staged_file_gets_its_final_name(tmp_path: Path) -> None:
    source, target, sha256 = staged(tmp_path)
    fs.publish(source, target, sha256)
    assert (target.read_bytes(), source.exists()) == (b"content", False)


@pytest.mark.usefixtures("way")
def test_a_target_of_the_same_content_is_done_already(tmp_path: Path) -> None:
    source, target, sha256 = staged(tmp_path)
    target.write_bytes(b"content")
    fs.publish(source, target, sha256)
    assert (target.read_bytes(), source.exists()) == (b"content", False)


@pytest.mark.usefixtures("way")
def test_a_target_of_another_content_is_never_replaced(tmp_path: Path) -> None:
    source, target, sha256 = staged(tmp_path)
    target.write_bytes(b"somebody else's")
    with pytest.raises(PublishConflict, match="another content"):
        fs.publish(source, target, sha256)
    assert (target.read_bytes(), source.read_bytes()) == (b"somebody else's", b"content")


@pytest.mark.usefixtures("way")
def test_a_kill_between_link_and_unlink_is_finished_the_next_time(tmp_path: Path) -> None:
    source, target, sha256 = staged(tmp_path)
    os.link(source, target)
    fs.publish(source, target, sha256)
    assert (target.read_bytes(), source.exists()) == (b"content", False)


@pytest.mark.usefixtures("way")
def test_a_file_that_is_not_there_is_no_target_that_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fs.publish(tmp_path / "nothing", tmp_path / "final", "")
    assert not (tmp_path / "final").exists()


def test_another_error_of_a_rename_is_tried_in_no_other_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target, sha256 = staged(tmp_path)
    monkeypatch.setattr(fs, "_libc", Libc(errno.ENOSPC, monkeypatch))
    with pytest.raises(OSError, match="No space left") as caught:
        fs.publish(source, target, sha256)
    assert caught.value.errno == errno.ENOSPC
    assert (source.exists(), target.exists()) == (True, False)


# -- what is mounted ------------------------------------------------------------------------------

TABLE = r"""22 27 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 27 0:35 / /mnt/with\040space rw master:1 - nfs4 server:/x rw
41 40 0:36 / /mnt/with\040space/local rw - xfs /dev/vdb rw
42 27 0:37 / /over rw - ext4 /dev/vdc rw
43 27 0:38 / /over rw - cifs //server/y rw
"""
LIST = """/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//user@server/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by user)
server:/x on /Volumes/x (nfs, asynchronous)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/a", "ext4"),
        ("/mnt/with space", "nfs4"),
        ("/mnt/with space/a/b", "nfs4"),
        ("/mnt/with spaces", "ext4"),
        ("/mnt/with space/local/a", "xfs"),
        ("/over/a", "cifs"),
    ],
)
def test_a_path_is_on_the_file_system_that_is_mounted_nearest_and_last(
    tmp_path: Path, path: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(TABLE)
    monkeypatch.setattr(fs, "MOUNT_TABLE", tmp_path / "mountinfo")
    assert fs.file_system(Path(path)) == kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/Users/a", "apfs"),
        ("/Volumes/my share/a", "smbfs"),
        ("/Volumes/x", "nfs"),
        ("/System/Volumes/Data/home/a", "autofs"),
    ],
)
def test_without_a_table_of_mounts_the_command_is_asked(
    tmp_path: Path, path: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "mount"
    command.write_text(f"#!/bin/sh\ncat <<'END'\n{LIST}END\n")
    command.chmod(0o700)
    monkeypatch.setattr(fs, "MOUNT_TABLE", tmp_path / "nothing")
    monkeypatch.setattr(fs, "MOUNT_COMMAND", str(command))
    assert fs.file_system(Path(path)) == kind


@pytest.mark.parametrize("error", [FileNotFoundError(), subprocess.TimeoutExpired("mount", 10)])
def test_where_nobody_says_what_is_mounted_it_is_unknown(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*args: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(fs, "MOUNT_TABLE", tmp_path / "nothing")
    monkeypatch.setattr(subprocess, "run", run)
    assert fs.file_system(tmp_path) == ""


def test_the_own_root_is_on_some_file_system() -> None:
    assert fs.file_system(Path("/"))
