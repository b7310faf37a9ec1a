"""Tell whether pinned packages have known vulnerabilities: `audit.py REQUIREMENTS
[--may-be-unreachable]`.

pip-audit leaves out every package that its service does not answer for, then prints "No known
vulnerabilities found" and exits with 0, also when it could ask for none of them. Here that is an
outcome of its own, with an exit code of its own. `--may-be-unreachable` makes that code 0, for runs
that must not depend on a service; the outcome is printed all the same.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any


class Outcome(IntEnum):
    """What an audit found; the value is the exit code."""

    CLEAN = 0
    VULNERABLE = 1
    UNREACHABLE = 69  # EX_UNAVAILABLE of sysexits.h, as in the exit codes of the worker


def judge(report: str) -> tuple[Outcome, list[str]]:
    """The outcome of a report of `pip-audit --format json`, and a line for each thing to be read.

    A vulnerability outweighs packages that could not be asked for; a report that is empty or no
    JSON means that pip-audit ended before it had one.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except ValueError:
        return Outcome.UNREACHABLE, ["pip-audit ended without a report"]
    vulnerable = [
        f"{package['name']} {package['version']}: {found['id']},"
        f" fixed in {', '.join(found['fix_versions']) or 'no version yet'}"
        for package in packages
        for found in package.get("vulns", [])
    ]
    if vulnerable:
        return Outcome.VULNERABLE, vulnerable
    skipped = [package["skip_reason"] for package in packages if "skip_reason" in package]
    if skipped or not packages:
        return Outcome.UNREACHABLE, [
            f"{len(skipped)} of {len(packages)} packages could not be asked for",
            *skipped[:3],
        ]
    return Outcome.CLEAN, [f"{len(packages)} packages, no known vulnerabilities"]


def main(requirements: str, *flags: str) -> int:
    """Run pip-audit of this environment over a file of pinned requirements with hashes, and print
    what it found.
    """
    program = Path(sys.executable).parent / "pip-audit"
    options = ("--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off")
    done = subprocess.run(
        [program, f"--requirement={requirements}", *options], capture_output=True, text=True
    )
    outcome, lines = judge(done.stdout)
    print(f"audit: {outcome.name.lower()}", *lines, sep="\n  ")
    if outcome is Outcome.UNREACHABLE:
        if not done.stdout:
            print(done.stderr.strip().rpartition("\n")[2])
        if "GITHUB_ACTIONS" in os.environ:
            print("::warning::the vulnerability service could not be reached, nothing was checked")
        if "--may-be-unreachable" in flags:
            return Outcome.CLEAN
    return outcome


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
