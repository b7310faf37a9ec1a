"""Published files against the commit log: evidence, not belief."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from worker.core.digest import chained
from worker.core.errors import WorkerError
from worker.core.model import Ledger, StagedFile
from worker.runtime import fs
from worker.schema.container import ContainerReader
from worker.schema.errors import CorruptContainer


class ReadableLog(Protocol):
    """What verify reads of a commit log."""

    def pipelines(self) -> list[dict[str, Any]]: ...
    def commits(self, pipeline: str) -> list[dict[str, Any]]: ...
    def files(self, pipeline: str, seq: int) -> list[StagedFile]: ...
    def partitions(self, pipeline: str) -> list[dict[str, Any]]: ...


@dataclass(slots=True)
class Report:
    """What was looked at and what was wrong; `moved` files are gone from the output, which consumers may do."""

    pipeline: str
    commits: int = 0
    files: int = 0
    rows: int = 0
    moved: int = 0
    findings: list[str] = field(default_factory=list)


def verify(log: ReadableLog, pipeline: str, roots: Sequence[Path]) -> Report:
    """Checks the chain of commits, their ledgers, every file's size, hash and rows, and that nothing else stands in the output."""
    report = Report(pipeline)
    row = next((each for each in log.pipelines() if each["name"] == pipeline), None)
    digest, last = "", {}
    known: set[Path] = set()
    for commit in log.commits(pipeline):
        report.commits += 1
        files = log.files(pipeline, commit["seq"])
        known |= {Path(file.root) / file.final for file in files}
        document = _document(pipeline, commit, files)
        digest = _chain(report, digest, commit, document)
        _ledger(report, commit, files)
        last.update({end["partition"]: (commit["seq"], end["cursor"]) for end in document["ends"]})
        for file in files:
            try:
                _file(report, commit["seq"], file)
            except OSError as error:  # one that cannot be read hides nothing of the others
                report.findings.append(
                    f"{Path(file.root) / file.final} (commit {commit['seq']}): cannot be read: {error.strerror}"
                )
    if row is not None and report.commits and row["digest"] != digest:
        report.findings.append(
            f"pipeline {pipeline}: the last commit is not the one that was last written"
        )
    for each in log.partitions(pipeline):
        if (
            each["partition"] in last
            and each["seq"]
            and (each["seq"], each["cursor"]) != last[each["partition"]]
        ):
            report.findings.append(
                f"pipeline {pipeline}: the cursor of partition {each['partition']} is not the one of commit {last[each['partition']][0]}"
            )
    lineage = "" if row is None else row["lineage"]
    for root in roots:
        for path in sorted(root.rglob(f"{pipeline}-{lineage}-*")):
            if ".worker" not in path.relative_to(root).parts and path not in known:
                report.findings.append(f"{path}: no commit names this file")
    return report


def _document(pipeline: str, commit: dict[str, Any], files: Sequence[StagedFile]) -> dict[str, Any]:
    head = {
        "v": 1,
        "pipeline": pipeline,
        "lineage": commit["lineage"],
        "seq": commit["seq"],
        "id": commit["id"],
        "at": commit["at"],
    }
    return {
        **head,
        "ledger": msgspec.json.decode(commit["ledger"]),
        "files": [msgspec.to_builtins(file) for file in files],
        "ends": msgspec.json.decode(commit["ends"]),
    }


def _chain(report: Report, previous: str, commit: dict[str, Any], document: dict[str, Any]) -> str:
    if chained(previous, document) != commit["digest"]:
        report.findings.append(
            f"pipeline {report.pipeline}, commit {commit['seq']}: its row, files or cursors were changed after it was written"
        )
    return str(commit["digest"])


def _ledger(report: Report, commit: dict[str, Any], files: Sequence[StagedFile]) -> None:
    where = f"pipeline {report.pipeline}, commit {commit['seq']}"
    ledger = Ledger(**msgspec.json.decode(commit["ledger"]))
    if not ledger.balanced:
        report.findings.append(f"{where}: the ledger does not balance: {ledger}")
    for kind, said in (("records", ledger.sent), ("dead_letters", ledger.dead_lettered)):
        rows = sum(file.rows for file in files if file.kind == kind)
        if rows != said:
            report.findings.append(f"{where}: the ledger says {said} {kind}, its files {rows}")


def _file(report: Report, seq: int, file: StagedFile) -> None:
    path = Path(file.root) / file.final
    if not path.exists():
        staged = Path(file.root) / file.staging
        report.moved += not staged.exists()
        return
    report.files += 1
    problems = []
    try:
        rows = _rows(path)
    except WorkerError as error:
        problems.append(f"it is damaged: {error.message}")
        rows = 0
    else:
        if rows != file.rows:
            problems.append(f"it has {rows} rows, {file.rows} were committed")
    report.rows += rows
    if path.stat().st_size != file.size_bytes:
        problems.append(f"it has {path.stat().st_size} bytes, {file.size_bytes} were committed")
    elif not problems and fs.sha256_of(path) != file.sha256:
        problems.append("its content was changed")
    if problems:
        report.findings.append(f"{path} (commit {seq}): {'; '.join(problems)}")


def _rows(path: Path) -> int:
    """Records of a published file. Raises WorkerError for a damaged one."""
    if path.suffix == ".avro":
        with path.open("rb") as file:
            return sum(rows for rows, _ in ContainerReader(file, str(path)).blocks())
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            return sum(1 for _ in lines)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CorruptContainer(f"the gzip stream is damaged: {error}") from error
