"""Every promise of docs/security.md has a test that exists, and that is seen to fail without it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from mutants.guards import CHECKS, GUARDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [row for row in re.findall(r"^\| (.+) \|$", PAGE, re.M) if not re.match(r"threat \||-", row)]
NODES = sorted(set(re.findall(r"`(tests/[^`]+::[^`]+)`", PAGE)))
GUARDED = sorted({f"tests/{tests}" for *_, tests in (*GUARDS, *CHECKS)})


def functions(path: Path) -> set[str]:
    """The tests of a module, and the names of its cases: every text in it."""
    tree = ast.walk(ast.parse(path.read_text()))
    found = set()
    for node in tree:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(f"[{node.value}]")
    return found


@pytest.mark.parametrize("node", NODES)
def test_a_test_that_is_named_exists(node: str) -> None:
    path, _, rest = node.partition("::")
    name, case = re.fullmatch(r"(test_\w+)(\[.+\])?", rest).groups()  # type: ignore[union-attr]
    there = functions(ROOT / path)
    assert name in there
    assert case is None or case in there


@pytest.mark.parametrize("node", NODES)
def test_a_test_that_is_named_is_that_of_a_guard_that_is_taken_out(node: str) -> None:
    """`make long-mutants` takes each out, and sees the test fail. A whole file is no answer: any
    of its tests might be what fails."""
    assert any(guarded == node or guarded.startswith(f"{node}[") for guarded in GUARDED)


def test_every_row_has_a_threat_a_requirement_and_a_test() -> None:
    assert len(ROWS) > 35
    named = r"`tests/[^`]+\.py::test_[^`]+`"
    for row in ROWS:
        threat, requirement, tests = row.split(" | ")
        assert threat and requirement, row
        assert re.fullmatch(rf"{named}( {named})*", tests), row
