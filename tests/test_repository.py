"""The habits that CONTRIBUTING.md states, as far as a program can see whether they are kept."""

from __future__ import annotations

import json
import re
import runpy
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
KINDS = {kind["directory"] for kind in PROJECT["tool"]["towncrier"]["type"]}


def load(path: Path) -> Any:
    return YAML(typ="safe").load(path)


def made_by(text: str) -> set[str]:
    """The targets that calls of make in a text name."""
    calls = re.findall(r"(?:^|[`\s:])make((?: [A-Z0-9_]+=\S+| [a-z][a-z-]*)+)", text, re.M)
    return {word for call in calls for word in call.split() if "=" not in word}


PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / ".github").rglob("*.*ml"),
    *(ROOT / ".github").glob("*.md"),
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".ci" / "run",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_target_that_a_page_names_exists(page: Path) -> None:
    quoted = page.read_text()
    if page.suffix == ".md":
        quoted = "\n".join(re.findall(r"```sh.*?```|`[^`\n]+`", quoted, re.S))
    assert made_by(quoted) - TARGETS == set()


def test_the_table_of_checks_has_every_check_with_its_time() -> None:
    rows = re.findall(
        r"^\| (`make .*?) \| .* \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.M
    )
    assert all(re.match(r"\d+ (s|min)\b", takes) for _, takes in rows)
    listed = set().union(*(made_by(target) for target, _ in rows))
    assert {target for target in TARGETS if target.startswith("long-")} <= listed
    assert made_by((ROOT / ".ci" / "run").read_text()) <= listed


@pytest.mark.parametrize(
    "decision", sorted((ROOT / "docs" / "decisions").glob("*.md")), ids=lambda path: path.stem
)
def test_a_decision_has_a_number_and_a_date(decision: Path) -> None:
    assert re.match(r"\d{4}-[a-z0-9-]+$", decision.stem)
    dated = re.search(r"^Date: (.+)$", decision.read_text(), re.M)
    assert dated is not None
    assert date(2026, 1, 1) < date.fromisoformat(dated[1])


def test_a_fragment_of_the_changelog_says_what_kind_it_is() -> None:
    names = {path.name for path in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    assert [
        name for name in names if not re.fullmatch(rf"\+[a-z0-9-]+\.({'|'.join(KINDS)})\.md", name)
    ] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_little_and_uses_what_cannot_change(workflow: Path) -> None:
    read = load(workflow)
    assert read["permissions"] == {}
    for name, job in read["jobs"].items():
        assert "permissions" in job, name
        assert job["timeout-minutes"] <= 60, name
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    assert [
        each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", each)
    ] == []


def test_one_check_of_the_workflow_stands_for_all() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    assert set(jobs["all"]["needs"]) == set(jobs) - {"all"}


def test_the_workflow_runs_every_check() -> None:
    """What `.ci/run` runs, which makes the environments by a step of its own."""
    checks = made_by((ROOT / ".ci" / "run").read_text()) - {"environments"}
    assert {"lint", "audit", "lint-workflows", "bandit"} <= checks
    assert checks <= made_by((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_the_workflow_tests_the_versions_of_the_classifiers() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    prefix = "Programming Language :: Python :: "
    versions = [
        name.removeprefix(prefix)
        for name in PROJECT["project"]["classifiers"]
        if name.startswith(prefix)
    ]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == versions
    assert PROJECT["project"]["requires-python"] == f">={versions[0]}"


def test_every_long_suite_runs_once_a_week() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "long.yml")["jobs"]
    long = {target for target in TARGETS if target.startswith("long-")}
    # they boot a machine, or limit one, and need root: by hand, before a release
    by_hand = {"long-deploy", "long-memory"}
    assert set(jobs["long"]["strategy"]["matrix"]["target"]) == long - by_hand


PACKAGE = {"name": "a", "version": "1"}
VULNERABLE = {**PACKAGE, "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
CLEAN = {**PACKAGE, "vulns": []}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found: b (1)"}


@pytest.mark.parametrize(
    ("packages", "outcome"),
    [
        ([CLEAN, CLEAN], "CLEAN"),
        ([CLEAN, VULNERABLE], "VULNERABLE"),
        ([SKIPPED, VULNERABLE], "VULNERABLE"),
        ([CLEAN, SKIPPED], "UNREACHABLE"),
        ([SKIPPED, SKIPPED], "UNREACHABLE"),
        ([], "UNREACHABLE"),
    ],
)
def test_an_audit_that_could_not_ask_is_not_clean(
    packages: list[dict[str, Any]], outcome: str
) -> None:
    judge = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["judge"]
    found, lines = judge(json.dumps({"dependencies": packages}))
    assert found.name == outcome
    assert lines


@pytest.mark.parametrize("report", ["", "Traceback (most recent call last):"])
def test_an_audit_without_a_report_is_not_clean(report: str) -> None:
    judge = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["judge"]
    assert judge(report)[0].name == "UNREACHABLE"
