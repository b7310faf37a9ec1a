"""What a running worker tells of its pipelines."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pipeline_kit import World

from worker.core.errors import PermanentError, RegistryUnavailable, SchemaMismatch, WorkerError
from worker.runtime.fetch import Parked
from worker.supervisor import Supervisor
from worker.telemetry.emit import Telemetry
from worker.wiring.status import MOST_PARKED, SHOWN_TROUBLES, Status


def status(*worlds: World, troubles: int = 0, **not_started: WorkerError) -> Status:
    pipelines = [world.pipeline for world in worlds]
    told = [{"event": "request.retried", "times": number} for number in range(troubles)]
    telemetry = cast(Telemetry, SimpleNamespace(troubles=lambda pipeline: told))
    supervisor = Supervisor(pipelines, World({}).clock, lambda event: None, once=True)
    return Status(supervisor, telemetry, lambda: not_started)


async def supervised(world: World, **more: Any) -> Status:
    """The status after the supervisor has kept the pipeline to its end."""
    found = status(world, **more)
    await found._supervisor.run(asyncio.Event(), asyncio.Event())
    return found


async def test_a_worker_is_ready_once_its_pipelines_run_or_are_complete() -> None:
    world = World({"a": range(5)})
    assert not status(world).ready(), "it is starting"
    assert (await supervised(world)).ready()


async def test_a_pipeline_that_failed_makes_the_worker_unready() -> None:
    world = World({"a": range(5)})

    async def refuse(partition: str, offset: int) -> None:
        raise PermanentError("status 410")

    world.source.before = refuse
    found = await supervised(world)
    assert (found.ready(), found.document()["pipelines"]["items"]["state"]) == (False, "failed")


@pytest.mark.parametrize(
    ("error", "state", "ready"),
    [
        (RegistryUnavailable("nobody answers"), "waiting", True),
        (SchemaMismatch("it has no such subject"), "failed", False),
    ],
    ids=["outage", "refusal"],
)
def test_a_pipeline_that_its_registry_refused_is_not_waiting(
    error: WorkerError, state: str, ready: bool
) -> None:
    document = status(items=error).document()
    assert (document["pipelines"]["items"]["state"], document["ready"]) == (state, ready)


def test_why_a_pipeline_does_not_start_is_told_without_secrets() -> None:
    said = "no answer from https://me:hunter22@example.com/?token=hunter23"
    items = status(items=RegistryUnavailable(said)).document()["pipelines"]["items"]
    assert "example.com" in items["reason"] and "hunter" not in items["reason"]


async def test_the_document_has_the_totals_of_a_pipeline_and_its_last_troubles() -> None:
    world = World({"a": [1, 2, -3], "b": [4]})
    found = (await supervised(world, troubles=9)).document()
    items = found["pipelines"]["items"]
    assert found["ready"] and items["state"] == "complete"
    assert (items["records"], items["rejects"], items["files"], items["commits"]) == (3, 1, 2, 1)
    assert (items["partitions"], items["done"], items["parked_count"]) == (2, 2, 0)
    assert (items["in_flight"], items["oldest_undurable_s"]) == (0, 0)
    assert [each["times"] for each in items["troubles"]] == list(range(9))[-SHOWN_TROUBLES:]


async def test_of_many_parked_partitions_some_are_shown_without_secrets_and_all_counted() -> None:
    world = World({"a": range(5)})
    found = await supervised(world)
    assert world.pipeline.pool is not None
    error = PermanentError("said https://me:hunter22@example.com/?api_key=hunter23")
    for number in range(MOST_PARKED + 50):
        world.pipeline.pool.parked[str(number)] = Parked(error, 0.0, 1)
    items = found.document()["pipelines"]["items"]
    assert (items["parked_count"], len(items["parked"])) == (MOST_PARKED + 50, MOST_PARKED)
    assert items["parked"]["0"]["code"] == "permanent" and "hunter" not in str(items["parked"])
