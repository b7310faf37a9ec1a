"""The tables of docs/specs/telemetry.md are generated from the code.

`python tests/telemetry/spec.py` writes them into the page.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from prometheus_client import CollectorRegistry

from worker.core import events
from worker.core.events import Event
from worker.core.meter import STATES, Reading
from worker.telemetry.emit import event_name
from worker.telemetry.metrics import Metrics

PAGE = Path(__file__).parents[2] / "docs" / "specs" / "telemetry.md"


def registry() -> CollectorRegistry:
    """A registry with every metric, and a sample of those that are read from pipelines."""
    metrics = Metrics()
    stages = {stage: dict.fromkeys(STATES, 0.0) for stage in ("read", "process", "write")}
    queues, limits = {"pages": (0, 1)}, {"10 requests per 1s": (2.0, 10.0)}
    metrics.watch(lambda: [Reading("p", "running", stages, 0, 0.0, queues, 1, 0, 0, 0.0, limits)])
    return metrics.registry


def metrics_table() -> str:
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    known = registry()
    declared = {
        collector._name: collector._labelnames
        for collector in known._collector_to_names
        if hasattr(collector, "_labelnames")
    }
    for family in known.collect():
        if family.name.startswith("worker_"):
            labels = (
                declared[family.name]
                if family.name in declared
                else sorted(family.samples[0].labels)
            )
            name = f"{family.name}_total" if family.type == "counter" else family.name
            rows.append(
                f"| `{name}` | {family.type} | {', '.join(labels)} | {family.documentation} |"
            )
    return "\n".join(rows)


def events_table() -> str:
    rows = ["| event | level | fields | same by |", "|---|---|---|---|"]
    for event in vars(events).values():
        if isinstance(event, type) and issubclass(event, Event) and event is not Event:
            names, same_by = (
                ", ".join(each.name for each in fields(event)),
                ", ".join(event.same_by),
            )
            rows.append(f"| `{event_name(event)}` | {event.level} | {names} | {same_by} |")
    return "\n".join(rows)


def page(text: str) -> str:
    """The page with tables of now."""
    for name, table in (("metrics", metrics_table()), ("events", events_table())):
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda found, table=table: f"{found[1]}{table}\n{found[2]}",
            text,
            flags=re.DOTALL,
        )
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
