"""Mutation testing by cosmic-ray of what decides what lands, in copies of the tree.

    python -m mutants.cosmic PYTHON [--share 0.042] [--seed 1] [--jobs 2] [--only paging/judge.py]

Each module has its own tests (`commands.py`), which must pass without a mutant. Then a mutant that
is known to be noticed runs, as a control, and then a sample of all mutants (`sample.py`).

What the tests do not notice has its reason in `survivors.toml`. The exit code is 1 where one has
none, where too few are noticed, or too few could be judged. It is 2 where the run says nothing,
because the tests fail without a mutant or do not notice the control.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from mutants.commands import COMMANDS, ROOT
from mutants.copies import Copies, Copy
from mutants.mutations import Mutation, mutated, mutations
from mutants.report import NOTICED, Outcome, Result, Run, changed_lines, page
from mutants.sample import is_drawn
from mutants.survivors import Identity, reasons

SHARE: Final = 0.042  # some are no Python, or cannot be imported, and are not judged
LEAST_JUDGED: Final = 400
LEAST_KILLED: Final = 0.85
CONTROL: Final = Identity(
    "runtime/committer.py",
    "ReplaceBinaryOperator_Add_Sub",
    "self.next_seq, self._digest = row.seq + 1, row.digest",
    0,
)
PAGE: Final = ROOT / "docs" / "mutants.md"
# the tests of a mutant that does not end take this long, and so much longer than without a mutant
_LEAST_LIMIT_S: Final = 10.0
_SLOWER: Final = 4.0
_ROOM_BYTES: Final = 2 * 1024**3


class Void(Exception):
    """The run says nothing of the tests."""


@dataclass(frozen=True)
class Mutant:
    mutation: Mutation
    source: str
    changed: str

    @property
    def module(self) -> str:
        return self.mutation.identity.module


def main() -> int:
    options = _options()
    sources = {
        module: (ROOT / "worker" / module).read_text()
        for module in COMMANDS
        if module.startswith(options.only)
    }
    every = {module: list(mutations(module, source)) for module, source in sources.items()}
    sample = [
        mutant
        for module, source in sources.items()
        for mutant in _mutants(source, _drawn(every[module], options.seed, options.share))
    ]
    begin = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="mutants-", dir=_fastest()) as directory,
        closing(Copies(Path(directory), options.python.absolute(), options.jobs)) as copies,
    ):
        try:
            results = _run(copies, sample)
        except Void as void:
            print(void)
            return 2
    run = Run(
        seed=options.seed,
        share=options.share,
        mutants={module: len(found) for module, found in every.items()},
        tests=COMMANDS,
        results=results,
        reasons=reasons(),
    )
    print(f"{len(run.judged)} judged in {time.monotonic() - begin:.0f} s, {run.killed:.1%} noticed")
    if options.only:
        return 0
    PAGE.write_text(page(run))
    return _verdict(run)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("python", type=Path, help="an environment with the tests")
    parser.add_argument("--share", type=float, default=SHARE, help="of all mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="modules that begin so; writes no page")
    return parser.parse_args()


def _fastest() -> str | None:
    """In memory if there is enough of it, where waiting for the disk costs nothing."""
    memory = "/dev/shm"
    roomy = os.path.isdir(memory) and shutil.disk_usage(memory).free > _ROOM_BYTES
    return memory if roomy else None


def _verdict(run: Run) -> int:
    wrong = [
        f"no reason in survivors.toml: {each.identity}"
        for each in run.survivors
        if each.identity not in run.reasons
    ]
    if run.killed < LEAST_KILLED:
        wrong.append(f"less than {LEAST_KILLED:.0%} were noticed")
    if len(run.judged) < LEAST_JUDGED:
        wrong.append(f"less than {LEAST_JUDGED} could be judged: raise --share")
    print("\n".join(wrong))
    return 1 if wrong else 0


def _drawn(found: Iterable[Mutation], seed: int, share: float) -> list[Mutation]:
    return [each for each in found if is_drawn(each.identity, seed, share)]


def _mutants(source: str, found: Iterable[Mutation]) -> Iterator[Mutant]:
    for each in found:
        changed = mutated(source, each)
        if changed is not None:
            yield Mutant(each, source, changed)


def _run(copies: Copies, sample: Sequence[Mutant]) -> list[Result]:
    modules = {CONTROL.module, *(each.module for each in sample)}
    files = sorted(set(chain(*(COMMANDS[module] for module in modules))))
    seconds = dict(zip(files, copies.map(_seconds, files), strict=True))
    limits = {
        module: _LEAST_LIMIT_S + _SLOWER * sum(seconds[file] for file in COMMANDS[module])
        for module in modules
    }
    print(f"{len(files)} files of tests pass without a mutant", flush=True)

    def judge(copy: Copy, mutant: Mutant) -> Result:
        with copy.changed(mutant.module, mutant.changed):
            outcome = copy.test(COMMANDS[mutant.module], limits[mutant.module])
        result = Result(
            identity=mutant.mutation.identity,
            line_number=mutant.mutation.line_number,
            change=changed_lines(mutant.source, mutant.changed),
            outcome=outcome,
        )
        if outcome not in NOTICED:
            print(result, flush=True)
        return result

    control = next(copies.map(judge, [_control()]))
    if control.outcome is not Outcome.KILLED:
        raise Void(f"the control was not noticed: {control}")
    print(f"the control was noticed, {len(sample)} mutants follow", flush=True)
    return list(copies.map(judge, sample))


def _seconds(copy: Copy, file: str) -> float:
    """How long the tests of a file take, which must pass."""
    begin = time.monotonic()
    if copy.test([file]) is not Outcome.SURVIVED:
        raise Void(f"tests fail without a mutant: {file}")
    return time.monotonic() - begin


def _control() -> Mutant:
    source = (ROOT / "worker" / CONTROL.module).read_text()
    found = [each for each in mutations(CONTROL.module, source) if each.identity == CONTROL]
    return next(_mutants(source, found))


if __name__ == "__main__":
    sys.exit(main())
