"""What `check` prints of pipelines, without touching anything and without the running half."""

from __future__ import annotations

from typing import Any

from worker.http.registry_config import SubjectConfig
from worker.http.tls import tls_of
from worker.settings import PipelineSettings, Settings
from worker.wiring.parts import Parts
from worker.wiring.schemas import subjects_of
from worker.wiring.secrets import check_secrets
from worker.wiring.warnings import warnings_of


def describe(settings: Settings) -> list[dict[str, Any]]:
    """What each pipeline promises; of one whose schema is in a registry, that it was not checked.

    Raises ConfigError, or ConfigErrors for several; their places are below the pipeline.
    """
    return [_described(name, config) for name, config in settings.pipelines.items()]


def _described(name: str, config: PipelineSettings) -> dict[str, Any]:
    known: dict[str, Any] = {
        "pipeline": name,
        "enabled": config.enabled,
        "source": config.source.url,
        "pagination": config.source.pagination.type,
        "output": str(config.sink.path),
    }
    if subjects := subjects_of(config):
        unread = ", ".join(map(_subject, subjects))
        return known | {"not_checked": f"{unread}: needs the registry, so --connect"}
    parts = Parts.of(name, config)
    for values in parts.partitions.values():
        check_secrets(config.source.auth, values)
    tls_of(config.source.tls, "source.tls")
    return known | {
        "partitions": len(parts.partitions),
        "schema_fingerprint": parts.plan.fingerprint,
        "delivery": parts.delivery,
        "completeness": parts.completeness,
        "warnings": warnings_of(config.source, parts.plan.schema),
    }


def _subject(ref: SubjectConfig) -> str:
    return f"version {ref.version} of subject {ref.subject} at {ref.registry}"
