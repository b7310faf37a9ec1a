"""Whatever a config names that is no regular file is refused at once: `check` never waits for a
writer and never reads without end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import kit
import pytest
from ruamel.yaml import YAML

from worker.config.files import read_file


def test_a_bound_is_a_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert len(read_file(tmp_path / "file", 10)) == 11


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "directory"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        read_file(path, 10)
    assert caught.value.strerror


@pytest.mark.parametrize("place", ["config", "schema", "secret", "ca_file"])
@pytest.mark.parametrize("command", [("check",), ("run", "--once")], ids=["check", "run"])
def test_commands_do_not_wait_for_a_fifo(
    tmp_path: Path, place: str, command: tuple[str, ...]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    config = kit.write_config(tmp_path, "https://127.0.0.1:9/v1")
    values = YAML(typ="safe").load(config)
    pipeline = values["pipelines"]["items"]
    if place == "schema":
        pipeline["schema"] = "fifo"
    elif place == "secret":
        pipeline["source"]["auth"] = {"type": "bearer", "token": {"file": str(fifo)}}
    elif place == "ca_file":
        pipeline["source"]["tls"] = {"ca_file": str(fifo)}
    with config.open("w") as file:
        YAML(typ="safe").dump(values, file)
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "worker",
            command[0],
            str(fifo if place == "config" else config),
            *command[1:],
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 78
    assert "a fifo or pipe, not a regular file" in ended.stderr
