"""Coverage-guided fuzzing of the Avro engine: `make long-fuzz`. Each target runs in a process of
its own, with little memory and time per input.

Inputs that break a property are left in `var/fuzz/<target>/` as crash-*, timeout-* or oom-*.
`--keep` puts the inputs that reach the most code, in the fewest bytes, into corpus/, which `make
test` replays: one input per line, in base64.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
CORPUS = Path(__file__).parent / "corpus"
WORK = Path("var/fuzz")
MEMORY_MB, SECONDS_AN_INPUT = 1_024, 10
KEPT_BYTES = 32 * 1024  # a target
LONGEST = {"container": 2_048, "schema": 2_048}


def child(target: str, arguments: list[str]) -> None:
    """Runs one target in this process, until libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["worker.schema", "worker.formats.avro"]):
        sys.path.insert(0, str(TESTS))
        from schema.fuzzing import TARGETS

    atheris.Setup([str(_again(target)), *arguments], TARGETS[target])
    atheris.Fuzz()


def _again(target: str) -> Path:
    """A program that is this one: merging starts itself anew, by its name alone."""
    program = (WORK / target / "again").resolve()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" --child {target} "$@"\n')
    program.chmod(0o755)
    return program


def fuzz(target: str, seconds: int) -> int:
    """Fuzzes one target for a while. Returns libFuzzer's exit code."""
    from schema.fuzzing import kept_inputs, seeds

    work, found = WORK / target / "corpus", WORK / target
    work.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*seeds(target), *kept_inputs(CORPUS / f"{target}.txt")]):
        (work / f"seed-{number}").write_bytes(data)
    return _run(
        target,
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_AN_INPUT}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST.get(target, 512)}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        str(work),
    )


def keep(target: str) -> None:
    """The smallest inputs that together reach all code that the found inputs reach, up to
    KEPT_BYTES."""
    from schema.fuzzing import kept_inputs

    merged = WORK / target / "merged"
    shutil.rmtree(merged, ignore_errors=True)
    merged.mkdir(parents=True)
    _run(
        target,
        "-merge=1",
        f"-timeout={SECONDS_AN_INPUT}",
        str(merged),
        str(WORK / target / "corpus"),
    )
    lines, room = (
        {base64.b64encode(data).decode() for data in kept_inputs(CORPUS / f"{target}.txt")},
        KEPT_BYTES,
    )
    for each in sorted(merged.iterdir(), key=lambda path: path.stat().st_size):
        room -= each.stat().st_size
        if room > 0:
            lines.add(base64.b64encode(each.read_bytes()).decode())
    (CORPUS / f"{target}.txt").write_text(
        "".join(f"{line}\n" for line in sorted(lines, key=lambda text: (len(text), text)))
    )


def _run(target: str, *arguments: str) -> int:
    return subprocess.run(
        [sys.executable, __file__, "--child", target, *arguments], check=False
    ).returncode


def main() -> int:
    sys.path.insert(0, str(TESTS))
    from schema.fuzzing import TARGETS

    parser = argparse.ArgumentParser(description="Fuzzes the Avro engine.")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all when omitted")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="put what was found into the corpus of the tests instead of fuzzing",
    )
    options = parser.parse_args()
    failed = []
    for target in options.targets or TARGETS:
        if options.keep:
            keep(target)
        elif fuzz(target, options.seconds):
            failed.append(target)
    print(f"broken: {', '.join(failed)}; the inputs are in {WORK}" if failed else "nothing broke")
    return bool(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main())
