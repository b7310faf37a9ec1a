"""Steps that hang: a signal ends the process all the same, and it says what hangs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import forked
import kit
import pytest

from worker.testing.replica import Replica, Shape

HANGS = {
    "a loop": "while True: pass",
    "a regular expression": "re.match(r'(a+)+$', 'a' * 64 + 'b')",
    "a wait": "time.sleep(3600)",
    "a call that heeds no signal": "[libc.sleep(3600) for _ in iter(int, 1)]",
}
STEPS = """
import ctypes, pathlib, re, time
libc = ctypes.CDLL(None)
def enrich(record):
    pathlib.Path({here!r}).touch()
    {hang}
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes a PID namespace")
needs_unshare = pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")


def hanging_config(directory: Path, url: str, hang: str, **more: Any) -> Path:
    """A config whose only step hangs at the first record, when the file `here` has been made."""
    module = f"steps_{abs(hash((directory, hang)))}"
    text = STEPS.format(here=str(directory / "here"), hang=hang)
    (directory / f"{module}.py").write_text(text)
    steps = [{"python": f"{module}:enrich"}]
    return kit.write_config(directory, url, transforms=steps, **more)


@asynccontextmanager
async def hanging(
    directory: Path, hang: str, start: Callable[[Path], Any], **more: Any
) -> AsyncIterator[Any]:
    async with Replica([kit.item(1, second=1)], Shape(style="none")) as replica:
        process = start(hanging_config(directory, replica.url, hang, **more))
        if asyncio.iscoroutine(process):
            process = await process
        await kit.until((directory / "here").exists)
        yield process


async def ended(process: Any) -> int:
    """The exit code of a process that ends within a second."""
    begun = time.monotonic()
    code = int(await asyncio.wait_for(process.wait(), 30))
    assert time.monotonic() - begun < 1.0
    return code


@pytest.mark.fault(
    54, by="a step that hangs in a loop, a regular expression, a sleep or C; two signals"
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
async def test_the_second_signal_ends_a_process_whose_step_hangs_and_names_the_step(
    hang: str,
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    log = tmp_path / "log"

    def start(config: Path) -> forked.Process:
        return forked.start("run", config, log=log)

    async with hanging(tmp_path, hang, start) as process:
        process.send_signal(number)
        await kit.until(lambda: "draining" in log.read_text())
        process.send_signal(number)
        assert await ended(process) == code
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["signal"] == f"second {number.name}"
    assert re.search(
        r"the event loop has been held for \d+\.\d s by items\.process, "
        r"transforms\[0\]\.python steps_\d+:enrich: enrich \(\S+steps_\d+\.py:\d\)",
        last["detail"],
    ), last["detail"]


def worker_below(pid: int) -> int:
    """The process that `unshare` has started, as it is numbered here."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0


@pytest.mark.fault(54, by="two signals to the process with number 1")
@needs_root
@needs_unshare
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_signals_count_for_the_process_with_number_1(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def start(config: Path) -> Any:
        command = ("unshare", "--pid", "--fork", sys.executable, "-m", "worker", "run", str(config))
        return asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)

    async with hanging(tmp_path, HANGS["a loop"], start) as process:
        first = worker_below(process.pid)
        os.kill(first, number)
        await kit.until_logged(process, b"draining")
        os.kill(first, number)
        assert await ended(process) == code
        assert b"transforms[0].python" in await process.stderr.read()


STUBBORN = """
import pathlib, time
pathlib.Path({here!r}).touch()
while True:
    try:
        time.sleep(3600)
    except KeyboardInterrupt:
        pathlib.Path({interrupted!r}).touch()
"""


@pytest.mark.fault(54, by="a signal in the first moment of a process that hangs")
@pytest.mark.parametrize(
    "before",
    [
        pytest.param((), id="any number"),
        pytest.param(
            ("unshare", "--pid", "--fork"), marks=(needs_root, needs_unshare), id="number 1"
        ),
    ],
)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_signal_ends_a_process_that_hangs_in_its_first_moment(
    number: signal.Signals,
    code: int,
    before: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, interrupted = tmp_path / "here", tmp_path / "interrupted"
    # the first thing that the command line imports
    stub = STUBBORN.format(here=str(here), interrupted=str(interrupted))
    (tmp_path / "click.py").write_text(stub)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    command = (*before, sys.executable, "-m", "worker", "run", "worker.yaml")
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    await kit.until(here.exists)
    worker = worker_below(process.pid) if before else process.pid
    os.kill(worker, number)
    if number == signal.SIGINT:  # the first one is an exception, which may be caught
        await kit.until(interrupted.exists)
        os.kill(worker, number)
    assert await ended(process) == code
    assert process.stderr is not None
    told = (await process.stderr.read()).decode()
    place = r"\S+ \(\S+:\d+\)"  # while it makes its file, or after it
    assert re.fullmatch(rf"worker: {number.name}, exiting at once, in {place}\n", told)


def live(port: int) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/live", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.fault(42, by="a step that holds the loop until it is let go")
async def test_liveness_and_the_log_say_what_hangs_while_it_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    port, log = kit.free_port(), tmp_path / "log"

    def start(config: Path) -> forked.Process:
        text = config.read_text().replace("listen: null", f"listen: 127.0.0.1:{port}")
        config.write_text(text.replace("level: error", "level: warning"))
        return forked.start("run", config, log=log)

    async with hanging(tmp_path, HANGS["a wait"], start) as process:
        held = "the event loop has been held for "
        await kit.until(lambda: held in live(port)[1])
        status, text = live(port)
        assert status == 200, "a step that works for a while is no reason for a restart"
        assert "items.process, transforms[0].python" in text
        await kit.until(lambda: "loop.held" in log.read_text())
        process.send_signal(signal.SIGTERM)
        await kit.until(lambda: "draining" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 143
    event = next(
        each
        for line in log.read_text().splitlines()
        if (each := json.loads(line))["event"] == "loop.held"
    )
    assert event["held_s"] >= 1.0
    assert "transforms[0].python" in event["holder"]
