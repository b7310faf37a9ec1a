"""`worker demo` runs the quickstart against the bundled server and says what came of it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIG: Final = Path(__file__).with_name("quickstart.yaml")


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the published files hold. A plain listing is exact, so no manifest is needed."""

    files: int
    size_bytes: int
    records: int
    rejects: int

    def since(self, before: Holdings) -> Holdings:
        """What was added since an earlier count."""
        return Holdings(
            self.files - before.files,
            self.size_bytes - before.size_bytes,
            self.records - before.records,
            self.rejects - before.rejects,
        )


def run() -> int:
    """Runs the quickstart once and prints a summary. Returns the exit code of the run."""
    from worker.app import run as run_settings
    from worker.core.errors import Exit
    from worker.demo.server import HOST, PORT, DemoServer
    from worker.settings import load_settings

    settings = load_settings([CONFIG])
    pipeline = settings.pipelines["flights"]
    lake = pipeline.sink.path
    letters = pipeline.dead_letters.path or settings.state.path / "dead_letters" / "flights"
    before = holdings(lake, letters)
    started = time.monotonic()
    with ExitStack() as stack:
        try:
            server = stack.enter_context(DemoServer())
        except OSError as error:
            reason = error.strerror or error
            print(f"worker demo: cannot serve the demo data on {HOST}:{PORT}: {reason}")
            print(f"  Another program, perhaps another demo, holds port {PORT}.")
            print("  Stop it and run again.")
            return int(Exit.UNAVAILABLE)
        code = run_settings(settings, once=True).exit_code
        requests = server.requests
    total = holdings(lake, letters)
    print(
        summary(
            code,
            requests,
            new=total.since(before),
            total=total,
            seconds=time.monotonic() - started,
            lake=lake,
            letters=letters,
        )
    )
    return code


def holdings(lake: Path, letters: Path) -> Holdings:
    """Counts published files, their bytes and records, and the dead letters."""
    published = _published(lake, ".avro")
    rejects = sum(path.read_bytes().count(b"\n") for path in _published(letters, ".ndjson"))
    return Holdings(
        len(published),
        sum(path.stat().st_size for path in published),
        sum(_records(path) for path in published),
        rejects,
    )


def summary(
    code: int,
    requests: int,
    *,
    new: Holdings,
    total: Holdings,
    seconds: float,
    lake: Path,
    letters: Path,
) -> str:
    """The text at the end of the demo.

    Args:
        code: the exit code of the run.
        requests: how many the server answered.
        new: what this run added.
        total: what the files hold now.
    """
    if code:
        verdict = (
            f"The run ended with exit code {code}; the log above says why. "
            "What was committed stays: run again and it goes on."
        )
    elif not requests and not new.files:
        verdict = (
            "Complete: the source has no schedule, so it is read once, and it has been read. "
            "Nothing was fetched, nothing added."
        )
    else:
        verdict = (
            "Done: the server answered some requests with 429, 503 and cut bodies; "
            "no record was lost or doubled."
        )
    row = "  {:<13}{:>12}{:>16}".format
    lines = [
        verdict,
        row("", "this run", "in all"),
        row("requests", f"{requests:,}", ""),
        row("records", f"{new.records:,}", f"{total.records:,}"),
        row("rejects", f"{new.rejects:,}", f"{total.rejects:,}"),
        row("files", f"{new.files:,}", f"{total.files:,}"),
        row("bytes", f"{new.size_bytes:,}", f"{total.size_bytes:,}"),
        row("seconds", f"{seconds:.1f}", ""),
        f"  files         {lake}",
        f"  dead letters  {letters}",
        "Next:",
        f"  worker cat {_example(lake)}",
        f"  worker verify {_shown(CONFIG)}",
        f"  worker state show {_shown(CONFIG)}",
    ]
    if not requests:
        lines += [
            "To read everything again:",
            f"  worker state reset {_shown(CONFIG)} --pipeline flights",
            f"  and move {lake} away first, or remove it: the new files would repeat its records.",
        ]
    return "\n".join(lines)


def _published(root: Path, suffix: str) -> list[Path]:
    return sorted(
        path
        for path in root.rglob(f"*{suffix}*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def _records(path: Path) -> int:
    from fastavro import block_reader

    with path.open("rb") as file:
        return sum(block.num_records for block in block_reader(file))


def _example(lake: Path) -> Path:
    return next(iter(_published(lake, ".avro")), lake / "...")


def _shown(path: Path) -> str:
    shown = os.path.relpath(path)
    return str(path) if shown.startswith("..") else shown
