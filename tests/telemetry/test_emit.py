"""Events on their way to log lines, metrics and troubles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.core.events import (
    AttemptFailed,
    PageAccepted,
    PartitionParked,
    PartitionSlow,
    RequestRetried,
)
from worker.telemetry.emit import Telemetry
from worker.telemetry.logs import open_logger
from worker.telemetry.metrics import Metrics


class Hand:
    """A clock that is set by hand."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def retried(partition: str, code: str = "http_503") -> RequestRetried:
    return RequestRetried(
        "items", partition, 1, 0.5, code, "said https://me:hunter22@example.com/?api_key=hunter23"
    )


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.fault(21, by="one failure a thousand times")
def test_a_storm_is_a_few_lines_and_a_count(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Hand()
    with open_logger("info", "json") as logger:
        telemetry = Telemetry(logger, Metrics(), clock)
        for number in range(1_000):
            telemetry(retried(str(number)))
        telemetry(retried("other", "timeout"))
        clock.now += 11
        telemetry(retried("later"))
        telemetry.close()
    said = lines(capfd.readouterr().err)
    assert [each["event"] for each in said] == ["request.retried"] * 6 + [
        "repeated",
        "request.retried",
    ]
    assert (said[6]["repeated"], said[6]["key"], said[6]["times"]) == (
        "request.retried",
        "items http_503",
        995,
    )
    assert said[7]["partition"] == "later"


def test_what_is_held_back_is_said_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    with open_logger("info", "json") as logger:
        telemetry = Telemetry(logger, Metrics(), Hand())
        for number in range(10):
            telemetry(PartitionParked("items", str(number), "bad_body", "html", 60.0))
        telemetry.close()
    assert lines(capfd.readouterr().err)[-1]["times"] == 5


def test_levels_below_the_set_one_say_nothing_and_count_all_the_same(
    capfd: pytest.CaptureFixture[str],
) -> None:
    metrics = Metrics()
    with open_logger("info", "json") as logger:
        Telemetry(logger, metrics, Hand())(PageAccepted("items", "", 7, 0, 0, 100))
    assert capfd.readouterr().err == ""
    assert b'worker_records_received_total{pipeline="items"} 7.0' in metrics.exposition()


def test_troubles_are_kept_by_kind_without_secrets(capfd: pytest.CaptureFixture[str]) -> None:
    clock = Hand()
    with open_logger("error", "json") as logger:
        telemetry = Telemetry(logger, Metrics(), clock)
        for number in range(3):
            telemetry(retried(str(number)))
        clock.now += 5
        telemetry(AttemptFailed("other", "sink_unavailable", "disk full", 1.0))
    assert "hunter" not in capfd.readouterr().err
    [trouble] = telemetry.troubles("items")
    assert (trouble["event"], trouble["times"], trouble["at"], trouble["partition"]) == (
        "request.retried",
        3,
        1_000.0,
        "2",
    )
    assert "hunter" not in json.dumps(trouble)
    assert [each["event"] for each in telemetry.troubles("other")] == ["attempt.failed"]


def test_requests_that_hold_the_places_of_others_are_counted() -> None:
    metrics = Metrics()
    for partition in ("a", "b"):
        metrics(PartitionSlow("items", partition, 3.0))
    found = metrics.registry.get_sample_value("worker_partitions_slow_total", {"pipeline": "items"})
    assert found == 2
