"""What each signal does: the table of the module, through the pipe that the watchdog reads."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from signal import SIGHUP, SIGINT, SIGTERM, SIGUSR1

import pytest

from worker.runtime.lifecycle import Run, Signals, catching

DRAINS = "drains"


class Ended(Exception):
    """In place of the end of the process."""


def outcome(
    numbers: Sequence[int],
    patch: pytest.MonkeyPatch,
    *,
    in_a_run: bool,
    ignored: Collection[int] = (),
) -> list[str | int]:
    """What the watchdog does: drains, exit codes."""
    done: list[str | int] = []

    def exit_at_once(code: int) -> None:
        done.append(code)
        raise Ended

    patch.setattr(os, "_exit", exit_at_once)
    signals = Signals(ignored)
    reading, writing = os.pipe()
    os.write(writing, bytes(numbers))
    os.close(writing)
    run = Run(lambda: done.append(DRAINS), blocked=lambda: "it hangs")
    try:
        with signals.draining(run) if in_a_run else nullcontext():
            signals.watch(reading, -1)
    except Ended:
        pass
    finally:
        os.close(reading)
    return done


@pytest.mark.parametrize(
    ("numbers", "in_a_run", "done"),
    [
        ([SIGTERM], False, [143]),
        ([SIGHUP], False, [129]),
        ([SIGINT], False, []),
        ([SIGINT, SIGINT], False, [130]),
        ([SIGINT, SIGTERM], False, [143]),
        ([SIGTERM], True, [DRAINS]),
        ([SIGTERM, SIGTERM], True, [DRAINS, 143]),
        ([SIGTERM, SIGINT], True, [DRAINS, 130]),
        ([SIGHUP, SIGHUP, SIGHUP], True, [DRAINS]),
        ([SIGHUP, SIGHUP, SIGTERM], True, [DRAINS, 143]),
        ([SIGUSR1, SIGTERM], True, [DRAINS]),
    ],
)
def test_the_table(
    numbers: list[int], in_a_run: bool, done: list[str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(numbers, monkeypatch, in_a_run=in_a_run) == done


@pytest.mark.parametrize(
    ("number", "in_a_run", "done"),
    [(SIGINT, False, []), (SIGHUP, False, []), (SIGHUP, True, []), (SIGINT, True, [DRAINS])],
)
def test_what_was_ignored_at_the_start(
    number: int, in_a_run: bool, done: list[str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = outcome([number, SIGUSR1], monkeypatch, in_a_run=in_a_run, ignored=[number])
    assert found == done


def test_the_process_ends_whatever_goes_wrong_in_what_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> str:
        raise RuntimeError

    monkeypatch.setattr("worker.runtime.lifecycle.say", lambda _: broken())
    assert outcome([SIGTERM], monkeypatch, in_a_run=False) == [143]


async def test_handlers_that_others_have_on_the_loop_go_on() -> None:
    loop, came = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(SIGUSR1, came.set)
    before = [signal.getsignal(number) for number in (SIGTERM, SIGINT, SIGHUP)]
    try:
        with catching():
            os.kill(os.getpid(), SIGUSR1)
            async with asyncio.timeout(20):
                await came.wait()
            came.clear()
        assert [signal.getsignal(number) for number in (SIGTERM, SIGINT, SIGHUP)] == before
        os.kill(os.getpid(), SIGUSR1)
        async with asyncio.timeout(20):
            await came.wait()
    finally:
        loop.remove_signal_handler(SIGUSR1)


def test_an_interrupt_outside_of_a_run_is_an_exception() -> None:
    with catching() as signals:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(SIGINT)
        with signals.draining(Run(lambda: None)):
            signal.raise_signal(SIGINT)
