"""`worker cat`: every line is JSON that any parser reads, and says what the file holds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from worker.cli import cli

NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def strictly(text: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def cat(directory: Path, schema: Any, records: list[Any]) -> list[Any]:
    file = directory / "data.avro"
    with file.open("wb") as opened:
        fastavro.writer(opened, schema, records)
    result = CliRunner().invoke(cli, ["cat", str(file)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return [strictly(line) for line in result.output.splitlines()]


@pytest.mark.parametrize("kind", ["float", "double"])
@pytest.mark.parametrize("text", NUMBERS)
def test_what_is_no_number_is_text_wherever_it_stands(tmp_path: Path, kind: str, text: str) -> None:
    fields = [
        {"name": "plain", "type": kind},
        {"name": "maybe", "type": ["null", kind]},
        {"name": "many", "type": {"type": "array", "items": kind}},
        {"name": "named", "type": {"type": "map", "values": ["null", kind, "string"]}},
    ]
    value = NUMBERS[text]
    record = {"plain": value, "maybe": value, "many": [value, 1.5], "named": {"a": value}}
    schema = {"type": "record", "name": "R", "fields": fields}
    assert cat(tmp_path, schema, [record]) == [
        {"plain": text, "maybe": text, "many": [text, 1.5], "named": {"a": text}}
    ]
    assert cat(tmp_path, kind, [value]) == [text]


@given(st.lists(st.floats(width=32), max_size=5), st.lists(st.floats(), max_size=5))
def test_finite_numbers_stay_numbers(
    tmp_path_factory: pytest.TempPathFactory, singles: list[float], doubles: list[float]
) -> None:
    items = [
        {"name": name, "type": {"type": "array", "items": name}} for name in ("float", "double")
    ]
    [found] = cat(
        tmp_path_factory.mktemp("cat"),
        {"type": "record", "name": "R", "fields": items},
        [{"float": singles, "double": doubles}],
    )
    for values, printed in ((singles, found["float"]), (doubles, found["double"])):
        assert repr([NUMBERS.get(each, each) for each in printed]) == repr(values)
