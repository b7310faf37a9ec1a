"""Events become log lines, metrics, and the list of recent troubles."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any, Final

from worker.core.events import Event, Repeated
from worker.core.ports import Clock
from worker.telemetry.logs import redact_urls
from worker.telemetry.metrics import Metrics
from worker.telemetry.repeats import WINDOW_S, Key, Repeats

KEPT_TROUBLES: Final = 500
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def event_name(event: type[Event]) -> str:
    """The name of an event in logs: `page.accepted` for `PageAccepted`."""
    return re.sub(r"(?<!^)(?=[A-Z])", ".", event.__name__).lower()


@dataclass(slots=True)
class Trouble:
    """A kind of warning or error, for /status.

    Attributes:
        detail: the fields of the last event of this kind.
        at: when it came, in seconds since 1970.
        times: how many came.
    """

    event: str
    detail: dict[str, Any]
    at: float
    times: int = 0


class Telemetry:
    """The `Emit` that components are given. Never waits.

    Called on the event loop; the watchdog calls it too, while something holds the loop.
    """

    def __init__(self, logger: Any, metrics: Metrics, clock: Clock) -> None:
        self._logger, self._metrics, self._clock = logger, metrics, clock
        self._repeats = Repeats()
        self._troubles: OrderedDict[Key, Trouble] = OrderedDict()
        self._turn = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._turn:
            self._take(event)

    def _take(self, event: Event) -> None:
        self._metrics(event)
        if _LEVELS[event.level] >= _LEVELS["warning"]:
            self._note_trouble(event)
        now = self._clock.monotonic()
        self._log_repeats(now)
        if not event.same_by or self._repeats.admit(_kind_of(event), now):
            self._log(event)

    def close(self) -> None:
        """Logs how many events were held back."""
        self._log_repeats(float("inf"))

    def troubles(self, pipeline: str) -> list[dict[str, Any]]:
        """The last kinds of warnings and errors of a pipeline, the newest last."""
        found = [
            each
            for each in self._troubles.values()
            if each.detail.get("pipeline", pipeline) == pipeline
        ]
        return [
            {"event": each.event, "at": each.at, "times": each.times, **each.detail}
            for each in found
        ]

    def _note_trouble(self, event: Event) -> None:
        key = _kind_of(event)
        trouble = self._troubles.pop(key, None) or Trouble(event_name(type(event)), {}, 0.0)
        trouble.at, trouble.times = self._clock.time(), trouble.times + 1
        trouble.detail = {
            field: redact_urls(value) if isinstance(value, str) else value
            for field, value in asdict(event).items()
        }
        self._troubles[key] = trouble
        if len(self._troubles) > KEPT_TROUBLES:
            self._troubles.popitem(last=False)

    def _log_repeats(self, now: float) -> None:
        for key, times in self._repeats.ended(now):
            self._log(Repeated(key[0], " ".join(map(str, key[1:])), times, WINDOW_S))

    def _log(self, event: Event) -> None:
        if self._logger.is_enabled_for(_LEVELS[event.level]):
            getattr(self._logger, event.level)(event_name(type(event)), **asdict(event))


def _kind_of(event: Event) -> Key:
    """What events have in common that are the same: their name, and the fields of `same_by`."""
    fields = event.same_by or asdict(event)
    return (event_name(type(event)), *(getattr(event, name) for name in fields))
