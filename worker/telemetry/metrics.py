"""Prometheus metrics.

Most are counted from events, by a table with one handler for each class of events; the others are
read from the pipelines at each scrape. Labels come only from the config and from codes of the
program, never from data. docs/specs/telemetry.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker import __version__
from worker.core import events
from worker.core.events import Event
from worker.core.meter import STATES, Reading
from worker.core.model import Ledger

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LATENCY: Final = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_RECORDS: Final = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_BREAKER: Final = {"closed": 0, "half_open": 1, "open": 2}
PIPELINE_STATES: Final = ("starting", "running", "paused", "complete", "failed")

disable_created_metrics()  # type: ignore[no-untyped-call]  # it is a second series per counter


class Metrics:
    """The metrics of one instance, in a registry of their own: a process may hold several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        one: dict[str, Any] = {"registry": self.registry, "namespace": "worker"}
        pipeline = ["pipeline"]
        self._received = Counter("records_received", "Records of accepted pages.", pipeline, **one)
        self._received_bytes = Counter(
            "received_bytes", "Bytes of accepted pages, decompressed.", pipeline, **one
        )
        self._pages = Counter("pages_accepted", "Accepted pages.", pipeline, **one)
        self._expanded = Counter(
            "records_expanded", "Records that python transforms made of others.", pipeline, **one
        )
        self._sent = Counter("records_sent", "Records in committed files.", pipeline, **one)
        self._sent_bytes = Counter("sent_bytes", "Bytes of committed files.", pipeline, **one)
        self._discarded = Counter(
            "records_discarded",
            "Records that were left out: filtered, deduplicated, or redone (received and not "
            "committed, so received again).",
            ["pipeline", "reason"],
            **one,
        )
        self._dead_lettered = Counter(
            "records_dead_lettered",
            "Rejects in committed dead letters.",
            ["pipeline", "reason"],
            **one,
        )
        self._request_seconds = Histogram(
            "http_client_request_duration_seconds",
            "Duration of an attempt of a request.",
            ["pipeline", "code_class"],
            buckets=_SECONDS,
            **one,
        )
        self._retries = Counter(
            "http_client_retries", "Attempts that were repeated.", ["pipeline", "reason"], **one
        )
        self._errors = Counter(
            "errors",
            "Errors by the stage that met them and their code.",
            ["pipeline", "stage", "code"],
            **one,
        )
        self._batches = Counter(
            "batch_created", "Commits by what triggered them.", ["pipeline", "trigger"], **one
        )
        self._batch_records = Histogram(
            "batch_records", "Records received per commit.", pipeline, buckets=_RECORDS, **one
        )
        self._flush_seconds = Histogram(
            "flush_duration_seconds",
            "Duration of a commit: seal, sync, commit, publish.",
            pipeline,
            buckets=_SECONDS,
            **one,
        )
        self._latency = Histogram(
            "end_to_end_latency_seconds",
            "Age of the oldest record of a commit when it became durable.",
            pipeline,
            buckets=_LATENCY,
            **one,
        )
        self._files = Counter(
            "files_published", "Published files, dead letters too.", pipeline, **one
        )
        self._seq = Gauge("commit_seq", "Number of the last commit.", pipeline, **one)
        self._success = Gauge(
            "last_success_timestamp_seconds",
            "When the last commit or the last pass without news ended.",
            pipeline,
            **one,
        )
        self._drift = Counter(
            "drift", "Times the source contradicted itself within a pass.", pipeline, **one
        )
        self._slow = Counter(
            "partitions_slow",
            "Times a request held the place of others and lent it, or was given up.",
            pipeline,
            **one,
        )
        self._noted = Counter(
            "records_noted",
            "Odd records: below_bound, key_repeated, key_missing.",
            ["pipeline", "kind"],
            **one,
        )
        self._skew = Gauge(
            "source_clock_skew_seconds",
            "The clock of the source less ours, when they last differed by a minute or more.",
            pipeline,
            **one,
        )
        self._doubtful = Counter(
            "times_doubtful",
            "Fields of pages whose times are in 1970, and would be of today in another unit.",
            pipeline,
            **one,
        )
        self._unknown = Counter(
            "fields_unknown",
            "Fields that the schema lacks, each counted once per run.",
            pipeline,
            **one,
        )
        self._breaker = Gauge(
            "circuit_breaker_state", "0 closed, 1 half-open, 2 open.", ["target"], **one
        )
        self._breaker_changes = Counter(
            "circuit_breaker_transitions",
            "Changes of the breaker's state.",
            ["target", "to"],
            **one,
        )
        self._loop_lag = Histogram(
            "event_loop_lag_seconds",
            "The longest time in each second for which the event loop was held.",
            buckets=_SECONDS,
            **one,
        )
        Gauge("build_info", "Version of the program.", ["version"], **one).labels(__version__).set(
            1
        )
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            events.RequestEnded: self._request,
            events.RequestRetried: self._retried,
            events.PageAccepted: self._page,
            events.PassEnded: lambda e: self._success.labels(e.pipeline).set_to_current_time(),
            events.CommitPublished: self._commit,
            events.NothingKept: lambda e: self._count(e.pipeline, e.ledger),
            events.RecordsDiscarded: lambda e: self._discarded.labels(e.pipeline, "redone").inc(
                e.records
            ),
            events.DriftSeen: lambda e: self._drift.labels(e.pipeline).inc(),
            events.PartitionSlow: lambda e: self._slow.labels(e.pipeline).inc(),
            events.RecordsNoted: lambda e: self._noted.labels(e.pipeline, e.kind).inc(e.records),
            events.TimesDoubtful: lambda e: self._doubtful.labels(e.pipeline).inc(),
            events.ClockSkewSeen: lambda e: self._skew.labels(e.pipeline).set(e.seconds),
            events.FieldUnknown: lambda e: self._unknown.labels(e.pipeline).inc(),
            events.PartitionParked: lambda e: self._errors.labels(e.pipeline, "read", e.code).inc(),
            events.PipelineFailed: lambda e: self._errors.labels(
                e.pipeline, "pipeline", e.code
            ).inc(),
            events.AttemptFailed: lambda e: self._errors.labels(
                e.pipeline, "attempt", e.code
            ).inc(),
            events.BreakerChanged: self._breaker_changed,
        }

    def __call__(self, event: Event) -> None:
        """Counts an event, if its class has a handler."""
        if handler := self._handlers.get(type(event)):
            handler(event)

    def watch(self, readings: Callable[[], Sequence[Reading]]) -> None:
        """Adds the metrics that are read from the pipelines.

        Counters of every pipeline are there from now on, at 0 until something happens.
        """
        for each in readings():
            for counter in (
                self._received,
                self._received_bytes,
                self._pages,
                self._expanded,
                self._sent,
                self._sent_bytes,
                self._files,
            ):
                counter.labels(each.pipeline)
            for reason in ("filtered", "deduplicated", "redone"):
                self._discarded.labels(each.pipeline, reason)
        self.registry.register(_Live(readings))

    def loop_lag(self, seconds: float) -> None:
        """Counts for how long the event loop was held in the last second."""
        self._loop_lag.observe(seconds)

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)

    def _request(self, event: events.RequestEnded) -> None:
        self._request_seconds.labels(
            event.pipeline, f"{event.status // 100}xx" if event.status else "none"
        ).observe(event.seconds)

    def _retried(self, event: events.RequestRetried) -> None:
        self._retries.labels(event.pipeline, event.code).inc()
        self._errors.labels(event.pipeline, "read", event.code).inc()

    def _page(self, event: events.PageAccepted) -> None:
        self._pages.labels(event.pipeline).inc()
        self._received.labels(event.pipeline).inc(event.records)
        self._received_bytes.labels(event.pipeline).inc(event.size_bytes)

    def _commit(self, event: events.CommitPublished) -> None:
        name, ledger = event.pipeline, event.ledger
        self._count(name, ledger)
        for code, count in event.rejected.items():
            self._dead_lettered.labels(name, code).inc(count)
        self._batches.labels(name, event.trigger).inc()
        self._batch_records.labels(name).observe(ledger.received)
        self._flush_seconds.labels(name).observe(event.seconds)
        self._latency.labels(name).observe(event.lag_s)
        self._files.labels(name).inc(event.files)
        self._sent_bytes.labels(name).inc(event.size_bytes)
        self._seq.labels(name).set(event.seq)
        self._success.labels(name).set_to_current_time()

    def _count(self, pipeline: str, ledger: Ledger) -> None:
        self._sent.labels(pipeline).inc(ledger.sent)
        self._expanded.labels(pipeline).inc(ledger.expanded)
        self._discarded.labels(pipeline, "filtered").inc(ledger.filtered)
        self._discarded.labels(pipeline, "deduplicated").inc(ledger.deduplicated)

    def _breaker_changed(self, event: events.BreakerChanged) -> None:
        self._breaker.labels(event.target).set(_BREAKER[event.state])
        self._breaker_changes.labels(event.target, event.state).inc()


