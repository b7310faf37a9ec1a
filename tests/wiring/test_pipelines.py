"""What a pipeline is for each job, and that everything it opens is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import kit
import pytest

from worker.core.errors import ConfigError
from worker.core.model import DEAD_LETTERS, RECORDS, REPLAYED, ChainState
from worker.paging.schedule import Schedule
from worker.pipeline import Pipeline
from worker.settings import load_settings
from worker.sources.dead_letters import DeadLetters
from worker.sources.http import HttpSource
from worker.testing.clock import FakeClock
from worker.wiring.pipelines import Backfill, Job, Poll, Replay, make_pipeline
from worker.wiring.shared import Shared

URL = "http://127.0.0.1:9/items"
INCREMENTAL = {
    "key": ["id"],
    "params": {"tenant": "{partition.tenant}"},
    "partitions": {"tenant": ["a", "b"]},
    "schedule": {"every": "5m"},
    "incremental": {"field": "updated_at", "param": "since"},
}


@asynccontextmanager
async def made(
    directory: Path, job: Job, source: dict[str, Any] = INCREMENTAL, **pipeline: Any
) -> AsyncIterator[Pipeline]:
    settings = load_settings([kit.write_config(directory, URL, source=source, **pipeline)])
    async with AsyncExitStack() as stack:
        shared = Shared.of(settings, stack, FakeClock(), lambda event: None)
        parts = await shared.compile("items", settings.pipelines["items"])
        yield await make_pipeline(shared, parts, job)


@pytest.mark.parametrize("once", [True, False])
async def test_a_pipeline_that_polls_has_the_partitions_and_the_schedule_of_its_source(
    tmp_path: Path, once: bool
) -> None:
    async with made(tmp_path, Poll(once)) as pipeline:
        spec = pipeline.spec
        assert isinstance(spec.fetcher, HttpSource)
        assert spec.partitions == ("tenant=a", "tenant=b")
        assert (spec.once, spec.paging.once, spec.paging.schedule) == (once, once, Schedule(300.0))


async def test_a_backfill_has_partitions_of_its_own_that_end_before_its_last_mark(
    tmp_path: Path,
) -> None:
    job = Backfill("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")
    async with made(tmp_path, job) as pipeline:
        spec, label = pipeline.spec, "@backfill 2024-01-01T00:00:00Z..2024-01-02T00:00:00Z"
        assert spec.partitions == (f"{label} tenant=a", f"{label} tenant=b")
        assert spec.once and spec.paging.schedule is None
        assert spec.paging.incremental is not None
        assert spec.paging.incremental.initial == "2024-01-01T00:00:00Z"
        assert spec.paging.incremental.until == 1_704_153_600_000_000


@pytest.mark.parametrize(
    ("source", "job", "words"),
    [
        ({}, Backfill("2024-01-01T00:00:00Z"), "not incremental by a field"),
        (INCREMENTAL, Backfill("yesterday"), "--from 'yesterday' is no mark"),
        (INCREMENTAL, Backfill("2024-01-01T00:00:00Z", "later"), "--to 'later' is no mark"),
        (INCREMENTAL, Backfill("2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z"), "is not before"),
    ],
    ids=["no field", "from", "to", "reversed"],
)
async def test_a_range_that_cannot_be_read_is_refused(
    tmp_path: Path, source: dict[str, Any], job: Backfill, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        async with made(tmp_path, job, source):
            pass


async def test_a_replay_reads_dead_letters_into_the_output_of_the_pipeline(tmp_path: Path) -> None:
    async with made(tmp_path, Replay()) as pipeline:
        assert isinstance(pipeline.spec.fetcher, DeadLetters)
        assert pipeline.spec.partitions == (REPLAYED,) and pipeline.spec.once
        assert pipeline.spec.writer.max_reject_ratio == 1, "however many are rejected once more"


async def test_records_and_dead_letters_have_a_sink_each(tmp_path: Path) -> None:
    async with made(tmp_path, Poll(once=True)) as pipeline:
        outputs = pipeline.spec.outputs(ChainState("items", 0, "0123456789abcdef"))
        assert [sink.kind for sink in outputs.sinks] == [RECORDS, DEAD_LETTERS]


async def test_what_the_writer_is_told_comes_from_the_config(tmp_path: Path) -> None:
    more = {
        "sink": {"roll": {"records": 7, "age": "3s"}},
        "dead_letters": {"max_ratio": 0.25, "window": 500},
    }
    async with made(tmp_path, Poll(once=True), **more) as pipeline:
        writer = pipeline.spec.writer
        assert (writer.roll.records, writer.roll.age_s) == (7, 3.0)
        assert (writer.max_reject_ratio, writer.reject_window) == (0.25, 500)
        assert writer.once
        assert writer.marks_are_instants and writer.pipeline == "items"


async def test_a_missing_secret_is_named_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    auth = {"type": "bearer", "token": {"env": "NO_SUCH_TOKEN"}}
    with pytest.raises(ConfigError, match="NO_SUCH_TOKEN"):
        async with made(tmp_path, Poll(once=True), {"auth": auth}):
            pass
