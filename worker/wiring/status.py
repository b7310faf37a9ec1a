"""What a running worker tells of itself: /status, /healthz/ready, the readings of /metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker import __version__
from worker.core.errors import RegistryUnavailable, WorkerError
from worker.core.meter import Reading
from worker.pipeline import Pipeline
from worker.sources.http import HttpSource
from worker.supervisor import Supervisor
from worker.telemetry.emit import Telemetry
from worker.telemetry.logs import redact_urls

SHOWN_TROUBLES = 5
MOST_PARKED = 100


class Status:
    """The status of a run.

    Args:
        not_started: pipeline -> what keeps it from starting.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        telemetry: Telemetry,
        not_started: Callable[[], Mapping[str, WorkerError]],
    ) -> None:
        self._supervisor, self._telemetry, self._not_started = supervisor, telemetry, not_started

    def ready(self) -> bool:
        """Whether all pipelines are running or complete.

        Partners and registries that are down are no reason to be unready; what they refuse is one.
        """
        refused = any(not _outage(error) for error in self._not_started().values())
        return not refused and all(
            state in ("running", "complete") for state in self._supervisor.states().values()
        )

    def readings(self) -> list[Reading]:
        """A reading of each pipeline."""
        states = self._supervisor.states()
        return [pipeline.reading(states[pipeline.name]) for pipeline in self._supervisor.pipelines]

    def document(self) -> dict[str, Any]:
        """The JSON of /status."""
        readings = zip(self._supervisor.pipelines, self.readings(), strict=True)
        waiting = {
            name: {
                "state": "waiting" if _outage(error) else "failed",
                "reason": redact_urls(str(error)),
            }
            for name, error in self._not_started().items()
        }
        running = {each.pipeline: self._pipeline(pipeline, each) for pipeline, each in readings}
        return {"version": __version__, "ready": self.ready(), "pipelines": waiting | running}

    def _pipeline(self, pipeline: Pipeline, now: Reading) -> dict[str, Any]:
        totals, parked = pipeline.totals, {} if pipeline.pool is None else pipeline.pool.parked
        found: dict[str, Any] = {
            "state": now.state,
            "partitions": now.partitions,
            "done": now.done,
            "records": totals.ledger.sent,
            "rejects": totals.ledger.dead_lettered,
            "files": totals.files,
            "commits": totals.commits,
            "in_flight": now.in_flight,
            "oldest_undurable_s": round(now.oldest_s, 3),
            "lag_s": None if now.lag_s is None else round(now.lag_s, 3),
            "parked": {
                name: {"code": each.error.code, "reason": redact_urls(str(each.error))}
                for name, each in list(parked.items())[:MOST_PARKED]
            },
            "parked_count": len(parked),
            "stages": {
                stage: {state: round(seconds, 3) for state, seconds in times.items()}
                for stage, times in now.stages.items()
            },
            "queues": {
                name: {"used_bytes": used, "bound_bytes": bound}
                for name, (used, bound) in now.queues.items()
            },
            "troubles": self._telemetry.troubles(pipeline.name)[-SHOWN_TROUBLES:],
        }
        if isinstance(source := pipeline.spec.fetcher, HttpSource):
            found["source"] = source.status()
        return found


def _outage(error: WorkerError) -> bool:
    """Asking again may help: the pipeline is tried again and again."""
    return isinstance(error, RegistryUnavailable)
