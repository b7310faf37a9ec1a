"""Runs a case: the worker as a user calls it, judged from outside.

A case is a folder:

    case.yaml       `title` (what the API does), `runs` (the exit code of each run, default [0]),
                    `check` (the exit code of `worker check`, default 0), `error` (the code that the
                    run which fails must name), `says` (words of that error), `twin` (the healthy
                    case beside an alarm), `requests` (how many the last run may make),
                    `faults` (the rows of tests/faults/rows.py that it shows), `env` (variables of
                    the user, where PORT stands for the port of the server), `hides` (words that
                    are neither in a file that was made, nor told)
    config.yaml     as a user writes it; PORT stands for the port of the server
    server.py       `answer(ask) -> Answer`, see server.py beside this file
    expected.txt    the records that must be in the files at the end, one JSON object a line, each
                    as often as it stands there; absent where nothing may land
    item.avsc       the schema; default: a number and a text of time
    helper.py       functions of `python` steps; other schemas, and files with values, stand beside
                    it
    after/          what the user changes before dead letters are replayed, where `replay` is the
                    exit code of `worker dlq replay`
"""

from __future__ import annotations

import json
import runpy
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from cases.server import Answers, CaseServer
from ruamel.yaml import YAML

from worker.cli import main

HERE = Path(__file__).parent
DEFAULT_SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "updated_at", "type": ["null", "string"], "default": None},
    ],
}
COPIED = {".avsc", ".csv", ".json", ".ndjson", ".lines"}
"""Files of the user, besides the config."""
KEYS = {
    *("title", "runs", "check", "error", "says", "twin", "requests", "replay", "faults"),
    *("env", "hides"),
}


@dataclass(frozen=True)
class Case:
    """A folder of `tests/cases`."""

    folder: Path
    meta: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Case:
        meta = YAML(typ="safe").load((folder / "case.yaml").read_text())
        assert not set(meta) - KEYS, f"{folder.name}: {sorted(set(meta) - KEYS)}"
        return cls(folder, meta)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def exits(self) -> list[int]:
        """The exit code of each run; there is none where `check` refuses the config."""
        default: list[int] = [0] if self.check == 0 else []
        return list(self.meta.get("runs", default))

    @property
    def check(self) -> int:
        return int(self.meta.get("check", 0))

    @property
    def rows(self) -> tuple[int, ...]:
        """The rows of the table of faults that it shows."""
        return tuple(self.meta.get("faults", ()))

    def env(self, port: int) -> dict[str, str]:
        """The variables of the user."""
        given = dict(self.meta.get("env", {}))
        return {name: str(each).replace("PORT", str(port)) for name, each in given.items()}

    @property
    def alarm(self) -> bool:
        """Whether something is refused at the end; a run before may have been cut."""
        return self.check != 0 or self.exits[-1] != 0

    @property
    def expected(self) -> Counter[str]:
        path = self.folder / "expected.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(_canonical(json.loads(line)) for line in lines)

    def answers(self) -> Answers:
        found: Answers = runpy.run_path(str(self.folder / "server.py"))["answer"]
        return found

    def write(self, directory: Path, port: int) -> None:
        """The files of the user, in a directory of their own."""
        config = (self.folder / "config.yaml").read_text().replace("PORT", str(port))
        (directory / "config.yaml").write_text(config)
        schema = self.folder / "item.avsc"
        text = schema.read_text() if schema.exists() else json.dumps(DEFAULT_SCHEMA)
        (directory / "item.avsc").write_text(text)
        for each in self.folder.iterdir():
            if each.suffix in COPIED or each.name == "helper.py":
                (directory / each.name).write_bytes(each.read_bytes())

    def mend(self, directory: Path, port: int) -> None:
        """What the user changes before dead letters are replayed."""
        for each in (self.folder / "after").iterdir():
            (directory / each.name).write_text(each.read_text().replace("PORT", str(port)))


def cases() -> list[Case]:
    """All cases, in the order of their names."""
    return [Case.load(path.parent) for path in sorted(HERE.glob("*/case.yaml"))]


def worker(*arguments: str) -> int:
    """The exit code of a command, which prints to the streams of this process."""
    try:
        main(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    raise AssertionError("the console script always exits")


def landed(directory: Path) -> Counter[str]:
    """The records in published files, by a reader that is not ours."""
    found: Counter[str] = Counter()
    lake = directory / "lake"
    for path in sorted(lake.rglob("*.avro")):
        if any(part.startswith(".") for part in path.relative_to(lake).parts):
            continue
        with path.open("rb") as file:
            found.update(_canonical(record) for record in fastavro.reader(file))
    return found


def serve(case: Case) -> CaseServer:
    return CaseServer(case.answers())


def _canonical(record: Any) -> str:
    """Null fields aside, so that a case need not write them."""
    there = {key: value for key, value in record.items() if value is not None}
    return json.dumps(there, sort_keys=True, default=str)
