"""What the engine promises of its own code: generated code comes from one place, modules stay
small."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import worker.schema
from worker.schema import DatumReader, compile_plan, parse_schema
from worker.schema.codegen import CodeBuilder, compile_function
from worker.schema.parse import UNREADABLE_KEY

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


@pytest.mark.parametrize(
    "reached", ["__import__('os')", "open('x')", "eval('1')", "exec('x')", "getattr(1, 'real')"]
)
def test_generated_code_reaches_few_builtins(reached: str) -> None:
    function = compile_function("made", f"def made():\n    return {reached}\n", CodeBuilder())
    with pytest.raises((NameError, ImportError)):
        function()


HOSTILE = (
    *("'", '"', "\\", "\n", "'''", "{x}", "{", "%s", "\0", "\u2028"),
    *("' + evil() + '", '"); evil(); ("', "\\' + evil() #", "\nevil()\n"),
)


@given(
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)
def test_no_text_of_a_schema_becomes_code(name: str, default: str) -> None:
    """Nor is it changed: it is text, whatever stands in it."""
    key = UNREADABLE_KEY.sub("_", f"k{name}")
    field = {"name": "f", "type": "string", "json_name": key, "default": default}
    kind = {"type": "enum", "name": "E", "symbols": ["A"], "doc": default}
    fields = [field, {"name": "e", "type": kind, "default": "A", "doc": name}]
    schema = parse_schema(json.dumps({"type": "record", "name": "R", "fields": fields}))
    plan = compile_plan(schema)
    given_text = plan.one(json.dumps({key: "x", "e": "A"}).encode())
    left_out = plan.one(b"{}")
    reader = DatumReader(schema)
    assert reader.one(plan.encode([given_text])) == {"f": "x", "e": "A"}
    assert reader.one(plan.encode([left_out])) == {"f": default, "e": "A"}
    empty = parse_schema('{"type": "record", "name": "R", "fields": []}')
    assert DatumReader(empty, schema).one(b"") == {"f": default, "e": "A"}


def test_no_module_is_long() -> None:
    long = {
        path.name: lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines())) > MOST_LINES
    }
    assert not long
