"""The configs of the page are configs, and its tables name what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from worker.cli.check import examine
from worker.formats.avro import Decode

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "avro-sources.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
SCHEMA = {
    "type": "record",
    "name": "Flight",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "updated_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    ],
}


def test_there_are_blocks() -> None:
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("text", BLOCKS)
def test_a_config_of_the_page_is_one(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REGISTRY_PASSWORD", "p")
    for name in re.findall(r"[\w-]+\.avsc", text):
        (tmp_path / name).write_text(
            json.dumps(
                {**SCHEMA, "doc": name}
                if name == "flight.avsc"
                else {
                    **SCHEMA,
                    "fields": [*SCHEMA["fields"], {"name": "f" + name[7:11], "type": "int"}],
                }
            )
        )  # type: ignore[misc]
    (tmp_path / "worker.yaml").write_text(text)
    problems, promises = examine([tmp_path / "worker.yaml"])
    assert not problems, problems
    assert promises
    assert ("not_checked" in promises[0]) == ("version: latest" in text)


def test_every_framing_is_in_the_table() -> None:
    table = PAGE.partition("| `framing` |")[2].partition("```")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) == set(
        get_args(Decode.model_fields["framing"].annotation)
    )
