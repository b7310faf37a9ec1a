"""How many series of metrics there are is a matter of the config, whatever a source says."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from worker.core.events import (
    Event,
    FieldUnknown,
    PageAccepted,
    PartitionParked,
    RequestRetried,
)
from worker.telemetry.metrics import Metrics

SAID: dict[str, Callable[[str], Event]] = {
    "a reason": lambda said: PartitionParked("items", "a", "bad_body", said, 1.0),
    "a partition": lambda said: PartitionParked("items", said, "bad_body", "", 1.0),
    "a field": lambda said: FieldUnknown("items", said, (said,)),
    "a retry": lambda said: RequestRetried("items", said, 1, 0.5, "bad_body", said),
    "a page": lambda said: PageAccepted("items", said, 7, 0, 0, 100),
}


def series(metrics: Metrics) -> set[bytes]:
    """The series without their values."""
    lines = metrics.exposition().splitlines()
    return {line.rpartition(b" ")[0] for line in lines if not line.startswith(b"#")}


@given(st.lists(st.text(), min_size=2, max_size=20))
def test_nothing_that_a_source_says_makes_a_series(said: list[str]) -> None:
    metrics = Metrics()
    for make in SAID.values():
        metrics(make("once"))
    before = series(metrics)
    for text in said:
        for make in SAID.values():
            metrics(make(text))
    assert series(metrics) == before
