"""Output that cannot be written is named, with exit code 74; readers that have enough are not."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
from pathlib import Path

import fastavro
import kit
import pytest

from worker.testing.replica import Replica, Shape


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def worker(*args: str | Path) -> str:
    return shlex.join([sys.executable, "-m", "worker", *map(str, args)])


@pytest.fixture
def avro_file(tmp_path: Path) -> Path:
    path = tmp_path / "many.avro"
    with path.open("wb") as file:
        fastavro.writer(
            file,
            kit.SCHEMA,
            (kit.item(number, second=0) | {"updated_at": 0} for number in range(50_000)),
        )
    return path


def test_a_full_disk_behind_stdout_has_a_name(tmp_path: Path, avro_file: Path) -> None:
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/x")
    for command in (
        ("cat", avro_file),
        ("check", config),
        ("check", config, "--json"),
        ("--help",),
        ("schema", "show", avro_file),
    ):
        ended = shell(f"{worker(*command)} > /dev/full")
        assert ended.returncode == 74, command
        assert ended.stderr.splitlines()[0] == "error [output_lost]", command
        assert "Traceback" not in ended.stderr


async def test_a_run_whose_summary_cannot_be_written_says_so_after_the_commit(
    tmp_path: Path,
) -> None:
    async with Replica([kit.item(1, second=0)], Shape(style="none")) as replica:
        config = kit.write_config(tmp_path, replica.url)
        ended = await asyncio.to_thread(shell, f"{worker('run', config, '--once')} > /dev/full")
    assert ended.returncode == 74
    assert "error [output_lost]" in ended.stderr
    assert kit.lake_ids(tmp_path) == [1]


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path, avro_file: Path) -> None:
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/x")
    for command in (("cat", avro_file), ("check", config), ("--help",)):
        ended = shell(f"{worker(*command)} | true")
        assert (ended.returncode, ended.stderr) == (0, ""), command


def test_the_exit_code_of_a_check_does_not_depend_on_its_reader(tmp_path: Path) -> None:
    assert shell(f"{worker('check', tmp_path / 'none.yaml', '--json')} | true").returncode == 78
