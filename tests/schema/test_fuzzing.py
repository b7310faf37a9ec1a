"""Replays what fuzzing found (corpus/) and a few random inputs; `make long-fuzz` looks for more.

Inputs run in child processes: an input that kills the process, takes too long or takes too much
memory is a failure, not the end of the tests.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schema.fuzzing import TARGETS, kept_inputs, seeds

CORPUS = Path(__file__).parent / "corpus"
CORPUS_BYTES = 300 * 1024
MEMORY = 1024 * 1024 * 1024  # address space, Python and its modules included
USUAL = "the usual stack"
STACKS = {USUAL: 8 * 1024 * 1024}
if sys.version_info < (
    3,
    12,
):  # from then on Python lets C code recurse 10,000 times, which takes more than that
    STACKS["a small stack"] = 512 * 1024


def _limit(stack: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_STACK, (stack, resource.getrlimit(resource.RLIMIT_STACK)[1]))


@pytest.mark.parametrize(
    "stack",
    [pytest.param(name, marks=[pytest.mark.thorough] * (name != USUAL)) for name in STACKS],
)
@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_breaks_nothing(target: str, stack: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "schema.fuzzing", target, str(CORPUS / f"{target}.txt")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: _limit(STACKS[stack]),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-3_000:]
    assert int(done.stdout.split()[-1]) >= len(list(seeds(target)))


@pytest.mark.parametrize("target", TARGETS)
def test_random_bytes_break_nothing(target: str) -> None:
    @settings(max_examples=60)
    @given(
        st.sampled_from(sorted(seeds(target))) | st.just(b""),
        st.binary(max_size=80),
        st.integers(0, 200),
    )
    def run(seed: bytes, data: bytes, at: int) -> None:
        TARGETS[target](seed[:at] + data + seed[at + len(data) :])

    run()


def test_the_corpus_is_small_and_no_input_stands_twice() -> None:
    kept = {target: kept_inputs(CORPUS / f"{target}.txt") for target in TARGETS}
    assert {path.stem for path in CORPUS.iterdir()} == set(TARGETS)
    assert all(kept.values())
    assert sum(len(data) for inputs in kept.values() for data in inputs) <= CORPUS_BYTES
    assert all(len(set(inputs)) == len(inputs) for inputs in kept.values())
