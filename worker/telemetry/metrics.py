"""Prometheus metrics from events: one handler an event class, in a table. Labels come only from the config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from worker import __version__
from worker.core import events
from worker.core.events import Event

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """A registry of its own, so that several instances can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        one: dict[str, Any] = {"registry": self.registry, "namespace": "worker"}
        self._records = Counter("records", "Records by what became of them (the ledger of committed files).", ["pipeline", "outcome"], **one)
        self._pages = Counter("pages_accepted", "Pages accepted.", ["pipeline"], **one)
        self._page_bytes = Counter("page_bytes", "Bytes of accepted pages, decoded.", ["pipeline"], **one)
        self._requests = Counter("requests", "Attempts by outcome.", ["pipeline", "outcome"], **one)
        self._request_seconds = Histogram("request_duration_seconds", "Duration of an attempt.", ["pipeline"], buckets=_SECONDS, **one)
        self._retries = Counter("request_retries", "Attempts that were repeated.", ["pipeline"], **one)
        self._commits = Counter("commits", "Published commits by trigger.", ["pipeline", "trigger"], **one)
        self._commit_seconds = Histogram("commit_duration_seconds", "Duration of a commit.", ["pipeline"], buckets=_SECONDS, **one)
        self._files = Counter("files_published", "Published files, dead letters too.", ["pipeline"], **one)
        self._file_bytes = Counter("file_bytes", "Bytes of published files.", ["pipeline"], **one)
        self._lag = Gauge("commit_lag_seconds", "Age of the oldest record of the last commit when it became durable.", ["pipeline"], **one)
        self._seq = Gauge("commit_seq", "Number of the last commit.", ["pipeline"], **one)
        self._drift = Counter("drift", "Times the source contradicted itself within a pass.", ["pipeline"], **one)
        self._parked = Counter("partitions_parked", "Times a partition was parked.", ["pipeline", "code"], **one)
        self._attempts = Counter("attempts_failed", "Attempts that ended with an error.", ["pipeline", "code"], **one)
        self._breaker = Gauge("breaker_open", "1 while the breaker of the target is not closed.", ["target"], **one)
        self._loop_lag = Gauge("loop_lag_seconds", "How late the event loop was in the last second, at worst.", **one)
        Gauge("build_info", "Version of the program.", ["version"], **one).labels(__version__).set(1)
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            events.RequestEnded: self._request,
            events.RequestRetried: lambda e: self._retries.labels(e.pipeline).inc(),
            events.PageAccepted: self._page,
            events.CommitPublished: self._commit,
            events.DriftSeen: lambda e: self._drift.labels(e.pipeline).inc(),
            events.PartitionParked: lambda e: self._parked.labels(e.pipeline, e.code).inc(),
            events.AttemptFailed: lambda e: self._attempts.labels(e.pipeline, e.code).inc(),
            events.BreakerChanged: lambda e: self._breaker.labels(e.target).set(e.state != "closed"),
        }

    def __call__(self, event: Event) -> None:
        """Counts an event, if it is one that is counted."""
        if handler := self._handlers.get(type(event)):
            handler(event)

    def loop_lag(self, seconds: float) -> None:
        self._loop_lag.set(seconds)

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def _request(self, event: events.RequestEnded) -> None:
        self._requests.labels(event.pipeline, event.outcome).inc()
        self._request_seconds.labels(event.pipeline).observe(event.seconds)

    def _page(self, event: events.PageAccepted) -> None:
        self._pages.labels(event.pipeline).inc()
        self._page_bytes.labels(event.pipeline).inc(event.size_bytes)

    def _commit(self, event: events.CommitPublished) -> None:
        ledger = event.ledger
        for outcome in ("received", "sent", "filtered", "deduplicated", "dead_lettered", "expanded"):
            self._records.labels(event.pipeline, outcome).inc(getattr(ledger, outcome))
        self._commits.labels(event.pipeline, event.trigger).inc()
        self._commit_seconds.labels(event.pipeline).observe(event.seconds)
        self._files.labels(event.pipeline).inc(event.files)
        self._file_bytes.labels(event.pipeline).inc(event.size_bytes)
        self._lag.labels(event.pipeline).set(event.lag_s)
        self._seq.labels(event.pipeline).set(event.seq)
