"""Pipelines whose registry does not answer, or refuses them, while the others start."""

from __future__ import annotations

from typing import Any

import pytest

from worker.core.errors import (
    AuthError,
    ConfigError,
    IncompatibleSchema,
    RegistryUnavailable,
    SchemaMismatch,
    SchemaUnfit,
    WorkerError,
)
from worker.core.events import AttemptFailed, Event, PipelineFailed
from worker.testing.clock import FakeClock
from worker.wiring.deferred_start import LONGEST_PAUSE_S, PAUSE_S, DeferredStart

DOWN = RegistryUnavailable("nobody answers")


class Start:
    """A step of the start that answers for each pipeline what a test says, call after call."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name: list(each) for name, each in answers.items()}

    async def __call__(self, name: str) -> str:
        answer = self.answers[name].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


def deferred() -> tuple[DeferredStart, FakeClock, list[Event]]:
    clock, events = FakeClock(), list[Event]()
    return DeferredStart(clock, events.append), clock, events


@pytest.mark.parametrize(
    "error",
    [DOWN, AuthError("401"), SchemaMismatch("no such subject"), IncompatibleSchema("gone")],
    ids=lambda error: error.code,
)
async def test_what_a_registry_keeps_from_starting_is_noted_and_the_others_start(
    error: WorkerError,
) -> None:
    start, _, _ = deferred()
    assert await start.each(["a", "b", "c"], Start(a=[1], b=[error], c=[3])) == {"a": "1", "c": "3"}
    assert start.errors == {"b": error}


async def test_any_other_error_ends_the_start_of_all() -> None:
    start, _, _ = deferred()
    wrong = ConfigError("no such field")
    with pytest.raises(ConfigError) as raised:
        await start.each(["a", "b"], Start(a=[DOWN], b=[wrong]))
    assert raised.value is wrong


async def test_who_gives_up_reports_each_as_failed() -> None:
    start, _, events = deferred()
    await start.each(["a", "b"], Start(a=[DOWN], b=[AuthError("401")]))
    start.give_up()
    found = [(each.pipeline, each.code) for each in events if isinstance(each, PipelineFailed)]
    assert found == [("a", "registry_unavailable"), ("b", "auth")]


async def retried(*answers: Any) -> tuple[DeferredStart, FakeClock, list[Event]]:
    start, clock, events = deferred()
    await start.each(["a"], Start(a=[answers[0]]))
    again = Start(a=answers[1:])

    async def begin() -> None:
        await again("a")

    await start.retry("a", begin)
    return start, clock, events


async def test_after_an_outage_a_pipeline_starts_as_soon_as_it_is_over() -> None:
    start, clock, events = await retried(DOWN, DOWN, DOWN, "started")
    assert start.errors == {}
    assert clock.slept == [PAUSE_S] * 3
    assert [each.restart_in_s for each in events if isinstance(each, AttemptFailed)] == [
        PAUSE_S
    ] * 3


@pytest.mark.parametrize("error", [SchemaUnfit("a union"), SchemaMismatch("no such subject")])
async def test_a_schema_that_may_not_be_used_is_looked_at_again_after_waits_that_grow(
    error: WorkerError,
) -> None:
    start, clock, events = await retried(*[error] * 7, "started")
    assert start.errors == {}
    assert clock.slept == [PAUSE_S * 2**number for number in range(5)] + [LONGEST_PAUSE_S] * 2
    failed = [each for each in events if isinstance(each, AttemptFailed)]
    assert [each.restart_in_s for each in failed] == clock.slept
    assert {each.code for each in failed} == {error.code}


async def test_an_outage_between_two_refusals_begins_the_waits_anew() -> None:
    unfit = SchemaUnfit("a union")
    _, clock, _ = await retried(unfit, unfit, DOWN, unfit, "started")
    assert clock.slept == [PAUSE_S, 2 * PAUSE_S, PAUSE_S, PAUSE_S]


@pytest.mark.parametrize("outages", [0, 2])
async def test_what_the_registry_refuses_is_not_asked_for_again(outages: int) -> None:
    refused = AuthError("401")
    start, clock, events = await retried(*[DOWN] * outages, refused, "never asked")
    assert start.errors == {"a": refused}
    assert len(clock.slept) == outages
    assert isinstance(events[-1], PipelineFailed) and events[-1].code == "auth"
