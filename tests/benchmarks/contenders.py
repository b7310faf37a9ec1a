"""What is measured side by side: a worker of some commit, the careful script, and other programs.

A contender turns a row into a command. What it writes is counted afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from benchmarks import configs, grown_log
from benchmarks.data import SCHEMAS
from benchmarks.process import run
from benchmarks.rows import PageRow, StartRow
from fastavro import block_reader

HERE: Final = Path(__file__).parent
WORKER: Final = "worker"
SCRIPT: Final = "script"


class Contender(Protocol):
    """One side of a comparison."""

    @property
    def label(self) -> str:
        """Its name in tables."""
        ...

    def pages(self, row: PageRow, pages: int, server: str, directory: Path) -> Sequence[str]:
        """Prepares an empty directory; returns the command that reads so many pages of a row in it.

        Raises:
            RunFailed: The row cannot be prepared.
        """
        ...

    def start(self, row: StartRow, server: str, directory: Path) -> Sequence[str]:
        """Prepares an empty directory; returns the command of a start."""
        ...

    def count(self, directory: Path) -> int:
        """Records in the files that a run left in the directory."""
        ...


@dataclass(frozen=True, slots=True)
class Worker:
    """The product as `python` has it, by its command line alone: any commit can be measured."""

    label: str
    python: Path

    def pages(self, row: PageRow, pages: int, server: str, directory: Path) -> Sequence[str]:
        """See Contender. For commits before the run, an earlier run's log is grown."""
        command = [str(self.python), "-m", "worker", "run", configs.NAME, "--once"]
        configs.write(configs.page_document(row, pages, server), directory)
        if row.commits_before:
            run(command, directory)
            grown_log.grow(directory / configs.STATE, directory / configs.FILES, row.commits_before)
            for path in (directory / configs.FILES).glob("*.avro"):
                path.unlink()  # the run that is measured is to be counted alone
        return command

    def start(self, row: StartRow, server: str, directory: Path) -> Sequence[str]:
        """See Contender."""
        options = ["-X", "importtime"] if row.imports else []
        configs.write(configs.page_document(_IDLE, 0, server), directory)
        arguments = ["--help"] if row.help else ["run", configs.NAME, "--once"]
        return [str(self.python), *options, "-m", "worker", *arguments]

    def count(self, directory: Path) -> int:
        """See Contender."""
        return avro_rows(directory / configs.FILES)


@dataclass(frozen=True, slots=True)
class Script:
    """The careful script; it has one start, which stands beside all of the product."""

    label: str = SCRIPT

    def pages(self, row: PageRow, pages: int, server: str, directory: Path) -> Sequence[str]:
        """See Contender."""
        return self._command(row, pages, server, directory)

    def start(self, row: StartRow, server: str, directory: Path) -> Sequence[str]:
        """See Contender."""
        options = ["-X", "importtime"] if row.imports else []
        return self._command(_IDLE, 0, server, directory, *options)

    def count(self, directory: Path) -> int:
        """See Contender."""
        return avro_rows(directory / configs.FILES)

    def _command(
        self, row: PageRow, pages: int, server: str, directory: Path, *options: str
    ) -> Sequence[str]:
        kind = row.script_kind or row.kind
        configs.write({}, directory)
        url = configs.page_url(row, kind, pages, server)
        if row.delay_ms and pages:
            url += f"?delay_ms={row.delay_ms}"
        command = [sys.executable, *options, str(HERE / "careful.py"), url, f"{kind}.avsc"]
        command += [configs.FILES, "--codec", row.codec, "--roll", str(row.roll_records)]
        if row.partitions:
            command += ["--partitions", str(max(pages, 1))]
        return [*command, "--times", *time_fields(kind)]


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program that reads the same pages, in an environment of its own."""

    label: str
    python: Path
    counts: str
    """Code that prints how many records `sys.argv[1]` holds."""

    def pages(self, row: PageRow, pages: int, server: str, directory: Path) -> Sequence[str]:
        """See Contender."""
        url = configs.page_url(row, row.kind, pages, server)
        script = HERE / "peers" / f"{self.label}_peer.py"
        return [str(self.python), str(script), url, str(directory)]

    def start(self, row: StartRow, server: str, directory: Path) -> Sequence[str]:
        """See Contender."""
        return self.pages(_IDLE, 0, server, directory)

    def count(self, directory: Path) -> int:
        """See Contender."""
        counted = subprocess.run(
            [str(self.python), "-c", self.counts, str(directory)],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(counted.stdout)


def peers(python: Path) -> list[Peer]:
    """dlt's rest_api source into parquet, and Airbyte's CDK into messages."""
    parquet = "glob.glob(sys.argv[1] + '/out/bench/flights/*.parquet')"
    message = "b'\"type\":\"RECORD\"' in line for line in open(sys.argv[1] + '/out', 'rb')"
    return [
        Peer(
            "dlt",
            python,
            "import sys, glob, pyarrow.parquet as p; "
            f"print(sum(p.ParquetFile(f).metadata.num_rows for f in {parquet}))",
        ),
        Peer("airbyte", python, f"import sys; print(sum({message}))"),
    ]


_IDLE: Final = PageRow(name="idle", says="a source without pages", pages=0)


def time_fields(kind: str) -> list[str]:
    """The fields of a kind that hold times."""
    return [
        field["name"]
        for field in SCHEMAS[kind]()["fields"]
        if "timestamp-millis" in str(field["type"])
    ]


def avro_rows(directory: Path) -> int:
    """Records in the Avro files below a directory, those of dot directories aside."""
    total = 0
    for path in directory.rglob("*.avro"):
        if not any(part.startswith(".") for part in path.relative_to(directory).parts):
            with path.open("rb") as file:
                total += sum(block.num_records for block in block_reader(file))
    return total