class _Live(Collector):
    """Metrics that are read from the pipelines at each scrape."""

    def __init__(self, readings: Callable[[], Sequence[Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        gauges = {
            name: GaugeMetricFamily(f"worker_{name}", text, labels=["pipeline"])
            for name, text in (
                ("records_in_flight", "Records that are received and not durable."),
                (
                    "oldest_undurable_seconds",
                    "Age of the oldest record that is received and not durable; 0 when all are.",
                ),
                (
                    "source_lag_seconds",
                    "Age of the mark of the slowest partition; only for marks that are times.",
                ),
            )
        }
        partitions = GaugeMetricFamily(
            "worker_partitions",
            "Partitions: all, done (nothing more to read), parked (failing).",
            labels=["pipeline", "state"],
        )
        queue_bytes = GaugeMetricFamily(
            "worker_queue_bytes", "Bytes in a bounded queue.", labels=["pipeline", "queue"]
        )
        queue_bound = GaugeMetricFamily(
            "worker_queue_capacity_bytes",
            "Bytes that fit into the queue.",
            labels=["pipeline", "queue"],
        )
        limit_used = GaugeMetricFamily(
            "worker_rate_limit_used",
            "What counts of a rate limit now, by all that share it.",
            labels=["pipeline", "limit"],
        )
        limit_allowed = GaugeMetricFamily(
            "worker_rate_limit_allowed", "What it allows.", labels=["pipeline", "limit"]
        )
        state = GaugeMetricFamily(
            "worker_pipeline_state",
            "1 for the state the pipeline is in.",
            labels=["pipeline", "state"],
        )
        stages = {
            name: CounterMetricFamily(
                f"worker_stage_{name}_seconds",
                f"Seconds the stage was {name}.",
                labels=["pipeline", "stage"],
            )
            for name in STATES
        }
        for each in self._readings():
            name = each.pipeline
            gauges["records_in_flight"].add_metric([name], each.in_flight)
            gauges["oldest_undurable_seconds"].add_metric([name], each.oldest_s)
            if each.lag_s is not None:
                gauges["source_lag_seconds"].add_metric([name], each.lag_s)
            for label, count in (
                ("all", each.partitions),
                ("done", each.done),
                ("parked", each.parked),
            ):
                partitions.add_metric([name, label], count)
            for queue, (used, bound) in each.queues.items():
                queue_bytes.add_metric([name, queue], used)
                queue_bound.add_metric([name, queue], bound)
            for limit, (spent_of_it, allowed) in each.limits.items():
                limit_used.add_metric([name, limit], spent_of_it)
                limit_allowed.add_metric([name, limit], allowed)
            for label in PIPELINE_STATES:
                state.add_metric([name, label], label == each.state)
            for stage, times in each.stages.items():
                for spent, seconds in times.items():
                    stages[spent].add_metric([name, stage], seconds)
        queues, limits = (queue_bytes, queue_bound), (limit_used, limit_allowed)
        yield from (*gauges.values(), partitions, *queues, *limits, state, *stages.values())
