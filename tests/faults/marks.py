"""Which tests show which rows of the table, read from their source: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cases.runner import Case, cases

ROOT = Path(__file__).parents[2]
CASES = (
    "tests/cases/test_cases.py::test_what_lands_is_what_the_server_has_or_the_error_says_why_not"
)


@dataclass(frozen=True)
class Shown:
    """A test that shows rows of the table.

    Attributes:
        node: the id by which pytest knows it; all parameters are meant where it names none.
        by: how it injects the fault.
        claim: what is observed where it passes.
    """

    rows: tuple[int, ...]
    node: str
    by: str
    claim: str


def shown() -> list[Shown]:
    """All of them, in the order of the tree, then the cases."""
    found = [each for path in sorted(ROOT.glob("tests/**/test_*.py")) for each in _of_file(path)]
    return [*found, *(_of_case(case) for case in cases() if case.rows)]


def _of_file(path: Path) -> Iterator[Shown]:
    text = path.read_text()
    if "mark.fault(" not in text:
        return
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for mark in function.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                rows = tuple(ast.literal_eval(each) for each in mark.args)
                (by,) = (ast.literal_eval(each.value) for each in mark.keywords)
                node = f"{path.relative_to(ROOT)}::{function.name}"
                yield Shown(rows, node, by, function.name.removeprefix("test_").replace("_", " "))


def _of_case(case: Case) -> Shown:
    codes = " and ".join(map(str, case.exits)) or f"{case.check} of check"
    error = f" ({case.meta['error']})" if "error" in case.meta else ""
    claim = f"exit {codes}{error}; {case.expected.total()} records land, those that should"
    return Shown(case.rows, f"{CASES}[{case.name}]", case.meta["title"], claim)
