"""The page on reading names errors and keys as they are, and cases that show them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reading.md").read_text()
ERRORS = dict(
    re.findall(
        r"^\| `(\w+)` \| (\d+) \|", (ROOT / "docs" / "reference" / "errors.md").read_text(), re.M
    )
)
"""Code -> exit code."""
CONFIG = (ROOT / "docs" / "reference" / "config.md").read_text()
METRICS = (ROOT / "docs" / "specs" / "telemetry.md").read_text()


def alarms() -> list[str]:
    """The codes in the first column of the table of twins."""
    section = PAGE.partition("## Each alarm and its healthy twin")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.M)


@pytest.mark.parametrize(("code", "number"), sorted(set(re.findall(r"`(\w+)` \((\d+)\)", PAGE))))
def test_an_error_ends_with_the_exit_code_that_the_page_names(code: str, number: str) -> None:
    assert ERRORS[code] == number


@pytest.mark.parametrize("code", alarms())
def test_an_alarm_of_the_page_has_a_case(code: str) -> None:
    cases = (ROOT / "tests" / "cases").glob("*/case.yaml")
    raised = {YAML(typ="safe").load(path.read_text()).get("error") for path in cases}
    assert code in ERRORS
    assert code in raised


@pytest.mark.parametrize(
    "key", sorted(set(re.findall(r"`(?:incremental|pagination|source|stop)\.([\w.]+)", PAGE)))
)
def test_a_key_of_the_page_exists(key: str) -> None:
    assert f"| `{key.rpartition('.')[2]}` |" in CONFIG


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`(worker_\w+|\w+\.\w+\.?\w*seen)`", PAGE)))
)
def test_a_metric_or_event_of_the_page_exists(name: str) -> None:
    assert f"| `{name}` |" in METRICS
