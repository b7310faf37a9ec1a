"""What the engine promises of its own code: generated code comes from one place, modules stay
small."""

from __future__ import annotations

import ast
from pathlib import Path

import worker.schema

MODULES = sorted(Path(worker.schema.__file__).parent.glob("*.py"))
MAKES_CODE = {"exec", "eval", "compile", "__import__"}
MOST_LINES = 500


def code_makers(source: str) -> list[str]:
    """Uses of what makes code from text: the builtins by name, called or passed on, and the types
    of code objects."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and node.id in MAKES_CODE | {
            "builtins",
            "__builtins__",
            "FunctionType",
            "CodeType",
        }:
            found.append(node.id)
        elif isinstance(node, ast.Attribute) and node.attr in MAKES_CODE - {"compile"} | {
            "FunctionType",
            "CodeType",
        }:
            found.append(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom) and any(
            alias.name in ("builtins", "importlib", "codeop", "types") for alias in node.names
        ):
            found.append("import")
    return found


def test_the_search_finds_what_it_is_for() -> None:
    assert code_makers("exec('x')") == ["exec"]
    assert code_makers("run = eval") == ["eval"]
    assert code_makers("import builtins\nbuiltins.exec('x')") == ["import", "exec", "builtins"]
    assert code_makers("import re\nre.compile('x')\nself.compile()") == []


def test_code_is_made_in_one_module_only() -> None:
    assert len(MODULES) > 20
    found = {path.name: made for path in MODULES if (made := code_makers(path.read_text()))}
    assert found == {"codegen.py": ["exec"]}


def test_no_module_is_long() -> None:
    long = {
        path.name: lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long
