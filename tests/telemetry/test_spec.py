"""The page of the telemetry, the alert rules and the code say the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from telemetry import spec

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"


def test_the_page_is_that_of_the_code() -> None:
    text = spec.PAGE.read_text()
    assert spec.page(text) == text, "run: python tests/telemetry/spec.py"
    assert text.count("| `worker_") > 30


def test_alerts_use_metrics_that_there_are() -> None:
    known = {sample.name for family in spec.registry().collect() for sample in family.samples}
    declared = set(re.findall(r"`(worker_\w+)`", spec.metrics_table()))
    used = set(
        re.findall(r"worker_\w+", re.sub(r"(?m)^\s*(summary|remedy):.*$", "", RULES.read_text()))
    )
    assert len(used) >= 10
    assert used - known - declared - {f"{name}_bucket" for name in declared} == set()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_alerts_fire_when_they_should() -> None:
    for arguments in (["check", "rules", "rules.yml"], ["test", "rules", "tests.yml"]):
        done = subprocess.run(
            ["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
