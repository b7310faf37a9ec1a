"""Secrets that a command prints."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import kit
import pytest

from worker.core.errors import ConfigError, SecretRefused, SecretUnavailable
from worker.secrets.command import fetch


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code, *arguments)


async def test_a_command_prints_a_secret_and_line_ends_behind_it_are_dropped() -> None:
    assert await fetch(python("print('s3cret')")) == "s3cret"


async def test_arguments_are_no_shell(tmp_path: Path) -> None:
    there = tmp_path / "touched"
    argument = f"$(touch {there}); touch {there} | `touch {there}`"
    assert await fetch(python("import sys; print(sys.argv[1])", argument)) == argument
    assert not there.exists()


async def test_a_command_that_fails_is_told_without_what_it_says(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = "import sys; print('c4n4ry', file=sys.stderr); print('c4n4ry'); sys.exit(3)"
    with pytest.raises(SecretUnavailable, match="exit code 3") as raised:
        await fetch(python(code, "c4n4ry-argument"))
    told = "".join(capfd.readouterr())
    assert "c4n4ry" not in f"{raised.value}{told}"


async def test_a_command_that_there_is_not_is_an_error_of_the_config(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    for command in ("/no/such/command", str(plain)):
        with pytest.raises(ConfigError, match="cannot be started"):
            await fetch((command,))


async def test_a_command_has_a_time_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    asked = asyncio.create_task(fetch(python(code), timeout_s=600))
    await kit.until(lambda: pid.exists() and pid.read_text())
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await kit.until(lambda: not _runs(int(pid.read_text())))
    with pytest.raises(SecretUnavailable, match=r"did not end within 0\.01 s"):
        await fetch(python("import time; time.sleep(20)"), timeout_s=0.01)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_command_gets_no_input() -> None:
    assert await fetch(python("import sys; print(repr(sys.stdin.read()))")) == "''"


async def test_what_a_command_prints_has_a_size() -> None:
    assert len(await fetch(python("print('x' * 65535)"))) == 65535
    endless = "import sys\nwhile True: sys.stdout.write('x' * 65536)"
    with pytest.raises(SecretUnavailable, match="more than 64 KiB"):
        await fetch(python(endless))


@pytest.mark.parametrize(
    ("code", "why"),
    [("print()", "empty"), (r"import sys; sys.stdout.buffer.write(b'\xff\xfe')", "UTF-8")],
)
async def test_what_is_no_secret_is_refused(code: str, why: str) -> None:
    with pytest.raises(SecretRefused, match=why):
        await fetch(python(code))


async def test_descriptors_of_this_process_stay_its_own() -> None:
    code = "import os; print(sorted(int(fd) for fd in os.listdir('/dev/fd'))[:4])"
    reader, writer = os.pipe()
    try:
        os.set_inheritable(reader, True)
        assert await fetch(python(code)) == "[0, 1, 2, 3]"
    finally:
        os.close(reader)
        os.close(writer)
