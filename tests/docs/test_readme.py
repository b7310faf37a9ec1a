"""What the README shows is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from worker.cli import cli
from worker.cli.check import examine

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.S)


def test_every_command_of_the_table_exists_and_every_command_is_in_it() -> None:
    named = set(re.findall(r"`worker ([a-z]+)", README.read_text().partition("## Commands")[2]))
    assert named == set(cli.list_commands(None))  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["--once", "--for", "--pipeline", "--json", "--from", "--to"])
def test_the_options_of_run_are_there(option: str) -> None:
    assert option in CliRunner().invoke(cli, ["run", "--help"]).output


def test_the_configs_are_configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, steps, _ = BLOCKS
    stamp = {"type": "long", "logicalType": "timestamp-millis"}
    fields = {
        "id": "long",
        "state": "string",
        "comments": "int",
        "user": "string",
        "email": "string",
        "body": "string",
        "created_days": "int",
        "updated_days": "int",
    }
    record = {
        "type": "record",
        "name": "Issue",
        "fields": [
            {"name": name, "type": kind} for name, kind in {**fields, "updated_at": stamp}.items()
        ],
    }
    out = {
        "id": "long",
        "author": "string",
        "age_days": "int",
        "busy": "boolean",
        "email": "string",
        "updated_at": stamp,
    }
    (tmp_path / "issue.avsc").write_text(json.dumps(record))
    (tmp_path / "issue_out.avsc").write_text(
        json.dumps(
            {**record, "fields": [{"name": name, "type": kind} for name, kind in out.items()]}
        )
    )
    monkeypatch.setenv("API_TOKEN", "t")
    monkeypatch.setenv("MASK_KEY", "k")
    monkeypatch.chdir(tmp_path)
    for text in (first, first.replace("    sink:\n", steps + "    sink:\n")):
        (tmp_path / "config.yaml").write_text(text)
        problems, promises = examine([tmp_path / "config.yaml"])
        assert not problems
        assert promises[0]["delivery"] == "exactly_once"


def test_a_source_that_needs_no_code_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = {"type": "record", "name": "Device", "fields": [{"name": "id", "type": "string"}]}
    kinds = {"t": "long", "v": "double", "unit": "string", "as_of": "string"}
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    (tmp_path / "device.avsc").write_text(json.dumps(device))
    (tmp_path / "point.avsc").write_text(json.dumps({**device, "name": "P", "fields": fields}))
    monkeypatch.setenv("PASSWORD", "p")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(
        "version: 1\npipelines:\n"
        "  devices:\n"
        "    source: {url: 'https://api.example.com/v2/devices'}\n"
        "    schema: device.avsc\n"
        "    sink: {path: devices}\n"
        f"{BLOCKS[2]}"
        "    schema: point.avsc\n"
        "    sink: {path: points}\n"
    )
    problems, promises = examine([tmp_path / "config.yaml"])
    assert not problems
    assert [each["pipeline"] for each in promises] == ["devices", "measurements"]
