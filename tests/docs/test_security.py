"""Every promise of docs/security.md has a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ROWS = [row for row in re.findall(r"^\| (.+) \|$", PAGE, re.M) if not re.match(r"threat \||-", row)]
NODES = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))


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


def test_every_row_has_a_threat_a_requirement_and_a_test() -> None:
    assert len(ROWS) > 35
    for row in ROWS:
        threat, requirement, tests = row.split(" | ")
        assert threat and requirement, row
        assert re.fullmatch(r"`tests/[^`]+`( `tests/[^`]+`)*", tests), row
