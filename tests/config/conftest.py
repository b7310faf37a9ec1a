"""A config that is right, to be made wrong in one place; and what `check` says of a directory of
files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.cli.check import examine
from worker.config.problems import Problem

RIGHT = """\
version: 1
state: {path: state}
pipelines:
  items:
    source: {url: "https://api.example.com/items"}
    schema: item.avsc
    sink: {path: lake}
"""
SCHEMA = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "city", "type": ["null", "string"], "default": None},
    ],
}

Check = Callable[..., list[Problem]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Writes files (name=text or bytes) beside a schema, runs the check over those that end in
    .yaml, in their order.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "item.avsc").write_text(json.dumps(SCHEMA))

    def run(*texts: str | bytes) -> list[Problem]:
        names = []
        for number, text in enumerate(texts):
            name = Path(f"{'abc'[number]}.yaml")
            name.write_bytes(text if isinstance(text, bytes) else text.encode())
            names.append(name)
        return list(examine(names)[0])

    return run
