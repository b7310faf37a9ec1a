"""What a user may not read or write is named and not called damaged; the rest is shown."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kit
import pytest

from worker.testing.replica import Replica, Shape

CAPABILITY_VERSION_3 = 0x20080522
OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: without them modes hold for root too."""


def mortal() -> None:
    """Gives up the overrides for good; see capset(2). Whoever is no root has none."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then those above 31
    libc = ctypes.CDLL(None)
    assert libc.capget(header, sets) == 0
    for number in range(3):
        sets[number] &= ~OVERRIDES
    assert libc.capset(header, sets) == 0


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


async def worker(*arguments: str | Path) -> Done:
    done = Done(*await kit.worker(*arguments, first=mortal))
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """A pipeline that has run, with a record and a dead letter."""
    async with Replica(
        [kit.item(1, second=0), kit.item(2, second=1, bad=True)], Shape(style="none")
    ) as replica:
        path = kit.write_config(tmp_path, replica.url)
        assert (await worker("run", path, "--once")).returncode == 0
    return path


@pytest.fixture
def read_only(config: Path, tmp_path: Path) -> Iterator[Path]:
    paths = [*tmp_path.rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield config
    for path in paths:
        path.chmod(0o700)


async def test_commands_that_only_read_need_no_permission_to_write(read_only: Path) -> None:
    assert "commit 1" in (await worker("state", "show", read_only)).stdout
    assert (await worker("verify", read_only)).stdout.endswith("ok\n")
    assert "1 x validate invalid $.value" in (await worker("dlq", "list", read_only)).stdout
    assert '"bad"' in (await worker("dlq", "show", read_only, "--pipeline", "items")).stdout


async def test_a_state_that_is_mounted_read_only_is_checked(config: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        done = await worker("check", config)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "commit 1" in done.stdout
        config.write_text(config.read_text().replace("records: items", "records: data.items"))
        done = await worker("check", config)
        assert done.returncode == 78 and "source.records changed" in done.stdout
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


async def test_commands_that_write_say_what_they_may_not(read_only: Path) -> None:
    for command in (
        ("run", "--once"),
        ("state", "reset", "--pipeline", "items", "--yes"),
        ("dlq", "replay", "--pipeline", "items"),
    ):
        done = await worker(*command, read_only)
        assert done.returncode == 74, command
        assert "error [state]" in done.stderr and "Permission denied" in done.stderr
        assert "resumes by itself" not in done.stderr, "a command that ended does not"


async def test_a_state_that_cannot_be_opened_is_not_called_damaged(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "state" / "state.db").chmod(0)
    for command in (("state", "show"), ("verify",), ("run", "--once")):
        done = await worker(*command, config)
        assert done.returncode == 74
        assert "damaged" not in done.stderr and "from a copy" not in done.stderr, done.stderr


async def test_a_published_file_that_cannot_be_read_hides_no_other(config: Path) -> None:
    [file] = kit.published(config.parent)
    file.chmod(0)
    done = await worker("verify", config, "--json")
    [report] = json.loads(done.stdout)
    assert done.returncode == 65
    [finding] = report["findings"]
    assert (finding["code"], finding["where"]) == ("file_changed", f"{file} (commit 1)")
    assert finding["what"] == "cannot be read: Permission denied"
    assert report["files"] == 2, "the dead letters were looked at"


async def test_a_config_that_cannot_be_read_is_a_problem_of_the_config(config: Path) -> None:
    config.chmod(0)
    done = await worker("check", config, "--json")
    assert done.returncode == 78
    assert json.loads(done.stdout)[0]["found"] == "cannot be read: Permission denied"
