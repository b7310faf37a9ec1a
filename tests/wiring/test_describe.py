"""What `check` prints of pipelines."""

from __future__ import annotations

from pathlib import Path

import kit
import pytest

from worker.core.errors import ConfigError
from worker.settings import Settings, load_settings
from worker.wiring.describe import describe

URL = "http://127.0.0.1:9/items"


def loaded(directory: Path, **pipeline: object) -> Settings:
    return load_settings([kit.write_config(directory, URL, **pipeline)])  # type: ignore[arg-type]


def test_a_pipeline_is_described_with_what_it_promises(tmp_path: Path) -> None:
    source = {
        "pagination": {"type": "offset", "param": "offset", "total": {"body": "total"}},
        "params": {"tenant": "{partition.tenant}"},
        "partitions": {"tenant": ["a", "b"]},
        "stable": True,
    }
    [found] = describe(loaded(tmp_path, source=source))
    assert found.pop("schema_fingerprint")
    assert "for the pages of all pipelines" in found.pop("memory")
    assert found == {
        "pipeline": "items",
        "enabled": True,
        "source": URL,
        "pagination": "offset",
        "output": str(tmp_path / "lake"),
        "partitions": 2,
        "delivery": "exactly_once",
        "completeness": "proven",
        "warnings": [],
    }


def test_a_schema_that_is_in_a_registry_is_not_looked_for(tmp_path: Path) -> None:
    subject = {"registry": "http://127.0.0.1:9/sr", "subject": "items-value"}
    settings = loaded(tmp_path, schema=subject)
    [found] = describe(settings)
    assert "subject items-value at http://127.0.0.1:9/sr" in found["not_checked"]
    assert "--connect" in found["not_checked"] and "partitions" not in found


def test_a_secret_that_is_missing_is_an_error_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    auth = {"type": "bearer", "token": {"env": "NO_SUCH_TOKEN"}}
    with pytest.raises(ConfigError, match="NO_SUCH_TOKEN"):
        describe(loaded(tmp_path, source={"auth": auth}))
