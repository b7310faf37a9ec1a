"""Events -> log lines and metrics."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from worker.core.events import Event
from worker.telemetry.metrics import Metrics


def event_name(event: type[Event]) -> str:
    """`PageAccepted` is `page.accepted`."""
    return re.sub(r"(?<!^)(?=[A-Z])", ".", event.__name__).lower()


class Telemetry:
    """The Emit callable that components are given."""

    def __init__(self, logger: Any, metrics: Metrics) -> None:
        self._logger, self._metrics = logger, metrics

    def __call__(self, event: Event) -> None:
        self._metrics(event)
        getattr(self._logger, event.level)(event_name(type(event)), **asdict(event))
