"""Who may read what a worker writes, under whatever umask it was started."""

from __future__ import annotations

import os
import stat
from functools import partial
from pathlib import Path

import kit
import pytest

from worker.testing.replica import Replica, Shape

OTHERS = 0o077
SEEN_BY_ALL = "root.json"
"""The id of a root, which says nothing of what is in it."""


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
async def test_what_is_private_is_private_under_any_umask(umask: int, tmp_path: Path) -> None:
    records = [kit.item(number, second=number, bad=number == 3) for number in range(9)]
    async with Replica(records, Shape(style="none")) as replica:
        config = kit.write_config(tmp_path, replica.url, source={"pagination": {"type": "none"}})
        code, _, errors = await kit.worker("run", config, "--once", first=partial(os.umask, umask))
    assert code == 0, errors
    state, lake = tmp_path / "state", tmp_path / "lake"
    hidden = [*state.rglob("*"), *(lake / ".worker").rglob("*")]
    files = [path for path in hidden if path.is_file() and path.name != SEEN_BY_ALL]
    assert {"state.db", "lock"} <= {path.name for path in files}
    assert any(path.suffix == ".ndjson" for path in files)
    private = [*files, state, lake / ".worker", state / "dead_letters" / "items" / ".worker"]
    modes = {str(path): stat.S_IMODE(path.stat().st_mode) for path in private}
    assert {path: oct(mode) for path, mode in modes.items() if mode & OTHERS} == {}
    [file] = kit.published(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644 & ~umask
