"""What a run found, as the page docs/mutants.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import ndiff
from enum import Enum

from mutants.survivors import Identity


class Outcome(Enum):
    KILLED = "a test failed"
    TIMED_OUT = "the tests took several times as long as without the mutant"
    SURVIVED = "all tests passed"
    UNTESTED = "no test could be run, because the module or its tests cannot be imported"


NOTICED = (Outcome.KILLED, Outcome.TIMED_OUT)


@dataclass(frozen=True)
class Result:
    identity: Identity
    line_number: int
    change: tuple[str, ...]
    outcome: Outcome

    def __str__(self) -> str:
        known = f"worker/{self.identity.module}:{self.line_number} {self.identity.operator}"
        same = f", occurrence {self.identity.occurrence}" if self.identity.occurrence else ""
        return "\n    ".join((f"{self.outcome.name} {known}{same}", *self.change))


@dataclass(frozen=True)
class Run:
    """`mutants` counts all of each module, of which `results` are a sample."""

    seed: int
    share: float
    mutants: Mapping[str, int]
    tests: Mapping[str, Sequence[str]]
    results: Sequence[Result]
    reasons: Mapping[Identity, str]

    @property
    def judged(self) -> list[Result]:
        return [each for each in self.results if each.outcome is not Outcome.UNTESTED]

    @property
    def survivors(self) -> list[Result]:
        return [each for each in self.results if each.outcome is Outcome.SURVIVED]

    @property
    def killed(self) -> float:
        """The share of those that were judged."""
        return 1 - len(self.survivors) / len(self.judged) if self.judged else 0.0


def changed_lines(before: str, after: str) -> tuple[str, ...]:
    return tuple(
        f"{line[0]} {line[2:].strip()}"
        for line in ndiff(before.splitlines(), after.splitlines())
        if line[0] in "+-"
    )


def page(run: Run) -> str:
    return "\n".join([*_head(run), *_table(run), *_survivors(run), ""])


def _head(run: Run) -> Iterator[str]:
    counts = Counter(each.outcome for each in run.results)
    yield f"""# Mutants

This page is written by `make long-mutants`; what it says of the tests is what that run saw.

[cosmic-ray](https://cosmic-ray.readthedocs.io) changes one operator, number, condition, loop, handler or decorator at a time, in a copy of the tree, and the tests of the module must notice.
What is changed is what decides what lands: paging, the core, the commit log, the committer and the sink.
A mutant that is known to be noticed runs first, as a control, and the tests pass without a mutant.

* Of {sum(run.mutants.values()):,} mutants, {len(run.judged)} were judged: seed {run.seed} draws each by itself, {run.share:.1%} of them, whatever else there is.
* {counts[Outcome.KILLED]} were noticed by a test that failed and {counts[Outcome.TIMED_OUT]} by tests that took several times as long: {run.killed:.1%}.
* {counts[Outcome.SURVIVED]} were not noticed; each is below, with its reason from `tests/mutants/survivors.toml`.
* {counts[Outcome.UNTESTED]} more could not be imported, so that no test was asked; they count neither way.

These are no mutants: changes of annotations, of names of types, of what a `Protocol` declares, and of the bare `*` among parameters; a removed `@overload`; `is` that becomes `==`; and what Python does not compile, or warns of.
"""


def _table(run: Run) -> Iterator[str]:
    yield "## Modules\n"
    yield "| module | mutants | judged | noticed | tests |"
    yield "|---|---|---|---|---|"
    for module, mutants in run.mutants.items():
        judged = [each for each in run.judged if each.identity.module == module]
        noticed = sum(each.outcome in NOTICED for each in judged)
        tests = ", ".join(f"`{each}`" for each in run.tests[module])
        yield f"| `worker/{module}` | {mutants} | {len(judged)} | {noticed} | {tests} |"
    yield ""


def _survivors(run: Run) -> Iterator[str]:
    yield "## What was not noticed\n"
    for each in run.survivors:
        reason = run.reasons.get(each.identity, "NO REASON YET")
        yield f"`worker/{each.identity.module}`, line {each.line_number} ({each.identity.operator}):"
        yield reason.strip()
        yield "\n```diff"
        yield from each.change
        yield "```\n"
