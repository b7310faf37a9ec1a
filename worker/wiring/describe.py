"""What `check` prints of pipelines, without changing anything and without the running half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from worker.config.secrets import SecretRef, secret_value
from worker.http.tls import tls_of
from worker.runtime.clock import SystemClock
from worker.settings import PipelineSettings, Settings
from worker.wiring.children import wanted_of
from worker.wiring.live_state import LiveState
from worker.wiring.memory import described, warnings_of_memory
from worker.wiring.parts import Parts
from worker.wiring.schemas import subject_text, subjects_of
from worker.wiring.secrets import NOT_READ, check_secrets, steps_with
from worker.wiring.warnings import warnings_of

SHOWN_PASSES: Final = 3
"""Of those that a schedule by the time of day will begin."""


def describe(
    settings: Settings, live: LiveState | None = None, *, only: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """What each pipeline promises; of one whose schema is in a registry, that it was not checked.

    Raises ConfigError, or ConfigErrors for several; their places are below the pipeline.

    Args:
        live: the state that is there; with it, what `run` would refuse stands under `refused`, as
            the error that it would end with, or None.
        only: these pipelines; none: all.
    """
    return [_described(settings, name, live) for name in only or settings.pipelines]


def _described(settings: Settings, name: str, live: LiveState | None) -> dict[str, Any]:
    config = settings.pipelines[name]
    known: dict[str, Any] = {
        "pipeline": name,
        "enabled": config.enabled,
        "source": config.source.url,
        "pagination": config.source.pagination.type,
        "output": str(config.sink.path),
    }
    if (schedule := config.source.schedule) is not None and schedule.plan.by_clock:
        known["next_passes"] = schedule.next_texts(SystemClock().time(), SHOWN_PASSES)
    if subjects := subjects_of(config):
        unread = ", ".join(map(subject_text, subjects))
        known |= {"not_checked": f"{unread}: needs the registry, so --connect"}
        return known | _found(live, name, config, None)
    steps = steps_with(config, partial(_unasked, settings.environ))
    parts = Parts.of(name, steps, wanted=wanted_of(settings, name))
    for values in parts.partitions.values():
        check_secrets(config.source, values, settings.environ)
    tls_of(config.source.tls, "source.tls")
    known |= {
        "partitions": len(parts.partitions) if config.source.found is None else "found",
        "schema_fingerprint": parts.plan.fingerprint,
        **({"kept_in": config.validation.kept} if config.validation.kept else {}),
        "delivery": parts.delivery,
        "completeness": parts.completeness,
        "memory": described(settings, config),
        "warnings": [
            *warnings_of(config, parts.plan.schema, parts.output),
            *warnings_of_memory(settings, config),
        ],
    }
    return known | _found(live, name, config, parts)


def _unasked(environ: Mapping[str, str], secret: SecretRef) -> str:
    """The secret of a step; what stands for it where somebody would have to be asked."""
    return NOT_READ if secret.remote else secret_value(secret, {}, environ)


def _found(
    live: LiveState | None, name: str, config: PipelineSettings, parts: Parts | None
) -> dict[str, Any]:
    if live is None:
        return {}
    found = live.look(name, config, parts)
    return {"state": found.state, "refused": found.refused}
