"""Commands wait for what another machine may let go of, and for nothing else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import kit
import pytest

from worker.core.errors import RootBusy, SinkUnavailable
from worker.runtime import fs
from worker.runtime.lock_file import open_lock, take_lock
from worker.settings import Settings, load_settings
from worker.sinks.root_ids import make_root_id
from worker.wiring.locked_outputs import locked_outputs

STATE = "0123456789abcdef"


class Waits:
    """A clock that each wait moves; `then` happens while the first one lasts."""

    def __init__(self) -> None:
        self.now, self.count = 0.0, 0
        self.held: int | None = None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now, self.count = self.now + seconds, self.count + 1
        if self.held is not None:
            os.close(self.held)
            self.held = None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    fs.make_root(tmp_path / "lake")
    make_root_id(tmp_path / "lake")
    return load_settings([kit.write_config(tmp_path, "http://127.0.0.1:1")])


def enter(settings: Settings, waits: Waits) -> None:
    clock = {"monotonic": waits.monotonic, "sleep": waits.sleep}
    with locked_outputs(settings, "items", STATE, lambda event: None, **clock):
        pass


def hold(lake: Path, holder: str) -> int:
    fs.make_dirs(lake, ".worker/locks", 0o700)
    fd = open_lock(lake / ".worker" / "locks" / f"{STATE}-0")
    assert take_lock(fd, holder)
    return fd


def test_a_lock_of_another_machine_is_waited_for(settings: Settings, tmp_path: Path) -> None:
    waits = Waits()
    waits.held = hold(tmp_path / "lake", "elsewhere 17")
    enter(settings, waits)
    assert waits.count == 1


def test_a_lock_that_another_machine_keeps_ends_the_command(
    settings: Settings, tmp_path: Path
) -> None:
    waits, fd = Waits(), hold(tmp_path / "lake", "elsewhere 17")
    with pytest.raises(RootBusy, match="pid 17 of machine elsewhere"):
        enter(settings, waits)
    os.close(fd)
    assert 119 <= waits.now <= 122


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_an_output_that_cannot_be_written_is_reported_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fails(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fs, "make_dirs", fails)
    waits = Waits()
    with pytest.raises(SinkUnavailable, match=os.strerror(number)):
        enter(settings, waits)
    assert waits.count == 0
