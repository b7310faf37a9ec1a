"""What the mutants of cosmic-ray need stays true, so that whoever changes the source is told at once
and not by the long suite.
"""

from __future__ import annotations

import pytest
from mutants.commands import COMMANDS, ROOT
from mutants.report import Outcome, Result, Run, changed_lines, page
from mutants.sample import is_drawn
from mutants.survivors import Identity, reasons

PACKAGE = ROOT / "worker"


def test_every_module_that_decides_what_lands_has_tests_for_its_mutants() -> None:
    rooms = ("core", "paging", "sinks", "state")
    modules = {file for room in rooms for file in (PACKAGE / room).glob("[!_]*.py")}
    names = {str(file.relative_to(PACKAGE)) for file in modules} | {"runtime/committer.py"}
    assert set(COMMANDS) == names


@pytest.mark.parametrize("module", COMMANDS)
def test_the_tests_of_a_module_exist(module: str) -> None:
    assert [file for file in COMMANDS[module] if not (ROOT / file).is_file()] == []


@pytest.mark.parametrize("survivor", reasons(), ids=repr)
def test_a_line_whose_mutant_is_not_noticed_stands_in_its_module_and_has_a_reason(
    survivor: Identity,
) -> None:
    lines = (PACKAGE / survivor.module).read_text().splitlines()
    assert survivor.line in {line.strip() for line in lines}
    assert reasons()[survivor].strip()


def test_a_page_says_what_was_judged_and_why_a_survivor_may_live() -> None:
    first, second = (Identity("core/a.py", "AddNot", "if a:", number) for number in (0, 1))
    change = changed_lines("x\n  if a:\n", "x\n  if not a:\n")
    assert change == ("- if a:", "+ if not a:")
    outcomes = (Outcome.KILLED, Outcome.TIMED_OUT, Outcome.SURVIVED, Outcome.UNTESTED)
    run = Run(
        seed=7,
        share=0.5,
        mutants={"core/a.py": 90},
        tests={"core/a.py": ["tests/core/test_a.py"]},
        results=[
            *(Result(first, 3, change, outcome) for outcome in outcomes),
            Result(second, 9, change, Outcome.SURVIVED),
        ],
        reasons={first: "It is the same."},
    )
    assert (len(run.judged), len(run.survivors), run.killed) == (4, 2, 0.5)
    said = page(run)
    assert "| `worker/core/a.py` | 90 | 4 | 2 |" in said
    assert "It is the same." in said and "NO REASON YET" in said


def test_a_seed_draws_about_its_share_and_a_larger_share_draws_the_same_and_more() -> None:
    names = [Identity("core/a.py", "AddNot", f"if a{number}:", 0) for number in range(10_000)]

    def drawn(seed: int, share: float) -> set[Identity]:
        return {name for name in names if is_drawn(name, seed, share)}

    assert drawn(1, 0.0) == set() and drawn(1, 1.0) == {*names}
    assert 350 < len(drawn(1, 0.04)) < 450
    assert drawn(1, 0.04) < drawn(1, 0.08)
    assert len(drawn(1, 0.04) & drawn(2, 0.04)) < 50
