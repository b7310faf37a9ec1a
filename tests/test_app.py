"""One run: what opens, in which order, what ends it, and what it tells."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import kit
import pytest

from worker.app import STOPPED_EARLY, Progress, RunResult, exit_code, run_async
from worker.core.errors import (
    AuthError,
    ConfigError,
    DurabilityLost,
    Fenced,
    IncompatibleSchema,
    PermanentError,
    RegistryUnavailable,
    StateBusy,
    WorkerError,
)
from worker.settings import Settings, load_settings
from worker.state.lock import lock_state
from worker.supervisor import Bug, Outcome
from worker.testing.clock import FakeClock
from worker.testing.replica import Replica, Seen, Shape
from worker.wiring.shared import Shared

OFFSET = {"pagination": {"type": "offset", "param": "offset"}}


def settings(directory: Path, url: str, **pipeline: Any) -> Settings:
    return load_settings([kit.write_config(directory, url, **pipeline)])


def replica(count: int, script: Any = None) -> Replica:
    items = [kit.item(number, second=number) for number in range(count)]
    return Replica(items, Shape(style="offset", cap=10), script)


# -- open and start -------------------------------------------------------------------------------


async def test_a_run_needs_the_lock_on_its_state_before_it_asks_anything(tmp_path: Path) -> None:
    async with replica(3) as server:
        with lock_state(tmp_path / "state"), pytest.raises(StateBusy):
            await run_async(settings(tmp_path, server.url, source=OFFSET), once=True)
    assert server.requests == []


async def test_a_config_that_does_not_compile_locks_nothing(tmp_path: Path) -> None:
    wrong = settings(tmp_path, "http://127.0.0.1:9/x", sink={"partition_by": "{no_such_field}"})
    with pytest.raises(ConfigError):
        await run_async(wrong, once=True)
    assert not (tmp_path / "state").exists()


async def test_a_name_that_no_pipeline_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing"):
        await run_async(settings(tmp_path, "http://127.0.0.1:9/x"), once=True, only=["nothing"])


async def test_a_pipeline_that_is_not_enabled_runs_only_when_it_is_named(tmp_path: Path) -> None:
    async with replica(3) as server:
        found = settings(tmp_path, server.url, source=OFFSET, enabled=False)
        assert await run_async(found, once=True) == RunResult(0, pytest.approx(0, abs=60), [])
        result = await run_async(found, once=True, only=["items"])
    assert [each.records for each in result.pipelines] == [3]


# -- serve ----------------------------------------------------------------------------------------


async def test_a_result_says_what_was_done_and_where_it_is(tmp_path: Path) -> None:
    async with replica(25) as server:
        result = await run_async(settings(tmp_path, server.url, source=OFFSET), once=True)
    [items] = result.pipelines
    assert (result.exit_code, items.records, items.files, items.commits) == (0, 25, 1, 1)
    assert items.output == str(tmp_path / "lake")
    assert items.dead_letters == str(tmp_path / "state" / "dead_letters" / "items")
    assert (items.error, items.note, items.deduplicated) == ("", "", 0)


async def test_a_daemon_drains_when_its_time_is_over(tmp_path: Path) -> None:
    source = {**OFFSET, "schedule": {"every": "1h"}}
    async with replica(25) as server:
        found = settings(tmp_path, server.url, source=source)
        async with asyncio.timeout(60):
            result = await run_async(found, once=False, for_s=0.5)
    assert result.exit_code == 0
    got = kit.lake_ids(tmp_path)
    assert got == list(range(len(got))) and result.pipelines[0].records == len(got)


async def test_whoever_watches_is_told_how_far_the_pipelines_are(tmp_path: Path) -> None:
    told: list[Sequence[Progress]] = []
    done = asyncio.Event()

    def watch(pipelines: Sequence[Progress]) -> None:
        told.append(pipelines)
        if pipelines[0].records == 25:
            done.set()

    source = {**OFFSET, "schedule": {"every": "1h"}}
    async with replica(25) as server:
        found = settings(tmp_path, server.url, source=source, sink={"roll": {"records": 25}})
        running = asyncio.create_task(run_async(found, once=False, for_s=30, watch=watch))
        async with asyncio.timeout(60):
            await done.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert told[-1] == [Progress("items", records=25, waiting=0, rejects=0, files=1)]


async def test_a_side_task_that_fails_ends_the_run_with_its_error(tmp_path: Path) -> None:
    def watch(pipelines: Sequence[Progress]) -> None:
        raise ZeroDivisionError("a bug of whoever watches")

    source = {**OFFSET, "schedule": {"every": "1h"}}
    async with replica(25) as server:
        found = settings(tmp_path, server.url, source=source)
        async with asyncio.timeout(60):
            with pytest.raises(ExceptionGroup) as raised:
                await run_async(found, once=False, watch=watch)
    assert isinstance(raised.value.exceptions[0], ZeroDivisionError)
    with lock_state(tmp_path / "state"):
        pass  # everything that was open is closed


class Hurried(FakeClock):
    """A clock whose short waits pass at once; who waits longer than a minute waits for `slow`."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        if seconds >= 60:
            self.slept.append(seconds)
            await self.slow.wait()
        await asyncio.sleep(0.01)


async def test_the_deadline_of_a_drain_counts_from_the_stop(tmp_path: Path) -> None:
    clock, asked = Hurried(), asyncio.Event()

    def script(number: int, seen: Seen) -> None:
        asked.set()

    async with replica(25, script) as server:
        config = kit.write_config(
            tmp_path, server.url, source={**OFFSET, "schedule": {"every": "1h"}}
        )
        config.write_text(config.read_text() + "shutdown: {deadline: 90s}\n")
        found = load_settings([config])
        running = asyncio.create_task(run_async(found, once=False, for_s=61, clock=clock))
        async with asyncio.timeout(60):
            await asked.wait()
            assert clock.slept == [61]
            clock.slow.set()
            assert (await running).exit_code == 0
    assert clock.slept[:2] == [61, 90]


# -- close ----------------------------------------------------------------------------------------


def outcome(error: WorkerError | None) -> Outcome:
    return Outcome(cast(Any, SimpleNamespace(name="items")), error)


@pytest.mark.parametrize(
    ("ended", "not_started", "code"),
    [
        ([None, None], [], 0),
        ([None, PermanentError()], [], 1),
        ([IncompatibleSchema()], [], 65),
        ([PermanentError()], [RegistryUnavailable()], 69),
        ([IncompatibleSchema()], [AuthError()], 77),
        ([AuthError(), DurabilityLost()], [], 74),
        ([Bug(), DurabilityLost()], [], 70),
        ([Fenced(("a",))], [], 75),
        ([None], [ConfigError()], 78),
    ],
)
def test_the_exit_code_of_a_run_is_that_of_the_error_which_decides(
    ended: list[WorkerError | None], not_started: list[WorkerError], code: int
) -> None:
    assert exit_code([outcome(error) for error in ended], not_started) == code


async def test_a_signal_while_a_run_begins_ends_it_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def registry_that_never_answers(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    monkeypatch.setattr(Shared, "compile", registry_that_never_answers)
    async with replica(3) as server:
        config = settings(tmp_path, server.url, source=OFFSET)
        async with asyncio.timeout(20):
            result = await run_async(config, once=False)
    assert server.requests == []
    assert (result.exit_code, [each.note for each in result.pipelines]) == (0, [STOPPED_EARLY])
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert {"signals", "admin"} & {each.name for each in threading.enumerate()} == set()
